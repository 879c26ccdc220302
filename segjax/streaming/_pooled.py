"""Metrics of all pixels of a data set together, exact however it is batched."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, UInt32

from segjax._errors import InputError
from segjax.case import check_labels
from segjax.metrics import Metric, get_metric
from segjax.statistics import Confusion, label_confusion
from segjax.streaming import _wide
from segjax.streaming._inputs import maps


@dataclass(frozen=True)
class Pooled:
    """Counts of the agreement of every label, over all pixels so far; make a kind by `pooled`.

    Counts are whole and exact up to 2^63, so no order, batch or device makes a difference.
    They may be summed (`+` of the arrays, `jax.lax.psum` of the state over up to 65,535 devices)
    or merged.

    Attributes:
        counts: parts (see `segjax.streaming._wide`) of TP, FP, FN and TN of each label.
        cases: how many there were.
    """

    counts: UInt32[Array, "*devices 4 4 label"]
    cases: UInt32[Array, "*devices"]

    aggregation: ClassVar[str] = "pooled"
    metric: ClassVar[Metric]
    labels: ClassVar[tuple[int, ...]]
    ignore: ClassVar[int | None]

    @classmethod
    def empty(cls) -> "Pooled":
        """Nothing so far."""
        shape = (_wide.PARTS, 4, len(cls.labels))
        return cls(jnp.zeros(shape, jnp.uint32), jnp.zeros((), jnp.uint32))

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
    ) -> "Pooled":
        """Count a batch.

        Args:
            labels: label maps, (case, *space).
            logits: (case, *space, class): the largest is the label; of one class, those above 0.
            predictions: label maps, in place of logits.
            where: pixels that count, (case, *space).
            mask: cases that count, (case,): padding does not.
            **_: what else a model gives is passed over, as `clu.metrics` asks.

        Raises:
            InputError: if shapes or dtypes do not fit.
        """
        m = maps(labels, logits, predictions, where, mask, cls.ignore)

        def one(reference: Any, prediction: Any, valid: Any) -> Any:
            c = label_confusion(
                reference=reference, prediction=prediction, labels=cls.labels, valid=valid
            )
            return jnp.stack([c.tp, c.fp, c.fn, c.tn])

        valid = m.valid & m.counted.reshape(-1, *(1,) * (m.valid.ndim - 1))
        counts = jax.vmap(one)(m.reference, m.prediction, valid)
        return cls(_wide.total(counts), m.counted.sum(dtype=jnp.uint32))

    def merge(self, other: "Pooled") -> "Pooled":
        """Both together."""
        counts = _wide.carried(self.counts + other.counts)
        return replace(self, counts=counts, cases=self.cases + other.cases)

    def reduce(self) -> "Pooled":
        """Sum over a leading axis, as of states that were gathered."""
        return replace(self, counts=_wide.carried(self.counts.sum(0)), cases=self.cases.sum(0))

    def compute(self) -> Any:
        """The metric of the pooled counts: one per label, or as its options say.

        In float64, of exact counts, in host memory; in float32, to 1e-6, while tracing. NaN
        where it is undefined, as of a label that is nowhere.
        """
        return self.metric(self.confusion)

    @property
    def confusion(self) -> Confusion:
        """The counts: int64 in host memory, float32 while tracing."""
        traced = isinstance(self.counts, Tracer)
        return Confusion(*(_wide.nearly if traced else _wide.exact)(self.counts))


@cache
def _kind(metric: Metric, labels: tuple[int, ...], ignore: int | None) -> type[Pooled]:
    bound = {"metric": metric, "labels": labels, "ignore": ignore, "__doc__": Pooled.__doc__}
    kind = type(f"Pooled[{metric.name}]", (Pooled,), bound)
    jax.tree_util.register_dataclass(kind, data_fields=["counts", "cases"], meta_fields=[])
    return kind


def pooled(metric: str, *, labels: Any, ignore: int | None = None) -> type[Pooled]:
    """A kind of accumulator: a metric of overlap of all pixels of a data set together.

    Args:
        metric: by any of its names, e.g. "dice" or "iou(average=macro)".
        labels: which are scored, in this order.
        ignore: label of the reference whose pixels do not count.

    Returns:
        The same class for the same arguments, with `empty()`, `from_model_output(...)`, `merge`,
        `reduce` and `compute`: a field of a `clu.metrics.Collection`, or, by `nnx_metric`, of
        a `flax.nnx.MultiMetric`.

    Raises:
        InputError: if there is no such metric, or it is not of the pixels of each label.

    Example:
        >>> import jax.numpy as jnp
        >>> Dice = pooled("dice", labels=(1,))
        >>> state = Dice.empty()
        >>> for pixels in ([[1, 1, 0, 0]], [[1, 0, 0, 1]]):
        ...     labels, predictions = jnp.array([[1, 0, 0, 0]]), jnp.array(pixels)
        ...     state = state.merge(Dice.from_model_output(labels=labels, predictions=predictions))
        >>> state.compute().tolist()  # 2 * 2 / (2 + 4)
        [0.6666666666666666]
    """
    found = get_metric(metric)
    if found.statistic is not Confusion:
        raise InputError(
            f"{found.name} is not a metric of the pixels of each label, which can be pooled; "
            "use per_case"
        )
    return _kind(found, check_labels(labels, ignore), ignore)
