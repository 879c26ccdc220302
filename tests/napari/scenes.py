"""Label maps that are drawn by hand."""

import numpy as np


def squares():
    """A reference of four objects, and what became of them: found, missed, merged twice."""
    reference, result = np.zeros((2, 32, 32), np.int32)
    reference[2:10, 2:10] = 1
    reference[2:6, 20:24] = 2
    reference[18:26, 2:10] = 3
    reference[18:26, 10:18] = 4
    result[2:10, 4:10] = 7  # 48 of 64: IoU 0.75
    result[18:26, 2:18] = 8
    result[28:31, 28:31] = 9
    return reference, result
