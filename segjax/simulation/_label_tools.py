"""Small tools on label maps: tables by label, neighbours, growing and shrinking."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer


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


def places(shape: tuple[int, ...]) -> list[Float[Array, "*space"]]:
    """The coordinate of every voxel along each axis."""
    axes = [jnp.arange(n, dtype=jnp.float32) for n in shape]
    return jnp.meshgrid(*axes, indexing="ij")


def highest(labels: Integer[Array, "*space"]) -> Integer[Array, "*space"]:
    """The largest label among each voxel and its neighbours, across corners too."""
    return _around(labels, jnp.maximum)


def lowest(labels: Integer[Array, "*space"]) -> Integer[Array, "*space"]:
    """The smallest label among each voxel and its neighbours, across corners too."""
    return _around(labels, jnp.minimum)


def grow(
    labels: Integer[Array, "*space"], which: Bool[Array, " label"]
) -> Integer[Array, "*space"]:
    """Some labels grow by a voxel into the background; where two meet the larger number wins."""
    reached = highest(jnp.where(which[labels], labels, 0))
    return jnp.where(labels == 0, reached, labels)


def shrink(
    labels: Integer[Array, "*space"], which: Bool[Array, " label"]
) -> Integer[Array, "*space"]:
    """Some labels lose their voxels beside any other label; the border of the image is none."""
    border = highest(labels) != lowest(labels)
    return jnp.where(border & which[labels], 0, labels)


def morphed(
    labels: Integer[Array, "*space"],
    phases: tuple[Integer[Array, " label"], Integer[Array, " label"]],
    radius: Integer[Array, " label"],
    *,
    steps: int,
) -> Integer[Array, "*space"]:
    """Each label eroded (-1), dilated (1) or left (0), in two phases, by a square or cube.

    Args:
        labels: 0 is background.
        phases: what happens to each label first and then.
        radius: of the structuring element, whose side is 2 r + 1, of each label.
        steps: the largest radius; static.
    """

    def step(i: Array, labels: Array) -> Array:
        late = i >= steps
        active = jnp.where(late, i - steps, i) < radius
        way = jnp.where(late, phases[1], phases[0])
        labels = shrink(labels, active & (way < 0))
        return grow(labels, active & (way > 0))

    return lax.fori_loop(0, 2 * steps, step, labels)


def _around(labels: Array, extreme: Callable[[Array, Array], Array]) -> Array:
    for axis in range(labels.ndim):
        n = labels.shape[axis]
        edges = [(1, 1) if a == axis else (0, 0) for a in range(labels.ndim)]
        padded = jnp.pad(labels, edges, mode="edge")
        before, after = (lax.slice_in_dim(padded, i, i + n, 1, axis) for i in (0, 2))
        labels = extreme(extreme(before, labels), after)
    return labels
