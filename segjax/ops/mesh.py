"""Surface elements moved to where the surface lies between voxels.

The elements are surfels: the points between voxels of both kinds, and their sizes. What a
digitised shape was like before it was digitised is told by its surroundings: the mask is
smoothed, each element moves along the gradient to where the smoothed mask is one half, and
becomes a small disc across the gradient. On digitised spheres, ellipsoids and boxes this
halves the error of midpoints (marching cubes), see `experiments/boundary_truth.py`.

Smoothing by one Gaussian draws curved surfaces inwards; 2 G - G G does not. A voxel never
changes sides, so that no part of a mask is lost, however thin.
"""

import itertools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from segjax._numerics import AnyArray, namespace, root


_WIDTH = 1.4  # of the Gaussian, in voxels (of anisotropic ones: of a cube of their volume)
_LEAST = 0.05  # contrast that a voxel keeps where its surroundings contradict it
_BLOCK = 256  # elements that are compared at once while tracing


class Discs(NamedTuple):
    """Surface elements: centres and unit normals (in the unit of spacing), and radii."""

    centre: Float[AnyArray, "element dim"]
    normal: Float[AnyArray, "element dim"]
    radius: Float[AnyArray, " element"]


def contrast(mask: Bool[AnyArray, "*space"], spacing: tuple[float, ...]) -> Float[AnyArray, "..."]:
    """The mask smoothed, less one half: positive inside, negative outside.

    Returns:
        float32, one voxel longer on each side of each axis.
    """
    xp = namespace(mask)
    inside = xp.pad(mask, 1)
    u = inside.astype(np.float32)
    once, twice = u, u
    size = float(np.prod(spacing)) ** (1 / len(spacing))
    for axis, length in enumerate(spacing):
        kernel = _kernel(_WIDTH * size / length)
        once, twice = _along(once, axis, kernel), _along(twice, axis, np.convolve(kernel, kernel))
    strength = xp.maximum(abs(2 * once - twice - 0.5), np.float32(_LEAST))
    return xp.where(inside, strength, -strength)


def _kernel(sigma: float) -> np.ndarray:
    reach = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def _along(u: Any, axis: int, kernel: np.ndarray) -> Any:
    """Convolve with a symmetric kernel along an axis; 0 beyond the ends."""
    if namespace(u) is np:
        from scipy import ndimage  # 0.2 s that few calls need

        return ndimage.correlate1d(u, kernel, axis=axis, mode="constant")
    reach = len(kernel) // 2
    longer = jnp.pad(u, [(reach, reach) if a == axis else (0, 0) for a in range(u.ndim)])
    moved = (lax.slice_in_dim(longer, i, i + u.shape[axis], axis=axis) for i in range(len(kernel)))
    return sum(np.float32(weight) * x for weight, x in zip(kernel, moved, strict=True))


def discs(
    contrast: Float[AnyArray, "*space"],
    places: tuple[Int[AnyArray, " element"], ...],
    sizes: Float[AnyArray, " element"],
    spacing: tuple[float, ...],
) -> Discs:
    """Move surfels to where the contrast is 0.

    Args:
        contrast: of the mask, from `contrast`.
        places: of the surfels along each axis: place i lies between voxels i - 1 and i.
        sizes: their lengths or areas.
        spacing: voxel size along each axis.
    """
    xp, dims = namespace(contrast, sizes), len(spacing)
    # Voxel i is at i + 1 in `contrast`.
    at = {
        corner: contrast[tuple(p + c for p, c in zip(places, corner, strict=True))]
        for corner in itertools.product((0, 1), repeat=dims)
    }
    middle = sum(at.values()) / 2**dims
    slopes = [
        sum(v if corner[axis] else -v for corner, v in at.items()) / (2 ** (dims - 1) * length)
        for axis, length in enumerate(spacing)
    ]
    slope = xp.stack(slopes, -1)
    steep = (slope**2).sum(-1, keepdims=True)
    steep = xp.where(steep > 0, steep, 1)  # a saddle stays where it is
    lengths = np.asarray(spacing, np.float32)
    moved = xp.clip(middle[:, None] * slope / steep / lengths, -1, 1) * lengths
    centre = xp.stack([(p - 0.5) * s for p, s in zip(places, spacing, strict=True)], -1) - moved
    radius = sizes / 2 if dims == 2 else xp.sqrt(sizes / np.pi)
    return Discs(centre, slope / xp.sqrt(steep), radius)


def to_discs(points: Float[AnyArray, "element dim"], nearest: Discs) -> Float[AnyArray, " element"]:
    """Distance of each point to its own disc."""
    xp = namespace(points)
    apart = points - nearest.centre
    squared = (apart**2).sum(-1)
    height = (apart * nearest.normal).sum(-1)
    aside = root(xp.maximum(squared - height**2, 0)) - nearest.radius
    return root(height**2 + xp.maximum(aside, 0) ** 2)


def nearest_on_host(points: Discs, sites: Discs) -> Float[np.ndarray, " element"]:
    """Distance of the centre of each disc to the one whose centre is nearest."""
    from scipy.spatial import KDTree  # 0.1 s that few calls need

    if not len(sites.radius):
        return np.full(len(points.radius), np.inf)
    tree = KDTree(sites.centre, balanced_tree=False, compact_nodes=False)
    _, index = tree.query(points.centre)
    return to_discs(points.centre, Discs(*(x[index] for x in sites)))


def nearest_among(
    points: Discs, number: Any, sites: Discs, many: Any
) -> Float[AnyArray, " element"]:
    """As `nearest_on_host` while tracing, comparing all of the first `number` with `many`.

    The time grows with both numbers multiplied; nothing of that size is held in memory.
    """
    capacity, dims = points.centre.shape
    width = min(_BLOCK, capacity)
    blocks = lambda n: (n + width - 1) // width
    take = lambda x, block: lax.dynamic_slice_in_dim(x, block * width, width)
    room = -capacity % width
    longer = lambda x: jnp.pad(x, [(0, room)] + [(0, 0)] * (x.ndim - 1))
    points, sites = (Discs(*map(longer, x)) for x in (points, sites))

    def some(block: Any, out: Any) -> Any:
        here = take(points.centre, block)

        def compare(other: Any, best: Any) -> Any:
            there = take(sites.centre, other)
            squared = sum((here[:, None, a] - there[None, :, a]) ** 2 for a in range(dims))
            real = other * width + jnp.arange(width) < many
            squared = jnp.where(real, squared, jnp.inf)
            place, least = squared.argmin(1), squared.min(1)
            nearer = least < best[0]
            return jnp.where(nearer, least, best[0]), jnp.where(
                nearer, other * width + place.astype(jnp.int32), best[1]
            )

        start = jnp.full(width, jnp.inf), jnp.zeros(width, jnp.int32)
        _, index = lax.fori_loop(0, blocks(many), compare, start)
        found = to_discs(here, Discs(*(x[index] for x in sites)))
        return lax.dynamic_update_slice_in_dim(out, found, block * width, 0)

    out = jnp.zeros(capacity + room, jnp.float32)
    return lax.fori_loop(0, blocks(number), some, out)[:capacity]
