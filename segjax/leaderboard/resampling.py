"""Resampling cases with replacement, as counts: one matrix product serves every column."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

from segjax._errors import InputError
from segjax._numerics import AnyArray
from segjax.ops import packing


_DRAWS = 2**21  # drawn at a time: bounds the memory to about 20 MB


def bootstrap_means(
    key: PRNGKeyArray, scores: Float[np.ndarray, "case column"], *, replicates: int
) -> Float[np.ndarray, "replicate column"]:
    """Means of resampled cases; all columns share the resamples, so they stay paired.

    Args:
        key: makes the result reproducible.
        scores: one column per metric; NaN is left out of its column's means.
        replicates: how many resamples.

    Returns:
        float64 means; NaN where a resample holds nothing but NaN.

    Raises:
        InputError: if there is no case, or `replicates` is not positive.
    """
    cases, columns = scores.shape
    if cases == 0 or replicates < 1:
        raise InputError(f"cannot resample {cases} cases {replicates} times")
    there = ~np.isnan(scores)
    n = np.maximum(there.sum(0), 1)
    # Centred and scaled, so that float32 holds the digits that differ between resamples.
    centre = np.where(there, scores, 0).sum(0) / n
    spread = np.abs(np.where(there, scores - centre, 0)).max(0, initial=0)
    scale = np.where((spread > 0) & np.isfinite(spread), spread, 1)
    size = packing.bucket(cases, smallest=8, steps=8)
    padded = np.zeros((size, 2, packing.bucket(columns, smallest=1)), np.float32)
    with np.errstate(invalid="ignore"):
        padded[:cases, 0, :columns] = np.where(there, (scores - centre) / scale, 0)
    padded[:cases, 1, :columns] = there
    chunk = max(1, min(_DRAWS // size, replicates))
    chunks = -(-replicates // chunk)
    with jax.threefry_partitionable(False):  # half the work; nothing is drawn across devices
        sums = _resampled_sums(key, padded, np.uint32(cases), chunk=chunk, chunks=chunks)
    total, count = np.asarray(sums, float)[:replicates, :, :columns].swapaxes(0, 1)
    with np.errstate(invalid="ignore"):
        return centre + scale * np.where(count > 0, total / np.maximum(count, 1), np.nan)


@partial(jax.jit, static_argnames=("chunk", "chunks"))
def _resampled_sums(
    key: PRNGKeyArray,
    scores: Float[AnyArray, "case 2 column"],
    cases: UInt32[AnyArray, ""],
    *,
    chunk: int,
    chunks: int,
) -> Float[Array, "replicate 2 column"]:
    size = scores.shape[0]
    drawn = jnp.arange(size) < cases  # as many draws as there are cases, padding aside

    def one_chunk(key: PRNGKeyArray) -> Float[Array, "replicate 2 column"]:
        bits = jax.random.bits(key, (chunk, size), jnp.uint32)
        index = _scaled(bits, cases).astype(jnp.int32)
        cell = jnp.arange(chunk)[:, None] * size + jnp.where(drawn, index, chunk * size)
        weights = jnp.zeros(chunk * size, jnp.float32).at[cell.reshape(-1)].add(1.0, mode="drop")
        flat = scores.reshape(size, -1)
        product = jnp.matmul(
            weights.reshape(chunk, size), flat, precision=jax.lax.Precision.HIGHEST
        )
        return product.reshape(chunk, *scores.shape[1:])

    sums = jax.lax.map(one_chunk, jax.random.split(key, chunks))
    return sums.reshape(-1, *scores.shape[1:])


def _scaled(bits: UInt32[Array, "..."], n: UInt32[AnyArray, ""]) -> UInt32[Array, "..."]:
    """floor(bits x n / 2**32): uniform on 0 ... n - 1, in 32-bit arithmetic."""
    high, low = bits >> 16, bits & 0xFFFF
    n_high, n_low = n >> 16, n & 0xFFFF
    middle = high * n_low + ((low * n_low) >> 16)
    carry = (middle & 0xFFFF) + low * n_high
    return high * n_high + (middle >> 16) + (carry >> 16)
