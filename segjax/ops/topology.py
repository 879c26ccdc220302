"""Betti numbers and the Euler characteristic of masks: exact integers, for NumPy as for JAX.

A mask is the union of its closed voxels. So voxels that share no more than a corner are
connected (8 neighbours in the plane, 26 in space), the background is connected through faces
alone (4 and 6), and beyond the image is background.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace
from segjax.ops import morphology, packing


def betti_numbers(mask: Bool[AnyArray, "*space"]) -> Int[AnyArray, " betti"]:
    """Betti numbers of a mask: how many components, tunnels and cavities it has.

    On a line the number of components; in the plane components and holes; in space
    components, tunnels (a torus has one) and cavities (a hollow ball has one).

    Args:
        mask: one, two or three axes.

    Returns:
        As many integers as axes: int64 of NumPy arrays, int32 of JAX arrays.

    Raises:
        InputError: if there are more axes, or none.

    Example:
        >>> import numpy as np
        >>> ring = np.ones((3, 3), bool)
        >>> ring[1, 1] = False
        >>> betti_numbers(ring).tolist()
        [1, 1]

    References:
        Kaczynski, T., Mischaikow, K. & Mrozek, M. (2004). Computational Homology. Springer.
        doi:10.1007/b97315
    """
    dims = mask.ndim
    if dims not in (1, 2, 3):
        raise InputError(f"topology is known of masks of 1 to 3 axes, got shape {mask.shape}")
    xp = namespace(mask)
    numbers = [_count_components(mask, connectivity=dims)]
    if dims == 3:
        beyond = xp.pad(~mask, 1, constant_values=True)
        numbers.append(_count_components(beyond, connectivity=1) - 1)
    if dims > 1:
        numbers.insert(1, sum(numbers) - euler_characteristic(mask))
    return xp.stack(numbers)


def euler_characteristic(mask: Bool[AnyArray, "*space"]) -> Int[AnyArray, ""]:
    """Euler characteristic of a mask: its corners less its edges plus its faces less its voxels.

    (In the plane, corners less edges plus pixels.) What several voxels share counts once. Also
    the alternating sum of the Betti numbers.

    Args:
        mask: any number of axes.
    """
    xp = namespace(mask)
    words = packing.pack_rows(xp.pad(mask, [(0, 1)] * mask.ndim))
    return _alternating(words, mask.ndim)


def _alternating(words: Any, dims: int) -> Any:
    """Number of cells of even less those of odd dimension, along the last `dims` axes.

    Along an axis, a closed voxel is its two ends (of a dimension less) and what is between.
    """
    if not dims:
        return packing.count_bits(words)
    axis = -dims
    ends = words | morphology.shifted(words, axis, 1)
    return _alternating(ends, dims - 1) - _alternating(words, dims - 1)


def _count_components(mask: Bool[AnyArray, "*space"], connectivity: int) -> Int[AnyArray, ""]:
    """Number of components; neighbours differ along at most `connectivity` axes."""
    if namespace(mask) is np:
        from scipy import ndimage  # 0.2 s that few calls need

        if not mask.size:
            return np.int64(0)
        neighbours = ndimage.generate_binary_structure(mask.ndim, connectivity)
        found: Any = ndimage.label(mask, neighbours)
        return np.int64(found[1])
    return _count_roots(mask, connectivity)


@partial(jax.jit, static_argnames="connectivity")
def _count_roots(mask: Bool[Array, "*space"], connectivity: int) -> Int[Array, ""]:
    """Every voxel points at the first one known of its component, until none learns more."""
    nowhere = np.int32(mask.size)
    own = jnp.arange(mask.size, dtype=jnp.int32)

    def first_around(x: Any) -> Any:
        best: Any = x
        for axis in range(x.ndim):
            edge = [(int(a == axis),) * 2 for a in range(x.ndim)]
            padded = jnp.pad(best if connectivity > 1 else x, edge, constant_values=nowhere)
            for i in (0, 2):
                best = jnp.minimum(best, lax.slice_in_dim(padded, i, i + x.shape[axis], axis=axis))
        return jnp.where(mask, best, nowhere)

    def learn(state: Any) -> Any:
        known, _ = state
        found = first_around(known.reshape(mask.shape)).reshape(-1)
        further = jnp.append(found, nowhere).at[found].get(mode="promise_in_bounds")
        return further, jnp.any(further != known)

    start = jnp.where(mask.reshape(-1), own, nowhere)
    known, _ = lax.while_loop(lambda state: state[1], learn, (start, jnp.bool_(True)))
    return jnp.sum((known == own) & mask.reshape(-1), dtype=jnp.int32)
