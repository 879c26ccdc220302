"""MetaImage and NRRD, by SimpleITK: arrays are (z, y, x), so its tuples are reversed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segjax.io._problem import problem
from segjax.io.formats import _itk_header
from segjax.io.volume import Volume, blank, check_size, positive_spacing


if TYPE_CHECKING:
    import SimpleITK as sitk

# Where in its sources ITK raised an error is of no use to whom it concerns.
_PREAMBLE = re.compile(r".*ITK ERROR: (?:\w+\(0x[0-9a-f]+\): )?")


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read an .mha, .mhd or .nrrd; vector pixels have `channels`."""
    import SimpleITK as sitk

    _itk_header.check(path, max_voxels, pixels)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if path.suffix.lower() == ".nrrd" else "MetaImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        components = reader.GetNumberOfComponents()
        check_size(path, (*reader.GetSize(), components), max_voxels)
        array = sitk.GetArrayFromImage(reader.Execute()) if pixels else _blank(reader, components)
    except RuntimeError as error:
        words = _PREAMBLE.sub("", " ".join(str(error).split()))
        raise problem(path, f"is damaged ({words[:200]})", "copy or export it again") from error
    return Volume(
        array,
        positive_spacing(reader.GetSpacing()[::-1]),
        "mm",
        _affine(reader.GetDirection(), reader.GetSpacing(), reader.GetOrigin()),
        channels=components > 1,
    )


def _blank(reader: "sitk.ImageFileReader", components: int) -> np.ndarray:
    """An array of the shape and type that the header gives."""
    import SimpleITK as sitk

    shape = reader.GetSize()[::-1] + ((components,) if components > 1 else ())
    words = sitk.GetPixelIDValueAsString(reader.GetPixelID())  # "vector of 8-bit unsigned integer"
    bits = next((int(n) for n in re.findall(r"\d+", words)), 8)
    kind = "f" if "float" in words else "u" if "unsigned" in words else "i"
    return blank(shape, np.dtype(f"{kind}{bits // 8}"))


def _affine(
    direction: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...]
) -> np.ndarray:
    """From array index to right-anterior-superior; ITK's axes are left and posterior."""
    dimension = len(spacing)
    columns = np.reshape(direction, (dimension, dimension)) * np.array(spacing)
    affine = np.eye(dimension + 1)
    affine[:-1, :-1] = columns[:, ::-1]
    affine[:-1, -1] = origin
    affine[:2] *= -1
    return affine
