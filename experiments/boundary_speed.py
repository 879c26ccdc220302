"""Speed of boundary metrics: how long do HD, HD95, ASSD and NSD take, against every peer?

As in `experiments.bench`, all take turns within one process, and `ratio` is the median over
the rounds of CPU time (of all threads) of segjax over that of the peer. For segjax all is timed
from boolean arrays in host memory to scores. The peers called `edt`, `scipy` and `KD-tree` are
the shortest way to the same scores that is known for these libraries: surfaces by erosion, cut
to the joint bounding box where it says so, then a dense transform or a tree.

Besides, how the time grows with the size of the image at a fixed error of the boundary; the
worst cases for a search; and how many programs a folder of differently shaped images compiles.

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
from experiments._contest import (
    COLUMNS,
    Build,
    Entry,
    Rows,
    contest,
    most_held,
    timed,
    torch_of_one_thread,
)
from segjax.case import SURFACES


METRICS = ("hausdorff", "hausdorff(percentile=95)", "assd", "nsd(tolerance=2)")
TOLERANCE = 2.0
TASKS = ("compile", "pairs", "volume", "surfels", "growth", "memory", "worst", "shapes")
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
    sides_2d: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    sides_3d: tuple[int, ...] = (64, 96, 128, 192, 256)
    shapes: int = 64
    seed: int = 0


SMOKE = Config(
    rounds=1,
    slow_rounds=1,
    pairs=2,
    side=64,
    volume=(20, 24, 22),
    sides_2d=(32, 64),
    sides_3d=(16, 24),
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


# Peers: the same four scores, in the same order.


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


def _surface_distance(spacing: Any, r: Any, p: Any) -> Any:
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


def _meshmetrics(spacing: Any, r: Any, p: Any) -> Any:
    calculator = importlib.import_module("meshmetrics").DistanceMetrics(verbose=False)
    calculator.set_input(r, p, spacing=spacing)
    return [calculator.hd(), calculator.hd(95), calculator.assd(), calculator.nsd(TOLERANCE)]


def _peers(
    pairs: list[tuple[Any, Any]], spacing: Any, bars: Mapping[str, float]
) -> dict[str, Build]:
    """Builders of the peers, each scoring all pairs one after the other."""

    def build(name: str, one: Callable[..., Any], needs: str, slow: bool, alike: bool) -> Entry:
        importlib.import_module(needs)
        one(*pairs[0])  # imports what it imports
        return Entry(
            lambda: [one(r, p) for r, p in pairs], bar=bars.get(name), slow=slow, alike=alike
        )

    ways = {
        "edt, cut": (partial(_by_transform, _edt, True, spacing), "edt", False, True),
        "scipy transform, cut": (
            partial(_by_transform, _scipy, True, spacing),
            "scipy",
            True,
            True,
        ),
        "scipy KD-tree": (partial(_by_tree, False, spacing), "scipy", False, True),
        "scipy KD-tree, cut": (partial(_by_tree, True, spacing), "scipy", False, True),
        "surface-distance": (partial(_surface_distance, spacing), "surface_distance", True, False),
        "MONAI": (partial(_monai, spacing), "monai", True, True),
        "medpy hd95": (partial(_medpy, spacing), "medpy", True, False),
    }
    return {name: partial(build, name, *way) for name, way in ways.items()}


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
    peers = _peers(list(zip(r, p, strict=True)), (1.0, 1.0), bars)
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
    rows = contest(task, voxels, _peers([(r, p)], spacing, bars), **turns)
    mesh = {"evaluate, mesh": Entry(partial(score, "mesh"), alike=False)}

    def meshmetrics() -> Entry:
        importlib.import_module("meshmetrics")
        return Entry(lambda: _meshmetrics(spacing, r, p), slow=True, alike=False, bar=0.5)

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
            score = lambda: [_surface_distance(sizes, x, y) for x, y in pairs]
            return Entry(score, bar=round(bar, 4))

        rows += contest(
            task,
            ours,
            {"surface-distance": peer},
            rounds=config.slow_rounds,
            slow_rounds=config.slow_rounds,
        )
    return rows


# (d) How the time grows with the image, the error of the boundary staying the same.


def _growth(config: Config) -> Rows:
    rows: Rows = []
    for sides, dims in ((config.sides_2d, 2), (config.sides_3d, 3)):
        spent = []
        for side in sides:
            r, p = draw(np.random.default_rng(config.seed), (side,) * dims, 2.0)
            spent.append(_seconds(lambda r=r, p=p: _score(r, p), config.rounds))
            rows.append({"task": f"{side}^{dims}", "segjax_cpu_ms": round(1e3 * spent[-1], 3)})
        slope = np.polyfit(np.log(sides), np.log(spent), 1)[0]
        rows.append({"task": f"exponent of the side, {dims}-D", "exponent": round(float(slope), 2)})
    return rows


def _score(r: np.ndarray, p: np.ndarray) -> Any:
    return segjax.evaluate(reference=r, prediction=p, metrics=METRICS)


def _seconds(work: Callable[[], Any], rounds: int) -> float:
    work()
    return max(median(timed(work)[0] for _ in range(rounds)), 1e-6)


# (e) What a search likes least.


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
        peers = _peers([(r, p)], (1.0, 1.0), {"edt, cut": 2.0})
        kept = {k: v for k, v in peers.items() if k in ("edt, cut", "scipy transform, cut")}
        rows += contest(
            f"{config.side}^2, {name}", ours, kept, rounds=config.rounds, slow_rounds=config.rounds
        )
    return rows


# (f) Many shapes, and what compiling costs.


def _shapes(config: Config) -> Rows:
    from segjax._compiling import counting_compilations
    from segjax.ops import distance

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
    search = distance.search

    def watched(table: Any, points: Any, number: Any, *rest: Any, **options: Any) -> Any:
        words = int(np.flatnonzero(table.word)[-1]) + 1 if table.word.any() else 0
        asked.append((words, table.word.size, int(number), points.row.size))
        return search(table, points, number, *rest, **options)

    distance.search = watched
    try:
        with counting_compilations() as seen:
            for r, p in pairs:
                _score(r, p)
            score_all()
    finally:
        distance.search = search
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
    peers = _peers(pairs, (1.0, 1.0), {"edt, cut": 1 / 3})
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
    for side, dims in ((config.sides_2d[-1], 2), (config.sides_3d[-1], 3)):
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
    "growth": _growth,
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
