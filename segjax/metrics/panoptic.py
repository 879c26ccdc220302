"""Panoptic quality of maps that hold objects of several classes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from segjax._errors import InputError
from segjax._numerics import defined_mean, ratio
from segjax.case import make_case
from segjax.statistics import find_segments, matching
from segjax.statistics.contingency import Contingency
from segjax.statistics.segments import Segments


@dataclass(frozen=True)
class PanopticQuality:
    """Matches by class, and what follows from them; of several images, their sum.

    Attributes:
        classes: those with a segment that counts, ascending.
        iou: total IoU of the matched pairs of each class.
        tp: matched pairs.
        fp: predicted segments without a match.
        fn: reference segments without a match.
    """

    classes: Int[np.ndarray, " class"]
    iou: Float[np.ndarray, " class"]
    tp: Int[np.ndarray, " class"]
    fp: Int[np.ndarray, " class"]
    fn: Int[np.ndarray, " class"]

    @property
    def pq(self) -> Float[np.ndarray, " class"]:
        """Panoptic quality of each class: IoU over TP + FP / 2 + FN / 2."""
        return ratio(self.iou, self.tp + 0.5 * (self.fp + self.fn))

    @property
    def sq(self) -> Float[np.ndarray, " class"]:
        """Segmentation quality of each class: the mean IoU of matched pairs; NaN without any."""
        return ratio(self.iou, self.tp)

    @property
    def rq(self) -> Float[np.ndarray, " class"]:
        """Recognition quality of each class: TP / (TP + FP / 2 + FN / 2)."""
        return ratio(self.tp, self.tp + 0.5 * (self.fp + self.fn))

    @property
    def mean(self) -> float:
        """Mean PQ over the classes; NaN if there are none."""
        return float(defined_mean(self.pq))

    def __add__(self, other: "PanopticQuality") -> "PanopticQuality":
        classes = np.union1d(self.classes, other.classes)
        places = [np.searchsorted(classes, x.classes) for x in (self, other)]

        def total(name: str) -> np.ndarray:
            values = [getattr(x, name) for x in (self, other)]
            out = np.zeros(classes.size, values[0].dtype)
            for place, value in zip(places, values, strict=True):
                out[place] += value
            return out

        return PanopticQuality(classes, *map(total, ("iou", "tp", "fp", "fn")))


def panoptic_quality(
    *, reference: Any, prediction: Any, divisor: int = 1000, ignore: int | None = None
) -> PanopticQuality:
    """Panoptic quality by class: segments match within their class, if their IoU is more than 0.5.

    Labels are class * `divisor` + instance, as in Cityscapes; 0 is background, of no class.
    (Cityscapes' files leave classes without instances undivided: multiply these first.) Of
    a map of objects below the divisor, all of class 0, it is `segjax.pq`.

    Ignored voxels are treated as in panopticapi, where they are those of label 0: they leave
    the union, and a predicted segment without a match that lies in them by more than half is
    no false positive. What is predicted to be `ignore` is no segment.

    PQ of a data set, as in papers, is that of the sum of the results of its images.
    panopticapi counts SQ as 0 for a class without matches; here it is undefined.

    Args:
        reference: label map taken as the standard.
        prediction: label map to be judged, of the same shape.
        divisor: instances that a class has room for.
        ignore: label of the reference (not class) whose voxels are not counted; may be 0.

    Raises:
        InputError: if `divisor` is not positive, or the images cannot be scored.

    Example:
        >>> reference = np.array([[1001, 1001, 1002, 2000]])
        >>> found = panoptic_quality(reference=reference, prediction=reference // 1000 * 1000)
        >>> found.classes.tolist(), found.pq.round(3).tolist()  # (2 / 3) / (1 + 1 / 2), 1
        ([1, 2], [0.444, 1.0])

    References:
        Kirillov, A. et al. (2019). Panoptic segmentation. CVPR, 9396-9405.
        doi:10.1109/CVPR.2019.00963
    """
    if divisor < 1:
        raise InputError(f"divisor must be at least 1, got {divisor}")
    found = find_segments(make_case(reference=reference, prediction=prediction))
    t = _counted(found, ignore)
    labels = found.reference_labels, found.prediction_labels
    r_class, p_class = ((x // divisor).astype(np.int64) for x in labels)
    is_segment = labels[1] != (0 if ignore is None else ignore)
    row, column = t.pairs
    of_one_class = (r_class[row] == p_class[column]) & is_segment[column]
    alike = replace(t, counts=np.where(of_one_class, t.counts, 0))
    chosen = matching.by_iou(alike, threshold=0.5, strict=True)
    ignored = found.contingency.prediction_sizes - t.prediction_sizes
    judged = is_segment & (ignored <= t.prediction_sizes)
    alone = lambda sizes, partner: (sizes > 0) & (partner == 0) & (np.arange(sizes.size) > 0)
    kinds = {
        "tp": r_class[row[chosen]],
        "fp": p_class[judged & alone(t.prediction_sizes, matching.partners_back(t, chosen))],
        "fn": r_class[alone(t.reference_sizes, matching.partners(t, chosen))],
    }
    classes = np.unique(np.concatenate(list(kinds.values())))
    count = lambda of, weights=None: np.bincount(
        np.searchsorted(classes, of), weights, minlength=classes.size
    )
    return PanopticQuality(
        classes,
        count(kinds["tp"], t.iou[chosen]).astype(float),
        **{name: count(of) for name, of in kinds.items()},
    )


def _counted(found: Segments, ignore: int | None) -> Contingency:
    """The table without the voxels that are `ignore` in the reference."""
    t = found.contingency
    if ignore is None:
        return t
    row, column = t.pairs
    void = found.reference_labels == ignore
    beyond = np.where(void[row], t.counts, 0)
    return Contingency(
        t.counts - beyond,
        np.where(void, 0, t.reference_sizes),
        t.prediction_sizes - t.over_prediction(beyond),
        row,
        column,
    )
