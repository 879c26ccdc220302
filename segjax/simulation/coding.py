"""How a network sees an image and a segmentation: normalised intensities and a coded map."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from segjax._errors import InputError
from segjax.simulation._label_tools import highest, lowest


CODINGS = ("trinary", "binary")
PERCENTILES = (1.0, 99.8)


def normalise(
    image: Shaped[Array, "*space"], *, percentiles: tuple[float, float] = PERCENTILES
) -> Float[Array, "*space"]:
    """Scale intensities so that two percentiles become 0 and 1, and clip to [-0.2, 1.3].

    The percentiles are taken of every third pixel along each axis of more than 32, which costs a
    ninth of the sorting and moves them by less than the noise does. A constant image becomes 0.

    Args:
        image: intensities in any range.
        percentiles: the lower and the upper one, in percent.
    """
    image = jnp.asarray(image, jnp.float32)
    some = image[tuple(slice(None, None, 3 if n > 32 else 1) for n in image.shape)]
    ordered = jnp.sort(some.ravel())
    low, high = (ordered[round(p / 100 * (ordered.size - 1))] for p in percentiles)
    span = high - low
    return jnp.clip((image - low) / jnp.where(span > 0, span, 1.0), -0.2, 1.3)


def inner_boundary(labels: Int[Array, "*space"]) -> Bool[Array, "*space"]:
    """Pixels of objects beside another label or the background (also across corners)."""
    return (highest(labels) != lowest(labels)) & (labels > 0)


def code(labels: Int[Array, "*space"], coding: str = "trinary") -> Float[Array, "*space"]:
    """A label map as a network sees it.

    Args:
        labels: 0 is background.
        coding: "trinary": 0 background, 1/2 interior, 1 the objects' inner boundary, so that
            touching objects stay apart. "binary": 0 background, 1 object.
    """
    if coding not in CODINGS:
        raise InputError(f"unknown coding of label maps: {coding!r}; use one of {CODINGS}")
    if coding == "binary":
        return (labels > 0).astype(jnp.float32)
    return jnp.where(inner_boundary(labels), 1.0, 0.5 * (labels > 0))
