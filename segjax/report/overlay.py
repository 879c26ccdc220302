"""Pictures of a case: where reference and prediction agree, and where they do not."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.report.theme import OVERLAY


_BACKGROUND, _AGREEMENT, _MISSED, _EXTRA, _IGNORED = range(5)
_FILL = ("background", "agreement", "missed", "extra", "ignored")
_OPACITY = (0.0, 0.45, 0.6, 0.6, 0.35)  # of the colours over an image
_SMALL = 12_000  # bytes of PNG above which a picture gets fewer greys


@dataclass(frozen=True)
class Picture:
    """A picture that a page can hold in itself.

    Attributes:
        uri: the whole file, as a `data:` URI.
        width: in pixels.
        height: in pixels.
        caption: which part of the case is seen.
    """

    uri: str
    width: int
    height: int
    caption: str


def picture(
    reference: Any,
    prediction: Any,
    *,
    image: Any = None,
    spacing: Sequence[float] | None = None,
    ignore: int | None = None,
    classes: bool = True,
    size: int = 240,
) -> Picture:
    """Draw one slice of a case, with the outline of the reference.

    Of a volume, it is the slice along the first axis where the two differ most; axes before
    the last three are entered at their first index. Where the objects fill little of the
    slice, it is cropped to them.

    Args:
        reference: label map taken as the standard; integers or bool, 0 = background.
        prediction: label map to be judged, of the same shape.
        image: intensities of the same shape, perhaps with a last axis of colours.
        spacing: voxel size along each axis; pictures are true to it.
        ignore: label of the reference whose voxels are not judged.
        classes: equal labels mean the same thing, so that another label is a miss; False
            for instances and foregrounds, where any label agrees with any other.
        size: of the longer side, in pixels at most.

    Raises:
        InputError: if the shapes differ.

    Example:
        >>> import numpy as np
        >>> seen = picture(np.eye(8, dtype=int), np.eye(8, dtype=int), size=64)
        >>> seen.width, seen.height, seen.caption
        (64, 64, 'whole image')
    """
    r, p = np.asarray(reference), np.asarray(prediction)
    if r.shape != p.shape or not r.size:
        raise InputError(
            f"a picture needs two label maps of one shape with voxels, got {r.shape} and {p.shape}"
        )
    under = None if image is None else _grey(np.asarray(image), r.shape)
    steps = [1.0] * r.ndim if spacing is None else [float(s) for s in spacing]
    index, words = _slice(r, p, ignore, classes)
    r, p = np.atleast_2d(r[index]), np.atleast_2d(p[index])
    row, column = [1.0, 1.0, *steps][-2:]
    if len(steps) == 1:  # a line is drawn as a ribbon
        row = column * max(1.0, r.shape[1] / 8)
    box = _crop((r != 0) | (p != 0))
    words.append(
        "whole image" if box == (slice(0, r.shape[0]), slice(0, r.shape[1])) else "cropped"
    )
    r, p = r[box], p[box]
    rows, columns = _resampled(r.shape, (row, column), size)
    r, p = r[rows][:, columns], p[rows][:, columns]
    kinds = compare(r, p, ignore=ignore, classes=classes)
    edge = _outline(np.where(kinds == _IGNORED, 0, r))
    if under is None:
        data = _png(kinds, edge, None)
    else:
        data = _png(kinds, edge, _stretch(np.atleast_2d(under[index])[box][rows][:, columns]))
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    return Picture(uri, kinds.shape[1], kinds.shape[0], ", ".join(words))


def compare(
    reference: np.ndarray, prediction: np.ndarray, *, ignore: int | None, classes: bool
) -> np.ndarray:
    """Say of each voxel whether it agrees (1), is missed (2), extra (3) or ignored (4)."""
    r, p = reference != 0, prediction != 0
    same = (reference == prediction) if classes else True
    kinds = np.select([r & p & same, r, p], [_AGREEMENT, _MISSED, _EXTRA], _BACKGROUND)
    if ignore is not None:
        kinds = np.where(reference == ignore, _IGNORED, kinds)
    return kinds.astype(np.uint8)


def _slice(
    reference: np.ndarray, prediction: np.ndarray, ignore: int | None, classes: bool
) -> tuple[tuple[int, ...], list[str]]:
    """Index of the plane to draw, and which one it is in words."""
    leading = (0,) * (reference.ndim - 3)
    words = ["first index of the leading axes"] if leading else []
    if reference.ndim < 3:
        return (), words
    r, p = reference[leading], prediction[leading]
    size = lambda mask: np.count_nonzero(mask, axis=(1, 2))
    kinds = compare(r, p, ignore=ignore, classes=classes)
    wrong, present = size((kinds == _MISSED) | (kinds == _EXTRA)), size(r != 0)
    why = "where they differ most" if wrong.any() else "where the reference is largest"
    if wrong.any() or present.any():
        best = int(np.argmax(wrong if wrong.any() else present))
    else:
        best, why = len(r) // 2, "in the middle"
    return (*leading, best), [*words, f"slice {best + 1} of {len(r)}, {why}"]


def _crop(mask: np.ndarray) -> tuple[slice, slice]:
    """The box of the objects with a margin, if it leaves out most of the plane."""
    whole = slice(0, mask.shape[0]), slice(0, mask.shape[1])
    if not mask.any():
        return whole
    ends = [np.flatnonzero(mask.any(axis))[[0, -1]].tolist() for axis in (1, 0)]
    margin = max(2, round(0.1 * max(b - a + 1 for a, b in ends)))
    (top, bottom), (left, right) = (
        (max(a - margin, 0), min(b + 1 + margin, n))
        for (a, b), n in zip(ends, mask.shape, strict=True)
    )
    if (bottom - top) * (right - left) >= 0.5 * mask.size:
        return whole
    return slice(top, bottom), slice(left, right)


def _resampled(
    shape: tuple[int, ...], steps: tuple[float, float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest rows and columns; the finer axis is enlarged by a whole number if it can be."""
    extent = [n * step for n, step in zip(shape, steps, strict=True)]
    fine = min(steps)
    factor = size / max(extent) * fine  # pixels per voxel of the finer axis
    factor = float(int(factor + 1e-9)) if factor >= 1 else factor
    pixels = [min(size, max(1, round(x / fine * factor))) for x in extent]
    rows, columns = (
        ((np.arange(m) + 0.5) * n / m).astype(int) for m, n in zip(pixels, shape, strict=True)
    )
    return rows, columns


def _outline(labels: np.ndarray) -> np.ndarray:
    """Pixels of an object beside another one or none: one pixel wide, inside it."""
    around = np.pad(labels, 1, mode="edge")
    beside = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    return (labels != 0) & np.any([x != labels for x in beside], axis=0)


def _grey(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if image.shape[:-1] == shape:
        image = image[..., :3].mean(-1)
    if image.shape != shape:
        raise InputError(f"the image has shape {image.shape}, the label maps {shape}")
    return image


def _stretch(plane: np.ndarray) -> np.ndarray:
    """Intensities from the 1st to the 99th percentile, as 0 to 1."""
    plane = np.asarray(plane, float)
    finite = plane[np.isfinite(plane)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 0.0)
    if high <= low:
        return np.full(plane.shape, 0.5)
    return np.clip(
        (np.nan_to_num(plane, nan=low, posinf=high, neginf=low) - low) / (high - low), 0, 1
    )


def _png(kinds: np.ndarray, edge: np.ndarray, grey: np.ndarray | None) -> bytes:
    """Few colours make small files: noise is not worth the bytes of the whole page."""
    data = b""
    for levels in (1,) if grey is None else (32, 16, 8):
        data = _encode(kinds, edge, grey, levels)
        if len(data) <= _SMALL:
            break
    return data


def _encode(kinds: np.ndarray, edge: np.ndarray, grey: np.ndarray | None, levels: int) -> bytes:
    from PIL import Image

    fill = np.array([OVERLAY[name] for name in _FILL], float)
    if grey is None:
        palette, codes = fill, kinds
    else:
        shades = np.linspace(0, 255, levels)[None, :, None]
        cover = np.array(_OPACITY)[:, None, None]
        palette = (cover * fill[:, None] + (1 - cover) * shades).reshape(-1, 3)
        codes = kinds * levels + np.round(grey * (levels - 1)).astype(np.uint8)
    palette = np.concatenate([palette, [OVERLAY["outline"]]])
    codes = np.where(edge, len(palette) - 1, codes).astype(np.uint8)
    drawn = Image.fromarray(codes)
    drawn.putpalette(np.round(palette).astype(np.uint8).tobytes())
    out = io.BytesIO()
    drawn.save(out, "PNG", optimize=True)
    return out.getvalue()
