"""Lovász losses: the convex extension of the Jaccard loss, of errors that are sorted.

Each takes predictions and labels as `Inputs` says. The extension is linear in the errors
within every order of them: it is their sum, each times what having one error more costs at its
place in the order, and these costs are its gradient.
"""

from typing import Any, TypeAlias, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax.losses._classes import each, in_front
from segjax.losses._inputs import Inputs, Pixels, over_classes, pixels


Losses: TypeAlias = Float[Array, "..."]

CLASSES = ("present", "all")


def lovasz_softmax(
    predictions: Any,
    labels: Any,
    *,
    classes: str = "present",
    per_class: bool = False,
    **how: Unpack[Inputs],
) -> Losses:
    """Lovász-softmax loss: the extension of 1 - IoU to the errors |r - p|.

    In [0, 1]; one value per case. Of hard masks it is 1 - IoU. Soft labels are a mask from one
    half up.

    Args:
        predictions: logits, or probabilities.
        labels: see `Inputs`.
        classes: "present" for the mean over those that a case has, "all" for all: one that is not
            there costs the largest of its probabilities.
        per_class: one value per class.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or there is no such choice of classes.

    References:
        Berman, M., Triki, A. R. & Blaschko, M. B. (2018). The Lovász-softmax loss: a tractable
        surrogate for the optimization of the intersection-over-union measure in neural
        networks. CVPR, 4413-4421. doi:10.1109/CVPR.2018.00464
    """
    if classes not in CLASSES:
        raise InputError(f"classes must be one of {', '.join(CLASSES)}, got {classes!r}")
    p = pixels(predictions, labels, **how)
    errors = each(lambda q, r: jnp.where(r, 1 - q, q), p.probability, p.mask)
    return _extension(errors, p, classes == "all", per_class)


def lovasz_hinge(predictions: Any, labels: Any, **how: Unpack[Inputs]) -> Losses:
    """Lovász hinge: the extension of 1 - IoU to the hinge losses of one class.

    Hinge losses are max(0, 1 - logit) in the mask and max(0, 1 + logit) outside. One value per
    case, at least 1 - IoU of the mask of positive logits; 0 if all are right by 1 or more. A case
    without the class costs the largest of its hinge losses. Soft labels are a mask from one half
    up.

    Args:
        predictions: logits of a single class.
        labels: see `Inputs`.
        **how: see `Inputs`.

    Raises:
        InputError: if shapes or dtypes do not fit, or predictions are of several classes or
            probabilities.

    References:
        Yu, J. & Blaschko, M. (2015). Learning submodular losses with the Lovász hinge. ICML,
        PMLR 37, 1623-1631. And Berman et al. (2018); see `lovasz_softmax`.
    """
    p = pixels(predictions, labels, **how)
    if p.logits is None or not p.binary:
        raise InputError(
            f"lovasz_hinge takes logits of a single class, got predictions of shape {p.shape} "
            f"and from_logits={p.logits is not None}"
        )
    errors = each(lambda x, r: jax.nn.relu(1 - jnp.where(r, x, -x)), (p.logits[..., 0],), p.mask)
    return _extension(errors, p, True, False)


def _extension(errors: Any, p: Pixels, absent: bool, per_class: bool) -> Losses:
    # An error of 0 comes last, and costs nothing: so do pixels that do not count.
    flat = lambda x: p.kept(x).reshape(*p.batch, -1)
    e, r = (in_front(each(flat, x)) for x in (errors, p.mask))
    losses = (e * costs(lax.stop_gradient(e), r)).sum(-1)
    if not absent:
        losses = jnp.where(r.any(-1), losses, jnp.nan)
    return over_classes(jnp.moveaxis(losses, 0, -1), p, per_class)


def costs(errors: Float[Array, "*batch pixel"], truth: Any) -> Float[Array, "*batch pixel"]:
    """What each error adds to the Jaccard loss of those before it, in descending order.

    Of equal errors the first in the array comes first. On a CPU NumPy sorts, in a tenth of the
    time of XLA's sort; elsewhere nothing leaves the device.

    Args:
        errors: at least 0.
        truth: the mask, of the same shape.
    """
    if errors.shape[-1] == 0:
        return errors
    return lax.platform_dependent(errors, truth, cpu=_costs_on_host, default=_costs_on_device)


def _costs_on_device(errors: Any, truth: Any) -> Any:
    of_row = _costs_of_row
    for _ in range(errors.ndim - 1):
        of_row = jax.vmap(of_row)
    return of_row(errors, truth)


def _costs_of_row(errors: Any, truth: Any) -> Any:
    place = jnp.zeros_like(truth, jnp.int32) + jnp.arange(errors.size, dtype=jnp.int32)
    _, order, sorted_truth = lax.sort((-errors, place, truth), num_keys=1)
    found = jnp.cumsum(sorted_truth, dtype=jnp.int32)
    cost = _costs_in_order(sorted_truth, found, place + 1, truth.sum(), jnp)
    return jnp.zeros_like(errors).at[order].set(cost.astype(errors.dtype), unique_indices=True)


def _costs_on_host(errors: Any, truth: Any) -> Any:
    shape = jax.ShapeDtypeStruct(errors.shape, errors.dtype)
    return jax.pure_callback(_sort_on_host, shape, errors, truth, vmap_method="broadcast_all")


def _sort_on_host(errors: Any, truth: Any) -> np.ndarray:
    errors, truth = np.asarray(errors), np.asarray(truth)
    out, place = np.empty_like(errors), np.arange(1, errors.shape[-1] + 1, dtype=np.int32)
    for i in np.ndindex(errors.shape[:-1]):
        order, sorted_truth = _order(errors[i], truth[i])
        found = np.cumsum(sorted_truth, dtype=np.int32)
        out[i][order] = _costs_in_order(sorted_truth, found, place, found[-1], np)
    return out


def _order(errors: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if errors.dtype != np.float32:
        order = np.argsort(-errors, kind="stable")
        return order, truth[order]
    # One word each: the error, which orders as its bits do, upside down; the place; the truth.
    word = (~(errors + np.float32(0)).view(np.uint32)).astype(np.uint64) << np.uint64(32)
    word |= np.arange(0, 2 * errors.size, 2, dtype=np.uint64) | truth
    word.sort()
    low = word.astype(np.uint32)
    return low >> 1, (low & 1).astype(bool)


def _costs_in_order(truth: Any, found: Any, place: Any, total: Any, xp: Any) -> Any:
    """Differences of 1 - intersection / union, from whole numbers, without cancellation.

    A missed pixel leaves the union and takes 1 from the intersection; a false one adds 1 to the
    union U: i / (U - 1) - i / U = i / (U (U - 1)).
    """
    union = total + place - found
    one = np.float32(1)
    missed = one / xp.maximum(union, 1)
    false = (total - found) * missed / xp.maximum(union - 1, 1)
    # The first false pixel of a mask that is empty makes the whole loss.
    false = xp.where((total == 0) & (place == 1), one, false)
    return xp.where(truth, missed, false)
