"""Assessments kept line by line, so that a long run can be resumed."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax.quality.instances import ObjectScores
from segjax.quality.predict import Assessment, Score
from segjax.report.overlay import Picture
from segjax.table import jsonable


_KEPT = ("flags", "objects", "segmented", "diameter", "diameter_from", "voxel", "weights")


def entry_of(
    case: str,
    hashes: tuple[str, str],
    a: Assessment,
    run: dict[str, Any],
    picture: Picture | None,
) -> dict[str, Any]:
    """What the journal keeps of an image.

    Args:
        case: its name.
        hashes: of both files.
        a: not calibrated.
        run: all that decides the raw scores.
        picture: if there is one.
    """
    objects = a.per_object
    return {
        "case": case,
        "sha256": list(hashes),
        "run": run,
        "raw": jsonable(dict(a.raw)),
        **{name: jsonable(getattr(a, name)) for name in _KEPT},
        "per_object": None if objects is None else jsonable(objects._asdict()),
        "picture": None if picture is None else asdict(picture),
    }


def recalled(entry: Mapping[str, Any], coverage: float) -> Assessment:
    """The assessment of an entry, yet to be calibrated."""
    raw = {name: math.nan if x is None else float(x) for name, x in entry["raw"].items()}
    told = entry["per_object"]
    objects = None if told is None else _recalled_objects(told)
    return Assessment(
        scores={name: Score(math.nan, math.nan, math.nan) for name in raw},
        raw=raw,
        coverage=coverage,
        flags=tuple(entry["flags"]),
        objects=float(entry["objects"]),
        segmented=int(entry["segmented"]),
        diameter=float(entry["diameter"]),
        diameter_from=str(entry["diameter_from"]),
        voxel=tuple(map(float, entry["voxel"])),
        weights=str(entry["weights"]),
        per_object=objects,
    )


def entries_by_case(journal: io.Journal | None, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an earlier run has left.

    Raises:
        InputError: if that was of something else, or with other options.
    """
    entries = [] if journal is None else journal.entries
    needed = {"case", "sha256", "run", "raw", "per_object", "picture", *_KEPT}
    if any(not needed <= entry.keys() for entry in entries):
        raise InputError(f"{journal.path}: is no journal of assess; choose another --output")  # type: ignore[union-attr]
    if any(entry["run"] != run for entry in entries):
        raise InputError(
            f"{journal.path}: the earlier run had other options or weights; drop --resume, or "  # type: ignore[union-attr]
            "choose another --output"
        )
    return {entry["case"]: entry for entry in entries}


def _recalled_objects(told: Mapping[str, Any]) -> ObjectScores:
    metrics = tuple(told["metrics"])
    numbers = {
        name: np.array(told[name], float) for name in ("centres", "diameters", "around", "drops")
    }
    for name in ("around", "drops"):
        numbers[name] = numbers[name].reshape(-1, len(metrics))
    return ObjectScores(np.array(told["labels"], int), metrics=metrics, **numbers)
