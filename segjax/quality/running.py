"""Run a network over patches: few compiled programs, however many patches there are."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from segjax import _devices
from segjax._errors import InputError
from segjax.quality.program import Weights, program_of
from segjax.quality.ribcage import Network, Prediction
from segjax.quality.weights import Assessor
from segjax.simulation.coding import code, normalise


AVERAGING = (1, 2, 4, 8)
_BATCHES = {2: (4, 32), 3: (1, 8)}  # patches at once on each device, by the number of axes
_OBJECTS = 8.0  # of the map "objects", which is in eighths of the objects of a patch


class Patches(NamedTuple):
    """What a network says of patches.

    Attributes:
        scores: by output of the network.
        maps: by map of the network.
        features: pooled.
        counts: objects in each patch, at least 0.
    """

    scores: Float[np.ndarray, "patch output"]
    maps: Float[np.ndarray, "patch *grid map"]
    features: Float[np.ndarray, "patch feature"]
    counts: Float[np.ndarray, " patch"]


def run(
    assessor: Assessor,
    images: Float[np.ndarray, "patch *space"],
    labels: Int[np.ndarray, "patch *space"],
    *,
    averaging: int = 1,
) -> Patches:
    """Predict the scores of patches, over all devices of this host.

    Args:
        assessor: the network.
        images: patches of the shape that the card says, normalised unless the card says that
            patches are.
        labels: the segmentations of them; 0 is background.
        averaging: over so many of the flips (2: half a turn, 4: and both flips) and, of square
            planes, quarter turns (8) in the plane of the last two axes.
    """
    card = assessor.card
    check_averaging(averaging, card.patch)
    percentiles = card.percentiles if card.normalised == "patch" else None
    devices = _devices.own_devices()
    program = _program(assessor.network, card.coding, percentiles, averaging, devices)
    weights = _devices.everywhere(assessor.weights, devices)
    small, large = (n * len(devices) for n in _BATCHES[assessor.network.dims])
    found = []
    for part, size in _parts(len(images), (small, large)):
        image, label = _filled(images[part], size), _filled(labels[part], size)
        said = program(weights, image.astype(np.float32, copy=False), label.astype(np.int32))
        found.append([np.asarray(x)[: len(images[part])] for x in said])
    scores, maps, features = (np.concatenate(x) for x in zip(*found, strict=True))
    return Patches(scores, maps, features, _counts(assessor.network, maps, labels))


def check_averaging(averaging: int, patch: tuple[int, ...]) -> None:
    """Raise `InputError` if patches cannot be turned in so many ways."""
    if averaging not in AVERAGING:
        raise InputError(f"averaging must be one of {AVERAGING}, got {averaging}")
    if averaging == 8 and patch[-1] != patch[-2]:
        raise InputError("patches that are not square cannot be turned; use averaging=4")


def _counts(network: Network, maps: np.ndarray, labels: np.ndarray) -> Float[np.ndarray, " patch"]:
    """Objects as the network sees them; of one that does not say, those of the segmentation."""
    if "objects" in network.maps:
        cells = tuple(range(1, maps.ndim - 1))
        means = maps[..., network.maps.index("objects")].mean(cells)
        return np.maximum(_OBJECTS * means, 0.0).astype(float)
    return np.array([np.unique(x[x > 0]).size + 1.0 for x in labels])


def _parts(count: int, sizes: tuple[int, int]) -> Iterator[tuple[slice, int]]:
    """Which patches go together, and filled up to how many."""
    small, large = sizes
    done = 0
    while done < count:
        size = small if count - done <= small else large
        yield slice(done, done + size), size
        done += size


def _filled(x: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([x, np.repeat(x[-1:], size - len(x), 0)]) if len(x) < size else x


@lru_cache(maxsize=16)
def _program(
    network: Network,
    coding: str,
    percentiles: tuple[float, float] | None,
    averaging: int,
    devices: _devices.Devices,
) -> _devices.Spread:
    forward = program_of(network).predict

    def predict(weights: Weights, images: Array, labels: Array) -> Prediction:
        if percentiles is not None:
            images = jax.vmap(partial(normalise, percentiles=percentiles))(images)
        coded = jax.vmap(lambda x: code(x, coding))(labels)
        views = [turn(jnp.stack([images, coded])) for turn, _ in _TURNS[:averaging]]
        said = forward(weights, *jnp.concatenate(views, 1))
        scores, features = (x.reshape(averaging, -1, x.shape[-1]).mean(0) for x in said[::2])
        maps = said.maps.reshape(averaging, images.shape[0], *said.maps.shape[1:])
        upright = [
            jnp.moveaxis(back(jnp.moveaxis(m, -1, 0)), 0, -1)
            for m, (_, back) in zip(maps, _TURNS[:averaging], strict=True)
        ]
        return Prediction(scores, sum(upright, jnp.zeros_like(upright[0])) / averaging, features)

    return _devices.Spread(predict, (False, True, True), devices)


def _flip(*axes: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    both = lambda x: jnp.flip(x, axes)
    return both, both


def _turned(flipped: bool, quarters: int) -> tuple[Callable[..., Array], Callable[..., Array]]:
    turn = lambda x, k: jnp.rot90(x, k, (-2, -1))
    if not flipped:
        return lambda x: turn(x, quarters), lambda x: turn(x, -quarters)
    return lambda x: turn(jnp.flip(x, -1), quarters), lambda x: jnp.flip(turn(x, -quarters), -1)


# Views of a patch and the ways back, in the order in which they are used.
_TURNS = (
    (lambda x: x, lambda x: x),
    _flip(-2, -1),
    _flip(-1),
    _flip(-2),
    *(_turned(flipped, quarters) for flipped in (False, True) for quarters in (1, 3)),
)
