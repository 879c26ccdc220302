"""How masks hang together: their skeletons, and their components, tunnels and cavities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from segjax._numerics import AnyArray
from segjax.case import Case, check_same_grid
from segjax.ops import packing, topology as betti
from segjax.ops.skeleton import skeleton
from segjax.statistics.surface import masks_of


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Skeletons:
    """Sizes of two skeletons, and how much of each lies inside the other mask, in voxels.

    Attributes:
        reference: voxels of the skeleton of the reference.
        reference_inside: those of them that are in the prediction.
        prediction: voxels of the skeleton of the prediction.
        prediction_inside: those of them that are in the reference.
    """

    reference: Int[AnyArray, "*batch"]
    reference_inside: Int[AnyArray, "*batch"]
    prediction: Int[AnyArray, "*batch"]
    prediction_inside: Int[AnyArray, "*batch"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Topology:
    """Betti numbers of two masks: components, tunnels and cavities, as many as there are axes.

    In the plane components and holes; see `segjax.ops.topology.betti_numbers`.
    """

    reference: Int[AnyArray, "*batch betti"]
    prediction: Int[AnyArray, "*batch betti"]


def skeletons(
    *,
    reference: Bool[Array, "..."],
    prediction: Bool[Array, "..."],
    valid: Bool[Array, "..."] | None = None,
) -> Skeletons:
    """Count the voxels of the skeletons of two masks; pure, for `jit` and `vmap`.

    Args:
        reference: mask taken as the standard, one to three axes.
        prediction: mask to be judged, of the same shape.
        valid: voxels that count; all by default. Skeletons are those of the whole masks.

    Returns:
        int32 counts.

    Raises:
        InputError: if the shapes differ, or there are more axes.

    Example:
        >>> import jax.numpy as jnp
        >>> line = jnp.zeros((5, 9), bool).at[2, 1:8].set(True)
        >>> s = skeletons(reference=line, prediction=line.at[:, 4:].set(False))
        >>> int(s.reference), int(s.reference_inside)
        (7, 3)
    """
    check_same_grid(reference, prediction)
    thin_r, thin_p = jax.vmap(skeleton)(jnp.stack([reference, prediction]))
    return Skeletons(*_overlaps(reference, prediction, thin_r, thin_p, valid, packing.count))


def topology(
    *,
    reference: Bool[Array, "..."],
    prediction: Bool[Array, "..."],
    valid: Bool[Array, "..."] | None = None,
) -> Topology:
    """Betti numbers of two masks; pure, for `jit` and `vmap`.

    Args:
        reference: mask taken as the standard, one to three axes.
        prediction: mask to be judged, of the same shape.
        valid: voxels that count; others are background in both masks.

    Returns:
        int32 numbers.

    Raises:
        InputError: if the shapes differ, or there are more axes.
    """
    check_same_grid(reference, prediction)
    return Topology(*(betti.betti_numbers(x) for x in _kept(valid, reference, prediction)))


def measure_skeletons(case: Case) -> Skeletons:
    """Sizes of the skeletons of every label of a case in host memory; see `Skeletons`.

    Skeletons are those of the whole masks, so that ignored voxels make no ends; those of their
    voxels that are ignored are then not counted.

    Returns:
        int64 counts with a leading label axis.
    """
    # In the order of axes that was given: thinning takes one side before the other.
    thin = lambda mask: skeleton(mask.T).T if case.turned else skeleton(mask)
    counts = [
        _overlaps(r, p, thin(r), thin(p), kept, np.count_nonzero) for r, p, kept in masks_of(case)
    ]
    return Skeletons(*np.array(counts, np.int64).T)


def measure_topology(case: Case) -> Topology:
    """Betti numbers of every label of a case in host memory; see `Topology`.

    Ignored voxels are background in both masks, so that a difference there is none.

    Returns:
        int64 numbers with a leading label axis.
    """
    numbers = [[betti.betti_numbers(x) for x in _kept(kept, r, p)] for r, p, kept in masks_of(case)]
    r, p = np.stack(numbers, axis=1)
    return Topology(r, p)


def _kept(kept: Any, *masks: Any) -> tuple[Any, ...]:
    return masks if kept is None else tuple(mask & kept for mask in masks)


def _overlaps(
    r: Any, p: Any, thin_r: Any, thin_p: Any, kept: Any, count: Callable[[Any], Any]
) -> tuple[Any, ...]:
    thin_r, thin_p = _kept(kept, thin_r, thin_p)
    return count(thin_r), count(thin_r & p), count(thin_p), count(thin_p & r)
