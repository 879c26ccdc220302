"""Segmentations drawn one at a time with NumPy and SciPy, as one would write them without JAX.

The same errors as `segjax.simulation.perturbations.perturb` with the same chances and sizes, in
the same steps; numbers differ. Steps that are not drawn are skipped, and each object is treated
within its own box. It is what the speed of segjax is measured against.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, spatial

from experiments._simulation_numpy import _noise
from segjax.simulation.perturbations import Perturbations, most_labels


_SPURIOUS, _BROAD = 4, 10.0
_UNIT_BALL = {2: np.pi, 3: 4 * np.pi / 3}
_FIVE_STATES = ((), (-1,), (1,), (-1, 1), (1, -1))
Array = np.ndarray
Random = np.random.Generator


@dataclass
class _Objects:
    """The objects of a label map: their labels and, in the same order, what is known of them."""

    labels: Array
    sizes: Array
    centres: Array

    @property
    def radii(self) -> Array:
        n = self.centres.shape[-1]
        return (self.sizes / _UNIT_BALL[n]) ** (1 / n)


def perturb(rng: Random, labels: Array, image: Array, how: Perturbations, *, objects: int) -> Array:
    """One imperfect segmentation."""
    happens = lambda chance: rng.random() < chance
    if happens(how.untouched):
        return labels
    severity = rng.uniform(*how.severity)
    follows = happens(how.follows_image)
    milder = severity * (0.5 if follows else 1.0)
    now = _follow_image(rng, labels, image, how, severity) if follows else labels.copy()
    if happens(how.split):
        share = how.split_share * rng.random() * (0.6 if follows else 1.0)
        now = _split(rng, _split(rng, now, share), share)
    if happens(how.removed):
        now = _remove(rng, now, how.removed_share * severity * rng.random())
    if happens(how.dim_missed):
        now = _miss_dim(now, image, severity * rng.random())
    if happens(how.morphology * (0.5 if follows else 1.0)):
        most = min(1 + (how.radius - 1) * milder, how.radius)
        now = _morph(rng, now, int(1 + rng.random() * most), coherent=happens(how.coherent))
    if happens(how.merged):
        now = _merge(rng, now, how.merged_share * rng.random())
    if happens(how.warped):
        low, high = how.warp
        rms = low + (high - low) * milder * rng.random()
        now = _warp(rng, now, rms, how.warp_width[0 if happens(0.5) else 1])
    if happens(how.shifted):
        by = np.round(how.shift * severity * rng.normal(size=now.ndim))
        now = ndimage.shift(now, by, order=0)
    if happens(how.spurious):
        now = _add_spurious(rng, now, rng.random())
    if happens(how.fragmented):
        now = _fragment(rng, now, how.fragmented_share * rng.random(), int(4 * 16 ** rng.random()))
    return _relabel(now, 1 + how.smallest * rng.random() ** 3, most_labels(objects))


def _objects(labels: Array) -> _Objects:
    sizes = np.bincount(labels.ravel())
    present = np.flatnonzero(sizes)
    present = present[present > 0]
    centres = np.empty((present.size, labels.ndim))
    for axis, n in enumerate(labels.shape):
        place = np.arange(n, dtype=np.float32).reshape(
            [-1 if a == axis else 1 for a in range(labels.ndim)]
        )
        sums = np.bincount(labels.ravel(), np.broadcast_to(place, labels.shape).ravel())
        centres[:, axis] = sums[present] / sizes[present]
    return _Objects(present, sizes[present], centres)


def _means(image: Array, labels: Array) -> Array:
    """Mean intensity of each label, 0 and those that are not there (NaN) too."""
    with np.errstate(invalid="ignore"):
        return np.bincount(labels.ravel(), image.ravel()) / np.bincount(labels.ravel())


def _follow_image(
    rng: Random, labels: Array, image: Array, how: Perturbations, severity: float
) -> Array:
    own = rng.random() < 0.4
    away = (0.1 + 0.9 * severity) * (rng.random() - 0.5)
    level = 0.5 + 0.9 * away if own else 0.35 * np.exp(3.2 * away)
    local = rng.random() if rng.random() < 0.3 else 0.0
    smooth = ndimage.gaussian_filter(image, 0.4 + 2.1 * rng.random() ** 2, mode="nearest")
    fused = rng.random() < how.fused
    unseeded = how.unseeded * severity * rng.random() if rng.random() < 0.5 else 0.0
    known = _objects(labels)
    if not known.labels.size:
        return np.zeros_like(labels)
    jitter = 0.6 * severity * rng.random() * known.radii[:, None]
    seeds = known.centres + jitter * rng.normal(size=known.centres.shape)
    ballot = rng.random(known.labels.size)
    seeded = np.flatnonzero((ballot >= unseeded) | (ballot == ballot.max()))

    means = _means(smooth, labels)
    reach = means[rng.choice(known.labels)] - means[0]
    signal = smooth - means[0]
    if local:
        signal -= local * (ndimage.gaussian_filter(image, _BROAD, mode="nearest") - means[0])
    # Only what may be foreground is divided among the seeds.
    least = level * (min(means[known.labels].min() - means[0], reach) if own else reach)
    foreground = signal > least
    place = np.argwhere(foreground).astype(np.float32)
    near = spatial.distance.cdist(place, seeds[seeded], "sqeuclidean")
    owner = known.labels[seeded[(near / known.radii[seeded] ** 2).argmin(1)]]
    made = np.zeros_like(labels)
    if own:
        owner = np.where(signal[foreground] > level * (means[owner] - means[0]), owner, 0)
    made[foreground] = np.minimum(owner, 1) if fused else owner
    return made


def _split(rng: Random, labels: Array, share: float) -> Array:
    known, boxes = _objects(labels), ndimage.find_objects(labels)
    made, most = labels.copy(), int(labels.max(initial=0))
    gap = rng.random()
    for label, radius, centre in zip(known.labels, known.radii, known.centres, strict=True):
        if rng.random() >= share:
            continue
        direction = rng.normal(size=labels.ndim)
        direction /= np.linalg.norm(direction)
        box = boxes[label - 1]
        place = np.ogrid[box]
        away: Any = sum(d * (p - c) for d, p, c in zip(direction, place, centre, strict=True))
        away = away - (rng.random() - 0.5) * radius
        mine = labels[box] == label
        made[box][mine & (away > 0)] = label + most
        made[box][mine & (np.abs(away) < gap)] = 0
    return made


def _fragment(rng: Random, labels: Array, share: float, seeds: int) -> Array:
    most = int(labels.max(initial=0))
    broken = rng.random(most + 1) < share
    broken[0] = False
    place = np.argwhere(broken[labels])
    tree = spatial.KDTree(rng.random((seeds, labels.ndim)) * labels.shape)
    made = labels.copy()
    made[tuple(place.T)] += (most + 1) * tree.query(place)[1].astype(labels.dtype)
    return made


def _remove(rng: Random, labels: Array, share: float) -> Array:
    kept = rng.random(labels.max(initial=0) + 1) >= share
    return np.where(kept[labels], labels, 0)


def _miss_dim(labels: Array, image: Array, share: float) -> Array:
    if not labels.any():
        return labels
    means = _means(image, labels)
    low, high = np.nanmin(means[1:]), np.nanmax(means[1:])
    return np.where((means >= low + share * (high - low))[labels], labels, 0)


def _morph(rng: Random, labels: Array, radius: int, *, coherent: bool) -> Array:
    made = labels.copy()
    same = rng.integers(5), rng.integers(1, radius + 1)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        state, r = same if coherent else (rng.integers(5), rng.integers(1, radius + 1))
        box = tuple(
            slice(max(s.start - r - 1, 0), min(s.stop + r + 1, n))
            for s, n in zip(box, labels.shape, strict=True)
        )
        mine = labels[box] == label
        changed = mine.astype(np.uint8)
        for way in _FIVE_STATES[state]:
            # A square or cube: one pass along each axis.
            extreme = ndimage.maximum_filter if way > 0 else ndimage.minimum_filter
            changed = extreme(changed, 2 * r + 1, mode="nearest")
        made[box][mine] = 0
        made[box][(changed > 0) & (made[box] == 0)] = label
    return made


def _merge(rng: Random, labels: Array, share: float) -> Array:
    number = int(labels.max(initial=0)) + 1
    above: Array = ndimage.maximum_filter(labels, 3)
    below: Array = np.asarray(ndimage.minimum_filter(np.where(labels == 0, number, labels), 3), int)
    touching = (below < above) & (above > 0)
    contacts = np.unique(np.stack([below[touching], above[touching]], -1), axis=0)
    target = np.arange(number + 1)
    for low, high in contacts[rng.random(len(contacts)) < share]:
        target[target == target[high]] = target[low]
    within = (labels == 0) & (below < above) & (target[below] == target[above])
    return np.where(within, target[above], target[labels])


def _warp(rng: Random, labels: Array, rms: float, width: float) -> Array:
    place = np.indices(labels.shape, np.float32)
    for p in place:
        p += rms * _noise(rng, labels.shape, width)
    return ndimage.map_coordinates(labels, place, order=0, mode="nearest")


def _add_spurious(rng: Random, labels: Array, share: float) -> Array:
    made, most = labels.copy(), int(labels.max(initial=0))
    for i in range(int(np.ceil(_SPURIOUS * share))):
        centre = rng.uniform(0, labels.shape)
        radius = rng.uniform(3, 12) * np.exp(rng.uniform(-0.4, 0.4, labels.ndim))
        first = np.maximum(np.floor(centre - radius), 0).astype(int)
        last = np.minimum(np.ceil(centre + radius) + 1, labels.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        away: Any = sum(
            ((p - c) / r) ** 2 for p, c, r in zip(np.ogrid[box], centre, radius, strict=True)
        )
        made[box][(away < 1) & (made[box] == 0)] = most + 1 + i
    return made


def _relabel(labels: Array, smallest: float, most: int) -> Array:
    """Number the connected pieces of all labels anew, without the small ones."""
    made, number = np.zeros_like(labels), 0
    block = np.ones((3,) * labels.ndim, bool)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        pieces: Any = np.zeros(labels[box].shape, np.int32)
        found: Any = ndimage.label(labels[box] == label, block, output=pieces)
        sizes = np.bincount(pieces.ravel())
        for piece in range(1, found + 1):
            if sizes[piece] >= smallest and number < most:
                number += 1
                made[box][pieces == piece] = number
    return made
