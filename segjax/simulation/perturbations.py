"""Perturbations: what segmentations make of a true label map, drawn at random.

Every perturbation has one signature, so that it can be used alone: a key, labels from 0 to
`most`, the image, and an amount that may be traced (0 leaves the labels as they are). `perturb`
draws amounts and chains them. All shapes are fixed; a perturbation that is not drawn has the
amount 0, which under `vmap` is cheaper than a branch.

Half of the segmentations follow the image, as those of real methods do: an image is thresholded
too high or too low, and its foreground is divided among seeds, of which some are missing.

References:
    Aharoni et al. (2025), see `segjax.quality.ribcage`: five-state morphology, warp, merges.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Int32, PRNGKeyArray

from segjax._errors import InputError
from segjax.ops.components import components
from segjax.simulation._fields import Grain, blur, smooth_noise, spline_field
from segjax.simulation._label_tools import (
    centroids_of,
    highest,
    lowest,
    means_of,
    morphed,
    places,
    radii_of,
    sizes_of,
)


_SEEDS = 64  # strewn over an image whose objects are fragmented
_SPURIOUS = 4  # as many objects at most are added that are not there


@dataclass(frozen=True)
class Perturbations:
    """How often and how strongly labels are perturbed; chances are per image.

    Lengths are in voxels. Amounts grow with the severity of an image.

    Attributes:
        severity: least and greatest severity, from 0 (mild) to 1; drawn evenly for each image.
        untouched: chance that a segmentation is perfect.
        follows_image: chance that it is a threshold of the image, not made from the truth.
        fused: chance that touching objects of such a threshold stay one.
        unseeded: greatest share of seeds that such a threshold misses.
        split: chance of splits; then up to this share of the objects: `split_share`.
        fragmented: chance that up to this share of the objects, `fragmented_share`, fall to up to
            64 seeds strewn over the image.
        removed: chance of removals, up to `removed_share`.
        dim_missed: chance that the dimmest objects are missed.
        morphology: chance of erosion, dilation, opening and closing (with identity).
        radius: greatest radius of the structuring element.
        coherent: chance that all objects of an image undergo the same.
        merged: chance of merging objects that touch, up to `merged_share` of the contacts.
        warped: chance of a non-rigid warp.
        warp: least and greatest root mean square of its displacement along each axis. The
            paper's field, U(-512, 512) smoothed by a Gaussian of 38, has 2.2 (in two axes).
        warp_width: standard deviations of that Gaussian, for a fine and a coarse warp.
        bent: chance of a warp by a cubic B-spline of 8 control points along each axis.
        bend: least and greatest displacement of its control points, in the plane.
        shifted: chance that all is shifted to one side, by `shift` on average.
        spurious: chance of objects that are not there, up to 4.
        smallest: greatest size of the pieces that are dropped at last.
    """

    severity: tuple[float, float] = (0.0, 1.0)
    untouched: float = 0.04
    follows_image: float = 0.5
    fused: float = 0.3
    unseeded: float = 0.7
    split: float = 0.25
    split_share: float = 1.0
    fragmented: float = 0.2
    fragmented_share: float = 1.0
    removed: float = 0.2
    removed_share: float = 0.8
    dim_missed: float = 0.2
    morphology: float = 0.6
    radius: int = 6
    coherent: float = 0.5
    merged: float = 0.3
    merged_share: float = 1.0
    warped: float = 0.6
    warp: tuple[float, float] = (0.2, 3.0)
    warp_width: tuple[float, float] = (6.0, 19.0)
    bent: float = 0.0
    bend: tuple[float, float] = (0.0, 4.0)
    shifted: float = 0.15
    shift: float = 4.0
    spurious: float = 0.25
    smallest: float = 40.0

    def __post_init__(self) -> None:
        for name in _CHANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")
        if self.radius < 0:
            raise InputError(f"radius is {self.radius}; it must not be negative")


_CHANCES = (
    *("untouched", "follows_image", "fused", "unseeded", "split", "split_share", "removed"),
    *("fragmented", "fragmented_share", "removed_share", "dim_missed", "morphology", "coherent"),
    *("merged", "merged_share", "warped", "bent", "shifted", "spurious"),
)

WIDE = Perturbations()

# The paper's two stages: five-state morphology of each object with sigma U{1..4}, then the warp
# (its lengths halved, as phantoms are of half its scale); touching objects may fuse.
PAPER = Perturbations(
    severity=(1.0, 1.0),
    untouched=0.0,
    follows_image=0.0,
    split=0.0,
    fragmented=0.0,
    removed=0.0,
    dim_missed=0.0,
    morphology=1.0,
    radius=4,
    coherent=0.0,
    merged=0.3,
    warped=0.8,
    warp=(1.1, 1.1),
    warp_width=(19.0, 19.0),
    shifted=0.0,
    spurious=0.0,
    smallest=1.0,
)

PAPER_VOLUME = replace(PAPER, radius=2, warped=0.0, bent=0.8)


def most_labels(objects: int) -> int:
    """The largest label that `perturb` returns for a reference of so many objects."""
    return 4 * objects


def perturb(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "..."],
    how: Perturbations,
    *,
    objects: int,
) -> Int32[Array, "*space"]:
    """Draw one imperfect segmentation; pure, for `jit` and `vmap`.

    Args:
        key: fixes all that is random.
        labels: the truth, 0 to `objects`.
        image: of the same shape, in any range.
        how: what happens, how often and how strongly; static.
        objects: the largest label; static.

    Returns:
        Labels from 0 to `most_labels(objects)`, each in one piece (but for an untouched truth).
    """
    if labels.shape != image.shape:
        raise InputError(f"labels {labels.shape} and image {image.shape} differ in shape")
    draw, followed, *keys = jax.random.split(key, 14)
    a = _draw_amounts(draw, how)
    truth = labels.astype(jnp.int32)
    now = truth
    if how.follows_image:
        traced = follow_image(followed, truth, image, a.follow, most=objects)
        now = jnp.where(a.follows, traced, now)
    most = objects
    if how.split:
        for k in keys[:2]:
            now = split(k, now, image, a.split, most=most)
            most *= 2
    steps: list[tuple[Callable[..., Array], float, Any]] = [
        (remove, how.removed, a.removed),
        (miss_dim, how.dim_missed, a.dim_missed),
        (morph, how.morphology, a.morphology),
        (merge, how.merged, a.merged),
        (warp, how.warped, a.warp),
        (bend, how.bent, a.bend),
        (shift, how.shifted, a.shift),
    ]
    for k, (step, chance, amount) in zip(keys[2:9], steps, strict=True):
        if chance:
            now = step(k, now, image, amount, most=most)
    if how.spurious:
        now = add_spurious(keys[9], now, image, a.spurious, most=most)
        most += _SPURIOUS
    if how.fragmented:
        now = fragment(keys[10], now, image, a.fragments, most=most)
    now = relabel(now, a.smallest, most=most_labels(objects))
    return jnp.where(a.untouched, truth, now)


class Follow(NamedTuple):
    """How a segmentation follows an image.

    Attributes:
        level: threshold between the background (0) and a typical object (1).
        own: whether the level is relative to each object, not to the image.
        local: how much of a broad blur is taken off, as local thresholds do.
        smoothing: standard deviation of the blur before the threshold, in voxels.
        fused: whether touching objects stay one.
        unseeded: share of the objects that have no seed and fall to their neighbours.
        jitter: of the seeds, as a share of the radius.
    """

    level: Any
    own: Any
    local: Any
    smoothing: Any
    fused: Any
    unseeded: Any
    jitter: Any


class Fragments(NamedTuple):
    """How objects are broken up.

    Attributes:
        share: of the objects, which are.
        seeds: strewn over the image, up to 64.
    """

    share: Any
    seeds: Any


class Morphology(NamedTuple):
    """Five-state morphology.

    Attributes:
        radius: greatest radius of the structuring element, in voxels.
        coherent: whether all objects undergo the same.
        largest: the most that `radius` may be; static.
    """

    radius: Any
    coherent: Any
    largest: int


class Warp(NamedTuple):
    """A non-rigid warp.

    Attributes:
        rms: root mean square of the displacement along each axis, in voxels.
        width: standard deviation of the Gaussian that smooths it, in voxels.
        finest: the least that `width` may be; static.
    """

    rms: Any
    width: Any
    finest: float


class _Amounts(NamedTuple):
    """One draw of everything that `Perturbations` has a chance for."""

    untouched: Any
    follows: Any
    follow: Follow
    split: Any
    fragments: Fragments
    removed: Any
    dim_missed: Any
    morphology: Morphology
    merged: Any
    warp: Warp
    bend: Any
    shift: Any
    spurious: Any
    smallest: Any


def _draw_amounts(key: PRNGKeyArray, how: Perturbations) -> _Amounts:
    evens = iter(jax.random.uniform(key, (40,)))
    even = lambda: next(evens)
    severity = how.severity[0] + (how.severity[1] - how.severity[0]) * even()
    hit = lambda chance: even() < chance
    sometimes = lambda chance, amount: jnp.where(hit(chance), amount, 0.0)
    follows = hit(how.follows_image)
    # Half of the error is the threshold's already.
    milder = jnp.where(follows, 0.5, 1.0) * severity
    own = hit(0.4)
    # As bad a threshold may be too low as too high.
    away = (0.1 + 0.9 * severity) * (even() - 0.5)
    level = jnp.where(own, 0.5 + 0.9 * away, jnp.exp(jnp.log(0.35) + 3.2 * away))
    follow = Follow(
        level=level,
        own=own,
        local=sometimes(0.3, even()),
        smoothing=0.4 + 2.1 * even() ** 2,
        fused=hit(how.fused),
        unseeded=sometimes(0.5, how.unseeded * severity * even()),
        jitter=0.6 * severity * even(),
    )
    even_in = lambda ends: ends[0] + (ends[1] - ends[0]) * even()
    low, high = how.warp
    width = jnp.where(hit(0.5), *how.warp_width)
    radius = jnp.floor(1.0 + even() * jnp.minimum(1.0 + (how.radius - 1) * milder, how.radius))
    return _Amounts(
        untouched=hit(how.untouched),
        follows=follows,
        follow=follow,
        split=sometimes(how.split, how.split_share * even()) * jnp.where(follows, 0.6, 1.0),
        fragments=Fragments(
            sometimes(how.fragmented, how.fragmented_share * even()), 4.0 * (_SEEDS / 4) ** even()
        ),
        removed=sometimes(how.removed, how.removed_share * severity * even()),
        dim_missed=sometimes(how.dim_missed, severity * even()),
        morphology=Morphology(
            sometimes(how.morphology * jnp.where(follows, 0.5, 1.0), radius),
            hit(how.coherent),
            how.radius,
        ),
        merged=sometimes(how.merged, how.merged_share * even()),
        warp=Warp(
            sometimes(how.warped, low + (high - low) * milder * even()), width, min(how.warp_width)
        ),
        bend=sometimes(how.bent, even_in(how.bend)),
        shift=sometimes(how.shifted, how.shift * severity),
        spurious=sometimes(how.spurious, even()),
        smallest=1.0 + how.smallest * even() ** 3,
    )


def follow_image(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Follow,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Threshold the image, and divide its foreground among seeds near the objects' centres.

    Each voxel falls to the seed that is nearest relative to its object's radius.
    """
    jitters, missed, chosen = jax.random.split(key, 3)
    sizes = sizes_of(labels, most)
    there = (sizes > 0).at[0].set(False)
    radius = radii_of(jnp.maximum(sizes, 1.0), labels.ndim)
    centre = centroids_of(labels, sizes)
    centre += amount.jitter * radius[:, None] * jax.random.normal(jitters, centre.shape)
    ballot = jax.random.uniform(missed, there.shape)
    # The object with the highest ballot has its seed always: somebody must own the foreground.
    seeded = there & ((ballot >= amount.unseeded) | (ballot == jnp.max(ballot * there)))
    owner = _nearest(centre, radius, seeded, labels.shape)

    smooth = blur(image, (amount.smoothing,) * labels.ndim)
    means = means_of(smooth, labels, sizes)
    typical = means[jnp.argmax(jax.random.uniform(chosen, there.shape) * there)]
    broad = blur(image, (_BROAD,) * labels.ndim) - means[0]
    reach = jnp.where(amount.own, jnp.where(there, means, typical)[owner], typical) - means[0]
    above = smooth - means[0] - amount.local * broad > amount.level * reach
    return jnp.where(above, jnp.where(amount.fused, 1, owner), 0)


_BROAD = 10.0


def _nearest(centre: Array, radius: Array, active: Array, shape: tuple[int, ...]) -> Array:
    """The active label whose centre is nearest to each voxel, relative to its radius."""
    number = radius.size
    most = 2.0**31 / number / len(shape) - 2.0
    # Squares add up over the axes: one short table each. They are whole numbers whose last
    # digits are the label, so that the least of them names it.
    tables = [
        jnp.minimum(256.0 * ((p - centre[:, axis]) / jnp.maximum(radius, 1.0)) ** 2, most)
        for axis, p in enumerate(jnp.arange(n)[:, None] for n in shape)
    ]
    tables[0] = jnp.where(active, tables[0], most)
    keys = [table.astype(jnp.int32) * number for table in tables]
    keys[0] += jnp.arange(number)

    def nearer(label: Array, least: Array) -> Array:
        return jnp.minimum(least, sum(jnp.ix_(*[key[:, label] for key in keys])))

    first = jnp.full(shape, jnp.iinfo(jnp.int32).max)
    return lax.fori_loop(0, number, nearer, first) % number


def split(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Cut a share of the objects in two, by a plane near the centre; sometimes with a gap.

    Returns:
        Labels up to twice `most`: the part cut off has the object's label plus `most`.
    """
    directions, others = jax.random.split(key)
    direction = jax.random.normal(directions, (most + 1, labels.ndim))
    direction /= jnp.linalg.norm(direction, axis=-1, keepdims=True)
    chosen, offset, gap = jax.random.uniform(others, (3, most + 1))
    sizes = sizes_of(labels, most)
    radius = radii_of(sizes, labels.ndim)
    # The signed distance to the plane, from one table so that labels are looked up once.
    constant = (centroids_of(labels, sizes) * direction).sum(-1) + (offset - 0.5) * radius
    cut = (chosen < amount).at[0].set(False)
    table = jnp.concatenate([direction, constant[:, None], cut[:, None]], -1)[labels]
    away = sum(p * table[..., i] for i, p in enumerate(places(labels.shape))) - table[..., -2]
    cut = table[..., -1] > 0
    parts = jnp.where(cut & (away > 0), labels + most, labels)
    return jnp.where(cut & (jnp.abs(away) < gap[0]), 0, parts)


def fragment(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Fragments,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Break a share of the objects up among seeds strewn at random, each voxel to the nearest.

    As watersheds do whose seeds are too many.

    Returns:
        Labels up to 64 times `most` + 1: a piece has the object's label plus a multiple of
        `most` + 1.
    """
    seeds, chosen = jax.random.split(key)
    sown = jax.random.uniform(seeds, (_SEEDS, labels.ndim)) * jnp.asarray(labels.shape)
    there = jnp.arange(_SEEDS) < amount.seeds
    seed = _nearest(sown, jnp.ones(_SEEDS), there, labels.shape)
    broken = (jax.random.uniform(chosen, (most + 1,)) < amount.share).at[0].set(False)
    return jnp.where(broken[labels], labels + (most + 1) * seed, labels)


def remove(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Miss a share of the objects."""
    return _keep(labels, jax.random.uniform(key, (most + 1,)) >= amount)


def miss_dim(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Miss the objects dimmer than a level between the dimmest (0) and the brightest (1)."""
    sizes = sizes_of(labels, most)
    means = means_of(image, labels, sizes)
    there = (sizes > 0).at[0].set(False)
    lowest_, highest_ = (
        jnp.min(means, where=there, initial=jnp.inf),
        jnp.max(means, where=there, initial=-jnp.inf),
    )
    return _keep(labels, (means >= lowest_ + amount * (highest_ - lowest_)) | (amount == 0))


def _keep(labels: Array, kept: Array) -> Array:
    return jnp.where(kept[labels], labels, 0)


def morph(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Morphology,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Five-state morphology: identity, erosion, dilation, opening or closing of each object.

    The structuring element is a square or cube of side 2 r + 1, r drawn evenly from 1 to the
    radius, for each object or for all alike. Objects do not grow into others.
    """
    state, radius = jax.random.uniform(key, (2, most + 1))
    state = jnp.floor(5.0 * jnp.where(amount.coherent, state[0], state)).astype(jnp.int32)
    radius = jnp.where(amount.coherent, radius[0], radius)
    radius = jnp.ceil(amount.radius * radius).astype(jnp.int32)
    first, second = jnp.asarray(_FIVE_STATES)[:, state]
    return morphed(labels, (first, second), radius, steps=amount.largest)


# Identity, erosion, dilation, opening, closing: first and second direction.
_FIVE_STATES = ((0, -1, 1, -1, 1), (0, 0, 0, 1, -1))


def merge(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Merge objects over a share of the contacts; those a voxel apart touch, and it is filled."""
    number = most + 1
    above = highest(labels)
    below = lowest(jnp.where(labels == 0, number, labels))
    below = jnp.where(below == number, 0, below)
    touching = jnp.zeros((number, number), bool).at[below, above].set(True)
    touching = touching.at[0].set(False).at[:, 0].set(False)
    open_ = touching & (jax.random.uniform(key, touching.shape) < amount)
    joined = open_ | open_.T | jnp.eye(number, dtype=bool)
    target = jnp.arange(number)
    for _ in range(3):  # chains of up to 8 objects become one
        target = jnp.min(jnp.where(joined, target[None], number), -1)
        target = target[target]
    between = (labels == 0) & (below > 0) & (below < above)
    within = between & (target[below] == target[above])
    return jnp.where(within, target[above], target[labels]).astype(jnp.int32)


def warp(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Warp,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Move voxels by a smooth random field; nearest neighbour, borders repeat."""
    n = labels.ndim
    grain = Grain((amount.width,) * n, (1.5 * amount.finest,) * n)
    fields = smooth_noise(key, labels.shape, *[grain] * n)
    return _moved(labels, [amount.rms * field for field in fields])


def bend(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Move voxels by a cubic B-spline whose control points move by up to so many voxels.

    A quarter as far along the first of three axes, whose voxels are longer. Nearest neighbour,
    borders repeat.
    """
    fields = spline_field(key, labels.shape, _CONTROL_POINTS)
    far = (0.25, 1.0, 1.0)[-labels.ndim :]
    return _moved(labels, [amount * f * field for f, field in zip(far, fields, strict=True)])


_CONTROL_POINTS = 8  # along each axis


def _moved(labels: Array, by: list[Array]) -> Array:
    at = [
        jnp.clip(jnp.round(place + away).astype(jnp.int32), 0, n - 1)
        for place, away, n in zip(places(labels.shape), by, labels.shape, strict=True)
    ]
    return labels[tuple(at)].astype(jnp.int32)


def shift(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Move all objects to one side, by a normal number of voxels with this standard deviation."""
    by = jnp.round(amount * jax.random.normal(key, (labels.ndim,))).astype(jnp.int32)
    for axis, n in enumerate(labels.shape):
        source = jnp.arange(n) - by[axis]
        inside = lax.broadcast_in_dim((source >= 0) & (source < n), labels.shape, (axis,))
        labels = jnp.where(inside, jnp.take(labels, jnp.clip(source, 0, n - 1), axis), 0)
    return labels.astype(jnp.int32)


def add_spurious(
    key: PRNGKeyArray,
    labels: Int[Array, "*space"],
    image: Float[Array, "*space"],
    amount: Float[Array, ""] | float,
    *,
    most: int,
) -> Int32[Array, "*space"]:
    """Add up to 4 ellipsoids where there is no object: a share of these 4.

    Returns:
        Labels up to `most` + 4.
    """
    draws = jax.random.uniform(key, (_SPURIOUS, 2 * labels.ndim + 1))
    shape = jnp.asarray(labels.shape, jnp.float32)

    def add(i: Array, labels: Array) -> Array:
        centre, stretch = draws[i, : labels.ndim] * shape, draws[i, labels.ndim : -1]
        radius = (3.0 + 9.0 * draws[i, -1]) * jnp.exp(0.8 * (stretch - 0.5))
        away = sum(
            ((p - c) / r) ** 2 for p, c, r in zip(places(labels.shape), centre, radius, strict=True)
        )
        added = (away < 1.0) & (labels == 0) & (i < jnp.ceil(_SPURIOUS * amount))
        return jnp.where(added, most + 1 + i, labels)

    return lax.fori_loop(0, _SPURIOUS, add, labels.astype(jnp.int32))


def relabel(
    labels: Int[Array, "*space"], smallest: Float[Array, ""] | float, *, most: int
) -> Int32[Array, "*space"]:
    """Number the connected pieces of all labels anew, without the small ones.

    Args:
        labels: any label map.
        smallest: pieces of fewer voxels become background.
        most: pieces beyond so many become background.
    """
    pieces, _ = components(labels)
    size = jnp.zeros(pieces.size + 1).at[pieces.ravel()].add(1.0)
    kept = (size >= smallest).at[0].set(False)
    number = jnp.cumsum(kept)
    number = jnp.where(kept & (number <= most), number, 0).astype(jnp.int32)
    return number[pieces]
