"""How an image is cut into tiles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from segjax._errors import InputError
from segjax.io import Box


_VOXELS = 2**24  # of a tile, unless one was asked for


@dataclass(frozen=True)
class Grid:
    """Tiles of one size, those at the far ends cut.

    Attributes:
        shape: of the image.
        tile: of a tile, in voxels along each axis.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The tiles, each by its number along each axis, in raster order."""
        counts = (-(-n // t) for n, t in zip(self.shape, self.tile, strict=True))
        return list(product(*map(range, counts)))

    def box(self, place: Sequence[int]) -> Box:
        """The voxels of a tile."""
        starts = [i * t for i, t in zip(place, self.tile, strict=True)]
        ends = [min(s + t, n) for s, t, n in zip(starts, self.tile, self.shape, strict=True)]
        return tuple(map(slice, starts, ends))

    def boxes(self) -> Iterator[Box]:
        return map(self.box, self.places)

    def grown(self, box: Box, before: int, behind: int) -> Box:
        """A box with more voxels on its sides, as far as the image goes."""
        return tuple(
            slice(max(0, part.start - before), min(n, part.stop + behind))
            for part, n in zip(box, self.shape, strict=True)
        )


def make_grid(
    shape: Sequence[int], tile: Sequence[int] | int | None, chunks: Sequence[int] | None
) -> Grid:
    """Cut an image into tiles of the size asked for, or else of whole chunks.

    Args:
        shape: of the image.
        tile: voxels along each axis, or along every axis; None for some 16 million in all.
        chunks: what is read together.

    Raises:
        InputError: if a size is not positive, or there is not one for each axis.

    Example:
        >>> make_grid((512, 700, 90), None, (64, 64, 64)).tile
        (512, 256, 90)
        >>> make_grid((10, 5), 4, None).box((2, 1))
        (slice(8, 10, None), slice(4, 5, None))
    """
    if tile is None:
        return Grid(tuple(shape), _tile(shape, chunks))
    sizes = (tile,) * len(shape) if isinstance(tile, int) else tuple(tile)
    if len(sizes) != len(shape) or min(sizes) < 1:
        raise InputError(
            f"tile must be one number from 1 up, or one for each of {len(shape)} axes, got {tile}"
        )
    return Grid(tuple(shape), tuple(min(t, max(n, 1)) for t, n in zip(sizes, shape, strict=True)))


def _tile(shape: Sequence[int], chunks: Sequence[int] | None) -> tuple[int, ...]:
    """Chunks are put together along the shortest side, until they are enough."""
    whole = [max(n, 1) for n in shape]
    tile = [min(c, n) for c, n in zip(chunks or (64,) * len(whole), whole, strict=True)]
    while True:
        room = [i for i, n in enumerate(whole) if tile[i] < n]
        if not room:
            return tuple(tile)
        shortest = min(room, key=lambda i: tile[i])
        longer = [min(2 * t, whole[i]) if i == shortest else t for i, t in enumerate(tile)]
        if prod(longer) > _VOXELS:
            return tuple(tile)
        tile = longer
