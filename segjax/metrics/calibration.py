"""Metrics of probabilities: functions of the voxels by their probability.

Each takes a `Calibration` of one foreground with any leading axes and keeps them. Curves return
arrays and are not in the catalogue.
"""

import math
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from segjax._errors import InputError
from segjax._numerics import AnyArray, defined_mean, namespace, ratio
from segjax.metrics import _metric as catalogue, overlap
from segjax.metrics._metric import Metric
from segjax.statistics import Calibration


Scores: TypeAlias = Float[AnyArray, "*batch"]
PerBin: TypeAlias = Float[AnyArray, "*batch bin"]
Curve: TypeAlias = Float[AnyArray, "*batch point"]


def brier(c: Calibration) -> Scores:
    """Brier score: mean of (p - y)^2 over the voxels, y = 1 for foreground, else 0.

    Undefined without voxels.

    References:
        Brier, G. W. (1950). Verification of forecasts expressed in terms of probability.
        Mon. Weather Rev. 78(1), 1-3. doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    return ratio(c.squared_error, c.total)


def nll(c: Calibration) -> Scores:
    """Negative log-likelihood, binary cross-entropy: mean of -log(p of what is there), in nats.

    That p is taken as no less than 2^-52, so that a certain error costs 36: what scikit-learn
    does with probabilities in float64 (in float32, it stops at 2^-23). (miseval's CE leaves
    out what is not foreground.) Undefined without voxels.

    References:
        Good, I. J. (1952). Rational decisions. J. R. Stat. Soc. B 14(1), 107-114.
        doi:10.1111/j.2517-6161.1952.tb00104.x
    """
    return ratio(c.log_loss, c.total)


def hinge(c: Calibration) -> Scores:
    """Hinge loss of the decision 2 p - 1: mean of max(0, 1 - t (2 p - 1)), t = +1 or -1.

    Twice the mean absolute error, as such a decision is never beyond the margin. (miseval
    takes p itself for the decision, so that a perfect prediction has a loss.) Undefined
    without voxels.

    References:
        Bartlett, P. L., Jordan, M. I. & McAuliffe, J. D. (2006). Convexity, classification,
        and risk bounds. J. Am. Stat. Assoc. 101(473), 138-156.
        doi:10.1198/016214505000000907
    """
    return ratio(2 * c.absolute_error, c.total)


def ece(c: Calibration, *, bins: float | int = 15, closed: str = "left") -> Scores:
    """Expected calibration error: |frequency - confidence| of bins of p, weighted by voxels.

    Bins of equal width from 0 to 1 (edges are rounded to the type of p, so that its 0.7 is on
    the edge 7 / 10); frequency is the share of foreground in a bin, confidence the mean of p.
    Bins are of the probability of the foreground, as in torchmetrics, MONAI and
    Metrics Reloaded, not of the probability of the likelier class. Undefined without voxels.

    Args:
        c: the voxels.
        bins: how many.
        closed: which end belongs to a bin, "left" for [l, r) as in torchmetrics, "right" for
            (l, r] as in scikit-learn, MONAI (whose manual says otherwise) and Metrics Reloaded
            (which drops p = 0). 0 and 1 always belong to the first and the last. "left" is
            exact in columns of fixed width, where "right" takes a column with its edge.

    Raises:
        InputError: if `bins` is not a whole number from 1 up, or there is no such side.

    References:
        Naeini, M. P., Cooper, G. F. & Hauskrecht, M. (2015). Obtaining well calibrated
        probabilities using Bayesian binning. AAAI 29(1), 2901-2907.
        doi:10.1609/aaai.v29i1.9602
    """
    _, residual = _equal_width(c, bins, closed)
    return ratio(abs(residual).sum(-1), c.total)


def mce(c: Calibration, *, bins: float | int = 15, closed: str = "left") -> Scores:
    """Maximum calibration error: the largest |frequency - confidence| of any bin of p.

    Bins as for `ece`; of those with few voxels it is mostly noise. Undefined without voxels.

    Args:
        c: the voxels.
        bins: how many.
        closed: "left" or "right"; see `ece`.

    Raises:
        InputError: if `bins` is not a whole number from 1 up, or there is no such side.

    References:
        Naeini et al. (2015); see `ece`.
    """
    xp = namespace(c.positives)
    count, residual = _equal_width(c, bins, closed)
    largest = xp.where(count > 0, ratio(abs(residual), count), 0).max(-1)
    return xp.where(c.total > 0, largest, xp.nan)


def average_calibration_error(
    c: Calibration, *, bins: float | int = 15, closed: str = "left"
) -> Scores:
    """Average calibration error: mean of |frequency - confidence| over the bins with voxels.

    Bins as for `ece`, all counting alike. MONAI calls it ACE; `ace` here is the adaptive
    one. Undefined without voxels.

    Args:
        c: the voxels.
        bins: how many.
        closed: "left" or "right"; see `ece`.

    Raises:
        InputError: if `bins` is not a whole number from 1 up, or there is no such side.

    References:
        Neumann, L., Zisserman, A. & Vedaldi, A. (2018). Relaxed softmax: efficient
        confidence auto-calibration for safe pedestrian detection. NeurIPS MLITS workshop.
    """
    count, residual = _equal_width(c, bins, closed)
    return defined_mean(ratio(abs(residual), count))


def ace(c: Calibration, *, bins: float | int = 15) -> Scores:
    """Adaptive calibration error: mean of |frequency - confidence| over bins of equal mass.

    Every bin holds the same number of voxels, in ascending order of p. Where a border falls
    among voxels of the same p, they are shared out evenly, so that their order does not
    matter. (MONAI's ACE is `average_calibration_error`.) Undefined without voxels.

    Args:
        c: the voxels.
        bins: how many.

    Raises:
        InputError: if `bins` is not a whole number from 1 up.

    References:
        Nixon, J., Dusenberry, M. W., Zhang, L., Jerfel, G. & Tran, D. (2019). Measuring
        calibration in deep learning. CVPR workshops, 38-41.
    """
    xp = namespace(c.positives)
    border = xp.arange(_whole(bins) + 1) * (c.total[..., None] / _whole(bins))
    interpolate = xp.vectorize(xp.interp, signature="(m),(n),(n)->(m)")
    mass, residual = _running(c.positives + c.negatives), _running(c.residuals)
    share = xp.diff(interpolate(border, mass.astype(residual.dtype), residual), axis=-1)
    return ratio(abs(share).sum(-1), c.total)


def auroc(c: Calibration) -> Scores:
    """Area under the ROC curve: chance that a foreground voxel has the higher p of a pair.

    (sum of 1 where p_i > p_j, 1/2 where equal) / (n m), of n foreground voxels i and m others
    j. (miseval's AUC is `auc_trapezoid`, of masks.) Undefined if the reference is empty or
    covers the whole image.

    References:
        Hanley, J. A. & McNeil, B. J. (1982). The meaning and use of the area under a receiver
        operating characteristic (ROC) curve. Radiology 143(1), 29-36.
        doi:10.1148/radiology.143.1.7063747
    """
    xp = namespace(c.positives)
    below = xp.cumsum(c.negatives, -1) - c.negatives / 2
    pairs = c.positives.sum(-1) * 1.0 * c.negatives.sum(-1)  # beyond int32
    return ratio((c.positives * below).sum(-1), pairs)


def auprc(c: Calibration) -> Scores:
    """Area under the precision-recall curve by steps, average precision of the voxels.

    Sum over the thresholds of (gain in recall) x precision; nothing is interpolated. About the
    share of foreground if p knows nothing. Undefined if the reference is empty.

    References:
        Boyd, K., Eng, K. H. & Page, C. D. (2013). Area under the precision-recall curve: point
        estimates and confidence intervals. ECML PKDD, 451-466.
        doi:10.1007/978-3-642-40994-3_29
    """
    xp, found = namespace(c.positives), c.positives > 0
    precision = xp.where(found, overlap.precision(c.at_thresholds()), 0)
    return ratio((c.positives * precision).sum(-1), c.positives.sum(-1))


def best_dice(c: Calibration) -> Scores:
    """Best Dice at any threshold of p: max over t of Dice of the mask p >= t.

    The threshold is chosen on the very image that is scored, so it is what a perfect choice
    would reach; see `best_threshold`. Undefined if the reference is empty.

    References:
        Arbeláez, P., Maire, M., Fowlkes, C. & Malik, J. (2011). Contour detection and
        hierarchical image segmentation. IEEE TPAMI 33(5), 898-916.
        doi:10.1109/TPAMI.2010.161
    """
    return _best(c, overlap.dice)


def best_iou(c: Calibration) -> Scores:
    """Best Jaccard index at any threshold of p: max over t of the IoU of the mask p >= t.

    At the threshold of the best Dice, of which it is a function. Undefined if the reference is
    empty.

    References:
        Arbeláez et al. (2011); see `best_dice`.
    """
    return _best(c, overlap.iou)


def _best(c: Calibration, score: Any) -> Any:
    xp = namespace(c.positives)
    return xp.where(c.positives.sum(-1) > 0, score(c.at_thresholds()).max(-1), xp.nan)


# Curves.


def reliability_curve(
    c: Calibration, *, bins: float | int = 15, closed: str = "left"
) -> tuple[PerBin, PerBin, Int[AnyArray, "*batch bin"]]:
    """Reliability diagram: what was foretold, what came, and how often, by bins of p.

    Args:
        c: the voxels.
        bins: how many, of equal width.
        closed: "left" or "right"; see `ece`.

    Returns:
        Mean of p, share of foreground, and number of voxels of each bin; NaN in empty bins.

    Raises:
        InputError: if `bins` is not a whole number from 1 up, or there is no such side.

    Example:
        >>> import numpy as np
        >>> from segjax.case import make_case
        >>> from segjax.statistics import measure_calibration
        >>> mask, p = np.array([False, True, True, True]), np.array([0.25, 0.25, 0.75, 1.0])
        >>> case = make_case(reference=mask, prediction=p, probabilities=True)
        >>> confidence, frequency, count = reliability_curve(measure_calibration(case), bins=2)
        >>> confidence.tolist(), frequency.tolist(), count.tolist()
        ([0.25, 0.875], [0.5, 1.0], [2, 2])
    """
    count, residual = _equal_width(c, bins, closed)
    frequency = ratio(_between(c.positives, _cuts(c, bins, closed)), count)
    return frequency - ratio(residual, count), frequency, count


def roc_curve(c: Calibration) -> tuple[Curve, Curve, Curve]:
    """ROC curve: the rates of every mask p >= threshold.

    Returns:
        False positive rate, true positive rate and threshold, from infinity down: what
        scikit-learn's returns with `drop_intermediate=False`. Rates are NaN where undefined.
    """
    at, thresholds = c.at_thresholds(), _thresholds(c)
    xp = namespace(at.tp)
    from_above = lambda x, first: xp.concatenate([first + 0 * x[..., :1], x[..., ::-1]], -1)
    fpr, tpr = overlap.fpr(at), overlap.sensitivity(at)
    return from_above(fpr, 0), from_above(tpr, 0), from_above(thresholds, xp.inf)


def precision_recall_curve(
    c: Calibration,
) -> tuple[Curve, Curve, Float[AnyArray, "*batch threshold"]]:
    """Precision and recall of every mask p >= threshold.

    Returns:
        Precision, recall and threshold, ascending; precision and recall end in 1 and 0, which
        have no threshold, as scikit-learn's do. NaN where undefined.
    """
    at = c.at_thresholds()
    xp, end = namespace(at.tp), 0.0 * at.tp[..., :1]
    precision = xp.concatenate([overlap.precision(at), end + 1], -1)
    return precision, xp.concatenate([overlap.sensitivity(at), end], -1), _thresholds(c)


def threshold_sweep(c: Calibration) -> tuple[Curve, Curve, Curve]:
    """Dice and IoU of every mask p >= threshold.

    Returns:
        Threshold, ascending, Dice and IoU.
    """
    at = c.at_thresholds()
    return _thresholds(c), overlap.dice(at), overlap.iou(at)


def best_threshold(c: Calibration, *, metric: str = "dice") -> Scores:
    """Threshold t at which the mask p >= t scores best; the highest of equally good ones.

    Choose it on images other than those that are scored. NaN where no threshold has a score.

    Args:
        c: the voxels.
        metric: any overlap metric that has a direction, by any of its names.

    Raises:
        InputError: if there is no such overlap metric, or it has no direction.
    """
    wanted = catalogue.resolve(metric, _OVERLAP)
    if wanted.higher_is_better is None or wanted.per != "label":
        raise InputError(f"{wanted.name} is best nowhere; choose another metric, e.g. dice")
    at = c.at_thresholds()
    xp = namespace(at.tp)
    loss = abs(wanted(at) - wanted.best)
    backwards = xp.where(xp.isnan(loss), xp.inf, loss)[..., ::-1]
    t = _thresholds(c)[..., ::-1]
    chosen = xp.take_along_axis(t, backwards.argmin(-1)[..., None], -1)[..., 0]
    return xp.where(xp.isnan(loss).all(-1), xp.nan, chosen)


def _thresholds(c: Calibration) -> Any:
    xp = namespace(c.positives)
    return xp.broadcast_to(xp.asarray(c.thresholds), c.positives.shape)


# Bins.


def _whole(bins: float | int) -> int:
    if not (1 <= bins < math.inf and bins == int(bins)):
        raise InputError(f"bins must be a whole number from 1 up, got {bins}")
    return int(bins)


def _equal_width(c: Calibration, bins: float | int, closed: str) -> tuple[Any, Any]:
    """Voxels and residual of each bin of equal width."""
    cuts = _cuts(c, bins, closed)
    return _between(c.positives + c.negatives, cuts), _between(c.residuals, cuts)


def _cuts(c: Calibration, bins: float | int, closed: str) -> Any:
    """The column with which each bin starts, and one past the last column."""
    if closed not in ("left", "right"):
        raise InputError(f"closed must be left or right, got {closed!r}")
    t = c.thresholds
    xp = namespace(t)
    # Rounded like the probabilities: one of 0.7 in float32 is below 0.7 in float64.
    edges = np.linspace(0, 1, _whole(bins) + 1)[1:-1].astype(t.dtype)
    find = xp.vectorize(partial(xp.searchsorted, side=closed), signature="(n),(m)->(m)")
    inner = find(t, edges)
    outer = xp.zeros_like(inner, shape=(*inner.shape[:-1], 1))
    return xp.concatenate([outer, inner, outer + t.shape[-1]], -1)


def _between(x: Any, cuts: Any) -> Any:
    """Sums of the columns from one cut to the next."""
    xp, running = namespace(x, cuts), _running(x)
    cuts = xp.broadcast_to(cuts, (*running.shape[:-1], cuts.shape[-1]))
    return xp.diff(xp.take_along_axis(running, cuts, -1), axis=-1)


def _running(x: Any) -> Any:
    """Sums of the first 0, 1, 2 ... columns."""
    xp = namespace(x)
    return xp.concatenate([xp.zeros_like(x[..., :1]), xp.cumsum(x, -1)], -1)


_OVERLAP = catalogue.index(overlap.METRICS)
_metric = partial(Metric, statistic=Calibration, per="image")
_score = partial(_metric, best=1.0, worst=0.0)
_error = partial(_metric, best=0.0, worst=1.0)

METRICS = (
    _error(function=brier, aliases=("Brier score", "BS")),
    _metric(
        function=nll,
        best=0.0,
        worst=math.inf,
        unit="nat",
        aliases=(
            "negative log-likelihood",
            "log loss",
            "BCE",
            "binary cross-entropy",
            "CE",
            "CrossEntropy",
        ),
    ),
    _metric(function=hinge, best=0.0, worst=2.0, aliases=("HingeLoss",)),
    _error(function=ece, aliases=("expected calibration error",)),
    _error(function=mce, aliases=("maximum calibration error", "max calibration error")),
    _error(function=ace, aliases=("adaptive calibration error",)),
    _error(function=average_calibration_error, aliases=()),
    _score(function=auroc, chance=0.5, aliases=("ROC AUC", "AUC ROC")),
    _score(function=auprc, aliases=("AUPR", "PR AUC", "average_precision_score")),
    _score(function=best_dice, aliases=("max Dice", "max F1")),
    _score(function=best_iou, aliases=("max IoU",)),
)
