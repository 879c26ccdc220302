"""What a model gives, as label maps with a leading case axis."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from segjax._errors import InputError


class Maps(NamedTuple):
    """A batch of label maps, the pixels that count, and the cases that do."""

    reference: Int[Array, "case *space"]
    prediction: Int[Array, "case *space"]
    valid: Bool[Array, "case *space"]
    counted: Bool[Array, " case"]


def maps(
    labels: Any, logits: Any, predictions: Any, where: Any, mask: Any, ignore: int | None
) -> Maps:
    """Bring a batch into one form.

    Raises:
        InputError: if shapes or dtypes do not fit; the message gives them.
    """
    if (logits is None) == (predictions is None):
        raise InputError("give either logits= or predictions= (label maps), beside labels=")
    reference = jnp.asarray(labels)
    if predictions is None:
        logits = jnp.asarray(logits)
        single = logits.shape[-1:] == (1,)
        predictions = logits[..., 0] > 0 if single else jnp.argmax(logits, -1)
    predictions = jnp.asarray(predictions)
    if reference.shape != predictions.shape or reference.ndim < 2:
        raise InputError(
            "labels and predictions need one shape, cases first and channels last, got "
            f"{reference.shape} and {predictions.shape}"
            + ("" if logits is None else f" of logits {logits.shape}")
        )
    for name, x in (("labels", reference), ("predictions", predictions)):
        if x.dtype != bool and not jnp.issubdtype(x.dtype, jnp.integer):
            raise InputError(f"{name} must be integer or bool, got {x.dtype} of shape {x.shape}")
    valid = _mask("where", where, reference, reference.ndim)
    if ignore is not None:
        valid &= reference != ignore
    counted = _mask("mask", mask, reference, 1)
    return Maps(reference.astype(jnp.int32), predictions.astype(jnp.int32), valid, counted)


def _mask(name: str, mask: Any, like: Any, axes: int) -> Any:
    of_what = like.reshape(*like.shape[:axes], -1)[..., 0] if axes < like.ndim else like
    if mask is None:
        return jnp.ones_like(of_what, bool)
    mask = jnp.asarray(mask).astype(bool)
    if mask.shape != of_what.shape:
        raise InputError(f"{name} must have shape {of_what.shape}, got {mask.shape}")
    return mask
