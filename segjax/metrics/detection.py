"""Detection where predictions have scores: COCO's average precision, of whole data sets."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from segjax._errors import InputError
from segjax.case import make_case
from segjax.statistics import find_segments, matching
from segjax.statistics.contingency import Contingency


THRESHOLDS = tuple(k / 20 for k in range(10, 20))
_RECALLS = 100  # precision is read off at 0, 1/100 ... 1


class _Ranked(NamedTuple):
    """Predicted objects of an image, those of the highest scores first."""

    scores: Float[np.ndarray, " object"]
    hits: Bool[np.ndarray, "threshold object"]


def coco_ap(
    *,
    references: Sequence[Any],
    predictions: Sequence[Any],
    scores: Sequence[Any],
    thresholds: Sequence[float | int] = THRESHOLDS,
    max_detections: int = 100,
) -> float:
    """COCO's average precision: the mean precision over recalls and over IoU thresholds.

    In each image predicted objects, those of the highest scores first, take the reference
    object with the highest IoU of those not taken yet, if it reaches the threshold. Over all
    images, again in order of the scores, each prefix has a precision TP / (TP + FP) and a
    recall TP / reference objects. The average is that over the recalls 0, 0.01 ... 1 of the
    highest precision at this recall or more, 0 if it is not reached; then over the thresholds.
    Undefined (NaN) without reference objects.

    Of one class: score the maps of each class by themselves, and take the mean. AP50 and AP75
    are those at `thresholds=[0.5]` and `[0.75]`. Objects of equal scores keep the order of
    images and labels.

    pycocotools compares recalls in floating point, where at ten of the 101 (0.57, say) one that
    is equal falls short; here they are compared in whole numbers, as the thresholds are.

    Args:
        references: label maps taken as the standard, one per image: integers, 0 is background.
        predictions: label maps to be judged, each of the shape of its reference.
        scores: of each image the scores of its predicted objects: by label, or an array in
            which a label is an index.
        thresholds: of IoU, in (0, 1].
        max_detections: predicted objects of an image that count; those of the highest scores.

    Raises:
        InputError: if there are not as many references, predictions and scores, a threshold
            is not in (0, 1] or there is none, `max_detections` is not positive, an image cannot
            be scored, or a predicted object has no finite score.

    Example:
        >>> reference, prediction = np.array([[1, 1, 0, 2]]), np.array([[5, 5, 3, 0]])
        >>> scores = [{5: 0.9, 3: 0.2}]
        >>> ap = coco_ap(references=[reference], predictions=[prediction], scores=scores)
        >>> round(ap, 3)  # precision 1 up to a recall of 1/2, at 51 of 101 recalls
        0.505

    References:
        Lin, T.-Y. et al. (2014). Microsoft COCO: common objects in context. ECCV, 740-755.
        doi:10.1007/978-3-319-10602-1_48
    """
    if not len(references) == len(predictions) == len(scores):
        raise InputError(
            f"{len(references)} references, {len(predictions)} predictions and scores of "
            f"{len(scores)} images; there must be one of each per image"
        )
    if not len(thresholds) or not all(0 < t <= 1 for t in thresholds):
        raise InputError(f"thresholds must be in (0, 1], got {list(thresholds)}")
    if max_detections < 1:
        raise InputError(f"max_detections must be at least 1, got {max_detections}")
    objects, images = 0, [_Ranked(np.zeros(0), np.zeros((len(thresholds), 0), bool))]
    for i, (r, p, s) in enumerate(zip(references, predictions, scores, strict=True)):
        try:
            found = find_segments(make_case(reference=r, prediction=p))
            t = found.contingency
            there = 1 + np.flatnonzero(t.prediction_sizes[1:])
            own = _scores_of(found.prediction_labels[there], s)
        except InputError as error:
            raise InputError(f"image {i}: {error}") from None
        objects += int(t.reference_objects)
        images.append(_rank(t, there, own, thresholds, max_detections))
    if not objects:
        return np.nan
    order = np.argsort(-np.concatenate([x.scores for x in images]), kind="stable")
    hits = np.concatenate([x.hits for x in images], axis=1)[:, order]
    return float(np.mean([_average(row, objects) for row in hits]))


def _scores_of(labels: np.ndarray, scores: Any) -> Float[np.ndarray, " object"]:
    """Scores of these labels.

    Raises:
        InputError: if one has none, or one that is not finite.
    """
    try:
        found = np.array([scores[k] for k in labels.tolist()], float)
    except (KeyError, IndexError):
        known = scores.keys() if isinstance(scores, Mapping) else range(len(scores))
        without = next(k for k in labels.tolist() if k not in known)
        raise InputError(
            f"the predicted object {without} has no score; give one for every label of the map"
        ) from None
    if not np.isfinite(found).all():
        place = int(np.argmin(np.isfinite(found)))
        raise InputError(
            f"the predicted object {labels[place]} has the score {found[place]}; scores are "
            "finite numbers, higher for what is more certain"
        )
    return found


def _rank(
    t: Contingency,
    there: Int[np.ndarray, " object"],
    scores: Float[np.ndarray, " object"],
    thresholds: Sequence[float | int],
    most: int,
) -> _Ranked:
    """Rank the predicted segments that are there by their scores, and say which of them hit."""
    order = np.argsort(-scores, kind="stable")[:most]
    rank = np.full(t.prediction_sizes.size, -1)
    rank[there[order]] = np.arange(order.size)
    row, column = t.pairs
    # Of reference objects with the same IoU COCO takes the last.
    by_worth = np.lexsort((-row, -t.iou, rank[column]))
    hits = np.zeros((len(thresholds), order.size), bool)
    for hit, threshold in zip(hits, thresholds, strict=True):
        reached = matching.reaching(t, threshold=threshold) & (rank[column] >= 0)
        pairs = by_worth[reached[by_worth]]
        taken: set[int] = set()
        for i, k in zip(row[pairs].tolist(), rank[column[pairs]].tolist(), strict=True):
            if i not in taken and not hit[k]:
                taken.add(i)
                hit[k] = True
    return _Ranked(scores[order], hits)


def _average(hits: Bool[np.ndarray, " object"], objects: int) -> float:
    """Mean of the precision at all recalls, of objects in the order of their scores."""
    tp = np.cumsum(hits)
    precision = tp / np.arange(1, tp.size + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(_RECALLS * tp, np.arange(_RECALLS + 1) * objects)
    return np.append(highest, 0)[place].mean()
