"""How often each segment of the reference meets each segment of the prediction."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Integer, Num

from segjax._compiling import counts_on_host
from segjax._errors import InputError
from segjax._numerics import AnyArray
from segjax.case import Case, check_same_grid
from segjax.ops import packing


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Contingency:
    """Joint voxel counts: reference segments are rows, predicted ones columns.

    Row 0 and column 0 are the background, whether or not it occurs. Rows and columns that
    count nothing are segments that are not there: metrics pass over them, so tables may be
    padded. Expected counts (floats) will do.
    """

    counts: Num[AnyArray, "*batch reference prediction"]

    def __add__(self, other: "Contingency") -> "Contingency":
        return type(self)(self.counts + other.counts)

    @property
    def reference_sizes(self) -> Num[AnyArray, "*batch reference"]:
        return self.counts.sum(-1)

    @property
    def prediction_sizes(self) -> Num[AnyArray, "*batch prediction"]:
        return self.counts.sum(-2)

    @property
    def total(self) -> Num[AnyArray, "*batch"]:
        return self.counts.sum((-1, -2))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ConfusionMatrix(Contingency):
    """Contingency whose rows and columns stand for the same labels, in the same order."""


def contingency(
    *,
    reference: Integer[Array, "..."] | Bool[Array, "..."],
    prediction: Integer[Array, "..."] | Bool[Array, "..."],
    num_reference: int,
    num_prediction: int,
    valid: Bool[Array, "..."] | None = None,
) -> Contingency:
    """Count label pairs of one case in one pass over the voxels; pure, for `jit` and `vmap`.

    Args:
        reference: labels from 0 to `num_reference` - 1; others are not counted.
        prediction: labels from 0 to `num_prediction` - 1, of the same shape.
        num_reference: rows of the table, background included; fixed while tracing.
        num_prediction: columns of the table.
        valid: voxels that count; all by default.

    Returns:
        int32 counts of shape (num_reference, num_prediction).

    Raises:
        ValueError: if the shapes differ, or the table has 2**31 cells or more.
    """
    check_same_grid(reference, prediction)
    cells = num_reference * num_prediction
    if cells >= 2**31:
        raise ValueError(f"a table of {num_reference} x {num_prediction} segments is too large")
    r, p = (x.reshape(-1).astype(jnp.int32) for x in (reference, prediction))
    counted = (r >= 0) & (r < num_reference) & (p >= 0) & (p < num_prediction)
    if valid is not None:
        counted &= valid.reshape(-1)
    cell = jnp.where(counted, r * num_prediction + p, cells)
    counts = jnp.zeros(cells, jnp.int32).at[cell].add(1, mode="drop")
    return Contingency(counts.reshape(num_reference, num_prediction))


# Below: from the host, where labels may be any 64-bit integers. Label maps are piecewise
# constant, so voxels are first gathered into runs of equal pairs; only runs are relabelled
# and only they travel to the device.

_FEW_CELLS = 2**22  # up to here a table with gaps is quicker than renumbering
_MOST_CELLS = 2**28  # a table of 1 GiB
_LONGEST = 2**30  # runs are cut here, so that any of them fits in int32


def count_segments(case: Case) -> Contingency:
    """Contingency of a case in host memory, segments in ascending order of their label.

    Exact at any size; int64 counts.

    Raises:
        InputError: if the table would not fit in memory.
    """
    r, p, length = _runs(case)
    if case.wanted is not None and not case.foreground:
        r, p = (np.where(np.isin(x, case.wanted), x, 0) for x in (r, p))
    rows, columns = (int(x.max(initial=0)) + 1 for x in (r, p))
    if rows * columns > _FEW_CELLS:
        rows, r = _relabel(r)
        columns, p = _relabel(p)
    counts = _tabulate(r, p, length, rows, columns)
    there = [np.append(True, counts[1:].any(1)), np.append(True, counts[:, 1:].any(0))]
    return Contingency(counts if all(map(np.all, there)) else counts[np.ix_(*there)])


def count_matrix(case: Case) -> ConfusionMatrix:
    """Confusion matrix of a case in host memory; int64 counts.

    Row and column 0 stand for every label that is not wanted (the background among them),
    unless the background is itself wanted; then only pairs of wanted labels are counted.
    """
    r, p, length = _runs(case)
    if case.foreground:
        r, p = ((x != 0).astype(np.uint8) for x in (r, p))
    labels = case.labels if 0 in case.labels else (0, *case.labels)
    order = np.argsort(labels)
    known = np.asarray(labels)[order]
    place = [np.minimum(np.searchsorted(known, x), len(known) - 1) for x in (r, p)]
    listed = [known[i] == x for i, x in zip(place, (r, p), strict=True)]
    r, p = (np.where(l, order[i], 0) for l, i in zip(listed, place, strict=True))
    if 0 in case.labels:
        length = length * (listed[0] & listed[1])
    return ConfusionMatrix(_tabulate(r, p, length, len(labels), len(labels)))


def _runs(case: Case) -> tuple[np.ndarray, np.ndarray, Any]:
    """Label pair and length of every run of equal pairs, voxels in memory order.

    Where runs are hardly longer than a voxel (noise), all voxels, of length 1.
    """
    r, p = case.reference.reshape(-1), case.prediction.reshape(-1)
    kept = None if case.valid is None else case.valid.reshape(-1)
    if case.ignore is not None:
        kept = r != case.ignore if kept is None else kept & (r != case.ignore)
    change = (r[1:] != r[:-1]) | (p[1:] != p[:-1])
    if kept is not None:
        change |= kept[1:] != kept[:-1]
    as_numbers = lambda x: x.view(np.uint8) if x.dtype == np.bool_ else x
    if np.count_nonzero(change) > r.size // 4:
        return as_numbers(r), as_numbers(p), 1 if kept is None else kept
    change[_LONGEST - 1 :: _LONGEST] = True
    start = np.concatenate([np.zeros(min(r.size, 1), np.intp), np.flatnonzero(change) + 1])
    length = np.diff(start, append=r.size)
    if kept is not None:
        length = length * kept[start]
    return as_numbers(r)[start], as_numbers(p)[start], length


def _relabel(x: np.ndarray) -> tuple[int, np.ndarray]:
    """Replace labels by their rank among those that occur, 0 staying 0."""
    most = int(x.max(initial=0))
    if most < 2**20:
        there = np.zeros(most + 1, bool)
        there[x] = True
        there[0] = True
        rank = np.cumsum(there) - 1
        return int(rank[-1]) + 1, rank[x]
    known, rank = np.unique(x, return_inverse=True)
    shift = int(known[0] != 0)
    return known.size + shift, rank.reshape(-1) + shift


@partial(jax.jit, static_argnames="shape")
def _add_runs(
    row: Int[Array, " run"],
    column: Int[Array, " run"],
    length: Int[Array, " run"],
    *,
    shape: tuple[int, int],
) -> Int[Array, "row column"]:
    table = jnp.zeros(shape[0] * shape[1], jnp.int32)
    return table.at[row * shape[1] + column].add(length, mode="drop").reshape(shape)


def _tabulate(r: np.ndarray, p: np.ndarray, length: Any, rows: int, columns: int) -> np.ndarray:
    if rows * columns > _MOST_CELLS:
        raise InputError(
            f"{rows} reference and {columns} predicted segments need a table of "
            f"{rows * columns:.1e} cells; score the image in tiles, or merge tiny segments"
        )
    if counts_on_host():
        cell = r.astype(np.intp) * columns + p.astype(np.intp)
        # As float64 weights, in which sums of whole numbers below 2**53 are exact.
        weights = None if np.ndim(length) == 0 else length
        total = np.bincount(cell, weights, minlength=rows * columns)
        return total.astype(np.int64, copy=False).reshape(rows, columns)
    length = np.broadcast_to(length, r.shape)
    shape = (packing.bucket(rows, smallest=8), packing.bucket(columns, smallest=8))
    total = np.zeros((rows, columns), np.int64)
    for part in _int32_parts(length):
        runs = packing.bucket(r[part].size, smallest=2**10, steps=2)
        padded = (_padded(x[part], runs) for x in (r, p, length))
        counts = _add_runs(*padded, shape=shape)
        total += np.asarray(counts)[:rows, :columns]
    return total


def _int32_parts(length: np.ndarray) -> list[slice]:
    """Split runs so that no part counts 2**31 voxels."""
    if length.size == 0:
        return []
    group = np.cumsum(length) // _LONGEST
    border = np.flatnonzero(np.diff(group)) + 1
    edges = [0, *border.tolist(), length.size]
    return [slice(a, b) for a, b in pairwise(edges)]


def _padded(x: np.ndarray, size: int) -> Any:
    out = np.zeros(size, np.int32)  # runs of length 0 in cell 0
    out[: x.size] = x
    return out
