"""What the headers of MetaImage and NRRD promise, looked at before ITK is given them.

ITK trusts a header: by one that is damaged or made up it may be led to print, to read any file of
the machine, or to end the process.
"""

import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from segjax.io._problem import problem, reason
from segjax.io.volume import check_size


_LONGEST, _LONGEST_FIELD, _LONGEST_NAME = 2**20, 600, 80  # bytes
_MOST_AXES, _MOST_CHANNELS = 5, 4096

_META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4}
_META_BYTES |= {"ULONG": 4, "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_META_VECTORS = ("Offset", "Position", "Origin", "CenterOfRotation", "ElementSpacing")
_META_VECTORS += ("ElementSize", "ElementOrigin")
_META_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_NRRD_BYTES = {"char": 1, "int8": 1, "short": 2, "int16": 2, "int": 4, "int32": 4, "longlong": 8}
_NRRD_BYTES |= {"int64": 8, "float": 4, "double": 8}
_NRRD_NUMBERS = ("spacings", "thicknesses", "axismins", "axismaxs")
_NRRD_WORDS = ("centers", "centerings", "labels", "units", "kinds")

Fields = dict[str, str]


class _Promise(NamedTuple):
    """What a header says of voxels.

    Attributes:
        shape: of them, channels included.
        itemsize: bytes of each.
        plain: whether they are stored as they are, all of them together.
        deflated: in how many bytes they are stored by zlib, -1 for all that there are; 0 if
            otherwise.
        file: the file they are in; None if they follow the header.
    """

    shape: tuple[int, ...]
    itemsize: int
    plain: bool
    deflated: int
    file: str | None


def check(path: Path, max_voxels: int, pixels: bool) -> None:
    """Refuse a header that no writer writes, and voxels that are too many, missing or damaged.

    Voxels may lie in another file, but not in one outside the header's folder.
    """
    with path.open("rb") as file:
        start = file.read(_LONGEST)
    nrrd = path.suffix.lower() == ".nrrd"
    try:
        fields, length = (_nrrd_fields if nrrd else _meta_fields)(start)
        promise = (_nrrd if nrrd else _meta)(fields)
    except ValueError as error:
        raise problem(path, f"is damaged ({reason(error)})", _AGAIN) from error
    check_size(path, promise.shape, max_voxels, promise.itemsize)
    where, start_at = path, length
    if promise.file is not None:
        where, start_at = path.parent / promise.file, 0
        if Path(promise.file).is_absolute() or ".." in Path(promise.file).parts:
            raise problem(
                path, f"points to voxels in {promise.file}", "keep them beside the header"
            )
        if not where.is_file():
            raise problem(path, f"lacks its voxels ({promise.file})", "copy both files")
    size, stored = promise.itemsize * math.prod(promise.shape), where.stat().st_size - start_at
    if promise.plain and size > stored:
        raise problem(path, f"is cut: {size} bytes promised, {stored} stored", _AGAIN)
    # Where they cannot be inflated, ITK returns whatever memory held; it compares no checksum.
    if pixels and promise.deflated and not _inflates(where, start_at, promise.deflated, size):
        raise problem(path, "is damaged: its voxels cannot be inflated", _AGAIN)


_AGAIN = "copy or export it again"


def _lines(start: bytes) -> Iterator[tuple[str, int]]:
    """Lines of a header, and where each ends."""
    end = 0
    for line in start.splitlines(keepends=True):
        end += len(line)
        yield line.decode(errors="surrogateescape").strip(), end
    if len(start) == _LONGEST:
        raise ValueError("its header does not end")


def _meta_fields(start: bytes) -> tuple[Fields, int]:
    fields: Fields = {}
    for line, end in _lines(start):
        name, equals, value = (part.strip() for part in line.partition("="))
        if line and name != "Comment":
            _add(fields, line, name if equals else "", value)
        if name == "ElementDataFile":
            return fields, end
    raise ValueError("its header has no ElementDataFile")


def _nrrd_fields(start: bytes) -> tuple[Fields, int]:
    if not start.startswith(b"NRRD000"):
        raise ValueError("it does not begin with NRRD")
    fields: Fields = {}
    end = 0
    for line, end in _lines(start):
        if not line:
            break
        if line[0] != "#" and ":=" not in line and end > 9:
            name, colon, value = (part.strip() for part in line.partition(":"))
            _add(fields, line, name.lower().replace(" ", "") if colon else "", value)
    return fields, end


def _add(fields: Fields, line: str, name: str, value: str) -> None:
    if len(line) > _LONGEST_FIELD or not line.replace("\t", " ").isprintable():
        raise ValueError(f"its header has the line {line[:60]!r}")
    if not name or len(name) > _LONGEST_NAME or name in fields:
        raise ValueError(f"its header has the line {line[:60]!r}{' twice' if name else ''}")
    fields[name] = value


def _meta(fields: Fields) -> _Promise:
    (axes,) = _whole(fields, "NDims", 1)
    if axes > _MOST_AXES:
        raise ValueError(f"it has {axes} axes")
    for name in fields.keys() & set(_META_VECTORS):
        _numbers(fields, name, axes)
    for name in fields.keys() & set(_META_MATRICES):
        _numbers(fields, name, axes * axes)
    channels = _whole(fields, "ElementNumberOfChannels", 1, "1")
    if not 1 <= channels[0] <= _MOST_CHANNELS:
        raise ValueError(f"it has {channels[0]} channels")
    itemsize = _itemsize(fields, "ElementType", _META_BYTES, fields.get("ElementType", "")[4:])
    if not _yes(fields, "BinaryData", "True"):
        raise ValueError("its voxels are written as text")
    packed, known = _yes(fields, "CompressedData", "False"), fields.get("HeaderSize", "0") == "0"
    deflated = _whole(fields, "CompressedDataSize", 1)[0] if packed else 0
    shape = (*_whole(fields, "DimSize", axes), *channels)
    file = _file(fields["ElementDataFile"])
    where = None if file == "LOCAL" else file
    return _Promise(shape, itemsize, known and not packed, known * deflated, where)


def _nrrd(fields: Fields) -> _Promise:
    (axes,) = _whole(fields, "dimension", 1)
    if axes > _MOST_AXES:
        raise ValueError(f"it has {axes} axes")
    for name in fields.keys() & set(_NRRD_NUMBERS):
        _numbers(fields, name, axes, finite=False)
    for name in fields.keys() & set(_NRRD_WORDS):
        if len(re.findall(r'"[^"]*"|[^\s"]+', fields[name])) != axes:
            raise ValueError(f"{name} are not as many as its axes")
    for name, most in (("spacedirections", axes), ("spaceorigin", 1), ("measurementframe", axes)):
        _check_vectors(name, fields.get(name, ""), most)
    kind = re.sub("^(un)?signed|^u|_t$", "", fields.get("type", "").lower().replace(" ", ""))
    kind = kind if kind in ("int", "longlong") else kind.removesuffix("int") or "int"
    itemsize = _itemsize(fields, "type", _NRRD_BYTES, kind)
    file = _file(fields["datafile"]) if "datafile" in fields else None
    known = not fields.keys() & {"lineskip", "byteskip"}
    encoding = fields.get("encoding", "").lower()
    deflated = -1 if encoding in ("gzip", "gz") and known else 0
    if fields.get("endian", "little").lower() not in ("little", "big"):
        raise ValueError(f"endian is {fields['endian'][:40]!r}")
    shape = _whole(fields, "sizes", axes)
    return _Promise(shape, itemsize, encoding == "raw" and known, deflated, file)


def _inflates(path: Path, start: int, stored: int, size: int) -> bool:
    """Whether what is stored gives as much as is promised, and its checksum is right."""
    inflate, left = zlib.decompressobj(zlib.MAX_WBITS | 32), size  # zlib's header, or gzip's
    stored = path.stat().st_size - start if stored < 0 else stored
    with path.open("rb") as file:
        file.seek(start)
        while left >= 0 and not inflate.eof:
            packed = inflate.unconsumed_tail
            if not packed:
                packed = file.read(min(stored, 2**20))
                stored -= len(packed)
            try:
                inflated = inflate.decompress(packed, 2**24)
            except zlib.error:
                return False
            if not (packed or inflated):
                return False
            left -= len(inflated)
    return left == 0


def _file(name: str) -> str:
    """The name of one file, as a header gives it."""
    if name.split()[:1] == ["LIST"] or "%" in name:
        raise ValueError("its voxels are in several files")
    if not name or not name.isprintable() or len(name) > 255:
        raise ValueError(f"its voxels are in {name[:60]!r}")
    return name


def _yes(fields: Fields, name: str, default: str) -> bool:
    word = fields.get(name, default).lower()
    if word not in ("true", "false", "t", "f", "1", "0"):
        raise ValueError(f"{name} is {word[:40]!r}")
    return word[0] in "t1"


def _itemsize(fields: Fields, name: str, sizes: dict[str, int], kind: str) -> int:
    if kind not in sizes:
        raise ValueError(f"its {name} is {fields.get(name, '')[:40]!r}")
    return sizes[kind]


def _whole(fields: Fields, name: str, count: int, default: str = "") -> tuple[int, ...]:
    words = fields.get(name, default).split()
    if len(words) != count or not all(re.fullmatch("[0-9]{1,18}", word) for word in words):
        raise ValueError(f"{name} are no {count} whole numbers ({fields.get(name, '')[:40]!r})")
    return tuple(map(int, words))


def _numbers(fields: Fields, name: str, count: int, *, finite: bool = True) -> None:
    words = fields[name].split()
    try:
        sound = all(math.isfinite(float(word)) or not finite for word in words)
    except ValueError:
        sound = False
    if len(words) != count or not sound:
        raise ValueError(f"{name} are no {count} numbers ({fields[name][:40]!r})")


def _check_vectors(name: str, text: str, most: int) -> None:
    """Vectors such as (1,0,0), or none: at most so many, all of one length."""
    vectors = re.findall(r"none|\([^()]*\)", text, re.I)
    if re.sub(r"none|\([^()]*\)|\s", "", text, flags=re.I) or len(vectors) > most:
        raise ValueError(f"{name} are no vectors ({text[:40]!r})")
    rows = [v[1:-1].split(",") for v in vectors if v[0] == "("]
    if len({len(row) for row in rows}) > 1 or any(len(row) > _MOST_AXES for row in rows):
        raise ValueError(f"{name} are of different lengths ({text[:40]!r})")
    for row in rows:
        _numbers({name: " ".join(row)}, name, len(row))
