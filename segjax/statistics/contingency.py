"""How often each segment of the reference meets each segment of the prediction."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Integer, Num

from segjax._numerics import AnyArray, namespace, ratio
from segjax.case import check_same_grid


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Contingency:
    """Voxels that each segment of the reference shares with each one of the prediction.

    Segment 0 of either is the background, whether or not it occurs; a segment of size 0 is
    not there, so that arrays may be padded. The pairs are those of a whole table, row by row
    (rows are the reference), or, where a table would be large and nearly empty, those listed.
    Expected counts (floats) will do.

    Attributes:
        counts: voxels of each pair.
        reference_sizes: voxels of each segment of the reference.
        prediction_sizes: voxels of each segment of the prediction.
        reference: number of each pair's segment in the reference; None for a whole table.
        prediction: number of each pair's segment in the prediction. No pair is listed twice,
            but for padding: pairs that count nothing.
    """

    counts: Num[AnyArray, "*batch pair"]
    reference_sizes: Num[AnyArray, "*batch reference"]
    prediction_sizes: Num[AnyArray, "*batch prediction"]
    reference: Int[AnyArray, "*batch pair"] | None = None
    prediction: Int[AnyArray, "*batch pair"] | None = None

    @classmethod
    def from_table(cls, table: Num[AnyArray, "*batch reference prediction"]) -> "Contingency":
        """From a table whose rows are the segments of the reference, the background first."""
        flat = table.reshape(*table.shape[:-2], -1)
        return cls(flat, table.sum(-1), table.sum(-2))

    @property
    def table(self) -> Num[AnyArray, "*batch reference prediction"]:
        """The whole table."""
        shape = (self.reference_sizes.shape[-1], self.prediction_sizes.shape[-1])
        counts = self.counts
        if self.reference is not None:
            cell = self.reference * shape[1] + self.prediction
            counts = _gather(cell, counts, shape[0] * shape[1], "sum")
        return counts.reshape(*counts.shape[:-1], *shape)

    def __add__(self, other: "Contingency") -> "Contingency":
        return Contingency.from_table(self.table + other.table)

    @property
    def total(self) -> Num[AnyArray, "*batch"]:
        return self.reference_sizes.sum(-1)

    @property
    def pairs(self) -> tuple[Int[AnyArray, "*batch pair"], Int[AnyArray, "*batch pair"]]:
        """Numbers of the segments of each pair, in the reference and in the prediction."""
        if self.reference is not None:
            return self.reference, self.prediction
        numbers = namespace(self.counts).arange
        rows, columns = self.reference_sizes.shape[-1], self.prediction_sizes.shape[-1]
        return self.of_reference(numbers(rows)), self.of_prediction(numbers(columns))

    @property
    def overlapping(self) -> Bool[AnyArray, "*batch pair"]:
        """Pairs of two objects, neither of them the background, that share a voxel."""
        shared = lambda row, column: (self.counts > 0) & (row > 0) & (column > 0)
        return self._once("_overlapping", lambda: shared(*self.pairs))

    @property
    def union(self) -> Num[AnyArray, "*batch pair"]:
        """Voxels in either segment of each pair."""
        apart = lambda: self.of_reference(self.reference_sizes) - self.counts
        return self._once("_union", lambda: apart() + self.of_prediction(self.prediction_sizes))

    @property
    def iou(self) -> Num[AnyArray, "*batch pair"]:
        """Intersection over union of each pair."""
        return self._once("_iou", lambda: ratio(self.counts, self.union))

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        """What many metrics share, kept in host memory; a traced value dies with its trace."""
        if namespace(self.counts) is jnp:
            return compute()
        if name not in self.__dict__:
            self.__dict__[name] = compute()
            self.__dict__[name].setflags(write=False)  # nobody may change what others take
        return self.__dict__[name]

    @property
    def reference_objects(self) -> Int[AnyArray, "*batch"]:
        """How many objects the reference has."""
        sizes = self.reference_sizes
        return self._once("_reference_objects", lambda: (sizes[..., 1:] > 0).sum(-1))

    @property
    def prediction_objects(self) -> Int[AnyArray, "*batch"]:
        """How many objects the prediction has."""
        sizes = self.prediction_sizes
        return self._once("_prediction_objects", lambda: (sizes[..., 1:] > 0).sum(-1))

    def of_reference(self, values: Any) -> Any:
        """From one value per segment of the reference to one per pair."""
        if self.reference is not None:
            return _take(values, self.reference)
        xp, columns = namespace(values), self.prediction_sizes.shape[-1]
        return xp.repeat(values, columns, axis=-1)

    def of_prediction(self, values: Any) -> Any:
        """From one value per segment of the prediction to one per pair."""
        if self.prediction is not None:
            return _take(values, self.prediction)
        rows = self.reference_sizes.shape[-1]
        return namespace(values).tile(values, (1,) * (values.ndim - 1) + (rows,))

    def over_reference(self, values: Any, how: str = "sum") -> Any:
        """The "sum", "max" or "min" of values >= 0 over the pairs of each reference segment."""
        size = self.reference_sizes.shape[-1]
        if self.reference is not None:
            return _gather(self.reference, values, size, how)
        return getattr(values.reshape(*values.shape[:-1], size, -1), how)(-1)

    def over_prediction(self, values: Any, how: str = "sum") -> Any:
        """The "sum", "max" or "min" of values >= 0 over the pairs of each predicted segment."""
        size = self.prediction_sizes.shape[-1]
        if self.prediction is not None:
            return _gather(self.prediction, values, size, how)
        return getattr(values.reshape(*values.shape[:-1], -1, size), how)(-2)

    def of_sizes(self, least: float | int, most: float | int) -> "Contingency":
        """With the objects of these sizes alone; the others become background.

        A predicted object goes with the reference object that it shares most voxels with; one
        that meets no object stays if its own size is within the limits.

        Args:
            least: smallest size in voxels.
            most: size in voxels that is too large.
        """
        xp = namespace(self.counts)
        within = lambda sizes: (sizes >= least) & (sizes < most)
        kept = within(self.reference_sizes)
        shared = xp.where(self.overlapping, self.counts, 0)
        largest = self.of_prediction(self.over_prediction(shared, "max"))
        meets = (shared > 0) & (shared == largest)
        with_kept = self.over_prediction(meets & self.of_reference(kept), "max")
        alone = ~self.over_prediction(meets, "max")
        stays = with_kept | (alone & within(self.prediction_sizes))
        both = self.of_reference(kept) & self.of_prediction(stays)
        rest = lambda sizes, there: _with_background(xp.where(there, sizes, 0), sizes)
        return Contingency(
            xp.where(both & self.overlapping, self.counts, 0),
            rest(self.reference_sizes, kept),
            rest(self.prediction_sizes, stays),
            self.reference,
            self.prediction,
        )


def _with_background(sizes: Any, before: Any) -> Any:
    """Put into the background what was taken from the other segments."""
    xp = namespace(sizes)
    background = before.sum(-1, keepdims=True) - sizes[..., 1:].sum(-1, keepdims=True)
    return xp.concatenate([background, sizes[..., 1:]], axis=-1)


def _take(values: Any, index: Any) -> Any:
    if values.ndim == index.ndim == 1:
        return values[index]
    xp = namespace(values, index)
    shape = (*index.shape[:-1], values.shape[-1])
    return xp.take_along_axis(xp.broadcast_to(values, shape), index, axis=-1)


def _gather(index: Any, values: Any, size: int, how: str) -> Any:
    """Sum, maximum or minimum of the values >= 0 that have the same index."""
    if namespace(index, values) is jnp:
        one = partial(_gather_traced, size=size, how=how)
        for _ in range(index.ndim - 1):
            one = jax.vmap(one)
        return one(index, values)
    rows = index.reshape(math.prod(index.shape[:-1]), index.shape[-1])
    flat = (rows + size * np.arange(len(rows))[:, None]).reshape(-1)
    values = np.broadcast_to(values, index.shape)
    shape, total = (*index.shape[:-1], size), size * len(rows)
    if how == "sum":  # in float64, in which whole numbers below 2**53 are exact
        sums = np.bincount(flat, values.reshape(-1), total).reshape(shape)
        return sums if values.dtype.kind == "f" else sums.astype(np.int64)
    out = np.full(total, _start(values.dtype, how))
    getattr(np, f"{how}imum").at(out, flat, values.reshape(-1))
    return out.reshape(shape)


def _gather_traced(index: Any, values: Any, *, size: int, how: str) -> Any:
    if values.dtype == jnp.bool_:
        numbers = _gather_traced(index, values.astype(jnp.int32), size=size, how=how)
        return numbers if how == "sum" else numbers > 0
    place = jnp.full(size, _start(values.dtype, how)).at[index]
    return {"sum": place.add, "max": place.max, "min": place.min}[how](values)


def _start(dtype: Any, how: str) -> Any:
    """What a maximum or minimum of nothing is, so that it can be seen to be of nothing."""
    if how != "min":
        return np.zeros((), dtype)
    return np.array(np.inf if dtype.kind == "f" else np.iinfo(dtype).max, dtype)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ConfusionMatrix:
    """Voxels by label of the reference (rows) and of the prediction (columns).

    Rows and columns stand for the same labels, in the same order.
    """

    counts: Num[AnyArray, "*batch label label"]

    def __add__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        return type(self)(self.counts + other.counts)

    @property
    def total(self) -> Num[AnyArray, "*batch"]:
        return self.counts.sum((-1, -2))


def side_by_side(tables: Sequence[Contingency]) -> Contingency:
    """The objects of several images as those of one; in host memory.

    Of any metric of objects, the score of all images together, as the Cell Tracking Challenge
    pools a sequence, and panoptic quality a data set.
    """
    counts, pairs, sizes = [], ([], []), ([], [])
    background = [0, 0]
    beyond = [1, 1]
    for t in tables:
        chosen = np.flatnonzero(t.overlapping)
        counts.append(t.counts[chosen])
        indices = t.pairs
        for side, own in enumerate((t.reference_sizes, t.prediction_sizes)):
            pairs[side].append(indices[side][chosen] + beyond[side] - 1)
            sizes[side].append(own[1:])
            background[side] += own[0]
            beyond[side] += own.size - 1
    joined = lambda parts, dtype: np.concatenate([np.zeros(0, dtype), *parts])
    return Contingency(
        joined(counts, np.int64),
        *(np.concatenate([[b], *own]) for b, own in zip(background, sizes, strict=True)),
        *(joined(own, np.intp) for own in pairs),
    )


_MOST_CELLS = 2**26  # of a table while tracing: 256 MB; beyond, pairs are found by sorting


def contingency(
    *,
    reference: Integer[Array, "..."] | Bool[Array, "..."],
    prediction: Integer[Array, "..."] | Bool[Array, "..."],
    num_reference: int,
    num_prediction: int,
    valid: Bool[Array, "..."] | None = None,
) -> Contingency:
    """Count label pairs of one case in one pass over the voxels; pure, for `jit` and `vmap`.

    Up to 2**26 pairs are counted in a table (4 bytes each); more are found by sorting the
    voxels, and listed: some 40 bytes a voxel.

    Args:
        reference: labels from 0 to `num_reference` - 1; others are not counted.
        prediction: labels from 0 to `num_prediction` - 1, of the same shape.
        num_reference: segments of the reference, background included; fixed while tracing.
        num_prediction: segments of the prediction.
        valid: voxels that count; all by default.

    Returns:
        int32 counts.

    Raises:
        InputError: if the shapes differ.
    """
    check_same_grid(reference, prediction)
    r, p = (x.reshape(-1).astype(jnp.int32) for x in (reference, prediction))
    counted = (r >= 0) & (r < num_reference) & (p >= 0) & (p < num_prediction)
    if valid is not None:
        counted &= valid.reshape(-1)
    cells = num_reference * num_prediction
    if cells > _MOST_CELLS:
        return _by_sorting(r, p, counted, num_reference, num_prediction)
    cell = jnp.where(counted, r * num_prediction + p, cells)
    counts = jnp.zeros(cells, jnp.int32).at[cell].add(1, mode="drop")
    return Contingency.from_table(counts.reshape(num_reference, num_prediction))


def _by_sorting(r: Any, p: Any, counted: Any, rows: int, columns: int) -> Contingency:
    """As many pairs as voxels, most of them padding: never too few."""
    last = jnp.int32(rows)  # voxels that do not count go to the end
    r, p = jax.lax.sort((jnp.where(counted, r, last), jnp.where(counted, p, 0)), num_keys=2)
    counts = (r < last).astype(jnp.int32)
    new = jnp.concatenate([jnp.ones(1, bool), (r[1:] != r[:-1]) | (p[1:] != p[:-1])])
    pair = jnp.cumsum(new) - 1
    at_pair = lambda x: jnp.zeros_like(x).at[pair].max(x)
    sizes = lambda x, n: jnp.zeros(n, jnp.int32).at[x].add(counts, mode="drop")
    return Contingency(
        jnp.zeros_like(r).at[pair].add(counts),
        sizes(r, rows),
        sizes(p, columns),
        at_pair(jnp.where(r < last, r, 0)),
        at_pair(p),
    )
