"""NIfTI, by nibabel: axes stay as stored, (x, y, z)."""

import gzip
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from segjax.io._problem import problem
from segjax.io.volume import Volume, blank, check_size, positive_spacing, unit_name


# Deflate cannot shrink data further than this, so a header that claims more lies.
_DEFLATE_RATIO = 1032


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read a .nii or .nii.gz; trailing axes of size 1 beyond the third are dropped."""
    compressed = path.suffix.lower() == ".gz"
    with gzip.open(path) if compressed else path.open("rb") as file:
        image = _open(file)
        header, shape = image.header, image.shape
        itemsize = header.get_data_dtype().itemsize
        check_size(path, shape, max_voxels, itemsize)
        size = math.prod(shape) * itemsize
        if size > (_DEFLATE_RATIO if compressed else 1) * path.stat().st_size:
            raise problem(path, "is cut: voxels are missing", "copy or export it again")
        if pixels:
            array = np.asanyarray(image.dataobj)
            file.read(1)  # At its end gzip compares the checksum.
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
    affine = np.array(image.affine) if placed else None
    return Volume(array, spacing, unit_name(str(header.get_xyzt_units()[0])), affine)


def _open(file: io.BufferedIOBase) -> Any:
    """The NIfTI-1 or NIfTI-2 image in `file`: their headers begin with their own size."""
    import nibabel

    start = file.read(4)
    file.seek(0)
    sizes = int.from_bytes(start, "little"), int.from_bytes(start, "big")
    kind = nibabel.Nifti2Image if 540 in sizes else nibabel.Nifti1Image
    return kind.from_file_map({"image": nibabel.FileHolder(fileobj=file)}, mmap=False)
