"""Numerical building blocks that hold at 0/0, under differentiation, and for NumPy as for JAX.

Formulas of a few counts are written once. Given NumPy arrays (counts brought home from the
device, 64-bit) they run in float64 without compiling; given JAX arrays they trace.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np


# To a type checker, which cannot know that the operands of one formula are of one kind, Any.
if TYPE_CHECKING:
    AnyArray: TypeAlias = Any
else:
    AnyArray = jax.Array | np.ndarray | np.generic


def namespace(*values: Any) -> ModuleType:
    """`jax.numpy` if any of the values is a JAX array (traced ones are), else `numpy`."""
    for v in values:  # a loop, not `any`: this is asked thousands of times per image of objects
        if isinstance(v, jax.Array):
            return jnp
    return np


def ratio(numerator: Any, denominator: Any) -> Any:
    """Quotient that is NaN, with zero gradient, where the denominator is zero.

    Both branches of `where` are differentiated, so the denominator is made harmless
    *before* dividing; otherwise 0/0 would poison the gradient.
    """
    xp = namespace(numerator, denominator)
    undefined = denominator == 0
    quotient = numerator / xp.where(undefined, 1, denominator)
    return xp.where(undefined, xp.nan, quotient)


def root(x: Any) -> Any:
    """Square root whose gradient at 0 is 0 instead of infinite."""
    xp = namespace(x)
    positive = x > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, 1)), 0)


def defined_mean(x: Any, axis: int = -1) -> Any:
    """Mean over what is not NaN; NaN, with zero gradient, where nothing is left."""
    xp = namespace(x)
    defined = ~xp.isnan(x)
    return ratio(xp.where(defined, x, 0).sum(axis), defined.sum(axis))
