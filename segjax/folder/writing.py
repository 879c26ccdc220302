"""What a run leaves behind: scores, summary, and a page with pictures."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segjax import io, report
from segjax._errors import InputError
from segjax.case import check_spacing
from segjax.folder.plan import Plan
from segjax.folder.reading import load, opened
from segjax.objects import ObjectTable, error_map
from segjax.table import Table, csv_text


_PICTURES, _SURFACES = 12, 9


def write(
    output: Path,
    table: Table,
    summary: dict[str, Any],
    objects: Mapping[str, ObjectTable],
    pictures: dict[str, Any],
    surfaces: report.Gallery | None,
) -> dict[str, Path]:
    """Make all there is to write, then write it."""
    contents = {
        "scores.csv": table.to_csv(),
        **({"objects.csv": _lines(objects)} if objects else {}),
        "summary.json": json.dumps(summary, indent=1, ensure_ascii=False) + "\n",
        "report.html": report.render(table, summary, pictures, surfaces),
    }
    for name, content in contents.items():
        io.write_atomic(output / name, content)
    return {Path(name).stem: output / name for name in contents}


def _lines(objects: Mapping[str, ObjectTable]) -> str:
    """Objects of all cases, the case before each; of fewer axes, the last columns are empty."""
    columns = max((table.columns for table in objects.values()), key=len)
    rows = ((case, *row) for case, table in objects.items() for row in table.rows())
    width = len(columns) + 1
    return csv_text(("case", *columns), ((*row, *[""] * (width - len(row))) for row in rows))


def pictures_of(
    table: Table, pairing: io.Pairing, plan: Plan, beneath: Mapping[str, Path]
) -> tuple[dict[str, report.Picture], report.Gallery | None]:
    """Overlays of the best, the median and the worst cases, chosen by rank alone.

    Returns:
        What agrees and what does not, by case; and the distances between surfaces, if a metric
        of them was asked for, worst by it first.
    """
    pairs = {pair.name: pair for pair in pairing.pairs}
    pictures: dict[str, report.Picture] = {}
    seen: dict[str, report.Contours] = {}
    overlaid, measured = _deserving(table, plan), _parting(table, plan)
    for name in dict.fromkeys([*overlaid, *measured]):
        pair = pairs[name]
        if opened(pair, plan.options) is not None:
            continue  # too large to be looked at
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all has been said while scoring
            loaded = load(pair, plan.options)
        r, p = loaded.reference.array, loaded.prediction.array
        path = beneath.get(io.stem(pair.reference)) or beneath.get(name)
        image = None if path is None else io.read_image(path).array
        if image is not None and image.shape[: r.ndim] != r.shape:
            image = None
        spacing = check_spacing(plan.options.spacing_of(loaded.reference), r.ndim)
        ignore = None if r.dtype == np.bool_ else plan.ignore
        if name in overlaid:
            pictures[name] = report.picture(
                r,
                p,
                image=image,
                spacing=spacing,
                ignore=ignore,
                classes=not isinstance(plan.labels, str),
                errors=_errors(r, p, plan, ignore) if plan.objects else None,
            )
        if name in measured:
            seen[name] = report.contours(
                r, p, image=image, spacing=spacing, ignore=ignore, labels=plan.counted
            )
    shown = {name: seen[name] for name in measured if name in seen}
    return pictures, report.gallery(shown) if shown else None


def _errors(r: np.ndarray, p: np.ndarray, plan: Plan, ignore: int | None) -> np.ndarray:
    return error_map(
        reference=r, prediction=p, labels=plan.counted, ignore=ignore, relabel=plan.options.relabel
    )


def _deserving(table: Table, plan: Plan) -> list[str]:
    """Samples first, then the worst cases, as many as there are to be pictured."""
    samples = report.samples(table, **plan.policy).values()
    return list(dict.fromkeys([*samples, *report.worst_first(table, **plan.policy)]))[:_PICTURES]


def _parting(table: Table, plan: Plan) -> list[str]:
    """Samples and the worst cases by the first boundary metric, worst first; none without one."""
    metric = report.boundary_metric(m.name for m in plan.metrics)
    if metric is None:
        return []
    worst = report.worst_first(table, metric, **plan.policy)
    samples = report.samples(table, **plan.policy).values()
    chosen = list(dict.fromkeys([*samples, *worst]))[:_SURFACES]
    return sorted(chosen, key=worst.index)


def images_in(folder: Path) -> dict[str, Path]:
    """Images of a folder by the stem of their name."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; --images takes the folder of the images")
    return {io.stem(path): path for path in sorted(folder.iterdir()) if io.is_readable(path)}
