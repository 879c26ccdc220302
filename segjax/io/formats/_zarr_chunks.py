"""Chunks of Zarr say how large they become; that is compared before they are unpacked."""

from typing import Any


def bounded_store(path: Any) -> Any:
    """A folder of Zarr, to be read, whose chunks may not unpack to more than `limit` bytes.

    That is set on it if they are packed by Blosc or Zstandard, Zarr's usual codecs, which name the
    size in a header.
    """
    from zarr.storage import LocalStore, WrapperStore

    class BoundedStore(WrapperStore):
        limit: int | None = None

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            found = await super().get(key, prototype, byte_range)
            if found is not None and self.limit is not None and len(found) >= 16:
                size = unpacked(found.to_bytes()[:18])
                if size is not None and size > self.limit:
                    raise ValueError(
                        f"a chunk unpacks to {size} bytes where {self.limit} are promised"
                    )
            return found

    return BoundedStore(LocalStore(path, read_only=True))


def unpacked(start: bytes) -> int | None:
    """The size that the beginning of a chunk of Blosc or Zstandard gives; None of others."""
    if start[:4] == b"\x28\xb5\x2f\xfd":
        said = start[4]
        single, dictionary = said >> 5 & 1, (0, 1, 2, 4)[said & 3]
        width = (single, 2, 4, 8)[said >> 6]
        at = 6 - single + dictionary
        size = int.from_bytes(start[at : at + width], "little")
        return (size + 256 if width == 2 else size) if width else None
    if start[0] == 2 and start[1] in (1, 2):  # the versions of Blosc and of its coder
        return int.from_bytes(start[4:8], "little")
    return None
