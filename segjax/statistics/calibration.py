"""Voxels by the probability that was predicted for them."""

import operator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num, UInt32

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace
from segjax.case import Case, check_same_grid, one_foreground
from segjax.statistics.confusion import Confusion


# As many as the edges of 10, 12, 14, 15, 16, 18, 20, 25, 30, 32, 50 or 100 bins are among.
FINE_BINS = 50_400
# Of what is there, for its logarithm: machine epsilon of float64.
LEAST_PROBABILITY = 2.0**-52


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Calibration:
    """Voxels that are foreground, and that are not, by the probability predicted for them.

    One foreground against the rest; classes of a softmax are scored one by one. Columns are
    in ascending order of the probability, and come in two layouts:

    - From the host, a column for each distinct probability: every metric is exact.
    - While tracing, columns of fixed width 1 / K: column i counts the probabilities from i / K
      to below (i + 1) / K, the last those of 1. These add up over batches and devices, counts
      exactly (`psum`). Errors of voxels are summed beside and are exact. So are calibration
      errors of as many bins as divide K (others may count a column in the bin below). Ranks
      are not, as the voxels of a column tie: with n and m of either kind in a column, AUROC
      is off by at most half of sum n m / (sum n sum m).

    Attributes:
        positives: foreground voxels of each column.
        negatives: other voxels of each column.
        excess: sum of what the probabilities of a column are above its threshold.
        absolute_error: sum of |p - y| over all voxels, y being 1 for foreground, else 0.
        squared_error: sum of (p - y)^2 over all voxels.
        log_loss: sum of -log(p) over the foreground and of -log(1 - p) over the rest.
        levels: the distinct probabilities; None where columns are of fixed width.
    """

    positives: Num[AnyArray, "*batch column"]
    negatives: Num[AnyArray, "*batch column"]
    excess: Float[AnyArray, "*batch column"]
    absolute_error: Float[AnyArray, "*batch"]
    squared_error: Float[AnyArray, "*batch"]
    log_loss: Float[AnyArray, "*batch"]
    levels: Float[AnyArray, "*batch column"] | None = None

    @property
    def thresholds(self) -> Float[AnyArray, "... column"]:
        """The least probability that each column counts; the same for all if of fixed width."""
        return _edges(self.positives.shape[-1] - 1) if self.levels is None else self.levels

    @property
    def total(self) -> Num[AnyArray, "*batch"]:
        return (self.positives + self.negatives).sum(-1)

    @property
    def residuals(self) -> Float[AnyArray, "*batch column"]:
        """Foreground voxels of each column, less how many its probabilities foretell."""
        xp = namespace(self.positives)
        p = xp.asarray(self.thresholds, self.excess.dtype)
        return self.positives * (1 - p) - self.negatives * p - self.excess

    def at_thresholds(self) -> Confusion:
        """Counts if what is at least as probable as a threshold is taken for foreground.

        Returns:
            Counts with one trailing axis, over `thresholds`.
        """
        tp, fp = _from_above(self.positives), _from_above(self.negatives)
        return Confusion(tp=tp, fp=fp, fn=tp[..., :1] - tp, tn=fp[..., :1] - fp)

    def __add__(self, other: "Calibration") -> "Calibration":
        if self.levels is None and other.levels is None:
            if self.positives.shape[-1] != other.positives.shape[-1]:
                raise InputError("columns differ in width; pass the same bins= to both")
            return jax.tree.map(operator.add, self, other)
        if self.levels is None or other.levels is None:
            raise InputError("columns of fixed width and of distinct probabilities do not add up")
        return _merged(self, other)


def _from_above(counts: Any) -> Any:
    """Sum of each column and all after it."""
    xp = namespace(counts)
    return xp.flip(xp.cumsum(xp.flip(counts, -1), -1), -1)


@cache
def _edges(bins: int) -> np.ndarray:
    return (np.arange(bins + 1) / bins).astype(np.float32)


def calibration(
    *,
    reference: Bool[Array, "..."],
    probability: Num[Array, "..."] | Bool[Array, "..."],
    valid: Bool[Array, "..."] | None = None,
    bins: int = FINE_BINS,
) -> Calibration:
    """Count the voxels of one case by their probability; pure, for `jit`, `vmap` and `grad`.

    Args:
        reference: mask taken as the standard.
        probability: predicted probability of it, of the same shape, from 0 to 1 (values are
            not known while tracing, so not checked); taken as float32.
        valid: voxels that count; all by default.
        bins: K of `Calibration`.

    Returns:
        int32 counts and float32 sums, differentiable in the probability.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> mask, probability = jnp.array([False, True, True]), jnp.array([0.25, 0.75, 1.0])
        >>> c = calibration(reference=mask, probability=probability, bins=4)
        >>> c.positives.tolist(), c.negatives.tolist(), float(c.squared_error)
        ([0, 0, 0, 1, 1], [0, 1, 0, 0, 0], 0.125)
    """
    check_same_grid(reference, probability)
    kept = jnp.ones(reference.size, bool) if valid is None else valid.reshape(-1)
    y = reference.reshape(-1)
    # What does not count may hold anything, which must not spread to the sums.
    p = jnp.where(kept, probability.reshape(-1), 0).astype(jnp.float32)
    column = _columns(p, bins)
    counts = jnp.zeros(2 * (bins + 1), jnp.int32)
    counts = counts.at[2 * column + y].add(kept.astype(jnp.int32), mode="promise_in_bounds")
    above = jnp.where(kept, p - _at(bins, column), 0)
    total = lambda x: jnp.where(kept, x, 0).sum()
    right, error = jnp.where(y, p, 1 - p), jnp.where(y, 1 - p, p)
    return Calibration(
        positives=counts[1::2],
        negatives=counts[::2],
        excess=jnp.zeros(bins + 1).at[column].add(above, mode="promise_in_bounds"),
        absolute_error=total(error),
        squared_error=total(error**2),
        log_loss=total(_surprise(right, error)),
    )


def _columns(p: Float[Array, " voxel"], bins: int) -> UInt32[Array, " voxel"]:
    """Number of the last edge that is not above each probability."""
    near = jnp.clip((p * bins).astype(jnp.int32), 0, bins).astype(jnp.uint32)
    # The product is rounded, and may be on the wrong side of an edge.
    near -= p < _at(bins, near)
    above = jnp.minimum(near + 1, bins)
    return jnp.where(p >= _at(bins, above), above, near)


def _at(bins: int, column: Any) -> Any:
    return jnp.asarray(_edges(bins)).at[column].get(mode="promise_in_bounds")


def _surprise(right: Any, error: Any) -> Any:
    """-log(right), from whichever of `right` and `error` = 1 - `right` has more digits."""
    nearly = error < 0.5
    log = jnp.log(jnp.maximum(right, LEAST_PROBABILITY))
    return -jnp.where(nearly, jnp.log1p(-jnp.where(nearly, error, 0)), log)


# Below: from the host, where sorting is quick.


def measure_calibration(case: Case) -> Calibration:
    """Count the voxels of a case in host memory by their probability; see `Calibration`.

    The labels wanted are the foreground. A prediction of labels has probabilities 0 and 1.

    Returns:
        int64 counts and float64 sums, a column for each distinct probability.
    """
    case = one_foreground(case)
    p, y = case.prediction, case.reference
    if case.valid is not None:
        p, y = p[case.valid], y[case.valid]
    if p.dtype == np.bool_:
        p = p.astype(np.float32)
    levels, positives, negatives = _count_distinct(p.reshape(-1), y.reshape(-1))
    there = levels.astype(float)
    elsewhere = 1 - there
    # Of a loss that is a function of the probability of what is there.
    over = lambda loss: (positives * loss(there) + negatives * loss(elsewhere)).sum()
    return Calibration(
        positives=positives,
        negatives=negatives,
        excess=np.zeros(levels.size),
        absolute_error=over(lambda right: 1 - right),
        squared_error=over(lambda right: (1 - right) ** 2),
        log_loss=over(lambda right: -np.log(np.maximum(right, LEAST_PROBABILITY))),
        levels=levels.astype(p.dtype),
    )


def _count_distinct(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct probabilities, ascending, with the foreground and other voxels of each.

    The bits of floats from 0 to 1 are in the order of the floats and leave two of them unused,
    so that a voxel and its probability are one integer, and sorting integers is all there is.
    """
    if not p.size:
        none = np.zeros(1, np.int64)
        return np.zeros(1), none, none
    real, word = (np.float32, np.uint32) if p.dtype.itemsize <= 4 else (np.float64, np.uint64)
    keys = np.abs(p, dtype=real).view(word)  # -0.0 is 0
    keys <<= 1
    keys |= y
    keys.sort()
    changes = (keys[1:] ^ keys[:-1]) > 1
    last = np.append(np.flatnonzero(changes), keys.size - 1)
    voxels = np.diff(last, prepend=-1)
    positives = np.diff(np.cumsum(keys & 1, dtype=np.int64)[last], prepend=0)
    return (keys[last] >> 1).view(real), positives, voxels - positives


def _merged(one: Calibration, other: Calibration) -> Calibration:
    levels, place = np.unique(
        np.concatenate([one.thresholds, other.thresholds]), return_inverse=True
    )
    join = lambda x, y: np.bincount(place, np.concatenate([x, y]), levels.size)
    return Calibration(
        positives=join(one.positives, other.positives).astype(np.int64),
        negatives=join(one.negatives, other.negatives).astype(np.int64),
        excess=join(one.excess, other.excess),
        absolute_error=one.absolute_error + other.absolute_error,
        squared_error=one.squared_error + other.squared_error,
        log_loss=one.log_loss + other.log_loss,
        levels=levels,
    )
