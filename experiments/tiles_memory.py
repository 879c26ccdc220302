"""Memory of scoring in tiles: does it stay the same, however large the volume?

Balls of many sizes lie anywhere in a cube, across the borders of tiles; of the prediction each
is moved or missing. Both are Zarr stores, whose empty chunks take no space. A process of its
own scores them and tells the most memory it ever had: whatever the cube, two tiles, their halo and
the libraries are in it, and tables of the objects. Once it scores overlap and objects, and once
surface distances too (up to `lengths_up_to`, for they take longer), whose halos are whole only
in a cube of four tiles a side. The whole would need `whole_gb` for its two label maps alone.

    python -m experiments.tiles_memory
    python -m experiments.tiles_memory --sides 256 512   # a quick look
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import _record


COUNTED = ("dice", "seg", "pq", "f1")
LENGTHS = ("hd95", "assd", "nsd@2")
_CHILD = """
import json, resource, sys, time
from segjax import evaluate_tiled
start = time.perf_counter()
scores = evaluate_tiled(
    reference=sys.argv[1], prediction=sys.argv[2], metrics=sys.argv[3:], labels="foreground"
)
seconds = time.perf_counter() - start
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([{k: float(v) for k, v in scores.items()}, seconds, most]))
"""


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    sides: tuple[int, ...] = (256, 512, 1024, 2048)
    lengths_up_to: int = 2048
    chunk: int = 128
    per_block: float = 1.0  # balls in 256 x 256 x 256 voxels
    radius: int = 24
    seed: int = 0


SMOKE = Config(sides=(40,), chunk=16, per_block=2000.0, radius=5)


def run(config: Config) -> list[dict[str, Any]]:
    """One row per size and what is scored."""
    rows = []
    for side in config.sides:
        rows.append(_measure(config, side, COUNTED))
        if side <= config.lengths_up_to:
            rows.append(_measure(config, side, COUNTED + LENGTHS))
    return rows


def _measure(config: Config, side: int, metrics: tuple[str, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("reference.zarr", "prediction.zarr")]
        balls = _write(config, side, paths)
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *paths, *metrics],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent.parent,
        )
        stored = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    scores, seconds, most = json.loads(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "side": side,
        "scored": "counts" if metrics == COUNTED else "counts and lengths",
        "voxels": side**3,
        "balls": balls,
        "whole_gb": round(2 * 2 * side**3 / 1e9, 2),
        "stored_mb": round(stored / 1e6, 1),
        "peak_mb": round(most * unit / 1e6),
        "seconds": round(seconds, 1),
        "scores": {name: round(score, 6) for name, score in scores.items()},
    }


def _write(config: Config, side: int, paths: list[str]) -> int:
    """Draw balls into two stores; returns how many there are in the first."""
    import zarr

    rng = np.random.default_rng(config.seed)
    stores = [
        zarr.create_array(path, shape=(side,) * 3, chunks=(config.chunk,) * 3, dtype="uint16")
        for path in paths
    ]
    count = max(1, min(2**16 - 1, round(config.per_block * (side / 256) ** 3)))
    for number in range(1, count + 1):
        radius = rng.uniform(config.radius / 3, config.radius)
        middle = rng.uniform(0, side, 3)
        _draw(stores[0], middle, radius, number)
        if rng.random() < 0.9:
            _draw(stores[1], middle + rng.normal(0, 1, 3), radius, number)
    return count


def _draw(store: Any, middle: np.ndarray, radius: float, number: int) -> None:
    start = np.maximum(0, np.floor(middle - radius)).astype(int)
    stop = np.minimum(store.shape[0], np.ceil(middle + radius) + 1).astype(int)
    if (stop <= start).any():
        return
    box = tuple(map(slice, start.tolist(), stop.tolist()))
    axes = np.ogrid[box]
    inside = sum((x - m) ** 2 for x, m in zip(axes, middle, strict=True)) <= radius**2
    store[box] = np.where(inside, np.uint16(number), store[box])


if __name__ == "__main__":
    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(*rows, sep="\n")
    print(_record.save("tiles_memory", config, rows, time.perf_counter() - start))
