"""MetaImage and NRRD, by SimpleITK: arrays are (z, y, x), so its tuples are reversed."""

import re
from pathlib import Path

import numpy as np

from segjax.io._problem import problem
from segjax.io.volume import Volume, check_size, positive_spacing


_DETACHED = re.compile(rb"^(?:ElementDataFile\s*=|data ?file\s*:)[ \t]*([^\r\n]*)", re.I | re.M)

# Where in its sources ITK raised an error is of no use to whom it concerns.
_PREAMBLE = re.compile(r".*ITK ERROR: (?:\w+\(0x[0-9a-f]+\): )?")


def read(path: Path, *, labels: bool, max_voxels: int) -> Volume:
    """Read an .mha, .mhd or .nrrd; vector pixels have `channels`."""
    import SimpleITK as sitk

    _check_detached(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if path.suffix.lower() == ".nrrd" else "MetaImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        components = reader.GetNumberOfComponents()
        check_size(path, (*reader.GetSize(), components), max_voxels)
        image = reader.Execute()
    except RuntimeError as error:
        words = _PREAMBLE.sub("", " ".join(str(error).split()))
        raise problem(path, f"is damaged ({words[:200]})", "copy or export it again") from error
    return Volume(
        sitk.GetArrayFromImage(image),
        positive_spacing(image.GetSpacing()[::-1]),
        "mm",
        _affine(image.GetDirection(), image.GetSpacing(), image.GetOrigin()),
        channels=components > 1,
    )


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


def _check_detached(path: Path) -> None:
    """Voxels may lie in another file, but not in one outside the header's folder."""
    with path.open("rb") as file:
        header = file.read(2**16).split(b"\n\n")[0] if path.suffix.lower() != ".mha" else b""
    for match in _DETACHED.finditer(header):
        name = match[1].decode("utf-8", "replace").strip()
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise problem(path, f"points to voxels in {name}", "keep them beside the header")
