"""Distances between the surfaces of objects and of what they are matched with."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Integer

from segjax._numerics import AnyArray
from segjax.case import Case, check_same_grid, diagonal, kept_voxels
from segjax.ops import surfaces
from segjax.statistics import matching
from segjax.statistics.contingency import contingency
from segjax.statistics.segments import find_segments
from segjax.statistics.surface import (
    SurfaceDistances,
    boxes_of,
    check_axes,
    joint_box,
    stack_sides,
    surface_distances,
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class InstanceSurfaces(SurfaceDistances):
    """Surface distances with a last but one axis of reference objects.

    Each is measured to the predicted object that covers more than half of it, as in the Cell
    Tracking Challenge's SEG; one without such has distances that mean nothing.

    Attributes:
        there: whether an object is in the reference, and not padding.
        matched: whether it has a predicted object.
        diagonal: of the image, in the unit of spacing.
    """

    there: Bool[AnyArray, "*batch object"]
    matched: Bool[AnyArray, "*batch object"]
    diagonal: float = field(metadata={"static": True})


def instance_surfaces(
    *,
    reference: Integer[Array, "*space"],
    prediction: Integer[Array, "*space"],
    number: int,
    spacing: tuple[float, ...],
    surface: str = "voxel",
    valid: Bool[Array, "*space"] | None = None,
) -> InstanceSurfaces:
    """Match objects and measure their surfaces; pure, for `jit` and `vmap`.

    Args:
        reference: objects 1 to `number`, 2-D or 3-D; what is beyond is background.
        prediction: objects 1 to `number`, of the same shape.
        number: of objects, at most, in either map; fixed while tracing.
        spacing: voxel size along each axis, fixed while tracing.
        surface: as of `surface_distances`.
        valid: mask of the voxels that count; all by default.
    """
    check_same_grid(reference, prediction)
    table = contingency(
        reference=reference,
        prediction=prediction,
        num_reference=number + 1,
        num_prediction=number + 1,
        valid=valid,
    )
    match = matching.partners(table, matching.by_majority(table))[1:]

    def measure(pair: Any) -> Any:
        return surface_distances(
            reference=reference == pair[0],
            prediction=prediction == pair[1],
            spacing=spacing,
            surface=surface,
            valid=valid,
        )

    found = jax.lax.map(measure, (jnp.arange(1, number + 1), match))
    there = table.reference_sizes[1:] > 0
    return InstanceSurfaces(
        found.reference, found.prediction, there, match > 0, diagonal(reference.shape, spacing)
    )


def measure_instances(case: Case) -> InstanceSurfaces:
    """Match the objects of a case in host memory, and measure all pairs in one program.

    Labels are objects; `case.wanted` restricts them. Elements in ignored voxels weigh nothing,
    and ignored voxels have no say in what covers more than half.

    Raises:
        InputError: if the image is not 2-D or 3-D, or an object is too long.
    """
    check_axes(case.reference)
    case = case.objects
    kept = kept_voxels(case)
    found = find_segments(case)
    table = found.contingency
    labels = found.reference_labels[1:], found.prediction_labels[1:]
    boxes = [boxes_of(x, k) for x, k in zip((case.reference, case.prediction), labels, strict=True)]
    nothing = surfaces.Pair(*np.zeros((2, *(0,) * case.reference.ndim), bool))
    objects = np.flatnonzero(table.reference_sizes[1:])
    match = matching.partners(table, matching.by_majority(table))[1:][objects]
    pairs = []
    for i, j in zip(objects, match - 1, strict=True):
        if j >= 0:
            box = joint_box(boxes[0][i], boxes[1][j])
            r, p = case.reference[box] == labels[0][i], case.prediction[box] == labels[1][j]
            pairs.append(surfaces.Pair(r, p, None if kept is None else kept[box]))
        else:
            pairs.append(nothing)
    measured = surfaces.measure(pairs, case.spacing, case.surface)
    reference, prediction = (
        stack_sides([pair[k] for pair in measured], (len(pairs),)) for k in (0, 1)
    )
    return InstanceSurfaces(
        reference=reference,
        prediction=prediction,
        there=np.ones(len(match), bool),
        matched=match > 0,
        diagonal=diagonal(case.reference.shape, case.spacing),
    )
