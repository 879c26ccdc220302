"""Values of every class, held apart: what is done with each of them, and their sums.

Of few classes they are a tuple of arrays, of many one array with a last axis. XLA:CPU vectorises
over an axis of four badly, and computes a softmax anew for each sum of it: Dice with
cross-entropy and their gradients take 2.5 times as long. Many classes written out one after the
other would take long to compile.
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp


Classes: TypeAlias = Any

_FEW = 16


def split(x: Any) -> Classes:
    """Hold the classes of an array apart that has them on its last axis."""
    return tuple(x[..., c] for c in range(x.shape[-1])) if x.shape[-1] <= _FEW else x


def joined(values: Classes) -> Any:
    """Arrays with the classes on a last axis; values may be trees of arrays."""
    if isinstance(values, tuple):
        return jax.tree.map(lambda *x: jnp.stack(x, -1), *values)
    return values


def in_front(values: Classes) -> Any:
    """One array with the classes on its first axis, for work that is compiled once for all."""
    return jnp.stack(values) if isinstance(values, tuple) else jnp.moveaxis(values, -1, 0)


def each(function: Callable[..., Any], *values: Classes) -> Classes:
    """`function` of the values of each class."""
    if isinstance(values[0], tuple):
        return tuple(function(*x) for x in zip(*values, strict=True))
    return jax.vmap(function, in_axes=-1, out_axes=-1)(*values)


def total(values: Classes) -> Any:
    """Sum over the classes."""
    return reduce(operator.add, values) if isinstance(values, tuple) else values.sum(-1)


def weighted(values: Classes, weights: Any) -> Classes:
    """Values times one number for each class; None for 1."""
    return values if weights is None else each(operator.mul, values, split(weights))


def one_hot(labels: Any, number: int, dtype: Any) -> Classes:
    """1 where labels are the class, else 0."""
    numbers = tuple(range(number)) if number <= _FEW else jnp.arange(number)
    return each(lambda c: (labels == c).astype(dtype), numbers)


@jax.custom_jvp
def softmax(logits: Classes) -> Classes:
    """Probabilities, which sum to 1."""
    _, parts, whole = _exponentials(logits)
    return each(lambda x: x / whole, parts)


@jax.custom_jvp
def log_total(logits: Classes) -> Any:
    """Log of the sum of the exponentials."""
    most, _, whole = _exponentials(logits)
    return most + jnp.log(whole)


def _exponentials(logits: Classes) -> tuple[Any, Classes, Any]:
    """The largest logit, the exponentials of what others are below it, and their sum."""
    most = reduce(jnp.maximum, logits) if isinstance(logits, tuple) else logits.max(-1)
    parts = each(lambda x: jnp.exp(x - most), logits)
    return most, parts, total(parts)


# In terms of the probabilities, which XLA then shares between them and with the values: Dice and
# cross-entropy take a seventh less time than with the derivatives of each step.


@softmax.defjvp
def _softmax_slope(at: tuple[Classes], along: tuple[Classes]) -> tuple[Classes, Classes]:
    p, (way,) = softmax(*at), along
    mean = total(each(operator.mul, p, way))
    return p, each(lambda q, x: q * (x - mean), p, way)


@log_total.defjvp
def _log_total_slope(at: tuple[Classes], along: tuple[Classes]) -> tuple[Any, Any]:
    (way,) = along
    return log_total(*at), total(each(operator.mul, softmax(*at), way))
