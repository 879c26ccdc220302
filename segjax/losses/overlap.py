"""Losses of overlap: one minus a metric of the counts that probabilities lead one to expect.

Each takes predictions and labels as `Inputs` says, and gives one value per case: the mean over
the classes for which the metric is defined, or with `per_class` one per class, 0 where it is
not. `prior` true positives are imagined ("smoothing"), so that a class that is in neither
costs nothing, and one that is predicted without being there costs more the more is predicted.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias, Unpack

import jax.numpy as jnp
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax._numerics import ratio, root
from segjax.losses._classes import each, joined
from segjax.losses._inputs import Inputs, Pixels, over_cases, over_classes, pixels
from segjax.losses._power import power
from segjax.metrics import overlap
from segjax.statistics import Confusion, with_prior
from segjax.statistics.confusion import from_sizes


Losses: TypeAlias = Float[Array, "..."]


def counts(p: Pixels) -> Confusion:
    """Expected confusion of every class, (*batch, class)."""

    def of_class(r: Any, q: Any) -> Confusion:
        tp, reference, prediction = (p.of_space(x) for x in (r * q, r, q))
        return from_sizes(tp, reference, prediction, p.size)

    return joined(each(of_class, p.target, p.probability))


def _loss(
    score: Callable[[Confusion], Any], p: Pixels, prior: float | int, per_class: bool
) -> Losses:
    if not prior >= 0:
        raise InputError(f"prior must not be negative, got {prior}")
    return over_classes(1 - score(with_prior(counts(p), prior)), p, per_class)


def dice(
    predictions: Any,
    labels: Any,
    *,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Dice loss: 1 - 2 TP / (2 TP + FP + FN), of expected counts.

    In [0, 1]. Of hard masks it is (1 - Dice) S / (S + 2 prior), S pixels being in both masks
    together: with prior 0 it is 1 - Dice. MONAI's `smooth_nr` and `smooth_dr` are twice the prior,
    optax's `smooth` is the prior.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        prior: imagined true positives, in pixels.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `prior` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> mask = jnp.zeros((1, 4, 4), int).at[0, 1:3].set(1)  # 8 pixels
        >>> half = jnp.zeros((1, 4, 4, 1))  # 0.5 each: TP 4, FP 4, FN 4
        >>> dice(half, mask, prior=0.0).tolist()
        [0.5]

    References:
        Milletari, F., Navab, N. & Ahmadi, S.-A. (2016). V-Net: fully convolutional neural
        networks for volumetric medical image segmentation. 3DV, 565-571 (whose denominator
        squares probabilities). doi:10.1109/3DV.2016.79
    """
    return _loss(overlap.dice, pixels(predictions, labels, **how), prior, per_class)


def iou(
    predictions: Any,
    labels: Any,
    *,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Jaccard loss: 1 - TP / (TP + FP + FN), of expected counts.

    In [0, 1]. Of hard masks it is (1 - IoU) U / (U + prior), U pixels being in the union.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        prior: imagined true positives, in pixels.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `prior` is negative.

    References:
        Rahman, M. A. & Wang, Y. (2016). Optimizing intersection-over-union in deep neural
        networks for image segmentation. ISVC, 234-244. doi:10.1007/978-3-319-50835-1_22
    """
    return _loss(overlap.iou, pixels(predictions, labels, **how), prior, per_class)


def tversky(
    predictions: Any,
    labels: Any,
    *,
    alpha: float | int = 0.3,
    beta: float | int = 0.7,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Tversky loss: 1 - TP / (TP + alpha FP + beta FN), of expected counts.

    In [0, 1]. With alpha = beta = 1/2 it is that of Dice, with 1 that of Jaccard; with
    alpha + beta = 1 it is 1 - F-beta of sqrt(beta / alpha).

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        alpha: what a false positive costs.
        beta: what a false negative costs.
        prior: imagined true positives, in pixels.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or a number is negative.

    References:
        Salehi, S. S. M., Erdogmus, D. & Gholipour, A. (2017). Tversky loss function for image
        segmentation using 3D fully convolutional deep networks. MLMI, 379-387.
        doi:10.1007/978-3-319-67389-9_44
    """
    score = _tversky_index(alpha, beta)
    return _loss(score, pixels(predictions, labels, **how), prior, per_class)


def focal_tversky(
    predictions: Any,
    labels: Any,
    *,
    gamma: float | int = 4 / 3,
    alpha: float | int = 0.3,
    beta: float | int = 0.7,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Focal Tversky loss: the Tversky loss of each class to the power of 1 / gamma.

    In [0, 1]. As gamma is above 1, classes that are nearly right pull harder.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        gamma: 1 for the Tversky loss; the authors recommend 1 to 3.
        alpha: what a false positive costs.
        beta: what a false negative costs.
        prior: imagined true positives, in pixels.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, `gamma` is not positive, or a number is
            negative.

    References:
        Abraham, N. & Khan, N. M. (2019). A novel focal Tversky loss function with improved
        attention U-Net for lesion segmentation. ISBI, 683-687. doi:10.1109/ISBI.2019.8759329
    """
    if not gamma > 0:
        raise InputError(f"gamma must be positive, got {gamma}")
    index = _tversky_index(alpha, beta)
    score = lambda c: 1 - power(1 - index(c), 1 / gamma)
    return _loss(score, pixels(predictions, labels, **how), prior, per_class)


def _tversky_index(alpha: float | int, beta: float | int) -> Callable[[Confusion], Any]:
    if not (alpha >= 0 and beta >= 0):
        raise InputError(f"alpha and beta must not be negative, got {alpha} and {beta}")
    return lambda c: ratio(c.tp, c.tp + alpha * c.fp + beta * c.fn)


def log_cosh_dice(
    predictions: Any,
    labels: Any,
    *,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Log-cosh Dice loss: log cosh of the Dice loss of each class.

    In [0, log cosh 1 = 0.434]; between x^2 / 2 - x^4 / 12 and x^2 / 2 of a Dice loss x, so flat
    where that is nearly 0.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        prior: imagined true positives, in pixels.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `prior` is negative.

    References:
        Jadon, S. (2020). A survey of loss functions for semantic segmentation. CIBCB, 1-7.
        doi:10.1109/CIBCB48159.2020.9277638
    """
    score = lambda c: 1 - jnp.log(jnp.cosh(1 - overlap.dice(c)))
    return _loss(score, pixels(predictions, labels, **how), prior, per_class)


def generalised_dice(
    predictions: Any, labels: Any, *, weights: str = "square", **how: Unpack[Inputs]
) -> Losses:
    """Generalised Dice loss: 1 - 2 sum w TP / sum w (2 TP + FP + FN), of expected counts.

    In [0, 1]. The weights w make small classes count like large ones; those of
    `segjax.metrics.overlap.generalized_dice`, of which this is the complement on hard masks. A
    class that a case lacks weighs as much as the smallest that it has. 0 if it has none of them.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        weights: "square" for 1 / volume^2, "simple" for 1 / volume, "uniform" for 1.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `weights` is none of these.

    References:
        Sudre, C. H. et al. (2017). Generalised Dice overlap as a deep learning loss function
        for highly unbalanced segmentations. DLMIA, 240-248. doi:10.1007/978-3-319-67558-9_28
    """
    p = pixels(predictions, labels, **how)
    if p.weights is not None:
        raise InputError("generalised_dice has weights of its own: see weights=")
    score = overlap.generalized_dice(counts(p), weights=weights)
    return over_cases(jnp.where(jnp.isnan(score), 0, 1 - score), p)


def sensitivity_specificity(
    predictions: Any,
    labels: Any,
    *,
    share: float | int = 0.05,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Sensitivity-specificity loss: mean squared errors in and out of the reference, weighed.

    share * sum r (r - p)^2 / sum r + (1 - share) * sum (1 - r) (r - p)^2 / sum (1 - r), in
    [0, 1]. Of hard masks it is share (1 - sensitivity) + (1 - share) (1 - specificity): with a
    share of 1/2, 1 - balanced accuracy. A part without pixels costs nothing.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        share: of sensitivity; the authors take 0.05, finding 0.01 to 0.1 alike.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `share` is not in [0, 1].

    References:
        Brosch, T. et al. (2015). Deep convolutional encoder networks for multiple sclerosis
        lesion segmentation. MICCAI, 3-11. doi:10.1007/978-3-319-24574-4_1
    """
    if not 0 <= share <= 1:
        raise InputError(f"share must be in [0, 1], got {share}")
    p = pixels(predictions, labels, **how)

    def of_class(r: Any, probability: Any) -> Any:
        error = jnp.square(r - probability)
        found, left = (ratio(p.of_space(x * error), p.of_space(x)) for x in (r, 1 - r))
        defined = lambda x: jnp.where(jnp.isnan(x), 0, x)
        return share * defined(found) + (1 - share) * defined(left)

    return over_classes(each(of_class, p.target, p.probability), p, per_class)


def mcc(
    predictions: Any,
    labels: Any,
    *,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Matthews loss: 1 - MCC, of expected counts.

    In [0, 2]; 1 is a prediction that knows nothing. Of hard masks, with prior 0, it is 1 - MCC,
    and 1 where that is undefined: where a mask is empty or full, which without a prior says
    nothing.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        prior: imagined true positives, and as many true negatives, in pixels.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `prior` is negative.

    References:
        Abhishek, K. & Hamarneh, G. (2021). Matthews correlation coefficient loss for deep
        convolutional networks: application to skin lesion segmentation. ISBI, 225-229.
        doi:10.1109/ISBI48211.2021.9433782
    """

    def score(c: Confusion) -> Any:
        # The textbook formula, as shares of the pixels, which overflow nowhere: the metric's
        # roots of products of rates have no slope where one of them is 0.
        c = replace(c, tn=c.tn + prior)
        total = jnp.maximum(c.tp + c.fp + c.fn + c.tn, 1)
        tp, fp, fn, tn = (x / total for x in (c.tp, c.fp, c.fn, c.tn))
        spread = root((tp + fp) * (tn + fn)) * root((tp + fn) * (tn + fp))
        correlation = ratio(tp * tn - fp * fn, spread)
        return jnp.where(jnp.isnan(correlation), 0, correlation)

    return _loss(score, pixels(predictions, labels, **how), prior, per_class)
