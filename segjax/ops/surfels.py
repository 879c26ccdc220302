"""Surface elements of masks on the dual grid, their sizes, and exact distances between them.

The points of the dual grid lie between voxels, one more along each axis than there are
voxels. The 4 or 8 voxels around a point, those outside the image taken as background, are its
neighbour code; where they are not all the same, the point is an element of the surface, and
its size is the length or area of the marching squares or cubes patch among them. Weighing by
size makes averages and shares of a surface independent of how finely it is sampled in which
direction. After Nikolov, S. et al. (2021), doi:10.2196/26151, and Lorensen, W. E. & Cline,
H. E. (1987), doi:10.1145/37402.37422.

A code reads the voxels (0, 0, 0), (0, 0, 1), (0, 1, 0) ... (1, 1, 1) around a point from the
most significant bit to the least: the last axis is the fastest.
"""

import operator
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial, reduce
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float64, Int, Num, UInt8, UInt32

from segjax.ops import distance
from segjax.ops.distance import Grid, Rows


Corner: TypeAlias = tuple[int, ...]
Triangle: TypeAlias = tuple[Corner, Corner, Corner]


# Sizes. Corners of the unit cell are 0 or 1 along each axis; midpoints of its edges are kept
# doubled, as sums of two corners.


@lru_cache(maxsize=64)
def element_sizes(spacing: tuple[float, ...]) -> Float64[np.ndarray, " code"]:
    """Length (2-D) or area (3-D) of the surface among the neighbours of each code.

    The surface joins the midpoints of those edges of the cell that lead from inside to
    outside. Around the square of each face, one segment cuts off every run of corners
    inside; in 3-D the segments of six faces close to polygons, and these are cut into
    triangles. Two choices are left to make, and are made as everyone's tables make them:

    - Corners that touch only across the diagonal of a face are separated: those inside if
      at most half of all corners are, else those outside. A code and its complement thus
      have the same size.
    - Of the triangulations of a polygon that is not flat, the one of largest area for cubic
      voxels. That makes sizes the same under every rotation and reflection of the cell.

    Args:
        spacing: voxel size along each of the two or three axes.

    Example:
        >>> element_sizes((1.0, 3.0))[[0b0000, 0b0011, 0b0101]]  # nothing, flat along an axis
        array([0., 3., 1.])
    """
    cell = np.asarray(spacing, float)
    if len(spacing) == 2:
        sizes = np.array([np.linalg.norm(s * cell, axis=-1).sum() for s in _segment_vectors()])
    else:
        sides = cell.prod() / cell  # an area vector grows with the two axes across it
        sizes = np.array([np.linalg.norm(a * sides, axis=-1).sum() for a in _area_vectors()])
    sizes.flags.writeable = False
    return sizes


def _segment_vectors() -> Iterator[np.ndarray]:
    """Segments of the contour of each of the 16 codes, from end to end."""
    square = ((0, 0), (0, 1), (1, 1), (1, 0))
    for code in range(16):
        ends = _segments(square, _fewer(code, 2))
        yield np.array([np.subtract(b, a) / 2 for a, b in ends.items()]).reshape(-1, 2)


@lru_cache(maxsize=1)
def _area_vectors() -> list[np.ndarray]:
    """Normals of the triangles of each of the 256 codes, as long as their area."""
    faces, vectors = _faces(), []
    for code in range(256):
        areas = [_areas(polygon) for polygon in _polygons(faces, _fewer(code, 3))]
        vectors.append(np.concatenate([np.zeros((0, 3)), *areas]))
    return vectors


def _fewer(code: int, dims: int) -> set[Corner]:
    """The corners inside, or those outside if they are fewer."""
    corners: list[Corner] = list(product((0, 1), repeat=dims))
    last = len(corners) - 1
    inside = {corner for k, corner in enumerate(corners) if code >> (last - k) & 1}
    return inside if 2 * len(inside) <= len(corners) else set(corners) - inside


def _segments(square: Sequence[Corner], inside: set[Corner]) -> dict[Corner, Corner]:
    """Cut off each run of inside corners: from the midpoint before it to that after it."""
    midpoint = lambda i: tuple(map(operator.add, square[i % 4], square[(i + 1) % 4]))
    segments = {}
    for i in range(4):
        if square[i - 1] not in inside and square[i] in inside:
            run = next(n for n in range(1, 4) if square[(i + n) % 4] not in inside)
            segments[midpoint(i - 1)] = midpoint(i + run - 1)
    return segments


def _faces() -> list[list[Corner]]:
    """Squares of the cube; seen from outside, all turn the same way."""
    turn = ((0, 0), (1, 0), (1, 1), (0, 1))
    return [
        [tuple(np.roll((side, *corner), axis).tolist()) for corner in turn[:: 2 * side - 1]]
        for axis, side in product(range(3), (0, 1))
    ]


def _polygons(faces: Sequence[Sequence[Corner]], inside: set[Corner]) -> Iterator[list[Corner]]:
    """Close the segments on the faces of the cube to polygons.

    As faces turn the same way, an edge where a run begins on one face is where one ends on
    the other: each midpoint has one segment that leaves it.
    """
    onward: dict[Corner, Corner] = {}
    for face in faces:
        onward |= _segments(face, inside)
    while onward:
        polygon = list(onward.popitem())
        while polygon[-1] in onward:
            polygon.append(onward.pop(polygon[-1]))
        yield polygon[1:]


def _areas(polygon: list[Corner]) -> Float64[np.ndarray, "triangle 3"]:
    """Area vectors of the largest triangulation of a polygon."""
    triangles = np.array(list(_triangulations(polygon)), float) / 2
    a, b, c = np.moveaxis(triangles, -2, 0)
    areas = np.cross(b - a, c - a) / 2
    return areas[np.linalg.norm(areas, axis=-1).sum(-1).argmax()]


def _triangulations(polygon: list[Corner]) -> Iterator[list[Triangle]]:
    """Every way to cut a polygon into triangles; its first and last corner share one."""
    if len(polygon) < 3:
        yield []
    for k in range(1, len(polygon) - 1):
        apex: Triangle = polygon[0], polygon[k], polygon[-1]
        pieces = _triangulations(polygon[: k + 1]), list(_triangulations(polygon[k:]))
        yield from ([apex, *before, *after] for before, after in product(*pieces))


# Distances on the device.


def corner_words(
    words: UInt32[Array, " word"], grid: Grid, *, dims: int
) -> list[UInt32[Array, " word"]]:
    """For each neighbour of a code in turn, the packed mask of the points that have it set.

    Bit i of each result is the point just behind voxel i of `words`: its first neighbour is
    voxel i, its last the one further by 1 along every axis. In 2-D nothing is looked up
    across planes.
    """
    z, y, column = distance._places(words.shape[0], grid)
    plane = grid.y * grid.w

    def after(x: Any, by: Any, there: Any) -> Any:
        return jnp.where(there, distance._shift(x, -by), jnp.uint32(0))

    along = (
        lambda x: after(x, plane, z < grid.z - 1),
        lambda x: after(x, grid.w, y < grid.y - 1),
        lambda x: (x >> 1) | (after(x, 1, column < grid.w - 1) << 31),
    )
    corners = [words]
    for step in along[-dims:]:
        corners = [neighbour for x in corners for neighbour in (x, step(x))]
    return corners


class Elements(NamedTuple):
    """Surface elements of two masks in raster order, padded, measured to each other.

    Attributes:
        squared: distances of the elements of the first and of the second mask, squared.
        codes: their neighbour codes.
        counts: how many elements the two masks have; where one has more than there is room
            for, or none, nothing is measured.
        unsettled: how many elements ran out of the budget.
    """

    squared: tuple[Num[Array, " element"], Num[Array, " element"]]
    codes: tuple[Int[Array, " element"], Int[Array, " element"]]
    counts: Int[Array, " 2"]
    unsettled: Any


@partial(jax.jit, static_argnames=("dims", "capacity"))
def between_surfels(
    first: UInt32[Any, " word"],
    second: UInt32[Any, " word"],
    grid: Grid,
    rows: Rows,
    step: Any,
    budget: Any,
    *,
    dims: int,
    capacity: int,
) -> Elements:
    """Measure the surface elements of two packed masks to each other.

    As `distance.between_surfaces`, but for masks with one voxel of background in front along
    each of their axes. Point i of the dual grid is then just behind voxel i of the grid; more
    background, on any side, adds no elements.

    Args:
        first: mask, rows of `grid.w` words, bit i of a word the i-th voxel; 0 beyond the grid.
        second: the other.
        grid: extent with the background in front, as data; one plane for a 2-D mask.
        rows: from `distance.rows_by_distance`, for at least this grid.
        step: spacing along the rows; not looked at if distances are integers.
        budget: look-ups per direction after which to give up; infinity for never.
        dims: 2 or 3, fixed while tracing.
        capacity: room for elements, fixed while tracing.
    """
    grid = Grid(*(jnp.asarray(n, jnp.int32) for n in grid))
    corners = [corner_words(jnp.asarray(x), grid, dims=dims) for x in (first, second)]
    surfaces = [reduce(operator.or_, c) & ~reduce(operator.and_, c) for c in corners]
    points = [distance.points_of(s, grid, capacity) for s in surfaces]
    counts = jnp.stack([p.number for p in points])
    measured = (counts.min() > 0) & (counts.max() <= capacity)
    budget = jnp.where(measured, budget, 0)
    tables = [distance._table(s, grid) for s in surfaces]
    there, open_there = distance._nearest(tables[1], points[0], grid, rows, step, budget)
    back, open_back = distance._nearest(tables[0], points[1], grid, rows, step, budget)
    first_codes, second_codes = (
        _codes_at(c, p, grid) for c, p in zip(corners, points, strict=True)
    )
    return Elements((there, back), (first_codes, second_codes), counts, open_there + open_back)


def _codes_at(
    corners: list[UInt32[Array, " word"]], points: distance.Points, grid: Grid
) -> Int[Array, " element"]:
    index = points.row * grid.w + (points.x >> 5)
    bit = (points.x & 31).astype(jnp.uint32)
    code = jnp.zeros(index.shape, jnp.uint32)
    for words in corners:
        code = (code << 1) | (words.at[index].get(mode="promise_in_bounds") >> bit & 1)
    return lax.bitcast_convert_type(code, jnp.int32)


# From the host.


def surfel_distances(
    first: Bool[np.ndarray, "*space"],
    second: Bool[np.ndarray, "*space"],
    spacing: tuple[float, ...],
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Distances and sizes of the surface elements of two masks, each measured to the other.

    Distances are exact and Euclidean between points of the dual grid: roots of integers where
    the spacing is the same along all axes, else accurate to 1e-6. Infinite if the other mask
    is empty.

    Args:
        first: mask, 2-D or 3-D.
        second: the other, of the same shape.
        spacing: voxel size along each axis.

    Returns:
        (distances, weights) of the elements of the first mask and of the second, float64, in
        raster order.

    Raises:
        InputError: if the objects are too long.
    """
    box = distance.bounding_box(first | second)
    if box is None:
        nothing = np.zeros(0)
        return (nothing, nothing), (nothing, nothing)
    first, second = first[box], second[box]
    sizes = element_sizes(spacing)
    there, back = _measure(first, second, spacing)
    return (there[0], sizes[there[1]]), (back[0], sizes[back[1]])


def neighbour_codes(mask: Bool[np.ndarray, "*space"]) -> UInt8[np.ndarray, "*point"]:
    """Neighbour code of every point of the dual grid, on the host."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros([n + 1 for n in mask.shape], np.uint8)
    for corner in product((0, 1), repeat=mask.ndim):
        codes = codes << 1 | padded[tuple(map(slice, corner, np.add(corner, codes.shape)))]
    return codes


def _measure(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(distances, codes) of the elements of two masks that are cropped."""
    in_front = [np.pad(mask, [(1, 0)] * mask.ndim) for mask in (first, second)]
    ready = distance.prepare(in_front[0], in_front[1], spacing)
    found = distance.with_room(
        lambda capacity: between_surfels(
            *ready.words,
            ready.grid,
            ready.rows,
            ready.step,
            ready.budget,
            dims=first.ndim,
            capacity=capacity,
        )
    )
    counts = np.asarray(found.counts)
    codes = [np.asarray(c)[:n] for c, n in zip(found.codes, counts, strict=True)]
    if counts.min() == 0:
        sides = [np.full(n, np.inf) for n in counts]
    elif np.any(np.asarray(found.unsettled)):
        sides = _by_transform(first, second, spacing)
    else:
        squared = (np.asarray(s)[:n] for s, n in zip(found.squared, counts, strict=True))
        sides = [ready.unit * np.sqrt(s.astype(float)) for s in squared]
    return (sides[0], codes[0]), (sides[1], codes[1])


def _by_transform(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]
) -> list[np.ndarray]:
    """The same distances by dense transforms, for many points far from few (on a CPU)."""
    from scipy import ndimage

    everything = 2**2**first.ndim - 1
    codes = (neighbour_codes(mask) for mask in (first, second))
    surfaces = [(c != 0) & (c != everything) for c in codes]
    transform = lambda s: np.asarray(ndimage.distance_transform_edt(~s, sampling=spacing))
    return [transform(other)[one] for one, other in (surfaces, surfaces[::-1])]
