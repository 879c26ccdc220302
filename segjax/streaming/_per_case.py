"""Metrics of every case of a data set, kept for their mean, and for intervals and tests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, UInt32

from segjax._errors import InputError
from segjax._numerics import defined_mean
from segjax.case import Spacing, check_labels
from segjax.evaluation import evaluate
from segjax.metrics import Metric, get_metric
from segjax.streaming._inputs import maps


@dataclass(frozen=True)
class PerCase:
    """Scores of the cases so far, in a table of fixed size; make a kind by `per_case`.

    States may be merged, or gathered (`jax.lax.all_gather`) and reduced, not summed. Of more
    cases than there is room for none are kept, but they are counted.

    Attributes:
        rows: one score per label of each case, NaN if undefined; beyond `cases` anything.
        cases: how many there were.
    """

    rows: Float[Array, "*devices capacity value"]
    cases: UInt32[Array, "*devices"]

    aggregation: ClassVar[str] = "mean of cases"
    metric: ClassVar[Metric]
    labels: ClassVar[tuple[int, ...]]
    ignore: ClassVar[int | None]
    spacing: ClassVar[Spacing]
    capacity: ClassVar[int]

    @classmethod
    def empty(cls) -> "PerCase":
        """Nothing so far."""
        values = len(cls.labels) if cls.metric.per == "label" else 1
        return cls(jnp.full((cls.capacity, values), jnp.nan), jnp.zeros((), jnp.uint32))

    @classmethod
    def from_model_output(
        cls,
        *,
        labels: Any,
        logits: Any = None,
        predictions: Any = None,
        where: Any = None,
        mask: Any = None,
        **_: Any,
    ) -> "PerCase":
        """Score the cases of a batch; arguments are those of `Pooled.from_model_output`.

        Raises:
            InputError: if shapes or dtypes do not fit.
        """
        m = maps(labels, logits, predictions, where, mask, cls.ignore)
        name = cls.metric.name

        def one(reference: Any, prediction: Any, valid: Any) -> Any:
            scores = evaluate(
                reference=reference,
                prediction=prediction,
                metrics=[name],
                labels=cls.labels,
                spacing=cls.spacing,
                valid=valid,
            )
            return jnp.reshape(scores[name], -1)

        rows = _everywhere(jax.vmap(one)(m.reference, m.prediction, m.valid))
        counted = _everywhere(m.counted)
        place = jnp.where(counted, jnp.cumsum(counted) - 1, cls.capacity)
        empty = cls.empty()
        kept = empty.rows.at[place].set(rows.astype(empty.rows.dtype), mode="drop")
        return cls(kept, counted.sum(dtype=jnp.uint32))

    def merge(self, other: "PerCase") -> "PerCase":
        """Both together, the other's cases behind these."""
        place = jnp.arange(self.capacity, dtype=jnp.uint32)
        behind = jnp.take(other.rows, place - self.cases, axis=0, mode="clip")
        rows = jnp.where((place < self.cases)[:, None], self.rows, behind)
        return replace(self, rows=rows, cases=self.cases + other.cases)

    def reduce(self) -> "PerCase":
        """Merge over a leading axis, as of states that were gathered."""
        first, rest = (
            jax.tree.map(lambda x, part=part: x[part], self) for part in (0, slice(1, None))
        )
        return jax.lax.scan(lambda a, b: (a.merge(b), None), first, rest)[0]

    def compute(self) -> Any:
        """The mean over the cases for which it is defined, one per label or one for all.

        NaN if it is for none, or, while tracing, if there were more cases than there is room
        for. `scores` tells how many are undefined.

        Raises:
            InputError: in host memory, if there were more cases.
        """
        if isinstance(self.cases, Tracer):
            there = jnp.arange(self.capacity) < self.cases
            mean = defined_mean(jnp.where(there[:, None], self.rows, jnp.nan), 0)
            mean = jnp.where(self.cases <= self.capacity, mean, jnp.nan)
        else:
            mean = defined_mean(self.scores.astype(np.float64), 0)
        return mean if self.metric.per == "label" else mean[0]

    @property
    def scores(self) -> Float[np.ndarray, "case value"]:
        """The rows of the cases, in host memory: for bootstrap, and to see what is undefined.

        Raises:
            InputError: if there were more cases than there is room for.
        """
        number = int(self.cases)
        if number > self.capacity:
            raise InputError(
                f"there is room for {self.capacity} cases, and there were {number}; "
                f"use per_case({self.metric.name!r}, capacity={number})"
            )
        return np.asarray(self.rows)[:number]


def _everywhere(x: Any) -> Any:
    """On all devices, if its axes are spread over a mesh explicitly."""
    spread = any(axis is not None for axis in jax.typeof(x).sharding.spec)
    return jax.sharding.reshard(x, jax.P()) if spread else x


@cache
def _kind(
    metric: Metric,
    labels: tuple[int, ...],
    ignore: int | None,
    spacing: Any,
    capacity: int,
) -> type[PerCase]:
    bound = {"metric": metric, "labels": labels, "ignore": ignore, "spacing": spacing}
    bound |= {"capacity": capacity, "__doc__": PerCase.__doc__}
    kind = type(f"PerCase[{metric.name}]", (PerCase,), bound)
    jax.tree_util.register_dataclass(kind, data_fields=["rows", "cases"], meta_fields=[])
    return kind


def per_case(
    metric: str,
    *,
    labels: Sequence[int],
    capacity: int,
    ignore: int | None = None,
    spacing: Spacing = None,
) -> type[PerCase]:
    """A kind of accumulator: a metric of every case, and the mean of these.

    Args:
        metric: by any of its names, e.g. "dice", "hausdorff(percentile=95)" or "seg".
        labels: which are scored; of a metric of objects, all object ids there may be.
        capacity: how many cases there is room for.
        ignore: label of the reference whose pixels do not count.
        spacing: pixel size along each axis of space; default 1.

    Returns:
        The same class for the same arguments; see `pooled`.

    Raises:
        InputError: if there is no such metric, or `capacity` is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> Dice = per_case("dice", labels=(1,), capacity=8)
        >>> labels = jnp.array([[1, 0, 0, 0], [1, 1, 1, 1]])
        >>> predictions = jnp.array([[1, 1, 0, 0], [1, 1, 1, 1]])  # 2 / 3 and 1
        >>> state = Dice.from_model_output(labels=labels, predictions=predictions)
        >>> state.compute().round(4).tolist()
        [0.8333]
    """
    if capacity < 1:
        raise InputError(f"capacity must be positive, got {capacity}")
    lengths = None if spacing is None else tuple(np.atleast_1d(np.asarray(spacing)).tolist())
    return _kind(get_metric(metric), check_labels(labels, ignore), ignore, lengths, capacity)
