"""Overlap metrics: functions of the confusion counts alone.

Each takes a `Confusion` with any leading axes and keeps them. Counts may be hard (integers)
or soft (expected counts, differentiable). Quotients are NaN where they are 0/0.
"""

from functools import partial
from typing import Any, TypeAlias

from jaxtyping import Float, Num

from segjax._errors import InputError
from segjax._numerics import AnyArray, defined_mean, namespace, ratio, root
from segjax.metrics._metric import Metric
from segjax.statistics import Confusion


Scores: TypeAlias = Float[AnyArray, "*batch"]
Counts: TypeAlias = Num[AnyArray, "*batch"]


def dice(c: Confusion) -> Scores:
    """Dice similarity coefficient: 2 TP / (2 TP + FP + FN).

    Undefined if neither reference nor prediction has the label.

    References:
        Dice, L. R. (1945). Measures of the amount of ecologic association between
        species. Ecology 26(3), 297-302. doi:10.2307/1932409
    """
    # Halved, because twice the voxels of a large volume overflow int32.
    return ratio(c.tp, c.tp + (c.fp + c.fn) / 2)


def iou(c: Confusion) -> Scores:
    """Jaccard index, intersection over union: TP / (TP + FP + FN).

    Also the threat score or critical success index. Undefined if neither reference nor
    prediction has the label.

    References:
        Jaccard, P. (1912). The distribution of the flora in the alpine zone. New
        Phytologist 11(2), 37-50. doi:10.1111/j.1469-8137.1912.tb05611.x
    """
    return ratio(c.tp, c.tp + c.fp + c.fn)


def sensitivity(c: Confusion) -> Scores:
    """Sensitivity, share of the reference that is found: TP / (TP + FN).

    Undefined if the reference does not have the label.

    References:
        Yerushalmy, J. (1947). Statistical problems in assessing methods of medical
        diagnosis. Public Health Reports 62(40), 1432-1449. doi:10.2307/4586294
    """
    return ratio(c.tp, c.tp + c.fn)


def specificity(c: Confusion) -> Scores:
    """Specificity, share of what is not the label that is left alone: TN / (TN + FP).

    Grows with the size of the image, so that it says little of small objects. Undefined if
    the reference covers the whole image.

    References:
        Yerushalmy, J. (1947). Statistical problems in assessing methods of medical
        diagnosis. Public Health Reports 62(40), 1432-1449. doi:10.2307/4586294
    """
    return ratio(c.tn, c.tn + c.fp)


def precision(c: Confusion) -> Scores:
    """Precision, share of the prediction that is right: TP / (TP + FP).

    Undefined if the prediction does not have the label.

    References:
        Powers, D. M. W. (2011). Evaluation: from precision, recall and F-measure to ROC,
        informedness, markedness and correlation. J. Mach. Learn. Technol. 2(1), 37-63.
    """
    return ratio(c.tp, c.tp + c.fp)


def npv(c: Confusion) -> Scores:
    """Negative predictive value: TN / (TN + FN).

    Undefined if the prediction covers the whole image.

    References:
        Powers (2011); see `precision`.
    """
    return ratio(c.tn, c.tn + c.fn)


def fpr(c: Confusion) -> Scores:
    """False positive rate (fall-out): FP / (FP + TN).

    Undefined if the reference covers the whole image.

    References:
        Powers (2011); see `precision`.
    """
    return ratio(c.fp, c.fp + c.tn)


def fnr(c: Confusion) -> Scores:
    """False negative rate (miss rate): FN / (FN + TP).

    Undefined if the reference does not have the label.

    References:
        Powers (2011); see `precision`.
    """
    return ratio(c.fn, c.fn + c.tp)


def fdr(c: Confusion) -> Scores:
    """False discovery rate, share of the prediction that is wrong: FP / (FP + TP).

    Undefined if the prediction does not have the label.

    References:
        Powers (2011); see `precision`.
    """
    return ratio(c.fp, c.fp + c.tp)


def false_omission_rate(c: Confusion) -> Scores:
    """False omission rate, share of what was left out that was wanted: FN / (FN + TN).

    Undefined if the prediction covers the whole image.

    References:
        Powers (2011); see `precision`.
    """
    return ratio(c.fn, c.fn + c.tn)


def accuracy(c: Confusion) -> Scores:
    """Accuracy, share of voxels judged right: (TP + TN) / (TP + FP + FN + TN).

    Near 1 for every small object, found or not: do not lead a report with it. Undefined
    without voxels.

    References:
        Müller, D., Soto-Rey, I. & Kramer, F. (2022). Towards a guideline for evaluation
        metrics in medical image segmentation. BMC Res. Notes 15, 210.
        doi:10.1186/s13104-022-06096-y
    """
    return ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn)


def balanced_accuracy(c: Confusion) -> Scores:
    """Balanced accuracy: (sensitivity + specificity) / 2.

    Undefined where either is.

    References:
        Brodersen, K. H., Ong, C. S., Stephan, K. E. & Buhmann, J. M. (2010). The balanced
        accuracy and its posterior distribution. ICPR, 3121-3124. doi:10.1109/ICPR.2010.764
    """
    return (sensitivity(c) + specificity(c)) / 2


def auc_trapezoid(c: Confusion) -> Scores:
    """Area under the ROC curve of one operating point: 1 - (FPR + FNR) / 2.

    The curve is the two straight lines through the point, so the value is the balanced
    accuracy. Undefined where either rate is.

    References:
        Powers (2011); see `precision`.
    """
    return 1 - (fpr(c) + fnr(c)) / 2


def f_beta(c: Confusion, *, beta: float | int = 1.0) -> Scores:
    """F-measure: (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP).

    Sensitivity weighs `beta` times as much as precision; `beta` = 1 is Dice. Undefined if
    neither reference nor prediction has the label.

    Args:
        c: the counts.
        beta: weight of sensitivity, 0 or more.

    Raises:
        InputError: if `beta` is negative.

    References:
        van Rijsbergen, C. J. (1979). Information Retrieval, 2nd ed., chapter 7.
    """
    if not beta >= 0:
        raise InputError(f"beta must not be negative, got {beta}")
    miss = beta**2 / (1 + beta**2)
    return ratio(c.tp, c.tp + miss * c.fn + (1 - miss) * c.fp)


def mcc(c: Confusion) -> Scores:
    """Matthews correlation coefficient of the two masks.

    (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)). Undefined if either
    mask is empty or covers the whole image; other libraries then return 0.

    References:
        Matthews, B. W. (1975). Comparison of the predicted and observed secondary
        structure of T4 phage lysozyme. Biochim. Biophys. Acta 405(2), 442-451.
        doi:10.1016/0005-2795(75)90109-9
    """
    # As products of rates: the textbook product of four counts overflows int32 in images
    # as small as 21 x 21, and float32 in a volume.
    right = sensitivity(c) * specificity(c) * precision(c) * npv(c)
    wrong = fnr(c) * fpr(c) * fdr(c) * false_omission_rate(c)
    defined = right + wrong  # carries the NaN, which `root` would swallow
    return root(right) - root(wrong) + 0 * defined


def nmcc(c: Confusion) -> Scores:
    """Normalised Matthews correlation coefficient: (MCC + 1) / 2.

    Undefined where MCC is.

    References:
        Chicco, D. & Jurman, G. (2020). The advantages of the Matthews correlation
        coefficient (MCC) over F1 score and accuracy. BMC Genomics 21, 6.
        doi:10.1186/s12864-019-6413-7
    """
    return (mcc(c) + 1) / 2


def amcc(c: Confusion) -> Scores:
    """Absolute Matthews correlation coefficient: |MCC|.

    Undefined where MCC is.

    References:
        Chicco & Jurman (2020); see `nmcc`.
    """
    return abs(mcc(c))


def kappa(c: Confusion) -> Scores:
    """Cohen's kappa: agreement of the two masks beyond chance.

    2 (TP TN - FP FN) / ((TP + FP) (FP + TN) + (TP + FN) (FN + TN)). Undefined if both masks
    are empty, or both cover the whole image.

    References:
        Cohen, J. (1960). A coefficient of agreement for nominal scales. Educ. Psychol.
        Meas. 20(1), 37-46. doi:10.1177/001316446002000104
    """
    # Of shares, not counts (no overflow), and in the form that subtracts nothing close to 1.
    n = c.tp + c.fp + c.fn + c.tn
    tp, fp, fn, tn = (ratio(x, n) for x in (c.tp, c.fp, c.fn, c.tn))
    return ratio(2 * (tp * tn - fp * fn), (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn))


def informedness(c: Confusion) -> Scores:
    """Informedness (Youden's J): sensitivity + specificity - 1.

    Undefined where either is.

    References:
        Youden, W. J. (1950). Index for rating diagnostic tests. Cancer 3(1), 32-35.
    """
    return sensitivity(c) - fpr(c)


def markedness(c: Confusion) -> Scores:
    """Markedness: precision + negative predictive value - 1.

    Undefined where either is.

    References:
        Powers (2011); see `precision`.
    """
    return precision(c) - false_omission_rate(c)


def fowlkes_mallows(c: Confusion) -> Scores:
    """Fowlkes-Mallows index: sqrt(precision x sensitivity).

    Undefined if reference or prediction does not have the label.

    References:
        Fowlkes, E. B. & Mallows, C. L. (1983). A method for comparing two hierarchical
        clusterings. J. Am. Stat. Assoc. 78(383), 553-569. doi:10.2307/2288117
    """
    product = precision(c) * sensitivity(c)
    return root(product) + 0 * product


def prevalence_threshold(c: Confusion) -> Scores:
    """Prevalence threshold: (sqrt(TPR FPR) - FPR) / (TPR - FPR).

    The prevalence below which a positive is more often wrong than expected; lower is
    better. Undefined if TPR = FPR, or either is undefined.

    References:
        Balayla, J. (2020). Prevalence threshold and the geometry of screening curves.
        PLoS ONE 15(10), e0240215. doi:10.1371/journal.pone.0240215
    """
    tpr, fall_out = sensitivity(c), fpr(c)
    # sqrt(a b) - b over a - b, divided through by sqrt(a) - sqrt(b): no cancellation.
    below = root(tpr) + root(fall_out)
    return ratio(root(fall_out), below) + 0 * ratio(1, tpr - fall_out)


def volumetric_similarity(c: Confusion) -> Scores:
    """Volumetric similarity: 1 - |FP - FN| / (2 TP + FP + FN).

    Compares sizes only; the two may not overlap at all. Undefined if neither reference nor
    prediction has the label.

    References:
        Taha, A. A. & Hanbury, A. (2015). Metrics for evaluating 3D medical image
        segmentation. BMC Med. Imaging 15, 29. doi:10.1186/s12880-015-0068-x
    """
    return 1 - ratio(abs(c.fp - c.fn) / 2, c.tp + (c.fp + c.fn) / 2)


def volume_difference(c: Confusion) -> Scores:
    """Relative volume difference, signed: (prediction - reference) / reference.

    Positive if the prediction is too large. Undefined if the reference does not have the
    label.

    References:
        Taha & Hanbury (2015); see `volumetric_similarity`.
    """
    return ratio(c.fp - c.fn, c.tp + c.fn)


def absolute_volume_difference(c: Confusion, *, voxel_volume: Any = 1.0) -> Scores:
    """Absolute volume difference: |prediction - reference|, in the cube of the spacing's unit.

    In 2-D, the difference of areas. 0 if neither has the label.

    Args:
        c: the counts.
        voxel_volume: product of the spacing; filled in where the spacing is known.

    References:
        Taha & Hanbury (2015); see `volumetric_similarity`.
    """
    return abs(c.fp - c.fn) * voxel_volume * 1.0


def tp(c: Confusion) -> Counts:
    """True positives: voxels of the label in both.

    |R and P|, of the voxels R of the reference and P of the prediction. 0 if either is empty.

    References:
        Powers (2011); see `precision`.
    """
    return c.tp


def fp(c: Confusion) -> Counts:
    """False positives: voxels of the label in the prediction alone.

    |P| - |R and P|. 0 if the prediction is empty.

    References:
        Powers (2011); see `precision`.
    """
    return c.fp


def fn(c: Confusion) -> Counts:
    """False negatives: voxels of the label in the reference alone.

    |R| - |R and P|. 0 if the reference is empty.

    References:
        Powers (2011); see `precision`.
    """
    return c.fn


def tn(c: Confusion) -> Counts:
    """True negatives: voxels of the label in neither.

    N - |R or P|, of N voxels. All of them if both are empty.

    References:
        Powers (2011); see `precision`.
    """
    return c.tn


def mean_iou(c: Confusion) -> Scores:
    """Mean IoU over the labels that reference or prediction has.

    (sum of IoU) / (number of these labels). Takes counts with a trailing label axis.
    Undefined if no label is there. The background takes part only if it is among the labels
    asked for.

    References:
        Everingham, M. et al. (2015). The PASCAL visual object classes challenge: a
        retrospective. IJCV 111, 98-136. doi:10.1007/s11263-014-0733-5
    """
    return defined_mean(iou(c))


def generalized_dice(c: Confusion, *, weights: str = "square") -> Scores:
    """Generalised Dice over all labels: 2 sum w TP / sum w (2 TP + FP + FN).

    Takes counts with a trailing label axis. Weights w make small labels count like large
    ones; a label absent from the reference gets the largest weight of the others. Undefined
    if the reference has none of the labels and weights are not uniform.

    Args:
        c: the counts, labels last.
        weights: "square" for 1 / volume^2, "simple" for 1 / volume, "uniform" for 1.

    Raises:
        InputError: if `weights` is none of these.

    References:
        Crum, W. R., Camara, O. & Hill, D. L. G. (2006). Generalized overlap measures for
        evaluation and validation in medical image analysis. IEEE TMI 25(11), 1451-1461.
        doi:10.1109/TMI.2006.880587
    """
    powers = {"square": 2, "simple": 1, "uniform": 0}
    if weights not in powers:
        raise InputError(f"weights must be one of {', '.join(powers)}, got {weights!r}")
    xp, size = namespace(c.tp), c.reference_size
    # Relative to the smallest label there is, so that float32 holds the weights.
    there = size > 0
    smallest = xp.where(there, size, xp.inf).min(-1, keepdims=True)
    weight = xp.where(there, smallest / xp.where(there, size, 1), 1.0) ** powers[weights]
    weight = xp.where(xp.isfinite(weight), weight, xp.nan)
    return ratio((weight * c.tp).sum(-1), (weight * (c.tp + (c.fp + c.fn) / 2)).sum(-1))


_metric = partial(Metric, statistic=Confusion)
_score = partial(_metric, best=1.0, worst=0.0)
_rate = partial(_metric, best=0.0, worst=1.0)
_chance = partial(_metric, best=1.0, worst=-1.0, chance=0.0)
_count = partial(_metric, best=None, worst=None, unit="voxel")

METRICS = (
    _score(
        function=dice,
        aliases=(
            "DSC",
            "Dice score",
            "Dice coefficient",
            "DiceSimilarityCoefficient",
            "dice_similarity",
            "dc",
            "F1 score",
            "F1 voxel",
        ),
    ),
    _score(
        function=iou,
        aliases=(
            "Jaccard",
            "jaccard_index",
            "jc",
            "IntersectionOverUnion",
            "threat score",
            "TS",
            "CSI",
            "critical success index",
        ),
    ),
    _score(
        function=sensitivity,
        aliases=("SENS", "recall", "TPR", "TruePositiveRate", "hit rate"),
    ),
    _score(
        function=specificity,
        aliases=("SPEC", "TNR", "TrueNegativeRate", "selectivity"),
    ),
    _score(function=precision, aliases=("PREC", "PPV", "positive predictive value")),
    _score(function=npv, aliases=("negative predictive value",)),
    _rate(function=fpr, aliases=("FalsePositiveRate", "fall-out")),
    _rate(function=fnr, aliases=("FalseNegativeRate", "miss rate")),
    _rate(function=fdr, aliases=("false discovery rate",)),
    _rate(function=false_omission_rate, aliases=("FOR",)),
    _score(function=accuracy, aliases=("ACC", "pixel accuracy")),
    _score(function=balanced_accuracy, chance=0.5, aliases=("BACC", "BA")),
    _score(function=auc_trapezoid, chance=0.5, aliases=("AUC",)),
    _score(function=f_beta, aliases=("F-measure",)),
    _chance(function=mcc, aliases=("MatthewsCorrelationCoefficient", "matthews")),
    _score(function=nmcc, chance=0.5, aliases=("MCC_normalized",)),
    _score(function=amcc, aliases=("MCC_absolute",)),
    _chance(function=kappa, aliases=("KAP", "CohensKappa", "cohen_kappa")),
    _chance(function=informedness, aliases=("Youden's J", "Youden index", "BM")),
    _chance(function=markedness, aliases=("MK", "deltaP")),
    _score(function=fowlkes_mallows, aliases=("fowlkes_mallows_index", "FM")),
    _rate(function=prevalence_threshold, aliases=("PT",)),
    _score(function=volumetric_similarity, aliases=("VS", "volume_similarity")),
    _metric(
        function=volume_difference,
        best=0.0,
        worst=float("inf"),
        signed=True,
        aliases=("RVD", "RAVD", "relative volume difference"),
    ),
    _metric(
        function=absolute_volume_difference,
        best=0.0,
        worst=float("inf"),
        unit="volume",
        aliases=("AVD",),
    ),
    _score(function=mean_iou, per="image", aliases=("mIoU",)),
    _score(function=generalized_dice, per="image", aliases=("GDS", "generalized dice score")),
    _count(function=tp, aliases=("TruePositive", "true positives")),
    _count(function=fp, aliases=("FalsePositive", "false positives")),
    _count(function=fn, aliases=("FalseNegative", "false negatives")),
    _count(function=tn, aliases=("TrueNegative", "true negatives")),
)
