"""COCO's average precision as the paper's code has it, over sets of voxels and in fractions."""

import math
from fractions import Fraction

from tests.reference import instance, overlap


def coco_ap(references, predictions, scores, thresholds, most):
    values = [one_threshold(references, predictions, scores, t, most) for t in thresholds]
    return sum(values) / len(values)


def one_threshold(references, predictions, scores, threshold, most):
    found, objects = [], 0
    for reference, prediction, own in zip(references, predictions, scores, strict=True):
        free = instance.objects(reference)
        objects += len(free)
        labels = sorted(set(prediction.ravel().tolist()) - {0})
        for k in sorted(labels, key=lambda k, own=own: -own[k])[:most]:
            mask = overlap.voxels(prediction == k)
            best = max(
                reversed(free), key=lambda r, mask=mask: instance.iou(r, mask), default=set()
            )
            hit = bool(best) and instance.iou(best, mask) >= threshold
            if hit:
                free.remove(best)
            found.append((own[k], hit))
    if not objects:
        return math.nan
    found.sort(key=lambda pair: -pair[0])
    curve, tp = [], 0
    for n, (_, hit) in enumerate(found, start=1):
        tp += hit
        curve.append((Fraction(tp, objects), Fraction(tp, n)))
    at = lambda recall: max((p for r, p in curve if r >= recall), default=0)
    return float(sum(at(Fraction(k, 100)) for k in range(101)) / 101)
