"""The bundled demo board: can four simple ways to redraw a nodule be told from the reader's own?

Reader 4 of the 24 bundled lung nodules is judged by the majority of readers 1 to 3, and so is
what becomes of the outline if it is smoothed, grown by one voxel, replaced by a ball of the
same volume, or shifted by one voxel. None of these sees the image. Run as a program, this
writes segjax/data/leaderboard/scores.csv (a few seconds on two CPU cores).

    python -m experiments.demo_scores
    python -m experiments.demo_scores --cases 3   # a quick look, which writes nothing
"""

import csv
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import segjax
from segjax import demo


DATA = Path(segjax.__file__).parent / "data"
FILE, META = DATA / "leaderboard" / "scores.csv", DATA / "lidc_4readers" / "meta.json"
METRICS = ("dice", "hd95", "nsd@1mm", "assd")


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults make the bundled file."""

    cases: int = 24
    seed: int = 0


SMOKE = Config(cases=2)


Spacing = tuple[float, float, float]
Method = Callable[[np.ndarray, Spacing, np.random.Generator], np.ndarray]


def smoothed(mask: np.ndarray, spacing: Spacing, rng: np.random.Generator) -> np.ndarray:
    """Opened within slices by a square of 3 x 3 pixels."""
    return ndimage.binary_opening(mask, np.ones((1, 3, 3), bool))


def grown(mask: np.ndarray, spacing: Spacing, rng: np.random.Generator) -> np.ndarray:
    """With every voxel that touches a face of it."""
    return ndimage.binary_dilation(mask)


def ball(mask: np.ndarray, spacing: Spacing, rng: np.random.Generator) -> np.ndarray:
    """As many voxels, those nearest to the centroid."""
    where = np.moveaxis(np.indices(mask.shape), 0, -1) * np.array(spacing)
    far = np.linalg.norm(where - where[mask].mean(0), axis=-1)
    nearest = np.argsort(far, axis=None, kind="stable")[: mask.sum()]
    drawn = np.zeros(mask.size, bool)
    drawn[nearest] = True
    return drawn.reshape(mask.shape)


def shifted(mask: np.ndarray, spacing: Spacing, rng: np.random.Generator) -> np.ndarray:
    """By one voxel to a side, drawn at random, within each slice."""
    side = ((0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))[rng.integers(4)]
    return ndimage.shift(mask.astype(np.uint8), side, order=0).astype(bool)


METHODS: Mapping[str, Method] = {
    "Reader 4": lambda mask, spacing, rng: mask,
    "Smoothed": smoothed,
    "Grown": grown,
    "Ball": ball,
    "Shifted": shifted,
}


def run(config: Config) -> list[dict[str, Any]]:
    """One row per method and nodule, all nodules of a method one after another."""
    rng = np.random.default_rng(config.seed)
    patients = {c["key"]: c["patient"] for c in json.loads(META.read_text())}
    table: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    for case, masks, spacing in demo.lung_nodules()[: config.cases]:
        masks = np.pad(masks, ((0, 0), (1, 1), (1, 1), (1, 1)))  # room to grow
        reference = masks[:3].sum(0) >= 2
        volume = float(reference.sum() * np.prod(spacing))
        about = {
            "patient": patients[case],
            "diameter_mm": (6 * volume / math.pi) ** (1 / 3),
            "slice_mm": spacing[0],
        }
        for name, method in METHODS.items():
            scores = segjax.evaluate(
                reference=reference,
                prediction=method(masks[3], spacing, rng),
                metrics=METRICS,
                spacing=spacing,
            )
            found = dict(zip(METRICS, map(float, scores.values()), strict=True))
            table[name].append({"model": name, "case": case, **about, **found})
    return [row for rows in table.values() for row in rows]


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """As a wide table, numbers with six digits."""
    text = lambda x: f"{x:.6g}" if isinstance(x, float) else x
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows({key: text(value) for key, value in row.items()} for row in rows)


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show(rows, tuple(rows[0])), end="\n\n")
    if config == Config():
        write(rows, FILE)
    print(_record.save("demo_scores", config, rows, time.perf_counter() - start))
