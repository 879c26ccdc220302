"""Losses of where the boundary lies: by maps of distances, which hold still, or by soft surfaces.

Each takes predictions and labels as `Inputs` says, and gives one value per case: the mean over
the classes, or with `per_class` one per class. Distances are exact and Euclidean, in the unit
of `spacing`. Masks are those of the whole labels: pixels that do not count bound no class,
and those ignored by `ignore_index` are of none.
"""

from functools import partial
from typing import Any, TypeAlias, Unpack

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax._numerics import ratio
from segjax.case import Spacing, check_spacing
from segjax.losses._classes import Classes, each, in_front, split
from segjax.losses._inputs import Inputs, Pixels, over_classes, pixels
from segjax.losses._morphology import dilated_by, eroded
from segjax.ops import transform


Losses: TypeAlias = Float[Array, "..."]

_SLACK = 1 + 1e-6  # of a tolerance, as of the metric `nsd`


def boundary(
    predictions: Any,
    labels: Any,
    *,
    spacing: Spacing = None,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Boundary loss: mean over the pixels of (p - r) times the signed distance to the reference.

    Signed distances are `segjax.ops.transform.signed_distance`, positive outside, 0 for a class
    that no pixel or every pixel has. At least 0, which is a perfect prediction: the authors
    leave out the constant term of r, so that theirs is negative. Of hard masks it is the sum of
    the distances of all wrong pixels to where they would be right, over the number of pixels.
    Where the prediction P contains the reference this is 2 |P| / N times the average Hausdorff
    distance (whose one direction is 0 then); N is the number of pixels.

    The slope grows with the distance, so add it to a loss of overlap: see `dice_boundary`.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`; soft ones are a mask from one half up.
        spacing: size of a pixel along each axis of space; default 1.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or `spacing` is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> labels = jnp.array([[0, 1, 0, 0]])
        >>> probability = jnp.array([[0.0, 1.0, 0.0, 1.0]])  # wrong at a distance of 2
        >>> boundary(probability, labels, from_logits=False, channels=False, dims=1).tolist()
        [0.5]

    References:
        Kervadec, H. et al. (2021). Boundary loss for highly unbalanced segmentation. Medical
        Image Analysis 67, 101851. doi:10.1016/j.media.2020.101851
    """
    p = pixels(predictions, labels, **how)
    signed = _distances(p, p.mask, spacing)
    loss = lambda q, r, far: p.of_space((q - r) * far) / jnp.maximum(p.size, 1)
    return over_classes(each(loss, p.probability, _hard(p), signed), p, per_class)


def hausdorff(
    predictions: Any,
    labels: Any,
    *,
    alpha: float | int = 2.0,
    spacing: Spacing = None,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Hausdorff loss by distance transforms: mean of (p - r)^2 (d_r^alpha + d_p^alpha).

    d_r and d_p are the distances of a pixel to the other side of the reference and of the
    prediction (p > 1/2), held fixed; 0 for a mask that is empty or full. At least 0, which is a
    perfect prediction. Of hard masks N times the loss, N pixels being there, is at least
    H^alpha, of the Hausdorff distance H of all their pixels.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`; distances of soft ones are of the mask from one half up.
        alpha: power of the distances; the authors take 2.
        spacing: size of a pixel along each axis of space; default 1.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or a number is not positive.

    References:
        Karimi, D. & Salcudean, S. E. (2020). Reducing the Hausdorff distance in medical image
        segmentation with convolutional neural networks. IEEE TMI 39(2), 499-513.
        doi:10.1109/TMI.2019.2930068
    """
    if not alpha > 0:
        raise InputError(f"alpha must be positive, got {alpha}")
    p = pixels(predictions, labels, **how)
    found = each(lambda q: lax.stop_gradient(q) > 0.5, p.probability)
    far = [_distances(p, mask, spacing) for mask in (p.mask, found)]

    def loss(q: Any, r: Any, *far: Any) -> Any:
        weight = sum(jnp.abs(d) ** alpha for d in far)
        return p.of_space(jnp.square(q - r) * weight) / jnp.maximum(p.size, 1)

    return over_classes(each(loss, p.probability, p.target, *far), p, per_class)


def surface_dice(
    predictions: Any,
    labels: Any,
    *,
    tolerance: float | int = 1.0,
    spacing: Spacing = None,
    prior: float | int = 1.0,
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Surface Dice loss: 1 - NSD at a tolerance, of soft surfaces.

    The surface of p is p minus its least face neighbour; it is near the other's surface as far as
    this, at its greatest within the tolerance, is there. In [0, 1]. Of hard masks it is
    (1 - NSD) S / (S + prior), S pixels being on both surfaces together: with prior 0 it is
    1 - NSD. Farther than the tolerance it only tells a surface to go, not where to.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`; soft ones are a mask from one half up.
        tolerance: in the unit of spacing, fixed while tracing; the time grows with it, in
            space with its square.
        spacing: size of a pixel along each axis of space; default 1.
        prior: imagined pixels of surface that are right.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or a number is negative.

    References:
        Nikolov, S. et al. (2021). Clinically applicable segmentation of head and neck
        anatomy for radiotherapy. J. Med. Internet Res. 23(7), e26151 (the metric).
        doi:10.2196/26151
    """
    if not (tolerance >= 0 and prior >= 0):
        raise InputError(f"tolerance and prior must not be negative, got {tolerance} and {prior}")
    p = pixels(predictions, labels, **how)
    sizes = check_spacing(spacing, p.dims)
    near = lambda surface: dilated_by(surface, tolerance * _SLACK, sizes)

    def loss(q: Any, r: Any) -> Any:
        of_q, of_r = (x - eroded(x, p.dims, 0.0) for x in (q, r))
        agreed = p.of_space(of_q * near(of_r)) + p.of_space(of_r * near(of_q))
        both = p.of_space(of_q) + p.of_space(of_r)
        return 1 - ratio(agreed + prior, both + prior)

    return over_classes(each(loss, p.probability, _hard(p)), p, per_class)


def _hard(p: Pixels) -> Classes:
    return each(lambda mask: mask.astype(p.dtype), p.mask)


def _distances(p: Pixels, masks: Classes, spacing: Spacing) -> Classes:
    """Signed distances of every class; 0 for one that is everywhere or nowhere."""
    sizes = check_spacing(spacing, p.dims)
    one = p.cases(lambda mask: transform.signed_distance(mask, sizes))
    # On a CPU class by class, so that more stays in cache: two thirds of the time.
    far = lax.platform_dependent(in_front(masks), cpu=partial(lax.map, one), default=jax.vmap(one))
    far = jnp.where(jnp.isfinite(far), far, 0).astype(p.dtype)
    return split(jnp.moveaxis(far, 0, -1))
