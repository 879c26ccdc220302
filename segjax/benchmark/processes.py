"""Work that is timed as a whole process, start-up and all."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segjax.benchmark.timing import Rows, spent


@dataclass(frozen=True)
class Finished:
    """A process that is done: CPU and wall time in seconds, when it began, and what it printed."""

    spent: tuple[float, float]
    begun: float
    printed: str


def run_process(
    arguments: Sequence[str], *, cache: Path | None = None, cwd: Path | None = None
) -> Finished:
    """Run Python with arguments; compiled programs are kept in `cache`, or where they always are.

    Raises:
        RuntimeError: if it fails.
    """
    drop = ("JAX_COMPILATION_CACHE_DIR", "SEGJAX_CACHE")
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    if cache is not None:
        environment["SEGJAX_CACHE"] = str(cache)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun, wall = time.time(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
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
    return Finished((cpu, wall), begun, done.stdout)


_BOUNDARY = ("-m", "dice,hd95,assd,nsd(tolerance=2)")
WARM_SECONDS, COLD_SECONDS = 5.0, 12.0


def cold_starts(rounds: int, seed: int = 0) -> Rows:
    """From a process that knows nothing to the scores of a pair of small images.

    With compiled programs on disk ("warm") and without ("cold").

    Returns:
        A row per command: medians, how many programs were compiled, how many the disk held, and
        the seconds that took; "bar_seconds" is what we ask of it.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        pair = _small_pair(place, seed)
        evaluate = ["-m", "segjax", "evaluate", *pair, "--json"]
        ways: Mapping[str, tuple[list[str], float | None]] = {
            "python, nothing imported": (["-c", "pass"], None),
            "import segjax": (["-c", "import segjax"], None),
            "segjax --help": (["-m", "segjax", "--help"], None),
            "segjax evaluate a b, warm": (evaluate, WARM_SECONDS),
            "segjax evaluate a b, cold": (evaluate, COLD_SECONDS),
            "... with HD95, ASSD and NSD, warm": ([*evaluate, *_BOUNDARY], WARM_SECONDS),
            "... with HD95, ASSD and NSD, cold": ([*evaluate, *_BOUNDARY], COLD_SECONDS),
        }
        for way, (arguments, _) in ways.items():
            if way.endswith("warm"):
                run_process(arguments, cache=place / "warm")
        seen: dict[str, list[Finished]] = {way: [] for way in ways}
        for i in range(rounds):
            for way in reversed(ways) if i % 2 else ways:
                cold = place / f"{len(seen[way])}{way[-25:]}" if way.endswith("cold") else None
                seen[way].append(run_process(ways[way][0], cache=cold or place / "warm"))
        return [_start(way, seen[way], ways[way][1]) for way in ways]


def _small_pair(place: Path, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    mask = np.zeros((512, 512), np.uint8)
    y, x, height, width = rng.integers(60, 200, 4)
    mask[y : y + height, x : x + width] = 1
    paths = [str(place / f"{name}.npy") for name in "ab"]
    for path, shift in zip(paths, (0, 3), strict=True):
        np.save(path, np.roll(mask, shift, 0))
    return paths


def _start(way: str, seen: Sequence[Finished], bar: float | None) -> dict[str, Any]:
    row = {"start": way, "rounds": len(seen), **spent("process", [one.spent for one in seen])}
    if bar is None:
        return row
    compiled = json.loads(seen[0].printed)["compilations"]
    seconds = row["process_wall_ms"] / 1e3
    return row | {
        "compiled": compiled["programs"] - compiled["from_cache"],
        "from_cache": compiled["from_cache"],
        "compile_s": round(compiled["seconds"], 2),
        "bar_seconds": bar,
        "met": seconds <= bar,
    }
