"""Agreement of two partitions: functions of the contingency table."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from jaxtyping import Float

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace, ratio, root
from segjax.metrics._metric import Metric
from segjax.statistics import ConfusionMatrix, Contingency


Scores: TypeAlias = Float[AnyArray, "*batch"]


def _without_background(t: Contingency) -> Contingency:
    # The reference decides which voxels are looked at; what the prediction calls background
    # among them stays a segment of its own.
    xp = namespace(t.counts)
    there = xp.arange(t.reference_sizes.shape[-1]) > 0
    counts = xp.where(t.of_reference(there), t.counts, 0)
    return replace(
        t,
        counts=counts,
        reference_sizes=xp.where(there, t.reference_sizes, 0),
        prediction_sizes=t.over_prediction(counts),
    )


def _shares(t: Contingency) -> Any:
    return ratio(t.counts, t.total[..., None])


def _surprise(part: Any, whole: Any) -> Any:
    """-log2(part / whole), 0 where there is no part; exact when the part is nearly all."""
    xp = namespace(part, whole)
    there = part > 0
    share = ratio(xp.where(there, part, 1), xp.where(there, whole, 1))
    rest = ratio(xp.where(there, whole - part, 0), xp.where(there, whole, 1))
    nearly = rest < 0.5
    log = xp.where(nearly, xp.log1p(xp.where(nearly, -rest, 0)), xp.log(share))
    return -log / math.log(2)


def vi_split(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Variation of information, split part H(P|R): how far segments are broken up, in bits.

    sum p_ij log2 (a_i / p_ij), of the shares p_ij of voxels in segments i of R and j of P,
    and a_i in i. 0 if every reference segment lies in one predicted segment. Undefined
    without voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Meilă, M. (2007). Comparing clusterings: an information based distance. J.
        Multivar. Anal. 98(5), 873-895. doi:10.1016/j.jmva.2006.11.013
    """
    t = _without_background(t) if ignore_background else t
    given = _surprise(t.counts, t.of_reference(t.reference_sizes))
    return (_shares(t) * given).sum(-1)


def vi_merge(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Variation of information, merge part H(R|P): how far segments are run together, in bits.

    sum p_ij log2 (b_j / p_ij), of the shares p_ij of voxels in segments i of R and j of P,
    and b_j in j. 0 if every predicted segment lies in one reference segment. Undefined
    without voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Meilă (2007); see `vi_split`.
    """
    t = _without_background(t) if ignore_background else t
    given = _surprise(t.counts, t.of_prediction(t.prediction_sizes))
    return (_shares(t) * given).sum(-1)


def variation_of_information(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Variation of information: H(P|R) + H(R|P), in bits.

    A metric on partitions: 0 if they are the same. Undefined without voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Meilă (2007); see `vi_split`.
    """
    options = {"ignore_background": ignore_background}
    return vi_split(t, **options) + vi_merge(t, **options)


def mutual_information(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Mutual information of the two partitions, in bits.

    sum p_ij log2 (p_ij / (a_i b_j)), of the shares p_ij of voxels in segments i and j.
    Undefined without voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Meilă (2007); see `vi_split`.
    """
    t = _without_background(t) if ignore_background else t
    alone = _surprise(t.reference_sizes, t.total[..., None])
    given = _surprise(t.counts, t.of_prediction(t.prediction_sizes))
    return (_shares(t) * (t.of_reference(alone) - given)).sum(-1)


def adapted_rand_precision(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Precision of pairs: sum n_ij (n_ij - 1) / sum b_j (b_j - 1).

    Of two voxels in the same predicted segment, how often they share a reference segment:
    it falls when segments are merged. (scikit-image 0.26 returns it as recall.) Undefined
    if no predicted segment has two voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Arganda-Carreras, I. et al. (2015). Crowdsourcing the creation of image
        segmentation algorithms for connectomics. Front. Neuroanat. 9, 142.
        doi:10.3389/fnana.2015.00142
    """
    both, _, prediction, _ = _pairs(_without_background(t) if ignore_background else t)
    return ratio(both, both + prediction)


def adapted_rand_recall(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Recall of pairs: sum n_ij (n_ij - 1) / sum a_i (a_i - 1).

    Of two voxels in the same reference segment, how often they share a predicted segment:
    it falls when segments are split. (scikit-image 0.26 returns it as precision.) Undefined
    if no reference segment has two voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Arganda-Carreras et al. (2015); see `adapted_rand_precision`.
    """
    both, reference, _, _ = _pairs(_without_background(t) if ignore_background else t)
    return ratio(both, both + reference)


def adapted_rand_error(t: Contingency, *, ignore_background: bool = False) -> Scores:
    """Adapted Rand error: one minus the F-measure of the precision and recall of pairs.

    1 - 2 sum n_ij (n_ij - 1) / (sum a_i (a_i - 1) + sum b_j (b_j - 1)). With
    `ignore_background` it is that of scikit-image and the SNEMI3D challenge; what the
    prediction calls background is a segment even then. Undefined if no segment has two
    voxels.

    Args:
        t: the table.
        ignore_background: leave out voxels that are background in the reference.

    References:
        Arganda-Carreras et al. (2015); see `adapted_rand_precision`.
    """
    both, reference, prediction, _ = _pairs(_without_background(t) if ignore_background else t)
    apart = reference + prediction  # summed, because 1 minus a ratio near 1 would cancel
    return ratio(apart, 2 * both + apart)


def _pairs(t: Contingency) -> tuple[Any, Any, Any, Any]:
    """Share of pairs of voxels: together in both, in the reference, the prediction, neither.

    Every term is a product of non-negative counts, so that nothing cancels when a small
    object lies in a large background.
    """
    n = t.total[..., None]
    xp = namespace(n)
    all_voxels = xp.where(n > 1, n, 2)
    cell = t.counts
    row, column = t.of_reference(t.reference_sizes), t.of_prediction(t.prediction_sizes)
    share = cell / all_voxels
    of = lambda others: (share * (others / (all_voxels - 1))).sum(-1)
    both = of(xp.where(cell > 0, cell - 1, 0))
    return both, of(row - cell), of(column - cell), of(n - row - column + cell)


def rand_index(t: Contingency) -> Scores:
    """Rand index: share of pairs of voxels on which the two partitions agree.

    1 - (sum a_i^2 + sum b_j^2 - 2 sum n_ij^2) / (n (n - 1)), of n_ij voxels in segments i and
    j. The background counts as a segment. (miseval calls accuracy by this name.) Undefined
    with fewer than two voxels.

    References:
        Rand, W. M. (1971). Objective criteria for the evaluation of clustering methods.
        J. Am. Stat. Assoc. 66(336), 846-850. doi:10.2307/2284239
    """
    both, _, _, neither = _pairs(t)
    return ratio(both + neither, (t.total > 1) * 1.0)


def adjusted_rand_index(t: Contingency) -> Scores:
    """Adjusted Rand index (Hubert-Arabie): agreement of pairs beyond chance.

    (S - E) / (M - E): S pairs of voxels together in both, E = A B / pairs of all, M = (A + B)
    / 2, A and B being the pairs together in either partition. The background counts as a
    segment. 1 for identical partitions, about 0 for unrelated ones. Undefined if both
    partitions are one segment, or each voxel is its own in both.

    References:
        Hubert, L. & Arabie, P. (1985). Comparing partitions. J. Classif. 2, 193-218.
        doi:10.1007/BF01908075
    """
    both, reference, prediction, neither = _pairs(t)
    chance = (both + reference) * (reference + neither)
    chance += (both + prediction) * (prediction + neither)
    return ratio(2 * (both * neither - reference * prediction), chance)


def multiclass_mcc(t: ConfusionMatrix) -> Scores:
    """Matthews correlation coefficient of several labels, R_K.

    (c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2)), c of s voxels being
    right, t_k of the reference and p_k predicted as k. Background included. Undefined if
    reference or prediction holds a single label.

    References:
        Gorodkin, J. (2004). Comparing two K-category assignments by a K-category
        correlation coefficient. Comput. Biol. Chem. 28(5-6), 367-374.
        doi:10.1016/j.compbiolchem.2004.09.006
    """
    xp, n = namespace(t.counts), t.total[..., None]
    a, b = t.counts.sum(-1), t.counts.sum(-2)
    both = xp.diagonal(t.counts, axis1=-2, axis2=-1)
    # As sums of (TP TN - FP FN) and a (n - a) over the labels: nothing close to 1 cancels.
    apart = ratio(both, n) * ratio(n - a - b + both, n) - ratio(a - both, n) * ratio(b - both, n)
    spread = lambda size: root((ratio(size, n) * ratio(n - size, n)).sum(-1))
    return ratio(apart.sum(-1), spread(a) * spread(b))


def multiclass_kappa(t: ConfusionMatrix, *, weights: str = "none") -> Scores:
    """Cohen's kappa of several labels: 1 - sum w p_ij / sum w a_i b_j.

    Background included. Undefined if both hold the same single label.

    Args:
        t: the table.
        weights: disagreement of two labels: "none" counts all alike, "linear" and
            "quadratic" by how far apart they are in the list of labels.

    Raises:
        InputError: if `weights` is none of these.

    References:
        Cohen, J. (1968). Weighted kappa. Psychol. Bull. 70(4), 213-220.
        doi:10.1037/h0026256
    """
    if weights not in ("none", "linear", "quadratic"):
        raise InputError(f"weights must be none, linear or quadratic, got {weights!r}")
    joint = ratio(t.counts, t.total[..., None, None])
    xp = namespace(joint)
    rank = xp.arange(joint.shape[-1])
    apart = abs(rank[:, None] - rank[None, :])
    apart = {"none": apart > 0, "linear": apart, "quadratic": apart**2}[weights]
    chance = joint.sum(-1)[..., :, None] * joint.sum(-2)[..., None, :]
    total = lambda p: (apart * p).sum((-1, -2))
    return 1 - ratio(total(joint), total(chance))


_partition = partial(Metric, statistic=Contingency, per="image")
_bits = partial(_partition, best=0.0, worst=float("inf"), unit="bit")
_score = partial(_partition, best=1.0, worst=0.0)
_labels = partial(Metric, statistic=ConfusionMatrix, per="image", best=1.0, worst=-1.0, chance=0.0)

METRICS = (
    _bits(function=variation_of_information, aliases=("VI", "VOI")),
    _bits(function=vi_split, aliases=("VI split",)),
    _bits(function=vi_merge, aliases=("VI merge",)),
    _partition(function=adapted_rand_error, best=0.0, worst=1.0, aliases=("ARE", "adapted rand")),
    _score(function=adapted_rand_precision, aliases=("ARE precision",)),
    _score(function=adapted_rand_recall, aliases=("ARE recall",)),
    _score(function=rand_index, aliases=("RI", "RandIndex")),
    _partition(
        function=adjusted_rand_index,
        best=1.0,
        worst=-1.0,
        chance=0.0,
        aliases=("ARI", "AdjustedRandIndex", "adjusted_rand"),
    ),
    _partition(
        function=mutual_information, best=float("inf"), worst=0.0, unit="bit", aliases=("MI",)
    ),
    _labels(function=multiclass_mcc, aliases=("R_K",)),
    _labels(function=multiclass_kappa, aliases=()),
)
