"""A network with random weights: it knows nothing, and always says the same."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import ndimage

from segjax.quality.card import Card
from segjax.quality.finishing import HeldOut, finish
from segjax.quality.program import program_of
from segjax.quality.ribcage import Network
from segjax.quality.weights import Assessor


MAPS = ("false_negative", "false_positive", "objects")
FLAT = Network(channels=(4, 4), dense=(4,), outputs=("SEG", "Dice"), maps=MAPS)
DEEP = Network(dims=3, channels=(2, 2), dense=(), outputs=("SEG",), padding="SAME")


@lru_cache
def toy(network=FLAT):
    """Not calibrated; patches are small, so that the program is."""
    patch = (20, 20) if network.dims == 2 else (8, 16, 16)
    spacing = (1.0, 1.0) if network.dims == 2 else (2.0, 1.0, 1.0)
    card = Card("toy", patch, diameter=8.0, spacing=spacing, data="nothing", limits=("blind",))
    return Assessor(network, program_of(network).random(), card)


@lru_cache
def calibrated_toy():
    rng = np.random.default_rng(0)
    held = [held_out(rng, 64) for _ in range(2)]
    return finish(toy(), held)


def held_out(rng, count):
    """Patches whose true scores are noise."""
    image, labels = patches(rng, count)
    true = rng.random((count, 2)).astype(np.float32)
    return HeldOut(image, labels, true, np.ones((count, 2), bool))


def patches(rng, count, shape=(20, 20)):
    field = ndimage.gaussian_filter(rng.random((count, *shape)), (0, *(2,) * len(shape)))
    labels = np.stack([ndimage.label(x > np.quantile(x, 0.7))[0] for x in field])
    image = (field - field.min()) / (field.max() - field.min())
    return (image + rng.normal(0, 0.05, image.shape)).astype(np.float32), labels


def scene(rng, shape=(50, 37)):
    """An image and its objects, each a disc of diameter 8."""
    labels = np.zeros(shape, np.int32)
    axes = np.indices(shape)
    for k, centre in enumerate(np.ndindex(*(n // 12 for n in shape)), 1):
        middle = [12 * c + 6 for c in centre]
        away = sum((a - m) ** 2 for a, m in zip(axes, middle, strict=True))
        labels[away <= 16] = k
    image = 100 * (labels > 0) + rng.normal(0, 10, shape) + 500
    return image.astype(np.float32), labels


def renamed(assessor, **changes):
    return replace(assessor, card=replace(assessor.card, **changes))
