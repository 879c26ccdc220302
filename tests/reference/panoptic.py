"""Panoptic quality by class, as panopticapi has it, over sets of voxels."""

from fractions import Fraction

from tests.reference import overlap


def segments(labels, skipped):
    return {
        k: overlap.voxels(labels == k) for k in sorted(set(labels.ravel().tolist()) - {0, skipped})
    }


def panoptic_quality(reference, prediction, divisor, ignore):
    """By class: total IoU, TP, FP and FN."""
    references, predictions = segments(reference, ignore), segments(prediction, ignore)
    void = set() if ignore is None else overlap.voxels(reference == ignore)
    result, matched = {}, set()

    def add(label, *values):
        before = result.get(label // divisor, (0, 0, 0, 0))
        result[label // divisor] = tuple(a + b for a, b in zip(before, values, strict=True))

    for i, r in references.items():
        for j, p in predictions.items():
            iou = Fraction(len(r & p), len(r | (p - void)))
            if i // divisor == j // divisor and iou > Fraction(1, 2):
                matched |= {("reference", i), ("prediction", j)}
                add(i, iou, 1, 0, 0)
        if ("reference", i) not in matched:
            add(i, 0, 0, 0, 1)
    for j, p in predictions.items():
        if ("prediction", j) not in matched and 2 * len(p & void) <= len(p):
            add(j, 0, 0, 1, 0)
    return result
