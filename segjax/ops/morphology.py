"""Neighbours and surfaces of packed masks, 32 voxels a word, for NumPy as for JAX.

A mask is an array of words, rows along its last axis: bit i of word j is voxel 32 j + i. What
lies outside of the array is background.
"""

from functools import reduce
from itertools import product
from operator import and_, or_

import numpy as np
from jaxtyping import UInt32

from segjax._numerics import AnyArray, namespace


Words = UInt32[AnyArray, "*row word"]


def shifted(words: Words, axis: int, step: int) -> Words:
    """The mask moved by one voxel: voxel i of the result is voxel i - `step`.

    Args:
        words: packed mask.
        axis: of the voxels, -1 along the rows.
        step: 1 or -1.
    """
    beside = _moved(words, axis, step)
    if axis != -1:
        return beside
    return words << 1 | beside >> 31 if step == 1 else words >> 1 | beside << 31


def _moved(words: Words, axis: int, step: int) -> Words:
    xp = namespace(words)
    at = lambda part: (..., part, *[slice(None)] * (-1 - axis))
    nothing = xp.zeros_like(words[at(slice(0, 1))])
    parts = (
        [nothing, words[at(slice(0, -1))]] if step == 1 else [words[at(slice(1, None))], nothing]
    )
    return xp.concatenate(parts, axis=axis)


def surface(words: Words, dims: int) -> Words:
    """Voxels of a mask with a face neighbour outside it, along the last `dims` axes."""
    around = [shifted(words, axis, step) for axis, step in product(range(-dims, 0), (1, -1))]
    return words & ~reduce(and_, around)


def corners(words: Words, dims: int) -> list[Words]:
    """For each neighbour of a point between voxels in turn, where the mask holds it.

    Point i of the dual grid lies between voxels i - 1 and i along each of the last `dims`
    axes. Bit i of each result says whether one of its 2**dims neighbours is in the mask; the
    first is i - 1 along every axis, the last voxel i itself, and the last axis is the
    fastest. The array must have room for one point more than the mask has voxels.
    """
    found = [words]
    for axis in range(-dims, 0):
        found = [side for x in found for side in (shifted(x, axis, 1), x)]
    return found


def mixed(neighbours: list[Words]) -> Words:
    """Points that have neighbours both inside and outside of the mask."""
    return reduce(or_, neighbours) & ~reduce(and_, neighbours)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Slices of the smallest box that holds a mask; None if it is empty."""
    box = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        if not there.size:
            return None
        box.append(slice(int(there[0]), int(there[-1]) + 1))
    return tuple(box)
