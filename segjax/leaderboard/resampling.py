"""Resampling with replacement, as counts: one matrix product serves every model and metric.

The numbers are float64, and draws do not depend on the number of devices, so that what is
published can be obtained again anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8, UInt32

from segjax import _devices
from segjax._errors import InputError
from segjax._numerics import AnyArray
from segjax.ops import packing


_DRAWS = 2**21  # drawn at a time on each device: bounds the memory there to about 50 MB
_BLOCK = 32  # cases summed at once in the search for a quantile


@dataclass(frozen=True)
class Plan:
    """What a resample draws; build with `make_plan`.

    Attributes:
        unit: of every case the unit it belongs to; units are what is drawn.
        first: of every unit the first of those it may be replaced by.
        size: how many they are.
        within: whether the cases of a unit are drawn again, from among them.
    """

    unit: Int[np.ndarray, "case"]
    first: Int[np.ndarray, "unit"]
    size: Int[np.ndarray, "unit"]
    within: bool = False

    @property
    def units(self) -> int:
        """How many units there are."""
        return self.first.size

    @property
    def clustered(self) -> bool:
        """Whether a unit is more than a case."""
        return self.units < self.unit.size

    def sums(self, of_cases: Float[np.ndarray, "case *any"]) -> Float[np.ndarray, "unit *any"]:
        """Sums over the cases of every unit."""
        if not self.clustered:
            return of_cases[np.argsort(self.unit)]
        sums = np.zeros((self.units, *of_cases.shape[1:]))
        np.add.at(sums, self.unit, of_cases)
        return sums


def make_plan(
    cases: int,
    *,
    clusters: Any = None,
    strata: Any = None,
    within: bool = False,
) -> Plan:
    """Say what is drawn: cases, or whole clusters of them; each from its own stratum.

    Args:
        cases: how many there are.
        clusters: of every case its patient, centre or sequence: cases of a cluster are not
            independent, and stay together.
        strata: of every case a property whose proportions are fixed by design, the same for all
            cases of a cluster.
        within: after the clusters, draw as many cases as each has from among them.

    Raises:
        InputError: if there is no case, a cluster lies in two strata, or `within` is asked for
            without clusters.
    """
    if cases < 1:
        raise InputError("there is no case to draw from")
    if within and clusters is None:
        raise InputError("to draw cases within clusters, say to which cluster each case belongs")
    cluster = np.arange(cases) if clusters is None else _numbered(clusters, cases, "clusters")
    stratum = np.zeros(cases, int) if strata is None else _numbered(strata, cases, "strata")
    _, at = np.unique(cluster, return_index=True)
    split = stratum != stratum[at][cluster]
    if split.any():
        case = int(np.argmax(split))
        raise InputError(
            f"case {case} is in another stratum than the first case of its cluster; "
            "a stratum holds whole clusters"
        )
    order = np.argsort(stratum[at], kind="stable")  # units of a stratum stand side by side
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    _, first, size = np.unique(stratum[at][order], return_index=True, return_counts=True)
    return Plan(place[cluster], np.repeat(first, size), np.repeat(size, size), within)


def _numbered(values: Any, cases: int, what: str) -> Int[np.ndarray, "case"]:
    values = np.asarray(values)
    if values.shape != (cases,):
        raise InputError(f"{what} must have one value for each of {cases} cases")
    return np.unique(values, return_inverse=True)[1]


def replicates(
    key: PRNGKeyArray,
    plan: Plan,
    numerators: Float[np.ndarray, "column case"],
    denominators: Float[np.ndarray, "#column case"] | None = None,
    *,
    count: int,
    errors: bool = False,
) -> tuple[Float[np.ndarray, "replicate column"], Float[np.ndarray, "replicate column"] | None]:
    """Ratios of sums over resampled cases; all columns share the resamples: they stay paired.

    A mean is the ratio whose denominators are 1 where a case counts, and 0 where it does not.

    Args:
        key: makes the result reproducible.
        plan: what is drawn.
        numerators: finite; what stands over a denominator of 0 is not looked at.
        denominators: of every column, or of all; default 1.
        count: how many resamples.
        errors: whether the standard error is estimated in each resample too, from the spread of
            its units.

    Returns:
        Ratios, NaN where nothing that counts was drawn; and their standard errors, None if they
        were not asked for, or the plan draws within clusters and there is no such estimate.

    Raises:
        InputError: if `count` is not positive.
    """
    if count < 1:
        raise InputError(f"the number of resamples must be positive, got {count}")
    errors = errors and not plan.within
    share = np.ones_like(numerators[:1]) if denominators is None else denominators
    residual, ratio = residuals(numerators, share)
    items = _Items.of(plan)
    a, b = items.rows(residual.T), items.rows(share.T)
    units = np.count_nonzero(b, axis=0)
    columns = packing.bucket(a.shape[1], smallest=1)
    a = _padded(a, columns)
    b = _padded(b, columns) if b.shape[1] > 1 else b
    found = _in_chunks(key, items, count, _ratios, errors, a, b)[:, :, : residual.shape[0]]
    return _estimated(found, ratio, units)


def residuals(
    numerators: Float[np.ndarray, "column case"], denominators: Float[np.ndarray, "#column case"]
) -> tuple[Float[np.ndarray, "column case"], Float[np.ndarray, "column"]]:
    """What each case adds to numerator - ratio x denominator; and the ratio."""
    kept = np.where(denominators != 0, numerators, 0.0)
    total = denominators.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.broadcast_to(kept.sum(-1) / total, kept.shape[:1])
    return kept - np.where(total != 0, ratio, 0.0)[:, None] * denominators, ratio


def quantile_replicates(
    key: PRNGKeyArray,
    plan: Plan,
    scores: Float[np.ndarray, "column case"],
    quantile: float,
    *,
    count: int,
) -> Float[np.ndarray, "replicate column"]:
    """Quantiles of resampled cases, by linear interpolation; the resamples of `replicates`.

    Nothing is sorted but the scores themselves, once: a resample only counts, and its quantile
    is where the counts in the order of the scores reach their share.

    Args:
        key: makes the result reproducible.
        plan: what is drawn.
        scores: NaN is left out.
        quantile: 0.5 for the median.
        count: how many resamples.

    Returns:
        One quantile per resample and column; NaN where nothing was drawn.
    """
    items = _Items.of(plan, by_case=True)
    ordered = np.where(np.isnan(scores), np.inf, scores)[:, items.order]
    order = np.argsort(ordered, axis=1, kind="stable")
    there = np.take_along_axis(~np.isnan(scores)[:, items.order], order, 1)
    values = np.where(there, np.take_along_axis(ordered, order, 1), 0.0)
    size = -(-items.size // _BLOCK) * _BLOCK
    grow = lambda x: np.pad(x, ((0, 0), (0, size - x.shape[1])))
    order, values, there = grow(order.astype(np.int32)), grow(values), grow(there.astype(np.uint8))
    found = _in_chunks(
        key, items, count, _quantiles, False, order, values, there, np.float64(quantile)
    )
    return found[0]


def poisson_weights(
    key: PRNGKeyArray, units: int, *, count: int
) -> UInt8[np.ndarray, "replicate unit"]:
    """Independent Poisson(1) weights: a bootstrap of every subset at once.

    Drawn once, they serve any slice: leaving units out needs no new draw, while counts of n
    drawn from n would no longer add up to the size of the slice.

    References:
        Chamandy, N., Muralidharan, O., Najmi, A. & Naidu, S. (2012). Estimating uncertainty for
        massive data streams. Google technical report.
    """
    size = packing.bucket(units, smallest=8, steps=8)
    chunk, chunks = _chunks(count, size)
    with jax.threefry_partitionable(False):
        drawn = _poisson(key, chunk=chunk, chunks=chunks, size=size)
    return np.asarray(drawn).reshape(-1, size)[:count, :units]


def reweighted(
    weights: UInt8[AnyArray, "replicate unit"],
    numerators: Float[np.ndarray, "column unit"],
    denominators: Float[np.ndarray, "#column unit"] | None = None,
    *,
    errors: bool = False,
) -> tuple[Float[np.ndarray, "replicate column"], Float[np.ndarray, "replicate column"] | None]:
    """As `replicates`, with weights that were drawn before."""
    share = np.ones_like(numerators[:1]) if denominators is None else denominators
    residual, ratio = residuals(numerators, share)
    size = packing.bucket(residual.shape[1], smallest=8, steps=2)
    chunk, chunks = _chunks(weights.shape[0], size)
    padded = np.zeros((chunk * chunks, size), np.uint8)
    padded[: weights.shape[0], : weights.shape[1]] = weights
    columns = packing.bucket(residual.shape[0], smallest=1)
    a = _padded(_grown(residual.T, size), columns)
    b = _grown(share.T, size)
    b = _padded(b, columns) if b.shape[1] > 1 else b
    with jax.enable_x64(True):
        found = _weighted_ratios(padded.reshape(chunks, chunk, size), a, b, errors=errors)
    found = np.asarray(found).swapaxes(0, 1).reshape(2 if errors else 1, -1, columns)
    found = found[:, : weights.shape[0], : residual.shape[0]]
    return _estimated(found, ratio, np.count_nonzero(share, axis=-1))


def _estimated(
    found: Float[np.ndarray, "kind replicate column"],
    ratio: Float[np.ndarray, "column"],
    units: Int[np.ndarray, "#column"],
) -> tuple[Float[np.ndarray, "replicate column"], Float[np.ndarray, "replicate column"] | None]:
    """Ratios, and their standard errors if they were asked for, from what `_ratios` found."""
    with np.errstate(invalid="ignore"):
        estimates = ratio + found[0]
    if len(found) == 1:
        return estimates, None
    return estimates, found[1] * np.sqrt(units / np.maximum(units - 1, 1))


def bootstrap_means(
    key: PRNGKeyArray, scores: Float[np.ndarray, "case column"], *, count: int
) -> Float[np.ndarray, "replicate column"]:
    """Means of resampled cases; NaN is left out of its column's means.

    Raises:
        InputError: if there is no case, or `count` is not positive.
    """
    there = ~np.isnan(scores.T)
    return replicates(
        key,
        make_plan(scores.shape[0]),
        np.where(there, scores.T, 0.0),
        None if there.all() else there.astype(float),
        count=count,
    )[0]


def pcg64_means(
    scores: Float[np.ndarray, "column case"], seed: int | tuple[int, ...], *, count: int
) -> Float[np.ndarray, "replicate column"]:
    """Means of the resamples that NumPy's default generator draws, as segauge uses them."""
    generator = np.random.default_rng(seed)
    n = scores.shape[1]
    if n == 0:
        return np.full((count, len(scores)), np.nan)
    block = max(1, _DRAWS // (n * max(1, len(scores))))
    parts = []
    for start in range(0, count, block):
        drawn = generator.integers(0, n, (min(block, count - start), n))
        parts.append(scores[:, drawn].mean(-1).T)
    return np.concatenate(parts)


# What is drawn, as counts.


@dataclass(frozen=True)
class _Items:
    """What weights are counted of: units, or cases where they are drawn within their units.

    Attributes:
        plan: whose items they are.
        by_case: whether each case is weighted, not each unit.
        order: cases in the order of their units.
        most: of the cases of one unit, with room to spare.
        slots: of every unit the first unit that may be drawn in its place, how many they are
            (0 for padding), its first case in `order`, and how many it has.
    """

    plan: Plan
    by_case: bool
    order: np.ndarray
    most: int
    slots: tuple[np.ndarray, ...]

    @staticmethod
    def of(plan: Plan, *, by_case: bool = False) -> "_Items":
        cases = np.bincount(plan.unit, minlength=plan.units)
        padding = packing.bucket(plan.units, smallest=8, steps=8) - plan.units
        slots = (plan.first, plan.size, np.cumsum(cases) - cases, cases)
        return _Items(
            plan,
            by_case or plan.within,
            np.argsort(plan.unit, kind="stable"),
            packing.bucket(int(cases.max()), smallest=1),
            tuple(np.pad(x, (0, padding)).astype(np.uint32) for x in slots),
        )

    @property
    def units(self) -> int:
        """As many as are drawn, padding among them."""
        return self.slots[0].size

    @property
    def size(self) -> int:
        """Of a row of weights."""
        if not self.by_case:
            return self.units
        return packing.bucket(self.order.size, smallest=8, steps=8)

    @property
    def kind(self) -> str:
        if self.plan.within:
            return "within"
        return "spread" if self.by_case and self.plan.clustered else "plain"

    def rows(self, of_cases: np.ndarray) -> np.ndarray:
        """What the weights multiply."""
        found = of_cases[self.order] if self.by_case else self.plan.sums(of_cases)
        return _grown(found, self.size)


def _grown(rows: np.ndarray, size: int) -> np.ndarray:
    return np.pad(rows, ((0, size - rows.shape[0]), (0, 0)))


def _padded(columns: np.ndarray, size: int) -> np.ndarray:
    """More columns, of zeros; of a denominator that would be 0/0, which nobody looks at."""
    return np.pad(columns, ((0, 0), (0, size - columns.shape[1])))


def _chunks(count: int, size: int) -> tuple[int, int]:
    """Resamples in a chunk, and chunks: whatever the number of devices, so that draws are too."""
    chunks = -(-count // max(1, _DRAWS // size))
    return -(-count // chunks), chunks


def _in_chunks(
    key: PRNGKeyArray,
    items: _Items,
    count: int,
    estimate: Callable[..., Any],
    errors: bool,
    *data: Any,
) -> np.ndarray:
    """Draw weights and estimate, chunk by chunk, over this host's devices.

    Indexed by kind, replicate and column.
    """
    drawn = items.size if items.kind != "within" else items.units * items.most
    chunk, chunks = _chunks(count, max(drawn, items.size))
    devices = _devices.own_devices()
    with jax.threefry_partitionable(False), jax.enable_x64(True):  # drawn on one device each
        program = _program(items.kind, chunk, items.size, items.most, estimate, errors, devices)
        keys = np.asarray(_keys(key, chunks, _devices.even(chunks, devices)))
        found = program(keys, items.slots, data)
    found = np.asarray(found)[:chunks]
    return found.swapaxes(0, 1).reshape(found.shape[1], -1, found.shape[-1])[:, :count]


@partial(jax.jit, static_argnums=(1, 2))
def _keys(key: PRNGKeyArray, chunks: int, size: int) -> UInt32[Array, "chunk word"]:
    """One per chunk, the last again until there are as many as wanted."""
    keys = jax.random.key_data(jax.random.split(key, chunks))
    return jnp.concatenate([keys, jnp.repeat(keys[-1:], size - chunks, axis=0)])


@lru_cache(maxsize=64)
def _program(
    kind: str,
    chunk: int,
    size: int,
    most: int,
    estimate: Callable[..., Any],
    errors: bool,
    devices: _devices.Devices,
) -> _devices.Spread:
    def one(key: Any, slots: Any, data: Any) -> Any:
        weights = _weights(jax.random.wrap_key_data(key), slots, kind, chunk, size, most)
        return estimate(weights, *data, errors=errors)

    def resampled(keys: Any, slots: Any, data: Any) -> Any:
        return jax.lax.map(lambda key: one(key, slots, data), keys)

    return _devices.Spread(resampled, (True, False, False), devices)


def _weights(
    key: PRNGKeyArray, slots: Any, kind: str, chunk: int, size: int, most: int
) -> UInt8[Array, "replicate item"]:
    """How often each item is drawn, in as many draws as there are; 255 is out of reach."""
    first, among, start, cases = slots
    units = first.shape[0]
    drawn = jnp.broadcast_to(among > 0, (chunk, units))
    key, later = jax.random.split(key) if kind == "within" else (key, key)
    at = first + _scaled(jax.random.bits(key, (chunk, units), jnp.uint32), among)
    if kind == "within":
        bits = jax.random.bits(later, (chunk, units, most), jnp.uint32)
        many = cases[at]
        place = start[at][..., None] + _scaled(bits, many[..., None])
        drawn = drawn[..., None] & (jnp.arange(most, dtype=jnp.uint32) < many[..., None])
        return _counted(place, drawn, chunk, size)
    counts = _counted(at, drawn, chunk, size if kind == "plain" else units)
    if kind == "plain":
        return counts
    case = jnp.arange(size, dtype=jnp.uint32)
    ends = jnp.cumsum(cases, dtype=jnp.uint32)  # also of padding, so that they ascend
    unit = jnp.searchsorted(ends, case, side="right").astype(jnp.int32)
    kept = case < ends[-1]
    return jnp.where(kept, counts[:, jnp.where(kept, unit, 0)], jnp.uint8(0))


def _counted(at: Any, drawn: Any, chunk: int, size: int) -> UInt8[Array, "replicate item"]:
    row = jnp.arange(chunk, dtype=jnp.int32).reshape(-1, *[1] * (at.ndim - 1)) * size
    cell = (row + at.astype(jnp.int32)).reshape(-1)
    counts = jnp.zeros(chunk * size, jnp.uint8)
    counts = counts.at[cell].add(drawn.reshape(-1).astype(jnp.uint8), mode="promise_in_bounds")
    return counts.reshape(chunk, size)


def _scaled(bits: UInt32[Array, "..."], n: UInt32[AnyArray, "..."]) -> UInt32[Array, "..."]:
    """floor(bits x n / 2**32): uniform on 0 ... n - 1, in 32-bit arithmetic."""
    high, low = bits >> 16, bits & 0xFFFF
    n_high, n_low = n >> 16, n & 0xFFFF
    middle = high * n_low + ((low * n_low) >> 16)
    carry = (middle & 0xFFFF) + low * n_high
    return high * n_high + (middle >> 16) + (carry >> 16)


@partial(jax.jit, static_argnames=("chunk", "chunks", "size"))
def _poisson(
    key: PRNGKeyArray, *, chunk: int, chunks: int, size: int
) -> UInt8[Array, "chunk replicate unit"]:
    terms = np.cumsum(np.exp(-1) / np.cumprod([1.0, *range(1, 12)]))
    ends = [np.uint32(min(2**32 - 1, round(2**32 * p))) for p in terms]

    def one(key: PRNGKeyArray) -> UInt8[Array, "replicate item"]:
        bits = jax.random.bits(key, (chunk, size), jnp.uint32)
        return sum((bits >= end).astype(jnp.uint8) for end in ends)  # pyright: ignore

    return jax.lax.map(one, jax.random.split(key, chunks))


# What is estimated from counts.


@partial(jax.jit, static_argnames="errors")
def _weighted_ratios(weights: Any, a: Any, b: Any, *, errors: bool) -> Any:
    return jax.lax.map(lambda w: _ratios(w, a, b, errors=errors), weights)


def _ratios(
    weights: UInt8[Array, "replicate item"],
    a: Float[AnyArray, "item column"],
    b: Float[AnyArray, "item #column"],
    *,
    errors: bool,
) -> Float[Array, "kind replicate column"]:
    """Of residuals `a` and denominators `b`: how far the ratio moves; and its error's root sum."""
    # Without the barrier the conversion is taken into the product, which is then slow.
    w = jax.lax.optimization_barrier(weights.astype(a.dtype))
    columns = jnp.concatenate([a, a * a, a * b, b, b * b] if errors else [a, b], 1)
    sums = jnp.matmul(w, columns, precision=jax.lax.Precision.HIGHEST)
    n, d = a.shape[1], b.shape[1]
    if not errors:
        return (sums[:, :n] / sums[:, n:])[None]
    total, squares, mixed, share, square = jnp.split(sums, (n, 2 * n, 3 * n, 3 * n + d), axis=1)
    shift = total / share
    spread = jnp.maximum(squares - 2 * shift * mixed + shift**2 * square, 0)
    return jnp.stack([shift, jnp.sqrt(spread) / share])


def _quantiles(
    weights: UInt8[Array, "replicate item"],
    order: Int[AnyArray, "column place"],
    values: Float[AnyArray, "column place"],
    there: UInt8[AnyArray, "column place"],
    quantile: Float[AnyArray, ""],
    *,
    errors: bool,
) -> Float[Array, "1 replicate column"]:
    by_item = weights.T

    def one(column: Any) -> Any:
        order, values, there = column
        blocks = (by_item[order] * there[:, None]).reshape(-1, _BLOCK, weights.shape[0])
        filled = jnp.cumsum(blocks.sum(1, dtype=jnp.int32), axis=0)
        at = (filled[-1] - 1) * quantile
        low = jnp.floor(at).astype(jnp.int32)
        below, above = (values[_place(blocks, filled, k)] for k in (low, low + (at > low)))
        found = below + (at - low) * (above - below)
        return jnp.where(filled[-1] > 0, found, jnp.nan)

    return jax.lax.map(one, (order, values, there)).T[None]


def _place(blocks: Any, filled: Any, rank: Any) -> Any:
    """Where the count in sorted order passes `rank`: first which block, then where in it."""
    block = (filled <= rank).sum(0)
    before = jnp.where(block > 0, jnp.take_along_axis(filled, block[None] - 1, 0)[0], 0)
    inside = jnp.take_along_axis(blocks, block[None, None], 0)[0].astype(jnp.int32)
    return block * _BLOCK + (before + jnp.cumsum(inside, 0) <= rank).sum(0)
