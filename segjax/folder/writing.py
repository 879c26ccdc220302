"""What a run leaves behind: scores, summary, and a page with pictures."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segjax import io, report
from segjax._errors import InputError
from segjax.folder.plan import Plan
from segjax.folder.reading import load
from segjax.table import Table


_PICTURES = 12


def write(
    output: Path,
    table: Table,
    summary: dict[str, Any],
    pictures: dict[str, Any],
) -> dict[str, Path]:
    """Make all there is to write, then write it."""
    files = {
        "scores": output / "scores.csv",
        "summary": output / "summary.json",
        "report": output / "report.html",
    }
    contents = {
        "scores": table.to_csv(),
        "summary": json.dumps(summary, indent=1, ensure_ascii=False) + "\n",
        "report": report.render(table, summary, pictures),
    }
    for kind, content in contents.items():
        io.write_atomic(files[kind], content)
    return files


def pictures_of(
    table: Table, pairing: io.Pairing, plan: Plan, beneath: Mapping[str, Path]
) -> dict[str, report.Picture]:
    """Overlays of the best, the median and the worst cases, chosen by rank alone."""
    pairs = {pair.name: pair for pair in pairing.pairs}
    pictures: dict[str, report.Picture] = {}
    for name in _deserving(table, plan):
        pair = pairs[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all has been said while scoring
            loaded = load(pair, plan.options)
        shape = loaded.reference.array.shape
        path = beneath.get(io.stem(pair.reference)) or beneath.get(name)
        image = None if path is None else io.read_image(path).array
        if image is not None and image.shape[: len(shape)] != shape:
            image = None
        pictures[name] = report.picture(
            loaded.reference.array,
            loaded.prediction.array,
            image=image,
            spacing=loaded.reference.spacing,
            ignore=plan.ignore,
            classes=not isinstance(plan.labels, str),
        )
    return pictures


def _deserving(table: Table, plan: Plan) -> list[str]:
    """Samples first, then the worst cases, as many as there are to be pictures."""
    samples = report.samples(table, **plan.policy).values()
    return list(dict.fromkeys([*samples, *report.worst_first(table, **plan.policy)]))[:_PICTURES]


def images_in(folder: Path) -> dict[str, Path]:
    """Images of a folder by the stem of their name."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; --images takes the folder of the images")
    return {io.stem(path): path for path in sorted(folder.iterdir()) if io.is_readable(path)}
