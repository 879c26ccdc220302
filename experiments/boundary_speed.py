"""Speed of boundary metrics: how long do HD, HD95, ASSD and NSD take, against every peer?

As in `segjax bench`, all take turns within one process, and `ratio` is the median over
the rounds of CPU time (of all threads) of segjax over that of the peer. For segjax all is timed
from boolean arrays in host memory to scores. The peers called `edt`, `scipy` and `KD-tree` are
the shortest way to the same scores that is known for these libraries: surfaces by erosion, cut
to the joint bounding box where it says so, then a dense transform or a tree.

Besides, the worst cases for a search; what it holds; and how many programs a folder of
differently shaped images compiles. How the time grows with the image: `segjax bench`.

    python -m experiments.boundary_speed
    python -m experiments.boundary_speed --tasks pairs volume --rounds 3   # a quick look

The peers: pip install edt surface-distance monai medpy pymeshmetrics.
"""

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import jax
import numpy as np

import segjax
from segjax.benchmark import boundary
from segjax.benchmark.boundary import METRICS
from segjax.benchmark.timing import (
    COLUMNS,
    Entry,
    Rows,
    contest,
    most_held,
    timed,
)
from segjax.case import SURFACES


TASKS = ("compile", "pairs", "volume", "surfels", "memory", "worst", "shapes")
PEERS = ("scipy", "edt", "surface-distance", "monai", "torch", "medpy", "pymeshmetrics")


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    tasks: tuple[str, ...] = TASKS
    rounds: int = 11
    slow_rounds: int = 3
    pairs: int = 64
    side: int = 512
    volume: tuple[int, ...] = (160, 192, 160)
    side_2d: int = 2048  # of what memory is measured
    side_3d: int = 256
    shapes: int = 64
    seed: int = 0


SMOKE = Config(
    rounds=1,
    slow_rounds=1,
    pairs=2,
    side=64,
    volume=(20, 24, 22),
    side_2d=64,
    side_3d=24,
    shapes=3,
)


def run(config: Config) -> Rows:
    """One row per task, entry of segjax and peer; and what was measured without a peer."""
    return [row for task in config.tasks for row in _TASKS[task](config)]


# Data.


def _wavy(rng: np.random.Generator, shape: tuple[int, ...], waves: int) -> np.ndarray:
    """A smooth random field of mean 0 and standard deviation 1."""
    from scipy import ndimage

    coarse = rng.normal(size=(waves,) * len(shape)).astype(np.float32)
    factors = [n / waves for n in shape]
    field = np.asarray(ndimage.zoom(coarse, factors, order=3, grid_mode=True, mode="grid-wrap"))
    return (field - field.mean()) / field.std()


def draw(
    rng: np.random.Generator, shape: tuple[int, ...], error: float
) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy ball, and the same warped by some `error` voxels (standard deviation)."""
    from scipy import ndimage

    short = min(shape)
    place = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    centre = [n * rng.uniform(0.45, 0.55) for n in shape]
    stretch = rng.uniform(0.8, 1.2, len(shape))
    radius = rng.uniform(0.22, 0.3) * short
    far = np.sqrt(sum(((x - c) * s) ** 2 for x, c, s in zip(place, centre, stretch, strict=True)))
    field = (radius - far) / radius + 0.2 * _wavy(rng, shape, 12)
    warped = [x + error * _wavy(rng, shape, 12) for x in place]
    moved = ndimage.map_coordinates(field, warped, order=1, mode="nearest")
    return field > 0, moved > 0


def _pictures(config: Config) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(config.seed)
    pairs = [draw(rng, (config.side,) * 2, rng.uniform(2, 5)) for _ in range(config.pairs)]
    r, p = (np.stack(x) for x in zip(*pairs, strict=True))
    return r, p


# (a) Many pictures, and (b) one volume.


def _pairs(config: Config) -> Rows:
    r, p = _pictures(config)
    ours = {
        "evaluate_batch": Entry(
            lambda: segjax.evaluate_batch(references=r, predictions=p, metrics=METRICS),
            lambda table: np.stack([table.column(m) for m in table.metrics], -1),
        )
    }
    bars = {"edt, cut": 0.25, "scipy KD-tree": 0.25, "surface-distance": 0.1}
    peers = boundary.peers(list(zip(r, p, strict=True)), (1.0, 1.0), bars)
    task = f"{config.pairs} pairs of {config.side}^2"
    return contest(task, ours, peers, rounds=config.rounds, slow_rounds=config.slow_rounds)


def _volume_pair(config: Config) -> tuple[np.ndarray, np.ndarray]:
    return draw(np.random.default_rng(config.seed), config.volume, 2.0)


def _volume(config: Config) -> Rows:
    r, p = _volume_pair(config)
    spacing = (1.5, 1.0, 1.0)
    score = lambda surface: segjax.evaluate(
        reference=r, prediction=p, metrics=METRICS, spacing=spacing, surface=surface
    )
    voxels = {"evaluate": Entry(partial(score, "voxel"), _row_of)}
    bars = {"edt, cut": 0.25, "scipy KD-tree": 0.25, "scipy KD-tree, cut": 0.25}
    task = " x ".join(map(str, config.volume))
    turns = {"rounds": config.rounds, "slow_rounds": config.slow_rounds}
    rows = contest(task, voxels, boundary.peers([(r, p)], spacing, bars), **turns)
    mesh = {"evaluate, mesh": Entry(partial(score, "mesh"), alike=False)}

    def meshmetrics() -> Entry:
        importlib.import_module("meshmetrics")
        return Entry(lambda: boundary.meshmetrics(spacing, r, p), slow=True, alike=False, bar=0.5)

    return rows + contest(task, mesh, {"MeshMetrics": meshmetrics}, **turns)


def _row_of(scores: Mapping[str, Any]) -> np.ndarray:
    return np.array([list(scores.values())], float)


# (c) Surfels.


def _surfels(config: Config) -> Rows:
    rows = []
    r, p = _pictures(config)
    stack = {
        "evaluate_batch, surfel": Entry(
            lambda: segjax.evaluate_batch(
                references=r, predictions=p, metrics=METRICS, surface="surfel"
            ),
            lambda table: np.stack([table.column(m) for m in table.metrics], -1),
        )
    }
    a, b = _volume_pair(config)
    spacing = (1.5, 1.0, 1.0)
    one = {
        "evaluate, surfel": Entry(
            lambda: segjax.evaluate(
                reference=a, prediction=b, metrics=METRICS, spacing=spacing, surface="surfel"
            ),
            _row_of,
        )
    }
    shape = " x ".join(map(str, config.volume))
    for task, ours, pairs, sizes, bar in (
        (
            f"{config.pairs} pairs of {config.side}^2",
            stack,
            list(zip(r, p, strict=True)),
            (1.0, 1.0),
            1 / 3,
        ),
        (shape, one, [(a, b)], spacing, 1 / 12),
    ):

        def peer(pairs: Any = pairs, sizes: Any = sizes, bar: float = bar) -> Entry:
            importlib.import_module("surface_distance")
            score = lambda: [boundary.surface_distance(sizes, x, y) for x, y in pairs]
            return Entry(score, bar=round(bar, 4))

        rows += contest(
            task,
            ours,
            {"surface-distance": peer},
            rounds=config.slow_rounds,
            slow_rounds=config.slow_rounds,
        )
    return rows


# (d) What a search likes least, and what it holds.


def _score(r: np.ndarray, p: np.ndarray) -> Any:
    return segjax.evaluate(reference=r, prediction=p, metrics=METRICS)


def _seconds(work: Callable[[], Any], rounds: int) -> float:
    work()
    return max(median(timed(work)[0] for _ in range(rounds)), 1e-6)


def _worst_pairs(side: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    disc = lambda cy, cx: np.hypot(y - cy * side, x - cx * side) < 0.1 * side
    noise = rng.random((2, side, side)) < 0.5
    few = rng.random((side, side)) < 4 / side
    line, other, pixel = np.zeros((3, side, side), bool)
    line[1], other[-2], pixel[0, 0] = True, True, True
    return {
        "discs in opposite corners": (disc(0.12, 0.12), disc(0.88, 0.88)),
        "noise against noise": (noise[0], noise[1]),
        "noise against sparse noise": (noise[0], few),
        "two far lines": (line, other),
        "stripes against one pixel": ((y % 3 == 0), pixel),
        "stripes against a far line": ((y % 3 == 0), line),
    }


def _worst(config: Config) -> Rows:
    rows = []
    for name, (r, p) in _worst_pairs(config.side, config.seed).items():
        ours = {"evaluate": Entry(partial(_score, r, p), _row_of)}
        peers = boundary.peers([(r, p)], (1.0, 1.0), {"edt, cut": 2.0})
        kept = {k: v for k, v in peers.items() if k in ("edt, cut", "scipy transform, cut")}
        rows += contest(
            f"{config.side}^2, {name}", ours, kept, rounds=config.rounds, slow_rounds=config.rounds
        )
    return rows


# (e) Many shapes, and what compiling costs.


def _shapes(config: Config) -> Rows:
    from segjax._compiling import counting_compilations
    from segjax.ops import surfaces

    rng = np.random.default_rng(config.seed)
    low, high = config.side // 4, config.side
    pairs = [
        draw(rng, tuple(rng.integers(low, high, 2).tolist()), 3.0) for _ in range(config.shapes)
    ]
    references, predictions = map(list, zip(*pairs, strict=True))
    score_all = lambda: segjax.evaluate_batch(
        references=references, predictions=predictions, metrics=METRICS
    )
    jax.clear_caches()
    asked: list[tuple[int, int, int, int]] = []
    make_search = surfaces._search

    def watched(*which: Any) -> Callable[..., Any]:
        search = make_search(*which)

        def call(points: Any, number: Any, squared: Any, table: Any, *rest: Any) -> Any:
            words = int(np.flatnonzero(table.word)[-1]) + 1 if table.word.any() else 0
            asked.append((words, table.word.size, int(np.sum(number)), points.row.size))
            return search(points, number, squared, table, *rest)

        return call

    surfaces._search = watched
    try:
        with counting_compilations() as seen:
            for r, p in pairs:
                _score(r, p)
            score_all()
    finally:
        surfaces._search = make_search
    words, table, points, room = np.sum(asked, axis=0)
    task = f"{config.shapes} pairs of different shapes"
    ours = {
        "evaluate": Entry(
            lambda: [_score(r, p) for r, p in pairs],
            lambda all_scores: np.concatenate([_row_of(x) for x in all_scores]),
        ),
        "evaluate_batch": Entry(
            score_all, lambda table: np.stack([table.column(m) for m in table.metrics], -1)
        ),
    }
    peers = boundary.peers(pairs, (1.0, 1.0), {"edt, cut": 1 / 3})
    kept = {k: v for k, v in peers.items() if k in ("edt, cut", "scipy KD-tree, cut")}
    rows = contest(task, ours, kept, rounds=config.rounds, slow_rounds=config.slow_rounds)
    return [
        *rows,
        {
            "task": task,
            "programs": seen["programs"],
            "variants_of_the_search": len({(b, d) for _, b, _, d in asked}),
            "padded_to_needed_words": round(table / words, 2),
            "padded_to_needed_points": round(room / points, 2),
        },
    ]


def _memory(config: Config) -> Rows:
    """The most that scoring a pair holds beside the masks, where Linux tells."""
    rows: Rows = []
    for side, dims in ((config.side_2d, 2), (config.side_3d, 3)):
        r, p = draw(np.random.default_rng(config.seed), (side,) * dims, 2.0)
        for surface in SURFACES:
            score = lambda r=r, p=p, surface=surface: segjax.evaluate(
                reference=r, prediction=p, metrics=METRICS, surface=surface
            )
            score()
            held = most_held(score)
            if held is not None:
                task = f"memory, {side}^{dims}, {surface}"
                rows.append({"task": task, "peak_mb": round(held, 1)})
    return rows


def _compile(config: Config) -> Rows:
    """CPU time of the first call and of the second, and what of it the disk cache saves."""
    rows: Rows = []
    for dims, spacing in ((2, None), (3, (1.5, 1.0, 1.0))):
        shape = (48,) * dims
        r, p = draw(np.random.default_rng(config.seed), shape, 1.0)
        score = lambda r=r, p=p, spacing=spacing: segjax.evaluate(
            reference=r, prediction=p, metrics=METRICS, spacing=spacing
        )
        jax.clear_caches()
        kept = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
        jax.config.update("jax_enable_compilation_cache", False)
        first = timed(score)[0]
        jax.config.update("jax_enable_compilation_cache", kept)
        seconds = max(first - _seconds(score, 3), 0.0)
        rows.append(
            {
                "task": f"compiling the search, {dims}-D",
                "seconds": round(seconds, 2),
                "bar_seconds": 6.0,
                "met": seconds <= 6,
            }
        )
    return rows


_TASKS: Mapping[str, Callable[[Config], Rows]] = {
    "compile": _compile,
    "pairs": _pairs,
    "volume": _volume,
    "surfels": _surfels,
    "memory": _memory,
    "worst": _worst,
    "shapes": _shapes,
}


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show_contest(rows, COLUMNS))
    seconds = time.perf_counter() - start
    print(_record.save("boundary_speed", config, rows, seconds, packages=PEERS))
