"""What pictures share: the part of the plane that is seen, its pixels, and small files."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segjax._errors import InputError


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


def crop(mask: np.ndarray, most: float = 0.5) -> tuple[slice, slice]:
    """The box of the objects with a margin; the plane, of which it would be `most` or more."""
    whole = slice(0, mask.shape[0]), slice(0, mask.shape[1])
    if not mask.any():
        return whole
    ends = [np.flatnonzero(mask.any(axis))[[0, -1]].tolist() for axis in (1, 0)]
    margin = max(2, round(0.1 * max(b - a + 1 for a, b in ends)))
    (top, bottom), (left, right) = (
        (max(a - margin, 0), min(b + 1 + margin, n))
        for (a, b), n in zip(ends, mask.shape, strict=True)
    )
    if (bottom - top) * (right - left) >= most * mask.size:
        return whole
    return slice(top, bottom), slice(left, right)


def resampled(
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


def outline(labels: np.ndarray, *, beyond: Literal["edge", "constant"] = "edge") -> np.ndarray:
    """Pixels of an object beside another one or none: one pixel wide, inside it.

    Args:
        labels: label map of a plane.
        beyond: what is outside the plane: "edge" for more of the same, "constant" for nothing.
    """
    around = np.pad(labels, 1, mode=beyond)
    beside = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    return (labels != 0) & np.any([x != labels for x in beside], axis=0)


def grey_of(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Intensities on the grid of the label maps, colours averaged.

    Raises:
        InputError: if the image has another shape.
    """
    if image.shape[:-1] == shape:
        image = image[..., :3].mean(-1)
    if image.shape != shape:
        raise InputError(f"the image has shape {image.shape}, the label maps {shape}")
    return image


def stretch(plane: np.ndarray) -> np.ndarray:
    """Intensities from the 1st to the 99th percentile, as 0 to 1."""
    plane = np.asarray(plane, float)
    finite = plane[np.isfinite(plane)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 0.0)
    if high <= low:
        return np.full(plane.shape, 0.5)
    return np.clip(
        (np.nan_to_num(plane, nan=low, posinf=high, neginf=low) - low) / (high - low), 0, 1
    )


def png(codes: np.ndarray, palette: np.ndarray) -> bytes:
    """A file of at most 256 colours."""
    from PIL import Image

    drawn = Image.fromarray(codes.astype(np.uint8))
    drawn.putpalette(np.round(palette).astype(np.uint8).tobytes())
    out = io.BytesIO()
    drawn.save(out, "PNG", optimize=True)
    return out.getvalue()


def small_uri(encode: Callable[[int], bytes], greys: Sequence[int]) -> str:
    """A picture as a `data:` URI, of as many greys as it may have and stay small.

    Few colours make small files: noise is not worth the bytes of the whole page.
    """
    data = b""
    for levels in greys:
        data = encode(levels)
        if len(data) <= _SMALL:
            break
    return "data:image/png;base64," + base64.b64encode(data).decode()
