"""Metrics inside a training loop: accumulators that merge exactly over batches and devices.

    Dice = segjax.streaming.pooled("dice", labels=(1, 2))
    state = Dice.empty()
    for batch in data:
        state = state.merge(Dice.from_model_output(logits=model(batch), labels=batch["labels"]))
    state.compute()

Two aggregations, which are not the same: `pooled` scores all pixels as one image, `per_case`
each case, for their mean. States are plain pytrees: for `jit` and `scan`, `jax.lax.psum` of
pooled ones in `shard_map`, `all_gather` and `reduce` of either, `clu.metrics.Collection`, and by
`nnx_metric` for `flax.nnx.MultiMetric`.
"""

from segjax.streaming._nnx import nnx_metric as nnx_metric
from segjax.streaming._per_case import PerCase as PerCase, per_case as per_case
from segjax.streaming._pooled import Pooled as Pooled, pooled as pooled
