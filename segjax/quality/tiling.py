"""Cut images of any size into patches of one size, and lay what is found back over them."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from jaxtyping import Float, Int


def padded(array: np.ndarray, patch: Sequence[int]) -> np.ndarray:
    """Continue an array that is smaller than a patch by its mirror image."""
    more = [(0, max(0, p - n)) for n, p in zip(array.shape, patch, strict=True)]
    return np.pad(array, more, mode="symmetric") if any(b for _, b in more) else array


def starts(
    shape: Sequence[int], patch: Sequence[int], overlap: float
) -> Int[np.ndarray, "tile axis"]:
    """First voxels of the fewest patches, evenly spaced, that cover an image.

    Args:
        shape: of the image, along no axis smaller than the patch.
        patch: its shape.
        overlap: the least share of a patch, along each axis, that the next one covers too.

    Example:
        >>> starts((8, 6), (4, 6), 0.0).tolist()
        [[0, 0], [4, 0]]
    """
    axes = []
    for n, p in zip(shape, patch, strict=True):
        step = max(1, math.floor(p * (1 - overlap)))
        count = math.ceil((n - p) / step) + 1
        axes.append(np.round(np.linspace(0, n - p, count)).astype(int))
    return np.array(list(product(*axes)))


def cut(array: np.ndarray, first: Int[np.ndarray, "tile axis"], patch: Sequence[int]) -> np.ndarray:
    """Patches, one after another."""
    return np.stack([array[_box(start, patch)] for start in first])


def laid_over(
    maps: Float[np.ndarray, "tile *grid"],
    first: Int[np.ndarray, "tile axis"],
    patch: Sequence[int],
    shape: Sequence[int],
) -> Float[np.ndarray, "*space"]:
    """An image of what the cells of each patch hold, a mean where patches overlap."""
    cells = np.ix_(*(np.arange(p) * g // p for p, g in zip(patch, maps.shape[1:], strict=True)))
    total, times = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for start, cell in zip(first, maps, strict=True):
        total[_box(start, patch)] += cell[cells]
        times[_box(start, patch)] += 1
    return total / times


def _box(start: Int[np.ndarray, " axis"], patch: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(int(a), int(a) + p) for a, p in zip(start, patch, strict=True))
