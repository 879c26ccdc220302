"""Chunks of Zarr may not unpack to more than they should hold; that is told before they are."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segjax.io._problem import problem


# Codecs that change no size, or by a small factor at most.
_PLAIN = frozenset(
    "adler32 astype bitround bytes crc32 crc32c delta endian fixedscaleoffset fletcher32 "
    "jenkins_lookup3 packbits quantize shuffle transpose".split()
)
_PACKED = ("blosc", "zstd", "gzip", "zlib", "lz4")
_SHARDS = "sharding_indexed"
_MEND = "write it again with Blosc, Zstandard or gzip"
_SLACK = 4096  # bytes that an encoder may add
_PIECE = 2**20  # bytes unpacked at a time
_ABSENT = 2**64 - 1  # the place of a chunk that a shard lacks
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK = 2**14  # bytes of a packed block that is not the last: an eighth of the most


@dataclass(frozen=True)
class Bounds:
    """What is known of the chunks of an array.

    Attributes:
        codec: that packs them; none if they are as large as what they hold.
        size: bytes that one may unpack to.
        inner: how many a shard holds; 0 if there are no shards.
        index_first: whether the index of a shard lies at its head.
        index_bytes: of it.
    """

    codec: str
    size: int
    inner: int = 0
    index_first: bool = False
    index_bytes: int = 0

    def check(self, content: bytes, place: Any) -> None:
        """Raise a `ValueError` if a chunk unpacks to too much.

        Args:
            content: what was read of a file.
            place: which bytes of it that is; None if it is the whole.
        """
        if not self.codec or (self.inner and self._is_index(place)):
            return
        for chunk in self._chunks(content) if self.inner and place is None else [content]:
            size = _unpacked(self.codec, chunk, self.size)
            if size > self.size:
                raise ValueError(f"a chunk unpacks to {size} bytes where {self.size} are promised")

    def _is_index(self, place: Any) -> bool:
        if self.index_first:
            return getattr(place, "start", None) == 0 and place.end == self.index_bytes
        return hasattr(place, "suffix")

    def _chunks(self, shard: bytes) -> Iterator[bytes]:
        index = shard[: self.index_bytes] if self.index_first else shard[-self.index_bytes :]
        for i in range(self.inner):
            at, length = (int.from_bytes(index[k : k + 8], "little") for k in (16 * i, 16 * i + 8))
            if at != _ABSENT:
                yield shard[at : at + length]


def bounds_of(path: Path, metadata: Mapping[str, Any], chunk_bytes: int, inner: int) -> Bounds:
    """The bounds of an array.

    Args:
        path: of the file, for errors.
        metadata: of the array.
        chunk_bytes: what a chunk holds.
        inner: how many chunks a shard holds; 0 if there are no shards.

    Raises:
        InputError: if chunks are packed in a way of which nobody knows the size before.
    """
    codecs = _named(metadata.get("codecs") or [])
    if not codecs:
        codecs = _named([*(metadata.get("filters") or []), metadata.get("compressor") or {}])
    shard, index = dict(codecs).get(_SHARDS, {}), []
    if shard:
        index = [name for name, _ in _named(shard.get("index_codecs") or [])]
        if len(codecs) > 1 or index not in (["bytes"], ["bytes", "crc32c"]):
            raise problem(path, "has shards that are packed once more", _MEND)
        codecs = _named(shard.get("codecs") or [])
    names = [name for name, _ in codecs]
    packed = [name for name in names if name in _PACKED]
    # A checksum at the head of a chunk would hide what it says of its size.
    after = codecs[names.index(packed[0]) + 1 :] if packed else []
    odd = [name for name in names if name not in _PLAIN and name not in _PACKED]
    if odd or any(codec != ("crc32c", {}) for codec in after):
        raise problem(path, f"is packed by {', '.join(odd or names)}", _MEND)
    index_bytes = 16 * inner + 4 * ("crc32c" in index)
    first = shard.get("index_location") == "start"
    return Bounds("".join(packed), 2 * chunk_bytes + _SLACK, inner, first, index_bytes)


def _named(codecs: Sequence[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Names of codecs, in the words of Zarr 2, and their options."""
    found = [c for c in codecs if isinstance(c, Mapping) and c]
    names = [str(c.get("id", c.get("name"))).lower().removeprefix("numcodecs.") for c in found]
    options = (
        {k: v for k, v in c.items() if k != "id"}
        if "id" in c
        else dict(c.get("configuration") or {})
        for c in found
    )
    return list(zip(names, options, strict=True))


def _unpacked(codec: str, chunk: bytes, most: int) -> int:
    """The size that a chunk unpacks to, or at least more than `most`; 0 if it is damaged."""
    if codec == "blosc":
        return int.from_bytes(chunk[4:8], "little")
    if codec == "lz4":
        return int.from_bytes(chunk[:4], "little")
    if codec == "zstd":
        return _of_zstd(chunk)
    return _inflated(chunk, most)


def _of_zstd(chunk: bytes) -> int:
    """The size in the header of a frame; without one, some eighth of what its blocks can give."""
    if chunk[:4] != _ZSTD or len(chunk) < 6:
        return 0
    said = chunk[4]
    single, dictionary = said >> 5 & 1, (0, 1, 2, 4)[said & 3]
    width = (single, 2, 4, 8)[said >> 6]
    at = 6 - single + dictionary
    if width:
        size = int.from_bytes(chunk[at : at + width], "little")
        return size + 256 if width == 2 else size
    size, last = 0, False
    while not last and at + 3 <= len(chunk):
        head = int.from_bytes(chunk[at : at + 3], "little")
        last, kind, length = bool(head & 1), head >> 1 & 3, head >> 3
        size += length if kind < 2 else 0 if last else _ZSTD_BLOCK
        at += 3 + (1 if kind == 1 else length)
    return size


def _inflated(chunk: bytes, most: int) -> int:
    """Unpack gzip or zlib piece by piece, and count."""
    size = 0
    while chunk:
        stream = zlib.decompressobj(47)
        while chunk and not stream.eof:
            try:
                size += len(stream.decompress(chunk, _PIECE))
            except zlib.error:
                return size  # whoever unpacks it will say so
            chunk = stream.unconsumed_tail
            if size > most:
                return size
        chunk = stream.unused_data
    return size


def bounded_store(path: Path) -> Any:
    """A folder of Zarr, to be read, whose chunks are held against `bounds` once they are set."""
    from zarr.storage import LocalStore, WrapperStore

    class BoundedStore(WrapperStore):
        bounds: Bounds | None = None

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            found = await super().get(key, prototype, byte_range)
            if found is not None and self.bounds is not None:
                self.bounds.check(found.to_bytes(), byte_range)
            return found

    return BoundedStore(LocalStore(path, read_only=True))
