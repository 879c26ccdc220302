"""Pictures of a segmentation over its image, tinted where it is probably wrong."""

from functools import partial
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.report._canvas import Picture, grey_of, outline, png, resampled, small_uri, stretch
from segjax.report.theme import OVERLAY


_GREYS = (32, 16)  # fewer in pictures that would be large
_LEVELS = 3  # of a tint
_FIRST = 0.1  # share of pixels in error from which there is a tint
_STRONG = 0.5  # share from which it is strongest
_OPACITY = 0.55
_KINDS = ("missed", "extra")


def doubt_picture(
    image: Any,
    labels: Any,
    *,
    missed: Any = None,
    extra: Any = None,
    size: int = 480,
) -> Picture:
    """Draw an image in grey with the outlines of the objects, tinted where errors are likely.

    Of a volume it is the plane along the first axis where most errors are expected; without maps
    of errors, where most is of objects.

    Args:
        image: intensities of the shape of the labels, perhaps with a last axis of colours.
        labels: the segmentation; 0 is background.
        missed: per pixel, the share of pixels around it that the segmentation probably lacks.
        extra: the same of pixels that it probably should not have.
        size: of the longer side, in pixels at most.

    Raises:
        InputError: if the shapes differ.
    """
    segmented = np.asarray(labels)
    if segmented.ndim not in (2, 3):
        raise InputError(f"a picture takes 2 or 3 axes, the labels have {segmented.ndim}")
    grey = grey_of(np.asarray(image), segmented.shape)
    shares = [
        np.zeros(segmented.shape, np.float32) if x is None else np.asarray(x)
        for x in (missed, extra)
    ]
    words = "whole image"
    if segmented.ndim == 3:
        weight = np.sum(shares, axis=(0, 2, 3))
        if not weight.any():
            weight = (segmented != 0).sum((1, 2))
        z = int(np.argmax(weight))
        words = f"plane {z + 1} of {len(segmented)}"
        segmented, grey, *shares = (x[z] for x in (segmented, grey, *shares))
    rows, columns = resampled(segmented.shape, (1.0, 1.0), size)
    seen = lambda plane: plane[rows][:, columns]
    edge = outline(seen(segmented))
    levels = np.stack([_level(seen(x)) for x in shares])
    kind = levels.argmax(0)
    tint = np.where(levels.max(0) > 0, 1 + kind * _LEVELS + levels.max(0) - 1, 0)
    uri = small_uri(partial(_encode, tint, edge, stretch(seen(grey))), _GREYS)
    return Picture(uri, edge.shape[1], edge.shape[0], words)


def _level(share: np.ndarray) -> np.ndarray:
    """0 for no tint, up to the number of levels."""
    steps = np.linspace(_FIRST, _STRONG, _LEVELS)
    return np.searchsorted(steps, share, side="right")


def _encode(tint: np.ndarray, edge: np.ndarray, grey: np.ndarray, greys: int) -> bytes:
    shades = np.linspace(0, 255, greys)[:, None] * np.ones(3)
    palettes = [shades]
    for kind in _KINDS:
        for level in range(1, _LEVELS + 1):
            cover = _OPACITY * level / _LEVELS
            palettes.append(cover * np.array(OVERLAY[kind]) + (1 - cover) * shades)
    palette = np.concatenate([*palettes, [OVERLAY["agreement"]]])
    codes = tint * greys + np.round(grey * (greys - 1)).astype(np.uint8)
    return png(np.where(edge, len(palette) - 1, codes), palette)
