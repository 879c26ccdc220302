"""Accumulators as Flax NNX has them."""

from typing import Any


def nnx_metric(kind: Any) -> Any:
    """Wrap a kind of accumulator as a `flax.nnx.Metric`, e.g. for `flax.nnx.MultiMetric`.

    Args:
        kind: from `pooled` or `per_case`.

    Returns:
        An object with `update(**model_output)`, `compute()` and `reset()`, for `nnx.jit`.
    """
    from flax import nnx

    class Accumulator(nnx.Metric):
        def __init__(self) -> None:
            self.state = nnx.metrics.MetricState(kind.empty())

        def reset(self) -> None:
            self.state.set_value(kind.empty())

        def update(self, **model_output: Any) -> None:
            more = kind.from_model_output(**model_output)
            self.state.set_value(self.state.get_value().merge(more))

        def compute(self) -> Any:
            return self.state.get_value().compute()

    return Accumulator()
