"""Distances between the surfaces of two masks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from segjax._errors import InputError
from segjax._numerics import AnyArray, root
from segjax.case import Case, check_spacing, kept_voxels
from segjax.ops import distance, mesh, surfaces, surfels


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
class SurfaceTally(Surface):
    """Elements that weigh 1, counted by distance: each distance once, its weight their number."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SurfaceDistances:
    """Both surfaces of a pair, each measured to the other: all that boundary metrics need.

    A surface is, by `surface=`: "voxel", the voxels of a mask with a face neighbour outside it,
    the outside of the image being outside, each weighing 1 (MONAI, medpy, Metrics Reloaded);
    "surfel", the points between voxels inside and outside, weighing the area there (DeepMind);
    "mesh", surfels moved to where the surface is likely to lie (nearest to the truth).
    Distances are exact and Euclidean between elements (for meshes, to the disc with the nearest
    centre), in the unit of spacing.
    """

    reference: Surface
    prediction: Surface


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointDistances(SurfaceDistances):
    """As `SurfaceDistances`, of all voxels of the masks in place of those on the surface.

    No surface is drawn: the voxels inside count as well, and `surface=` changes nothing.
    """


def surface_distances(
    *,
    reference: Bool[Array, "*space"],
    prediction: Bool[Array, "*space"],
    spacing: Sequence[float | int] | float | int | None = None,
    surface: str = "voxel",
    valid: Bool[Array, "*space"] | None = None,
    capacity: int | None = None,
) -> SurfaceDistances:
    """Measure the surfaces of two masks to each other; pure, for `jit` and `vmap`.

    Distances are exact and Euclidean, but for meshes, where they are to the disc with the
    nearest centre; that is looked for among all, so that volumes take long. Each surface
    element takes some 40 bytes, each voxel less than 10 beside the masks.

    Args:
        reference: mask taken as the standard, 2-D or 3-D, at most 16,384 voxels along the
            last axis.
        prediction: mask to be judged, of the same shape.
        spacing: voxel size along each array axis, fixed while tracing; default 1.
        surface: "voxel" for the voxels of a mask with a face neighbour, or the outside of
            the image, not in the mask, weighing 1; "surfel" for the points between voxels of
            both kinds, weighing by the area of the surface there; "mesh" for surfels moved
            to where the surface is likely to lie; "solid" for all voxels.
        valid: mask of the voxels that count; surfaces are those of the whole masks, and
            elements beyond it weigh 0.
        capacity: room for elements, fixed while tracing; by default as many as there are
            voxels. Should a surface have more, all distances are NaN.

    Returns:
        Distances in float32, padded to `capacity` with weight 0.

    Raises:
        InputError: if the shapes differ, or the masks are not 2-D or 3-D.
    """
    if reference.shape != prediction.shape or reference.ndim not in (2, 3):
        raise InputError(
            "surfaces need two masks of one shape, 2-D or 3-D, got "
            f"{reference.shape} and {prediction.shape}"
        )
    dims, lengths = reference.ndim, check_spacing(spacing, reference.ndim)
    room = int(surface in surfels.BETWEEN)
    words = [_pack(x, room) for x in (reference, prediction)]
    around = [surfels.neighbours(x, surface, dims) for x in words]
    elements = [surfels.elements(a, surface, dims) for a in around]
    most = words[0].size * 32 if capacity is None else capacity
    points, counts = zip(*(distance.points_of(x, most) for x in elements), strict=True)
    weights = [surfels.weights(a, p, surface, lengths) for a, p in zip(around, points, strict=True)]
    grid = distance.Grid(*words[0].shape)
    if surface == "mesh":
        masks = (reference, prediction)
        far = _between_meshes(masks, points, counts, weights, grid, lengths)
    else:
        far = _between_bits(elements, points, counts, grid, lengths)
    overflow = jnp.stack(counts).max() > most

    def one(i: int) -> Surface:
        there = jnp.arange(most) < counts[i]
        measured = jnp.where(counts[1 - i] == 0, jnp.inf, far[i])
        measured = jnp.where(overflow, jnp.nan, jnp.where(there, measured, 0))
        weight = jnp.where(there, weights[i], 0).astype(jnp.float32)
        if valid is not None:
            kept = surfels.neighbours(words[i] & _pack(valid, room), surface, dims)
            weight *= surfels.codes_at(kept, points[i]) > 0
        return Surface(measured, weight)

    kind = PointDistances if surface == "solid" else SurfaceDistances
    return kind(reference=one(0), prediction=one(1))


def _pack(mask: Bool[Array, "*space"], room: int) -> Any:
    """Words (planes, rows, words) of a mask, with `room` more voxels behind along its axes."""
    behind = [(0, room)] * (mask.ndim - 1) + [(0, -(mask.shape[-1] + room) % 32 + room)]
    x = jnp.pad(mask, behind)
    x = x if x.ndim == 3 else x[None]
    bits = x.reshape(*x.shape[:2], -1, 32).astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)
    return bits.sum(-1, dtype=jnp.uint32)


def _between_bits(
    elements: Sequence[Any], points: Sequence[Any], counts: Sequence[Any], grid: Any, spacing: Any
) -> Any:
    """Distances of both sets of points to each other's elements."""
    scale = distance.scale_of(spacing)
    offsets = (2 * grid.z - 1) * (2 * grid.y - 1)
    most = -(-offsets // distance.UNROLL) * distance.UNROLL
    rows = distance.rows_by_distance(grid.z, grid.y, scale.across, most)
    tables = [distance.make_table(words) for words in reversed(elements)]
    far = jnp.full(points[0].row.shape, rows.squared[-1])
    # One after the other, in a loop, so that the search is compiled once.
    stack = lambda *parts: jnp.stack(parts)
    number = jnp.stack([jnp.where(counts[1 - i] > 0, counts[i], 0) for i in (0, 1)])
    both = jax.tree.map(stack, *tables), jax.tree.map(stack, *points), number
    search = lambda side: distance.search(
        *side, far, grid, rows, np.float32(scale.along), np.int32(0), np.float32(np.inf)
    )
    return scale.unit * root(lax.map(search, both).squared.astype(jnp.float32))


def _between_meshes(
    masks: Sequence[Any],
    points: Sequence[Any],
    counts: Sequence[Any],
    sizes: Sequence[Any],
    grid: Any,
    spacing: tuple[float, ...],
) -> Any:
    """Distances between surfaces moved between voxels."""
    discs = []
    for mask, p, size in zip(masks, points, sizes, strict=True):
        places = distance.places_of(p, grid)[-mask.ndim :]
        # Of padding, places are anything: kept inside, they are measured in vain.
        inside = tuple(jnp.clip(x, 0, n) for x, n in zip(places, mask.shape, strict=True))
        discs.append(mesh.discs(mesh.contrast(mask, spacing), inside, size, spacing))
    room = [jnp.minimum(n, discs[0].radius.size) for n in counts]
    return [mesh.nearest_among(discs[i], room[i], discs[1 - i], room[1 - i]) for i in (0, 1)]


# Below: from the host. Masks are cropped to their joint bounding box and packed there.

_MOST_BYTES = 2**34
_MANY = 2**20  # so great a label would make a list of boxes that is mostly empty


def measure_points(case: Case) -> PointDistances:
    """Distances of all voxels of every label of a case in host memory; see `measure_surfaces`."""
    return jax.tree.map(lambda x: x[0], measure_many_points([case]))


def measure_surfaces(case: Case) -> SurfaceDistances:
    """Surface distances of every label of a case in host memory.

    Surfaces are those of the whole masks; elements in ignored voxels weigh nothing, which
    invents no boundaries. Exact: isotropic distances are roots of integers in float64,
    others are accurate to 1e-6.

    Returns:
        float64 distances with a leading label axis, padded with weight 0.

    Raises:
        InputError: if the image is not 2-D or 3-D, or too long.
    """
    return jax.tree.map(lambda x: x[0], measure_many_surfaces([case]))


def measure_many_points(cases: Sequence[Case]) -> PointDistances:
    """As `measure_many_surfaces`, of all voxels."""
    d = measure_many_surfaces([replace(case, surface="solid") for case in cases])
    return PointDistances(d.reference, d.prediction)


def measure_many_surfaces(cases: Sequence[Case]) -> SurfaceDistances:
    """Surface distances of cases with the same spacing and labels; see `measure_surfaces`.

    Returns:
        float64 distances with leading case and label axes, padded with weight 0.
    """
    first = cases[0]
    check_axes(first.reference)
    pairs = [pair for case in cases for pair in masks_of(case)]
    measured = surfaces.measure(pairs, first.spacing, first.surface)
    shape = (len(cases), len(first.labels))
    reference, prediction = zip(*measured, strict=True)
    return SurfaceDistances(stack_sides(reference, shape), stack_sides(prediction, shape))


def check_axes(image: Any) -> None:
    """Raise `InputError` unless an image is 2-D or 3-D."""
    if image.ndim not in (2, 3):
        raise InputError(
            f"boundary metrics need a 2-D or 3-D image, got {image.ndim} axes; "
            "drop axes of size 1, or score planes one by one"
        )


def masks_of(case: Case) -> Iterator[surfaces.Pair]:
    """The masks of each label and the voxels that count, cropped where that is cheap."""
    return (pair for _, pair in masks_in_boxes(case))


def masks_in_boxes(case: Case) -> Iterator[tuple[tuple[slice, ...], surfaces.Pair]]:
    """As `masks_of`, each with the box it was cropped to."""
    kept = kept_voxels(case)
    everything = (slice(None),) * case.reference.ndim
    boxes = [everything] * len(case.labels)
    if len(case.labels) > 1 and 0 not in case.labels:
        order = np.argsort(case.labels)
        found = (
            boxes_of(x, np.take(case.labels, order)) for x in (case.reference, case.prediction)
        )
        for i, pair in zip(order, zip(*found, strict=True), strict=True):
            boxes[i] = joint_box(*pair) or (slice(0),) * case.reference.ndim
    for label, box in zip(case.labels, boxes, strict=True):
        r, p = case.reference[box], case.prediction[box]
        if r.dtype != np.bool_ or label != 1:
            r, p = (x != 0 if case.foreground else x == label for x in (r, p))
        yield box, surfaces.Pair(r, p, None if kept is None else kept[box])


def boxes_of(labels: np.ndarray, wanted: np.ndarray) -> list[tuple[slice, ...] | None]:
    """The smallest box around each of the ascending labels of a map; None for one not there."""
    from scipy import ndimage  # 0.2 s that few calls need

    if not wanted.size:
        return []
    places = wanted
    if labels.dtype == np.bool_:
        labels = labels.view(np.uint8)
    elif wanted[-1] >= _MANY:
        place = np.minimum(np.searchsorted(wanted, labels), wanted.size - 1)
        labels = np.where(wanted[place] == labels, place + 1, 0)
        places = np.arange(1, wanted.size + 1)
    most = int(places[-1])
    # Labels beyond the greatest that is wanted are passed over.
    found = ndimage.find_objects(
        labels if labels.dtype.itemsize <= 4 else labels.astype(np.int64), most
    )
    return [found[k - 1] for k in places.tolist()]


def joint_box(first: Any, second: Any) -> Any:
    """The box around two boxes, either of which may be missing."""
    if first is None or second is None:
        return first or second
    joined = lambda a, b: slice(min(a.start, b.start), max(a.stop, b.stop))
    return tuple(map(joined, first, second))


def stack_sides(sides: Sequence[surfaces.Side], shape: tuple[int, ...]) -> Surface:
    """Pad the elements of many surfaces to one length.

    Raises:
        InputError: if that would take more memory than is reasonable.
    """
    counts = np.array([s.distance.size for s in sides])
    longest = int(max(1, counts.max(initial=0)))
    if (held := 32 * len(sides) * longest) > _MOST_BYTES:
        raise InputError(
            f"{len(sides)} surfaces of up to {longest} elements would take {held / 2**30:.0f} GiB; "
            "score fewer labels at a time with labels="
        )
    there = np.arange(longest) < counts[:, None]
    padded = []
    for k in range(len(surfaces.Side._fields)):
        part = np.zeros(there.shape)
        part[there] = np.concatenate([np.zeros(0), *(side[k] for side in sides)])
        padded.append(part.reshape(*shape, longest))
    return Surface(*padded)
