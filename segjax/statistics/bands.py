"""How deep inside their masks voxels lie: bands of any width along two boundaries."""

import math
import operator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Num

from segjax._numerics import AnyArray, namespace
from segjax.case import Case, check_same_grid
from segjax.ops import morphology, packing, transform
from segjax.ops.surfaces import Pair
from segjax.statistics.surface import masks_of


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BoundaryBands:
    """Voxels of two masks by depth: column k - 1 counts those of depth k.

    The depth of a voxel is its Chebyshev distance to the nearest voxel outside its mask; the
    outside of the image is outside. Voxels with a neighbour outside, be it at a corner, have
    depth 1, and the band of width d along the boundary is what is no deeper than d.

    Attributes:
        reference: voxels of the reference.
        prediction: voxels of the prediction.
        both: voxels in both masks, by the larger of their depths: up to column d, those in
            both bands of width d.
        diagonal: of the whole image, in voxels.
    """

    reference: Num[AnyArray, "*batch depth"]
    prediction: Num[AnyArray, "*batch depth"]
    both: Num[AnyArray, "*batch depth"]
    diagonal: float = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SurfaceBands(BoundaryBands):
    """As `BoundaryBands`, by the Euclidean distance to the surface of the voxel's own mask.

    Voxels on the surface, those with a face neighbour outside, have depth 1; others one more
    than the whole steps from the nearest of them: below d is no deeper than d.
    """


def boundary_bands(
    *,
    reference: Bool[Array, "..."],
    prediction: Bool[Array, "..."],
    valid: Bool[Array, "..."] | None = None,
    euclidean: bool = False,
) -> BoundaryBands:
    """Count the voxels of two masks of one case by depth; pure, for `jit` and `vmap`.

    Args:
        reference: mask taken as the standard.
        prediction: mask to be judged, of the same shape.
        valid: voxels that count; all by default. Depths are those in the whole masks.
        euclidean: take depths from the surface, for `SurfaceBands`; up to three axes.

    Returns:
        int32 counts of all depths that masks of this shape can have.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> square = jnp.zeros((7, 7), bool).at[1:6, 1:6].set(True)
        >>> b = boundary_bands(reference=square, prediction=jnp.roll(square, 1, axis=0))
        >>> b.reference.tolist(), b.both.tolist()
        ([16, 8, 1, 0], [8, 10, 2, 0])
    """
    check_same_grid(reference, prediction)
    bins = _most_depths(reference.shape)

    def count(depth: Int[Array, "..."]) -> Int[Array, " depth"]:
        return jnp.zeros(bins + 1, jnp.int32).at[depth.reshape(-1)].add(1)[1:]

    depths = _steps_from_surface if euclidean else _steps_to_outside
    r, p = depths(jnp.stack([reference, prediction]))
    kind = SurfaceBands if euclidean else BoundaryBands
    return kind(*_by_depth(r, p, valid, count), _diagonal(reference.shape))


def _steps_to_outside(masks: Bool[Array, "mask *space"]) -> Int[Array, "mask *space"]:
    """In how many erosions by 3 x 3 voxels (or 3, or 3 x 3 x 3) each voxel is seen."""

    def erode(state: Any) -> Any:
        inside, depth = state
        return reduce(_between_others, range(1, masks.ndim), inside), depth + inside

    start = masks, jnp.zeros(masks.shape, jnp.int32)
    # A count, as XLA's `any` over booleans takes as long as the erosion on a CPU.
    return jax.lax.while_loop(lambda state: packing.count(state[0]) != 0, erode, start)[1]


def _steps_from_surface(masks: Bool[Array, "mask *space"]) -> Int[Array, "mask *space"]:
    """One more than the whole steps to the surface of the own mask; 0 outside."""
    inner = reduce(operator.and_, (_between_others(masks, a) for a in range(1, masks.ndim)))
    steps = jax.vmap(transform.distance_transform)(masks & ~inner)
    return jnp.where(masks, 1 + steps, 0).astype(jnp.int32)


def _between_others(masks: Bool[Array, "mask *space"], axis: int) -> Bool[Array, "mask *space"]:
    """Voxels of masks whose neighbours along an axis are in the mask too."""
    edge = [(0, 0)] * axis + [(1, 1)] + [(0, 0)] * (masks.ndim - axis - 1)
    x, size = jnp.pad(masks, edge), masks.shape[axis]
    before, here, after = (jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(3))
    return before & here & after


def _most_depths(shape: tuple[int, ...]) -> int:
    """Nothing lies deeper than half the shortest side."""
    return (min(shape) + 1) // 2


def _diagonal(shape: tuple[int, ...]) -> float:
    return math.sqrt(sum(n * n for n in shape))


def _by_depth(r: Any, p: Any, kept: Any, count: Any) -> tuple[Any, Any, Any]:
    """Counts of the reference's depths, the prediction's, and of the larger where both are."""
    xp = namespace(r)
    both = xp.where((r > 0) & (p > 0), xp.maximum(r, p), 0)
    r, p, both = (count(x if kept is None else x * kept) for x in (r, p, both))
    return r, p, both


# Below: from the host. Masks are cropped to their joint bounding box there.


def measure_bands(case: Case) -> BoundaryBands:
    """Voxels by depth of every label of a case in host memory; see `BoundaryBands`.

    Depths are those in the whole masks; ignored voxels are then not counted, which invents
    no boundaries.

    Returns:
        int64 counts with a leading label axis.
    """
    return _measure(case, BoundaryBands, _steps_to_outside_on_host)


def measure_surface_bands(case: Case) -> SurfaceBands:
    """Depths from the surface of every label of a case in host memory; see `measure_bands`."""
    return _measure(case, SurfaceBands, _steps_from_surface_on_host)


def _measure(case: Case, kind: Any, depths: Any) -> Any:
    shape = case.reference.shape
    counts = [_count_pair(pair, depths, _most_depths(shape)) for pair in masks_of(case)]
    r, p, both = np.stack(counts, axis=1)
    return kind(r, p, both, _diagonal(shape))


def _count_pair(pair: Pair, depths: Any, bins: int) -> np.ndarray:
    box = morphology.bounding_box(pair.first | pair.second)
    if box is None:
        return np.zeros((3, bins), np.int64)
    count = lambda depth: np.bincount(depth.reshape(-1), minlength=bins + 1)[1:]
    kept = None if pair.kept is None else pair.kept[box]
    return np.stack(_by_depth(depths(pair.first[box]), depths(pair.second[box]), kept, count))


def _steps_to_outside_on_host(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage  # 0.2 s that few calls need

    padded = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")
    return np.asarray(padded)[(slice(1, -1),) * mask.ndim]


def _steps_from_surface_on_host(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    surface = np.logical_and(mask, np.logical_not(ndimage.binary_erosion(mask)))
    steps = np.asarray(ndimage.distance_transform_edt(np.logical_not(surface)))
    return np.where(mask, 1 + steps, 0).astype(np.intp)
