"""Small tools on label maps: tables by label, neighbours, growing and shrinking."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Int32


def sizes_of(labels: Int[Array, "*space"], most: int) -> Float[Array, " label"]:
    """Voxels of each label from 0 to `most`."""
    return jnp.zeros(most + 1).at[labels].add(1.0)


def means_of(
    values: Float[Array, "*space"], labels: Int[Array, "*space"], sizes: Float[Array, " label"]
) -> Float[Array, " label"]:
    """Mean of an image over each label; 0 for labels that are not there."""
    return jnp.zeros(sizes.shape).at[labels].add(values) / jnp.maximum(sizes, 1.0)


def centroids_of(
    labels: Int[Array, "*space"], sizes: Float[Array, " label"]
) -> Float[Array, "label axis"]:
    """Centre of each label in voxels; 0 for labels that are not there."""
    sums = [jnp.zeros(sizes.shape).at[labels].add(place) for place in places(labels.shape)]
    return jnp.stack(sums, -1) / jnp.maximum(sizes, 1.0)[:, None]


def places(shape: tuple[int, ...]) -> list[Float[Array, "*space"]]:
    """The coordinate of every voxel along each axis."""
    axes = [jnp.arange(n, dtype=jnp.float32) for n in shape]
    return jnp.meshgrid(*axes, indexing="ij")


def highest(labels: Int[Array, "*space"]) -> Int[Array, "*space"]:
    """The largest label among each voxel and its neighbours, across corners too."""
    return _around(labels, jnp.maximum)


def lowest(labels: Int[Array, "*space"]) -> Int[Array, "*space"]:
    """The smallest label among each voxel and its neighbours, across corners too."""
    return _around(labels, jnp.minimum)


def grow(labels: Int[Array, "*space"], which: Bool[Array, " label"]) -> Int32[Array, "*space"]:
    """Some labels grow by a voxel into the background; where two meet the larger number wins."""
    reached = highest(jnp.where(which[labels], labels, 0))
    return jnp.where(labels == 0, reached, labels)


def shrink(labels: Int[Array, "*space"], which: Bool[Array, " label"]) -> Int32[Array, "*space"]:
    """Some labels lose their voxels beside any other label; the border of the image is none."""
    border = highest(labels) != lowest(labels)
    return jnp.where(border & which[labels], 0, labels)


def _around(labels: Array, extreme: Callable[[Array, Array], Array]) -> Array:
    for axis in range(labels.ndim):
        n = labels.shape[axis]
        edges = [(1, 1) if a == axis else (0, 0) for a in range(labels.ndim)]
        padded = jnp.pad(labels, edges, mode="edge")
        before, after = (lax.slice_in_dim(padded, i, i + n, 1, axis) for i in (0, 2))
        labels = extreme(extreme(before, labels), after)
    return labels
