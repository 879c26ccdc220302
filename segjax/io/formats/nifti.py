"""NIfTI, by nibabel: axes stay as stored, (x, y, z)."""

import gzip
import io
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from segjax.io._problem import problem
from segjax.io.volume import Volume, blank, check_size, positive_spacing, unit_name


# Deflate cannot shrink data further than this, so a header that claims more lies.
_DEFLATE_RATIO = 1032
_MOST_BESIDE = 2**26  # bytes before the voxels, or behind

# What nibabel finds odd in a header is mended or raised.
_QUIET = logging.Logger(__name__, logging.CRITICAL)


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read a .nii or .nii.gz; trailing axes of size 1 beyond the third are dropped."""
    from nibabel.arrayproxy import ArrayProxy

    compressed = path.suffix.lower() == ".gz"
    with gzip.open(path) if compressed else path.open("rb") as file:
        header = _header(path, file)
        shape = header.get_data_shape()
        itemsize = header.get_data_dtype().itemsize
        check_size(path, shape, max_voxels, itemsize)
        size = math.prod(shape) * itemsize
        if size > (_DEFLATE_RATIO if compressed else 1) * path.stat().st_size:
            raise problem(path, "is cut: voxels are missing", "copy or export it again")
        if pixels:
            array = np.asarray(ArrayProxy(file, header, mmap=False))
            _read_to_end(path, file)
        else:
            scaled = header.get_slope_inter() not in ((None, None), (1.0, 0.0))
            array = blank(shape, np.dtype(float) if scaled else header.get_data_dtype())
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 3:
        return Volume(array)
    zooms = [float(n) for n in header.get_zooms()[: array.ndim]]
    spacing = positive_spacing(zooms)
    if spacing is None:
        raise problem(path, f"its header gives the spacing {zooms}", "correct pixdim")
    # With both codes 0 the file places the image nowhere; nibabel would make a place up.
    placed = array.ndim == 3 and bool(header["sform_code"] or header["qform_code"])
    affine = np.array(header.get_best_affine()) if placed else None
    return Volume(array, spacing, unit_name(str(header.get_xyzt_units()[0])), affine)


def _read_to_end(path: Path, file: io.BufferedIOBase) -> None:
    """At its end gzip compares the checksum; damage may have moved the end."""
    left = _MOST_BESIDE
    while left > 0 and (beside := file.read(2**16)):
        left -= len(beside)
    if left <= 0:
        raise problem(path, "holds more than its header promises", "copy or export it again")


def _header(path: Path, file: io.BufferedIOBase) -> Any:
    """The header of NIfTI-1 or NIfTI-2, which begins with its own size.

    The header alone: extensions say nothing of voxels, and may be as long as they please.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = file.read(4)
    sizes = int.from_bytes(start, "little"), int.from_bytes(start, "big")
    kind = Nifti2Header if 540 in sizes else Nifti1Header
    header = kind(start + file.read(kind.template_dtype.itemsize - 4), check=False)
    header.check_fix(_QUIET)
    offset = float(header["vox_offset"])
    if not 0 <= offset <= _MOST_BESIDE:
        raise problem(path, f"its voxels begin at byte {offset:g}", "write it again")
    return header
