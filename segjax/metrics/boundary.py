"""Boundary metrics: functions of the surface distances, or of the bands along both boundaries.

Each takes `SurfaceDistances` (`BoundaryBands` for IoU) with any leading axes and keeps them.
Distances are in the unit of the spacing. Where one surface is absent distances are infinite,
where both are, scores are NaN.
"""

from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace, ratio
from segjax.metrics._metric import Metric
from segjax.statistics import (
    BoundaryBands,
    InstanceSurfaces,
    ObjectDistances,
    PointDistances,
    Surface,
    SurfaceBands,
    SurfaceDistances,
    SurfaceTally,
)


Scores: TypeAlias = Float[AnyArray, "*batch"]


def _total(s: Surface) -> Any:
    """Sum of the distances, every element counting by its weight."""
    xp = namespace(s.distance)
    there = s.weight > 0
    return xp.where(there, xp.where(there, s.distance, 0) * s.weight, 0).sum(-1)


def _mean(s: Surface) -> Any:
    return ratio(_total(s), s.weight.sum(-1))


def _both(d: SurfaceDistances) -> Surface:
    xp = namespace(d.reference.distance)
    join = lambda a, b: xp.concatenate([a, b], axis=-1)
    return type(d.reference)(
        join(d.reference.distance, d.prediction.distance),
        join(d.reference.weight, d.prediction.weight),
    )


def _worse(d: SurfaceDistances, measure: Any) -> Any:
    """The larger of the two directions; infinite if one surface is absent, NaN if both are."""
    xp = namespace(d.reference.distance)
    there, back = measure(d.reference), measure(d.prediction)
    return xp.fmax(there, back)


def _percentile(s: Surface, percentile: Any) -> Any:
    """Percentile of the distances by weight; NaN without elements."""
    if namespace(s.distance) is np:
        share = _share(percentile)
        rows = zip(_rows(s.distance), _rows(s.weight), strict=True)
        of = _percentile_of_tally if isinstance(s, SurfaceTally) else _percentile_of
        values = [of(d[there], w[there], share) for d, w in rows for there in [w > 0]]
        return np.array(values).reshape(s.distance.shape[:-1])
    unweighted = (s.weight == 0) | (s.weight == 1)
    of_row = partial(_traced_percentile, percentile=percentile)
    for _ in range(s.distance.ndim - 1):
        of_row = jax.vmap(of_row)
    return of_row(s.distance, s.weight, unweighted.all(-1))


def _rows(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def _share(percentile: Any) -> Fraction:
    """So that ranks are exact: a float32 position is off by 1e-5 in long lists."""
    return Fraction(percentile).limit_denominator(10_000) / 100


def _percentile_of(distance: Any, weight: Any, share: Fraction) -> float:
    if not distance.size:
        return np.nan
    if share == 1:
        return float(distance.max())
    if (weight == 1).all():
        # numpy.percentile, whose checks take ten times as long as the rest of it.
        low, high, part = _place(distance.size, share)
        both = np.partition(distance, (low, high))
        return _between(float(both[low]), float(both[high]), part)
    return _first_to_reach(distance, weight, float(share) * weight.sum() * (1 - 1e-12))


def _place(count: int, share: Fraction) -> tuple[int, int, float]:
    """Ranks between which a percentile lies, and how far on it is from the first."""
    low, rest = divmod(share.numerator * (count - 1), share.denominator)
    return low, low + (rest > 0), rest / share.denominator


def _between(a: float, b: float, part: float) -> float:
    return b if a == b or np.isinf(b) else a + part * (b - a)


def _percentile_of_tally(distance: Any, weight: Any, share: Fraction) -> float:
    """As `_percentile_of`, of elements that weigh 1 and are counted by their distance."""
    if not distance.size:
        return np.nan
    order = np.argsort(distance)
    until = np.cumsum(weight[order])
    low, high, part = _place(int(until[-1]), share)
    a, b = distance[order[np.searchsorted(until, (low, high), side="right")]]
    return _between(float(a), float(b), part)


def _first_to_reach(distance: Any, weight: Any, wanted: float) -> float:
    """Smallest distance up to which the weights add up to what is wanted; sorts only a few."""
    while distance.size > 64:
        # Cut somewhat below the place where it would be if all weighed the same.
        place = int(distance.size * np.clip(wanted / weight.sum() - 0.05, 0.3, 0.9))
        order = np.argpartition(distance, place)
        lower = weight[order[:place]].sum()
        order = order[:place] if lower >= wanted else order[place:]
        wanted -= 0 if lower >= wanted else lower
        distance, weight = distance[order], weight[order]
    order = np.argsort(distance)
    place = np.searchsorted(np.cumsum(weight[order]), wanted)
    return float(distance[order[min(place, order.size - 1)]])


def _traced_percentile(distance: Any, weight: Any, unweighted: Any, percentile: Any) -> Any:
    """By bisection on the bits of the distances, which order as integers do: no sort."""
    keys = jax.lax.bitcast_convert_type(
        jnp.where(weight > 0, distance, jnp.inf).astype(jnp.float32), jnp.int32
    )
    there = weight > 0
    n = there.sum()
    share = _share(percentile)
    last = jnp.maximum(n - 1, 0)
    high, low = last // share.denominator, last % share.denominator
    part = low * share.numerator
    rank = high * share.numerator + part // share.denominator
    between = (part % share.denominator) / share.denominator

    def search(below: Any) -> Any:
        def halve(bit: Any, key: Any) -> Any:
            longer = key | (jnp.int32(1) << (30 - bit))
            return jnp.where(below(longer), longer, key)

        return jax.lax.fori_loop(0, 31, halve, jnp.int32(0))

    first = search(lambda key: jnp.sum(there & (keys < key)) <= rank)
    following = jnp.min(jnp.where(keys > first, keys, keys.max()))
    second = jnp.where(jnp.sum(there & (keys <= first)) > rank + 1, first, following)
    total = jnp.where(there, weight, 0).sum()
    wanted = percentile / 100 * total * (1 - 1e-6)
    heavy = search(lambda key: jnp.sum(jnp.where(keys < key, weight, 0)) < wanted)
    heavy = jnp.maximum(heavy, jnp.where(there, keys, keys.max()).min())  # percentile 0

    def value(key: Any) -> Any:
        # Bits have no gradient: it goes to the distances that have this value.
        finite = there & jnp.isfinite(distance)
        pull = ratio(jnp.where(finite & (keys == key), distance, 0).sum(), (keys == key).sum())
        pull = jnp.where(jnp.isnan(pull), 0, pull)
        pull -= jax.lax.stop_gradient(pull)  # 0, but for its gradient
        return jax.lax.bitcast_convert_type(key, jnp.float32) + pull

    a, b, c = map(value, (first, second, heavy))
    linear = jnp.where((between > 0) & (b > a), a + (b - a) * between, a)
    linear = jnp.where(jnp.isinf(b) & (between > 0), b, linear)
    return jnp.where(n == 0, jnp.nan, jnp.where(unweighted, linear, c))


def hausdorff(
    d: SurfaceDistances, *, percentile: float | int = 100.0, pooled: bool = False
) -> Scores:
    """Hausdorff distance: the farthest that either surface is from the other.

    max(P(reference to prediction), P(prediction to reference)), where P is the percentile of
    the distances: by linear interpolation if all elements weigh the same, else the smallest
    distance whose cumulated weight reaches it. Infinite if one surface is absent, undefined
    if both are.

    Some libraries (medpy, BraTS) pool both directions before taking P; below 100 the two
    differ.

    Args:
        d: distances between the surfaces.
        percentile: 100 for the classical distance, 95 for the usual robust one.
        pooled: take the percentile of both directions together.

    Raises:
        InputError: if `percentile` is not in [0, 100].

    References:
        Huttenlocher, D. P., Klanderman, G. A. & Rucklidge, W. J. (1993). Comparing images
        using the Hausdorff distance. IEEE TPAMI 15(9), 850-863. doi:10.1109/34.232073
    """
    if not 0 <= percentile <= 100:
        raise InputError(f"percentile must be in [0, 100], got {percentile}")
    if pooled:
        return _percentile(_both(d), percentile)
    return _worse(d, lambda s: _percentile(s, percentile))


def assd(d: SurfaceDistances) -> Scores:
    """Average symmetric surface distance: the mean of all distances of both directions.

    (sum d(R, P) + sum d(P, R)) / (|R| + |P|), of the elements of both surfaces by weight.
    Infinite if one surface is absent, undefined if both are. (Also ASD in the QANet paper;
    the mean of the two directed means is `masd`.)

    References:
        Heimann, T. et al. (2009). Comparison and evaluation of methods for liver
        segmentation from CT datasets. IEEE TMI 28(8), 1251-1265. doi:10.1109/TMI.2009.2013851
    """
    weight = d.reference.weight.sum(-1) + d.prediction.weight.sum(-1)
    return ratio(_total(d.reference) + _total(d.prediction), weight)


def masd(d: SurfaceDistances) -> Scores:
    """Mean average surface distance: the mean of the two directed mean distances.

    (mean d(R, P) + mean d(P, R)) / 2, of the elements of each surface by weight. Infinite if
    one surface is absent, undefined if both are. (Some libraries call it ASSD.)

    References:
        Maier-Hein, L. et al. (2024). Metrics reloaded: recommendations for image analysis
        validation. Nat. Methods 21, 195-212. doi:10.1038/s41592-023-02151-z
    """
    xp = namespace(d.reference.distance)
    there, back = _mean(d.reference), _mean(d.prediction)
    mean = (xp.where(xp.isnan(there), back, there) + xp.where(xp.isnan(back), there, back)) / 2
    return mean


def asd(d: SurfaceDistances, *, direction: str = "prediction") -> Scores:
    """Average surface distance: the mean distance of one surface to the other.

    sum d(P, R) / |P|, of the elements of the prediction's surface by weight, or the reverse.
    Infinite if the other surface is absent, undefined if this one is.

    Args:
        d: distances between the surfaces.
        direction: "prediction" for the prediction's elements to the reference, "reference"
            for the reference's to the prediction.

    Raises:
        InputError: if `direction` is neither.

    References:
        Heimann et al. (2009); see `assd`.
    """
    if direction not in ("prediction", "reference"):
        raise InputError(f"direction must be prediction or reference, got {direction!r}")
    return _mean(d.prediction if direction == "prediction" else d.reference)


def mhd(d: SurfaceDistances) -> Scores:
    """Modified Hausdorff distance: the larger of the two directed mean distances.

    max(mean d(R, P), mean d(P, R)), of the elements of each surface by weight. Infinite if
    one surface is absent, undefined if both are.

    References:
        Dubuisson, M.-P. & Jain, A. K. (1994). A modified Hausdorff distance for object
        matching. ICPR, 566-568. doi:10.1109/ICPR.1994.576361
    """
    return _worse(d, _mean)


def nemhd(d: SurfaceDistances, *, tau: float | int = 10.0) -> Scores:
    """Negative exponent of the modified Hausdorff distance: exp(-MHD / tau).

    A score between 0 and 1. 0 if one surface is absent, undefined if both are.

    Args:
        d: distances between the surfaces.
        tau: the distance, in the unit of spacing, at which the score is 1/e.

    Raises:
        InputError: if `tau` is not positive.

    References:
        Aharoni, A. et al. QANet: segmentation quality assessment by a RibCage network.
    """
    if not tau > 0:
        raise InputError(f"tau must be positive, got {tau}")
    return namespace(d.reference.distance).exp(-mhd(d) / tau)


def nsd(d: SurfaceDistances, *, tolerance: float | int = 1.0) -> Scores:
    """Normalised surface distance (surface Dice): share of both surfaces near the other.

    (|d(R, P) <= t| + |d(P, R) <= t|) / (|R| + |P|): the share, by weight, of the elements of
    both surfaces within the tolerance t of the other one; a distance equal to the tolerance
    counts. 0 if one surface is absent, undefined if both are.

    Args:
        d: distances between the surfaces.
        tolerance: in the unit of spacing.

    Raises:
        InputError: if `tolerance` is negative.

    References:
        Nikolov, S. et al. (2021). Clinically applicable segmentation of head and neck
        anatomy for radiotherapy. J. Med. Internet Res. 23(7), e26151. doi:10.2196/26151
    """
    if not tolerance >= 0:
        raise InputError(f"tolerance must not be negative, got {tolerance}")
    xp = namespace(d.reference.distance)
    reach = tolerance * (1 + 1e-6)
    near = lambda s: xp.where(s.distance <= reach, s.weight, 0).sum(-1)
    weight = d.reference.weight.sum(-1) + d.prediction.weight.sum(-1)
    return ratio(near(d.reference) + near(d.prediction), weight)


def average_hausdorff(d: PointDistances) -> Scores:
    """Average Hausdorff distance: the mean of the two directed means over all voxels.

    (mean d(R, P) + mean d(P, R)) / 2, of the masks as point sets: every voxel counts, not
    those on the surface alone, and voxels in both are 0 away. Infinite if one mask is empty,
    undefined if both are. (miseval returns the maximum by this name.)

    References:
        Aydin, O. U. et al. (2021). On the usage of average Hausdorff distance for segmentation
        performance assessment. Eur. Radiol. Exp. 5, 4. doi:10.1186/s41747-020-00200-2
    """
    return masd(d)


def object_hausdorff(d: ObjectDistances) -> Scores:
    """Object Hausdorff distance of the GlaS challenge: of each object to what it overlaps most.

    (sum w H(r, p) + sum w' H(p, r)) / 2: the mean over the objects of each map, each weighing
    its share w of the voxels of all of them, of the Hausdorff distance (of all voxels) to the
    object of the other map that it shares most voxels with, the smallest of several; if it
    overlaps none, to the one for which that is least. Then the mean of both maps. Infinite if
    one map has no objects, undefined if both have none.

    References:
        Sirinukunwattana, K. et al. (2017). Gland segmentation in colon histology images: the
        GlaS challenge contest. Med. Image Anal. 35, 489-502. doi:10.1016/j.media.2016.08.008
    """
    return masd(d)


def boundary_iou(b: BoundaryBands, *, width: float | int = 0.02) -> Scores:
    """Boundary IoU: intersection over union of the bands inside both boundaries.

    |r and p| / |r or p|, of the bands r and p. Voxels of a mask are in its band if they are
    at most `width` from the nearest voxel outside, steps to any neighbour, corners included,
    counting 1; the outside of the image is outside. So in voxels, whatever the spacing. 0 if
    one mask is empty, undefined if both are.

    (Metrics Reloaded means `boundary_iou_euclidean`.)

    Args:
        b: voxels by depth.
        width: of the bands: 1, 2, ... in voxels; below 1 as a share of the image's diagonal,
            rounded to voxels (a half to the even number), at least 1.

    Raises:
        InputError: if `width` is neither a share between 0 and 1 nor a whole number.

    References:
        Cheng, B. et al. (2021). Boundary IoU: improving object-centric image segmentation
        evaluation. CVPR, 15329-15337. doi:10.1109/CVPR46437.2021.01508
    """
    if not (0 < width < 1 or (width >= 1 and width % 1 == 0)):
        raise InputError(
            "width must be a whole number of voxels, or a share of the diagonal between 0 and 1, "
            f"got {width}"
        )
    d = int(width) if width >= 1 else max(1, round(width * b.diagonal))
    r, p, both = (x[..., :d].sum(-1) for x in (b.reference, b.prediction, b.both))
    return ratio(both, r + p - both)


def boundary_iou_euclidean(b: SurfaceBands, *, width: float | int = 0.02) -> Scores:
    """Boundary IoU of bands by Euclidean distance, as Metrics Reloaded has it.

    |r and p| / |r or p| as `boundary_iou`, but a voxel is in the band of its mask if it is
    less than `width` from the nearest voxel on the surface (with a face neighbour outside) of
    that mask. 0 if one mask is empty, undefined if both are.

    Args:
        b: voxels by their depth from the surface.
        width: as of `boundary_iou`; Metrics Reloaded's default is 1.

    References:
        Maier-Hein et al. (2024); see `masd`.
    """
    return boundary_iou(b, width=width)


def unmatched_objects(s: InstanceSurfaces) -> Num[AnyArray, "*batch"]:
    """Unmatched objects: how many of the reference no predicted object covers by more than half.

    |R| - |matched R|, of the reference objects R. 0 if there are none. They have no distance:
    see `unmatched=` of the distances.

    References:
        Ulman, V. et al. (2017). An objective comparison of cell-tracking algorithms. Nat.
        Methods 14, 1141-1152. doi:10.1038/nmeth.4473
    """
    return (s.there & ~s.matched).sum(-1)


_metric = partial(Metric, statistic=SurfaceDistances)
_length = partial(_metric, best=0.0, worst=float("inf"), unit="length")

METRICS = (
    _length(
        function=hausdorff,
        aliases=("HD", "HausdorffDistance", "hausdorff distance 100"),
    ),
    _length(function=assd, aliases=("ASD QANet", "average symmetric surface distance")),
    _length(function=masd, aliases=("mean average surface distance",)),
    _length(function=asd, aliases=("average surface distance", "MSD")),
    _length(function=mhd, aliases=("modified Hausdorff distance",)),
    _length(
        function=average_hausdorff,
        statistic=PointDistances,
        aliases=("AHD", "AverageHausdorffDistance", "average Hausdorff distance"),
    ),
    _length(
        function=object_hausdorff,
        statistic=ObjectDistances,
        per="image",
        aliases=("object-level Hausdorff",),
    ),
    _metric(function=nemhd, best=1.0, worst=0.0, aliases=("neMHD",)),
    _metric(
        function=nsd,
        best=1.0,
        worst=0.0,
        aliases=("surface Dice", "normalized surface dice", "normalised surface distance"),
    ),
    Metric(
        function=boundary_iou,
        statistic=BoundaryBands,
        best=1.0,
        worst=0.0,
        aliases=("BIoU", "boundary IoU", "boundary intersection over union"),
    ),
    Metric(function=boundary_iou_euclidean, statistic=SurfaceBands, best=1.0, worst=0.0),
    Metric(
        function=unmatched_objects,
        statistic=InstanceSurfaces,
        best=None,
        worst=None,
        unit="object",
        per="image",
    ),
)

# Names that stand for a metric with its options.
COMPOSED = {
    "HD95": "hausdorff(percentile=95)",
    "MHD95": "hausdorff(percentile=95)",
    "95 % Hausdorff distance": "hausdorff(percentile=95)",
}
