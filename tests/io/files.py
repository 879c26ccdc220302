"""Small images and the files that hold them, for the tests of `segjax.io`."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np

from segjax.io import journal_line


LABELS = (np.arange(3 * 5 * 7).reshape(3, 5, 7) % 11).astype(np.uint16)
PLANE = LABELS[0].astype(np.uint8)


def touch(folder: Path, *names: str) -> Path:
    """A folder with empty files of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def png(width: int, height: int, depth: int, colour: int, *extra: bytes) -> bytes:
    """A PNG by hand: Pillow writes no 2- or 4-bit grey, and no false size."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(extra))), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """The start of an .npy file that promises this shape."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def nifti(path: Path, array: np.ndarray, zooms=None, units="mm", affine=None) -> Path:
    import nibabel

    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    if zooms is not None:
        image.header.set_zooms(zooms)
    image.header.set_xyzt_units(units)
    nibabel.save(image, path)
    return path


def itk(path: Path, array: np.ndarray, spacing=None, origin=None) -> Path:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    if spacing is not None:
        image.SetSpacing(spacing)
    if origin is not None:
        image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


def ngff(path: Path, array: np.ndarray, version: str, axes: str, scale: list[float]) -> Path:
    """An OME-Zarr image of one resolution."""
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("0", data=array)
    kinds = {"t": "time", "c": "channel"}
    multiscale = {
        "axes": [
            {"name": a, "type": kinds[a]}
            if a in kinds
            else {"name": a, "type": "space", "unit": "micrometer"}
            for a in axes
        ],
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        ],
    }
    if version == "0.4":
        group.attrs["multiscales"] = [multiscale]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
    return path


def rewrite(path: Path, entries: list[dict]) -> None:
    """Write a journal of entries, whatever they hold."""
    path.write_bytes(b"".join(map(journal_line, entries)))


def dataset(folder: Path, **content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    path.write_text(json.dumps(content))
    return path
