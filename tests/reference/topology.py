"""Topology by sets: of voxels, and of the corners, edges, faces and insides they consist of."""

import math
from itertools import product

from tests.reference.overlap import share, voxels


def components(places, reach):
    """Connected sets; neighbours differ by at most 1 along each axis, and by `reach` in all."""
    left, found = set(places), 0
    while left:
        found += 1
        front = [left.pop()]
        while front:
            here = front.pop()
            for step in product((-1, 0, 1), repeat=len(here)):
                there = tuple(i + s for i, s in zip(here, step, strict=True))
                if sum(map(abs, step)) <= reach and there in left:
                    left.remove(there)
                    front.append(there)
    return found


def euler(mask):
    """Cells by their middle, in half voxels: even places are between voxels, odd ones inside."""
    spans = ([(2 * i, 2 * i + 1, 2 * i + 2) for i in index] for index in voxels(mask))
    cells = {cell for span in spans for cell in product(*span)}
    return sum((-1) ** sum(place % 2 for place in cell) for cell in cells)


def betti(mask):
    inside = voxels(mask)
    around = set(product(*(range(-1, n + 1) for n in mask.shape))) - inside
    pieces, shells = components(inside, mask.ndim), components(around, 1) - 1
    if mask.ndim == 1:
        return [pieces]
    if mask.ndim == 2:
        return [pieces, shells]
    return [pieces, pieces + shells - euler(mask), shells]


def cldice(reference, prediction, thin_reference, thin_prediction):
    r, p = voxels(reference), voxels(prediction)
    thin_r, thin_p = voxels(thin_reference), voxels(thin_prediction)
    if not r and not p:
        return math.nan
    if not thin_r & p or not thin_p & r:
        return 0
    t, t_ = share(len(thin_p & r), len(thin_p)), share(len(thin_r & p), len(thin_r))
    return float(2 * t * t_ / (t + t_))
