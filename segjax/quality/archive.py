"""Arrays in one file: an .npz without pickles, with a checksum over all of them.

What a header promises is held against bounds before anything is unpacked.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np

from segjax._errors import InputError
from segjax.io import write_atomic
from segjax.io.formats.npy import read_array


_SUM = "sha256"
_MOST_ARRAYS = 1000


def write_archive(path: Path, arrays: Mapping[str, np.ndarray], *, compress: bool) -> None:
    """Write arrays to a file, whole or not at all; the same arrays give the same bytes.

    Raises:
        InputError: if it cannot be written; the old file is then as it was.
    """
    how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, array in summed(arrays).items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # of a fixed date
            archive.writestr(info, member.getbuffer(), how)
    write_atomic(path, out.getvalue())


def read_archive(path: Path, *, kind: str, most_bytes: int, mend: str) -> dict[str, np.ndarray]:
    """The arrays of a file, having seen that they are few, small and whole.

    Args:
        path: of the file.
        kind: what it should be, in words.
        most_bytes: that a file of its kind unpacks to.
        mend: what to do about a damaged one.

    Raises:
        InputError: if it is damaged, or anything else.
    """
    with refusing(path, kind=kind, mend=mend):
        arrays = _unpacked(path, kind, most_bytes)
    if _SUM not in arrays:
        raise InputError(f"{path}: has no checksum, so it is no {kind}; give another")
    if arrays.pop(_SUM).tobytes() != digest(arrays):
        raise InputError(f"{path}: its checksum is wrong, the file is damaged; {mend}")
    return arrays


@contextmanager
def refusing(path: Path, *, kind: str, mend: str) -> Iterator[None]:
    """Say of whatever goes wrong inside that it is the file."""
    try:
        yield
    except InputError:
        raise
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path}: is damaged or no {kind}; {mend}") from error
    except Exception as error:  # what the reader of an archive raises on bad bytes is open-ended
        raise InputError(f"{path}: cannot be unpacked; {mend}") from error


def _unpacked(path: Path, kind: str, most_bytes: int) -> dict[str, np.ndarray]:
    if path.stat().st_size > most_bytes:
        raise InputError(f"{path}: is larger than any {kind}; give another")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        promised = sum(m.file_size for m in members)
        if len(members) > _MOST_ARRAYS or promised > most_bytes:
            raise InputError(
                f"{path}: would unpack to {promised} bytes in {len(members)} arrays, more than "
                f"any {kind}; give another"
            )
        arrays = {}
        for member in members:
            with archive.open(member) as file:
                stream = cast(io.BufferedIOBase, file)
                array = read_array(path, stream, member.file_size, most_bytes)
            arrays[member.filename.removesuffix(".npy")] = array
    return arrays


def summed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, and their checksum as one more."""
    return {**arrays, _SUM: np.frombuffer(digest(arrays), np.uint8)}


def digest(arrays: Mapping[str, np.ndarray]) -> bytes:
    """SHA-256 of names, types, shapes and values."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.digest()
