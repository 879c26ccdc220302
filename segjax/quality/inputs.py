"""An image and a segmentation of it, checked before anything is computed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from segjax._errors import InputError
from segjax.case import as_host, as_labels, distinct
from segjax.ops.components import components


class Checked(NamedTuple):
    """What can be assessed.

    Attributes:
        image: intensities as float32; all finite.
        labels: objects numbered from 1 without gaps.
        names: the label of each object in the segmentation that was given.
        constant: whether all intensities are equal, so that nothing can be seen.
        pieces: in how many pieces a segmentation of a single label lies, else 1.
    """

    image: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    constant: bool
    pieces: int


def check(
    image: Any,
    labels: Any,
    dims: int,
    *,
    channel: int | str | None = None,
    relabel: bool = False,
) -> Checked:
    """Check an image and a label map of it.

    Args:
        image: intensities; NumPy, JAX, anything with DLPack. One more axis than the labels, at
            the end, is of colours.
        labels: objects, 0 is background; the pieces of a boolean mask are its objects.
        dims: axes of what the network takes.
        channel: which colour to take, or "mean" for their mean.
        relabel: take each connected piece of a label as an object.

    Raises:
        InputError: if they cannot be assessed; it says why and what to do.
    """
    seen, segmented = as_host(image), as_labels(labels, "labels")
    seen = _grey(seen, segmented.shape, channel)
    if segmented.ndim != dims:
        raise InputError(
            f"the weights are for {dims}-D images, this one has {segmented.ndim} axes; "
            + (
                "give its planes one by one, or weights for volumes"
                if dims == 2
                else "give a stack of planes, or weights for images"
            )
        )
    if not segmented.size:
        raise InputError(f"the image holds no pixels (shape {segmented.shape}); give another")
    if seen.dtype.kind not in "biuf":
        raise InputError(f"the image holds {seen.dtype} values; give real intensities")
    seen = seen.astype(np.float32)
    odd = int(np.count_nonzero(~np.isfinite(seen)))
    if odd:
        raise InputError(
            f"the image has {odd} pixels that are NaN or infinite; replace them, e.g. by "
            "numpy.nan_to_num"
        )
    if relabel or segmented.dtype == np.bool_:
        segmented, _ = components(segmented)
    names = distinct(segmented)
    if names[0] < 0:
        raise InputError(f"labels has the negative label {names[0]}; labels are 0 and up")
    names = names[names > 0]
    numbered = np.searchsorted(names, segmented) + 1
    numbered = np.where(segmented > 0, numbered, 0).astype(np.int32)
    pieces = int(components(numbered)[1]) if len(names) == 1 else 1
    return Checked(seen, numbered, names, bool(seen.min() == seen.max()), pieces)


def _grey(image: np.ndarray, shape: Sequence[int], channel: int | str | None) -> np.ndarray:
    """The image without colours."""
    if image.shape == tuple(shape) and channel is None:
        return image
    if image.shape[:-1] != tuple(shape) or image.ndim != len(shape) + 1:
        if image.shape == tuple(shape):
            raise InputError("the image has no colours; leave out channel (--channel)")
        raise InputError(
            f"the image has shape {image.shape}, the labels {tuple(shape)}; give the image that "
            "was segmented, at the same size"
        )
    colours = image.shape[-1]
    if channel is None:
        raise InputError(
            f"the image has {colours} colours (shape {image.shape}); choose one by channel=0 to "
            f'{colours - 1}, or channel="mean" for their mean (--channel)'
        )
    if channel == "mean":
        return image[..., :3].astype(np.float32).mean(-1)
    if not isinstance(channel, int) or not 0 <= channel < colours:
        raise InputError(f'channel must be 0 to {colours - 1}, or "mean"; got {channel!r}')
    return image[..., channel]
