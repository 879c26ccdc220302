"""PNG and BMP, by Pillow."""

import struct
import zlib
from pathlib import Path

import numpy as np

from segjax.io._problem import problem
from segjax.io.volume import Volume, blank, check_size


# Pillow stretches 2- and 4-bit grey to 0...255; dividing gives the stored numbers back.
_STRETCH = {"L;2": 85, "L;4": 17}


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read one picture; a PNG in colour has `channels`."""
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.PngImagePlugin import PngImageFile

    # The format's own class, not Image.open: that one refuses large legal masks by a
    # process-wide limit, and lets the bytes choose any of its thirty parsers.
    opener = BmpImageFile if path.suffix.lower() == ".bmp" else PngImageFile
    with path.open("rb") as file, opener(file) as picture:
        check_size(path, picture.size[::-1], max_voxels)
        frames = getattr(picture, "n_frames", 1)
        if labels and frames > 1:
            raise problem(path, f"is animated ({frames} frames)", "save a TIFF stack")
        if not pixels:
            bands = 1 if picture.mode == "PA" else len(picture.getbands())
            shape = picture.size[::-1] + ((bands,) if bands > 1 else ())
            wide = np.uint16 if picture.mode.startswith("I") else np.uint8
            return Volume(blank(shape, wide), channels=bands > 1)
        if opener is PngImageFile:
            _compare_checksums(path)
        picture.info.pop("transparency", None)  # of which Pillow would warn
        stretch = _STRETCH.get(_raw_mode(picture.tile), 1) if labels else 1
        indexed = picture.mode in ("P", "PA")
        array = np.asarray(picture.convert("RGB") if indexed and not labels else picture)
        if indexed and labels:
            array = array if array.ndim == 2 else array[..., 0]
    return Volume(array // stretch if stretch > 1 else array, channels=array.ndim > 2)


def _compare_checksums(path: Path) -> None:
    """Of the chunks that say what pixels are; Pillow passes over those of the pixels themselves."""
    with path.open("rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            left, kind = struct.unpack(">I4s", start)
            checksum = zlib.crc32(kind)
            while left and (data := file.read(min(left, 2**20))):
                checksum, left = zlib.crc32(data, checksum), left - len(data)
            if kind[:1].isupper() and file.read(4) != struct.pack(">I", checksum):
                raise problem(path, "is damaged: a checksum is wrong", "copy or export it again")
            if not kind[:1].isupper():
                file.seek(4, 1)
            if kind == b"IEND":
                return


def _raw_mode(tiles: list) -> str:
    """How samples are stored, out of Pillow's (codec, extent, offset, arguments)."""
    arguments = tiles[0][3] if tiles else ""
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""
