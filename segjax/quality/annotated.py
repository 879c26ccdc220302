"""A user's own annotated images, to train on: read, scaled, and shared out."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax.quality.card import Card
from segjax.quality.inputs import check
from segjax.quality.pairs import pair_images
from segjax.quality.preparing import normalised, prepare
from segjax.quality.tiling import padded
from segjax.quality.training import Pools
from segjax.simulation.coding import PERCENTILES
from segjax.simulation.pairs import Pool


_HELD = 5  # each fifth image is held out
_LARGEST = 2**29  # voxels of all images together, padded


def read_pools(
    images: Path,
    labels: Path,
    patch: tuple[int, ...],
    *,
    diameter: float | None = None,
    channel: int | str | None = None,
) -> Pools:
    """Read folders of images and their true label maps.

    Each image is normalised and scaled so that its objects have the diameter that networks know.
    Each fifth is held out for validation, calibration and tests, so that no image is both
    learned from and judged on.

    Args:
        images: folder of images.
        labels: folder of their true label maps, named alike.
        patch: shape of the patches to be cut.
        diameter: of the objects, in pixels; None to take the median of each image.
        channel: of images with colours, which one, or "mean".

    Raises:
        InputError: if there are fewer than two pairs with objects, or a file cannot be used.
    """
    card = Card("annotated", patch)
    found = []
    for pair in pair_images(images, labels).pairs:
        if pair.prediction is None:
            continue
        where = pair.prediction
        try:
            checked = check(
                io.read_image(pair.reference).array,
                io.read_labels(where).array,
                len(patch),
                channel=channel,
            )
            made = prepare(checked, card, diameter=diameter)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if made.labels.any():
            image = normalised(made.image, PERCENTILES)
            found.append((padded(image, patch), padded(made.labels, patch)))
    if len(found) < 2:
        raise InputError(
            f"{labels}: {len(found)} annotated images with objects are too few to train on: one "
            f"is held out, so give 2 or more (20 are a good start)"
        )
    held = found[::_HELD]
    learned = [x for i, x in enumerate(found) if i % _HELD]
    return Pools(_stacked(learned, labels), _stacked(held, labels))


def _stacked(images: list[tuple[np.ndarray, np.ndarray]], source: Path) -> Pool:
    shapes = np.array([image.shape for image, _ in images], np.int32)
    largest = shapes.max(0)
    if int(np.prod(largest, dtype=np.int64)) * len(images) > _LARGEST:
        raise InputError(f"{source}: the images are too large to be held at once; crop them")
    fill = lambda x: np.pad(x, [(0, n - m) for n, m in zip(largest, x.shape, strict=True)])
    return Pool(
        jnp.asarray(np.stack([fill(image) for image, _ in images]), jnp.float32),
        jnp.asarray(np.stack([fill(labels) for _, labels in images]), jnp.int32),
        jnp.asarray(shapes),
    )
