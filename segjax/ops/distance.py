"""Exact distances from the surface of one packed mask to that of another.

A mask is a flat run of rows, each of W words of 32 voxels along the last axis; (Z, Y, W) are
data, not shapes, so that images of every size and both two and three dimensions share a few
compiled programs. Surface voxels of one mask visit the rows of the other in the order of
their distance, ask each for its nearest voxel (one table look-up, no scan), and stop when no
row can be nearer. The cost grows with the length of the surface and the distance between the
two, not with the image.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, Num, UInt32

from segjax._compiling import counts_on_host
from segjax._errors import InputError
from segjax.ops import packing


_NONE = 1 << 14  # farther than any voxel of a row; coordinates must be below
MOST_COLUMNS = _NONE
_UNROLL = 8
_TILES = (128, 1024)  # points that stop together, of a small and of a large surface
_LARGE = 2**12
_FIRST = 16  # rows visited before the points that are done are sorted out


class Grid(NamedTuple):
    """Extent of a packed mask: planes, rows per plane, words per row (data while tracing)."""

    z: Any
    y: Any
    w: Any


class Rows(NamedTuple):
    """Offsets to other rows in the order of their squared distance, and these distances.

    The distances, one more than the offsets, end in infinity (or the largest integer). They
    are integers in units of the squared spacing where the spacing is the same along all axes.
    """

    offset: Int[np.ndarray, "row 2"]
    squared: Num[np.ndarray, " rows"]


@lru_cache(maxsize=64)
def rows_by_distance(z: int, y: int, spacing: tuple[float, float] | None) -> Rows:
    """All offsets within z planes of y rows; `spacing` (z, y) None for integer distances."""
    dz, dy = np.meshgrid(np.arange(1 - z, z), np.arange(1 - y, y), indexing="ij")
    offset = np.stack([dz.ravel(), dy.ravel()], axis=1)
    scale = (1, 1) if spacing is None else spacing
    squared = (offset[:, 0] * scale[0]) ** 2 + (offset[:, 1] * scale[1]) ** 2
    order = np.argsort(squared, kind="stable")
    size = packing.coarse_bucket(len(order), smallest=512)
    dtype = np.int32 if spacing is None else np.float32
    farthest = np.iinfo(np.int32).max if spacing is None else np.inf
    all_offsets = np.full((size, 2), 1 << 20, np.int32)  # padding: outside of every grid
    all_offsets[: len(order)] = offset[order]
    distances = np.full(size + 1, farthest, dtype)
    distances[: len(order)] = squared[order]
    return Rows(all_offsets, distances)


def _shift(words: UInt32[Array, " word"], by: Any) -> UInt32[Array, " word"]:
    """words[i - by], 0 beyond the ends."""
    size = words.shape[0]
    padded = jnp.pad(words, (size, size))
    return lax.dynamic_slice(padded, (size - by,), (size,))


def _places(size: int, grid: Grid) -> tuple[Any, Any, Any]:
    index = jnp.arange(size, dtype=jnp.int32)
    row, column = index // grid.w, index % grid.w
    return row // grid.y, row % grid.y, column


def surface_words(words: UInt32[Array, " word"], grid: Grid) -> UInt32[Array, " word"]:
    """Voxels of the mask that have a face neighbour outside; outside the image is outside."""
    z, y, column = _places(words.shape[0], grid)
    plane = grid.y * grid.w
    neighbour = lambda by, there: jnp.where(there, _shift(words, by), jnp.uint32(0))
    inner = (words << 1) | (neighbour(1, column > 0) >> 31)
    inner &= (words >> 1) | (neighbour(-1, column < grid.w - 1) << 31)
    inner &= neighbour(grid.w, y > 0) & neighbour(-grid.w, y < grid.y - 1)
    # A single plane is two-dimensional: nothing lies above or below it.
    flat = grid.z == 1
    above, below = neighbour(plane, z > 0), neighbour(-plane, z < grid.z - 1)
    return words & ~(inner & jnp.where(flat, inner, above & below))


class Points(NamedTuple):
    """Voxels of a packed mask, the first `number` of a fixed number; the rest is anything."""

    row: Int[Array, " point"]
    x: Int[Array, " point"]
    number: Int[Array, ""]


def points_of(words: UInt32[Array, " word"], grid: Grid, capacity: int) -> Points:
    """List set bits in raster order; `number` may exceed `capacity`, and must be looked at."""
    bits = lax.population_count(words).astype(jnp.int32)
    until = jnp.cumsum(bits)
    start = jnp.where(bits > 0, until - bits, capacity)
    index = jnp.arange(words.shape[0], dtype=jnp.int32)
    first = jnp.zeros(capacity, jnp.int32).at[start].max(index, mode="drop")
    word = lax.cummax(first)
    rank = jnp.arange(capacity, dtype=jnp.int32) - (until[word] - bits[word])
    bit = _nth_bit(words[word], jnp.maximum(rank, 0).astype(jnp.uint32))
    return Points(word // grid.w, (word % grid.w) * 32 + bit, until[-1])


def _nth_bit(word: UInt32[Array, " point"], n: UInt32[Array, " point"]) -> Int[Array, " point"]:
    """Position of the n-th set bit, by halving."""
    place = jnp.zeros(word.shape, jnp.uint32)
    for half in (16, 8, 4, 2, 1):
        below = lax.population_count((word >> place) & jnp.uint32((1 << half) - 1))
        beyond = n >= below
        n, place = jnp.where(beyond, n - below, n), jnp.where(beyond, place + half, place)
    return place.astype(jnp.int32)


class _Table(NamedTuple):
    """Per word: its bits, and the nearest set bits of the row before and after it."""

    word: UInt32[Array, " word"]
    beside: UInt32[Array, " word"]


def _table(words: UInt32[Array, " word"], grid: Grid) -> _Table:
    _, _, column = _places(words.shape[0], grid)
    last = jnp.where(words > 0, 32 * column + 31 - lax.clz(words).astype(jnp.int32), -_NONE)
    lowest = lax.population_count((words & -words) - 1).astype(jnp.int32)
    first = jnp.where(words > 0, 32 * column + lowest, 2 * _NONE)
    move = lambda x, by, there, fill: jnp.where(there, jnp.roll(x, by), fill)
    before = move(last, 1, column > 0, -_NONE)
    after = move(first, -1, column < grid.w - 1, 2 * _NONE)
    step = 1
    while step < min(MOST_COLUMNS // 32, words.shape[0]):
        before = jnp.maximum(before, move(before, step, column >= step, -_NONE))
        after = jnp.minimum(after, move(after, -step, column < grid.w - step, 2 * _NONE))
        step *= 2
    packed = ((before + _NONE).astype(jnp.uint32) << 16) | after.astype(jnp.uint32)
    return _Table(*lax.optimization_barrier((words, packed)))


def _look_up(table: _Table, index: Any, x: Any) -> Int[Array, " point"]:
    """Distance along the row to its nearest set bit; `_NONE` or more if it has none."""
    bit = (x & 31).astype(jnp.uint32)
    word = table.word.at[index].get(mode="promise_in_bounds")
    beside = table.beside.at[index].get(mode="promise_in_bounds")
    left, right = word << (31 - bit), word >> bit
    before = (beside >> 16).astype(jnp.int32) - _NONE
    after = (beside & 0xFFFF).astype(jnp.int32)
    to_left = jnp.where(left > 0, lax.clz(left).astype(jnp.int32), x - before)
    trailing = lax.population_count((right & -right) - 1).astype(jnp.int32)
    return jnp.minimum(to_left, jnp.where(right > 0, trailing, after - x))


def _nearest(
    table: _Table, points: Points, grid: Grid, rows: Rows, step: Any, budget: Any
) -> tuple[Num[Array, " point"], Any]:
    """Squared distance of each point to the nearest set bit of a mask.

    Returns:
        Squared distances, and how many points were not settled within the budget of
        look-ups (theirs may be too large).
    """
    capacity = points.row.shape[0]
    tile = min(_TILES[capacity > _LARGE], capacity)
    offset, squared = jnp.asarray(rows.offset), jnp.asarray(rows.squared)
    count = offset.shape[0]
    far = squared[-1]
    exact = squared.dtype == jnp.int32

    def visit(k: Any, z: Any, y: Any, x: Any, best: Any) -> Any:
        there_z, there_y = z + offset[k, 0], y + offset[k, 1]
        inside = (there_z >= 0) & (there_z < grid.z) & (there_y >= 0) & (there_y < grid.y)
        index = (there_z * grid.y + there_y) * grid.w + (x >> 5)
        along = _look_up(table, jnp.where(inside, index, 0), x)
        found = inside & (along < _NONE)
        along = along if exact else along.astype(jnp.float32) * step
        return jnp.minimum(best, jnp.where(found, squared[k] + along * along, far))

    def visit_many(start: Any, stop: Any, tile_points: Any, best: Any, live: Any) -> Any:
        def body(state: Any) -> Any:
            k, best = state
            for u in range(_UNROLL):
                z, y, x = tile_points
                best = visit(k + u, z, y, x, best)
            return k + _UNROLL, best

        def nearer_possible(state: Any) -> Any:
            k, best = state
            return (k < stop) & (jnp.max(jnp.where(live, best, 0)) > squared[k])

        return lax.while_loop(nearer_possible, body, (start, best))

    def phase(state: Any) -> Any:
        start, stop, index, open_, best, spent = state

        def one_tile(t: Any, carry: Any) -> Any:
            best, spent = carry
            at = jnp.minimum(t * tile, capacity - tile)
            chosen = lax.dynamic_slice(index, (at,), (tile,))
            live = at + jnp.arange(tile) < open_
            row, x = points.row[chosen], points.x[chosen]
            place = (row // grid.y, row % grid.y, x)
            end, nearest = visit_many(start, stop, place, best[chosen], live)
            best = best.at[jnp.where(live, chosen, capacity)].set(nearest, mode="drop")
            return best, spent + (end - start) * (tile / 1.0)

        tiles = (open_ + tile - 1) // tile
        best, spent = lax.fori_loop(0, tiles, one_tile, (best, spent))
        k = jnp.arange(capacity, dtype=jnp.int32)
        unsettled = (k < open_) & (best[index] > squared[stop])
        total = jnp.cumsum(unsettled.astype(jnp.int32))
        target = jnp.where(unsettled, total - 1, capacity)
        index = jnp.zeros(capacity, jnp.int32).at[target].set(index, mode="drop")
        return stop, jnp.minimum(2 * stop, count), index, total[-1], best, spent

    def unfinished(state: Any) -> Any:
        start, _, _, open_, _, spent = state
        return (open_ > 0) & (start < count) & (spent < budget)

    everyone = jnp.minimum(points.number, capacity)
    state = (
        jnp.int32(0),
        jnp.int32(min(_FIRST, count)),
        jnp.arange(capacity, dtype=jnp.int32),
        everyone,
        jnp.full(capacity, far, squared.dtype),
        jnp.float32(0),
    )
    start, _, _, open_, best, _ = lax.while_loop(unfinished, phase, state)
    return best, jnp.where(start < count, open_, 0)


class Distances(NamedTuple):
    """Squared distances of the surface voxels of two masks to each other's surface.

    Attributes:
        first: of the voxels of the first mask in raster order, padded.
        second: of those of the second.
        counts: how many surface voxels the two masks have.
        unsettled: how many points ran out of the budget.
    """

    first: Num[Array, " point"]
    second: Num[Array, " point"]
    counts: Int[Array, " 2"]
    unsettled: Any


@partial(jax.jit, static_argnames=("capacity", "solid"))
def between_surfaces(
    first: UInt32[Any, " word"],
    second: UInt32[Any, " word"],
    grid: Grid,
    rows: Rows,
    step: Any,
    budget: Any,
    *,
    capacity: int,
    solid: bool = False,
) -> Distances:
    """Measure the surfaces of two packed masks to each other.

    Args:
        first: mask, rows of `grid.w` words, bit i of a word the i-th voxel; 0 beyond the grid.
        second: the other.
        grid: extent, as data.
        rows: from `rows_by_distance`, for at least this grid.
        step: spacing along the rows; not looked at if distances are integers.
        budget: look-ups per direction after which to give up; infinity for never.
        capacity: room for surface voxels, fixed while tracing.
        solid: measure all voxels of the masks in place of those on the surface.
    """
    grid = Grid(*(jnp.asarray(n, jnp.int32) for n in grid))
    surfaces = [jnp.asarray(x) for x in (first, second)]
    if not solid:
        surfaces = [surface_words(x, grid) for x in surfaces]
    points = [points_of(s, grid, capacity) for s in surfaces]
    tables = [_table(s, grid) for s in reversed(surfaces)]
    # One after the other, in a loop, so that the search is compiled once.
    stack = lambda *parts: jnp.stack(parts)
    both = jax.tree.map(stack, *tables), jax.tree.map(stack, *points)
    search = lambda side: _nearest(side[0], side[1], grid, rows, step, budget)
    (there, back), unsettled = lax.map(search, both)
    counts = jnp.stack([p.number for p in points])
    return Distances(there, back, counts, unsettled.sum())


# From the host: sizes are rounded up generously, because programs are dear to compile and
# padding is cheap: a folder of many shapes then shares a handful.

_FEWEST_WORDS = 2**11
_FEWEST_POINTS = 2**12
# On a CPU a dense transform is no slower beyond so many look-ups a voxel, of some ns each.
_PATIENCE = 6.0
_LEAST_BUDGET = 2**18


class Prepared(NamedTuple):
    """Two packed masks and all else that a search between them asks for.

    `unit` times the root of a squared distance is the distance.
    """

    words: tuple[Any, Any]
    grid: Grid
    rows: Rows
    step: Any
    budget: Any
    unit: float


def rows_within(grid: Grid, spacing: tuple[float, ...]) -> tuple[Rows, float, float]:
    """Rows in the order of their distance, the spacing along rows, and the unit of distances."""
    if len(set(spacing)) == 1:
        return rows_by_distance(grid.z, grid.y, None), 1.0, spacing[0]
    z, y, x = (1.0, *spacing)[-3:]
    return rows_by_distance(grid.z, grid.y, (z, y)), x, 1.0


def prepare(first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]) -> Prepared:
    """Pack two cropped masks of one shape, 2-D or 3-D.

    Raises:
        InputError: if the last axis is too long.
    """
    shape = (1, *first.shape)[-3:]
    if shape[-1] >= MOST_COLUMNS:
        raise InputError(
            f"the object is {shape[-1]} voxels long, more than the {MOST_COLUMNS - 1} that "
            "distances are measured over; score the image in tiles"
        )
    packed = [packing.pack_rows(x.reshape(shape)) for x in (first, second)]
    grid = Grid(*packed[0].shape)
    size = packing.coarse_bucket(packed[0].size, smallest=_FEWEST_WORDS)
    words = tuple(np.pad(x.reshape(-1), (0, size - x.size)) for x in packed)
    # Of a somewhat larger grid, so that the list of rows can be used again.
    rows, step, unit = rows_within(
        Grid(
            packing.bucket(grid.z, smallest=1, steps=4), packing.bucket(grid.y, smallest=64), grid.w
        ),
        spacing,
    )
    patience = max(_PATIENCE * first.size, _LEAST_BUDGET) if counts_on_host() else np.inf
    return Prepared(
        words=jax.device_put(words),
        grid=Grid(*map(np.int32, grid)),
        rows=rows,
        step=np.float32(step),
        budget=np.float32(patience),
        unit=unit,
    )


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Slices of the smallest box that holds a mask; None if it is empty."""
    box = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        if not there.size:
            return None
        box.append(slice(int(there[0]), int(there[-1]) + 1))
    return tuple(box)


def with_room(search: Callable[[int], Any]) -> Any:
    """Search with room for more and more points, until the `counts` of the result fit."""
    capacity = _FEWEST_POINTS
    while True:
        found = search(capacity)
        most = int(np.max(np.asarray(found.counts)))
        if most <= capacity:
            return found
        capacity = packing.coarse_bucket(most, smallest=_FEWEST_POINTS)
