"""Distance of every voxel of an image to a mask: exact, dense, one algorithm on every device.

Along the last axis two scans count the steps to the nearest voxel of the mask. Each further
axis takes the least, over all places on its line, of the squared distance found so far plus
the square of the offset (Saito and Toriwaki's transform, lines by brute force). The work is
the same for every mask, so it runs in lock step under `vmap` and on accelerators. On a CPU
it needs less time than `scipy.ndimage` up to some 2048 x 2048 (CPU time in ms: 512 x 512 7
and 17, 128^3 45 and 420, 2048 x 2048 513 and 440), hence no callback to the host.

References:
    Saito, T. & Toriwaki, J. (1994). New algorithms for Euclidean distance transformation of
    an n-dimensional digitized picture with applications. Pattern Recognition 27(11),
    1551-1565. doi:10.1016/0031-3203(94)90133-3
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from segjax._numerics import AnyArray


_UNROLL = 8  # places per step of a loop; 16 and more spill registers on CPUs


def distance_transform(
    mask: Bool[Array, "*space"], spacing: tuple[float, ...] | None = None
) -> Float[Array, "*space"]:
    """Distance of every voxel to the nearest voxel that is True in `mask`.

    So it is 0 inside the mask and grows outside of it, in units of `spacing`; infinite
    everywhere if the mask is empty. SciPy's `distance_transform_edt(x)` measures the distance
    to the nearest zero: it is `distance_transform(~x)`.

    With one spacing for all axes squared distances are exact integers until the square root;
    otherwise (and where these integers would not fit 32 bits, for axes above some 18,000
    voxels) they are within 4e-7 of their value, and distances within 4e-7, at any size.

    The gradient is zero. The time is that of looking, for each voxel, at all places of its
    lines along all axes but the last: planes above 2048 x 2048 are faster in SciPy. Some 20
    bytes are held for each voxel at the most, besides the mask.

    Args:
        mask: one, two or three axes; use `jax.vmap` for more masks of a shape.
        spacing: size of a voxel along each axis, fixed while tracing; None for 1.

    Raises:
        ValueError: if there are more than three axes, or `spacing` is not a positive number
            for each, or `mask` is not boolean.

    Example:
        >>> import jax.numpy as jnp
        >>> mask = jnp.zeros((2, 3), bool).at[0, 0].set(True)
        >>> print(distance_transform(mask, (4.5, 3.0)))  # 7.5^2 = 4.5^2 + 6^2
        [[0.       3.       6.      ]
         [4.5      5.408327 7.5     ]]
    """
    return _distances(mask, _checked(mask, spacing))


def squared_transform(
    mask: Bool[AnyArray, "*space"], spacing: tuple[float, ...] | None = None
) -> Num[Array, "*space"]:
    """Squares of `distance_transform`, of a mask that is not empty.

    Integers, in units of the squared spacing, where that is the same along all axes; else
    float32, in its unit squared.
    """
    sizes = _checked(mask, spacing)
    if len(set(sizes)) == 1:
        return _squares(mask, (1.0,) * mask.ndim)
    return _squares(mask, sizes)


@partial(jax.jit, static_argnames="spacing")
def _squares(mask: Bool[AnyArray, "*space"], spacing: tuple[float, ...]) -> Num[Array, "*space"]:
    return _squared(jnp.asarray(mask), spacing)[0]


def signed_distance(
    mask: Bool[Array, "*space"], spacing: tuple[float, ...] | None = None
) -> Float[Array, "*space"]:
    """Signed distance to the other side: positive outside of the mask, negative inside.

    distance_transform(mask) - distance_transform(~mask): of a voxel outside the distance to
    the nearest voxel inside, of a voxel inside minus that to the nearest voxel outside. It is
    the map of the boundary loss. No voxel is at 0: the nearest are one step from the other
    side, at plus and minus `spacing`; others subtract half a voxel, or measure to the surface.
    Beyond the image is neither inside nor outside. An empty mask gives infinity everywhere, a
    full one minus infinity.

    Args:
        mask: one, two or three axes.
        spacing: size of a voxel along each axis, fixed while tracing; None for 1.

    Raises:
        ValueError: as `distance_transform` does.

    Example:
        >>> import jax.numpy as jnp
        >>> signed_distance(jnp.array([False, False, True, True])).tolist()
        [2.0, 1.0, -1.0, -2.0]

    References:
        Kervadec, H. et al. (2021). Boundary loss for highly unbalanced segmentation. Medical
        Image Analysis 67, 101851. doi:10.1016/j.media.2020.101851
    """
    sizes = _checked(mask, spacing)
    outside, inside = jax.vmap(lambda side: _distances(side, sizes))(jnp.stack([mask, ~mask]))
    return outside - inside


def _checked(mask: Any, spacing: tuple[float, ...] | None) -> tuple[float, ...]:
    shape = mask.shape
    if mask.dtype != bool:  # ~ of a 0/1 integer is not its complement
        raise ValueError(f"mask must be boolean, got {mask.dtype}; compare it with what is meant")
    if not 1 <= len(shape) <= 3:
        raise ValueError(
            f"a mask has 1 to 3 axes, got shape {shape}; use jax.vmap for a batch of masks"
        )
    if spacing is None:
        return (1.0,) * len(shape)
    sizes = tuple(float(size) for size in spacing)
    if len(sizes) != len(shape) or not all(0 < size < math.inf for size in sizes):
        raise ValueError(
            f"spacing must be a positive number for each axis of shape {shape}, got {spacing}"
        )
    return sizes


@partial(jax.jit, static_argnames="spacing")
def _distances(mask: Bool[Array, "*space"], spacing: tuple[float, ...]) -> Float[Array, "*space"]:
    if mask.size == 0:
        return jnp.zeros(mask.shape, jnp.float32)
    unit = min(spacing)
    squared, nowhere = _squared(mask, tuple(size / unit for size in spacing))
    distance = jnp.sqrt(squared.astype(jnp.float32)) * np.float32(unit)
    return lax.stop_gradient(jnp.where(squared >= nowhere, jnp.inf, distance))


def _squared(
    mask: Bool[Array, "*space"], spacing: tuple[float, ...]
) -> tuple[Num[Array, "*space"], Any]:
    """Squared distances, and the number that stands for none.

    Returns:
        Integers if the spacing is 1 along all axes and they fit, else float32.
    """
    farthest = sum(n * n for n in mask.shape)
    whole = set(spacing) == {1.0} and 2 * farthest <= np.iinfo(np.int32).max
    nowhere = np.int32(farthest) if whole else np.float32(np.inf)

    def square(steps: Int[Array, "..."], axis: int) -> Num[Array, "..."]:
        if whole:
            return steps * steps
        # Steps are exact, and their squares up to 4096; the square of the spacing is rounded
        # once, from float64. All terms are positive: relative errors do not grow in the sum.
        steps_ = steps.astype(jnp.float32)
        return steps_ * steps_ * np.float32(spacing[axis] ** 2)

    last = mask.ndim - 1
    steps = _steps_along_last(mask)
    squared = jnp.where(steps >= mask.shape[last], nowhere, square(steps, last))
    for axis in reversed(range(last)):
        squared = _nearest_along(squared, axis, partial(square, axis=axis), nowhere)
    return squared, nowhere


def _steps_along_last(mask: Bool[Array, "*row place"]) -> Int[Array, "*row place"]:
    """Steps along the row to its nearest True; as many as it has places, or more, if none."""
    places = mask.shape[-1]

    def ahead(before: Any, here: Any) -> Any:
        steps = jnp.where(here, 0, before + 1)
        return steps, steps

    def back(after: Any, here: Any) -> Any:
        steps = jnp.minimum(here, after + 1)
        return steps, steps

    none = jnp.full(mask.shape[:-1], places, jnp.int32)
    columns = jnp.moveaxis(mask, -1, 0)
    _, steps = lax.scan(ahead, none, columns, unroll=_UNROLL)
    _, steps = lax.scan(back, none, steps, reverse=True, unroll=_UNROLL)
    return jnp.moveaxis(steps, 0, -1)


def _nearest_along(
    squared: Num[Array, "*space"], axis: int, square: Any, nowhere: Any
) -> Num[Array, "*space"]:
    """Min over j of squared[j] + square(i - j) along an axis, for all its places i."""
    places = squared.shape[axis]
    together = min(_UNROLL, places)
    place = lax.broadcasted_iota(
        jnp.int32, [places if a == axis else 1 for a in range(squared.ndim)], axis
    )

    def body(block: Any, best: Any) -> Any:
        # The last block overlaps the one before rather than run over: a minimum may repeat.
        start = jnp.minimum(block * together, places - together).astype(jnp.int32)
        # One slice for each place: XLA:CPU does not vectorise one slice of them all.
        for j in (start + k for k in range(together)):
            there = lax.dynamic_slice_in_dim(squared, j, 1, axis) + square(place - j)
            # Not jnp.minimum, which spends most of its time on NaN.
            best = jnp.where(there < best, there, best)
        return best

    blocks = -(-places // together)
    return lax.fori_loop(0, blocks, body, jnp.full_like(squared, nowhere))
