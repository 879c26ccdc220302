"""Losses of how a segmentation hangs together."""

import math
from typing import Any, TypeAlias, Unpack

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax._numerics import ratio
from segjax.losses._classes import in_front
from segjax.losses._inputs import Inputs, over_classes, pixels
from segjax.losses._morphology import dilated, eroded


Losses: TypeAlias = Float[Array, "..."]


def cldice(
    predictions: Any,
    labels: Any,
    *,
    iterations: int = 3,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Centreline Dice loss: 1 - clDice, of soft skeletons.

    1 - 2 T T' / (T + T'), of the shares T of the prediction's skeleton in the reference and T'
    of the reference's in the prediction. In [0, 1]; one value per case. Of masks that are
    their own skeletons and prior 0 it is 1 - clDice; of others soft skeletons are thicker than
    those of the metric, and the two differ.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        iterations: at least the radius, in pixels, of the widest tube, fixed while tracing.
        prior: imagined pixels of both skeletons that are right.
        per_class: one value per class.
        **how: see `Inputs`. Skeletons are those of all pixels; those that count are weighed.

    Raises:
        InputError: if shapes or dtypes do not fit, or a number is negative.

    References:
        Shit, S. et al. (2021). clDice: a novel topology-preserving loss function for tubular
        structure segmentation. CVPR, 16560-16569. doi:10.1109/CVPR46437.2021.01629
    """
    if not (iterations >= 0 and prior >= 0):
        raise InputError(f"iterations and prior must not be negative, got {iterations}, {prior}")
    p = pixels(predictions, labels, **how)

    q, r = in_front(p.probability), in_front(p.target)
    thin_q, thin_r = (soft_skeleton(x, p.dims, iterations) for x in (q, r))
    share = lambda thin, x: ratio(p.of_space(thin * x) + prior, p.of_space(thin) + prior)
    precision, sensitivity = share(thin_q, r), share(thin_r, q)
    score = ratio(2 * precision * sensitivity, precision + sensitivity)
    return over_classes(jnp.moveaxis(1 - score, 0, -1), p, per_class)


def soft_skeleton(x: Float[Array, "..."], dims: int, iterations: int) -> Float[Array, "..."]:
    """What openings of more and more eroded probabilities take away, gathered.

    Args:
        x: probabilities; the last `dims` axes are space, beyond which nothing is eroded.
        dims: axes of space.
        iterations: erosions.
    """

    def erode(state: Any, _: Any) -> Any:
        x, skeleton = state
        smaller = eroded(x, dims, math.inf)
        ridge = jax.nn.relu(x - dilated(smaller, dims))
        return (smaller, skeleton + jax.nn.relu(ridge * (1 - skeleton))), None

    # Not written out, which takes XLA:CPU three times as long, and ten times to compile.
    return lax.scan(erode, (x, jnp.zeros_like(x)), None, length=iterations + 1)[0][1]
