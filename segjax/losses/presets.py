"""Sums of losses in use: one that sees the class as a whole, one that sees each pixel or its place.

Each takes predictions and labels as `Inputs` says, and gives one value per case; the part of
pixels is their mean in each case.
"""

from typing import Any, TypeAlias, Unpack

from jaxtyping import Array, Float

from segjax.losses import boundaries, overlap, pixelwise
from segjax.losses._inputs import Inputs, over_cases, pixels


Losses: TypeAlias = Float[Array, "..."]


def _of_cases(how: Inputs) -> Inputs:
    return {**how, "reduction": "case"}


def dice_ce(
    predictions: Any,
    labels: Any,
    *,
    dice_weight: float | int = 1.0,
    ce_weight: float | int = 1.0,
    label_smoothing: float | int = 0.0,
    prior: float | int = 1.0,
    **how: Unpack[Inputs],
) -> Losses:
    """Dice and cross-entropy: dice_weight * dice + ce_weight * cross_entropy.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        dice_weight: of `dice`.
        ce_weight: of the mean of `cross_entropy`.
        label_smoothing: of `cross_entropy`.
        prior: of `dice`.
        **how: see `Inputs`.

    Raises:
        InputError: as the two do.

    References:
        Isensee, F. et al. (2021). nnU-Net: a self-configuring method for deep learning-based
        biomedical image segmentation. Nat. Methods 18, 203-211. doi:10.1038/s41592-020-01008-z
    """
    reduced, cases = pixels(predictions, labels, **how), _of_cases(how)
    whole = overlap.dice(predictions, labels, prior=prior, **cases)
    parts = pixelwise.cross_entropy(predictions, labels, label_smoothing=label_smoothing, **cases)
    return over_cases(dice_weight * whole + ce_weight * parts, reduced)


def dice_focal(
    predictions: Any,
    labels: Any,
    *,
    dice_weight: float | int = 1.0,
    focal_weight: float | int = 1.0,
    gamma: float | int = 2.0,
    prior: float | int = 1.0,
    **how: Unpack[Inputs],
) -> Losses:
    """Dice and focal loss: dice_weight * dice + focal_weight * focal.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        dice_weight: of `dice`.
        focal_weight: of the mean of `focal`.
        gamma: of `focal`.
        prior: of `dice`.
        **how: see `Inputs`.

    Raises:
        InputError: as the two do.

    References:
        Zhu, W. et al. (2019). AnatomyNet: deep learning for fast and fully automated
        whole-volume segmentation of head and neck anatomy. Med. Phys. 46(2), 576-589.
        doi:10.1002/mp.13300
    """
    reduced, cases = pixels(predictions, labels, **how), _of_cases(how)
    whole = overlap.dice(predictions, labels, prior=prior, **cases)
    parts = pixelwise.focal(predictions, labels, gamma=gamma, **cases)
    return over_cases(dice_weight * whole + focal_weight * parts, reduced)


def dice_boundary(
    predictions: Any,
    labels: Any,
    *,
    boundary_weight: float | int | Float[Array, ""] = 0.01,
    spacing: Any = None,
    prior: float | int = 1.0,
    **how: Unpack[Inputs],
) -> Losses:
    """Dice and boundary loss: (1 - boundary_weight) * dice + boundary_weight * boundary.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        boundary_weight: the authors add 0.01 per epoch; may be traced.
        spacing: of `boundary`.
        prior: of `dice`.
        **how: see `Inputs`.

    Raises:
        InputError: as the two do.

    References:
        Kervadec et al. (2021), of the generalised Dice loss; see `segjax.losses.boundary`.
    """
    reduced, cases = pixels(predictions, labels, **how), _of_cases(how)
    whole = overlap.dice(predictions, labels, prior=prior, **cases)
    parts = boundaries.boundary(predictions, labels, spacing=spacing, **cases)
    return over_cases((1 - boundary_weight) * whole + boundary_weight * parts, reduced)
