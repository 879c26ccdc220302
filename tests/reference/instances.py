"""Objects matched and measured one by one, over sets of voxels."""

import numpy as np

from tests.reference import boundary


def matches(reference, prediction):
    """For each object of the reference the one that has more than half of it, or None."""
    found = {}
    for r in sorted(set(reference.ravel().tolist()) - {0}):
        within = prediction[reference == r]
        shares = {p: (within == p).sum() for p in set(within.tolist()) - {0}}
        best = max(shares, key=shares.get, default=None)
        found[r] = best if best is not None and 2 * shares[best] > within.size else None
    return found


def mean_over_objects(name, options, reference, prediction, spacing, unfit):
    """Mean of a boundary metric; objects without a match count as `unfit`, or not if None."""
    scores = []
    for r, p in matches(reference, prediction).items():
        if p is not None:
            sides = boundary.both(reference == r, prediction == p, np.asarray(spacing, float))
            scores.append(getattr(boundary, name)(*sides, **options))
        elif unfit is not None:
            scores.append(unfit)
    return np.mean(scores) if scores else np.nan
