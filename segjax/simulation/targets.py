"""What a network learns: scores of a pair of label maps, measured where the maps are."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from segjax._errors import InputError
from segjax.case import check_spacing
from segjax.metrics import get_metric
from segjax.simulation._outlines import outlines_apart
from segjax.statistics import Confusion, InstanceSurfaces, confusion, contingency


# By which metric of the catalogue each is measured.
METRICS_OF_TARGETS = {
    "SEG": "seg",
    "Dice": "dice",
    "PQ": "pq",
    "neMHD": "nemhd(unmatched=diagonal)",
    "MHD": "mhd(unmatched=omit)",
    "MHD95": "hausdorff(percentile=95, unmatched=omit)",
    "ASD": "assd(unmatched=omit)",
}
TARGETS = tuple(METRICS_OF_TARGETS)
LENGTHS = ("MHD", "MHD95", "ASD")  # in the unit of spacing; the others are from 0 to 1


class Measured(NamedTuple):
    """Scores of a pair.

    Attributes:
        values: one per target, float32; 0 where it does not count.
        counted: whether the score is defined, and there was room to measure it.
    """

    values: Float[Array, " target"]
    counted: Bool[Array, " target"]


def measure(
    reference: Int[Array, "*space"],
    evaluated: Int[Array, "*space"],
    targets: tuple[str, ...],
    *,
    objects: tuple[int, int],
    spacing: tuple[float, ...] | None = None,
) -> Measured:
    """Score a pair as `segjax.evaluate` does; pure, for `jit` and `vmap`.

    "SEG" and "PQ" are of objects, "Dice" is of the foreground. The others are of the outlines
    of objects, each against the evaluated one that covers more than half of it: "neMHD" is the
    mean of exp(-MHD / 10) over all objects, 0 for those without such; "MHD", "MHD95" and
    "ASD" are means over the rest, in the unit of spacing, undefined if there are none. They do
    not count in a pair whose outlines are more than a third of an image, half of a volume.

    Args:
        reference: the true labels, 0 to `objects[0]`, 2-D or 3-D.
        evaluated: labels from 0 to `objects[1]`, of the same shape.
        targets: of `TARGETS`, fixed while tracing.
        objects: the largest label of each map, fixed while tracing.
        spacing: voxel size along each axis, fixed while tracing; default 1.

    Raises:
        InputError: if a target has no such name, or the shapes differ.

    Example:
        >>> square = jnp.zeros((6, 6), int).at[1:5, 1:5].set(1)
        >>> measured = measure(square, square.at[4].set(0), ("SEG", "Dice"), objects=(1, 1))
        >>> [round(float(x), 3) for x in measured.values]  # 12 / 16, 2 * 12 / (16 + 12)
        [0.75, 0.857]
    """
    if unknown := [name for name in targets if name not in METRICS_OF_TARGETS]:
        raise InputError(f"unknown target {unknown[0]!r}; use one of {', '.join(TARGETS)}")
    metrics = [get_metric(METRICS_OF_TARGETS[name]) for name in targets]
    table = contingency(
        reference=reference,
        prediction=evaluated,
        num_reference=objects[0] + 1,
        num_prediction=objects[1] + 1,
    )
    known: dict[type, Any] = {type(table): table}
    complete: dict[type, Any] = {}
    kinds = {metric.statistic for metric in metrics}
    if Confusion in kinds:
        known[Confusion] = confusion(reference=reference > 0, prediction=evaluated > 0)
    if InstanceSurfaces in kinds:
        known[InstanceSurfaces], complete[InstanceSurfaces] = outlines_apart(
            reference,
            evaluated,
            table,
            spacing=check_spacing(spacing, reference.ndim),
        )
    values = jnp.stack([metric(known[metric.statistic]) for metric in metrics])
    measured = jnp.stack([jnp.asarray(complete.get(m.statistic, True)) for m in metrics])
    counted = jnp.isfinite(values) & measured
    return Measured(jnp.where(counted, values, 0.0), counted)
