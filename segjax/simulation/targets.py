"""Targets: the scores of a pair of label maps, measured on the device by our own metrics."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from segjax._errors import InputError
from segjax.metrics import instance
from segjax.statistics.contingency import contingency


TARGETS = ("SEG", "Dice", "PQ")


class Measured(NamedTuple):
    values: Float[Array, " target"]
    counted: Bool[Array, " target"]


def measure(
    reference: Int[Array, "*space"],
    evaluated: Int[Array, "*space"],
    targets: tuple[str, ...],
    *,
    objects: tuple[int, int],
) -> Measured:
    table = contingency(
        reference=reference,
        prediction=evaluated,
        num_reference=objects[0] + 1,
        num_prediction=objects[1] + 1,
    )
    for t in targets:
        if t not in TARGETS:
            raise InputError(f"unknown target {t!r}; use one of {TARGETS}")
    r, e = reference > 0, evaluated > 0
    both, total = (r & e).sum(), r.sum() + e.sum()
    by_name = {
        "SEG": lambda: instance.seg(table),
        "PQ": lambda: instance.pq(table),
        "Dice": lambda: jnp.where(total > 0, 2 * both / jnp.maximum(total, 1), jnp.nan),
    }
    values = jnp.stack([by_name[t]() for t in targets])
    counted = jnp.isfinite(values) & (table.reference_objects > 0)
    return Measured(jnp.where(counted, values, 0.0), counted)
