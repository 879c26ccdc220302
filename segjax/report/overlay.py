"""Pictures of a case: where reference and prediction agree, and where they do not."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from segjax._errors import InputError
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
from segjax.report.theme import OVERLAY


# Accurate, missed, spurious, merged and split objects are numbered as in `matching.KINDS`.
_FILL = ("background", "agreement", "missed", "extra", "merged", "split", "ignored")
_OPACITY = (0.0, 0.45, 0.6, 0.6, 0.6, 0.6, 0.35)  # of the colours over an image
_BACKGROUND, _AGREEMENT, _MISSED, _EXTRA, _, _, _IGNORED = range(len(_FILL))
_GREYS = (32, 16, 8)  # fewer in pictures that would be large


def picture(
    reference: Any,
    prediction: Any,
    *,
    image: Any = None,
    spacing: Sequence[float] | None = None,
    ignore: int | None = None,
    classes: bool = True,
    errors: Any = None,
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
        errors: of objects, what becomes of each, as `segjax.error_map` paints it, of the same
            shape; they are drawn in place of agreement and differences of voxels.
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
    painted = None if errors is None else np.asarray(errors)
    if painted is not None and painted.shape != r.shape:
        raise InputError(f"the errors have shape {painted.shape}, the label maps {r.shape}")
    under = None if image is None else grey_of(np.asarray(image), r.shape)
    steps = [1.0] * r.ndim if spacing is None else [float(s) for s in spacing]
    judge = partial(compare, ignore=ignore, classes=classes)
    index, words = _slice(r, p, painted, judge)
    r, p = np.atleast_2d(r[index]), np.atleast_2d(p[index])
    row, column = [1.0, 1.0, *steps][-2:]
    if len(steps) == 1:  # a line is drawn as a ribbon
        row = column * max(1.0, r.shape[1] / 8)
    box = crop((r != 0) | (p != 0))
    words.append(
        "whole image" if box == (slice(0, r.shape[0]), slice(0, r.shape[1])) else "cropped"
    )
    rows, columns = resampled(r[box].shape, (row, column), size)
    seen = lambda plane: np.atleast_2d(plane)[box][rows][:, columns]
    kinds = judge(seen(r), seen(p), None if painted is None else seen(painted[index]))
    edge = outline(np.where(kinds == _IGNORED, 0, seen(r)))
    below = None if under is None else stretch(seen(under[index]))
    uri = small_uri(partial(_encode, kinds, edge, below), (1,) if below is None else _GREYS)
    return Picture(uri, kinds.shape[1], kinds.shape[0], ", ".join(words))


def compare(
    reference: np.ndarray,
    prediction: np.ndarray,
    errors: np.ndarray | None = None,
    *,
    ignore: int | None,
    classes: bool,
) -> np.ndarray:
    """Say of each voxel whether it agrees (1), is missed (2), extra (3) or ignored (6).

    If the errors of objects are given, these (1 to 5) take the place of what is found voxel by
    voxel.
    """
    if errors is None:
        r, p = reference != 0, prediction != 0
        same = (reference == prediction) if classes else True
        errors = np.select([r & p & same, r, p], [_AGREEMENT, _MISSED, _EXTRA], _BACKGROUND)
    kinds = errors if ignore is None else np.where(reference == ignore, _IGNORED, errors)
    return kinds.astype(np.uint8)


def _slice(
    reference: np.ndarray,
    prediction: np.ndarray,
    errors: np.ndarray | None,
    judge: Callable[..., np.ndarray],
) -> tuple[tuple[int, ...], list[str]]:
    """Index of the plane to draw, and which one it is in words."""
    leading = (0,) * (reference.ndim - 3)
    words = ["first index of the leading axes"] if leading else []
    if reference.ndim < 3:
        return (), words
    r, p = reference[leading], prediction[leading]
    size = lambda mask: np.count_nonzero(mask, axis=(1, 2))
    kinds = judge(r, p, None if errors is None else errors[leading])
    wrong, present = size((kinds >= _MISSED) & (kinds < _IGNORED)), size(r != 0)
    why = "where they differ most" if errors is None else "where most is of objects in error"
    why = why if wrong.any() else "where the reference is largest"
    if wrong.any() or present.any():
        best = int(np.argmax(wrong if wrong.any() else present))
    else:
        best, why = len(r) // 2, "in the middle"
    return (*leading, best), [*words, f"slice {best + 1} of {len(r)}, {why}"]


def _encode(kinds: np.ndarray, edge: np.ndarray, grey: np.ndarray | None, levels: int) -> bytes:
    fill = np.array([OVERLAY[name] for name in _FILL], float)
    if grey is None:
        palette, codes = fill, kinds
    else:
        shades = np.linspace(0, 255, levels)[None, :, None]
        cover = np.array(_OPACITY)[:, None, None]
        palette = (cover * fill[:, None] + (1 - cover) * shades).reshape(-1, 3)
        codes = kinds * levels + np.round(grey * (levels - 1)).astype(np.uint8)
    palette = np.concatenate([palette, [OVERLAY["outline"]]])
    return png(np.where(edge, len(palette) - 1, codes), palette)
