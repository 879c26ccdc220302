"""Smooth random fields and Gaussian blur, as products with small matrices.

Widths are data, so that they may differ between the images of a batch.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray


Width = Float[Array, ""] | float
Widths = tuple[Width, ...]
_SHARP = 0.1  # of a voxel: the blur of this width leaves an image as it is


def smooth_noise(
    key: PRNGKeyArray, shape: tuple[int, ...], width: Widths, *, knots: tuple[float, ...]
) -> Float[Array, "*space"]:
    """A Gaussian random field: every voxel is normal with mean 0 and variance 1.

    White noise on a grid of knots, each spread by a Gaussian. Between voxels a distance d
    apart the correlation is about exp(-d^2 / (4 width^2)).

    Args:
        key: of the draw.
        shape: of the field.
        width: standard deviation of the Gaussian along each axis, in voxels.
        knots: distance of the knots along each axis, in voxels; at most 1.5 widths, or the
            grid shows.
    """
    spread = [_to_knots(n, w, h) for n, w, h in zip(shape, width, knots, strict=True)]
    noise = jax.random.normal(key, tuple(m.shape[1] for m in spread))
    return _along_axes(noise, spread)


def plane_noise(
    key: PRNGKeyArray, shape: tuple[int, ...], width: float, step: Width
) -> Float[Array, "*space"]:
    """`smooth_noise` as wide along every axis, in pixels of the plane.

    Args:
        key: of the draw.
        shape: of the field, two or three axes.
        width: in pixels.
        step: distance in pixels of the planes of a field of three axes.
    """
    knots = (1.0, 1.5 * width, 1.5 * width)
    return smooth_noise(
        key, shape, (width / step, width, width)[-len(shape) :], knots=knots[-len(shape) :]
    )


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
    image: Float[Array, "..."], matrices: list[Float[Array, "place knot"]]
) -> Float[Array, "..."]:
    for axis, matrix in enumerate(matrices):
        product = jnp.tensordot(matrix, image, (1, axis), precision=lax.Precision.HIGHEST)
        image = jnp.moveaxis(product, 0, axis)
    return image
