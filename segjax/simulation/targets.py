"""What a network learns: scores of a pair of label maps, measured where the maps are."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from segjax._errors import InputError
from segjax.metrics import get_metric
from segjax.statistics import Confusion, Contingency, confusion, contingency


# By which metric of the catalogue each is measured.
_METRICS = {"SEG": "seg", "Dice": "dice", "PQ": "pq"}
TARGETS = tuple(_METRICS)


class Measured(NamedTuple):
    """Scores of a pair.

    Attributes:
        values: one per target, float32; 0 where it does not count.
        counted: whether the score is defined.
    """

    values: Float[Array, " target"]
    counted: Bool[Array, " target"]


def measure(
    reference: Int[Array, "*space"],
    evaluated: Int[Array, "*space"],
    targets: tuple[str, ...],
    *,
    objects: tuple[int, int],
) -> Measured:
    """Score a pair as `segjax.evaluate` does; pure, for `jit` and `vmap`.

    "SEG" and "PQ" are of objects, "Dice" is of the foreground.

    Args:
        reference: the true labels, 0 to `objects[0]`, 2-D or 3-D.
        evaluated: labels from 0 to `objects[1]`, of the same shape.
        targets: of `TARGETS`, fixed while tracing.
        objects: the largest label of each map, fixed while tracing.

    Raises:
        InputError: if a target has no such name, or the shapes differ.

    Example:
        >>> square = jnp.zeros((6, 6), int).at[1:5, 1:5].set(1)
        >>> measured = measure(square, square.at[4].set(0), ("SEG", "Dice"), objects=(1, 1))
        >>> [round(float(x), 3) for x in measured.values]  # 12 / 16, 2 * 12 / (16 + 12)
        [0.75, 0.857]
    """
    if unknown := [name for name in targets if name not in _METRICS]:
        raise InputError(f"unknown target {unknown[0]!r}; use one of {', '.join(TARGETS)}")
    metrics = [get_metric(_METRICS[name]) for name in targets]
    kinds = dict.fromkeys(metric.statistic for metric in metrics)
    known = {kind: _STATISTICS[kind](reference, evaluated, objects) for kind in kinds}
    values = jnp.stack([metric(known[metric.statistic]) for metric in metrics])
    counted = jnp.isfinite(values)
    return Measured(jnp.where(counted, values, 0.0), counted)


def _count(reference: Any, evaluated: Any, objects: tuple[int, int]) -> Contingency:
    return contingency(
        reference=reference,
        prediction=evaluated,
        num_reference=objects[0] + 1,
        num_prediction=objects[1] + 1,
    )


def _count_foreground(reference: Any, evaluated: Any, objects: tuple[int, int]) -> Confusion:
    return confusion(reference=reference > 0, prediction=evaluated > 0)


_STATISTICS: dict[type, Callable[..., Any]] = {
    Contingency: _count,
    Confusion: _count_foreground,
}
