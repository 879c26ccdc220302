"""Bits: 32 voxels a word, packed on the host, counted on the device.

A label map whose values are the codes 0 ... K needs ceil(log2(K + 1)) bits a voxel: one plane
of packed words per bit. Where the map equals a code is then a few word operations, 32 voxels
at a time, and how often is a population count. Compared with reducing boolean arrays this
moves 8 to 32 times fewer bytes.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int64, UInt32

from segjax._numerics import AnyArray, namespace


_PARTS = 8


def bucket(size: int, *, smallest: int, steps: int = 1) -> int:
    """The next size up of a geometric ladder, so that many sizes share few compilations.

    Args:
        size: what must fit.
        smallest: first rung, a power of two.
        steps: rungs per doubling, a power of two; of a rung, less than 1 / (1 + steps) is
            padding.

    Example:
        >>> [bucket(n, smallest=8, steps=2) for n in (1, 8, 9, 13, 17)]
        [8, 8, 12, 16, 24]
    """
    if size <= smallest:
        return smallest
    step = max(1, 2 ** (size - 1).bit_length() // 2 // steps)
    return -(-size // step) * step


def coarse_bucket(size: int, *, smallest: int) -> int:
    """As `bucket`, by powers of four: for programs that are dear to compile and cheap to run."""
    while smallest < size:
        smallest *= 4
    return smallest


def plane_count(codes: int) -> int:
    """How many bit planes hold the codes 0 ... `codes`."""
    return max(1, int(codes).bit_length())


def pack(flat: np.ndarray, planes: int, words: int) -> UInt32[np.ndarray, "plane word"]:
    """Split codes into bit planes and pack each, on the host.

    Args:
        flat: boolean or unsigned codes below 2**planes, of shape (voxel,).
        planes: how many bits to keep.
        words: length of the result; what `flat` does not fill is 0.
    """
    if planes == 1 and flat.dtype.itemsize == 1 and flat.size == 32 * words:
        return np.packbits(flat).view(np.uint32)[None]
    packed = np.zeros((planes, words * 4), np.uint8)
    for j in range(planes):
        bits = flat if planes == 1 else flat & flat.dtype.type(1 << j)  # packbits takes any 0/not 0
        if bits.dtype.itemsize > 1:
            bits = bits != 0
        row = np.packbits(bits)
        packed[j, : row.size] = row
    return packed.view(np.uint32)


def pack_masks(masks: np.ndarray) -> UInt32[np.ndarray, "case word"]:
    """Pack boolean masks of one shape, each into an even number of words, on the host."""
    cases, voxels = masks.shape[0], math.prod(masks.shape[1:])
    if voxels % 64 == 0:  # rows end at word borders: one call for all of them
        return np.packbits(masks.reshape(-1)).view(np.uint32).reshape(cases, -1)
    rows = np.packbits(masks.reshape(cases, -1), axis=-1)
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint32)


def pack_rows(mask: Bool[AnyArray, "*row voxel"]) -> UInt32[AnyArray, "*row word"]:
    """Pack a boolean mask along its last axis: bit i of a word is its voxel i."""
    if namespace(mask) is jnp:
        filled = jnp.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, -mask.shape[-1] % 32)])
        bits = filled.reshape(*mask.shape[:-1], -1, 32).astype(jnp.uint32)
        return (bits << jnp.arange(32, dtype=jnp.uint32)).sum(-1, dtype=jnp.uint32)
    octets = np.packbits(mask, axis=-1, bitorder="little")
    if missing := -octets.shape[-1] % 4:
        octets = np.concatenate([octets, np.zeros((*octets.shape[:-1], missing), np.uint8)], -1)
    return np.ascontiguousarray(octets).view("<u4").astype(np.uint32, copy=False)


def unpack_rows(words: UInt32[AnyArray, "*row word"], size: int) -> Bool[AnyArray, "*row voxel"]:
    """The mask of `size` voxels a row that `pack_rows` has packed."""
    if namespace(words) is jnp:
        bits = words[..., None] >> jnp.arange(32, dtype=jnp.uint32) & 1
        return bits.reshape(*words.shape[:-1], -1)[..., :size] != 0
    octets = np.ascontiguousarray(words.astype("<u4", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=size, bitorder="little").view(bool)


def count_bits(words: UInt32[AnyArray, "..."]) -> Int[AnyArray, ""]:
    """Number of set bits of all words: int64 where NumPy counts, else int32."""
    if namespace(words) is jnp:
        return popcount(words.reshape(-1))
    return np.bitwise_count(words).sum(dtype=np.int64)


def where_code(
    planes: UInt32[Array, "plane word"], code: Int[Array, ""] | int
) -> UInt32[Array, " word"]:
    """Packed mask of the voxels that hold a code; the code is data, not part of the program."""
    ones = jnp.uint32(0xFFFFFFFF)
    mask = jnp.full(planes.shape[1:], ones)
    for j in range(planes.shape[0]):
        mask &= planes[j] ^ jnp.where((code >> j) & 1, jnp.uint32(0), ones)
    return mask


def popcount(words: UInt32[Array, "*batch word"]) -> Int[Array, "*batch"]:
    """Number of set bits in each row; int32, so at most 2**26 - 1 words a row."""
    counts = jax.lax.population_count(words)
    if words.shape[-1] % _PARTS == 0:  # wide additions first: XLA's last-axis sums are narrow
        parts = counts.reshape(*counts.shape[:-1], _PARTS, -1)
        counts = sum((parts[..., i, :] for i in range(1, _PARTS)), parts[..., 0, :])
    return counts.astype(jnp.int32).sum(-1)


def count_codes_on_host(
    reference: UInt32[np.ndarray, "plane word"],
    prediction: UInt32[np.ndarray, "plane word"],
    codes: int,
) -> Int64[np.ndarray, "code 3"]:
    """How often both, the first and the second map hold each of the codes 1 ... `codes`."""
    masks = [_masks_on_host(planes, codes) for planes in (reference, prediction)]
    return np.array(
        [[popcount_on_host(x) for x in (r & p, r, p)] for r, p in zip(*masks, strict=True)],
        np.int64,
    ).reshape(codes, 3)


def _masks_on_host(planes: np.ndarray, codes: int) -> list[np.ndarray]:
    """Packed masks of the codes 1 ... `codes`: a tree whose branches share the upper planes."""
    if codes == len(planes) == 1:
        return [planes[0]]
    masks = [~planes[-1], planes[-1]]
    for j in range(len(planes) - 2, -1, -1):
        zero, one = ~planes[j], planes[j]
        masks = [half for mask in masks for half in (mask & zero, mask & one)]
        masks = masks[: (codes >> j) + 1]
    return masks[1 : codes + 1]


def popcount_on_host(words: np.ndarray) -> Any:
    """Number of set bits in each row, of an even number of words in host memory."""
    counts = np.bitwise_count(words.view(np.uint64))
    narrow = counts.shape[-1] < 2**26  # the sums fit, and are taken in half the time
    return counts.sum(-1, dtype=np.uint32 if narrow else np.int64).astype(np.int64)


def count(mask: Array) -> Int[Array, ""]:
    """Number of true elements of a boolean array, exactly, where the array is.

    Four booleans are read as one word and words are added as vectors of four bytes before
    any byte can overflow: XLA turns that into wide integer additions on every platform,
    where its plain sum over booleans is 10 times slower on a CPU.
    """
    slices, rounds = 16, 8  # 16 x 8 = 128 additions of 0 or 1 fit in a byte
    flat = mask.reshape(-1)
    if flat.size < 64 * slices * rounds:
        return flat.sum(dtype=jnp.int32)
    unit = 4 * slices * rounds
    flat = jnp.pad(flat, (0, -flat.size % unit)).astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(flat.reshape(-1, 4), jnp.uint32)
    for parts in (slices, rounds):
        words = words.reshape(parts, -1)
        words = sum((words[i] for i in range(1, parts)), words[0])
    octets = (words >> shift & 0xFF for shift in (0, 8, 16, 24))
    return sum(o.astype(jnp.int32) for o in octets).sum()  # type: ignore[union-attr]
