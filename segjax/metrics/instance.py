"""Sparse overlap: how well the annotated objects, or the annotated voxels, are covered."""

from functools import partial
from typing import TypeAlias

from jaxtyping import Float

from segjax._numerics import AnyArray, namespace, ratio
from segjax.metrics import overlap
from segjax.metrics._metric import Metric
from segjax.statistics import Contingency, Foreground, Scribbles


Scores: TypeAlias = Float[AnyArray, "*batch"]


def jaccard_sparse(t: Contingency) -> Scores:
    """Sparse Jaccard index: mean over the reference objects of their best IoU.

    Only annotated objects count, so that a few may be drawn in an image of many; extra
    predicted objects cost nothing. 0 if nothing is predicted, undefined if nothing is
    annotated.

    References:
        Haase, R. et al. (2022). The Segmentation Game, version 0.2.0.
        https://github.com/haesleinhuepf/the-segmentation-game
    """
    union = t.reference_sizes[..., :, None] + t.prediction_sizes[..., None, :] - t.counts
    objects = ratio(t.counts, union)[..., 1:, 1:]
    xp = namespace(objects)
    best = xp.where(xp.isnan(objects), 0, objects).max(-1, initial=0)
    return ratio(best.sum(-1), (t.reference_sizes[..., 1:] > 0).sum(-1))


def jaccard_binary(c: Foreground) -> Scores:
    """Binary Jaccard index: IoU of all that is not background.

    Undefined if both images are background alone.

    References:
        Haase et al. (2022); see `jaccard_sparse`.
    """
    return overlap.iou(c)


def jaccard_binary_sparse(c: Scribbles) -> Scores:
    """Binary, sparse Jaccard index: IoU over the annotated voxels.

    The reference holds 0 = unknown, 1 = negative, 2 = positive; unknown voxels are left
    out. (The Segmentation Game counts them as negative: see
    `segjax.compat.segmentation_game`.) Undefined if no annotated voxel is positive in
    either.

    References:
        Haase et al. (2022); see `jaccard_sparse`.
    """
    return overlap.iou(c)


_metric = partial(Metric, best=1.0, worst=0.0, per="image")

METRICS = (
    _metric(function=jaccard_sparse, statistic=Contingency, aliases=("Jaccard Index (sparse)",)),
    _metric(function=jaccard_binary, statistic=Foreground, aliases=("Jaccard Index (binary)",)),
    _metric(
        function=jaccard_binary_sparse,
        statistic=Scribbles,
        aliases=("Jaccard Index (binary, sparse)",),
    ),
)
