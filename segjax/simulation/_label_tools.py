"""Small tools on label maps: tables by label, neighbours, growing and shrinking."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32, Integer


def sizes_of(labels: Integer[Array, "*space"], most: int) -> Float[Array, " label"]:
    """Voxels of each label from 0 to `most`."""
    return jnp.zeros(most + 1).at[labels].add(1.0)


def means_of(
    values: Float[Array, "*space"], labels: Integer[Array, "*space"], sizes: Float[Array, " label"]
) -> Float[Array, " label"]:
    """Mean of an image over each label; 0 for labels that are not there."""
    return jnp.zeros(sizes.shape).at[labels].add(values) / jnp.maximum(sizes, 1.0)


def centroids_of(
    labels: Integer[Array, "*space"], sizes: Float[Array, " label"]
) -> Float[Array, "label axis"]:
    """Centre of each label in voxels; 0 for labels that are not there."""
    sums = [jnp.zeros(sizes.shape).at[labels].add(place) for place in places(labels.shape)]
    return jnp.stack(sums, -1) / jnp.maximum(sizes, 1.0)[:, None]


def radii_of(sizes: Float[Array, " label"], dims: int) -> Float[Array, " label"]:
    """Radius of a disc or ball of as many voxels."""
    unit = {2: math.pi, 3: 4 / 3 * math.pi}[dims]
    return (sizes / unit) ** (1 / dims)


def places(shape: tuple[int, ...]) -> list[Float[Array, "*space"]]:
    """The coordinate of every voxel along each axis."""
    axes = [jnp.arange(n, dtype=jnp.float32) for n in shape]
    return jnp.meshgrid(*axes, indexing="ij")


def highest(labels: Integer[Array, "*space"]) -> Integer[Array, "*space"]:
    """The largest label among each voxel and its neighbours, across corners too."""
    return _around(labels, jnp.maximum, jnp.iinfo(labels.dtype).min)


def lowest(labels: Integer[Array, "*space"]) -> Integer[Array, "*space"]:
    """The smallest label among each voxel and its neighbours, across corners too."""
    return _around(labels, jnp.minimum, jnp.iinfo(labels.dtype).max)


def morphed(
    labels: Integer[Array, "*space"],
    phases: tuple[Integer[Array, " label"], Integer[Array, " label"]],
    radius: Integer[Array, " label"],
    *,
    steps: int,
) -> Int32[Array, "*space"]:
    """Each label eroded (-1), dilated (1) or left (0), in two phases, by a square or cube.

    Labels grow into the background only; where two meet the larger number wins. They shrink
    from every other label, but not from the border of the image.

    Args:
        labels: 0 is background; below 2^23.
        phases: what happens to each label first and then.
        radius: of the structuring element, whose side is 2 r + 1, of each label.
        steps: the largest radius, up to 15; static.
    """
    # A label carries its orders, so that they need not be looked up in every step: the label,
    # then twice whether it shrinks and whether it grows, then the radius.
    small = radius.size <= 256
    word = jnp.uint16 if small else jnp.uint32
    orders = sum(((p < 0) + 2 * (p > 0)) << (4 + 2 * i) for i, p in enumerate(phases))
    orders = jnp.arange(radius.size) << 8 | orders | radius
    words = orders.at[0].set(0).astype(word)[labels]

    def step(i: Array, words: Array) -> Array:
        late = i >= steps
        active = (words & 15) > jnp.where(late, i - steps, i).astype(word)
        way = words >> jnp.where(late, 6, 4).astype(word)
        # Both from the same words: one after the other, XLA works out the first many times.
        border = highest(words) != lowest(words)
        reached = highest(jnp.where(active & (way & 2 > 0), words, 0).astype(word))
        shrunk = jnp.where(border & active & (way & 1 > 0), 0, words).astype(word)
        return jnp.where(words == 0, reached, shrunk)

    return (lax.fori_loop(0, 2 * steps, step, words) >> 8).astype(jnp.int32)


def _around(labels: Array, extreme: Callable[[Array, Array], Array], outside: int) -> Array:
    """An extreme over blocks of 3 voxels a side; `outside` must never win.

    Filling with a constant fuses: repeating the border takes ten times as long.
    """
    for axis in range(labels.ndim):
        n = labels.shape[axis]
        edges = [(1, 1, 0) if a == axis else (0, 0, 0) for a in range(labels.ndim)]
        padded = lax.pad(labels, jnp.asarray(outside, labels.dtype), edges)
        before, after = (lax.slice_in_dim(padded, i, i + n, 1, axis) for i in (0, 2))
        labels = extreme(extreme(before, labels), after)
    return labels
