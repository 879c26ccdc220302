"""Full conformal prediction by its definition: try every residual that the new image may have."""

import numpy as np


def odd(residuals, scales, new, scale):
    """How odd each residual is among all, the new one the last."""
    everything = np.append(residuals, new)
    return np.abs(everything - everything.mean()) / np.append(scales, scale)


def accepted(residuals, scales, scale, coverage, candidates):
    """The residuals that no more than a share 1 - coverage of all images would be as odd as."""
    kept = []
    for new in candidates:
        scores = odd(residuals, scales, new, scale)
        if np.mean(scores >= scores[-1] - 1e-12) > 1 - coverage + 1e-12:
            kept.append(new)
    return min(kept), max(kept)
