"""Boundary metrics by comparing every surface voxel with every other."""

import math
from itertools import product

import numpy as np


def surface(mask):
    """Voxels with a face neighbour outside the mask; beyond the image is outside."""
    found = []
    for index in product(*map(range, mask.shape)):
        if not mask[index]:
            continue
        for axis, step in product(range(mask.ndim), (-1, 1)):
            there = list(index)
            there[axis] += step
            inside = all(0 <= i < n for i, n in zip(there, mask.shape, strict=True))
            if not inside or not mask[tuple(there)]:
                found.append(index)
                break
    return np.array(found, float).reshape(-1, mask.ndim)


def directed(mask, other, spacing):
    """Distance of every surface voxel of a mask to the nearest one of the other."""
    here, there = surface(mask) * spacing, surface(other) * spacing
    if not len(there):
        return np.full(len(here), np.inf)
    return np.array([np.sqrt(((p - there) ** 2).sum(1)).min() for p in here])


def both(reference, prediction, spacing):
    return directed(reference, prediction, spacing), directed(prediction, reference, spacing)


def _percentile(values, percentile):
    if np.isinf(values).any():
        return math.inf
    return float(np.percentile(values, percentile))


def _larger(values):
    values = [v for v in values if not math.isnan(v)]
    return max(values) if values else math.nan


def _mean(values):
    return float(np.mean(values)) if len(values) else math.nan


def hausdorff(r, p, percentile=100, pooled=False):
    if pooled:
        joined = np.concatenate([r, p])
        return _percentile(joined, percentile) if len(joined) else math.nan
    return _larger([_percentile(x, percentile) if len(x) else math.nan for x in (r, p)])


def assd(r, p):
    return _mean(np.concatenate([r, p]))


def masd(r, p):
    means = [m for m in (_mean(r), _mean(p)) if not math.isnan(m)]
    return _mean(means)


def asd(r, p, direction="prediction"):
    return _mean(p if direction == "prediction" else r)


def mhd(r, p):
    return _larger([_mean(r), _mean(p)])


def nemhd(r, p, tau=10):
    return math.exp(-mhd(r, p) / tau)


def nsd(r, p, tolerance=1):
    return _mean(np.concatenate([r, p]) <= tolerance + 1e-9)


def average_hausdorff(reference, prediction, spacing):
    """Mean of the directed means over all voxels of both masks."""
    points = [np.argwhere(m) * np.array(spacing, float) for m in (reference, prediction)]
    if not len(points[0]) or not len(points[1]):
        return math.inf if len(points[0]) + len(points[1]) else math.nan
    nearest = lambda a, b: [np.sqrt(((p - b) ** 2).sum(1)).min() for p in a]
    return (np.mean(nearest(*points)) + np.mean(nearest(*points[::-1]))) / 2
