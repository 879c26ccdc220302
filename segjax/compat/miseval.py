"""miseval 1.3's `evaluate` and `calc_...` functions, over segjax's metrics.

    from segjax.compat.miseval import evaluate
    evaluate(truth, pred, metric="DSC")
    evaluate(truth, pred, metric="DSC", multi_class=True, n_classes=5)

Scores are miseval's, its values for 0/0 included (Dice of two empty masks is 1, IoU 0), with
these exceptions, where miseval is wrong:

- Shapes must agree, but for a trailing channel axis of size 1: miseval broadcasts, so that
  (8, 8) against (8, 1) may score a Dice of 1.78.
- Probabilities (for "Hinge" and "CE") have the classes on a last axis that the truth does not
  have; predictions of the truth's own shape are taken as labels. miseval takes column `c` of
  the image for the probabilities of class `c`.
- "HD" is the Hausdorff distance of the surfaces of class `c`, and "AHD" the average over both
  masks, in voxels; miseval hands image rows to the one, whatever the class, and returns the
  maximum as the other. An empty mask is infinitely far, two empty ones 0 away as in miseval.
- "BD" refuses images that are not 2-D, for which miseval prints a message and returns NaN, and
  distances that change when the image is shifted. Without a contour it is NaN, whatever the
  pooling. It is no measure of quality: see `calc_Boundary_Distance`.
- A misspelt option is an error; miseval drops it.

"RI" is accuracy here, as it is there; segjax's own `rand_index` counts pairs.
"""

import difflib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from segjax._errors import InputError
from segjax.case import make_case
from segjax.evaluation import evaluate as evaluate_arrays
from segjax.metrics import agreement, overlap
from segjax.statistics import Confusion, Contingency, count_labels


Score: TypeAlias = Callable[..., Any]


def evaluate(
    truth: Any,
    pred: Any,
    metric: Any,
    multi_class: bool = False,
    n_classes: int = 2,
    **kwargs: Any,
) -> Any:
    """Score a prediction as `miseval.evaluate` does.

    Args:
        truth: label map, classes 0 ... n_classes - 1.
        pred: label map to be judged, of the same shape.
        metric: one of miseval's labels, as miseval spells them or in any case, or a function
            called as `metric(truth, pred, c=class, **kwargs)`.
        multi_class: score every class; implied by more than two classes.
        n_classes: number of classes, background included.
        **kwargs: handed to the metric.

    Returns:
        The score of class 1, or an array over the classes; float64.

    Raises:
        KeyError: if miseval has no such metric.
        ValueError: if an image holds more classes than it may, or the shapes differ.
        TypeError: if `metric` is neither text nor a function.
    """
    score = _find(metric)
    truth, pred = np.asarray(truth), np.asarray(pred)
    if n_classes == 2:
        for name, image in (("truth", truth), ("pred", pred)):
            if image.dtype.kind in "iub" and np.unique(image).size > 2:
                raise InputError(f"{name} contains more than 2 classes; pass n_classes=")
    if not multi_class and n_classes == 2:
        return score(truth, pred, c=1, **kwargs)
    return np.array([score(truth, pred, c=c, **kwargs) for c in range(n_classes)], float)


def _find(metric: Any) -> Score:
    if callable(metric):
        return metric
    if not isinstance(metric, str):
        raise TypeError(f"metric must be one of miseval's labels or a function, got {metric!r}")
    folded = {name.casefold(): score for name, score in metric_dict.items()}
    if found := metric_dict.get(metric) or folded.get(metric.casefold()):
        return found
    near = difflib.get_close_matches(metric.casefold(), folded, n=1)
    hint = (
        f"; did you mean {next(k for k in metric_dict if k.casefold() == near[0])}?" if near else ""
    )
    raise KeyError(f"miseval has no metric {metric!r}{hint}")


def _same_axes(truth: Any, pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both images, without the channel axis of size 1 that one of them may have."""
    r, p = np.asarray(truth), np.asarray(pred)
    if r.ndim != p.ndim:
        r, p = (
            x[..., 0] if x.ndim > min(r.ndim, p.ndim) and x.shape[-1] == 1 else x for x in (r, p)
        )
    return r, p


def _confusion(truth: Any, pred: Any, c: int) -> Confusion:
    r, p = _same_axes(truth, pred)
    counts = count_labels(make_case(reference=r == c, prediction=p == c, labels=[1]))
    return Confusion(*(x[0] for x in (counts.tp, counts.fp, counts.fn, counts.tn)))


def _score(name: str, formula: Callable[[Confusion], Any], undefined: float) -> Score:
    """A function with miseval's signature; `undefined` is what miseval returns for 0/0."""

    def score(truth: Any, pred: Any, c: int = 1) -> Any:
        value = np.asarray(formula(_confusion(truth, pred, c)))
        return (
            value[()]
            if value.dtype.kind == "i"
            else np.float64(undefined if np.isnan(value) else value)
        )

    score.__name__ = score.__qualname__ = name
    score.__doc__ = f"miseval's `{name}`; {undefined:g} for 0/0."
    return score


def _defined(rate: Any, otherwise: float) -> Any:
    return np.where(np.isnan(rate), otherwise, rate)


def _balanced_accuracy(c: Confusion) -> Any:
    """Mean recall over the classes that the truth has, as scikit-learn's."""
    tpr, tnr = overlap.sensitivity(c), overlap.specificity(c)
    return (_defined(tpr, float(tnr)) + _defined(tnr, float(tpr))) / 2


def _auc(c: Confusion) -> Any:
    """An undefined rate counts as 0 errors."""
    return 1 - (_defined(overlap.fpr(c), 0.0) + _defined(overlap.fnr(c), 0.0)) / 2


def _adjusted_rand(c: Confusion) -> Any:
    table = Contingency.from_table(np.array([[c.tn, c.fp], [c.fn, c.tp]]))
    return agreement.adjusted_rand_index(table)


calc_TruePositive = _score("calc_TruePositive", overlap.tp, 0.0)
calc_FalsePositive = _score("calc_FalsePositive", overlap.fp, 0.0)
calc_FalseNegative = _score("calc_FalseNegative", overlap.fn, 0.0)
calc_TrueNegative = _score("calc_TrueNegative", overlap.tn, 0.0)
calc_DSC = _score("calc_DSC", overlap.dice, 1.0)
calc_IoU = _score("calc_IoU", overlap.iou, 0.0)
calc_Sensitivity = _score("calc_Sensitivity", overlap.sensitivity, 0.0)
calc_Specificity = _score("calc_Specificity", overlap.specificity, 0.0)
calc_Precision = _score("calc_Precision", overlap.precision, 0.0)
calc_Accuracy = _score("calc_Accuracy", overlap.accuracy, 0.0)
calc_BalancedAccuracy = _score("calc_BalancedAccuracy", _balanced_accuracy, 0.0)
calc_AdjustedRandIndex = _score("calc_AdjustedRandIndex", _adjusted_rand, 1.0)
calc_AUC = _score("calc_AUC", _auc, 0.0)
calc_Kappa = _score("calc_Kappa", overlap.kappa, 0.0)
calc_VolumetricSimilarity = _score("calc_VolumetricSimilarity", overlap.volumetric_similarity, 1.0)
calc_MCC = _score("calc_MCC", overlap.mcc, 0.0)
calc_MCC_Normalized = _score("calc_MCC_Normalized", overlap.nmcc, 0.5)
calc_MCC_Absolute = _score("calc_MCC_Absolute", overlap.amcc, 0.0)


def calc_SimpleHausdorffDistance(truth: Any, pred: Any, c: int = 1) -> Any:
    """Hausdorff distance of the surfaces of class `c`, in voxels; 0 for two empty masks."""
    return _distance("hausdorff", truth, pred, c)


def calc_AverageHausdorffDistance(truth: Any, pred: Any, c: int = 1) -> Any:
    """Average Hausdorff distance over the voxels of class `c`; 0 for two empty masks."""
    return _distance("average_hausdorff", truth, pred, c)


def _distance(name: str, truth: Any, pred: Any, c: int) -> Any:
    r, p = _same_axes(truth, pred)
    score = evaluate_arrays(reference=r == c, prediction=p == c, metrics=[name])[name]
    return np.float64(0.0 if np.isnan(score) else score)


def calc_Boundary_Distance(
    truth: Any, pred: Any, c: int = 1, distance: str = "euclidean", pooling: str = "mean"
) -> Any:
    """Distances between all pairs of contour points of class `c`, pooled; in pixels.

    Every point of one contour is paired with every point of the other, not with the nearest,
    so equal masks are not 0 apart, and a smaller mask in the middle is nearer than an equal
    one; `assd` is the mean distance between boundaries. NaN if a mask has no contour: where
    it is empty, or fills the image.

    Args:
        truth: label map, 2-D.
        pred: label map to be judged, of the same shape.
        c: the class.
        distance: "euclidean", "manhattan", "chebyshev", "mae", "mse" or "squared_variation";
            also by the other names of dictances, "minkowsky", "cityblock", "total_variation".
        pooling: "mean", "sum", "amin" or "amax" over the pairs.

    Raises:
        ValueError: if the images are not 2-D or differ in shape, or an option is unknown.
    """
    r, p = _same_axes(truth, pred)
    if r.shape != p.shape or r.ndim != 2:
        raise InputError(f"BD needs two 2-D images of the same shape, got {r.shape}, {p.shape}")
    if distance not in _DISTANCES:
        raise InputError(f"distance must be one of {', '.join(_DISTANCES)}, got {distance!r}")
    there, here = _contour_points(r == c), _contour_points(p == c)
    if not len(there) or not len(here):
        _pool(np.zeros(1), pooling)  # refuses what it does not know
        return np.float64(np.nan)
    # Row by row, as all pairs may not fit in memory; rows are of one length.
    rows = (_DISTANCES[distance](np.abs(here - point)) for point in there)
    return _pool(np.array([_pool(row, pooling) for row in rows]), pooling)


_DISTANCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "euclidean": lambda d: np.sqrt((d * d).sum(-1)),
    "manhattan": lambda d: d.sum(-1),
    "chebyshev": lambda d: d.max(-1),
    "mae": lambda d: d.mean(-1),
    "mse": lambda d: (d * d).mean(-1),
    "squared_variation": lambda d: (d * d).sum(-1),
}
_DISTANCES["minkowsky"] = _DISTANCES["euclidean"]
_DISTANCES["cityblock"] = _DISTANCES["total_variation"] = _DISTANCES["manhattan"]


def _contour_points(mask: np.ndarray) -> np.ndarray:
    """Points halfway between neighbours in and out of a mask, as scikit-image's find_contours.

    A contour that closes starts and ends in one point, which is there twice: so the scores
    of miseval change a little when an image is transposed, and so do these.
    """
    from scipy import ndimage  # 0.2 s that few calls need

    label: Callable[..., Any] = ndimage.label  # its stub has a number beside the pair
    inside, count = label(mask)
    outside, _ = label(~mask, np.ones((3, 3)))
    points, contours = [], []
    half = np.array([0.5, 0])
    for axis in (0, 1):
        x, i, o = (np.moveaxis(a, axis, 0) for a in (mask, inside, outside))
        crossed = x[1:] != x[:-1]
        points.append(np.roll(np.argwhere(crossed) + half, axis, axis=1))
        # One of the neighbours is in an object, the other in a part of the background, and
        # each such pair meets in one contour.
        contours.append(((o[1:] + o[:-1]) * (count + 1) + i[1:] + i[:-1])[crossed])
    at, contour = np.concatenate(points), np.concatenate(contours)
    order = np.lexsort(at.T[::-1])
    at, contour = at[order[::-1]], contour[order[::-1]]
    on_border = ((at == 0) | (at == np.array(mask.shape) - 1)).any(1)
    _, last = np.unique(contour, return_index=True)
    last = at[last[~np.isin(contour[last], contour[on_border])]]
    # It closes in the last square of four pixels that it crosses: below the first of them if
    # that is in the mask, else to the right of it.
    first = (last - half).astype(int)
    closing = np.where(mask[tuple(first.T)][:, None], last, first + half[::-1])
    return np.concatenate([at, closing])


def calc_Hinge(
    truth: Any, pred_prob: Any, c: int = 1, pooling: str = "mean", provided_prob: bool = True
) -> Any:
    """Hinge loss max(1 - t p, 0), t = 1 where the truth is class `c`, else -1.

    Args:
        truth: label map.
        pred_prob: probabilities, classes last; or a label map.
        c: the class.
        pooling: "mean", "sum", "amin" or "amax" over the voxels.
        provided_prob: False if `pred_prob` is a label map.
    """
    is_class, probability = _of_class(truth, pred_prob, c, provided_prob)
    return _pool(np.maximum(1 - np.where(is_class, 1, -1) * probability, 0), pooling)


def calc_CrossEntropy(
    truth: Any, pred_prob: Any, c: int = 1, pooling: str = "mean", provided_prob: bool = True
) -> Any:
    """Cross-entropy -t log(p + eps), t = 1 where the truth is class `c`, else 0.

    Arguments as for `calc_Hinge`; eps is that of float32.
    """
    is_class, probability = _of_class(truth, pred_prob, c, provided_prob)
    return _pool(
        np.where(is_class, -1.0, 0.0) * np.log(probability + np.finfo(np.float32).eps), pooling
    )


def _of_class(truth: Any, pred: Any, c: int, provided_prob: bool) -> tuple[Any, Any]:
    truth, pred = np.asarray(truth), np.asarray(pred)
    if not provided_prob or truth.shape == pred.shape:
        probability = (pred == c).astype(float)
    elif pred.shape[:-1] == truth.shape and c < pred.shape[-1]:
        probability = pred[..., c]
    else:
        raise InputError(
            f"probabilities of shape {pred.shape} do not fit a truth of shape {truth.shape}; "
            "the classes go on a last axis"
        )
    if probability.shape != truth.shape:
        raise InputError(
            f"truth and pred must have the same shape, got {truth.shape}, {pred.shape}"
        )
    return truth == c, probability


def _pool(values: np.ndarray, pooling: str) -> Any:
    pools = {"mean": np.mean, "sum": np.sum, "amin": np.min, "amax": np.max}
    if pooling not in pools:
        raise InputError(f"pooling must be one of {', '.join(pools)}, got {pooling!r}")
    return np.float64(pools[pooling](values))


_LABELS = {
    calc_TruePositive: ("TruePositive", "TP"),
    calc_TrueNegative: ("TrueNegative", "TN"),
    calc_FalsePositive: ("FalsePositive", "FP"),
    calc_FalseNegative: ("FalseNegative", "FN"),
    calc_DSC: ("DSC", "Dice", "DiceSimilarityCoefficient"),
    calc_IoU: ("IoU", "Jaccard", "IntersectionOverUnion"),
    calc_Accuracy: ("ACC", "Accuracy", "RI", "RandIndex"),
    calc_BalancedAccuracy: ("BACC", "BalancedAccuracy"),
    calc_AdjustedRandIndex: ("ARI", "AdjustedRandIndex"),
    calc_AUC: ("AUC", "AUC_trapezoid"),
    calc_Kappa: ("KAP", "Kappa", "CohensKappa"),
    calc_Sensitivity: ("Sensitivity", "SENS", "TPR", "TruePositiveRate", "Recall"),
    calc_Specificity: ("SPEC", "Specificity", "TNR", "TrueNegativeRate"),
    calc_Precision: ("PREC", "Precision"),
    calc_VolumetricSimilarity: ("VS", "VolumetricSimilarity"),
    calc_MCC: ("MatthewsCorrelationCoefficient", "MCC"),
    calc_MCC_Normalized: ("MCC_normalized", "nMCC"),
    calc_MCC_Absolute: ("MCC_absolute", "aMCC"),
    calc_SimpleHausdorffDistance: ("HD", "HausdorffDistance"),
    calc_AverageHausdorffDistance: ("AHD", "AverageHausdorffDistance"),
    calc_Boundary_Distance: ("BoundaryDistance", "Distance", "BD"),
    calc_Hinge: ("Hinge", "HingeLoss"),
    calc_CrossEntropy: ("CE", "CrossEntropy"),
}
metric_dict: dict[str, Score] = {name: f for f, names in _LABELS.items() for name in names}
