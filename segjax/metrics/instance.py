"""Instance metrics: how well objects are found, functions of the table of their overlaps.

Labels are objects and only tell them apart. Unless said otherwise a pair matches that is
one-to-one; where a metric has a threshold of 0.5, at which pairs match by themselves, lower
ones take the best assignment (see `segjax.statistics.matching`). Detection by centroids is a
function of these, whatever overlaps.
"""

from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Float, Num

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace, ratio
from segjax.metrics import overlap
from segjax.metrics._metric import Metric
from segjax.statistics import Centroids, Contingency, Foreground, Scribbles, matching


Scores: TypeAlias = Float[AnyArray, "*batch"]
Counts: TypeAlias = Num[AnyArray, "*batch"]


class _Matched(NamedTuple):
    """Objects that match, and that do not in the prediction and in the reference."""

    tp: Any
    fp: Any
    fn: Any


def _matched(t: Contingency, chosen: Any) -> _Matched:
    tp = chosen.sum(-1)
    return _Matched(tp, t.prediction_objects - tp, t.reference_objects - tp)


def _at(t: Contingency, threshold: float | int, strict: bool) -> _Matched:
    return _matched(t, matching.by_iou(t, threshold=threshold, strict=strict))


def _sum(chosen: Any, values: Any) -> Any:
    return namespace(values).where(chosen, values, 0).sum(-1)


# The Cell Tracking Challenge.


def seg(t: Contingency) -> Scores:
    """Segmentation accuracy (SEG) of the Cell Tracking Challenge: the mean IoU of objects.

    (sum of IoU) / |R|: the IoU of each reference object with the predicted object that covers
    more than half of it, 0 if none does; the mean over the reference objects, so that extra
    predicted objects cost nothing. Undefined without reference objects.

    References:
        Maška, M. et al. (2014). A benchmark for comparison of cell tracking algorithms.
        Bioinformatics 30(11), 1609-1617. doi:10.1093/bioinformatics/btu080
    """
    return ratio(_sum(matching.by_majority(t), t.iou), t.reference_objects)


class _Operations(NamedTuple):
    """What mends the nodes of a tracking graph: split, add and delete."""

    ns: Any
    fn: Any
    fp: Any


def _operations(t: Contingency) -> _Operations:
    chosen = matching.by_majority(t)
    covered = t.over_prediction(chosen)
    there = t.prediction_sizes > 0
    none = (there & (covered == 0))[..., 1:].sum(-1)
    xp = namespace(covered)
    return _Operations(
        xp.maximum(covered - 1, 0).sum(-1), t.reference_objects - chosen.sum(-1), none
    )


def det(t: Contingency) -> Scores:
    """Detection accuracy (DET) of the Cell Tracking Challenge.

    1 - min(AOGM-D, AOGM-D0) / AOGM-D0, where AOGM-D = 5 NS + 10 FN + FP is what mending the
    detections costs, and AOGM-D0 = 10 per reference object that of starting from nothing; see
    `ctc_ns`, `ctc_fn`, `ctc_fp`. Undefined without reference objects.

    References:
        Matula, P. et al. (2015). Cell tracking accuracy measurement based on comparison of
        acyclic oriented graphs. PLoS ONE 10(12), e0144959. doi:10.1371/journal.pone.0144959
    """
    o = _operations(t)
    anew = 10 * t.reference_objects
    cost = namespace(anew).minimum(5 * o.ns + 10 * o.fn + o.fp, anew)
    return ratio(anew - cost, anew)


def ctc_ns(t: Contingency) -> Counts:
    """Node splits (NS of the Cell Tracking Challenge): how often predicted objects are to be split.

    sum max(0, |r covered by p| - 1): of each predicted object the number of reference objects
    that it covers by more than half, less one. 0 if there are none.

    References:
        Matula et al. (2015); see `det`.
    """
    return _operations(t).ns


def ctc_fn(t: Contingency) -> Counts:
    """False negatives of the Cell Tracking Challenge: reference objects that none covers.

    |R| - |R covered|: those of which no predicted object covers more than half. 0 if there
    are no objects.

    References:
        Matula et al. (2015); see `det`.
    """
    return _operations(t).fn


def ctc_fp(t: Contingency) -> Counts:
    """False positives of the Cell Tracking Challenge: predicted objects that cover none.

    |P| - |P covering|: those that cover more than half of no reference object. 0 if there are
    no objects.

    References:
        Matula et al. (2015); see `det`.
    """
    return _operations(t).fp


# Panoptic quality, and counts at a threshold of IoU.


def pq(t: Contingency, *, threshold: float | int = 0.5, strict: bool = True) -> Scores:
    """Panoptic quality: the sum of IoU over TP + FP / 2 + FN / 2, that is SQ times RQ.

    Pairs match if their IoU is more than 0.5. Of one class; see `segjax.panoptic_quality` for
    several. 0 if either has no objects, undefined if both have none.

    Args:
        t: the table.
        threshold: IoU at which a pair matches.
        strict: more than `threshold`; False for at least (StarDist).

    References:
        Kirillov, A. et al. (2019). Panoptic segmentation. CVPR, 9396-9405.
        doi:10.1109/CVPR.2019.00963
    """
    chosen = matching.by_iou(t, threshold=threshold, strict=strict)
    m = _matched(t, chosen)
    return ratio(_sum(chosen, t.iou), m.tp + 0.5 * (m.fp + m.fn))


def sq(t: Contingency, *, threshold: float | int = 0.5, strict: bool = True) -> Scores:
    """Segmentation quality: the mean IoU of matched pairs, a factor of panoptic quality.

    (sum of IoU) / TP. Undefined if no pair matches.

    Args:
        t: the table.
        threshold: IoU at which a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Kirillov et al. (2019); see `pq`.
    """
    chosen = matching.by_iou(t, threshold=threshold, strict=strict)
    return ratio(_sum(chosen, t.iou), chosen.sum(-1))


def rq(t: Contingency, *, threshold: float | int = 0.5, strict: bool = True) -> Scores:
    """Recognition quality: TP / (TP + FP / 2 + FN / 2), a factor of panoptic quality.

    The F1 score of objects. 0 if either has no objects, undefined if both have none.

    Args:
        t: the table.
        threshold: IoU at which a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Kirillov et al. (2019); see `pq`.
    """
    return f1(t, threshold=threshold, strict=strict)


def f1(t: Contingency, *, threshold: float | int = 0.5, strict: bool = False) -> Scores:
    """F1 score of objects: 2 TP / (2 TP + FP + FN) at an IoU threshold.

    0 if either has no objects, undefined if both have none. (Of voxels it is `dice`.)

    Args:
        t: the table.
        threshold: IoU from which on a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Caicedo, J. C. et al. (2019). Evaluation of deep learning strategies for nucleus
        segmentation in fluorescence images. Cytometry A 95(9), 952-965.
        doi:10.1002/cyto.a.23863
    """
    m = _at(t, threshold, strict)
    return ratio(2 * m.tp, 2 * m.tp + m.fp + m.fn)


def object_precision(
    t: Contingency, *, threshold: float | int = 0.5, strict: bool = False
) -> Scores:
    """Precision of objects: TP / (TP + FP), the share of predicted objects that match.

    Undefined if nothing is predicted.

    Args:
        t: the table.
        threshold: IoU from which on a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Caicedo et al. (2019); see `f1`.
    """
    return ratio(_at(t, threshold, strict).tp, t.prediction_objects)


def object_recall(t: Contingency, *, threshold: float | int = 0.5, strict: bool = False) -> Scores:
    """Recall of objects: TP / (TP + FN), the share of reference objects that match.

    Undefined without reference objects.

    Args:
        t: the table.
        threshold: IoU from which on a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Caicedo et al. (2019); see `f1`.
    """
    return ratio(_at(t, threshold, strict).tp, t.reference_objects)


def average_precision(
    t: Contingency, *, threshold: float | int = 0.5, strict: bool = False
) -> Scores:
    """Average precision as StarDist and Cellpose mean it: TP / (TP + FP + FN) at an IoU threshold.

    The threat score of objects; no scores of predictions enter, and nothing is averaged but
    by `dsb_score`. (COCO's average precision is another thing: see `segjax.coco_ap`.) 0 if
    either has no objects, undefined if both have none.

    Args:
        t: the table.
        threshold: IoU from which on a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Schmidt, U. et al. (2018). Cell detection with star-convex polygons. MICCAI, 265-273.
        doi:10.1007/978-3-030-00934-2_30
    """
    m = _at(t, threshold, strict)
    return ratio(m.tp, m.tp + m.fp + m.fn)


def dsb_score(
    t: Contingency,
    *,
    lowest: float | int = 0.5,
    highest: float | int = 0.95,
    step: float | int = 0.05,
    strict: bool = False,
) -> Scores:
    """Score of the 2018 Data Science Bowl: the mean of TP / (TP + FP + FN) over IoU thresholds.

    The mean of `average_precision` at 0.5, 0.55 ... 0.95. (Not COCO's mean average precision,
    which ranks predictions by their scores.) 0 if either has no objects, undefined if both
    have none.

    Args:
        t: the table.
        lowest: first threshold.
        highest: last threshold.
        step: between thresholds, which are decided exactly.
        strict: more than a threshold, as the Data Science Bowl had it, not at least.

    Raises:
        InputError: if there is no threshold between `lowest` and `highest`, or beyond [0, 1],
            or `step` is less than 0.0001.

    References:
        Caicedo, J. C. et al. (2019). Nucleus segmentation across imaging experiments: the
        2018 Data Science Bowl. Nat. Methods 16, 1247-1253. doi:10.1038/s41592-019-0612-7
    """
    if not (1e-4 <= step < float("inf") and 0 <= lowest <= highest <= 1):
        raise InputError(f"there is no threshold from {lowest} to {highest} in steps of {step}")
    low, high, by = (Fraction(x).limit_denominator(10_000) for x in (lowest, highest, step))
    grid = [float(low + k * by) for k in range(int((high - low) / by) + 1)]
    return sum(average_precision(t, threshold=x, strict=strict) for x in grid) / len(grid)


def mean_matched_score(
    t: Contingency, *, threshold: float | int = 0.5, strict: bool = False
) -> Scores:
    """Mean matched score: the mean IoU of the matched pairs.

    (sum of IoU) / TP. Undefined if no pair matches.

    Args:
        t: the table.
        threshold: IoU from which on a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Schmidt et al. (2018); see `average_precision`.
    """
    return sq(t, threshold=threshold, strict=strict)


def mean_true_score(
    t: Contingency, *, threshold: float | int = 0.5, strict: bool = False
) -> Scores:
    """Mean true score: the IoU of the matched pairs, summed, per reference object.

    (sum of IoU) / (TP + FN). Undefined without reference objects.

    Args:
        t: the table.
        threshold: IoU from which on a pair matches.
        strict: more than `threshold`, not at least.

    References:
        Schmidt et al. (2018); see `average_precision`.
    """
    chosen = matching.by_iou(t, threshold=threshold, strict=strict)
    return ratio(_sum(chosen, t.iou), t.reference_objects)


# Detection, by the distance between centroids.


def _detected(c: Centroids, distance: float | int) -> _Matched:
    tp = (matching.by_centroids(c, distance=distance) >= 0).sum(-1)
    return _Matched(tp, c.prediction_there.sum(-1) - tp, c.reference_there.sum(-1) - tp)


def centroid_f1(c: Centroids, *, distance: float | int = 5.0) -> Scores:
    """F1 score of detection by centroids: 2 TP / (2 TP + FP + FN).

    TP counts pairs of objects whose centroids are at most `distance` apart: one-to-one, as
    many as can be. Shapes have no say. 0 if either has no objects, undefined if both have
    none.

    Args:
        c: the centroids.
        distance: in the unit of spacing.

    Raises:
        InputError: if `distance` is negative.

    References:
        Sage, D. et al. (2015). Quantitative evaluation of software packages for
        single-molecule localization microscopy. Nat. Methods 12, 717-724.
        doi:10.1038/nmeth.3442

        Sirinukunwattana, K. et al. (2016). Locality sensitive deep learning for detection and
        classification of nuclei in routine colon cancer histology images. IEEE TMI 35(5),
        1196-1206. doi:10.1109/TMI.2016.2525803
    """
    m = _detected(c, distance)
    return ratio(2 * m.tp, 2 * m.tp + m.fp + m.fn)


def centroid_precision(c: Centroids, *, distance: float | int = 5.0) -> Scores:
    """Precision of detection by centroids: TP / (TP + FP), of what is predicted.

    Pairs match as in `centroid_f1`. Undefined if nothing is predicted.

    Args:
        c: the centroids.
        distance: in the unit of spacing.

    References:
        Sage et al. (2015); see `centroid_f1`.
    """
    m = _detected(c, distance)
    return ratio(m.tp, m.tp + m.fp)


def centroid_recall(c: Centroids, *, distance: float | int = 5.0) -> Scores:
    """Recall of detection by centroids: TP / (TP + FN), of what is there.

    Pairs match as in `centroid_f1`. Undefined without reference objects.

    Args:
        c: the centroids.
        distance: in the unit of spacing.

    References:
        Sage et al. (2015); see `centroid_f1`.
    """
    m = _detected(c, distance)
    return ratio(m.tp, m.tp + m.fn)


# Aggregated overlap.


def _aggregated(t: Contingency, chosen: Any) -> Scores:
    """Jaccard index of the chosen pairs together, objects left over being wrong."""
    alone = lambda partner, sizes: _sum((partner == 0)[..., 1:], sizes[..., 1:])
    rest = alone(matching.partners(t, chosen), t.reference_sizes)
    rest += alone(matching.partners_back(t, chosen), t.prediction_sizes)
    return ratio(_sum(chosen, t.counts), _sum(chosen, t.union) + rest)


def aji(t: Contingency) -> Scores:
    """Aggregated Jaccard index: intersections over unions, each summed over the objects.

    (sum |r and p|) / (sum |r or p| + sum |unpaired|). Each reference object is paired with
    the predicted object of the highest IoU, which may be paired more than once; objects
    without a pair add to the union. 0 if either has no objects, undefined if both have none.

    As in MoNuSeg and HoVer-Net; Cellpose's differs (it pairs one-to-one, see `aji_plus`).

    References:
        Kumar, N. et al. (2017). A dataset and a technique for generalized nuclear
        segmentation for computational pathology. IEEE TMI 36(7), 1550-1560.
        doi:10.1109/TMI.2017.2677499
    """
    return _aggregated(t, matching.by_best_iou(t))


def aji_plus(t: Contingency) -> Scores:
    """Aggregated Jaccard index of one-to-one pairs (AJI+): those of the greatest total IoU.

    (sum |r and p|) / (sum |r or p| + sum |unpaired|), as `aji` but for the pairs. 0 if either
    has no objects, undefined if both have none.

    References:
        Graham, S. et al. (2019). HoVer-Net: simultaneous segmentation and classification of
        nuclei in multi-tissue histology images. Med. Image Anal. 58, 101563.
        doi:10.1016/j.media.2019.101563
    """
    return _aggregated(t, matching.by_total_iou(t))


def dice2(t: Contingency) -> Scores:
    """Ensemble Dice (Dice2): twice the intersections over the sizes of all pairs that meet.

    2 sum |r and p| / sum (|r| + |p|). An object counts as often as it meets others: not at
    all if it meets none, so that missed and spurious objects cost nothing. Undefined if no
    objects meet.

    References:
        Vu, Q. D. et al. (2019). Methods for segmentation and classification of digital
        microscopy tissue images. Front. Bioeng. Biotechnol. 7, 53.
        doi:10.3389/fbioe.2019.00053
    """
    return ratio(2 * _sum(t.overlapping, t.counts), _sum(t.overlapping, t.union + t.counts))


def object_dice(t: Contingency) -> Scores:
    """Object Dice of the GlaS challenge: Dice of each object and what it overlaps most.

    (sum w Dice(r, p) + sum w' Dice(p, r)) / 2: the mean over the objects of each map, each
    weighing its share w of the voxels of all of them, with the object of the other map that
    it shares most voxels with; then the mean of both maps. 0 if either has no objects,
    undefined if both have none.

    References:
        Sirinukunwattana, K. et al. (2017). Gland segmentation in colon histology images: the
        GlaS challenge contest. Med. Image Anal. 35, 489-502. doi:10.1016/j.media.2016.08.008
    """
    dice = ratio(2 * t.counts, t.union + t.counts)
    share = lambda chosen, sizes, spread: _sum(
        chosen, dice * ratio(spread(sizes), sizes[..., 1:].sum(-1)[..., None])
    )
    there = share(matching.by_overlap(t), t.reference_sizes, t.of_reference)
    back = share(matching.by_overlap_back(t), t.prediction_sizes, t.of_prediction)
    xp = namespace(there)
    none = (t.reference_objects == 0) & (t.prediction_objects == 0)
    return xp.where(none, xp.nan, (there + back) / 2)


def jaccard_sparse(t: Contingency) -> Scores:
    """Sparse Jaccard index: mean over the reference objects of their best IoU.

    (sum of max IoU) / |R|. Only annotated objects count, so that a few may be drawn in an
    image of many; extra predicted objects cost nothing. 0 if nothing is predicted, undefined
    if nothing is annotated.

    References:
        Haase, R. et al. (2022). The Segmentation Game, version 0.2.0.
        https://github.com/haesleinhuepf/the-segmentation-game
    """
    return ratio(_sum(matching.by_best_iou(t), t.iou), t.reference_objects)


# Errors by kind.


def splits(t: Contingency) -> Counts:
    """Splits: how many predicted objects too many lie in reference objects.

    sum max(0, |p in r| - 1): of each reference object the number of predicted objects that
    lie in it by more than half, less one. 0 if there are none.

    References:
        Caicedo et al. (2019); see `f1`.
    """
    parts = t.over_reference(matching.by_containment(t))
    return namespace(parts).maximum(parts - 1, 0).sum(-1)


def merges(t: Contingency) -> Counts:
    """Merges: how many reference objects too many lie in predicted objects.

    sum max(0, |r in p| - 1): of each predicted object the number of reference objects that
    lie in it by more than half, less one. 0 if there are none. (`ctc_ns` by another name.)

    References:
        Caicedo et al. (2019); see `f1`.
    """
    return ctc_ns(t)


def missed(t: Contingency) -> Counts:
    """Missed objects of the reference: neither covered by more than half, nor split.

    |R| - |R covered or split|. No predicted object covers more than half of them, and no
    two lie in them. 0 if there are no objects. (`ctc_fn` counts those that are split as
    well.)

    References:
        Caicedo et al. (2019); see `f1`.
    """
    return (matching.kinds(t).reference == matching.MISSED).sum(-1)


def spurious(t: Contingency) -> Counts:
    """Spurious objects of the prediction: neither covering another by more than half, nor a part.

    |P| - |P covering or part|. They cover more than half of no reference object, and are
    not one of several that lie in one. 0 if there are no objects. (`ctc_fp` counts parts of
    split objects as well.)

    References:
        Caicedo et al. (2019); see `f1`.
    """
    return (matching.kinds(t).prediction == matching.SPURIOUS).sum(-1)


# The Segmentation Game's other two.


def jaccard_binary(c: Foreground) -> Scores:
    """Binary Jaccard index: IoU of all that is not background.

    TP / (TP + FP + FN). Undefined if both images are background alone.

    References:
        Haase et al. (2022); see `jaccard_sparse`.
    """
    return overlap.iou(c)


def jaccard_binary_sparse(c: Scribbles) -> Scores:
    """Binary, sparse Jaccard index: IoU over the annotated voxels.

    TP / (TP + FP + FN). The reference holds 0 = unknown, 1 = negative, 2 = positive; unknown
    voxels are left out. All that is not background in the prediction is positive. (The
    Segmentation Game counts unknown voxels as negative: see
    `segjax.compat.segmentation_game`.) Undefined if no annotated voxel is positive in either.

    References:
        Haase et al. (2022); see `jaccard_sparse`.
    """
    return overlap.iou(c)


_metric = partial(Metric, best=1.0, worst=0.0, per="image")
_score = partial(_metric, statistic=Contingency, of_objects=True)
_errors = partial(_score, best=0.0, worst=float("inf"), unit="object")

METRICS = (
    _score(function=seg, aliases=("SEG", "segmentation accuracy")),
    _score(function=det, aliases=("DET", "detection accuracy")),
    _score(function=pq, aliases=("PQ", "panoptic quality")),
    _score(function=sq, aliases=("SQ", "segmentation quality")),
    _score(function=rq, aliases=("RQ", "recognition quality")),
    _score(function=f1, aliases=("F1", "object F1", "instance F1")),
    _score(function=object_precision, aliases=("instance precision",)),
    _score(function=object_recall, aliases=("instance recall",)),
    _score(function=average_precision, aliases=("AP", "AP50 StarDist")),
    _score(function=dsb_score, aliases=("DSB", "DSB 2018")),
    _score(function=mean_matched_score, aliases=()),
    _score(function=mean_true_score, aliases=()),
    _metric(function=centroid_f1, statistic=Centroids, aliases=("detection F1",)),
    _metric(function=centroid_precision, statistic=Centroids, aliases=("detection precision",)),
    _metric(function=centroid_recall, statistic=Centroids, aliases=("detection recall",)),
    _score(function=aji, aliases=("AJI", "aggregated Jaccard index")),
    _score(function=aji_plus, aliases=("AJI+",)),
    _score(function=dice2, aliases=("DICE2", "ensemble Dice")),
    _score(function=object_dice, aliases=("object-level Dice",)),
    _score(function=jaccard_sparse, aliases=("Jaccard Index (sparse)",)),
    _errors(function=splits, aliases=("split errors",)),
    _errors(function=merges, aliases=("merge errors",)),
    _errors(function=missed, aliases=("missed objects",)),
    _errors(function=spurious, aliases=("spurious objects",)),
    _errors(function=ctc_ns, aliases=("CTC NS",)),
    _errors(function=ctc_fn, aliases=("CTC FN",)),
    _errors(function=ctc_fp, aliases=("CTC FP",)),
    _metric(function=jaccard_binary, statistic=Foreground, aliases=("Jaccard Index (binary)",)),
    _metric(
        function=jaccard_binary_sparse,
        statistic=Scribbles,
        aliases=("Jaccard Index (binary, sparse)",),
    ),
)
