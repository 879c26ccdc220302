"""Surface elements of many pairs of masks in host memory, measured to each other.

Masks are packed, cropped to the joint box of their pair, and stacked, so that one call of the
search serves many pairs; big ones go alone. Sizes are rounded up generously, because programs
are dear to compile and padding is cheap: a folder of many shapes shares a handful.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int, Int32, UInt32

from segjax import _devices
from segjax._compiling import counts_on_host
from segjax._errors import InputError
from segjax.ops import distance, mesh, morphology, packing, surfels, transform
from segjax.ops.distance import Grid, Points, Rows


_FEWEST_WORDS = 2**13
_FEWEST_POINTS = 2**12
_LARGE = 2**16
_FEWEST_ROWS, _MORE_ROWS = 2**12, 2**4  # in the first list, and how many times more in the next
_MOST_WORDS = 2**17  # of pairs that are searched together: half a megabyte fits a cache
# On a CPU a dense transform is no slower beyond so many look-ups a voxel, of some ns each.
_PATIENCE = 2.0
_LEAST_BUDGET = 2**20
_ALL = 2**30  # more points than there are
_FEW = 16  # so few elements are compared with one by one


class Pair(NamedTuple):
    """Two masks of one shape, 2-D or 3-D, and the voxels that are not ignored (None: all)."""

    first: Bool[np.ndarray, "*space"]
    second: Bool[np.ndarray, "*space"]
    kept: Bool[np.ndarray, "*space"] | None = None


class Side(NamedTuple):
    """Elements of one surface in raster order: distances to the other, and weights.

    Both float64; distances are infinite if the other surface has no elements.
    """

    distance: np.ndarray
    weight: np.ndarray


class _Packed(NamedTuple):
    """Cropped words of a pair, (planes, rows, words): of both masks and of what is kept."""

    masks: list[UInt32[np.ndarray, "z y w"]]
    kept: UInt32[np.ndarray, "z y w"] | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.masks[0].shape


def measure(
    pairs: Sequence[Pair], spacing: tuple[float, ...], kind: str
) -> list[tuple[Side, Side]]:
    """Measure the surfaces of each pair of masks to each other.

    Distances are exact and Euclidean: roots of integers where the spacing is the same along
    all axes, else accurate to 1e-6. Those of "mesh" are to the disc with the nearest centre.

    Args:
        pairs: masks, each pair of a shape of its own.
        spacing: voxel size along each axis.
        kind: "voxel" for voxels with a face neighbour outside, weighing 1; "surfel" for the
            points between voxels, weighing by the area of the surface there; "mesh" for
            surfels moved to where the surface is likely to lie; "solid" for all voxels.

    Returns:
        For each pair the elements of the first and of the second mask. Those in ignored
        voxels weigh 0: for surfels, if no voxel of the mask around it is kept.

    Raises:
        InputError: if an object is too long.
    """
    dims = len(spacing)
    packed = [_pack(pair, room=int(kind in surfels.BETWEEN)) for pair in pairs]
    measured = [_NOTHING] * len(pairs)
    filled = [i for i, p in enumerate(packed) if p is not None]
    for group in _groups(filled, [packed[i].shape for i in filled]):  # type: ignore[union-attr]
        found = _measure_stack([packed[i] for i in group], spacing, kind, dims)  # type: ignore[misc]
        for i, sides in zip(group, found, strict=True):
            measured[i] = sides
    return measured


def places(mask: Bool[np.ndarray, "*space"]) -> Int[np.ndarray, "element axis"]:
    """Surface voxels of a mask, 2-D or 3-D, in raster order: as `measure` lists them."""
    words = packing.pack_rows(mask.reshape((1, *mask.shape)[-3:]))
    points = distance.points_on_host(morphology.surface(words, mask.ndim))
    return np.stack(distance.places_of(points, Grid(*words.shape))[-mask.ndim :], -1)


_NOTHING = (Side(np.zeros(0), np.zeros(0)), Side(np.zeros(0), np.zeros(0)))


def _pack(pair: Pair, room: int) -> _Packed | None:
    """Pack and crop to the joint box, with `room` more voxels behind; None if both are empty."""
    words = [packing.pack_rows(x[None] if x.ndim == 2 else x) for x in pair[:2]]
    either = words[0] | words[1]
    rows = np.asarray(either.any(axis=-1))
    ends = []
    for there in (rows.any(axis=1), rows.any(axis=0), either.any(axis=(0, 1))):
        place = np.flatnonzero(there)
        if not place.size:
            return None
        ends.append(slice(int(place[0]), int(place[-1]) + 1))
    words = [x[tuple(ends)] for x in words]
    kept = None
    if pair.kept is not None:
        kept = pair.kept[None] if pair.kept.ndim == 2 else pair.kept
        kept = packing.pack_rows(kept)[tuple(ends)]
    if room:
        last = (words[0][..., -1] | words[1][..., -1]) >> 31
        behind = [(0, room if pair.first.ndim == 3 else 0), (0, room), (0, int(last.any()))]
        words = [np.pad(x, behind) for x in words]
        kept = None if kept is None else np.pad(kept, behind)
    columns = words[0].shape[-1] * 32
    if columns > distance.MOST_COLUMNS:
        raise InputError(
            f"the object is some {columns} voxels long, more than the {distance.MOST_COLUMNS} "
            "that distances are measured over; score the image in tiles"
        )
    return _Packed(words, kept)


def _groups(indices: list[int], shapes: list[tuple[int, ...]]) -> Iterator[list[int]]:
    """Pairs to be stacked: alike in size, so that less than half of a large stack is padding."""
    order = sorted(range(len(indices)), key=lambda i: shapes[i])
    group: list[int] = []
    needed, most = 0, np.zeros(3, int)
    for i in order:
        size, larger = int(np.prod(shapes[i])), np.maximum(most, shapes[i])
        padded = int(larger.prod()) * (len(group) + 1)
        if group and (padded > _MOST_WORDS or padded > 2 * (needed + size) + _FEWEST_WORDS):
            yield [indices[j] for j in group]
            group, needed, larger = [], 0, np.array(shapes[i])
        group.append(i)
        needed, most = needed + size, larger
    if group:
        yield [indices[j] for j in group]


def _measure_stack(
    packed: Sequence[_Packed], spacing: tuple[float, ...], kind: str, dims: int
) -> list[tuple[Side, Side]]:
    shape = np.max([p.shape for p in packed], axis=0)
    stacks = [_stack([p.masks[side] for p in packed], shape) for side in (0, 1)]
    around = [surfels.neighbours(x, kind, dims) for x in stacks]
    elements = [surfels.elements(a, kind, dims) for a in around]
    points = [distance.points_on_host(x) for x in elements]
    weights = [surfels.weights(a, p, kind, spacing) for a, p in zip(around, points, strict=True)]
    ends = [np.cumsum(np.bitwise_count(x).sum((1, 2, 3), dtype=np.int64))[:-1] for x in elements]
    if kind == "mesh":
        grid = Grid(*stacks[0].shape[1:])
        far = _between_meshes(packed, grid, points, weights, ends, spacing)
    else:
        far = _between_bits(elements, points, spacing)
    if any(p.kept is not None for p in packed):
        kept = _stack([_kept(p) for p in packed], shape)
        for stack, weight, there in zip(stacks, weights, points, strict=True):
            inside = surfels.neighbours(stack & kept, kind, dims)
            weight *= surfels.codes_at(inside, there) > 0
    first, second = (
        list(map(Side, np.split(far[i], ends[i]), np.split(weights[i], ends[i]))) for i in (0, 1)
    )
    return list(zip(first, second, strict=True))


def _between_meshes(
    packed: Sequence[_Packed],
    grid: Grid,
    points: Sequence[Points],
    sizes: Sequence[np.ndarray],
    ends: Sequence[np.ndarray],
    spacing: tuple[float, ...],
) -> list[np.ndarray]:
    """Distances between the surfaces of each pair of a stack, moved between voxels."""
    dims = len(spacing)
    split = [
        [np.split(x, ends[i]) for x in (*distance.places_of(points[i], grid)[-dims:], sizes[i])]
        for i in (0, 1)
    ]
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for n, pair in enumerate(packed):
        discs = []
        for words, parts in zip(pair.masks, split, strict=True):
            *places, size = (x[n] for x in parts)
            mask = _unpacked(words)[-1] if dims == 2 else _unpacked(words)
            discs.append(mesh.discs(mesh.contrast(mask, spacing), tuple(places), size, spacing))
        for i in (0, 1):
            found[i].append(mesh.nearest_on_host(discs[i], discs[1 - i]))
    return [np.concatenate(x) for x in found]


def _unpacked(words: UInt32[np.ndarray, "z y w"]) -> Bool[np.ndarray, "z y x"]:
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little").view(bool)


def _kept(packed: _Packed) -> UInt32[np.ndarray, "z y w"]:
    return np.full(packed.shape, ~np.uint32(0)) if packed.kept is None else packed.kept


def _stack(parts: Sequence[np.ndarray], shape: np.ndarray) -> UInt32[np.ndarray, "pair z y w"]:
    stack = np.zeros((len(parts), *shape), np.uint32)
    for i, part in enumerate(parts):
        stack[i, *map(slice, part.shape)] = part
    return stack


def _between_bits(
    elements: Sequence[np.ndarray], points: Sequence[Points], spacing: tuple[float, ...]
) -> list[np.ndarray]:
    """Distances of the elements of both sides of a stack to each other's, in one search."""
    first, second = points
    # The second sides lie in front: the first look there, the others behind.
    behind = np.int32(elements[0].size // elements[0].shape[-1])
    both = Points(
        np.concatenate([first.row, second.row + behind]), np.concatenate([first.x, second.x])
    )
    found = nearest(np.concatenate([elements[1], elements[0]]), both, spacing)
    return np.split(found, [first.row.size])


def nearest(
    words: UInt32[np.ndarray, "mask z y w"], points: Points, spacing: tuple[float, ...]
) -> np.ndarray:
    """Distance of each point to the nearest set bit of its mask; infinite if there is none.

    Args:
        words: packed masks.
        points: rows are counted over all masks.
        spacing: voxel size along each of the two or three axes of a mask.

    Returns:
        Distances in float64.
    """
    grid, scale = Grid(*words.shape[1:]), distance.scale_of(spacing)
    far = np.iinfo(np.int32).max if scale.across is None else np.float32(np.inf)
    best = np.full(points.row.size, far)
    sites = np.asarray(words.any(axis=(1, 2, 3)))
    seeing = True if sites.all() else sites[points.row // (grid.z * grid.y)]
    open_ = np.flatnonzero(np.broadcast_to(seeing, best.shape))
    devices = _devices.own_devices()
    search = _search(distance.TOGETHER if counts_on_host() else _ALL, devices)
    made = distance.make_table(words)
    table = distance.Table(*(_longer(x, _room(x.size, _FEWEST_WORDS)) for x in made))
    budget = np.inf
    if counts_on_host():
        budget = max(_PATIENCE * 32 * words.size, _LEAST_BUDGET)
    known, most = 0.0, _FEWEST_ROWS  # all rows nearer than `known` were visited
    while open_.size:
        rows, host_rows = _rows(grid, scale, most, devices)
        start = int(np.searchsorted(host_rows.squared, known)) // distance.UNROLL * distance.UNROLL
        dealt, number = _dealt(open_, len(devices))
        found = search(
            Points(points.row[dealt], points.x[dealt]),
            number,
            best[dealt],
            table,
            Grid(*map(np.int32, grid)),
            rows,
            np.float32(scale.along),
            np.int32(start),
            np.float32(budget / len(devices)),
        )
        squared, unsettled, left, visited, spent = map(np.asarray, found)
        best[open_] = squared.T.reshape(-1)[: open_.size]
        open_ = np.concatenate([x[i[:n]] for x, i, n in zip(dealt, unsettled, left, strict=True)])
        budget -= float(spent.sum())
        if (visited[left > 0] < most).any():
            _finish(words, points, open_, best, spacing)
            break
        known, most = host_rows.squared[-1], most * _MORE_ROWS
    return scale.unit * np.where(seeing, np.sqrt(best.astype(float)), np.inf)


@lru_cache(maxsize=8)
def _search(together: int, devices: _devices.Devices) -> _devices.Spread:
    """`distance.search` of points that are dealt to devices, a table of the masks on each."""

    def search(points: Points, number: Any, squared: Any, table: Any, *rest: Any) -> Any:
        own = jax.tree.map(lambda x: x[0], (points, number, squared))
        found = distance.search(table, *own, *rest, together=together)
        return jax.tree.map(lambda x: x[None], found)

    return _devices.Spread(search, (*[True] * 3, *[False] * 6), devices)


def _dealt(
    points: Int[np.ndarray, " point"], shares: int
) -> tuple[Int[np.ndarray, "share place"], Int32[np.ndarray, " share"]]:
    """Deal points like cards, so that shares cost alike; also how many each holds.

    They are filled up with the last point.
    """
    size = _room(-(-points.size // shares), _FEWEST_POINTS)
    number = np.array([len(range(i, points.size, shares)) for i in range(shares)], np.int32)
    return _longer(points, shares * size).reshape(size, shares).T, number


@lru_cache(maxsize=64)
def _rows_of(
    z: int, y: int, spacing: tuple[float, float] | None, most: int, devices: _devices.Devices
) -> tuple[Rows, Rows]:
    rows = distance.rows_by_distance(z, y, spacing, most)
    return _devices.everywhere(rows, devices), rows


def _rows(
    grid: Grid, scale: distance.Scale, most: int, devices: _devices.Devices
) -> tuple[Rows, Rows]:
    """Rows on the devices and on the host."""
    # Of a somewhat larger grid, so that the list can be used again.
    extent = (packing.bucket(grid.z, smallest=1), packing.bucket(grid.y, smallest=64))
    return _rows_of(*extent, scale.across, most, devices)


def _room(size: int, smallest: int) -> int:
    """A size that many share."""
    # Of large arrays padding is dear, too: by powers of two, of small ones by powers of four.
    if size > _LARGE:
        return packing.bucket(size, smallest=_LARGE)
    return packing.coarse_bucket(size, smallest=smallest)


def _longer(x: np.ndarray, size: int) -> np.ndarray:
    """The same, the last entry repeated."""
    return np.concatenate([x, np.full(size - x.size, x[-1])])


def _finish(
    words: np.ndarray,
    points: Points,
    open_: np.ndarray,
    best: np.ndarray,
    spacing: tuple[float, ...],
) -> None:
    """Measure points that are many and far from what they look for; fills in `best`."""
    grid, scale = Grid(*words.shape[1:]), distance.scale_of(spacing)
    sizes = (1.0,) * 3 if scale.across is None else (*scale.across, scale.along)
    mask = points.row[open_] // (grid.z * grid.y)
    for m in np.flatnonzero(np.bincount(mask)):
        chosen = open_[mask == m]
        here = distance.places_of(Points(points.row[chosen], points.x[chosen]), grid)
        sites = distance.points_on_host(words[m])
        if sites.row.size > _FEW:
            best[chosen] = _dense(words[m], spacing)[here]
            continue
        best[chosen] = np.min(
            [
                sum((s * (a - b)) ** 2 for s, a, b in zip(sizes, here, site, strict=True))
                for site in zip(*distance.places_of(sites, grid), strict=True)
            ],
            axis=0,
        )


def _dense(words: UInt32[np.ndarray, "z y w"], spacing: tuple[float, ...]) -> np.ndarray:
    """Squared distance of every voxel to the nearest set bit."""
    bits = _unpacked(words)
    wanted = [packing.bucket(n, smallest=32, steps=2) for n in bits.shape]
    flat = len(spacing) == 2
    room = [
        (0, 0 if flat and not axis else b - n)
        for axis, (n, b) in enumerate(zip(bits.shape, wanted, strict=True))
    ]
    mask = np.pad(bits, room)
    if flat:
        return np.asarray(transform.squared_transform(mask[0], spacing))[None]
    return np.asarray(transform.squared_transform(mask, spacing))
