"""Predictions and labels, brought into one form: only here are the forms told apart.

What they are is decided by shapes and dtypes alone, so while tracing, and never by values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array

from segjax._errors import InputError
from segjax._numerics import ratio
from segjax.losses._classes import Classes, joined, one_hot, softmax, split


REDUCTIONS = ("none", "case", "mean", "sum")


class Inputs(TypedDict, total=False):
    """What every loss is told about its inputs, by keyword.

    Predictions have the classes on the last axis; a single one is the foreground, with its
    sigmoid as probability, more are exclusive, by softmax. Labels without that axis are class
    ids if integer; of a single class they are the mask: bool, integer (not 0 is foreground) or
    soft (floating). Labels of the shape of the predictions are one-hot or soft. Several classes
    that do not exclude each other are single ones: move them to the batch.

    Attributes:
        from_logits: predictions are logits (default), else probabilities.
        where: mask of the pixels that count, of the shape of the predictions without classes;
            all by default. What is predicted elsewhere, be it NaN, has no say.
        ignore_index: class id of pixels that do not count.
        class_weights: one number per class; 0 leaves it out. Of a single class two, for background
            and foreground, at which losses that have one value per class do not look.
        dims: axes of space, 1 to 3; those before them are the batch. By default all but the
            first, if that leaves two or three.
        channels: whether predictions have the axis of classes (default); without it, they
            are of a single one, and labels have their shape.
        reduction: "none" (default), "case" for the mean over the pixels that count of each case
            (the same for losses that have one value per case), "mean" and "sum" over all.
    """

    from_logits: bool
    where: Any
    ignore_index: int | None
    class_weights: Sequence[float] | Array | None
    dims: int | None
    channels: bool
    reduction: str


@dataclass(frozen=True)
class Pixels:
    """Predictions and labels of one form, shapes checked.

    Attributes:
        logits: (*batch, *space, class), float32 or float64; None if there are none.
        given: probabilities of this shape where there are no logits, else None.
        labels: class ids (*batch, *space), or one value per class, bool or floating.
        valid: mask (*batch, *space) of the pixels that count; None for all.
        weights: of the classes; None for none.
        dims: axes of space.
        reduction: one of `REDUCTIONS`.
    """

    logits: Any
    given: Any
    labels: Any
    valid: Any
    weights: Any
    dims: int
    reduction: str

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.given if self.logits is None else self.logits).shape

    @property
    def binary(self) -> bool:
        return self.shape[-1] == 1

    @property
    def dtype(self) -> Any:
        return (self.given if self.logits is None else self.logits).dtype

    @property
    def batch(self) -> tuple[int, ...]:
        return self.shape[: -1 - self.dims]

    @property
    def ids(self) -> bool:
        """Whether labels are class ids, not one value per class."""
        return self.labels.ndim < len(self.shape)

    @property
    def probability(self) -> Classes:
        """Of every class, (*batch, *space)."""
        if self.logits is None:
            return split(self.given)
        return split(jax.nn.sigmoid(self.logits)) if self.binary else softmax(split(self.logits))

    @property
    def target(self) -> Classes:
        """What the probability should be; a class id that no class has is none of them."""
        if self.ids:
            return one_hot(self.labels, self.shape[-1], self.dtype)
        return split(self.labels.astype(self.dtype))

    @property
    def mask(self) -> Classes:
        """Where each class is, (*batch, *space); soft labels from one half up."""
        if self.ids:
            return one_hot(self.labels, self.shape[-1], bool)
        return split(self.labels >= 0.5 if _floating(self.labels) else self.labels)

    def kept(self, x: Any) -> Any:
        """Values (*batch, *space) of pixels that count, 0 elsewhere."""
        return x if self.valid is None else jnp.where(self.valid, x, jnp.zeros((), x.dtype))

    def of_space(self, x: Any) -> Any:
        """Sum over the pixels of each case that count: (*batch, *space) to (*batch)."""
        return self.kept(x).sum(tuple(range(-self.dims, 0)))

    @property
    def size(self) -> Any:
        """Pixels of each case that count, (*batch)."""
        return self.of_space(jnp.ones(self.shape[:-1], self.dtype))

    def cases(self, function: Any) -> Any:
        """`function` of one case, mapped over the batch."""
        for _ in self.batch:
            function = jax.vmap(function)
        return function


def pixels(predictions: Any, labels: Any, **how: Unpack[Inputs]) -> Pixels:
    """Bring predictions and labels into one form.

    Raises:
        InputError: if shapes or dtypes do not fit; the message gives them.
    """
    if unknown := how.keys() - Inputs.__annotations__.keys():
        raise TypeError(f"a loss has no argument {sorted(unknown)[0]!r}")
    reduction = how.get("reduction", "none")
    if reduction not in REDUCTIONS:
        raise InputError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    predictions, labels = jnp.asarray(predictions), jnp.asarray(labels)
    if not _floating(predictions):
        raise InputError(
            f"predictions must be floating, got {predictions.dtype} of shape {predictions.shape}"
        )
    single = not how.get("channels", True)
    if single:
        predictions = predictions[..., None]
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.dtype.itemsize < 4:
        labels = labels.astype(jnp.int32)  # so that they may be compared with any id
    dims = _dims(how.get("dims"), predictions.shape, single)
    labels = _labels(labels, predictions.shape, single)
    valid = _valid(how.get("where"), how.get("ignore_index"), labels, predictions.shape)
    if labels.ndim < predictions.ndim and predictions.shape[-1] == 1:
        labels = labels[..., None]
    if labels.ndim == predictions.ndim and not _floating(labels):
        labels = labels != 0
    # Sums over half-precision pixels would lose all but the first 256 or 2048 of them.
    predictions = predictions.astype(jnp.promote_types(predictions.dtype, jnp.float32))
    if valid is not None:
        predictions = jnp.where(valid[..., None], predictions, 0)
    logits = how.get("from_logits", True)
    return Pixels(
        logits=predictions if logits else None,
        given=None if logits else predictions,
        labels=labels,
        valid=valid,
        weights=_class_weights(how.get("class_weights"), predictions.shape, predictions.dtype),
        dims=dims,
        reduction=reduction,
    )


def over_classes(losses: Classes, p: Pixels, per_class: bool) -> Any:
    """From (*batch) of every class, NaN where undefined, to one value per case, or also per class.

    The mean over the classes that are defined, by their weights; 0 where none is.
    """
    losses = joined(losses)
    defined = ~jnp.isnan(losses)
    losses = jnp.where(defined, losses, 0)
    weights = 1 if p.weights is None or p.binary else p.weights
    if per_class:
        return over_cases(losses * weights, p)
    weight = defined * weights
    mean = ratio((losses * weight).sum(-1), weight.sum(-1))
    return over_cases(jnp.where(jnp.isnan(mean), 0, mean), p)


def over_cases(losses: Any, p: Pixels) -> Any:
    """Reduce losses of one value per case (or per class of each) as asked."""
    if p.reduction == "mean":
        return losses.mean()
    return losses.sum() if p.reduction == "sum" else losses


def over_pixels(losses: Any, weight: Any, p: Pixels) -> Any:
    """Reduce losses (*batch, *space), weights multiplied in, as asked.

    Means are by weight, which is None for 1; without any they are 0.
    """
    losses = p.kept(losses)
    if p.reduction == "none":
        return losses
    if p.reduction == "sum":
        return losses.sum()
    axes = None if p.reduction == "mean" else tuple(range(-p.dims, 0))
    if weight is None and p.valid is None:
        return losses.mean(axes)
    whole = p.kept(jnp.ones(p.shape[:-1], p.dtype) if weight is None else weight).sum(axes)
    mean = ratio(losses.sum(axes), whole)
    return jnp.where(jnp.isnan(mean), 0, mean)


def _floating(x: Any) -> bool:
    return bool(jnp.issubdtype(x.dtype, jnp.floating))


def _dims(dims: int | None, shape: tuple[int, ...], single: bool) -> int:
    most = len(shape) - 1
    if dims is None:
        if most not in (3, 4):
            # (rows, columns, classes) may be an image or a batch of lines.
            raise InputError(
                f"predictions of shape {shape[: len(shape) - single]} could be of several ranks; "
                "say with dims= how many axes are space"
            )
        return most - 1
    if not 1 <= dims <= min(3, most):
        raise InputError(
            f"dims must be 1, 2 or 3, and no more than predictions have beside their classes; "
            f"got {dims} for shape {shape[: len(shape) - single]}"
        )
    return dims


def _labels(labels: Any, shape: tuple[int, ...], single: bool) -> Any:
    if labels.shape not in (shape, shape[:-1]) or (single and labels.shape != shape[:-1]):
        wanted = [str(shape[:-1])] if single else [str(shape[:-1]), str(shape)]
        raise InputError(
            f"labels of shape {labels.shape} do not fit predictions of shape "
            f"{shape[: len(shape) - single]}; they need shape {' or '.join(wanted)}"
        )
    if not (_floating(labels) or labels.dtype == bool or jnp.issubdtype(labels.dtype, jnp.integer)):
        raise InputError(f"labels must be integer, bool or floating, got {labels.dtype}")
    ids = labels.ndim < len(shape)
    if ids and shape[-1] > 1 and not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(
            f"class ids must be integer, got {labels.dtype} of shape {labels.shape} for "
            f"predictions of shape {shape}"
        )
    return labels


def _valid(where: Any, ignore: int | None, labels: Any, shape: tuple[int, ...]) -> Any:
    valid = None
    if where is not None:
        valid = jnp.asarray(where)
        if valid.shape != shape[:-1] or valid.dtype != bool:
            raise InputError(
                f"where must be bool of shape {shape[:-1]}, got {valid.dtype} of shape "
                f"{valid.shape}"
            )
    if ignore is None:
        return valid
    if labels.ndim == len(shape) or _floating(labels):
        raise InputError(
            f"ignore_index is for integer class ids of shape {shape[:-1]}, got labels of "
            f"{labels.dtype} and shape {labels.shape}; use where="
        )
    return labels != ignore if valid is None else valid & (labels != ignore)


def _class_weights(weights: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    if weights is None:
        return None
    weights, number = jnp.asarray(weights, dtype), max(2, shape[-1])
    if weights.shape != (number,):
        raise InputError(
            f"class_weights must be {number} numbers for predictions of shape {shape}, got shape "
            f"{weights.shape}"
        )
    return weights
