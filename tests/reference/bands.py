"""Boundary IoU by looking around every voxel: sets of voxels, no distance transforms."""

import math
from itertools import product

from tests.reference.boundary import surface


def band(mask, width):
    """Voxels of a mask with anything outside it, or the image, within `width` steps."""
    found = set()
    steps = list(product(range(-width, width + 1), repeat=mask.ndim))
    for index in product(*map(range, mask.shape)):
        if mask[index] and not all(
            all(0 <= i + s < n for i, s, n in zip(index, step, mask.shape, strict=True))
            and mask[tuple(i + s for i, s in zip(index, step, strict=True))]
            for step in steps
        ):
            found.add(index)
    return found


def euclidean_band(mask, width):
    """Voxels of a mask less than `width` from a voxel of its surface."""
    voxels = product(*map(range, mask.shape))
    edge = surface(mask)
    near = lambda index: any(math.dist(index, other) < width for other in edge)
    return {index for index in voxels if mask[index] and near(index)}


def boundary_iou_euclidean(reference, prediction, width=0.02, counted=None):
    return boundary_iou(reference, prediction, width, counted, band=euclidean_band)


def boundary_iou(reference, prediction, width=0.02, counted=None, band=band):
    if width < 1:
        width = max(1, round(width * math.sqrt(sum(n**2 for n in reference.shape))))
    r, p = band(reference, int(width)), band(prediction, int(width))
    if counted is not None:
        r, p = ({index for index in x if counted[index]} for x in (r, p))
    return len(r & p) / len(r | p) if r or p else math.nan
