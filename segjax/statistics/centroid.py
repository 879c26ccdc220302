"""Where the middles of objects are."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from segjax._numerics import AnyArray
from segjax.case import Case, check_same_grid
from segjax.statistics.segments import find_segments, sum_indices


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Centroids:
    """Centroids of the objects of both maps, in the unit of spacing.

    Attributes:
        reference: of the objects of the reference; any number where there is no object.
        prediction: of those of the prediction.
        reference_there: which are objects, and not padding.
        prediction_there: the same of the prediction.
    """

    reference: Float[AnyArray, "*batch reference axis"]
    prediction: Float[AnyArray, "*batch prediction axis"]
    reference_there: Bool[AnyArray, "*batch reference"]
    prediction_there: Bool[AnyArray, "*batch prediction"]


def centroids(
    *,
    reference: Integer[Array, "*space"],
    prediction: Integer[Array, "*space"],
    number: int,
    spacing: tuple[float, ...],
    valid: Bool[Array, "*space"] | None = None,
) -> Centroids:
    """Find the centroids of objects; pure, for `jit` and `vmap`.

    Args:
        reference: objects 1 to `number`; what is beyond is background.
        prediction: objects 1 to `number`, of the same shape.
        number: of objects, at most, in either map; fixed while tracing.
        spacing: voxel size along each axis, fixed while tracing.
        valid: mask of the voxels that count; all by default.

    Raises:
        InputError: if the shapes differ.
    """
    check_same_grid(reference, prediction)
    r, r_there = _traced_middles(reference, number, spacing, valid)
    p, p_there = _traced_middles(prediction, number, spacing, valid)
    return Centroids(r, p, r_there, p_there)


def _traced_middles(labels: Any, number: int, spacing: tuple[float, ...], valid: Any) -> Any:
    counted = (labels > 0) & (labels <= number)
    own = jnp.where(counted if valid is None else counted & valid, labels, 0)
    sizes = jnp.zeros(number + 1, jnp.int32).at[own].add(1)[1:]
    middles = []
    for axis, (n, size) in enumerate(zip(labels.shape, spacing, strict=True)):
        # Counted along the axis first: sums of places would leave the integers of float32.
        place = jax.lax.broadcasted_iota(jnp.int32, labels.shape, axis)
        counts = jnp.zeros((number + 1, n), jnp.int32).at[own, place].add(1)[1:]
        share = counts / jnp.maximum(sizes, 1)[:, None]
        middles.append((share * jnp.arange(n)).sum(-1) * size)
    return jnp.stack(middles, axis=-1), sizes > 0


def measure_centroids(case: Case) -> Centroids:
    """Centroids of the objects of a case in host memory, in float64.

    Labels are objects; `case.wanted` restricts them. Ignored voxels do not count.
    """
    case = case.objects
    found = find_segments(case)
    t = found.contingency
    middles = []
    for sums, sizes in zip(
        sum_indices(case, found), (t.reference_sizes, t.prediction_sizes), strict=True
    ):
        there = np.flatnonzero(sizes[1:]) + 1
        middles.append(sums[there] / sizes[there, None] * case.spacing)
    r, p = middles
    return Centroids(r, p, np.ones(len(r), bool), np.ones(len(p), bool))
