"""What an image file holds, and whether two files lie on the same grid."""

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segjax.io._problem import problem


MAX_VOXELS = 2**31
MAX_STORED = 2**38  # of what is read in parts: what takes a day is more likely a damaged header

# Lengths of the units that file headers name, in mm.
MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3, "inch": 25.4}

_SPELLINGS = {
    "": None,
    "pixel": None,
    "nanometer": "nm",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "µm": "um",
    "μm": "um",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inches": "inch",
    "in": "inch",
}


@dataclass(frozen=True)
class Volume:
    """What an image file holds.

    Attributes:
        array: native byte order, axes in array order; label maps are integer or bool. That of
            a volume that was opened and not read is in its file still.
        spacing: one positive length per array axis; None where the file says nothing.
        unit: of `spacing`: a key of `MILLIMETRES`, or None where the file says nothing.
        affine: homogeneous matrix from array index to right-anterior-superior
            coordinates, in the unit of `spacing`; None where the file says nothing.
        channels: whether the last axis holds colours or vector components.
    """

    array: Any
    spacing: tuple[float, ...] | None = None
    unit: str | None = None
    affine: np.ndarray | None = None
    channels: bool = False


def check_size(path: Path, shape: Sequence[int], max_voxels: int, itemsize: int = 1) -> None:
    """Refuse what a header promises before anything is allocated for it.

    Args:
        path: of the file.
        shape: that its header gives.
        max_voxels: how many are allowed.
        itemsize: bytes of a voxel; where that is not known, the least there can be.
    """
    count = check_count(path, shape, max_voxels, itemsize)
    memory = _memory()
    if memory is not None and count * itemsize > memory:
        raise problem(
            path,
            f"its {count} voxels need {byte_size(count * itemsize)} of memory or more, and this "
            f"machine has {byte_size(memory)}",
            "crop it or split it",
        )


def blank(shape: Sequence[int], dtype: np.dtype | type) -> np.ndarray:
    """An array of any shape that takes no memory and holds nothing, for want of its pixels."""
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))


def check_count(path: Path, shape: Sequence[int], max_voxels: int, itemsize: int = 0) -> int:
    """As `check_size`, of what need not fit in memory (itemsize 0); returns the voxels."""
    if min(shape, default=1) < 1:
        raise problem(path, f"holds no voxels (shape {tuple(shape)})", "write it again")
    count = math.prod(int(n) for n in shape)
    if count > max_voxels:
        need = f", which need {byte_size(count * itemsize)} of memory or more" if itemsize else ""
        raise problem(
            path,
            f"its header promises {count} voxels, more than the limit of {max_voxels}{need}",
            "crop it, or allow more (--max-voxels) if the file is what you expect",
        )
    return count


def byte_size(count: int) -> str:
    """A number of bytes in a unit that suits it.

    Example:
        >>> byte_size(999), byte_size(2**31), byte_size(10**13)
        ('999 B', '2.1 GB', '10000.0 GB')
    """
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def _memory() -> int | None:
    """Bytes of memory of the machine, None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def positive_spacing(lengths: Sequence[float | None]) -> tuple[float, ...] | None:
    """`lengths` as floats, or None unless each is a positive number.

    Example:
        >>> positive_spacing([3.0, 0.5]), positive_spacing([3.0, 0.0])
        ((3.0, 0.5), None)
    """
    values = tuple(float(n) if n is not None else math.nan for n in lengths)
    return values if values and all(0 < n < math.inf for n in values) else None


def unit_name(text: str | None) -> str | None:
    """The short name of a length unit, None for what is not a known length.

    Example:
        >>> unit_name("micron"), unit_name("pixel"), unit_name("mm")
        ('um', None, 'mm')
    """
    # ImageJ writes the micro sign as the six characters \u00B5.
    text = (text or "").strip().replace("\\u00B5", "µ").lower()
    name = _SPELLINGS.get(text.replace("metre", "meter"), text)
    return name if name in MILLIMETRES else None


def drop_channel_axis(array: np.ndarray) -> np.ndarray:
    """Without a last axis of size 1, as deep-learning code leaves behind; 2-D stays 2-D."""
    return array[..., 0] if array.ndim > 2 and array.shape[-1] == 1 else array


def grid_difference(reference: Volume, prediction: Volume, tolerance: float = 1e-3) -> str | None:
    """How the grids of two files disagree, in words; None if they do not.

    Headers that say nothing agree with everything.

    Args:
        reference: the one file.
        prediction: the other.
        tolerance: relative difference of spacings that passes for rounding. Corners of
            the image may lie up to a tenth of the smallest spacing apart.

    Example:
        >>> grid_difference(Volume(np.zeros((2, 3))), Volume(np.zeros((3, 2))))
        'shape (2, 3) against (3, 2)'
    """
    if reference.array.shape != prediction.array.shape:
        return f"shape {reference.array.shape} against {prediction.array.shape}"
    if reference.spacing is None or prediction.spacing is None:
        return None
    first, second = np.array(reference.spacing), np.array(prediction.spacing)
    scale = _scale(reference, prediction)
    if not np.allclose(second * scale, first, rtol=tolerance, atol=0):
        return f"spacing {_lengths(reference)} against {_lengths(prediction)}"
    if reference.affine is None or prediction.affine is None:
        return None
    if reference.affine.shape != prediction.affine.shape:
        return None
    shift = np.abs(_corners(reference) - scale * _corners(prediction)).max()
    if shift > 0.1 * first.min():
        return f"position or orientation: corners lie up to {shift:.3g} apart"
    return None


def same_field_of_view(reference: Volume, prediction: Volume) -> bool:
    """Whether two grids, of any shapes, cover the same lengths, within a voxel of either.

    Without spacings, whether one shape is the other enlarged evenly.

    Example:
        >>> fine = Volume(np.zeros((9, 20)), spacing=(1.0, 1.0))
        >>> same_field_of_view(fine, Volume(np.zeros((3, 10)), spacing=(3.0, 2.0)))
        True
    """
    first, second = np.array(reference.array.shape), np.array(prediction.array.shape)
    if first.size != second.size:
        return False
    if reference.spacing is None or prediction.spacing is None:
        factor = second / first
        return bool(np.allclose(factor, factor.mean(), rtol=0.02))
    here, there = (
        np.array(reference.spacing),
        np.array(prediction.spacing) * _scale(reference, prediction),
    )
    return bool((np.abs(first * here - second * there) <= np.maximum(here, there)).all())


def _scale(reference: Volume, prediction: Volume) -> float:
    """What lengths of the prediction are to be multiplied by, to be in the reference's unit."""
    if reference.unit is None or prediction.unit is None:
        return 1.0
    return MILLIMETRES[prediction.unit] / MILLIMETRES[reference.unit]


def orientation(volume: Volume) -> str:
    """Where the array axes point, as in "RAS"; empty where the file says nothing.

    Example:
        >>> orientation(Volume(np.zeros((2, 2, 2)), affine=np.diag([-1.0, -1.0, 2.0, 1.0])))
        'LPS'
    """
    if volume.affine is None:
        return ""
    axes = volume.affine[:-1, :-1].T
    names = (("L", "R"), ("P", "A"), ("I", "S"))
    return "".join(names[k][int(a[k] > 0)] for a in axes for k in [int(np.argmax(np.abs(a)))])


def _lengths(volume: Volume) -> str:
    return f"{volume.spacing} {volume.unit or ''}".strip()


def _corners(volume: Volume) -> np.ndarray:
    assert volume.affine is not None
    ends = [(0, n - 1) for n in volume.array.shape]
    corners = np.array([(*corner, 1) for corner in itertools.product(*ends)])
    return (corners @ volume.affine.T)[:, :-1]
