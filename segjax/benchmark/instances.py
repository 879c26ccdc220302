"""SEG, panoptic quality and a grid of AP together, by segjax, and one of them by every peer."""

import importlib
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import segjax
from segjax.benchmark.timing import Build, Entry


THRESHOLDS = tuple(k / 20 for k in range(10, 20))
METRICS = ("seg", "pq(strict=False)", *(f"average_precision(threshold={t})" for t in THRESHOLDS))


def scores(r: np.ndarray, p: np.ndarray) -> np.ndarray:
    """All of them, by segjax."""
    found = segjax.evaluate(reference=r, prediction=p, metrics=METRICS)
    return np.array([float(x) for x in found.values()])


def _only(known: dict[str, float]) -> np.ndarray:
    return np.array([known.get(name, np.nan) for name in METRICS])


# Of a list of label maps.


def bincount(rs: Any, ps: Any, most: int, bar: float | None = None) -> Entry:
    """The table of overlaps alone, from which all follows, told how many labels there are."""
    n = np.int32(most + 1)
    work = lambda: [
        np.bincount((r * n + p).reshape(-1), minlength=n * n).reshape(n, n)
        for r, p in zip(rs, ps, strict=True)
    ]
    return Entry(work, bar=bar, alike=False)


def skimage_table(rs: Any, ps: Any) -> Entry:
    """`skimage.metrics.contingency_table`, alone."""
    table = importlib.import_module("skimage.metrics").contingency_table
    return Entry(lambda: [table(r, p) for r, p in zip(rs, ps, strict=True)], alike=False)


def sklearn_table(rs: Any, ps: Any) -> Entry:
    """`sklearn.metrics.cluster.contingency_matrix`, alone."""
    matrix = importlib.import_module("sklearn.metrics.cluster").contingency_matrix
    work = lambda: [
        matrix(r.reshape(-1), p.reshape(-1), sparse=True) for r, p in zip(rs, ps, strict=True)
    ]
    return Entry(work, alike=False)


def stardist(rs: Any, ps: Any, thresholds: tuple[float, ...], bar: float | None = None) -> Entry:
    """`stardist.matching.matching` at each threshold, which gives panoptic quality, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matching = importlib.import_module("stardist.matching").matching
    work = lambda: [
        [matching(r, p, thresh=t) for t in thresholds] for r, p in zip(rs, ps, strict=True)
    ]

    def compared(found: Any) -> np.ndarray:
        names = [f"average_precision(threshold={t})" for t in thresholds]
        rows = [dict(zip(names, (m.accuracy for m in row), strict=True)) for row in found]
        return np.stack([_only(row) for row in rows])

    return Entry(work, compared, bar=bar, slow=True)


def cellpose(rs: Any, ps: Any, bar: float | None = None) -> Entry:
    """`cellpose.metrics.average_precision`."""
    average_precision = importlib.import_module("cellpose.metrics").average_precision
    names = METRICS[2:]
    return Entry(
        lambda: average_precision(rs, ps, list(THRESHOLDS))[0],
        lambda found: np.stack([_only(dict(zip(names, row, strict=True))) for row in found]),
        bar=bar,
        slow=True,
    )


def ctc(r: np.ndarray, p: np.ndarray, folder: Path, bar: float | None = None) -> Entry:
    """SEG from py-ctcmetrics, which knows files alone: from uncompressed TIFF, of one image."""
    import tifffile

    match = importlib.import_module("ctc_metrics.utils.representations").match
    paths = []
    for name, image in (("reference", r), ("prediction", p)):
        paths.append(str(folder / f"{name}.tif"))
        tifffile.imwrite(paths[-1], image.astype(np.uint16))
    seg = lambda: [sum(found[4]) / len(found[0]) for found in [match(*paths)]]
    return Entry(seg, lambda found: np.stack([_only({"seg": found[0]})]), bar=bar, slow=True)


def peers(r: np.ndarray, p: np.ndarray, folder: Path) -> dict[str, Build]:
    """Builders of the peers, for one image of labels that are at most 65,535."""
    most = int(max(r.max(), p.max()))
    ways: dict[str, Build] = {
        "scikit-image contingency_table": partial(skimage_table, [r], [p]),
        "scikit-learn contingency_matrix": partial(sklearn_table, [r], [p]),
        "StarDist, PQ": partial(stardist, [r], [p], (0.5,)),
        "StarDist, ten AP": partial(stardist, [r], [p], THRESHOLDS),
        "cellpose, ten AP": partial(cellpose, [r], [p]),
        "py-ctcmetrics, SEG": partial(ctc, r, p, folder),
    }
    if most < 2**12:  # its table grows with the square
        ways = {"NumPy bincount, table alone": partial(bincount, [r], [p], most), **ways}
    return ways
