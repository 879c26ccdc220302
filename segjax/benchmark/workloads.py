"""What is timed: each workload at growing sizes, by segjax and by every peer that does the same."""

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import segjax
from segjax.benchmark import boundary, components, drawing, instances, overlap, resamples, topology
from segjax.benchmark.timing import Build, Entry
from segjax.ops.components import find_components


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One thing that is done, at any size.

    Attributes:
        name: by which it is asked for.
        title: what is done.
        axis: what a size is.
        sizes: those of the published page.
        quick: those of a quick look.
        elements: of a size: voxels, or resamples, against which the cost is fitted.
        draw: from a seed and a size, what is worked on.
        ours: from what was drawn, the entry of segjax.
        peers: from what was drawn, how to make those of others.
        grows: whether the elements grow with the size, so that a power can be fitted.
    """

    name: str
    title: str
    axis: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    elements: Callable[[int], int]
    draw: Callable[[int, int], Any]
    ours: Callable[..., Entry]
    peers: Callable[..., Mapping[str, Build]]
    grows: bool = True


_SIDES = {2: (128, 256, 512, 1024, 2048, 4096), 3: (64, 128, 256, 512)}
_QUICK = {2: (128, 256, 512), 3: (32, 64, 96)}
_AXIS = {2: "pixels along a side of a square", 3: "voxels along a side of a cube"}
_CLASSES = 8


def _of_images(dims: int, **about: Any) -> Workload:
    return Workload(
        axis=_AXIS[dims],
        sizes=_SIDES[dims],
        quick=_QUICK[dims],
        elements=lambda side: side**dims,
        **about,
    )


# Overlap.


def _dice_of(r: np.ndarray, p: np.ndarray) -> Entry:
    work = lambda: segjax.evaluate(reference=r, prediction=p, metrics=["dice", "iou"])
    return Entry(work, lambda found: np.atleast_1d(found["dice"]))


def _dice_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    return _batch_peers(r[None], p[None])


def _batch(seed: int, cases: int) -> tuple[np.ndarray, np.ndarray]:
    r, p = drawing.balls(seed, 512, 2)
    moved = [np.roll(x, 3 * i, 1) for x in (r, p) for i in range(cases)]
    return np.stack(moved[:cases]), np.stack(moved[cases:])


def _batch_of(r: np.ndarray, p: np.ndarray) -> Entry:
    work = lambda: segjax.evaluate_batch(references=r, predictions=p, metrics=["dice", "iou"])
    return Entry(work, lambda table: table.column("dice"))


def _batch_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    return {name: partial(peer, r, p) for name, peer in overlap.MASKS.items()}


def _classes_of(r: np.ndarray, p: np.ndarray) -> Entry:
    work = lambda: segjax.evaluate(reference=r, prediction=p, metrics=["dice", "iou"])
    return Entry(work, lambda found: np.concatenate(list(found.values())))


def _classes_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    return {name: partial(peer, r, p, _CLASSES) for name, peer in overlap.CLASSES.items()}


# Boundaries.


def _boundary_of(r: np.ndarray, p: np.ndarray) -> Entry:
    work = lambda: segjax.evaluate(reference=r, prediction=p, metrics=boundary.METRICS)
    return Entry(work, lambda found: np.array([list(found.values())], float))


def _boundary_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    return boundary.peers([(r, p)], (1.0,) * r.ndim)


# Objects.


def _instances_of(r: np.ndarray, p: np.ndarray) -> Entry:
    return Entry(lambda: instances.scores(r, p), lambda found: found[None])


def _instances_peers(r: np.ndarray, p: np.ndarray) -> Mapping[str, Build]:
    return instances.peers(r, p, Path(_files().name))


_kept: list[tempfile.TemporaryDirectory] = []


def _files() -> tempfile.TemporaryDirectory:
    """A folder for peers that know files alone, gone when the process is."""
    if not _kept:
        _kept.append(tempfile.TemporaryDirectory())
    return _kept[0]


def _cells(dims: int, seed: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    return drawing.cells(seed, side, dims, drawing.objects_of_size(side, dims))


def _mask_of_cells(dims: int, seed: int, side: int) -> tuple[np.ndarray]:
    return (_cells(dims, seed, side)[0] > 0,)


def _components_of(mask: np.ndarray) -> Entry:
    return Entry(lambda: find_components(mask, connectivity=mask.ndim).size)


def _components_peers(mask: np.ndarray) -> Mapping[str, Build]:
    return components.peers(mask, mask.ndim)


# Topology.


def _metric_of(metric: str, r: np.ndarray, p: np.ndarray) -> Entry:
    work = lambda: segjax.evaluate(reference=r, prediction=p, metrics=[metric])
    return Entry(work, lambda found: np.atleast_1d(found[metric]))


# Resamples.


def _resamples_of(scores: np.ndarray, count: int) -> Entry:
    return Entry(lambda: resamples.whole_board(scores, count), alike=False)


def _drawn_scores(seed: int, count: int) -> tuple[np.ndarray, int]:
    return drawing.scores(seed, 10, 100), count


WORKLOADS = (
    *(
        _of_images(
            dims,
            name=f"overlap-{dims}d",
            title=f"Dice and IoU of a pair of masks, {dims}-D",
            draw=partial(drawing.balls, dims=dims),
            ours=_dice_of,
            peers=_dice_peers,
        )
        for dims in (2, 3)
    ),
    Workload(
        name="batch",
        title="Dice and IoU of many pairs of masks of 512 x 512",
        axis="pairs",
        sizes=(1, 4, 16, 64, 256),
        quick=(1, 4),
        elements=lambda cases: cases * 512**2,
        draw=_batch,
        ours=_batch_of,
        peers=_batch_peers,
    ),
    _of_images(
        3,
        name="classes",
        title=f"Dice and IoU of {_CLASSES} classes, 3-D",
        draw=partial(drawing.layers, dims=3, classes=_CLASSES),
        ours=_classes_of,
        peers=_classes_peers,
    ),
    *(
        _of_images(
            dims,
            name=f"boundary-{dims}d",
            title=f"HD, HD95, ASSD and NSD of a pair of masks that differ by 2 voxels, {dims}-D",
            draw=partial(drawing.balls, dims=dims),
            ours=_boundary_of,
            peers=_boundary_peers,
        )
        for dims in (2, 3)
    ),
    *(
        _of_images(
            dims,
            name=f"instances-{dims}d",
            title=f"SEG, PQ and ten AP, an object every 32 voxels, {dims}-D",
            draw=partial(_cells, dims),
            ours=_instances_of,
            peers=_instances_peers,
        )
        for dims in (2, 3)
    ),
    Workload(
        name="objects",
        title="SEG, PQ and ten AP of 2048 x 2048 pixels, by the number of objects",
        axis="objects",
        sizes=(10, 100, 1_000, 5_000, 20_000),
        quick=(10, 100),
        elements=lambda objects: objects,
        draw=lambda seed, objects: drawing.cells(seed, 2048, 2, objects),
        ours=_instances_of,
        peers=_instances_peers,
        grows=False,
    ),
    *(
        _of_images(
            dims,
            name=f"components-{dims}d",
            title=f"Sizes of connected components, an object every 32 voxels, {dims}-D",
            draw=partial(_mask_of_cells, dims),
            ours=_components_of,
            peers=_components_peers,
        )
        for dims in (2, 3)
    ),
    *(
        _of_images(
            dims,
            name=f"{name}-{dims}d",
            title=f"{title} of a pair of nets of vessels, {dims}-D",
            draw=partial(drawing.vessels, dims=dims),
            ours=partial(_metric_of, metric),
            peers=peers,
        )
        for name, title, metric, peers in (
            ("centreline", "clDice", "cldice", topology.centreline_peers),
            ("betti", "Betti error", "betti_error", topology.betti_peers),
        )
        for dims in (2, 3)
    ),
    Workload(
        name="resamples",
        title="Leaderboard of 10 models and 100 cases: intervals, ranks, pairs",
        axis="resamples",
        sizes=(1_000, 10_000, 100_000, 1_000_000),
        quick=(100, 1_000),
        elements=lambda count: count,
        draw=_drawn_scores,
        ours=_resamples_of,
        peers=resamples.peers,
    ),
)


def n_log_n(low: int, high: int) -> float:
    """The power of N by which N log N grows between two numbers.

    Example:
        >>> round(n_log_n(512**3, 256**3), 2)
        1.06
    """
    grown = lambda n: n * math.log(n)
    return math.log(grown(high) / grown(low)) / math.log(high / low)
