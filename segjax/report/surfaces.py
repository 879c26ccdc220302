"""Pictures of surfaces: how far the contours of a case are from each other, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.case import Case, Labels, Spacing, make_case
from segjax.ops import surfaces
from segjax.report._canvas import (
    Picture,
    crop,
    grey_of,
    outline,
    png,
    resampled,
    small_uri,
    stretch,
)
from segjax.report.charts._axes import span
from segjax.report.theme import SURFACE, shade


_REFERENCE, _PREDICTION = 0, 1
_NAMES = ("reference", "prediction")
_WIDTHS = (3, 4)  # of the lines, in pixels
_RING = 8.0  # its radius, in pixels
_SHADES = 48
_NOTHING, _IGNORED = -np.inf, -1.0  # in place of a distance
_GREYS = (32, 16, 8)  # fewer in pictures that would be large
_COARSE = 8  # greys from which on the image is coarser, too


@dataclass(frozen=True)
class SurfacePicture(Picture):
    """A picture of surfaces.

    Attributes:
        farthest: the greatest distance between the surfaces in the whole case, in the unit of
            spacing; NaN if none could be measured.
        remarks: what else there is to say of the case.
        marks: what is drawn beside measured contours: "facing", "alone", "ignored".
    """

    farthest: float
    remarks: tuple[str, ...]
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Contours:
    """What is seen of the surfaces of a case in one plane, to be drawn.

    Attributes:
        distance: of the surface drawn at a pixel, in the unit of spacing: infinite where there
            is no other surface, -1 where it is ignored, -infinite where no surface is drawn.
        white: pixels of the outline of the reference, and of the mark of the farthest element.
        inside: pixels of the reference.
        facing: whether dots are drawn, of surface that is seen face on.
        grey: intensities from 0 to 1; None without an image.
        farthest: as of `SurfacePicture`.
        usual: 95th percentile of the distances of both surfaces; 0 if none could be measured.
        caption: which plane it is, and why.
        remarks: as of `SurfacePicture`.
    """

    distance: np.ndarray
    white: np.ndarray
    inside: np.ndarray
    facing: bool
    grey: np.ndarray | None
    farthest: float
    usual: float
    caption: str
    remarks: tuple[str, ...]

    def drawn(self, limit: float) -> SurfacePicture:
        """The picture, in colours from 0 to `limit`."""
        uri = small_uri(partial(_encode, self, limit), (1,) if self.grey is None else _GREYS)
        height, width = self.distance.shape
        found = {
            "facing": self.facing,
            "alone": np.isposinf(self.distance).any(),
            "ignored": (self.distance == _IGNORED).any(),
        }
        return SurfacePicture(
            uri=uri,
            width=width,
            height=height,
            caption=self.caption,
            farthest=self.farthest,
            remarks=self.remarks,
            marks=tuple(mark for mark, there in found.items() if there),
        )


@dataclass(frozen=True)
class Gallery:
    """Pictures in which a colour means the same distance.

    Attributes:
        pictures: by case.
        limit: the distance at which the colours end.
    """

    pictures: Mapping[str, SurfacePicture]
    limit: float


def gallery(seen: Mapping[str, Contours]) -> Gallery:
    """Draw cases in one scale of colours, from 0 to a round number.

    It ends beyond the greatest distance of all cases, or beyond twice what is usual if that is
    less: the median of their 95th percentiles. One stray object must not darken all the rest.

    Args:
        seen: by case.

    Example:
        >>> pixel = np.eye(1, 8, dtype=bool)
        >>> gallery({"a": contours(pixel, np.roll(pixel, 6))}).limit
        6.0
    """
    apart = [c for c in seen.values() if c.farthest > 0]
    top = max((c.farthest for c in apart), default=1.0)
    if usual := 2 * float(np.median([c.usual for c in apart] or [0.0])):
        top = min(top, usual)
    limit = span(np.array([top]))[1]
    return Gallery({case: c.drawn(limit) for case, c in seen.items()}, limit)


def contours(
    reference: Any,
    prediction: Any,
    *,
    image: Any = None,
    spacing: Spacing = None,
    ignore: int | None = None,
    labels: Labels = None,
    size: int = 320,
) -> Contours:
    """Measure the surfaces of a case to each other, and look at the plane where they part most.

    Distances are those of the boundary metrics: between the surface voxels of the whole case,
    of each label by itself, whatever is seen of them in the plane. Of a volume, the plane is
    the slice along the first axis that has the greatest of them; if there is none that is
    finite and above 0, the one with most of what only one map has, or else of the reference.

    Args:
        reference: label map taken as the standard, 2-D or 3-D; integers or bool, 0 = background.
        prediction: label map to be judged, of the same shape.
        image: intensities of the same shape, perhaps with a last axis of colours.
        spacing: voxel size along each axis.
        ignore: label of the reference whose voxels are not judged; surfaces are drawn there,
            but without a distance.
        labels: labels to measure, None for those that occur; "foreground" takes everything
            that is not background as one.
        size: of the longer side, in pixels at most.

    Returns:
        What is to be drawn. If a map is empty, or lacks a label, what the other has is drawn
        without a distance, and `remarks` say so.

    Raises:
        InputError: if the shapes differ, or are neither 2-D nor 3-D.

    Example:
        >>> pixel = np.eye(1, 8, dtype=bool)
        >>> seen = contours(pixel, np.roll(pixel, 6), spacing=0.5)
        >>> seen.farthest, seen.caption
        (3.0, 'surfaces farthest apart')
    """
    # Contiguous, or a case may turn its axes.
    case = make_case(
        reference=np.ascontiguousarray(reference),
        prediction=np.ascontiguousarray(prediction),
        spacing=spacing,
        ignore=ignore,
        labels=labels,
    )
    grid = case.reference.shape
    if len(grid) not in (2, 3) or not case.size:
        raise InputError(
            f"surfaces are drawn of 2-D and 3-D images that have voxels, got shape {grid}"
        )
    below = None if image is None else grey_of(np.asarray(image), grid)
    measured = _measure(case)
    index, caption = _plane(case, measured)
    planes = [_codes(case, side, index) for side in (_REFERENCE, _PREDICTION)]
    steps = case.spacing[-2], case.spacing[-1]
    box = crop((planes[0] != 0) | (planes[1] != 0), most=1.0)
    whole = box
    if measured.ends is not None:
        box = _detail(box, measured.ends[0][-2:], steps, size)
    seen = planes[0][box].shape
    rows, columns = resampled(seen, steps, size)
    shape = rows.size, columns.size
    inside = _pooled(planes[_REFERENCE][box], shape)
    white = _band(inside, 1)
    distance, facing = _painted(measured, planes, index, box, shape)
    if measured.ends is not None:
        white |= _mark(measured.ends, box, seen, shape)
    return Contours(
        distance=distance,
        white=white,
        inside=inside != 0,
        facing=facing,
        grey=None if below is None else stretch(below[index][box][rows][:, columns]),
        farthest=measured.farthest,
        usual=measured.usual,
        caption=caption,
        remarks=_remarks(case, measured) + (("only a detail is shown",) if box != whole else ()),
    )


@dataclass(frozen=True)
class _Side:
    """Surface voxels of all labels of one map.

    Attributes:
        position: (element, axis).
        distance: to the other surface of the same label; infinite if there is none, -1 if
            the element is ignored.
    """

    position: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class _Measured:
    """Both surfaces of a case.

    Attributes:
        sides: reference and prediction.
        farthest: the greatest finite distance, NaN if there is none.
        usual: 95th percentile of the finite distances, 0 if there is none.
        ends: the voxel that is farthest, and the nearest of the other surface; None if no
            distance is above 0.
        alone: labels that only one of the maps has, in the order of `sides`.
    """

    sides: list[_Side]
    farthest: float
    usual: float
    ends: tuple[np.ndarray, np.ndarray] | None
    alone: tuple[list[int], list[int]]


def _masks(case: Case, label: int, index: Any = ...) -> list[np.ndarray]:
    maps = case.reference[index], case.prediction[index]
    return [x != 0 if case.foreground else x == label for x in maps]


def _measure(case: Case) -> _Measured:
    position: tuple[list[np.ndarray], ...] = ([], [])
    distance: tuple[list[np.ndarray], ...] = ([], [])
    alone: tuple[list[int], list[int]] = ([], [])
    farthest, ends = np.nan, None
    for label in case.labels:
        masks = _masks(case, label)
        at = [surfaces.places(x) for x in masks]
        [measured] = surfaces.measure([surfaces.Pair(*masks)], case.spacing, "voxel")
        for side in (_REFERENCE, _PREDICTION):
            here, there = at[side], at[1 - side]
            d = measured[side].distance
            if case.ignore is not None:
                d = np.where(case.reference[tuple(here.T)] == case.ignore, _IGNORED, d)
            position[side].append(here)
            distance[side].append(d)
            if len(here) and not len(there):
                alone[side].append(label)
            top = d[np.isfinite(d)].max(initial=_IGNORED)
            if top >= 0 and not top <= farthest:
                farthest = float(top)
                end = here[np.argmax(d == top)]
                away = np.sum(((there - end) * case.spacing) ** 2, axis=1)
                near = there[away <= away.min() * (1 + 1e-9)]
                ends = (end, near[np.argmax(near[:, 0] == end[0])]) if top > 0 else None
    judged = np.concatenate([np.zeros(1), *distance[0], *distance[1]])
    judged = judged[np.isfinite(judged) & (judged != _IGNORED)]
    none = np.zeros((0, case.reference.ndim), int)
    sides = [
        _Side(np.concatenate([none, *x]), np.concatenate([np.zeros(0), *d]))
        for x, d in zip(position, distance, strict=True)
    ]
    return _Measured(sides, farthest, float(np.percentile(judged, 95)), ends, alone)


def _plane(case: Case, measured: _Measured) -> tuple[tuple[int, ...], str]:
    """Index of the plane to draw, and which one it is in words."""
    if case.reference.ndim == 2:
        return (), "surfaces farthest apart" if measured.ends is not None else ""
    slices = len(case.reference)
    if measured.ends is not None:
        best, why = int(measured.ends[0][0]), "where the surfaces are farthest apart"
    else:
        best, why = slices // 2, "in the middle"
        for side, labels in (*enumerate(measured.alone), (_REFERENCE, case.labels)):
            areas = [np.count_nonzero(_masks(case, k)[side], axis=(1, 2)) for k in labels]
            if np.any(areas):
                best = int(np.argmax(np.sum(areas, axis=0)))
                why = f"where the {_NAMES[side]} is largest"
                break
    return (best,), f"slice {best + 1} of {slices}, {why}"


def _remarks(case: Case, measured: _Measured) -> tuple[str, ...]:
    """What is not to be seen in the picture, in words."""
    words = []
    for side, labels in enumerate(measured.alone):
        if labels:
            lacking = f"lacks label{'s' * (len(labels) > 1)} {', '.join(map(str, labels))}"
            fault = lacking if len(case.labels) > 1 else "is empty"
            words.append(f"the {_NAMES[1 - side]} {fault}")
    if measured.ends is not None:
        first, second = (int(end[0]) for end in measured.ends)
        if case.reference.ndim == 3 and first != second:
            words.append(f"the other surface is nearest in slice {second + 1}")
    elif measured.farthest == 0:
        words.append(
            "elsewhere the surfaces are the same" if words else "the surfaces are the same"
        )
    elif any(side.distance.size for side in measured.sides):
        words.append("there is no distance to measure")
    else:
        words.append("both are empty")
    return tuple(words)


def _codes(case: Case, side: int, index: tuple[int, ...]) -> np.ndarray:
    """Labels of a plane, numbered from 1 in their order."""
    codes = np.zeros(case.reference[index].shape, int)
    for i, label in enumerate(case.labels, start=1):
        codes[_masks(case, label, index)[side]] = i
    return codes


def _painted(
    measured: _Measured,
    planes: list[np.ndarray],
    index: tuple[int, ...],
    box: tuple[slice, slice],
    shape: tuple[int, int],
) -> tuple[np.ndarray, bool]:
    """Distances as they are drawn, the reference over the prediction; whether dots are."""
    drawn, dotted = np.full(shape, _NOTHING), False
    zoom = max(m / (s.stop - s.start) for s, m in zip(box, shape, strict=True))
    for side in (_PREDICTION, _REFERENCE):
        line, facing = (
            _pooled(x[box], shape) for x in _values(measured.sides[side], planes[side], index)
        )
        dots = _dots(shape) & (facing > 0) & (drawn == _NOTHING)
        drawn, dotted = np.where(dots, facing, drawn), dotted or bool(dots.any())
        # Where both surfaces are the same, the line of the prediction is left as it is.
        width = min(_WIDTHS[side], 1 + round(zoom))
        band = _band(_pooled(planes[side][box], shape), width)
        drawn = np.where(band & ((line != 0) | (drawn == _NOTHING)), line, drawn)
    return drawn, dotted


def _values(
    side: _Side, plane: np.ndarray, index: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances in a plane: of the nearest contour, and of surface that is seen face on."""
    from scipy import ndimage

    here = np.all(side.position[:, :-2] == index, axis=1)
    values = np.full(plane.shape, _NOTHING)
    values[tuple(side.position[here, -2:].T)] = side.distance[here]
    edge = outline(plane, beyond="constant")
    if not edge.any():
        return values, values
    nearest = np.asarray(
        ndimage.distance_transform_edt(~edge, return_distances=False, return_indices=True)
    )
    return values[tuple(nearest)], np.where(edge, _NOTHING, values)


def _detail(
    box: tuple[slice, slice], centre: np.ndarray, steps: tuple[float, float], size: int
) -> tuple[slice, slice]:
    """The surroundings of a voxel, two pixels for each, if the box has more voxels than pixels."""
    room = [max(1, int(size * min(steps) / step)) for step in steps]
    if all(s.stop - s.start <= most for s, most in zip(box, room, strict=True)):
        return box
    sides = []
    for side, middle, most in zip(box, centre.tolist(), room, strict=True):
        half = max(1, most // 4)
        first = min(max(side.start, middle - half), max(side.start, side.stop - 2 * half))
        sides.append(slice(first, min(side.stop, first + 2 * half)))
    return sides[0], sides[1]


def _pooled(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A plane at another size, by its greatest values, so that nothing small is lost."""
    for axis, (n, m) in enumerate(zip(plane.shape, shape, strict=True)):
        plane = np.maximum.reduceat(plane, np.arange(m) * n // m, axis=axis)
    return plane


def _band(codes: np.ndarray, width: int) -> np.ndarray:
    """Pixels of objects within `width` of another or none, or of the edge of the picture."""
    from scipy import ndimage

    near = {"size": 2 * width + 1, "mode": "constant", "cval": 0}
    same = ndimage.minimum_filter(codes, **near) == ndimage.maximum_filter(codes, **near)
    return (codes != 0) & ~same


def _dots(shape: tuple[int, int]) -> np.ndarray:
    """Dots of 2 x 2 pixels in a pattern."""
    row, column = np.indices(shape)
    return (row % 6 < 2) & ((column + 3 * (row // 6 % 2)) % 6 < 2)


def _mark(
    ends: tuple[np.ndarray, np.ndarray],
    box: tuple[slice, slice],
    voxels: tuple[int, ...],
    shape: tuple[int, int],
) -> np.ndarray:
    """A ring around the farthest element; a line to the other surface if it is in the plane."""
    corner = np.array([s.start for s in box])
    a, b = ((end[-2:] - corner + 0.5) * np.array(shape) / voxels - 0.5 for end in ends)
    to = np.moveaxis(np.indices(shape), 0, -1) - a
    away = np.hypot(to[..., 0], to[..., 1])
    mark = np.abs(away - _RING) < 1
    length = np.hypot(*(b - a))
    if np.array_equal(ends[0][:-2], ends[1][:-2]) and length > _RING:
        along = to @ (b - a) / length
        across = np.abs(to @ np.array([a[1] - b[1], b[0] - a[0]])) / length
        mark |= (across < 0.7) & (along <= length) & (along > 0) & (away > _RING)
    return mark


def _encode(seen: Contours, limit: float, levels: int) -> bytes:
    from scipy import ndimage

    ground = [SURFACE["background"], SURFACE["inside"]]
    codes = seen.inside.astype(int)
    if seen.grey is not None:
        ground = [(g, g, g) for g in np.linspace(0, 255, levels)]
        grey = seen.grey if levels > _COARSE else _coarser(seen.grey)
        codes = np.round(grey * (levels - 1)).astype(int)
    palette = [*ground, *(SURFACE[k] for k in ("casing", "ignored", "alone", "outline"))]
    casing, ignored, alone, white = range(len(ground), len(palette))
    drawn = (seen.distance != _NOTHING) | seen.white
    lines = ndimage.binary_opening(drawn, np.ones((3, 3))) | seen.white
    codes = np.where(ndimage.binary_dilation(lines), casing, codes)
    far = seen.distance >= 0
    share = np.clip(seen.distance[far] / limit, 0, 1)
    codes[far] = len(palette) + np.round(share * (_SHADES - 1)).astype(int)
    codes[seen.distance == _IGNORED] = ignored
    codes[np.isposinf(seen.distance)] = alone
    codes[seen.white] = white
    return png(codes, np.array([*palette, *(shade(i / (_SHADES - 1)) for i in range(_SHADES))]))


def _coarser(plane: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels, at the size it had."""
    even = np.pad(plane, [(0, n % 2) for n in plane.shape], mode="edge")
    means = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean((1, 3))
    return means.repeat(2, 0).repeat(2, 1)[: plane.shape[0], : plane.shape[1]]
