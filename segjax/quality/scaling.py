"""Images and label maps at the scale of a network: objects of the diameter that it knows."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from segjax._errors import InputError


LEAST, MOST = 1 / 8, 4.0  # of a factor that is estimated
_LARGEST = 2**28  # voxels after scaling


def diameters(labels: np.ndarray) -> np.ndarray:
    """Of each object, the diameter in pixels of a disc of its area.

    Of a volume, the area is that of the plane along the first axis where it is largest, so that
    nothing need be known of the distance of planes.

    Args:
        labels: numbered from 1 without gaps.

    Example:
        >>> square = np.pad(np.ones((4, 4), int), 1)
        >>> diameters(square).round(2).tolist()
        [4.51]
    """
    most = int(labels.max(initial=0)) + 1
    planes = labels[None] if labels.ndim == 2 else labels
    areas = np.zeros(most, np.int64)
    for plane in planes:
        areas = np.maximum(areas, np.bincount(plane.ravel(), minlength=most))
    return 2 * np.sqrt(areas[1:] / math.pi)


def typical_diameter(labels: np.ndarray) -> float | None:
    """The median diameter of objects, specks left out; None where there is no object.

    A speck has less than a tenth of the area of the object at the upper quartile.
    """
    found = diameters(labels)
    if not found.size:
        return None
    kept = found[found**2 >= 0.1 * np.quantile(found, 0.75) ** 2]
    return float(np.median(kept))


def factors(
    diameter: float,
    wanted: float,
    spacing: Sequence[float] | None,
    wanted_spacing: Sequence[float],
) -> tuple[float, ...]:
    """By how much each axis is enlarged.

    Args:
        diameter: of objects, in pixels of the last axis.
        wanted: what it is to become.
        spacing: of the voxels; None if it has the ratio of the wanted one.
        wanted_spacing: of the network's voxels; only its ratio matters.
    """
    scale = wanted / diameter
    given = wanted_spacing if spacing is None else spacing
    ratios = zip(given, wanted_spacing, strict=True)
    finest = given[-1] / wanted_spacing[-1]
    return tuple(scale * s / w / finest for s, w in ratios)


def scaled_shape(shape: Sequence[int], by: Sequence[float]) -> tuple[int, ...]:
    """The shape after scaling, at least one voxel along each axis.

    Raises:
        InputError: if it would need too much memory.
    """
    new = tuple(max(1, round(n * f)) for n, f in zip(shape, by, strict=True))
    if math.prod(new) > _LARGEST:
        raise InputError(
            f"scaled to the network's objects the image of shape {tuple(shape)} has shape {new}, "
            "which is too large; check the diameter, or crop the image"
        )
    return new


def resize_image(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Interpolate linearly; where the image shrinks, each pixel is a mean of those it covers."""
    for axis, (n, m) in enumerate(zip(image.shape, shape, strict=True)):
        if n != m:
            moved = np.moveaxis(image, axis, 0)
            new = _weights(n, m) @ moved.reshape(n, -1)
            image = np.moveaxis(new.reshape(m, *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(image, np.float32)


def resize_labels(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Take the nearest label."""
    nearest = [
        np.minimum(((np.arange(m) + 0.5) * n / m).astype(int), n - 1)
        for n, m in zip(labels.shape, shape, strict=True)
    ]
    return labels[np.ix_(*nearest)]


def _weights(n: int, m: int) -> csr_array:
    """How much each of n pixels gives to each of m: a triangle as wide as the coarser pixels."""
    wide = max(1.0, n / m)
    centres = (np.arange(m) + 0.5) * n / m - 0.5
    reach = math.ceil(wide)
    places = np.floor(centres).astype(int)[:, None] + np.arange(-reach, reach + 2)
    weights = np.maximum(0.0, 1 - np.abs(places - centres[:, None]) / wide)
    weights *= (places >= 0) & (places < n)
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(m), places.shape[1])
    columns = np.clip(places, 0, n - 1).ravel()
    return csr_array((weights.ravel().astype(np.float32), (rows, columns)), (m, n))
