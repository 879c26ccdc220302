"""NumPy's .npy and .npz; nothing is ever unpickled."""

import io
import math
import re
import zipfile
from pathlib import Path
from threading import Lock
from typing import cast

import numpy as np

from segjax.io._problem import problem
from segjax.io.stored import mapped, without_channel_axis
from segjax.io.volume import Volume, blank, check_count, check_size, drop_channel_axis


PREFERRED = ("mask", "labels", "arr_0")

# Deflate cannot shrink data further than this, so a member that claims more lies.
_DEFLATE_RATIO = 1032
_LONGEST_HEADER = 10_000
# NumPy has Python parse headers, which fails now and then before 3.11.8 and 3.12.2 if two threads
# do so at once: https://github.com/python/cpython/issues/106905
_PARSING = Lock()
_NO_LITERAL = re.compile(rb"\\|[0-9](and|else|for|if|in|is|not|or)")


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read the array of an .npy, or the only or best-named one of an .npz."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            array = read_array(path, file, path.stat().st_size, max_voxels, pixels)
    else:
        with zipfile.ZipFile(path) as archive:
            member = _member(path, archive)
            with archive.open(member) as file:
                stream = cast(io.BufferedIOBase, file)
                array = read_array(path, stream, member.file_size, max_voxels, pixels)
    return Volume(drop_channel_axis(array) if labels else array)


def open_stored(path: Path, *, max_voxels: int) -> Volume | None:
    """The array of an .npy, left where it is; an .npz has no part that could be read alone."""
    if path.suffix.lower() != ".npy":
        return None
    with path.open("rb") as file:
        shape, fortran, dtype = _header(path, file)
        offset = file.tell()
    check_count(path, shape, max_voxels)
    size, stored = math.prod(shape) * dtype.itemsize, path.stat().st_size - offset
    if size > stored:
        raise problem(path, f"is cut: {size} bytes promised, {stored} stored", "write it again")
    return Volume(without_channel_axis(mapped(path, dtype, shape, offset, fortran=fortran)))


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
    named = [name for name in PREFERRED if name in members]
    if len(members) != 1 and not named:
        raise problem(
            path,
            f"holds {len(members)} arrays ({', '.join(list(members)[:5])})",
            "name the one to score 'labels'",
        )
    member = members[named[0]] if named else next(iter(members.values()))
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise problem(path, "is compressed in an unusual way", "use numpy.savez_compressed")
    if member.compress_size > path.stat().st_size or member.file_size > _DEFLATE_RATIO * (
        member.compress_size + 64
    ):
        raise problem(path, "promises more than it can hold", "write it again")
    return member


def read_array(
    path: Path, file: io.BufferedIOBase, stored: int, max_voxels: int, pixels: bool = True
) -> np.ndarray:
    """Read the array of an .npy, or of a member of an .npz, of `stored` bytes."""
    shape, fortran, dtype = _header(path, file)
    check_size(path, shape, max_voxels, dtype.itemsize)
    size = math.prod(shape) * dtype.itemsize
    if size > stored:
        raise problem(path, f"is cut: {size} bytes promised, {stored} stored", "write it again")
    if not pixels:
        return blank(shape, dtype)
    data = np.empty(size, np.uint8)
    view, filled = data.data, 0
    while filled < size:
        got = file.readinto(view[filled : filled + 2**24])
        if not got:
            raise problem(path, f"is cut after {filled} of {size} bytes", "write it again")
        filled += got
    array = data.view(dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _header(path: Path, file: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
    except ValueError as error:
        raise problem(path, "is no NumPy array (a pickle?)", _NO_PICKLE) from error
    reader = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if reader is None:
        raise problem(path, f"has the unknown .npy version {version}", _NO_PICKLE)
    prefix = file.read(2 if version == (1, 0) else 4)
    text = file.read(min(int.from_bytes(prefix, "little"), _LONGEST_HEADER))
    if _NO_LITERAL.search(text):  # Python would warn of what it is asked to understand
        raise problem(path, "has a header that is no header of NumPy", _NO_PICKLE)
    with _PARSING:
        shape, fortran, dtype = reader(io.BytesIO(prefix + text))
    if dtype.hasobject:
        raise problem(path, "holds pickled Python objects, which could run code", _NO_PICKLE)
    if dtype.itemsize == 0 or dtype.fields is not None:
        raise problem(path, f"holds {dtype} records", _NO_PICKLE)
    return shape, fortran, dtype


_NO_PICKLE = "save the label array itself with numpy.save"
