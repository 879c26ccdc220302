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
from jax import lax


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


def softmax(logits: Any) -> Classes:
    """Probabilities, which sum to 1, of logits with the classes on the last axis."""
    most = lax.stop_gradient(logits.max(-1))
    parts = each(lambda x: jnp.exp(x - most), split(logits))
    whole = total(parts)
    return each(lambda x: x / whole, parts)


def log_total(logits: Any) -> Any:
    """Log of the sum of exponentials over the last axis."""
    most = lax.stop_gradient(logits.max(-1))
    return most + jnp.log(total(each(lambda x: jnp.exp(x - most), split(logits))))
