"""Distances between the surfaces of two masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from segjax._errors import InputError
from segjax._numerics import AnyArray
from segjax.case import Case, check_spacing
from segjax.ops import distance, surfels


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Surface:
    """Elements of one surface, each measured to the other surface.

    Attributes:
        distance: to the nearest element of the other surface, in the unit of spacing;
            infinite if there is none.
        weight: of the element: 1 for voxels, its area for surfels. Weight 0 is padding and
            has no say in any average, percentile or share.
    """

    distance: Float[AnyArray, "*batch element"]
    weight: Float[AnyArray, "*batch element"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SurfaceDistances:
    """Both surfaces of a pair, each measured to the other: all that boundary metrics need."""

    reference: Surface
    prediction: Surface


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointDistances(SurfaceDistances):
    """As `SurfaceDistances`, of all voxels of the masks in place of those on the surface."""


def surface_distances(
    *,
    reference: Bool[Array, "*space"],
    prediction: Bool[Array, "*space"],
    spacing: Sequence[float | int] | float | int | None = None,
    capacity: int | None = None,
    solid: bool = False,
) -> SurfaceDistances:
    """Measure the surface voxels of two masks to each other; pure, for `jit` and `vmap`.

    A voxel of a mask is on its surface if a face neighbour, or the outside of the image, is
    not in the mask. Distances are exact and Euclidean, between voxel centres.

    Args:
        reference: mask taken as the standard, 2-D or 3-D, at most 16,383 voxels along the
            last axis.
        prediction: mask to be judged, of the same shape.
        spacing: voxel size along each array axis, fixed while tracing; default 1.
        capacity: room for surface voxels, fixed while tracing; by default as many as there
            are voxels. Should a surface have more, all distances are NaN.
        solid: measure all voxels of the masks in place of those on the surface.

    Returns:
        Distances in float32, padded to `capacity` with weight 0.

    Raises:
        ValueError: if the shapes differ, or the masks are not 2-D or 3-D.
    """
    if reference.shape != prediction.shape or reference.ndim not in (2, 3):
        raise InputError(
            "surfaces need two masks of one shape, 2-D or 3-D, got "
            f"{reference.shape} and {prediction.shape}"
        )
    lengths = check_spacing(spacing, reference.ndim)
    capacity = reference.size if capacity is None else capacity
    grid, words = zip(*(_pack(x) for x in (reference, prediction)), strict=True)
    rows, step, unit = distance.rows_within(grid[0], lengths)
    d = distance.between_surfaces(
        *words, grid[0], rows, np.float32(step), np.float32(np.inf), capacity=capacity, solid=solid
    )
    overflow = (d.counts > capacity).any()

    def one(squared: Any, count: Any, other: Any) -> Surface:
        there = jnp.arange(capacity) < count
        # Both branches of `where` are differentiated: no root of 0, none of padding.
        far = unit * jnp.sqrt(jnp.where(there & (squared > 0), squared, 1).astype(jnp.float32))
        far = jnp.where(there & (squared > 0), far, 0)
        far = jnp.where(there & (other == 0), jnp.inf, far)
        return Surface(jnp.where(overflow, jnp.nan, far), there.astype(jnp.float32))

    kind = PointDistances if solid else SurfaceDistances
    return kind(
        reference=one(d.first, d.counts[0], d.counts[1]),
        prediction=one(d.second, d.counts[1], d.counts[0]),
    )


def _pack(mask: Bool[Array, "*space"]) -> tuple[distance.Grid, Any]:
    x = mask if mask.ndim == 3 else mask[None]
    x = jnp.pad(x, ((0, 0), (0, 0), (0, -x.shape[-1] % 32)))
    bits = x.reshape(-1, 32).astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)
    words = bits.sum(-1, dtype=jnp.uint32)
    z, y, w = x.shape[0], x.shape[1], x.shape[2] // 32
    return distance.Grid(z, y, w), words


# Below: from the host. Masks are cropped to their joint bounding box and packed there.


def measure_points(case: Case) -> PointDistances:
    """Distances of all voxels of every label of a case in host memory; see `measure_surfaces`."""
    d = measure_surfaces(replace(case, surface="solid"))
    return PointDistances(d.reference, d.prediction)


def measure_surfaces(case: Case) -> SurfaceDistances:
    """Surface distances of every label of a case in host memory.

    Surfaces are those of the whole masks; elements in ignored voxels are then dropped, which
    invents no boundaries. Exact: isotropic distances are roots of integers in float64,
    others are accurate to 1e-6.

    Returns:
        float64 distances with a leading label axis, padded with weight 0.

    Raises:
        InputError: if the image is not 2-D or 3-D, or too long.
    """
    if case.reference.ndim not in (2, 3):
        raise InputError(
            f"boundary metrics need a 2-D or 3-D image, got {case.reference.ndim} axes; "
            "drop axes of size 1, or score planes one by one"
        )
    pairs = [_measure(case, label) for label in case.labels]
    reference, prediction = zip(*pairs, strict=True)
    return SurfaceDistances(_stack(reference), _stack(prediction))


def _masks(case: Case, label: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    match = (lambda x: x != 0) if case.foreground else (lambda x: x == label)
    kept = case.valid
    if case.ignore is not None:
        there = case.reference != case.ignore
        kept = there if kept is None else kept & there
    return match(case.reference), match(case.prediction), kept


def _measure(
    case: Case, label: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(distances, weights) of the elements of each surface of a label."""
    r, p, kept = _masks(case, label)
    if case.surface == "surfel":
        if kept is not None:
            raise InputError(
                "surfels lie between voxels and cannot be ignored; use surface=voxel with ignored "
                "voxels"
            )
        return surfels.surfel_distances(r, p, case.spacing)
    box = distance.bounding_box(r | p)
    if box is None:
        nothing = np.zeros(0)
        return (nothing, nothing), (nothing, nothing)
    r, p = r[box], p[box]
    solid = case.surface == "solid"
    sides = voxel_distances(r, p, case.spacing, solid=solid)
    weights = [np.ones(d.size) for d in sides]
    if kept is not None:
        elements = (x if solid else surface_voxels(x) for x in (r, p))
        weights = [kept[box][x].astype(float) for x in elements]
    return (sides[0], weights[0]), (sides[1], weights[1])


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face neighbour outside it; beyond the image is outside."""
    from scipy import ndimage  # 0.2 s that few calls need

    return mask & ~ndimage.binary_erosion(mask)


def voxel_distances(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...], *, solid: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the surface voxels of two masks to each other, in raster order, float64.

    Args:
        first: mask, 2-D or 3-D; cropped, or time is lost.
        second: the other, of the same shape.
        spacing: voxel size along each axis.
        solid: measure all voxels in place of those on the surface.

    Raises:
        InputError: if the last axis is too long.
    """
    ready = distance.prepare(first, second, spacing)
    d = distance.with_room(
        lambda capacity: distance.between_surfaces(
            *ready.words,
            ready.grid,
            ready.rows,
            ready.step,
            ready.budget,
            capacity=capacity,
            solid=solid,
        )
    )
    counts = np.asarray(d.counts)
    if counts.min() == 0:
        return np.full(counts[0], np.inf), np.full(counts[1], np.inf)
    if np.any(np.asarray(d.unsettled)):
        return _by_transform(first, second, spacing, solid=solid)
    sides = (np.asarray(x)[:n] for x, n in ((d.first, counts[0]), (d.second, counts[1])))
    there, back = (ready.unit * np.sqrt(x.astype(float)) for x in sides)
    return there, back


def _by_transform(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...], *, solid: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The same by dense transforms, for many points far from few sites (on a CPU)."""
    from scipy import ndimage

    surfaces = (first, second) if solid else (surface_voxels(first), surface_voxels(second))
    transform = lambda s: np.asarray(ndimage.distance_transform_edt(~s, sampling=spacing))
    return transform(surfaces[1])[surfaces[0]], transform(surfaces[0])[surfaces[1]]


def _stack(sides: Sequence[tuple[np.ndarray, np.ndarray]]) -> Surface:
    """Pad the elements of several labels to one length."""
    size = max(1, *(d.size for d, _ in sides)) if sides else 1
    pad = lambda x: np.pad(x, (0, size - x.size))
    return Surface(*(np.stack([pad(x) for x in part]) for part in zip(*sides, strict=True)))
