"""Surface elements of masks on the dual grid, and their sizes.

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
from functools import lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int

from segjax._numerics import AnyArray, namespace
from segjax.ops import morphology
from segjax.ops.distance import Points
from segjax.ops.morphology import Words


BETWEEN = ("surfel", "mesh")  # kinds of surfaces whose elements lie between voxels

Corner: TypeAlias = tuple[int, ...]
Triangle: TypeAlias = tuple[Corner, Corner, Corner]


# Corners of the unit cell are 0 or 1 along each axis; midpoints of its edges are kept
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


def neighbours(words: Words, kind: str, dims: int) -> list[Words]:
    """What is asked about an element of a surface: the voxel itself, or those around a point."""
    return morphology.corners(words, dims) if kind in BETWEEN else [words]


def elements(neighbours: list[Words], kind: str, dims: int) -> Words:
    """Where the surface of a packed mask has its elements, by its `neighbours`."""
    if kind in BETWEEN:
        return morphology.mixed(neighbours)
    return neighbours[0] if kind == "solid" else morphology.surface(neighbours[0], dims)


def codes_at(neighbours: list[Words], points: Points) -> Int[AnyArray, " point"]:
    """Neighbour code of each point: one bit for each of its neighbours."""
    xp, width = namespace(points.row), neighbours[0].shape[-1]
    index, bit = points.row * width + (points.x >> 5), (points.x & 31).astype(np.uint32)
    code = xp.zeros(index.shape, np.uint32)
    for words in neighbours:
        code = code << 1 | xp.take(words, index, mode="clip") >> bit & 1
    return code.astype(np.int32)


def weights(
    neighbours: list[Words], points: Points, kind: str, spacing: tuple[float, ...]
) -> Float[AnyArray, " point"]:
    """Sizes of elements between voxels, 1 for voxels; float64 on the host, else float32."""
    xp = namespace(points.row)
    if kind not in BETWEEN:
        return xp.ones(points.row.shape)
    return xp.asarray(element_sizes(spacing))[codes_at(neighbours, points)]
