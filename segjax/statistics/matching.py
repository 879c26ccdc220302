"""Which predicted object stands for which object of the reference: the rules in use.

A matching is a choice among the pairs of a `Contingency`, one boolean per pair. Thresholds are
decided in whole numbers: in floating point, pairs exactly at 0.6 or 0.7 fall on either side.
(Of `Centroids`, which list no pairs, it is the partner of each reference object.)
"""

import math
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace, root
from segjax.ops import assignment
from segjax.statistics.centroid import Centroids
from segjax.statistics.contingency import Contingency


Chosen: TypeAlias = Bool[AnyArray, "*batch pair"]

_FINEST = 10_000  # thresholds are fractions with at most this denominator


def by_majority(t: Contingency) -> Chosen:
    """Pairs whose predicted object covers more than half of the reference object.

    At most one for each reference object; a predicted object may cover several. The rule of
    the Cell Tracking Challenge.
    """
    sizes = t.of_reference(t.reference_sizes)
    return t.overlapping & (t.counts > sizes - t.counts)


def by_containment(t: Contingency) -> Chosen:
    """Pairs whose reference object covers more than half of the predicted object."""
    sizes = t.of_prediction(t.prediction_sizes)
    return t.overlapping & (t.counts > sizes - t.counts)


def by_overlap(t: Contingency) -> Chosen:
    """For each reference object the predicted one that shares most voxels with it.

    Of several that do the smallest; predicted objects may be chosen more than once.
    """
    return _best(t, (t.counts, t.iou), t.over_reference, t.of_reference)


def by_overlap_back(t: Contingency) -> Chosen:
    """For each predicted object the reference object that shares most voxels with it."""
    return _best(t, (t.counts, t.iou), t.over_prediction, t.of_prediction)


def by_best_iou(t: Contingency) -> Chosen:
    """For each reference object the predicted one with the highest IoU, the first of equals.

    Predicted objects may be chosen more than once.
    """
    return _best(t, (t.iou,), t.over_reference, t.of_reference)


def by_iou(t: Contingency, *, threshold: float | int = 0.5, strict: bool = False) -> Chosen:
    """One-to-one pairs with an IoU of at least `threshold`: as many as can be.

    Among several such choices, one of the greatest total IoU. From 0.5 on, objects that reach
    the threshold have no other partner but equals at 0.5; below, pairs are assigned by the
    Hungarian algorithm.

    Args:
        t: the table.
        threshold: in [0, 1], to four decimals.
        strict: more than `threshold`, not at least.

    Raises:
        InputError: if `threshold` is not in [0, 1], or, below 0.5 while tracing, there are too
            many objects for a table.
    """
    candidates = reaching(t, threshold=threshold, strict=strict)
    if threshold > 0.5 or (threshold == 0.5 and strict):
        return candidates
    if threshold == 0.5:
        # Only halves of one object are equal partners: keep the first of them.
        candidates = _first(candidates, t.over_reference, t.of_reference)
        return _first(candidates, t.over_prediction, t.of_prediction)
    xp = namespace(t.counts)
    fewer = xp.minimum(t.reference_objects, t.prediction_objects)[..., None]
    return _assigned(t, xp.where(candidates, _many_first(t.iou, fewer), 0))


def by_total_iou(t: Contingency) -> Chosen:
    """One-to-one pairs of the greatest total IoU, however small each is.

    Raises:
        InputError: while tracing, if there are too many objects for a table.
    """
    return _assigned(t, namespace(t.counts).where(t.overlapping, t.iou, 0))


def by_centroids(c: Centroids, *, distance: float | int) -> Int[AnyArray, "*batch reference"]:
    """One-to-one pairs whose centroids are at most `distance` apart: as many as can be.

    Among several such choices, one of the least total distance.

    Args:
        c: the centroids.
        distance: in the unit of spacing; pairs beyond it by a millionth still match.

    Returns:
        Number, from 0, of the predicted object for each reference object; -1 for none.

    Raises:
        InputError: if `distance` is negative.
    """
    if not distance >= 0:
        raise InputError(f"distance must not be negative, got {distance}")
    leading = c.reference_there.shape[:-1]
    reach = distance * (1 + 1e-6)
    sides = (c.reference, c.prediction, c.reference_there, c.prediction_there)
    if namespace(*sides) is jnp:
        one = partial(_nearest_traced, reach=reach)
        for _ in leading:
            one = jax.vmap(one)
        return one(*sides)
    partner = np.empty(c.reference_there.shape, int)
    for i in np.ndindex(leading):
        r, p, r_there, p_there = (x[i] for x in sides)
        partner[i] = _nearest_on_host(r, p, r_there, p_there, reach)
    return partner


# Kinds of objects, as of the QANet paper's Figure 1. What is not there is of kind 0.
ACCURATE, MISSED, SPURIOUS, MERGED, SPLIT = range(1, 6)
KINDS = {
    "accurate": ACCURATE,
    "missed": MISSED,
    "spurious": SPURIOUS,
    "merged": MERGED,
    "split": SPLIT,
}


class Kinds(NamedTuple):
    """What becomes of each object: one of `KINDS`, 0 for the background and what is not there."""

    reference: Int[AnyArray, "*batch reference"]
    prediction: Int[AnyArray, "*batch prediction"]


def kinds(t: Contingency) -> Kinds:
    """Say of every object whether it is accurate, missed, spurious, merged or split.

    An object lies in another that has more than half of it. Merged: reference objects that
    lie in one predicted object with others, and that object. Else split: a reference object in
    which several predicted ones lie, and these. Else accurate: a reference object that lies in
    a predicted one, and that. Else missed in the reference, spurious in the prediction.
    """
    xp = namespace(t.counts)
    covered, parts = by_majority(t), by_containment(t)
    together = t.over_prediction(covered) > 1
    broken = t.over_reference(parts) > 1
    of = lambda conditions, rest, sizes: xp.where(
        (sizes > 0) & (xp.arange(sizes.shape[-1]) > 0),
        xp.select(conditions, [xp.asarray(k) for k in (MERGED, SPLIT, ACCURATE)], rest),
        0,
    )
    return Kinds(
        of(
            [
                t.over_reference(covered & t.of_prediction(together), "max"),
                broken,
                t.over_reference(covered, "max"),
            ],
            MISSED,
            t.reference_sizes,
        ),
        of(
            [
                together,
                t.over_prediction(parts & t.of_reference(broken), "max"),
                t.over_prediction(covered, "max"),
            ],
            SPURIOUS,
            t.prediction_sizes,
        ),
    )


def partners(t: Contingency, chosen: Chosen) -> Int[AnyArray, "*batch reference"]:
    """Number of the predicted object chosen for each reference segment, 0 for none."""
    number = namespace(chosen).where(chosen, t.pairs[1], 0)
    return t.over_reference(number, "max")


def partners_back(t: Contingency, chosen: Chosen) -> Int[AnyArray, "*batch prediction"]:
    """Number of the reference object for which each predicted segment is chosen, 0 for none."""
    number = namespace(chosen).where(chosen, t.pairs[0], 0)
    return t.over_prediction(number, "max")


def reaching(t: Contingency, *, threshold: float | int, strict: bool = False) -> Chosen:
    """Pairs of objects with an IoU of at least (strictly: more than) `threshold`.

    Raises:
        InputError: if `threshold` is not in [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold must be in [0, 1], got {threshold}")
    share = _share(threshold)
    parts, whole = (t.counts, share.denominator), (t.union, share.numerator)
    reached = _less(*whole, *parts) if strict else ~_less(*parts, *whole)
    return t.overlapping & reached


@lru_cache
def _share(threshold: float | int) -> Fraction:
    return Fraction(threshold).limit_denominator(_FINEST)


def _less(a: Any, m: int, b: Any, n: int) -> Any:
    """Whether a m < b n, exactly."""
    if namespace(a, b) is np or jnp.issubdtype(a.dtype, jnp.floating):
        return a * m < b * n
    (high, low), (other_high, other_low) = _product(a, m), _product(b, n)
    return (high < other_high) | ((high == other_high) & (low < other_low))


def _product(a: Any, m: int) -> tuple[Any, Any]:
    """The product, of up to 46 bits, as its upper 32 bits and the lower 16 (JAX has no 64)."""
    a = a.astype(jnp.uint32)
    low = (a & 0xFFFF) * jnp.uint32(m)
    return (a >> 16) * jnp.uint32(m) + (low >> 16), low & 0xFFFF


def _best(t: Contingency, scores: tuple[Any, ...], over: Any, spread: Any) -> Any:
    """Of the pairs of each segment the one with the highest scores, later ones settling ties."""
    chosen = t.overlapping
    for score in scores:
        score = namespace(score).where(chosen, score, 0)
        chosen = chosen & (score == spread(over(score, "max")))
    return _first(chosen, over, spread)


def _first(chosen: Any, over: Any, spread: Any) -> Any:
    """Of the chosen pairs of each segment the first."""
    xp = namespace(chosen)
    index = xp.arange(chosen.shape[-1])
    earliest = over(xp.where(chosen, index, chosen.shape[-1]), "min")
    return chosen & (index == spread(earliest))


def _many_first(gain: Any, most: Any) -> Any:
    """What pairs are worth, if any pair more is to be worth more than any gain, of 0 to 1.

    There are at most so many pairs.
    """
    return 1 + gain / (2 * namespace(gain, most).maximum(most, 1))


def _nearness(apart: Any) -> Any:
    """From 1 for pairs that coincide to 0 for the farthest."""
    farthest = apart.max(initial=0)
    return 1 - apart / namespace(apart).where(farthest > 0, farthest, 1)


def _nearest_on_host(r: Any, p: Any, r_there: Any, p_there: Any, reach: float) -> np.ndarray:
    from scipy.spatial import KDTree

    partner = np.full(len(r), -1)
    rows, columns = np.flatnonzero(r_there), np.flatnonzero(p_there)
    if rows.size and columns.size:
        trees = KDTree(r[rows]), KDTree(p[columns])
        near = trees[0].sparse_distance_matrix(trees[1], reach, output_type="ndarray")
        row, column = near["i"], near["j"]
        worth = _many_first(_nearness(near["v"]), min(rows.size, columns.size))
        chosen = assignment.assign_pairs(row, column, worth)
        partner[rows[row[chosen]]] = columns[column[chosen]]
    return partner


def _nearest_traced(r: Any, p: Any, r_there: Any, p_there: Any, reach: float) -> Any:
    apart = root(((r[:, None] - p) ** 2).sum(-1))
    near = r_there[:, None] & p_there & (apart <= reach)
    fewer = jnp.minimum(r_there.sum(), p_there.sum())
    worth = _many_first(_nearness(jnp.where(near, apart, 0)), fewer)
    chosen = assignment.assign(jax.lax.stop_gradient(jnp.where(near, worth, 0)))
    return jnp.where(chosen.any(1), chosen.argmax(1), -1)


def _assigned(t: Contingency, worth: Any) -> Any:
    if namespace(worth) is np:
        flat = (math.prod(worth.shape[:-1]), worth.shape[-1])
        rows = lambda x: np.broadcast_to(x, worth.shape).reshape(flat)
        each = zip(rows(worth), *map(rows, t.pairs), strict=True)
        return np.stack([_assigned_on_host(*row) for row in each]).reshape(worth.shape)
    if t.reference is not None:
        raise InputError(
            f"{t.reference_sizes.shape[-1]} x {t.prediction_sizes.shape[-1]} objects are too many "
            "to be assigned while tracing; pass NumPy arrays, or a threshold of 0.5 or more"
        )
    shape = (t.reference_sizes.shape[-1], t.prediction_sizes.shape[-1])
    worth = jax.lax.stop_gradient(worth)  # a choice has none
    one = assignment.assign
    for _ in range(worth.ndim - 1):
        one = jax.vmap(one)
    # The background shares nothing, so it takes no part.
    return one(worth.reshape(*worth.shape[:-1], *shape)).reshape(worth.shape)


def _assigned_on_host(worth: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    there = np.flatnonzero(worth)
    chosen = np.zeros(worth.shape, bool)
    chosen[there] = assignment.assign_pairs(row[there], column[there], worth[there])
    return chosen
