"""Exact distances from points to the nearest of the set bits of a packed mask.

Points visit the rows of the mask in the order of their distance, ask each for its nearest
voxel (one table look-up, no scan), and stop when no row can be nearer. The cost grows with
the number of points and the distance to be found, not with the image.

A mask is a flat run of rows, W words of 32 voxels each along the last axis; (Z, Y, W) are
data, not shapes, so that images of every size and both two and three dimensions share a few
compiled programs. Several masks of one extent may follow each other: points do not look
beyond their own.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int, Num, UInt32

from segjax._numerics import AnyArray, namespace


MOST_COLUMNS = 1 << 14
_NONE = MOST_COLUMNS  # farther than any voxel of a row
UNROLL = 8  # rows per step of the search
TOGETHER = 2048  # points that stop together


class Grid(NamedTuple):
    """Extent of a packed mask: planes, rows per plane, words per row (may be data)."""

    z: Any
    y: Any
    w: Any


class Rows(NamedTuple):
    """Offsets (planes, rows) to other rows in the order of their squared distance.

    Distances are one more than the offsets: no row that is left out is nearer than the last,
    which is infinity (or the largest integer) if none is. They are integers in units of the
    squared spacing where the spacing is the same along all axes.
    """

    offset: Int[AnyArray, "row 2"]
    squared: Num[AnyArray, " rows"]


@lru_cache(maxsize=64)
def rows_by_distance(z: int, y: int, spacing: tuple[float, float] | None, most: int) -> Rows:
    """The nearest rows within z planes of y rows, padded to a multiple of `most` if fewer.

    Args:
        z: planes of the mask, or more.
        y: rows per plane, or more.
        spacing: of planes and of rows; None for integer distances.
        most: how many to list.
    """
    scale = (1.0, 1.0) if spacing is None else spacing
    # Half of a disc that holds as many rows, but for what the extent cuts off.
    radius = np.sqrt(1.2 * most * scale[0] * scale[1] / np.pi)
    reach = [min(n - 1, max(1, int(radius / s) + 1)) for n, s in zip((z, y), scale, strict=True)]
    while (2 * reach[0] + 1) * (2 * reach[1] + 1) <= most and reach != [z - 1, y - 1]:
        reach = [min(n - 1, 2 * r + 1) for n, r in zip((z, y), reach, strict=True)]
    z_axis, y_axis = (np.arange(-r, r + 1, dtype=np.int32) for r in reach)
    offset = np.stack([np.repeat(z_axis, y_axis.size), np.tile(y_axis, z_axis.size)], -1)
    squared = ((offset * np.asarray(scale)) ** 2).sum(1)
    beyond = [
        (r + 1) * s for r, n, s in zip(reach, (z, y), scale, strict=True) if r < n - 1
    ]  # the nearest row that is not among the offsets
    complete = min(beyond, default=np.inf) ** 2
    order = np.argsort(squared, kind="stable")
    order = order[squared[order] < complete][:most]
    left_out = np.sort(squared)[len(order)] if len(order) < len(squared) else np.inf
    dtype = np.int32 if spacing is None else np.float32
    far = np.iinfo(np.int32).max if spacing is None else np.inf
    all_offsets = np.full((most, 2), 1 << 20, np.int32)  # padding: outside of every grid
    all_offsets[: len(order)] = offset[order]
    last = min(complete, left_out)
    distances = np.full(most + 1, far if np.isinf(last) else last, dtype)
    distances[: len(order)] = squared[order]
    return Rows(all_offsets, distances)


class Scale(NamedTuple):
    """What distances are counted in.

    Attributes:
        across: spacing of planes and of rows; None where distances are integers.
        along: spacing along rows; not looked at where distances are integers.
        unit: times the root of a squared distance is the distance.
    """

    across: tuple[float, float] | None
    along: float
    unit: float


def scale_of(spacing: tuple[float, ...]) -> Scale:
    """Integers in units of the spacing, where that is the same along all two or three axes."""
    z, y, x = (1.0, *spacing)[-3:]
    return Scale(None, 1.0, spacing[0]) if len(set(spacing)) == 1 else Scale((z, y), x, 1.0)


class Table(NamedTuple):
    """Per word: its bits, and the nearest set bits of the row before and after it.

    `beside` holds both in 16 bits each: the one before, plus 2**14, and the one after.
    """

    word: UInt32[AnyArray, " word"]
    beside: UInt32[AnyArray, " word"]


def make_table(words: UInt32[AnyArray, "*row word"]) -> Table:
    """Prepare a mask to be looked up in; flat, for NumPy as for JAX.

    The last entry is one more, of a row without bits, for what lies outside.
    """
    xp = namespace(words)
    width = words.shape[-1]
    column = 32 * xp.arange(width, dtype=np.int32)
    lowest, highest = _ends_on_host(words) if xp is np else _ends(words)
    last = xp.where(words > 0, column + highest, np.int32(-_NONE))
    first = xp.where(words > 0, column + lowest, np.int32(2 * _NONE))
    before = _beside(last, 1, -_NONE, xp.maximum)
    after = _beside(first, -1, 2 * _NONE, xp.minimum)
    packed = (before + _NONE).astype(np.uint32) << 16 | after.astype(np.uint32)
    behind = lambda x, last: xp.concatenate([x.reshape(-1), xp.full(1, last, np.uint32)])
    return Table(behind(words, 0), behind(packed, 2 * _NONE))


def _ends(words: Any) -> tuple[Any, Any]:
    """Lowest and highest set bit of each word; anything where there is none."""
    below = lax.population_count((words & -words) - 1)
    return below.astype(jnp.int32), 31 - lax.clz(words).astype(jnp.int32)


def _ends_on_host(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    below = np.bitwise_count((words & -words) - np.uint32(1))
    exponent = words.astype(np.float64).view(np.int64) >> 52
    return below, (exponent - 1023).astype(np.int32)


def _beside(x: Any, side: int, fill: int, extreme: Any) -> Any:
    """Extreme of all entries of the row before (side 1) or after (-1) each."""
    xp, width = namespace(x), x.shape[-1]

    def moved(x: Any, by: int) -> Any:
        edge = xp.full((*x.shape[:-1], by), fill, x.dtype)
        parts = [edge, x[..., :-by]] if side == 1 else [x[..., by:], edge]
        return xp.concatenate(parts, axis=-1)

    x, step = moved(x, 1), 1
    while step < width - 1:
        x, step = extreme(x, moved(x, step)), 2 * step
    return x


class Points(NamedTuple):
    """Voxels by row (counted over all masks) and column."""

    row: Int[AnyArray, " point"]
    x: Int[AnyArray, " point"]


def places_of(points: Points, grid: Grid) -> tuple[Any, Any, Any]:
    """Plane, row and column of each point within its mask."""
    return points.row // grid.y % grid.z, points.row % grid.y, points.x


def points_on_host(words: UInt32[np.ndarray, "*row word"]) -> Points:
    """List set bits in raster order."""
    flat = words.reshape(-1)
    there = np.flatnonzero(flat != 0).astype(np.int32)
    octets = np.ascontiguousarray(flat[there], "<u4").view(np.uint8)
    # As booleans, which NumPy looks through much faster than through bytes.
    bit = np.flatnonzero(np.unpackbits(octets, bitorder="little").view(bool)).astype(np.int32)
    row = there // np.int32(words.shape[-1])
    start, of = 32 * (there - row * np.int32(words.shape[-1])), bit >> 5
    return Points(row[of], start[of] + (bit & 31))


def points_of(words: UInt32[Array, "*row word"], capacity: int) -> tuple[Points, Int[Array, ""]]:
    """List set bits in raster order, while tracing.

    Returns:
        Points, and how many there are; more than `capacity` are left out, fewer are followed
        by anything.
    """
    width, words = words.shape[-1], words.reshape(-1)
    bits = lax.population_count(words).astype(jnp.int32)
    until = jnp.cumsum(bits)
    start = jnp.where(bits > 0, until - bits, capacity)
    index = jnp.arange(words.shape[0], dtype=jnp.int32)
    first = jnp.zeros(capacity, jnp.int32).at[start].max(index, mode="drop")
    word = lax.cummax(first)
    rank = jnp.arange(capacity, dtype=jnp.int32) - (until[word] - bits[word])
    bit = _nth_bit(words[word], jnp.maximum(rank, 0).astype(jnp.uint32))
    return Points(word // width, (word % width) * 32 + bit), until[-1]


def _nth_bit(word: UInt32[Array, " point"], n: UInt32[Array, " point"]) -> Int[Array, " point"]:
    """Position of the n-th set bit, by halving."""
    place = jnp.zeros(word.shape, jnp.uint32)
    for half in (16, 8, 4, 2, 1):
        below = lax.population_count((word >> place) & jnp.uint32((1 << half) - 1))
        beyond = n >= below
        n, place = jnp.where(beyond, n - below, n), jnp.where(beyond, place + half, place)
    return place.astype(jnp.int32)


def _look_up(table: Table, index: Any, x: Any) -> Int[Array, " point"]:
    """Distance along the row to its nearest set bit; `_NONE` or more if it has none."""
    bit = (x & 31).astype(jnp.uint32)
    word, beside = _get(table.word, index), _get(table.beside, index)
    left, right = word << (31 - bit), word >> bit
    before = (beside >> 16).astype(jnp.int32) - _NONE
    after = (beside & 0xFFFF).astype(jnp.int32)
    to_left = jnp.where(left > 0, lax.clz(left).astype(jnp.int32), x - before)
    trailing = lax.population_count((right & -right) - 1).astype(jnp.int32)
    return jnp.minimum(to_left, jnp.where(right > 0, trailing, after - x))


def _get(values: Any, index: Any) -> Any:
    # Unsigned, else JAX looks for negative indices, which takes longer than the look-up.
    return values.at[index.astype(jnp.uint32)].get(mode="promise_in_bounds")


class Found(NamedTuple):
    """What a search found.

    Attributes:
        squared: distance of each point to the nearest set bit, squared; too large, perhaps,
            for points that are not settled.
        unsettled: the first `number` entries are the points that are not settled.
        number: how many are not.
        rows: how many rows of the list were visited by those.
        spent: look-ups.
    """

    squared: Num[Array, " point"]
    unsettled: Int[Array, " places"]
    number: Int[Array, ""]
    rows: Int[Array, ""]
    spent: Any


@partial(jax.jit, static_argnames="together")
def search(
    table: Table,
    points: Points,
    number: Any,
    squared: Num[Any, " point"],
    grid: Grid,
    rows: Rows,
    step: Any,
    start: Any,
    budget: Any,
    *,
    together: int = TOGETHER,
) -> Found:
    """Find the nearest set bit of a mask for each point.

    Args:
        table: of the mask.
        points: where to look from; the rest is padding.
        number: how many points there are.
        squared: the nearest found before, or the last of `rows.squared`.
        grid: extent of each mask.
        rows: from `rows_by_distance`.
        step: spacing along the rows; not looked at if distances are integers.
        start: rows of the list that were visited before.
        budget: look-ups, beyond which not to go on; infinity for any number.
        together: points that stop together, fixed while tracing: few for a CPU, which skips
            what is settled; all of them where much runs at once.
    """
    capacity = points.row.shape[0]
    together = min(together, capacity)
    offset, limit = jnp.asarray(rows.offset), jnp.asarray(rows.squared)
    table = Table(*map(jnp.asarray, table))
    empty = table.word.shape[0] - 1
    z_end, y_end, width = (jnp.asarray(n, jnp.int32) for n in grid)
    count, exact = offset.shape[0], limit.dtype == jnp.int32
    far = np.int32(np.iinfo(np.int32).max) if exact else np.float32(np.inf)
    lane = jnp.arange(together, dtype=jnp.int32)

    def visit_many(start: Any, stop: Any, row: Any, x: Any, best: Any, live: Any) -> Any:
        plane, y = row // y_end, row % y_end
        z, here = plane % z_end, row * width + (x >> 5)

        def body(state: Any) -> Any:
            (k, best), here_ = state, here
            ku = k.astype(jnp.uint32)
            for u in range(UNROLL):
                dz, dy = lax.dynamic_slice(offset, (ku + u, jnp.uint32(0)), (1, 2))[0]
                inside = _below(z + dz, z_end) & _below(y + dy, y_end)
                index = jnp.where(inside, here_ + (dz * y_end + dy) * width, empty)
                along = _look_up(table, index, x)
                found = along < _NONE
                along = along if exact else along.astype(jnp.float32) * step
                there = jnp.where(found, limit[ku + u] + along * along, far)
                best = jnp.where(there < best, there, best)  # not minimum, which minds NaN
                # In turn: XLA hands rows to several threads of a CPU, at a loss.
                best, here_ = lax.optimization_barrier((best, here_))
            return k + UNROLL, best

        def nearer_possible(state: Any) -> Any:
            k, best = state
            return (k < stop) & (jnp.max(jnp.where(live, best, 0)) > limit[k])

        return lax.while_loop(nearer_possible, body, (start, best))

    def phase(state: Any) -> Any:
        start, stop, index, other, open_, best, spent = state

        def some(t: Any, carry: Any) -> Any:
            best, other, kept, spent = carry
            chosen = lax.dynamic_slice(index, (t * together,), (together,))
            live = t * together + lane < open_
            end, nearest = visit_many(
                start,
                stop,
                _get(points.row, chosen),
                _get(points.x, chosen),
                _get(best, chosen),
                live,
            )
            best = best.at[jnp.where(live, chosen, capacity)].set(nearest, mode="drop")
            # Those still open go to the other list: one list would be copied for every tile.
            unsettled = live & (nearest > limit[stop])
            rank, count = _ranks(unsettled)
            place = jnp.where(unsettled, kept + rank, other.shape[0])
            other = other.at[place].set(chosen, mode="drop")
            return best, other, kept + count, spent + (end - start) * float(together)

        tiles = (open_ + together - 1) // together
        first = (best, other, jnp.int32(0), spent)
        best, other, open_, spent = lax.fori_loop(0, tiles, some, first)
        longer = jnp.maximum(UNROLL, stop // 2 // UNROLL * UNROLL)
        return stop, jnp.minimum(stop + longer, count), other, index, open_, best, spent

    def unfinished(state: Any) -> Any:
        start, stop, _, _, open_, _, spent = state
        expected = spent + open_.astype(jnp.float32) * (stop - start)
        return (open_ > 0) & (start < count) & (expected <= budget)

    start = jnp.asarray(start, jnp.int32)
    everyone = jnp.arange(capacity + together, dtype=jnp.int32) % capacity
    state = (
        start,
        jnp.minimum(start + UNROLL, count),
        everyone,
        everyone,
        jnp.minimum(jnp.asarray(number, jnp.int32), capacity),
        jnp.asarray(squared, limit.dtype),
        jnp.float32(0),
    )
    visited, _, index, _, open_, best, spent = lax.while_loop(unfinished, phase, state)
    return Found(best, index, open_, visited, spent)


def _ranks(flags: Bool[Array, " place"]) -> tuple[Int[Array, " place"], Int[Array, ""]]:
    """How many flags are set before each place, and in all.

    Of few, by population counts: a running sum is dozens of small steps, dear on a CPU.
    """
    size = flags.shape[0]
    if size > 4 * TOGETHER:
        until = jnp.cumsum(flags.astype(jnp.int32))
        return until - flags, until[-1]
    lane = jnp.arange(32, dtype=jnp.uint32)
    rows = jnp.pad(flags, (0, -size % 32)).reshape(-1, 32)
    words = (rows.astype(jnp.uint32) << lane).sum(-1, dtype=jnp.uint32)
    counts = lax.population_count(words).astype(jnp.int32)
    earlier = jnp.arange(words.size)[:, None] > jnp.arange(words.size)
    before = jnp.where(earlier, counts, 0).sum(-1)
    within = lax.population_count(words[:, None] & ((jnp.uint32(1) << lane) - 1))
    ranks = before[:, None] + within.astype(jnp.int32)
    return ranks.reshape(-1)[:size], counts.sum()


def _below(place: Any, end: Any) -> Any:
    """0 <= place < end, in one comparison."""
    return place.astype(jnp.uint32) < end.astype(jnp.uint32)
