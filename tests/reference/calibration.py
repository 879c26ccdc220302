"""Metrics of probabilities by looking at every voxel, pair of voxels, or threshold."""

import math
from fractions import Fraction
from itertools import product


def voxels(reference, probability):
    """Pairs (y, p) of every voxel, in ascending order of p."""
    pairs = zip(reference.ravel().tolist(), probability.ravel().tolist(), strict=True)
    return sorted((float(p), int(y)) for y, p in pairs)


def mean(values):
    return math.fsum(values) / len(values) if values else math.nan


def brier(reference, probability):
    return mean([(p - y) ** 2 for p, y in voxels(reference, probability)])


def nll(reference, probability):
    right = [p if y else 1 - p for p, y in voxels(reference, probability)]
    return mean([-math.log(max(p, 2**-52)) for p in right])


def hinge(reference, probability):
    margins = [(2 * y - 1) * (2 * p - 1) for p, y in voxels(reference, probability)]
    return mean([max(0.0, 1 - margin) for margin in margins])


def gaps(reference, probability, bins, closed):
    """(voxels, |frequency - confidence|) of the bins that are not empty."""
    # Edges as the type of the probabilities has them: its 0.7 is on the edge of 7 / 10.
    edges = [float(probability.dtype.type(k / bins)) for k in range(1, bins)]
    passed = {"left": lambda p, edge: p >= edge, "right": lambda p, edge: p > edge}[closed]
    members = {}
    for p, y in voxels(reference, probability):
        place = sum(passed(p, edge) for edge in edges)
        members.setdefault(place, []).append((p, y))
    return [
        (len(found), abs(mean([y for _, y in found]) - mean([p for p, _ in found])))
        for found in members.values()
    ]


def ece(reference, probability, bins=15, closed="left"):
    found = gaps(reference, probability, bins, closed)
    return sum(n * gap for n, gap in found) / reference.size if found else math.nan


def mce(reference, probability, bins=15, closed="left"):
    return max((gap for _, gap in gaps(reference, probability, bins, closed)), default=math.nan)


def average_calibration_error(reference, probability, bins=15, closed="left"):
    return mean([gap for _, gap in gaps(reference, probability, bins, closed)])


def ace(reference, probability, bins=15):
    """Every voxel is cut into `bins` slices; those of one p are alike, so blend them first."""
    by_p = {}
    for p, y in voxels(reference, probability):
        by_p.setdefault(p, []).append(y)
    slices = []
    for p, ys in sorted(by_p.items()):
        slices += [Fraction(sum(ys), len(ys)) - Fraction(p)] * (len(ys) * bins)
    size = reference.size
    parts = [slices[i * size : (i + 1) * size] for i in range(bins)]
    return mean([abs(float(sum(part) / size)) for part in parts]) if size else math.nan


def auroc(reference, probability):
    there = [p for p, y in voxels(reference, probability) if y]
    elsewhere = [p for p, y in voxels(reference, probability) if not y]
    return mean([(a > b) + (a == b) / 2 for a, b in product(there, elsewhere)])


def at_thresholds(reference, probability):
    """(true positives, positives of the prediction) at each threshold, from the highest."""
    found = voxels(reference, probability)
    for t in sorted({p for p, _ in found}, reverse=True):
        taken = [y for p, y in found if p >= t]
        yield sum(taken), len(taken)


def auprc(reference, probability):
    size, total, before = int(reference.sum()), 0.0, 0
    for tp, taken in at_thresholds(reference, probability):
        total += (tp - before) * tp / taken
        before = tp
    return total / size if size else math.nan


def best_dice(reference, probability):
    size = int(reference.sum())
    found = at_thresholds(reference, probability)
    return max(2 * tp / (size + taken) for tp, taken in found) if size else math.nan


def best_iou(reference, probability):
    size = int(reference.sum())
    found = at_thresholds(reference, probability)
    return max(tp / (size + taken - tp) for tp, taken in found) if size else math.nan
