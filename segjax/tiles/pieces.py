"""Connected pieces of labels, across the borders of tiles.

Each tile is labelled with the voxels just before it along every axis, which its neighbours
label as well: pieces that hold the same voxel are one. Neighbouring voxels, be it at a corner,
always lie in one of these windows together, so that nothing else need be looked at. The pairs
of pieces that are one are kept, and joined when all tiles have been seen.
"""

import zlib
from collections.abc import Iterator

import numpy as np

from segjax.case import Case, make_case
from segjax.io import Box
from segjax.ops.components import find_components, join
from segjax.statistics.segments import (
    Runs,
    Segments,
    count_runs,
    gather_runs,
    merge_runs,
    segments_of,
)
from segjax.tiles.case import TiledCase


def count_pieces(case: TiledCase) -> Segments:
    """Contingency of the pieces of the labels; the same as of the whole image."""
    sides = [_Side(case), _Side(case)]
    runs = merge_runs(gather_runs(_runs_of_tiles(case, sides)))
    numbers = [side.numbers() for side in sides]
    r, p = (own[x] for own, x in zip(numbers, runs[:2], strict=True))
    return segments_of(merge_runs((r, p, runs[2])), None)


def _runs_of_tiles(case: TiledCase, sides: list["_Side"]) -> Iterator[Runs]:
    grid = case.grid
    for place in grid.places:
        box = grid.box(place)
        window = grid.grown(box, before=1, behind=0)
        part = case.read(window)
        r, p = (
            side.label(x, window, place)
            for side, x in zip(sides, (part.reference, part.prediction), strict=True)
        )
        own = tuple(slice(b.start - w.start, None) for b, w in zip(box, window, strict=True))
        yield merge_runs(count_runs(_counted(part, own, r, p)))


def _counted(part: Case, own: Box, r: np.ndarray, p: np.ndarray) -> Case:
    """The pieces in a tile, and which of its voxels count."""
    kept = None if part.ignore is None else part.reference[own] != part.ignore
    return make_case(reference=r[own], prediction=p[own], valid=kept)


class _Side:
    """The pieces of one label map, numbered tile by tile.

    Attributes:
        first: index in the whole image of the first voxel of each piece, in its window.
        pairs: of pieces that are one.
        faces: pieces on the last plane of windows along each axis, until the next one has
            been labelled; packed, as most planes hold long runs of few numbers.
    """

    def __init__(self, case: TiledCase):
        self.shape = case.grid.shape
        self.wanted = None if case.foreground else case.wanted
        self.first: list[np.ndarray] = [np.zeros(1, np.int64)]
        self.count = 0
        self.pairs: list[np.ndarray] = [np.zeros((2, 0), np.int64)]
        self.faces: dict[tuple[int, tuple[int, ...]], bytes] = {}

    def label(self, x: np.ndarray, window: Box, place: tuple[int, ...]) -> np.ndarray:
        """Number the pieces in a window, on from those before."""
        if self.wanted is not None:
            x = np.where(np.isin(x, self.wanted), x, 0)
        found = find_components(x)
        image = found.image().astype(np.int64)
        image += self.count * (image > 0)
        _, run = np.unique(found.component, return_index=True)
        index = np.unravel_index(found.start[run], x.shape)
        index = tuple(i + part.start for i, part in zip(index, window, strict=True))
        self.first.append(np.asarray(np.ravel_multi_index(index, self.shape)))
        self.count += found.count
        for axis in range(x.ndim):
            here = self.faces.pop((axis, place), None)
            if here is not None:
                before = np.frombuffer(zlib.decompress(here), np.int64)
                self._unite(before, image.take(0, axis).reshape(-1))
            if window[axis].stop < self.shape[axis]:
                following = (*place[:axis], place[axis] + 1, *place[axis + 1 :])
                plane = np.ascontiguousarray(image.take(-1, axis))
                self.faces[axis, following] = zlib.compress(plane.tobytes(), 1)
        return image

    def _unite(self, before: np.ndarray, here: np.ndarray) -> None:
        there = np.flatnonzero(here)
        both = np.stack([before[there], here[there]])
        change = np.ones(there.size, bool)  # of the long runs of one pair, the first will do
        change[1:] = (both[:, 1:] != both[:, :-1]).any(0)
        self.pairs.append(np.unique(both[:, change], axis=1))

    def numbers(self) -> np.ndarray:
        """Number in the whole image, in raster order of first voxels, by number so far."""
        first = np.concatenate(self.first)
        root, _ = join(first.size, *np.concatenate(self.pairs, axis=1))
        np.minimum.at(first, root, first.copy())
        roots = np.flatnonzero(root == np.arange(root.size))[1:]
        number = np.zeros(root.size, np.int64)
        number[roots[np.argsort(first[roots])]] = np.arange(1, roots.size + 1)
        return number[root]
