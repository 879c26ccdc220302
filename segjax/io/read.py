"""Read an image file, whatever its format, and check that it can be scored."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from segjax._errors import InputError
from segjax.io._problem import problem, reason, shown
from segjax.io.formats import itk, nifti, npy, png, tiff, zarr
from segjax.io.stored import Box
from segjax.io.volume import MAX_STORED, MAX_VOXELS, Volume


T = TypeVar("T")


@dataclass(frozen=True)
class Format:
    """One row of `FORMATS`.

    Attributes:
        name: as its users call it.
        suffixes: lower case, longest first.
        read: the function that reads it.
        open: the function that opens it to be read box by box; None if there is none.
        package: what must be installed beside NumPy, None for nothing.
        extra: the extra of segjax that installs it, None where segjax always does.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[..., Volume]
    open: Callable[..., Volume | None] | None
    package: str | None = None
    extra: str | None = None


FORMATS = (
    Format(
        "TIFF", (".ome.tiff", ".ome.tif", ".tiff", ".tif"), tiff.read, tiff.open_stored, "tifffile"
    ),
    Format("PNG", (".png", ".bmp"), png.read, None, "pillow"),
    Format("NumPy", (".npy", ".npz"), npy.read, npy.open_stored),
    Format("NIfTI", (".nii.gz", ".nii"), nifti.read, None, "nibabel", "medical"),
    Format("MetaImage or NRRD", (".mha", ".mhd", ".nrrd"), itk.read, None, "SimpleITK", "itk"),
    Format("Zarr", (".ome.zarr", ".zarr"), zarr.read, zarr.open_stored, "zarr", "zarr"),
)

_MANY = 1000  # labels: fewer may be classes
_SEEN = 2**20  # voxels, in the middle, that are looked at for what is no label map

SUFFIXES = tuple(suffix for format in FORMATS for suffix in format.suffixes)


def read_labels(path: str | Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read a label map: integers or booleans, 0 for the background.

    Whole numbers stored as floats are accepted, with a warning; so are maps of very many
    labels that lie scattered. Palette images give their indices, OME-Zarr its full resolution.

    Args:
        path: a file of one of `FORMATS`, or an OME-Zarr folder.
        max_voxels: a header that promises more is refused before memory is spent on it.

    Returns:
        The label map with the spacing its header gives, in array-axis order.

    Raises:
        InputError: if the file cannot be read or holds no label map.
    """
    path = Path(path)
    volume = _read(path, labels=True, max_voxels=max_voxels)
    _check_axes(path, volume)
    labels = np.ascontiguousarray(as_labels(path, volume.array))
    _warn_of_intensities(path, labels)
    return replace(volume, array=labels)


def _check_axes(path: Path, volume: Volume) -> None:
    if volume.channels:
        raise problem(
            path,
            f"holds colours, not labels (shape {volume.array.shape})",
            "keep one channel if all are equal, else write one integer per voxel for each colour",
        )
    if volume.array.ndim < 2:
        raise problem(path, f"has {volume.array.ndim} axes", "save a 2-D or 3-D label map")


def read_header(path: str | Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read how large a label map is, where it lies and how it is stored, and no voxel.

    Args:
        path: as for `read_labels`.
        max_voxels: as for `read_labels`.

    Returns:
        A volume whose array has the shape and type of the stored one, and holds nothing.

    Raises:
        InputError: if the file cannot be read, or can be no label map.
    """
    path = Path(path)
    volume = _read(path, labels=True, max_voxels=max_voxels, pixels=False)
    _check_axes(path, volume)
    return volume


def read_image(path: str | Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read an image of intensities or colours, to lay labels over.

    Args:
        path: a file of one of `FORMATS`, or an OME-Zarr folder.
        max_voxels: a header that promises more is refused before memory is spent on it.

    Returns:
        The image; `channels` says whether its last axis holds colours.

    Raises:
        InputError: if the file cannot be read or holds no numbers.
    """
    path = Path(path)
    volume = _read(path, labels=False, max_voxels=max_voxels)
    if volume.array.dtype.kind not in "biuf":
        raise problem(path, f"holds {volume.array.dtype} values", "save real numbers")
    return replace(volume, array=_native(volume.array))


def open_labels(path: str | Path, *, max_voxels: int = MAX_STORED) -> Volume | None:
    """Open a label map that may be larger than memory, to be read box by box.

    Args:
        path: a Zarr or OME-Zarr folder, a TIFF, or an .npy.
        max_voxels: a header that promises more is refused.

    Returns:
        The volume, its `array` a `StoredArray` whose boxes are checked as `read_labels` checks
        the whole; None if the format cannot be read in parts.

    Raises:
        InputError: if the file cannot be read or holds no label map.
    """
    path = Path(path)

    def opened(format: Format) -> Volume | None:
        return None if format.open is None else format.open(path, max_voxels=max_voxels)

    volume = _guarded(path, opened)
    if volume is None:
        return None
    stored = volume.array
    if stored.dtype.kind not in "biu":
        raise problem(path, f"holds {stored.dtype} values", "save integer labels")
    if stored.ndim < 2:
        raise problem(path, f"has {stored.ndim} axes", "save a 2-D or 3-D label map")

    def read(box: Box) -> np.ndarray:
        found = _guarded(path, lambda _: stored[box])
        return np.ascontiguousarray(as_labels(path, found))

    return replace(volume, array=replace(stored, read=read))


def is_readable(path: str | Path) -> bool:
    """Whether the name of `path` promises a format that segjax reads.

    Example:
        >>> is_readable("case.nii.gz"), is_readable("dataset.json")
        (True, False)
    """
    return _format(Path(path)) is not None


def stem(path: str | Path) -> str:
    """The name of `path` without folder and format, which may be two suffixes long.

    Example:
        >>> stem("truth/case.01.nii.gz"), stem("notes.txt")
        ('case.01', 'notes.txt')
    """
    name = Path(path).name
    found = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return name[: -len(max(found, key=len))] if found else name


def as_labels(path: Path, array: np.ndarray) -> np.ndarray:
    """`array` as booleans or non-negative integers in native byte order.

    Raises:
        InputError: if it holds anything else; the message names `path`.
    """
    if array.dtype.kind == "f":
        array = _whole_numbers(path, array)
    if array.dtype.kind not in "biu":
        raise problem(path, f"holds {array.dtype} values", "save integer labels")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise problem(
            path,
            f"holds negative labels (down to {array.min()})",
            "number labels from 0; give voxels to ignore a label of their own, such as 255",
        )
    return _native(array)


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _whole_numbers(path: Path, array: np.ndarray) -> np.ndarray:
    low, high = array.min(initial=0), array.max(initial=0)
    if not np.isfinite(low) or not np.isfinite(high):
        raise problem(path, "holds NaN or infinite values", "save integer labels")
    if not np.array_equal(array, np.trunc(array)):
        raise problem(
            path,
            f"holds fractions ({low:g} to {high:g}), as a probability map does",
            "threshold it or take the most probable class, and save integer labels",
        )
    if high >= 2.0**64 or low < -(2.0**63):
        raise problem(path, f"holds values up to {high:g}", "save integer labels")
    warnings.warn(
        f"{shown(path)}: labels stored as {array.dtype} are whole numbers, read as integers",
        UserWarning,
        stacklevel=4,
    )
    return array.astype(np.min_scalar_type(int(low) if low < 0 else int(high)))


def _warn_of_intensities(path: Path, labels: np.ndarray) -> None:
    """Warn of what looks like an image: labels lie together, grey values and depths do not."""
    start = max(0, labels.size - _SEEN) // 2
    seen = labels.reshape(-1)[start : start + _SEEN]
    if seen.size <= _MANY or 2 * np.count_nonzero(seen[1:] != seen[:-1]) < seen.size:
        return
    count = int(np.count_nonzero(np.unique(seen)))
    if count > _MANY:
        warnings.warn(
            f"{shown(path)}: labels lie scattered, {count} of them in {seen.size} voxels, as the "
            "intensities of an image do; check that it is a label map",
            UserWarning,
            stacklevel=3,
        )


def _format(path: Path) -> Format | None:
    name = path.name.lower()
    for format in FORMATS:
        if name.endswith(format.suffixes) and name not in format.suffixes:
            return format
    # The labels inside an OME-Zarr are folders without a suffix.
    return FORMATS[-1] if zarr.is_store(path) else None


_AGAIN = "check that it opens elsewhere, and copy or export it again"


def _read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    options = {"labels": labels, "max_voxels": max_voxels, "pixels": pixels}
    volume = _guarded(path, lambda format: format.read(path, **options))
    if volume.affine is not None and not np.isfinite(volume.affine).all():
        raise problem(path, "its header places it at no finite point", "correct its affine")
    return volume


def _guarded(path: Path, act: Callable[[Format], T]) -> T:
    """Do something with a file; what goes wrong is told in its name."""
    format = _existing_format(path)
    try:
        return act(format)
    except InputError:
        raise
    except ImportError as error:
        what = f'"segjax[{format.extra}]"' if format.extra else format.package
        raise problem(path, f"needs {format.package}", f"pip install {what}") from error
    except MemoryError as error:
        raise problem(
            path, f"does not fit in memory ({reason(error)})", "crop it or split it"
        ) from error
    except OSError as error:
        raise problem(path, f"cannot be read ({reason(error)})", _AGAIN) from error
    except Exception as error:  # What a parser raises on damaged bytes is anyone's guess.
        raise problem(path, f"is damaged or no {format.name} ({reason(error)})", _AGAIN) from error


def _existing_format(path: Path) -> Format:
    try:
        format, exists, is_folder = _format(path), path.exists(), path.is_dir()
        is_file, size = path.is_file(), path.stat().st_size if exists else 0
    except (OSError, ValueError) as error:
        raise problem(path, f"cannot be read ({reason(error)})", "check the path") from error
    if not exists:
        raise problem(path, "there is no such file", "check the path")
    if format is None:
        raise problem(
            path,
            "is a folder where a file is wanted" if is_folder else "is of no format segjax reads",
            "give one of " + " ".join(SUFFIXES),
        )
    if is_folder != zarr.is_store(path) or not (is_folder or is_file):
        raise problem(path, f"is not a {format.name} file", "give the image file itself")
    if is_file and size == 0:
        raise problem(path, "is empty (0 bytes)", "write or copy it again")
    return format
