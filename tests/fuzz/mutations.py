"""Ways to damage a file so that it gets past the first line of a parser.

Each takes a generator of random numbers and the content, and returns other content. Bytes are
turned at random in any file; what is understood of a format, headers above all, is changed to
what no writer would write, and checksums are made to fit.
"""

import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from segjax.quality.archive import summed


Mutation = Callable[[np.random.Generator, bytes], bytes]

NUMBERS = [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 10**6]
NUMBERS += [2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
WORDS = ["", " ", "nan", "inf", "-inf", "-1", "0", "1e999", "1e-320", "-0.0", "1_000", "0x10"]
WORDS += ["9" * 25, "9" * 5000, "\0", '"', "'", ",", "\n", "\r", "\t", ";", "\ufeff", "\u0663"]
WORDS += ["\u202e", "null", "true", "None", "../../etc/passwd", "/", "%s", "{}", "[]", "a" * 9000]
WORDS += ["!!python/object/apply:os.system [x]", "&a [*a, *a]", "2020-13-99", "<script>", "C:\\"]
VALUES = [None, True, False, 0, -1, 1, 0.5, -2.5, 1e308, 10**30, float("nan"), float("inf")]
VALUES += ["", "a", "nan", "9" * 30, "x" * 5000, "\ud800", "\0", [], [1], [[1]], {}, {"a": 1}]
VALUES += [[None], [0] * 50, {"": ""}, -(2**63), 2**63, 2**31, -1e-320]


def pick(rng: np.random.Generator, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def spot(rng: np.random.Generator, content: bytes) -> int:
    """A place in the content: most often near its beginning, where headers are."""
    return int(len(content) * rng.random() ** pick(rng, (1, 3, 6)))


# Of any bytes


def cut(rng, content):
    return content[: spot(rng, content)]


def flip(rng, content):
    turned = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if content else 0):
        turned[spot(rng, content)] ^= 1 << int(rng.integers(8))
    return bytes(turned)


def overwrite(rng, content):
    code = pick(rng, "BHIQ") if rng.random() < 0.8 else pick(rng, "efd")
    number = pick(rng, NUMBERS) if code in "BHIQ" else pick(rng, [0.0, -1.0, np.nan, np.inf, 6e4])
    if code in "BHIQ":
        number %= 256 ** struct.calcsize(code)
    patch = struct.pack(pick(rng, "<>") + code, number)
    at = spot(rng, content)
    return content[:at] + patch + content[at + len(patch) :]


def drop(rng, content):
    start = spot(rng, content)
    return content[:start] + content[start + int(rng.integers(1, 64)) :]


def double(rng, content):
    start = spot(rng, content)
    stop = start + int(rng.integers(1, 256))
    return content[:stop] + content[start:stop] * int(rng.integers(1, 5)) + content[stop:]


def insert(rng, content):
    at = spot(rng, content)
    return content[:at] + rng.bytes(int(rng.integers(1, 32))) + content[at:]


def append(rng, content):
    return content + rng.bytes(int(rng.integers(1, 64)))


BYTES: tuple[Mutation, ...] = (cut, flip, flip, overwrite, overwrite, drop, double, insert, append)


# Of text


def token(rng, content):
    """Put another word, or another number, in the place of one."""
    found = [*re.finditer(rb"[\w.+-]+|[^\w\s]", content)]
    if not found:
        return content
    at = pick(rng, found[:200])
    word = pick(rng, WORDS) if rng.random() < 0.7 else str(pick(rng, NUMBERS))
    return content[: at.start()] + word.encode() + content[at.end() :]


def lines(rng, content):
    """Repeat, move or drop lines."""
    parts = content.split(b"\n")
    at = int(rng.integers(len(parts)))
    moved = parts.pop(at)
    again = pick(rng, (0, 2, 2, 3, 300))
    to = int(rng.integers(len(parts) + 1))
    return b"\n".join(parts[:to] + [moved] * again + parts[to:])


def encoded(rng, content):
    code = pick(rng, ("utf-16", "utf-32-be", "latin-1", "utf-8-sig", "cp037"))
    return (content.decode("utf-8", "replace") + "\u00e9").encode(code, "replace")


def stretched(rng, content):
    """Repeat a small part very often: many columns, deep brackets, long cells."""
    at = spot(rng, content)
    part = pick(
        rng, (content[at : at + 1], content[at : at + 9], b"[", b'{"a":', b",", b"\n- ", b"(")
    )
    return content[:at] + part * pick(rng, (30, 1100, 100_000)) + content[at:]


TEXT: tuple[Mutation, ...] = (token, token, token, lines, encoded, stretched)


# Of JSON


def json_places(found: Any, places: list) -> list:
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in list(items):
        places.append((found, key))
        if isinstance(value, dict | list) and len(places) < 20_000:
            json_places(value, places)
    return places


def changed(rng: np.random.Generator, found: Any) -> Any:
    """Plain values of which one to three are others, are gone, or are called otherwise."""
    for _ in range(int(rng.integers(1, 4))):
        places = json_places(found, []) if isinstance(found, dict | list) else []
        if not places or rng.random() < 0.01:
            return pick(rng, VALUES)
        holder, key = pick(rng, places)
        act = rng.random()
        if act < 0.6:
            holder[key] = pick(rng, VALUES)
        elif act < 0.75:
            del holder[key]
        elif act < 0.85:
            holder[key] = pick(rng, places)[0]  # may hold itself
        elif isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            holder[pick(rng, [*WORDS, "shape", "name", "case"])] = holder.pop(key)
    return found


def as_json(found: Any) -> bytes:
    try:
        return json.dumps(found).encode()
    except (ValueError, RecursionError):  # it holds itself
        return b"[" * 10_000


def values(rng, content):
    try:
        found = json.loads(content)
    except ValueError:
        return flip(rng, content)
    return as_json(changed(rng, found))


def json_lines(rng, content):
    parts = content.rstrip(b"\n").split(b"\n")
    at = int(rng.integers(len(parts)))
    parts[at] = values(rng, parts[at])
    return b"\n".join(parts) + b"\n"


def yaml_values(rng, content):
    import yaml

    try:
        return yaml.dump(changed(rng, yaml.safe_load(content))).encode("utf-8", "replace")
    except (yaml.YAMLError, RecursionError):
        return token(rng, content)


# Of image formats


CODECS = (5000, 32773, 34712, 50001)  # of TIFF, that are seldom used


def tiff_tag(rng, content):
    """Change the number, type, count or value of a tag of the first page."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", content, start)
    turned, size = bytearray(content), 20 if big else 12
    for _ in range(int(rng.integers(1, 3))):
        at = start + (8 if big else 2) + size * int(rng.integers(count))
        field = pick(rng, ((0, "H"), (2, "H"), (4, "Q" if big else "I")))
        if rng.random() < 0.6:
            field = (12, "Q") if big else (8, pick(rng, "IHB"))
        number = pick(rng, [*NUMBERS, *range(12), *CODECS, len(content), start])
        struct.pack_into(
            order + field[1], turned, at + field[0], number % 256 ** struct.calcsize(field[1])
        )
    return bytes(turned)


def png_chunk(rng, content):
    """Change, repeat, drop or swap chunks; checksums fit."""
    chunks, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    place = int(rng.integers(len(chunks)))
    kind, data = chunks[place]
    act = rng.random()
    if act < 0.7 and data:
        if kind == b"IDAT" and rng.random() < 0.5:
            data = zlib.compress(pick(rng, BYTES)(rng, zlib.decompress(data)))
        else:
            data = pick(rng, BYTES)(rng, data)
        chunks[place] = kind, data
    elif act < 0.8:
        chunks.insert(int(rng.integers(len(chunks) + 1)), chunks[place])
    elif act < 0.9:
        del chunks[place]
    else:
        kinds = (
            b"PLTE",
            b"tRNS",
            b"IDAT",
            b"acTL",
            b"fcTL",
            b"iCCP",
            b"zTXt",
            b"IEND",
            b"\0\0\0\0",
        )
        chunks[place] = pick(rng, kinds), data
    whole = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return content[:8] + b"".join(whole)


def npy_header(rng, content):
    """Write another header before the same values."""
    start = 10 if content[6:7] == b"\x01" else 12
    (length,) = struct.unpack_from("<H", content, 8)
    words = content[start : start + length].rstrip()
    words = pick(rng, (token, token, flip, cut, stretched))(rng, words)[:60_000] + b"\n"
    return content[:8] + struct.pack("<H", len(words)) + words + content[start + length :]


def zipped(within: Mutation) -> Mutation:
    """Change a member of an archive, or its name, or have it twice."""

    def mutate(rng, content):
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
            members = {m.filename: old.read(m) for m in old.infolist()}
            name = pick(rng, [*members])
            held = members[name] = within(rng, members[name])
            act = rng.random()
            if act < 0.1:
                members[pick(rng, ["a/b.npy", "../a.npy", "", "labels.npy", "x"])] = members.pop(
                    name
                )
            elif act < 0.2:
                members["mask.npy"] = held + bytes(pick(rng, (0, 10**6)))
            kind = pick(rng, (zipfile.ZIP_DEFLATED,) * 6 + (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            for name, data in members.items():
                new.writestr(name, data, kind)
        return out.getvalue()

    return mutate


def nifti_field(rng, content):
    """Put other numbers into the fields of the header that say shape, type, place and scale."""
    fields = ((0, "i"), (40, "8h"), (70, "2h"), (76, "8f"), (108, "3f"), (123, "B"), (252, "2h"))
    fields += ((256, "6f"), (280, "12f"), (344, "4s"))
    at, code = pick(rng, fields)
    kind = code[-1]
    size = struct.calcsize(kind)
    at += size * int(rng.integers(int(code[:-1] or 1)))
    number = pick(rng, [0.0, -1.0, 1e-38, 1e38, np.nan, np.inf, 3e9]) if kind == "f" else 0
    patch = struct.pack("<f", number) if kind == "f" else None
    patch = patch or struct.pack("<Q", pick(rng, [*NUMBERS, *range(20), 64, 512, 768]))[:size]
    return content[:at] + patch + content[at + len(patch) :]


def gzipped(within: Mutation) -> Mutation:
    def mutate(rng, content):
        return gzip.compress(within(rng, gzip.decompress(content)), 1)

    return mutate


def head(within: Mutation, length: int = 400) -> Mutation:
    """Change the beginning alone, where a header of text stands."""

    def mutate(rng, content):
        return within(rng, content[:length]) + content[length:]

    return mutate


def signed(rng, content):
    """Change what is said beside weights, or a shape or name of them; the checksum fits."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    facts = json.loads(arrays["card"].tobytes())
    act = rng.random()
    if act < 0.7:
        text = as_json(changed(rng, facts))
        arrays["card"] = np.frombuffer(text, np.uint8)
    else:
        name = pick(rng, [name for name in arrays if name not in ("card", "sha256")])
        array = arrays.pop(name)
        array = pick(rng, (array.ravel(), array[None], array[:0], array[:1], array * np.nan, None))
        if array is not None:
            arrays[pick(rng, (name, name, name + "x", "usual/mean", "calibration/SEG"))] = array
    del arrays["sha256"]
    out = io.BytesIO()
    np.savez(out, **summed(arrays))
    return out.getvalue()


_JSON = (values,) * 12 + TEXT + BYTES[:4]
_TIFF = (tiff_tag,) * 20 + BYTES
_ITK = (head(token), head(token), head(lines), head(stretched), head(flip), *BYTES)

# By the ending of a file's name, how it is damaged.
BY_SUFFIX: Mapping[str, tuple[Mutation, ...]] = {
    ".tif": _TIFF,
    ".png": (png_chunk,) * 12 + BYTES,
    ".bmp": (head(overwrite, 60), head(flip, 60)) * 4 + BYTES,
    ".npy": (npy_header,) * 12 + BYTES,
    ".npz": (zipped(npy_header), zipped(flip), zipped(cut)) * 4 + BYTES,
    ".nii": (nifti_field,) * 12 + BYTES,
    ".gz": (gzipped(nifti_field),) * 12 + tuple(map(gzipped, BYTES)) + BYTES,
    ".mha": _ITK,
    ".mhd": _ITK,
    ".nrrd": _ITK,
    ".json": _JSON,
    ".zarray": _JSON,
    ".zgroup": _JSON,
    ".zattrs": _JSON,
    ".jsonl": (json_lines,) * 12 + TEXT + BYTES,
    ".yaml": (yaml_values,) * 6 + TEXT + BYTES[:4],
    **dict.fromkeys((".toml", ".csv", ".tsv", ".txt", ".label"), TEXT * 3 + BYTES),
}
WEIGHTS = (signed,) * 12 + BY_SUFFIX[".npz"]
