"""Losses of objects: soft masks of single ones against those they are matched with.

Predictions have one channel per object on their last axis, the first that of the background,
exclusive by softmax; labels are object ids, 0 the background. In which channel an object is
does not matter: pairs are chosen by the overlap there is, and held fixed while the loss is
differentiated.
"""

from typing import Any, NamedTuple, TypeAlias, Unpack

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax._numerics import ratio
from segjax.losses._classes import in_front
from segjax.losses._inputs import Inputs, Pixels, over_cases, pixels
from segjax.statistics import Contingency, matching


Losses: TypeAlias = Float[Array, "..."]


def pq(
    predictions: Any,
    labels: Any,
    *,
    objects: int,
    threshold: float | int = 0.0,
    **how: Unpack[Inputs],
) -> Losses:
    """Panoptic loss: 1 - PQ, of the expected overlaps of matched pairs.

    1 - sum of IoU over (R + P) / 2, R objects being in the labels and P channels having some
    pixel to themselves, or a match. In [0, 1], 0 without objects; one value per case. Of hard
    masks it is 1 - PQ with a threshold of 0.5, and at most that below, where objects are
    assigned one-to-one, as many as can be (Hungarian, n^3 steps): they are drawn to each other
    before they match by themselves. The assignment does not work on a mesh with explicit axes;
    use `jax.shard_map` there.

    Args:
        predictions: logits, or probabilities, of the background and each object.
        labels: object ids, integer, without the axis of the channels.
        objects: the largest id there may be, fixed while tracing.
        threshold: IoU above which pairs count.
        **how: see `Inputs`; there are no class weights.

    Raises:
        InputError: if shapes or dtypes do not fit, or `threshold` is not in [0, 1].

    References:
        Kirillov, A. et al. (2019). Panoptic segmentation. CVPR, 9396-9405 (the metric).
        doi:10.1109/CVPR.2019.00963
    """
    p, table = _overlaps(predictions, labels, objects, how)

    def loss(soft: Any, won: Any) -> Any:
        t = Contingency.from_table(soft)
        chosen = lax.stop_gradient(matching.by_iou(t, threshold=threshold, strict=True))
        there = (won | (t.over_prediction(chosen) > 0))[1:]
        score = ratio(_sum(chosen, t), 0.5 * (t.reference_objects + there.sum()))
        return jnp.where(jnp.isnan(score), 0, 1 - score)

    return over_cases(p.cases(loss)(*table), p)


def seg(
    predictions: Any,
    labels: Any,
    *,
    objects: int,
    majority: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """SEG loss: 1 - SEG of the Cell Tracking Challenge, of expected overlaps.

    1 - mean over the reference objects of the IoU with the predicted one that covers most of it.
    In [0, 1], 0 without reference objects; one value per case. Of hard masks it is at most
    1 - SEG, which asks for more than half, and with `majority` equal to it. Extra predicted
    objects cost nothing.

    Args:
        predictions: logits, or probabilities, of the background and each object.
        labels: object ids, integer, without the axis of the channels.
        objects: the largest id there may be, fixed while tracing.
        majority: objects that are not covered by more than half count as missed, and have no
            gradient.
        **how: see `Inputs`; there are no class weights.

    Raises:
        InputError: if shapes or dtypes do not fit.

    References:
        Maška, M. et al. (2014). A benchmark for comparison of cell tracking algorithms.
        Bioinformatics 30(11), 1609-1617 (the metric). doi:10.1093/bioinformatics/btu080
    """
    p, table = _overlaps(predictions, labels, objects, how)
    rule = matching.by_majority if majority else matching.by_overlap

    def loss(soft: Any, won: Any) -> Any:
        t = Contingency.from_table(soft)
        score = ratio(_sum(lax.stop_gradient(rule(t)), t), t.reference_objects)
        return jnp.where(jnp.isnan(score), 0, 1 - score)

    return over_cases(p.cases(loss)(*table), p)


class _Overlaps(NamedTuple):
    """Expected pixels of each object in each channel, and the channels that win some pixel."""

    table: Float[Array, "*batch reference channel"]
    won: Any


def _overlaps(predictions: Any, labels: Any, objects: int, how: Any) -> tuple[Pixels, _Overlaps]:
    p = pixels(predictions, labels, **how)
    if p.binary or not p.ids or p.weights is not None:
        raise InputError(
            "losses of objects take channels of the background and each object, object ids without "
            f"that axis and no class_weights, got predictions of shape {jnp.shape(predictions)} "
            f"and labels of {jnp.shape(labels)}"
        )
    flat = lambda x: p.kept(x).reshape(*p.batch, -1)
    of_object = jnp.stack([flat(p.labels == i) for i in range(objects + 1)], -2)
    channels = jnp.stack([flat(x) for x in in_front(p.probability)], -2)
    table = jnp.einsum(
        "...rn,...cn->...rc", of_object.astype(p.dtype), channels, precision=lax.Precision.HIGHEST
    )
    best = jnp.argmax(channels, -2)
    there = flat(jnp.ones(p.shape[:-1], bool))
    won = jnp.stack([(there & (best == c)).any(-1) for c in range(p.shape[-1])], -1)
    return p, _Overlaps(table, won)


def _sum(chosen: Any, t: Contingency) -> Any:
    return jnp.where(chosen, t.iou, 0).sum(-1)
