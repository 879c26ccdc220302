"""Centrelines and Betti numbers of a pair of masks, by every peer."""

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from segjax.benchmark.timing import Build, Entry


def centreline_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    """Builders of those that make skeletons."""

    def scikit_image() -> Entry:
        skeletonize = importlib.import_module("skimage.morphology").skeletonize

        def cldice() -> float:
            own = [skeletonize(x) for x in (r, p)]
            inside = [(x & y).sum() / x.sum() for x, y in zip(own, (p, r), strict=True)]
            return 2 * inside[0] * inside[1] / sum(inside)

        # In space, skeletons are not voxel by voxel the same.
        return Entry(cldice, np.atleast_1d, alike=r.ndim == 2)

    return {"scikit-image skeletonize": scikit_image}


def betti_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    """Builders of those that count components, tunnels and cavities."""

    def scikit_image() -> Entry:
        return _error_of(partial(_by_euler_number, importlib.import_module("skimage.measure")))

    def gudhi() -> Entry:
        return _error_of(partial(_by_persistence, importlib.import_module("gudhi")))

    def _error_of(betti: Any) -> Entry:
        error = lambda: sum(abs(a - b) for a, b in zip(betti(r), betti(p), strict=True))
        return Entry(error, np.atleast_1d)

    return {"scikit-image label, euler_number": scikit_image, "GUDHI": gudhi}


def _by_euler_number(measure: Any, mask: np.ndarray) -> list[int]:
    pieces = int(measure.label(mask, connectivity=mask.ndim).max())
    euler = int(measure.euler_number(mask, connectivity=mask.ndim))
    if mask.ndim == 2:
        return [pieces, pieces - euler]
    outside = np.pad(~mask, 1, constant_values=True)
    cavities = int(measure.label(outside, connectivity=1).max()) - 1
    return [pieces, pieces + cavities - euler, cavities]


def _by_persistence(gudhi: Any, mask: np.ndarray) -> list[int]:
    cells = gudhi.CubicalComplex(top_dimensional_cells=np.where(mask, 0.0, 1.0))
    cells.compute_persistence()
    return cells.persistent_betti_numbers(0.0, 0.5)[: mask.ndim]
