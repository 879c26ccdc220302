"""HD, HD95, ASSD and NSD of a pair of masks, by segjax and by every peer."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from segjax.benchmark.timing import Build, Entry, torch_of_one_thread


METRICS = ("hausdorff", "hausdorff(percentile=95)", "assd", "nsd(tolerance=2)")
TOLERANCE = 2.0


# Each gives the four scores, in this order.


def _scores(there: np.ndarray, back: np.ndarray) -> list[float]:
    total = there.size + back.size
    return [
        max(there.max(), back.max()),
        max(np.percentile(there, 95), np.percentile(back, 95)),
        (there.sum() + back.sum()) / total,
        (np.count_nonzero(there <= TOLERANCE) + np.count_nonzero(back <= TOLERANCE)) / total,
    ]


def _surface(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return np.logical_and(mask, np.logical_not(ndimage.binary_erosion(mask)))


def _cut(r: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    either, box = r | p, []
    for axis in range(r.ndim):
        there = np.flatnonzero(either.any(tuple(a for a in range(r.ndim) if a != axis)))
        box.append(slice(there[0], there[-1] + 1))
    return r[tuple(box)], p[tuple(box)]


def _by_transform(transform: Callable[..., Any], cut: bool, spacing: Any, r: Any, p: Any) -> Any:
    r, p = _cut(r, p) if cut else (r, p)
    r, p = _surface(r), _surface(p)
    return _scores(transform(~p, spacing)[r], transform(~r, spacing)[p])


def _by_tree(cut: bool, spacing: Any, r: Any, p: Any) -> Any:
    from scipy.spatial import KDTree

    r, p = _cut(r, p) if cut else (r, p)
    r, p = (np.argwhere(_surface(x)) * np.asarray(spacing) for x in (r, p))
    return _scores(KDTree(p).query(r)[0], KDTree(r).query(p)[0])


def _edt(x: np.ndarray, spacing: Any) -> Any:
    return importlib.import_module("edt").edt(x, anisotropy=spacing, black_border=False, parallel=1)


def _scipy(x: np.ndarray, spacing: Any) -> Any:
    from scipy import ndimage

    return ndimage.distance_transform_edt(x, sampling=spacing)


def surface_distance(spacing: Any, r: Any, p: Any) -> Any:
    """`surface_distance.metrics`."""
    metrics = importlib.import_module("surface_distance.metrics")
    d = metrics.compute_surface_distances(r, p, spacing)
    means = metrics.compute_average_surface_distance(d)
    areas = d["surfel_areas_gt"].sum(), d["surfel_areas_pred"].sum()
    return [
        metrics.compute_robust_hausdorff(d, 100),
        metrics.compute_robust_hausdorff(d, 95),
        np.average(means, weights=areas),
        metrics.compute_surface_dice_at_tolerance(d, TOLERANCE),
    ]


def _monai(spacing: Any, r: Any, p: Any) -> Any:
    torch, m = torch_of_one_thread(), importlib.import_module("monai.metrics")
    a, b = (torch.as_tensor(x[None, None]) for x in (r, p))
    options = {"include_background": True, "spacing": spacing}
    return [
        float(m.compute_hausdorff_distance(b, a, **options)),
        float(m.compute_hausdorff_distance(b, a, percentile=95, **options)),
        float(m.compute_average_surface_distance(b, a, symmetric=True, **options)),
        float(m.compute_surface_dice(b, a, class_thresholds=[TOLERANCE], **options)),
    ]


def _medpy(spacing: Any, r: Any, p: Any) -> Any:
    return importlib.import_module("medpy.metric.binary").hd95(p, r, voxelspacing=spacing)


def meshmetrics(spacing: Any, r: Any, p: Any) -> Any:
    """`meshmetrics.DistanceMetrics`."""
    calculator = importlib.import_module("meshmetrics").DistanceMetrics(verbose=False)
    calculator.set_input(r, p, spacing=spacing)
    return [calculator.hd(), calculator.hd(95), calculator.assd(), calculator.nsd(TOLERANCE)]


def _skimage(r: np.ndarray, p: np.ndarray) -> Any:
    return importlib.import_module("skimage.metrics").hausdorff_distance(_surface(r), _surface(p))


def _segauge(spacing: Any, r: np.ndarray, p: np.ndarray) -> Any:
    m = importlib.import_module("segauge").surface_metrics
    return m(p, r, spacing=spacing, nsd_tolerance=TOLERANCE)


def _miseval(r: np.ndarray, p: np.ndarray) -> Any:
    r, p = r.astype(np.uint8), p.astype(np.uint8)  # it takes no masks
    return importlib.import_module("miseval").evaluate(r, p, metric="HD")


class _Way(NamedTuple):
    """A peer: what scores one pair, and the module that it needs."""

    one: Callable[..., Any]
    needs: str
    slow: bool = False
    alike: bool = True


def peers(
    pairs: list[tuple[Any, Any]], spacing: Any, bars: Mapping[str, float] | None = None
) -> dict[str, Build]:
    """Builders of the peers, each scoring all pairs one after the other.

    Those called "edt", "KD-tree" and "transform" are the shortest way to the same scores that is
    known for these libraries: surfaces by erosion, cut to the joint bounding box where it says
    so, then a dense transform or a tree.
    """

    def build(name: str, way: _Way) -> Entry:
        importlib.import_module(way.needs)
        way.one(*pairs[0])  # imports what it imports
        work = lambda: [way.one(r, p) for r, p in pairs]
        return Entry(work, bar=(bars or {}).get(name), slow=way.slow, alike=way.alike)

    ways = {
        "edt, cut": _Way(partial(_by_transform, _edt, True, spacing), "edt"),
        "scipy transform, cut": _Way(
            partial(_by_transform, _scipy, True, spacing), "scipy", slow=True
        ),
        "scipy KD-tree": _Way(partial(_by_tree, False, spacing), "scipy"),
        "scipy KD-tree, cut": _Way(partial(_by_tree, True, spacing), "scipy"),
        "surface-distance": _Way(
            partial(surface_distance, spacing), "surface_distance", slow=True, alike=False
        ),
        "MONAI": _Way(partial(_monai, spacing), "monai", slow=True),
        "medpy hd95": _Way(partial(_medpy, spacing), "medpy", slow=True, alike=False),
    }
    if len(spacing) == 3:  # all that it takes
        ways["segauge"] = _Way(partial(_segauge, spacing), "segauge", slow=True, alike=False)
    if all(s == 1 for s in spacing):  # these know of no spacing
        ways["scikit-image HD"] = _Way(_skimage, "skimage", slow=True, alike=False)
        if len(spacing) == 2:
            ways["miseval HD"] = _Way(_miseval, "miseval", slow=True, alike=False)
    return {name: partial(build, name, way) for name, way in ways.items()}
