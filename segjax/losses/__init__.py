"""Losses that stand for metrics: pure functions of predictions and labels.

    loss = segjax.losses.dice_ce(logits, labels, where=valid, reduction="mean")

Predictions have their classes on the last axis; labels are class ids, one-hot or soft, as their
shape and dtype say: see `Inputs`, whose keywords every loss takes. Losses have one value per
case (those of pixels one per pixel) until `reduction=` says otherwise, may be added to each
other, and are safe under `jit`, `vmap` and `grad`. `LOSSES` lists them with their metrics.
"""

from segjax.losses._inputs import Inputs as Inputs
from segjax.losses._loss import Loss as Loss
from segjax.losses.boundaries import (
    boundary as boundary,
    hausdorff as hausdorff,
    surface_dice as surface_dice,
)
from segjax.losses.instance import pq as pq, seg as seg
from segjax.losses.lovasz import lovasz_hinge as lovasz_hinge, lovasz_softmax as lovasz_softmax
from segjax.losses.overlap import (
    dice as dice,
    focal_tversky as focal_tversky,
    generalised_dice as generalised_dice,
    iou as iou,
    log_cosh_dice as log_cosh_dice,
    mcc as mcc,
    sensitivity_specificity as sensitivity_specificity,
    tversky as tversky,
)
from segjax.losses.pixelwise import (
    cross_entropy as cross_entropy,
    focal as focal,
    top_k as top_k,
)
from segjax.losses.presets import (
    dice_boundary as dice_boundary,
    dice_ce as dice_ce,
    dice_focal as dice_focal,
)
from segjax.losses.topology import cldice as cldice


_NO_PRIOR = {"prior": 0.0}
_F_BETA = "f_beta(beta=1.5275252)"  # sqrt(0.7 / 0.3)

LOSSES: tuple[Loss, ...] = (
    Loss(
        function=dice,
        metric="dice",
        relation="1 - Dice without a prior; with one less, by S / (S + 2 prior) of S pixels",
        exact=_NO_PRIOR,
    ),
    Loss(
        function=generalised_dice,
        metric="generalized_dice",
        relation="1 - generalised Dice",
        exact={},
        of="case",
    ),
    Loss(
        function=iou,
        metric="iou",
        relation="1 - IoU without a prior; with one less, by U / (U + prior) of U pixels",
        exact=_NO_PRIOR,
    ),
    Loss(
        function=tversky,
        metric=_F_BETA,
        relation="1 - F-beta of sqrt(beta / alpha) if alpha + beta = 1, without a prior",
        exact=_NO_PRIOR,
    ),
    Loss(
        function=focal_tversky,
        metric=_F_BETA,
        relation="(1 - F-beta)^(1 / gamma), at least 1 - F-beta, without a prior",
        exact={"gamma": 1.0, **_NO_PRIOR},
    ),
    Loss(
        function=log_cosh_dice,
        metric="dice",
        relation="log cosh (1 - Dice), at most (1 - Dice)^2 / 2, without a prior",
    ),
    Loss(
        function=sensitivity_specificity,
        metric="balanced_accuracy",
        relation="1 - balanced accuracy with equal shares",
        exact={"share": 0.5},
    ),
    Loss(
        function=mcc,
        metric="mcc",
        relation="1 - MCC without a prior; 1 where that is undefined",
        exact=_NO_PRIOR,
    ),
    Loss(
        function=cross_entropy,
        metric="nll",
        relation="the mean is the negative log-likelihood, of probabilities of one class",
        exact={},
        of="pixel",
    ),
    Loss(
        function=focal,
        metric="nll",
        relation="the mean is at most the negative log-likelihood, and that with gamma 0",
        exact={"gamma": 0.0},
        of="pixel",
    ),
    Loss(
        function=top_k,
        metric="nll",
        relation="at least the negative log-likelihood, and that with a share of 1",
        exact={"share": 1.0},
        of="case",
    ),
    Loss(
        function=lovasz_softmax,
        metric="iou",
        relation="1 - IoU of the classes that the case has",
        exact={"classes": "all"},
    ),
    Loss(
        function=lovasz_hinge,
        metric="iou",
        relation="at least 1 - IoU of the positive logits; twice that if all are 1 or -1",
        of="case",
    ),
    Loss(
        function=boundary,
        metric="average_hausdorff",
        relation="2 |P| / N times the average Hausdorff distance if P contains R",
    ),
    Loss(
        function=hausdorff,
        metric="hausdorff",
        relation="at least H^alpha / N, of the Hausdorff distance H of all pixels of both",
    ),
    Loss(
        function=surface_dice,
        metric="nsd(tolerance=1)",
        relation="1 - NSD without a prior; with one less, by S / (S + prior) of S surface pixels",
        exact=_NO_PRIOR,
    ),
    Loss(
        function=cldice,
        metric="cldice",
        relation="1 - clDice of masks that are their own skeletons, without a prior",
    ),
    Loss(
        function=pq,
        metric="pq",
        relation="at most 1 - PQ, and that with a threshold of 0.5",
        exact={"threshold": 0.5},
        of="object",
    ),
    Loss(
        function=seg,
        metric="seg",
        relation="at most 1 - SEG, and that with majority=True",
        exact={"majority": True},
        of="object",
    ),
    Loss(
        function=dice_ce,
        metric="dice",
        relation="1 - Dice and the mean cross-entropy",
        of="case",
    ),
    Loss(
        function=dice_focal,
        metric="dice",
        relation="1 - Dice and the mean focal loss",
        of="case",
    ),
    Loss(
        function=dice_boundary,
        metric="dice",
        relation="1 - Dice and the boundary loss, by their weights",
        of="case",
    ),
)
