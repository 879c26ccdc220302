"""Surface distances of an image from those of its tiles; exact, however long they are.

A tile is read with a halo, in which nearly all of its elements find the nearest of the other
surface. A distance is known to be the least if it ends before the halo does. For the elements
left over, tiles that hold the other surface are searched, the nearest first, until none of the
rest could be nearer. Distances are kept as counts of each length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from segjax.case import Case, distinct
from segjax.io import Box
from segjax.ops import distance, packing, surfaces, surfels
from segjax.statistics import Surface, SurfaceDistances, SurfaceTally
from segjax.statistics.surface import check_axes, masks_in_boxes, stack_sides
from segjax.tiles.case import TiledCase


_HALO = 16  # voxels; a longer one is read more often, a shorter one leaves more over
_HELD = 16  # parts of far surfaces that are held


class Elements(NamedTuple):
    """Elements of a surface: where they are in the image, and what they weigh."""

    place: np.ndarray
    weight: np.ndarray


def measure_surfaces(case: TiledCase, labels: Sequence[int]) -> SurfaceDistances:
    """Surface distances of every label; see `segjax.statistics.measure_surfaces`.

    Returns:
        float64 distances with a leading label axis, each listed once with the weight of all
        elements that have it.

    Raises:
        InputError: if the image is not 2-D or 3-D.
    """
    check_axes(case.reference)
    search = _Search(case, frozenset(labels))
    tallies = {k: (_Tally(), _Tally()) for k in labels}
    for box in case.grid.boxes():
        window = case.grid.grown(box, _HALO, _HALO)
        for label, sides in search.elements(window).items():
            for i, tally in enumerate(tallies[label]):
                own = _within(sides[i], search.limits(box))
                own = Elements(*(x[own.weight > 0] for x in own))
                tally.add(search.nearest(own.place, label, 1 - i, sides[1 - i], window), own.weight)
    unit = distance.scale_of(case.spacing).unit
    kind = Surface if case.surface in surfels.BETWEEN else SurfaceTally

    def stacked(i: int) -> Surface:
        s = stack_sides([tallies[k][i].side(unit) for k in labels], (len(labels),))
        return kind(s.distance, s.weight)

    return SurfaceDistances(stacked(0), stacked(1))


class _Tally:
    """Weight of the elements at each squared distance."""

    def __init__(self) -> None:
        self.squared, self.weight = np.zeros(0), np.zeros(0)

    def add(self, squared: np.ndarray, weight: np.ndarray) -> None:
        every = np.concatenate([self.squared, squared])
        self.squared, place = np.unique(every, return_inverse=True)
        self.weight = np.bincount(
            place, np.concatenate([self.weight, weight]), minlength=self.squared.size
        )

    def side(self, unit: float) -> surfaces.Side:
        return surfaces.Side(unit * np.sqrt(self.squared), self.weight)


@dataclass(frozen=True)
class _Search:
    """Where the elements of a case are, and how far from each other."""

    case: TiledCase
    labels: frozenset[int]

    @property
    def between(self) -> bool:
        return self.case.surface in surfels.BETWEEN

    @cached_property
    def size(self) -> np.ndarray:
        """Of a voxel, in the unit in which distances are looked for: whole numbers if cubic."""
        scale = distance.scale_of(self.case.spacing)
        dims = len(self.case.spacing)
        return np.ones(dims) if scale.across is None else np.asarray(self.case.spacing)

    def limits(self, box: Box) -> Box:
        """Which elements are those of a box: those between voxels have one more at the end."""
        ends = zip(box, self.case.grid.shape, strict=True)
        return tuple(slice(b.start, b.stop + (self.between and b.stop == n)) for b, n in ends)

    def elements(self, window: Box) -> dict[int, tuple[Elements, Elements]]:
        """Elements of the reference and of the prediction in a box, by the labels there."""
        read = self.case.grid.grown(window, 1, 1)  # neighbours tell what is on a surface
        part = self._of_present(self.case.read(read))
        if part is None:
            return {}
        origin, limits = [r.start for r in read], self.limits(window)
        found = {}
        for label, (box, pair) in zip(part.labels, masks_in_boxes(part), strict=True):
            start = np.array([o + (b.start or 0) for o, b in zip(origin, box, strict=True)])
            of_mask = lambda x, start=start, kept=pair.kept: self._elements(x, kept, start)
            found[label] = tuple(_within(of_mask(x), limits) for x in pair[:2])
        return found

    def _of_present(self, part: Case) -> Case | None:
        """With the labels that are there; None if there is none."""
        present = self._present(part.reference) | self._present(part.prediction)
        return replace(part, wanted=tuple(sorted(present))) if present else None

    def _present(self, x: np.ndarray) -> set[int]:
        if x.dtype == np.bool_ or self.case.foreground:
            found = {1} if x.any() else set()
            return found | ({0} if 0 in self.labels and not x.all() else set())
        return {*self.labels} & {*distinct(x).tolist()}

    def _elements(self, mask: np.ndarray, kept: np.ndarray | None, start: np.ndarray) -> Elements:
        kind, dims = self.case.surface, mask.ndim

        def packed(x: np.ndarray) -> np.ndarray:
            x = np.pad(x, [(0, int(self.between))] * dims)
            return packing.pack_rows(x.reshape((1, *x.shape)[-3:]))

        words = packed(mask)
        around = surfels.neighbours(words, kind, dims)
        points = distance.points_on_host(surfels.elements(around, kind, dims))
        weight = np.asarray(surfels.weights(around, points, kind, self.case.spacing), float)
        if kept is not None:
            inside = surfels.neighbours(words & packed(kept), kind, dims)
            weight = weight * (surfels.codes_at(inside, points) > 0)
        places = distance.places_of(points, distance.Grid(*words.shape))[-dims:]
        return Elements(np.stack(places, -1).astype(np.int64) + start, weight)

    def nearest(
        self, place: np.ndarray, label: int, side: int, near: Elements, window: Box
    ) -> np.ndarray:
        """Squared distance of each place to the surface of one side.

        Args:
            place: of the elements to measure.
            label: whose surface.
            side: 0 for that of the reference, 1 for that of the prediction.
            near: its elements in a window around the places.
            window: what they are known in.
        """
        best = self._to(near.place, place, np.full(len(place), np.inf))
        beyond = np.full(len(place), np.inf)
        ends = zip(window, self.case.grid.shape, self.size, strict=True)
        for axis, (part, n, size) in enumerate(ends):
            if part.start > 0:
                beyond = np.minimum(beyond, size * (place[:, axis] - part.start + 1))
            if part.stop < n:
                beyond = np.minimum(beyond, size * (part.stop - place[:, axis]))
        left = np.flatnonzero(best > beyond**2)
        if left.size:
            best[left] = self._far(place[left], best[left], label, side)
        return best

    def _far(self, place: np.ndarray, best: np.ndarray, label: int, side: int) -> np.ndarray:
        """Look in all tiles that may hold something nearer, from the nearest on."""
        tiles = self._tiles[side].get(label)
        if tiles is None:
            return best
        low = tiles * self.case.grid.tile
        high = np.minimum(low + self.case.grid.tile, self.case.grid.shape) - 1 + self.between
        # Between the boxes around the places and around the elements that a tile can have.
        apart = np.maximum(np.maximum(low - place.max(0), place.min(0) - high), 0)
        gap = ((apart * self.size) ** 2).sum(-1)
        for i in np.argsort(gap, kind="stable"):
            if gap[i] >= best.max():
                break
            steps = (np.clip(place, low[i], high[i]) - place) * self.size
            nearer = np.flatnonzero((steps**2).sum(-1) < best)
            if nearer.size:
                there = self._part(tuple(tiles[i].tolist()), label)[side].place
                best[nearer] = self._to(there, place[nearer], best[nearer])
        return best

    def _to(self, there: np.ndarray, place: np.ndarray, best: np.ndarray) -> np.ndarray:
        """The best so far, or the squared distance to the nearest place there."""
        from scipy.spatial import KDTree  # 0.2 s that few calls need

        if not len(there) or not len(place):
            return best
        bound = np.sqrt(best.max())
        tree = KDTree(there * self.size)
        nearest = np.asarray(tree.query(place * self.size, distance_upper_bound=bound)[1])
        found = np.flatnonzero(nearest < len(there))
        steps = (there.take(nearest.take(found), axis=0) - place[found]) * self.size
        best = best.copy()
        # From the steps, so that elements equally far are to the last bit.
        best[found] = np.minimum(best[found], (steps**2).sum(-1))
        return best

    @cached_property
    def _tiles(self) -> list[dict[int, np.ndarray]]:
        """The tiles in which each label occurs, by side."""
        found: list[dict[int, list[tuple[int, ...]]]] = [{}, {}]
        for tile in self.case.grid.places:
            part = self.case.read(self.case.grid.box(tile))
            for tiles, x in zip(found, (part.reference, part.prediction), strict=True):
                for label in self._present(x):
                    tiles.setdefault(label, []).append(tile)
        return [{k: np.array(tiles) for k, tiles in side.items()} for side in found]

    @cached_property
    def _part(self) -> Callable[[tuple[int, ...], int], tuple[Elements, Elements]]:
        """Elements in and around a tile of one label, by tile and label; a few are held."""

        @lru_cache(maxsize=_HELD)
        def part(tile: tuple[int, ...], label: int) -> tuple[Elements, Elements]:
            window = self.case.grid.grown(self.case.grid.box(tile), 1, 1)
            return self.elements(window)[label]

        return part


def _within(elements: Elements, box: Box) -> Elements:
    start, stop = np.array([(b.start, b.stop) for b in box]).T
    chosen = ((elements.place >= start) & (elements.place < stop)).all(-1)
    return Elements(elements.place[chosen], elements.weight[chosen])
