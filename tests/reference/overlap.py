"""Overlap metrics over sets of voxels: no arrays, exact fractions, no shared code."""

import math
from fractions import Fraction
from itertools import product


def voxels(mask):
    return {index for index in product(*map(range, mask.shape)) if mask[index]}


def counts(reference, prediction):
    everything = set(product(*map(range, reference.shape)))
    r, p = voxels(reference), voxels(prediction)
    return len(r & p), len(p - r), len(r - p), len(everything - r - p)


def share(part, whole):
    return Fraction(part, whole) if whole else math.nan


def tp(c):
    return c[0]


def fp(c):
    return c[1]


def fn(c):
    return c[2]


def tn(c):
    return c[3]


def dice(c):
    return share(2 * c[0], 2 * c[0] + c[1] + c[2])


def iou(c):
    return share(c[0], c[0] + c[1] + c[2])


def sensitivity(c):
    return share(c[0], c[0] + c[2])


def specificity(c):
    return share(c[3], c[3] + c[1])


def precision(c):
    return share(c[0], c[0] + c[1])


def npv(c):
    return share(c[3], c[3] + c[2])


def fpr(c):
    return 1 - specificity(c)


def fnr(c):
    return 1 - sensitivity(c)


def fdr(c):
    return 1 - precision(c)


def false_omission_rate(c):
    return 1 - npv(c)


def accuracy(c):
    return share(c[0] + c[3], sum(c))


def balanced_accuracy(c):
    return (sensitivity(c) + specificity(c)) / 2


def auc_trapezoid(c):
    """Area under (0, 0), (FPR, TPR), (1, 1), by the trapezoidal rule."""
    x, y = fpr(c), sensitivity(c)
    return x * y / 2 + (1 - x) * (y + 1) / 2


def f_beta(c, beta=1):
    r, p = sensitivity(c), precision(c)
    if c[0] == 0 and c[1] + c[2]:
        return 0
    b2 = Fraction(beta) ** 2
    return (1 + b2) * p * r / (b2 * p + r) if c[0] else math.nan


def mcc(c):
    t, f, n, o = c
    square = (t + f) * (t + n) * (o + f) * (o + n)
    return (t * o - f * n) / math.sqrt(square) if square else math.nan


def nmcc(c):
    return (mcc(c) + 1) / 2


def amcc(c):
    return abs(mcc(c))


def kappa(c):
    t, f, n, o = c
    total = sum(c)
    if not total:
        return math.nan
    observed = Fraction(t + o, total)
    chance = Fraction((t + f) * (t + n) + (o + f) * (o + n), total**2)
    return (observed - chance) / (1 - chance) if chance != 1 else math.nan


def informedness(c):
    return sensitivity(c) + specificity(c) - 1


def markedness(c):
    return precision(c) + npv(c) - 1


def fowlkes_mallows(c):
    return math.sqrt(precision(c) * sensitivity(c))


def prevalence_threshold(c):
    tpr, false = sensitivity(c), fpr(c)
    if tpr == false or math.isnan(tpr + false):
        return math.nan
    return (math.sqrt(tpr * false) - false) / (tpr - false)


def volumetric_similarity(c):
    r, p = c[0] + c[2], c[0] + c[1]
    return 1 - share(abs(r - p), r + p)


def volume_difference(c):
    return share(c[1] - c[2], c[0] + c[2])


def absolute_volume_difference(c, voxel_volume=1):
    return abs(c[1] - c[2]) * voxel_volume
