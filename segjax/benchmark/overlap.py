"""Dice and IoU of masks, and of each class of a label map; how often segments meet."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from segjax.benchmark.timing import Entry, torch_of_one_thread


# Of a stack of masks: the Dice of each.


def numpy_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """As a NumPy user writes it, at its quickest."""

    def work() -> list[float]:
        dice = []
        for a, b in zip(r, p, strict=True):
            both, sizes = np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
            dice.append(2 * both / sizes)
        return dice

    return Entry(work)


def one_by_one(dice: Callable[[Any, Any], Any], r: Any, p: Any) -> Entry:
    """A function of prediction and reference, called for each pair."""
    return Entry(lambda: [float(dice(b, a)) for a, b in zip(r, p, strict=True)])


def medpy_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """`medpy.metric.binary.dc`."""
    return one_by_one(importlib.import_module("medpy.metric.binary").dc, r, p)


def segauge_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """`segauge.dice`."""
    return one_by_one(importlib.import_module("segauge").dice, r, p)


def miseval_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """`miseval.evaluate`."""
    evaluate = importlib.import_module("miseval").evaluate
    return one_by_one(lambda b, a: evaluate(a, b, metric="DSC"), r, p)


def sklearn_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """`sklearn.metrics.f1_score`, which is the Dice of a mask."""
    f1 = importlib.import_module("sklearn.metrics").f1_score
    return one_by_one(lambda b, a: f1(a.reshape(-1), b.reshape(-1)), r, p)


def monai_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """`monai.metrics.DiceMetric`."""
    torch, metrics = torch_of_one_thread(), importlib.import_module("monai.metrics")
    a, b = (torch.as_tensor(x[:, None]).float() for x in (r, p))
    dice = metrics.DiceMetric(reduction="none", ignore_empty=False)
    return Entry(lambda: dice(b, a), _flat)


def torchmetrics_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    """`torchmetrics.functional.segmentation.dice_score`."""
    torch = torch_of_one_thread()
    dice = importlib.import_module("torchmetrics.functional.segmentation").dice_score
    a, b = (torch.as_tensor(x[:, None]).long() for x in (r, p))
    work = lambda: dice(b, a, num_classes=1, average=None)
    return Entry(work, _flat)


def _flat(scores: Any) -> np.ndarray:
    return np.asarray(scores).reshape(-1)


MASKS = {
    "NumPy count_nonzero": numpy_masks,
    "medpy dc": medpy_masks,
    "segauge dice": segauge_masks,
    "miseval DSC": miseval_masks,
    "scikit-learn f1_score": sklearn_masks,
    "MONAI DiceMetric": monai_masks,
    "torchmetrics dice_score": torchmetrics_masks,
}


# Of label maps: Dice, then IoU, of each class.


def dice_and_iou(table: np.ndarray) -> np.ndarray:
    """From a confusion matrix, without the background."""
    both, sizes = np.diag(table)[1:], (table.sum(0) + table.sum(1))[1:]
    return np.concatenate([2 * both / sizes, both / (sizes - both)])


def numpy_classes(r: np.ndarray, p: np.ndarray, most: int, dtype: Any) -> Entry:
    """One histogram of the pairs of labels, in a type that the caller knows to hold them."""
    n = most + 1
    if n * n > np.iinfo(dtype).max + 1:
        raise ValueError(f"{n} x {n} pairs do not fit in {np.dtype(dtype)}")

    def work() -> np.ndarray:
        pairs = r * dtype(n) + p
        return dice_and_iou(np.bincount(pairs.reshape(-1), minlength=n * n).reshape(n, n))

    return Entry(work)


def sklearn_classes(r: np.ndarray, p: np.ndarray, most: int) -> Entry:
    """`sklearn.metrics.confusion_matrix`."""
    count = importlib.import_module("sklearn.metrics").confusion_matrix
    labels = np.arange(most + 1)
    return Entry(lambda: dice_and_iou(count(r.reshape(-1), p.reshape(-1), labels=labels)))


def miseval_classes(r: np.ndarray, p: np.ndarray, most: int) -> Entry:
    """`miseval.evaluate`, once for Dice; IoU follows from it."""
    evaluate = importlib.import_module("miseval").evaluate

    def work() -> np.ndarray:
        dice = evaluate(r, p, metric="DSC", multi_class=True, n_classes=most + 1)[1:]
        return np.concatenate([dice, dice / (2 - dice)])

    return Entry(work)


def monai_classes(r: np.ndarray, p: np.ndarray, most: int) -> Entry:
    """`monai.metrics.compute_dice`; IoU follows from it, its own would take as long again."""
    torch, metrics = torch_of_one_thread(), importlib.import_module("monai.metrics")
    a, b = (torch.as_tensor(x[None, None]).float() for x in (r, p))

    def work() -> np.ndarray:
        dice = metrics.compute_dice(b, a, include_background=False, num_classes=most + 1)
        dice = _flat(dice)
        return np.concatenate([dice, dice / (2 - dice)])

    return Entry(work)


def torchmetrics_classes(r: np.ndarray, p: np.ndarray, most: int) -> Entry:
    """`torchmetrics.functional.classification.multiclass_confusion_matrix`."""
    torch = torch_of_one_thread()
    count = importlib.import_module(
        "torchmetrics.functional.classification"
    ).multiclass_confusion_matrix
    a, b = (torch.as_tensor(x).long() for x in (r, p))

    def work() -> np.ndarray:
        return dice_and_iou(
            np.asarray(count(b, a, num_classes=most + 1, validate_args=False), float)
        )

    return Entry(work)


CLASSES = {
    "NumPy bincount, int64 pairs": partial(numpy_classes, dtype=np.int64),
    "NumPy bincount, uint8 pairs": partial(numpy_classes, dtype=np.uint8),
    "scikit-learn confusion_matrix": sklearn_classes,
    "miseval DSC": miseval_classes,
    "MONAI compute_dice": monai_classes,
    "torchmetrics confusion_matrix": torchmetrics_classes,
}
