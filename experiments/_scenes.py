"""Real images of nuclei with their truth, segmented by several methods."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import segjax
from segjax import io


SAMPLE = Path(segjax.__file__).parent / "data" / "stardist_sample"


class Scene(NamedTuple):
    """An image, its truth, and its segmentations by method."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    segmentations: dict[str, np.ndarray]


def scenes(folder: str, side: int = 0) -> Iterator[Scene]:
    """The images in images/, gt/ and pred/<method>/ of a folder; of none, the bundled sample.

    Args:
        folder: where they are.
        side: of the corner of each image to take; 0 takes the whole.
    """
    where, corner = Path(folder), (slice(side or None),) * 2
    read = lambda path: io.read_labels(path).array[corner]
    look = lambda path: io.read_image(path).array[corner]
    if not folder:
        image = look(SAMPLE / "img2d.tif")
        found = {path.stem: read(path) for path in sorted((SAMPLE / "pred").glob("*.tif"))}
        yield Scene("stardist", image, read(SAMPLE / "mask2d.tif"), found)
        return
    methods = sorted(path.name for path in (where / "pred").iterdir())
    for path in sorted((where / "images").iterdir()):
        at = lambda parent, name=path.stem: read(next(parent.glob(f"{name}.*")))
        found = {method: at(where / "pred" / method) for method in methods}
        yield Scene(path.stem, look(path), at(where / "gt"), found)
