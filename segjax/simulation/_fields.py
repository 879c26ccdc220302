"""Smooth random fields and Gaussian blur, as products with small matrices.

Widths are data, so that they may differ between the images of a batch.
"""

import itertools
import math
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray


Width: TypeAlias = Float[Array, ""] | float
Widths: TypeAlias = tuple[Width, ...]
_SHARP = 0.1  # of a voxel: the blur of this width leaves an image as it is


class Grain(NamedTuple):
    """How smooth a random field is, along each of its axes.

    Attributes:
        width: standard deviation of the Gaussian that each knot is spread by, in voxels.
            Between voxels a distance d apart the correlation is about exp(-d^2 / 4 width^2).
        knots: distance of the knots in voxels, fixed while tracing; at most 1.5 widths, or
            the grid shows.
    """

    width: Widths
    knots: tuple[float, ...]


def smooth_noise(
    key: PRNGKeyArray, shape: tuple[int, ...], *grains: Grain
) -> list[Float[Array, "*space"]]:
    """Gaussian random fields, one for each grain: each voxel has mean 0 and variance 1.

    White noise on a grid of knots, each spread by a Gaussian. All grains share one draw of
    numbers, because each draw costs half a second of compiling.
    """
    spreads = [
        [_to_knots(n, w, h) for n, w, h in zip(shape, grain.width, grain.knots, strict=True)]
        for grain in grains
    ]
    grids = [tuple(matrix.shape[1] for matrix in spread) for spread in spreads]
    ends = [0, *itertools.accumulate(math.prod(grid) for grid in grids)]
    white = jax.random.normal(key, (ends[-1],))
    return [
        _along_axes(white[first:last].reshape(grid), spread)
        for first, last, grid, spread in zip(ends, ends[1:], grids, spreads, strict=False)
    ]


def spline_field(
    key: PRNGKeyArray, shape: tuple[int, ...], points: int
) -> list[Float[Array, "*space"]]:
    """One cubic B-spline for each axis, of `points` control points along each, even in +-1."""
    control = jax.random.uniform(key, (len(shape), *(points,) * len(shape)), minval=-1.0)
    bases = [jnp.asarray(_cubic_basis(n, points)) for n in shape]
    return [_along_axes(one, bases) for one in control]


def _cubic_basis(size: int, points: int) -> np.ndarray:
    """Uniform cubic B-splines by place; those of the first and the last span reach beyond."""
    place = np.linspace(0.0, points - 3.0, size)
    away = np.abs(place[:, None] - (np.arange(points) - 1.0))
    near = 2 / 3 - away**2 + away**3 / 2
    far = np.maximum(2 - away, 0) ** 3 / 6
    return np.where(away < 1, near, far).astype(np.float32)


def plane_grain(finest: float, zoom: Width, step: Width, dims: int) -> Grain:
    """As smooth along every axis, in pixels of the plane.

    Args:
        finest: width in pixels, if nothing is enlarged.
        zoom: how many times wider it is, at least 1.
        step: distance in pixels of the planes of a field of three axes.
        dims: number of axes, two or three.
    """
    width, knots = finest * zoom, 1.5 * finest
    return Grain((width / step, width, width)[-dims:], (1.0, knots, knots)[-dims:])


def blur(image: Float[Array, "*space"], width: Widths) -> Float[Array, "*space"]:
    """An image after a Gaussian filter of some width along each axis, in voxels.

    At the border, weights beyond the image are shared by those within.
    """
    places = [jnp.arange(n, dtype=jnp.float32) for n in image.shape]
    weights = [_gaussian(x, x, w) for x, w in zip(places, width, strict=True)]
    return _along_axes(image, [w / w.sum(1, keepdims=True) for w in weights])


def _to_knots(size: int, width: Width, distance: float) -> Float[Array, "place knot"]:
    number = 1 if size == 1 else math.ceil((size - 1) / distance) + 1
    # One more at either end, so that the border looks like the middle.
    first = (size - 1 - (number + 1) * distance) / 2
    knot = first + distance * jnp.arange(number + 2, dtype=jnp.float32)
    weights = _gaussian(jnp.arange(size, dtype=jnp.float32), knot, width)
    return weights * lax.rsqrt(jnp.sum(weights**2, 1, keepdims=True))


def _gaussian(
    place: Float[Array, " place"], knot: Float[Array, " knot"], width: Width
) -> Float[Array, "place knot"]:
    away = (place[:, None] - knot) / jnp.maximum(width, _SHARP)
    return jnp.exp(-0.5 * away**2)


def _along_axes(
    image: Float[Array, "..."], matrices: list[Float[Array, "_ _"]]
) -> Float[Array, "..."]:
    for axis, matrix in enumerate(matrices):
        product = jnp.tensordot(matrix, image, (1, axis), precision=lax.Precision.HIGHEST)
        image = jnp.moveaxis(product, 0, axis)
    return image
