"""Objects matched and measured one by one, over sets of voxels."""

import numpy as np
from scipy.spatial.distance import directed_hausdorff

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


def object_hausdorff(reference, prediction, spacing, valid=None):
    """GlaS's distance by comparing every object with every other; ignored voxels measure nothing.

    Of objects that share as many voxels the smaller one counts, then the one first in order.
    """
    counts = np.ones(reference.shape, bool) if valid is None else valid
    there = lambda x: sorted(set(x[counts].tolist()) - {0})

    def distance(a, i, b, j):
        points = lambda mask: np.argwhere(mask) * np.asarray(spacing, float)
        pairs = [((a == i) & counts, b == j), ((b == j) & counts, a == i)]
        return max(directed_hausdorff(points(x), points(y))[0] for x, y in pairs)

    def half(a, b):
        total = 0.0
        for i in there(a):
            shared = {j: ((a == i) & (b == j) & counts).sum() for j in there(b)}
            size = lambda j: ((b == j) & counts).sum()
            if not any(shared.values()):
                far = min((distance(a, i, b, j) for j in there(b)), default=np.inf)
            else:
                far = distance(a, i, b, max(shared, key=lambda j: (shared[j], -size(j))))
            total += ((a == i) & counts).sum() / ((a > 0) & counts).sum() * far
        return total

    sides = [half(*pair) for pair in ((reference, prediction), (prediction, reference))]
    present = [len(there(x)) > 0 for x in (reference, prediction)]
    if not any(present):
        return np.nan
    return sum(sides) / 2 if all(present) else np.inf
