"""Bootstrap intervals of a mean, resample by resample."""

import numpy as np


def studentized(scores, drawn, level):
    """From the indices of the cases of each resample."""
    n = len(scores)
    error = np.std(scores, ddof=1) / np.sqrt(n)
    t = []
    for indices in drawn:
        resample = [scores[i] for i in indices]
        spread = np.std(resample, ddof=1) / np.sqrt(n)
        t.append((np.mean(resample) - np.mean(scores)) / spread)
    high, low = np.quantile(t, [(1 - level) / 2, (1 + level) / 2])
    return np.mean(scores) - low * error, np.mean(scores) - high * error
