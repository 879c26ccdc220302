"""Bring a checked image to what a network takes: its scale, its intensities."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segjax._errors import InputError
from segjax.case import check_spacing
from segjax.quality.card import Card
from segjax.quality.inputs import Checked
from segjax.quality.scaling import (
    LEAST,
    MOST,
    factors,
    resize_image,
    resize_labels,
    scaled_shape,
    typical_diameter,
)


class Prepared(NamedTuple):
    """An image and its segmentation at the scale of a network.

    Attributes:
        image: intensities as they were, resampled.
        labels: resampled.
        factors: by how much each axis was enlarged.
        diameter: of the objects before, in pixels of the last axis.
        diameter_from: "given", "labels" (their median), or "card" where there are no objects.
        flags: what is odd about the scale, in words.
    """

    image: np.ndarray
    labels: np.ndarray
    factors: tuple[float, ...]
    diameter: float
    diameter_from: str
    flags: tuple[str, ...]


def prepare(
    checked: Checked,
    card: Card,
    *,
    diameter: float | None = None,
    spacing: Sequence[float] | float | None = None,
) -> Prepared:
    """Resample an image and its labels so that objects have the diameter of the card.

    Args:
        checked: the image.
        card: of the network.
        diameter: of the objects, in pixels of the last axis; None to take the median of those
            segmented, which misleads if most of them are merged or in pieces.
        spacing: of the voxels; None if it has the ratio of the card's.
    """
    flags: list[str] = []
    source = "given"
    if diameter is None:
        diameter, source, flags = _estimated(checked.labels, card)
    elif not 0 < diameter < np.inf:
        raise InputError(f"diameter must be a positive number of pixels, got {diameter}")
    given = None if spacing is None else check_spacing(spacing, checked.image.ndim)
    by = factors(diameter, card.diameter, given, card.spacing)
    shape = scaled_shape(checked.image.shape, by)
    return Prepared(
        resize_image(checked.image, shape),
        resize_labels(checked.labels, shape),
        by,
        diameter,
        source,
        tuple(flags),
    )


def _estimated(labels: np.ndarray, card: Card) -> tuple[float, str, list[str]]:
    found = typical_diameter(labels)
    if found is None:
        return card.diameter, "card", []
    sane = float(np.clip(found, card.diameter / MOST, card.diameter / LEAST))
    return sane, "labels", [] if sane == found else ["objects of an unusual size: give diameter"]


def normalised(image: np.ndarray, percentiles: tuple[float, float]) -> np.ndarray:
    """As `segjax.simulation.coding.normalise`, without a program for each shape of image."""
    some = image[tuple(slice(None, None, 3 if n > 32 else 1) for n in image.shape)]
    low, high = np.percentile(some, percentiles, method="nearest")
    span = high - low if high > low else 1.0
    return np.clip((image - low) / np.float32(span), -0.2, 1.3).astype(np.float32)
