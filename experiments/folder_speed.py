"""Speed of folders: what does `segjax evaluate` cost beside reading and counting by hand?

The peer reads the same files with Pillow and counts pairs of labels with NumPy. Each is a process
of its own, in turns; `ratio` is the median over the rounds of CPU time of segjax over that of the
peer, of the whole process and after the imports, with compiled programs on disk and without.
How speed depends on the size of images: `segjax bench`.

    python -m experiments.folder_speed
    python -m experiments.folder_speed --rounds 1   # a quick look

The peer: pip install pillow.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from experiments._folder_child import CLASSES
from segjax.benchmark.processes import run_process
from segjax.benchmark.timing import COLUMNS, Rows, compared


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    rounds: int = 5
    pairs: int = 200
    shapes: int = 20
    side: int = 512
    seed: int = 0


SMOKE = Config(rounds=1, pairs=4, shapes=2, side=32)


def run(config: Config) -> Rows:
    """A row per cache on disk, warm or cold, and part of the work."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _write_pictures(place, config)
        ways = {
            "warm cache": lambda i: _child("score_folder", place, cache=place / "warm"),
            "cold cache": lambda i: _child("score_folder", place, cache=place / f"cold{i}"),
            "peer": lambda i: _child("score_plainly", place),
        }
        _child("score_folder", place, cache=place / "warm")
        seen: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for i in range(config.rounds):
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
        [tuple(x[part]) for x in ours],
        "pillow + numpy bincount",
        [tuple(x[part]) for x in peer],
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
        shape = (config.side + 7 * k, config.side + 16 * (k // 2))
        r = np.digitize(_smooth(rng, shape), np.linspace(0, 1, CLASSES + 1)[1:-1]).astype(np.uint8)
        for folder, x in (("references", r), ("predictions", np.roll(r, 2, (0, 1)))):
            Image.fromarray(x).save(place / folder / f"case{i:04}.png")


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    from scipy import ndimage

    return np.asarray(ndimage.zoom(rng.random((8,) * len(shape)), [n / 8 for n in shape], order=1))


def _child(function: str, *arguments: Any, cache: Path | None = None) -> dict[str, Any]:
    """Call a function of `_folder_child` in a new process.

    Returns:
        What the child printed; "process" with its CPU and wall time in seconds, start-up
        and all; and the wall time until its first case, since either start.
    """
    code = f"from experiments import _folder_child as x; x.{function}(*{[*map(str, arguments)]!r})"
    done = run_process(["-c", code], cache=cache, cwd=Path(__file__).parents[1])
    told = json.loads(done.printed)
    if "first_at" in told:
        told["first"] = {
            "process": told["first_at"] - done.begun,
            "call": told["first_at"] - told["begun_at"],
        }
    return told | {"process": done.spent}


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show(rows, COLUMNS), end="\n\n")
    notes = ("segjax", "first_case_s", "compiled", "from_cache", "segjax_peak_mb", "peer_peak_mb")
    print(_record.show(rows, notes), end="\n\n")
    seconds = time.perf_counter() - start
    print(_record.save("folder_speed", config, rows, seconds, packages=("pillow",)))
