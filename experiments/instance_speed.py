"""Speed of instance metrics: how long do SEG, PQ and a grid of AP take, against every peer?

As in `segjax bench`, all take turns within one process, and `ratio` is the median over
the rounds of CPU time (of all threads) of segjax over that of the peer. Ours is timed from
arrays in host memory to scores; a task is all of SEG, panoptic quality and the average
precision at ten thresholds together, even where the peer computes one of them, or, `numpy
bincount`, none: only the table from which they follow, told how many labels there are.
py-ctcmetrics knows files alone: it reads them from uncompressed TIFF.

Besides, one volume with thousands of objects, with the memory it takes.

    python -m experiments.instance_speed
    python -m experiments.instance_speed --tasks image --rounds 3   # a quick look

The peers: pip install stardist py-ctcmetrics cellpose.
"""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import segjax
from segjax.benchmark.instances import (
    METRICS,
    THRESHOLDS,
    bincount,
    cellpose,
    ctc,
    scores,
    stardist,
)
from segjax.benchmark.timing import COLUMNS, Build, Entry, Rows, contest, most_held, timed


TASKS = ("image", "batch", "volume")
PEERS = ("scipy", "scikit-image", "stardist", "py-ctcmetrics", "cellpose")


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    tasks: tuple[str, ...] = TASKS
    rounds: int = 15
    slow_rounds: int = 5
    side: int = 1024
    objects: int = 500
    batch: int = 64
    batch_side: int = 512
    batch_objects: int = 60
    volume_side: int = 512
    volume_objects: int = 20_000
    seed: int = 0


SMOKE = Config(
    rounds=1, slow_rounds=1, side=96, objects=20, batch=2, batch_side=64, batch_objects=6,
    volume_side=48, volume_objects=100,
)  # fmt: skip


def run(config: Config) -> Rows:
    """One row per task, entry of segjax and peer; and what was measured without a peer."""
    return [row for task in config.tasks for row in _TASKS[task](config)]


def cells(rng: np.random.Generator, side: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The discs nearest to scattered points; in the prediction each is moved and resized."""
    from scipy.spatial import KDTree

    grid = np.stack(np.meshgrid(*(np.arange(side),) * 2, indexing="ij"), -1)
    centres = rng.uniform(0, side, (number, 2))
    radius = 0.55 * side / math.sqrt(number)

    def draw(points: np.ndarray, radii: np.ndarray, names: np.ndarray) -> np.ndarray:
        distance, nearest = KDTree(points).query(grid)
        return np.where(distance < radii[nearest], names[nearest], 0).astype(np.int32)

    numbers = np.arange(1, number + 1)
    moved = centres + rng.normal(0, 0.15 * radius, centres.shape)
    radii = radius * rng.uniform(0.7, 1.1, number)
    return (
        draw(centres, radii, numbers),
        draw(moved, radii * rng.uniform(0.85, 1.1, number), rng.permutation(numbers)),
    )


# One image.


def _image(config: Config) -> Rows:
    r, p = cells(np.random.default_rng(config.seed), config.side, config.objects)
    ours = {"segjax": Entry(lambda: scores(r, p), lambda found: found[None])}
    task = f"{config.objects} objects, {config.side}^2 int32: SEG, PQ, ten AP"
    with tempfile.TemporaryDirectory() as folder:
        peers: dict[str, Build] = {
            "numpy bincount": partial(bincount, [r], [p], config.objects, bar=1.0),
            "stardist PQ": partial(stardist, [r], [p], (0.5,), bar=0.2),
            "stardist AP grid": partial(stardist, [r], [p], THRESHOLDS, bar=0.2),
            "py-ctcmetrics SEG": partial(ctc, r, p, Path(folder), bar=0.2),
            "cellpose AP grid": partial(cellpose, [r], [p], bar=0.2),
        }
        return contest(task, ours, peers, rounds=config.rounds, slow_rounds=config.slow_rounds)


# Many images.


def _batch(config: Config) -> Rows:
    rng = np.random.default_rng(config.seed)
    drawn = [cells(rng, config.batch_side, config.batch_objects) for _ in range(config.batch)]
    rs, ps = (np.stack(x) for x in zip(*drawn, strict=True))
    score_all = partial(
        segjax.evaluate_batch, references=rs, predictions=ps, metrics=METRICS, labels="foreground"
    )
    ours = {
        "evaluate_batch": Entry(score_all, lambda t: np.stack([t.column(m) for m in t.metrics], -1))
    }
    peers: dict[str, Build] = {
        "numpy bincount": partial(bincount, rs, ps, config.batch_objects),
        "stardist PQ": partial(stardist, rs, ps, (0.5,), bar=1 / 3),
        "stardist AP grid": partial(stardist, rs, ps, THRESHOLDS, bar=1 / 3),
        "cellpose AP grid": partial(cellpose, list(rs), list(ps), bar=1 / 3),
    }
    task = (
        f"{config.batch} x {config.batch_side}^2, {config.batch_objects} objects: SEG, PQ, ten AP"
    )
    return contest(task, ours, peers, rounds=config.rounds, slow_rounds=config.slow_rounds)


# A large volume.


def _volume(config: Config) -> Rows:
    """Boxes in a lattice, each moved a little: as many as are asked for."""
    rng = np.random.default_rng(config.seed)
    side = config.volume_side
    a_side = math.ceil(config.volume_objects ** (1 / 3))
    pitch = side // a_side
    r, p = np.zeros((2, side, side, side), np.int32)
    for k in range(config.volume_objects):
        place = np.array(np.unravel_index(k, (a_side,) * 3)) * pitch
        size = rng.integers(pitch // 2, pitch - 2, 3)
        for image, shift in ((r, 0), (p, rng.integers(0, 3, 3))):
            box = tuple(slice(a, a + b) for a, b in zip(place + shift, size, strict=True))
            image[box] = k + 1
    score = lambda: scores(r, p)
    held = most_held(score)
    return [
        {
            "task": f"{config.volume_objects} objects, {side}^3 int32: SEG, PQ, ten AP",
            "seconds": round(timed(score)[0], 3),
            "images_mb": round((r.nbytes + p.nbytes) / 1e6, 1),
            "peak_mb": None if held is None else round(held, 1),
        }
    ]


_TASKS: dict[str, Callable[[Config], Rows]] = {
    "image": _image,
    "batch": _batch,
    "volume": _volume,
}


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show_contest(rows, COLUMNS))
    seconds = time.perf_counter() - start
    print(_record.save("instance_speed", config, rows, seconds, packages=PEERS))
