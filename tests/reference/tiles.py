"""Weighted means over patches and pictures of their maps, voxel by voxel."""

import numpy as np


def mean_over_patches(scores, counts):
    total = sum(counts)
    if total < 0.5:
        return sum(scores) / len(scores)
    return sum(s * c for s, c in zip(scores, counts, strict=True)) / total


def laid_over(maps, first, patch, shape):
    found = np.zeros(shape)
    for place in np.ndindex(*shape):
        values = []
        for start, grid in zip(first, maps, strict=True):
            inside = [p - s for p, s in zip(place, start, strict=True)]
            if all(0 <= i < n for i, n in zip(inside, patch, strict=True)):
                cell = tuple(i * g // n for i, g, n in zip(inside, grid.shape, patch, strict=True))
                values.append(grid[cell])
        found[place] = np.mean(values)
    return found
