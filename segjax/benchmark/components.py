"""Sizes of connected components, by segjax without an image of them, and by every peer."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from segjax.benchmark.timing import Build, Entry


NEIGHBOURS = {2: {1: 4, 2: 8}, 3: {1: 6, 3: 26}}  # by axes and connectivity


def label_images(labels: np.ndarray, connectivity: int) -> dict[str, Callable[[], Any]]:
    """Of each peer, what makes a label image; raises `ImportError` where it is not installed."""

    def scikit_image() -> Any:
        label = importlib.import_module("skimage.measure").label
        return partial(label, labels, background=0, connectivity=connectivity)

    def scipy() -> Any:
        ndimage = importlib.import_module("scipy.ndimage")
        structure = ndimage.generate_binary_structure(labels.ndim, connectivity)
        return lambda: ndimage.label(labels, structure)[0]

    def cc3d() -> Any:
        label = importlib.import_module("cc3d").connected_components
        return partial(label, labels, connectivity=NEIGHBOURS[labels.ndim][connectivity])

    only_masks = {"scipy": scipy} if labels.dtype == np.bool_ else {}
    return {"scikit-image": scikit_image, **only_masks, "cc3d": cc3d}


def sizes(image: np.ndarray) -> np.ndarray:
    """Voxels of each component, from an image of them."""
    return np.bincount(image.reshape(-1))[1:]


def peers(
    labels: np.ndarray,
    connectivity: int,
    finish: Callable[[np.ndarray], np.ndarray] = sizes,
    bars: Mapping[str, float] | None = None,
) -> dict[str, Build]:
    """Builders of the peers, each making a label image, of which something is made."""

    def build(name: str, way: Callable[[], Any]) -> Entry:
        label = way()
        # cc3d numbers by blocks of voxels, not always in the order of the first ones.
        return Entry(lambda: finish(label()), bar=(bars or {}).get(name), alike=name != "cc3d")

    ways = label_images(labels, connectivity)
    return {name: partial(build, name, way) for name, way in ways.items()}
