"""Arrays that stay in their file: only the boxes that are asked for are read."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np


Box = tuple[slice, ...]


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Nothing is held: each box is read anew, and no file is kept open.

    Attributes:
        shape: of the whole.
        dtype: of its values.
        chunks: the shape that is stored, and so read, together; None if any box may be.
        read: the values of a box, one slice with start and stop for each axis.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    read: Callable[[Box], np.ndarray]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def everything(self) -> Box:
        return tuple(slice(0, n) for n in self.shape)

    def __getitem__(self, box: Box) -> np.ndarray:
        return self.read(box)


def without_axes(array: StoredArray, kept: list[int]) -> StoredArray:
    """The same without the axes that are not kept, each of size 1."""
    if len(kept) == array.ndim:
        return array

    def read(box: Box) -> np.ndarray:
        whole = [slice(0, 1)] * array.ndim
        for axis, part in zip(kept, box, strict=True):
            whole[axis] = part
        read = array.read(tuple(whole))
        return read.reshape([read.shape[axis] for axis in kept])

    chunks = None if array.chunks is None else tuple(array.chunks[axis] for axis in kept)
    return StoredArray(tuple(array.shape[axis] for axis in kept), array.dtype, chunks, read)


def without_channel_axis(array: StoredArray) -> StoredArray:
    """As `segjax.io.volume.drop_channel_axis`, of what is in a file."""
    last = array.ndim - 1
    return without_axes(array, list(range(last if last > 1 and array.shape[-1] == 1 else last + 1)))


def mapped(
    path: object, dtype: np.dtype, shape: tuple[int, ...], offset: int, *, fortran: bool = False
) -> StoredArray:
    """An array that lies in a file as it would in memory, from a byte on."""

    def read(box: Box) -> np.ndarray:
        # Mapped anew for each box: pages of a map that stays open count as memory in use.
        order = "F" if fortran else "C"
        whole = np.memmap(str(path), dtype, "r", offset=offset, shape=shape, order=order)
        return np.array(whole[box], order="C")

    return StoredArray(shape, dtype, None, read)
