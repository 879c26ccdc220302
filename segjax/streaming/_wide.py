"""Counts beyond 32 bits, where JAX has no others: as four parts of 16 bits in words of 32.

The upper half of each word is room: parts may be added up 65,535 times (by `+`, by `sum` over a
batch, by `psum` over devices) before they must be carried, and addition is all that a sum
of counts needs.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int64, UInt32


PARTS = 4
_BITS = 16
_MASK = (1 << _BITS) - 1


def total(counts: Int[Array, "case *rest"]) -> UInt32[Array, "4 *rest"]:
    """Sum over the first axis of counts that are not negative; at most 65,535 of them."""
    c = counts.astype(jnp.uint32)
    low, high = (c & _MASK).sum(0, dtype=jnp.uint32), (c >> _BITS).sum(0, dtype=jnp.uint32)
    return carried(jnp.stack([low, high, jnp.zeros_like(low), jnp.zeros_like(low)]))


def carried(parts: UInt32[Array, "4 *rest"]) -> UInt32[Array, "4 *rest"]:
    """The same count, with nothing in the upper halves."""
    done, carry = [], jnp.zeros_like(parts[0])
    for part in parts:
        whole = part + carry
        done.append(whole & _MASK)
        carry = whole >> _BITS
    return jnp.stack(done)


def exact(parts: Any) -> Int64[np.ndarray, "..."]:
    """The count, in host memory."""
    shifts = _BITS * np.arange(PARTS).reshape(-1, *(1,) * (np.ndim(parts) - 1))
    return (np.asarray(parts).astype(np.int64) << shifts).sum(0)


def nearly(parts: UInt32[Array, "4 *rest"]) -> Float[Array, "*rest"]:
    """The count to 1e-7 of it, while tracing."""
    whole = carried(parts).astype(jnp.float32)
    scale = np.float32(2.0) ** (_BITS * np.arange(PARTS, dtype=np.float32))
    return jnp.tensordot(scale, whole, axes=1, precision="highest")
