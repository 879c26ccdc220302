"""Erosion and dilation of probabilities: minima and maxima over neighbours, any axes before."""

import math
from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Any

import jax.numpy as jnp
from jax import lax


def shifted(x: Any, axis: int, step: int, outside: float) -> Any:
    """Values moved along an axis (negative) by some places; those from outside are `outside`."""
    if abs(step) >= x.shape[axis]:
        return jnp.full_like(x, outside)
    padding = [(0, 0, 0)] * x.ndim
    padding[axis] = (step, -step, 0)
    return lax.pad(x, jnp.asarray(outside, x.dtype), padding)


def eroded(x: Any, dims: int, outside: float) -> Any:
    """Least of each value and its face neighbours along the last `dims` axes."""
    around = [shifted(x, axis, step, outside) for axis in range(-dims, 0) for step in (1, -1)]
    return reduce(jnp.minimum, around, x)


def dilated(x: Any, dims: int) -> Any:
    """Greatest of each value and its neighbours, corners included."""
    for axis in range(-dims, 0):
        x = reduce(jnp.maximum, [shifted(x, axis, step, -math.inf) for step in (1, -1)], x)
    return x


def dilated_by(x: Any, radius: float, spacing: Sequence[float]) -> Any:
    """Greatest of all values no farther than `radius`, which should have no negative ones."""
    *across, along = spacing
    reach = [int(radius / size) for size in across]
    widest = int(radius / along)
    # Along rows: maxima over 1, 3, 5 ... places, of which every row takes the one that fits.
    rows = [x]
    for step in range(1, widest + 1):
        beside = [shifted(x, -1, sign * step, 0.0) for sign in (1, -1)]
        rows.append(reduce(jnp.maximum, beside, rows[-1]))
    best = x
    for offset in product(*(range(-r, r + 1) for r in reach)):
        left = radius**2 - sum((o * size) ** 2 for o, size in zip(offset, across, strict=True))
        if left < 0:
            continue
        row = rows[int(math.sqrt(left) / along)]
        for axis, step in zip(range(-len(spacing), -1), offset, strict=True):
            row = shifted(row, axis, step, 0.0)
        best = jnp.maximum(best, row)
    return best
