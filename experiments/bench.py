"""Speed: is counting with segjax as quick as the quickest library that is commonly used?

Every row sets segjax against one peer. All take turns within one process, in reversed order
every other round, and `ratio` is the median over the rounds of CPU time (of all threads)
of segjax over that of the peer: below 1 segjax is quicker. `bar` is what we ask of it.
Scores are compared before anything is timed; compiling is not timed except where a row
says so. For segjax all is timed from arrays in host memory to scores; a peer is given arrays
of its own type, the one it is quickest with. Peers that are not installed are listed as absent.

    python -m experiments.bench
    python -m experiments.bench --tasks masks segments --rounds 5   # a quick look

The peers: pip install medpy scikit-image scikit-learn monai torchmetrics segauge.
"""

import importlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import segjax
from experiments._contest import (
    COLUMNS,
    Build,
    Entry,
    Rows,
    compared,
    contest,
    spent,
    torch_of_one_thread,
)


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    tasks: tuple[str, ...] = ("startup", "folder", "masks", "classes", "segments")
    rounds: int = 21
    slow_rounds: int = 3  # of peers that take seconds
    process_rounds: int = 5  # of what is timed as a whole process
    masks: int = 64
    mask_side: int = 512
    classes: int = 8
    volume_side: int = 256
    segments: int = 500
    map_side: int = 1024
    pairs: int = 200
    shapes: int = 20
    picture_side: int = 512
    seed: int = 0


SMOKE = Config(
    rounds=1,
    slow_rounds=1,
    process_rounds=1,
    masks=4,
    mask_side=32,
    volume_side=16,
    segments=12,
    map_side=64,
    pairs=4,
    shapes=2,
    picture_side=32,
)
PEERS = ("scipy", "pillow", "medpy", "scikit-image", "scikit-learn", "torch", "monai")
PEERS += ("torchmetrics", "segauge")


def run(config: Config) -> Rows:
    """One row per task, entry of segjax, and peer; and what was measured without a peer."""
    return [row for task in config.tasks for row in _TASKS[task](config)]


# Dice and IoU of a stack of masks.


def _masks(config: Config) -> Rows:
    rows = []
    for kind, draw in (("random", _random_masks), ("blob", _blobs)):
        r, p = draw(config)
        ours = {
            "evaluate_batch": Entry(
                lambda r=r, p=p: segjax.evaluate_batch(
                    references=r, predictions=p, metrics=["dice", "iou"]
                ),
                lambda table: table.column("dice"),
            ),
            "count_masks": Entry(
                lambda r=r, p=p: segjax.statistics.count_masks(reference=r, prediction=p),
                lambda c: 2 * c.tp / (c.reference_size + c.prediction_size),
            ),
        }
        peers: dict[str, Build] = {
            "numpy count_nonzero": partial(_numpy_masks, r, p),
            "medpy dc": partial(_medpy_masks, r, p),
            "segauge dice": partial(_segauge_masks, r, p),
            "MONAI DiceMetric": partial(_monai_masks, r, p),
            "MONAI compute_iou": partial(_monai_iou, r, p),
            "torchmetrics dice_score": partial(_torchmetrics_masks, r, p),
        }
        task = f"{config.masks} x {config.mask_side}^2, {kind} masks"
        rows += contest(task, ours, peers, rounds=config.rounds, slow_rounds=config.slow_rounds)
    return rows


def _random_masks(config: Config) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(config.seed)
    shape = (2, config.masks, config.mask_side, config.mask_side)
    r, p = rng.random(shape, np.float32) < 0.5
    return r, p


def _blobs(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Unions of three ellipses; the prediction's are a little off."""
    rng = np.random.default_rng(config.seed)
    axis = np.linspace(-1, 1, config.mask_side, dtype=np.float32)
    centre = rng.uniform(-0.6, 0.6, (3, config.masks, 2)).astype(np.float32)
    radius = rng.uniform(0.1, 0.3, (3, config.masks, 2)).astype(np.float32)
    masks = []
    for shift, growth in ((0, 1), (0.02, 1.05)):
        y, x = (
            ((axis - c[..., None] - shift) / (growth * s[..., None])) ** 2
            for c, s in zip(np.moveaxis(centre, -1, 0), np.moveaxis(radius, -1, 0), strict=True)
        )
        each = (y[i, :, :, None] + x[i, :, None, :] < 1 for i in range(3))
        masks.append(next(each) | next(each) | next(each))
    return masks[0], masks[1]


def _numpy_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    def work() -> list[float]:
        dice = []
        for a, b in zip(r, p, strict=True):
            both, sizes = np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
            dice.append(2 * both / sizes)
        return dice

    return Entry(work, bar=1.0)


def _medpy_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    dc = importlib.import_module("medpy.metric.binary").dc
    return Entry(lambda: [dc(b, a) for a, b in zip(r, p, strict=True)], bar=1.0)


def _segauge_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    dice = importlib.import_module("segauge").dice
    return Entry(lambda: [dice(b, a) for a, b in zip(r, p, strict=True)], bar=1.0)


def _monai_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    torch, metrics = torch_of_one_thread(), importlib.import_module("monai.metrics")
    a, b = (torch.as_tensor(x[:, None]).float() for x in (r, p))
    dice = metrics.DiceMetric(reduction="none", ignore_empty=False)
    return Entry(lambda: dice(b, a), _flat, bar=0.1)


def _monai_iou(r: np.ndarray, p: np.ndarray) -> Entry:
    torch, metrics = torch_of_one_thread(), importlib.import_module("monai.metrics")
    a, b = (torch.as_tensor(x[:, None]).float() for x in (r, p))
    as_dice = lambda scores: 2 * _flat(scores) / (1 + _flat(scores))
    return Entry(lambda: metrics.compute_iou(b, a, ignore_empty=False), as_dice)


def _torchmetrics_masks(r: np.ndarray, p: np.ndarray) -> Entry:
    torch = torch_of_one_thread()
    dice = importlib.import_module("torchmetrics.functional.segmentation").dice_score
    a, b = (torch.as_tensor(x[:, None]).long() for x in (r, p))
    work = lambda: dice(b, a, num_classes=1, average=None)
    return Entry(work, _flat, bar=0.1)


def _flat(scores: Any) -> np.ndarray:
    return np.asarray(scores).reshape(-1)


# Dice and IoU per class of a volume.


def _classes(config: Config) -> Rows:
    r, p = _layers(config)
    most = config.classes
    ours = {
        "evaluate": Entry(
            lambda: segjax.evaluate(reference=r, prediction=p, metrics=["dice", "iou"]),
            lambda scores: np.concatenate(list(scores.values())),
        )
    }
    peers: dict[str, Build] = {
        "numpy bincount, int64 pairs": partial(_numpy_classes, r, p, most, np.int64),
        "numpy bincount, uint8 pairs": partial(_numpy_classes, r, p, most, np.uint8),
        "MONAI compute_dice": partial(_monai_classes, r, p, most),
        "torchmetrics confusion_matrix": partial(_torchmetrics_classes, r, p, most),
    }
    task = f"{most} classes and background, {config.volume_side}^3 uint8"
    return contest(task, ours, peers, rounds=config.rounds, slow_rounds=config.slow_rounds)


def _layers(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Classes of equal size, as layers of a smooth field; the prediction's are shifted."""
    rng = np.random.default_rng(config.seed)
    field = _smooth(rng, (config.volume_side,) * 3)
    borders = np.quantile(field, np.arange(1, config.classes + 1) / (config.classes + 1))
    r = np.searchsorted(borders, field).astype(np.uint8)
    return r, np.roll(r, 2, (0, 1, 2))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    from scipy import ndimage

    return np.asarray(ndimage.zoom(rng.random((8,) * len(shape)), [n / 8 for n in shape], order=1))


def _dice_and_iou(table: np.ndarray) -> np.ndarray:
    both, sizes = np.diag(table)[1:], (table.sum(0) + table.sum(1))[1:]
    return np.concatenate([2 * both / sizes, both / (sizes - both)])


def _numpy_classes(r: np.ndarray, p: np.ndarray, most: int, dtype: Any) -> Entry:
    n = most + 1
    if n * n > np.iinfo(dtype).max + 1:
        raise ValueError(f"{n} x {n} pairs do not fit in {np.dtype(dtype)}")

    def work() -> np.ndarray:
        pairs = r * dtype(n) + p
        return _dice_and_iou(np.bincount(pairs.reshape(-1), minlength=n * n).reshape(n, n))

    return Entry(work, bar=round(1 / 1.5, 4))


def _monai_classes(r: np.ndarray, p: np.ndarray, most: int) -> Entry:
    torch, metrics = torch_of_one_thread(), importlib.import_module("monai.metrics")
    a, b = (torch.as_tensor(x[None, None]).float() for x in (r, p))

    def work() -> np.ndarray:
        dice = metrics.compute_dice(b, a, include_background=False, num_classes=most + 1)
        dice = _flat(dice)
        return np.concatenate([dice, dice / (2 - dice)])  # its own IoU would take as long again

    return Entry(work, bar=0.05, slow=True)


def _torchmetrics_classes(r: np.ndarray, p: np.ndarray, most: int) -> Entry:
    torch = torch_of_one_thread()
    count = importlib.import_module(
        "torchmetrics.functional.classification"
    ).multiclass_confusion_matrix
    a, b = (torch.as_tensor(x).long() for x in (r, p))

    def work() -> np.ndarray:
        return _dice_and_iou(
            np.asarray(count(b, a, num_classes=most + 1, validate_args=False), float)
        )

    return Entry(work, slow=True)


# How often segments meet.


def _segments(config: Config) -> Rows:
    r, p = _cells(config)
    n = config.segments + 1

    def count() -> Any:
        return segjax.statistics.count_segments(segjax.case.make_case(reference=r, prediction=p))

    def bincount() -> np.ndarray:  # told how many labels there are
        return np.bincount((r * np.int32(n) + p).reshape(-1), minlength=n * n).reshape(n, n)

    ours = {"count_segments": Entry(count, lambda c: _occurring(c.table))}
    peers: dict[str, Build] = {
        "numpy bincount": lambda: Entry(bincount, _occurring, bar=1.0),
        "skimage contingency_table": partial(_skimage_segments, r, p),
        "sklearn contingency_matrix": partial(_sklearn_segments, r, p),
    }
    task = f"{config.segments} segments, {config.map_side}^2 int32"
    return contest(task, ours, peers, rounds=config.rounds, slow_rounds=config.slow_rounds)


def _cells(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The discs nearest to scattered points; the prediction is shifted and numbered anew."""
    from scipy.spatial import KDTree

    rng = np.random.default_rng(config.seed)
    side = config.map_side
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1)
    distance, nearest = KDTree(rng.uniform(0, side, (config.segments, 2))).query(grid)
    radius = 0.6 * side / math.sqrt(config.segments)
    r = np.where(distance < radius, nearest + 1, 0).astype(np.int32)
    number = np.concatenate([[0], 1 + rng.permutation(config.segments)]).astype(np.int32)
    return r, number[np.roll(r, (3, 5), (0, 1))]


def _occurring(table: Any) -> np.ndarray:
    table = np.asarray(table)
    return table[table.any(1)][:, table.any(0)]


def _skimage_segments(r: np.ndarray, p: np.ndarray) -> Entry:
    table = importlib.import_module("skimage.metrics").contingency_table
    return Entry(lambda: table(r, p), lambda t: _occurring(t.toarray()))


def _sklearn_segments(r: np.ndarray, p: np.ndarray) -> Entry:
    matrix = importlib.import_module("sklearn.metrics.cluster").contingency_matrix
    work = lambda: matrix(r.reshape(-1), p.reshape(-1), sparse=True)
    return Entry(work, lambda t: t.toarray(), slow=True)


# A folder, from a process that knows nothing yet.

_CLASSES = 4  # of the pictures, background included


def _folder(config: Config) -> Rows:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _write_pictures(place, config)
        ways = {
            "warm cache": lambda i: _child("_score_folder", place, cache=place / "warm"),
            "cold cache": lambda i: _child("_score_folder", place, cache=place / f"cold{i}"),
            "peer": lambda i: _child("_score_plainly", place),
        }
        _child("_score_folder", place, cache=place / "warm")
        seen: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for i in range(config.process_rounds):
            for way in reversed(ways) if i % 2 else ways:
                seen[way].append(ways[way](i))
    for way in seen:
        np.testing.assert_allclose(seen[way][0]["dice"], seen["peer"][0]["dice"], rtol=1e-12)
    task = f"folder of {config.pairs} PNG pairs, {config.shapes} shapes"
    return [
        _folder_row(task, cache, part, seen[cache], seen["peer"])
        for cache in ("warm cache", "cold cache")
        for part in ("process", "call")
    ]


def _folder_row(
    task: str, cache: str, part: str, ours: Sequence[Any], peer: Sequence[Any]
) -> dict[str, Any]:
    name = "whole process" if part == "process" else "after imports"
    row = compared(
        task,
        f"folder.run, {name}, {cache}",
        [x[part] for x in ours],
        "pillow + numpy bincount",
        [x[part] for x in peer],
        1.5,
    )
    return row | {
        "first_case_s": round(median(x["first"][part] for x in ours), 3),
        "compiled": ours[0]["programs"] - ours[0]["from_cache"],
        "from_cache": ours[0]["from_cache"],
        "segjax_peak_mb": round(median(x["peak_mb"] for x in ours), 1),
        "peer_peak_mb": round(median(x["peak_mb"] for x in peer), 1),
    }


def _write_pictures(place: Path, config: Config) -> None:
    from PIL import Image

    rng = np.random.default_rng(config.seed)
    for folder in ("references", "predictions"):
        (place / folder).mkdir()
    for i in range(config.pairs):
        k = i % config.shapes
        shape = (config.picture_side + 7 * k, config.picture_side + 16 * (k // 2))
        r = np.digitize(_smooth(rng, shape), np.linspace(0, 1, _CLASSES + 1)[1:-1]).astype(np.uint8)
        for folder, x in (("references", r), ("predictions", np.roll(r, 2, (0, 1)))):
            Image.fromarray(x).save(place / folder / f"case{i:04}.png")


def _child(function: str, *arguments: Any, cache: Path | None = None) -> dict[str, Any]:
    """Call a function of this file in a new process.

    Returns:
        What the child printed; "process" with its CPU and wall time in seconds, start-up
        and all; and the wall time until its first case, since either start.
    """
    code = f"from experiments import bench; bench.{function}(*{list(map(str, arguments))!r})"
    spent, begun, text = _process(["-c", code], cache)
    told = json.loads(text)
    if "first_at" in told:
        told["first"] = {
            "process": told["first_at"] - begun,
            "call": told["first_at"] - told["begun_at"],
        }
    return told | {"process": spent}


def _process(
    arguments: Sequence[str], cache: Path | None = None
) -> tuple[tuple[float, float], float, str]:
    drop = ("JAX_COMPILATION_CACHE_DIR", "SEGJAX_CACHE")
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    if cache is not None:
        environment["SEGJAX_CACHE"] = str(cache)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun, wall = time.time(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (cpu, wall), begun, done.stdout


def _score_folder(place: str) -> None:
    """In a child: what `segjax evaluate` does, without the output."""
    from segjax import folder

    first: list[float] = []

    def progress(done: int, total: int, name: str) -> None:
        if not first:
            first.append(time.time())

    options = folder.Options(metrics=("dice", "iou"))
    begun, cpu, wall = time.time(), time.process_time(), time.perf_counter()
    report = folder.run(
        Path(place) / "references", Path(place) / "predictions", options, progress=progress
    )
    spent = time.process_time() - cpu, time.perf_counter() - wall
    labels = range(1, _CLASSES)
    dice = np.stack([report.table.column("dice", k) for k in labels], -1)
    _tell(spent, dice, begun_at=begun, first_at=first[0], **report.summary["compilations"])


def _score_plainly(place: str) -> None:
    """In a child: read the same files, count pairs of labels, and take Dice and IoU."""
    from PIL import Image

    dice = []
    cpu, wall = time.process_time(), time.perf_counter()
    for path in sorted((Path(place) / "references").iterdir()):
        r = np.asarray(Image.open(path))
        p = np.asarray(Image.open(Path(place) / "predictions" / path.name))
        pairs = np.bincount((r * np.uint8(_CLASSES) + p).reshape(-1), minlength=_CLASSES**2)
        dice.append(_dice_and_iou(pairs.reshape(_CLASSES, _CLASSES))[: _CLASSES - 1])
    _tell((time.process_time() - cpu, time.perf_counter() - wall), np.stack(dice))


def _tell(spent: tuple[float, float], dice: np.ndarray, **more: Any) -> None:
    print(json.dumps({"call": spent, "dice": dice.tolist(), "peak_mb": _peak_mb(), **more}))


def _peak_mb() -> float:
    # Linux hands ru_maxrss down from the process that started this one; VmHWM begins anew.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


# Starting.


def _startup(config: Config) -> Rows:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        small = Config(pairs=1, shapes=1, picture_side=config.picture_side, seed=config.seed)
        _write_pictures(place, small)
        pair = [str(place / folder / "case0000.png") for folder in ("references", "predictions")]
        ways: Mapping[str, tuple[list[str], float | None]] = {
            "python, nothing imported": (["-c", "pass"], None),
            "import segjax": (["-c", "import segjax"], 0.6),
            "segjax --help": (["-m", "segjax", "--help"], 0.6),
            "from segjax import evaluate": (["-c", "from segjax import evaluate"], None),
            "segjax evaluate a.png b.png, warm cache": (["-m", "segjax", "evaluate", *pair], 5.0),
        }
        _process(["-m", "segjax", "evaluate", *pair], place / "cache")  # compiles
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for i in range(config.process_rounds):
            for way in reversed(ways) if i % 2 else ways:
                times[way].append(_process(ways[way][0], place / "cache")[0])
    rows = []
    for way, (_, bar) in ways.items():
        seconds = median(t[1] for t in times[way])
        row = {"task": "start-up", "segjax": way, "rounds": config.process_rounds}
        row |= spent("segjax", times[way])
        rows.append(row | {"seconds": round(seconds, 3), "bar_seconds": bar})
        rows[-1]["met"] = None if bar is None else seconds <= bar
    return rows


_TASKS: Mapping[str, Callable[[Config], Rows]] = {
    "startup": _startup,
    "folder": _folder,
    "masks": _masks,
    "classes": _classes,
    "segments": _segments,
}


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show([row for row in rows if "seconds" not in row], COLUMNS), end="\n\n")
    folders = [row for row in rows if "first_case_s" in row]
    notes = ("segjax", "first_case_s", "compiled", "from_cache", "segjax_peak_mb", "peer_peak_mb")
    print(_record.show(folders, notes), end="\n\n")
    starts = ("segjax", "rounds", "seconds", "segjax_wall_ms_min", "segjax_cpu_ms")
    started = [row for row in rows if "seconds" in row]
    print(_record.show(started, (*starts, "bar_seconds", "met")), end="\n\n")
    seconds = time.perf_counter() - start
    print(_record.save("bench", config, rows, seconds, packages=PEERS))
