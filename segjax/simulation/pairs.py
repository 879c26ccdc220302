"""Pairs of an image and a scored segmentation, drawn by a key: what a network learns from."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32, Key

from segjax.simulation import perturbations, phantoms, targets
from segjax.simulation.coding import code, normalise
from segjax.simulation.perturbations import Perturbations
from segjax.simulation.phantoms import Nuclei, Phantom


@dataclass(frozen=True)
class Pairs:
    """How pairs are made.

    Attributes:
        nuclei: what is simulated, and the shape of a patch.
        perturbations: what happens to its labels.
        targets: the scores to learn, of `segjax.simulation.TARGETS`.
        coding: how the segmentation is shown, "trinary" or "binary".
        gain: intensities are multiplied by a factor from this range after normalisation, as
            tiles of an image look that is normalised as a whole.
    """

    nuclei: Nuclei = phantoms.WIDE
    perturbations: Perturbations = perturbations.WIDE
    targets: tuple[str, ...] = ("SEG",)
    coding: str = "trinary"
    gain: tuple[float, float] = (1.0, 1.0)

    @property
    def objects(self) -> tuple[int, int]:
        """The largest labels of the reference and of the evaluated segmentation."""
        most = self.nuclei.objects
        return most, perturbations.most_labels(most)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a typical voxel, in pixels of the plane; lengths are in these."""
        return (sum(self.nuclei.step) / 2, 1.0, 1.0)[-len(self.nuclei.shape) :]


class Pool(NamedTuple):
    """A user's own annotated images, padded to one shape; patches are cut from them.

    Attributes:
        images: normalised intensities.
        labels: 0 is background; numbered from 1 without gaps.
        shapes: how much of each is image.
    """

    images: Float[Array, "image *space"]
    labels: Int32[Array, "image *space"]
    shapes: Int32[Array, "image axis"]


class Pair(NamedTuple):
    """An image, a segmentation of it, and how good it is.

    Attributes:
        image: normalised (see `segjax.simulation.coding`).
        coded: the evaluated segmentation as a network sees it.
        scores: one per target.
        counted: whether a score is defined; 0 stands where it is not.
        reference: the true labels.
        evaluated: the evaluated labels.
    """

    image: Float[Array, "*space"]
    coded: Float[Array, "*space"]
    scores: Float[Array, " target"]
    counted: Bool[Array, " target"]
    reference: Int32[Array, "*space"]
    evaluated: Int32[Array, "*space"]


def make_pair(key: Key[Array, ""], pairs: Pairs, pool: Pool | None = None) -> Pair:
    """Draw one pair; pure, for `jit` and `vmap`.

    Args:
        key: fixes all that is random.
        pairs: how.
        pool: images to cut patches from instead of simulating them.
    """
    seen, perturbed, gained = jax.random.split(key, 3)
    if pool is None:
        phantom = phantoms.simulate(seen, pairs.nuclei)
        phantom = phantom._replace(image=normalise(phantom.image))
    else:
        phantom = cut(seen, pool, pairs.nuclei)
    objects = pairs.objects
    evaluated = perturbations.perturb(
        perturbed, phantom.labels, phantom.image, pairs.perturbations, objects=objects[0]
    )
    measured = targets.measure(
        phantom.labels, evaluated, pairs.targets, objects=objects, spacing=pairs.spacing
    )
    low, high = (jnp.log(g) for g in pairs.gain)
    gain = jnp.exp(jax.random.uniform(gained, (), minval=low, maxval=high))
    return Pair(
        phantom.image * gain,
        code(evaluated, pairs.coding),
        measured.values,
        measured.counted,
        phantom.labels,
        evaluated,
    )


def cut(key: Key[Array, ""], pool: Pool, nuclei: Nuclei) -> Phantom:
    """A patch at a random place of a random image, turned over at random.

    Objects beyond `nuclei.objects` become background: those with the largest labels.
    """
    which, where, flips = jax.random.split(key, 3)
    image = jax.random.randint(which, (), 0, pool.images.shape[0])
    shape = jnp.asarray(nuclei.shape)
    room = jnp.maximum(pool.shapes[image] - shape, 0)
    start = jax.random.randint(where, shape.shape, 0, room + 1)
    take = lambda x: jax.lax.dynamic_slice(x, (image, *start), (1, *nuclei.shape))[0]
    signal, labels = take(pool.images), take(pool.labels)
    turned = jax.random.bernoulli(flips, 0.5, shape.shape)
    for axis in range(signal.ndim):
        flip = lambda x, axis=axis: jnp.where(turned[axis], jnp.flip(x, axis), x)
        signal, labels = flip(signal), flip(labels)
    return Phantom(signal, _renumbered(labels, nuclei.objects))


def _renumbered(labels: Int[Array, "*space"], most: int) -> Int32[Array, "*space"]:
    """Labels from 1 without gaps, in their old order; those beyond the most become 0."""
    flat = labels.reshape(-1)
    order = jnp.argsort(flat)
    ordered = flat[order]
    first = jnp.concatenate([ordered[:1] > 0, ordered[1:] != ordered[:-1]])
    number = jnp.cumsum(first)
    number = jnp.where((ordered > 0) & (number <= most), number, 0)
    renumbered = jnp.zeros(flat.shape, jnp.int32).at[order].set(number.astype(jnp.int32))
    return renumbered.reshape(labels.shape)
