"""One model over several data sets: its scores class by class, data set by data set."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segjax._errors import InputError
from segjax.comparison._stamp import stamped
from segjax.comparison.runs import Run
from segjax.metrics import get_metric
from segjax.table import jsonable


_COPIED = ("n", "n_undefined", "n_missed", "mean", "sd", "median", "pooled")
_FIRST = ("dice", "iou")  # what such evaluations are read for


def compare_datasets(
    runs: Sequence[Run],
    *,
    metrics: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Put the summaries of runs over different data sets side by side.

    Classes go by their names. A class that a data set lacks has no row there, and no say in its
    mean over classes.

    Args:
        runs: one per data set, folders of `segjax evaluate`.
        metrics: which; None for those that all runs have.
        labels: names of classes; None for all.
        command: that was typed, for the page's stamp.

    Returns:
        What `comparison.json` holds.

    Raises:
        InputError: if a run has no summary, or none has a metric that was asked for.
    """
    for run in runs:
        if not run.summary:
            raise InputError(f"{run.path}: holds no summary.json; give a folder of segjax evaluate")
    wanted = _metrics(runs, metrics)
    chosen = None if labels is None else set(labels)
    found = {
        "kind": "datasets",
        "runs": [run.name for run in runs],
        "cases": [len(run.cases) for run in runs],
        "metrics": [_metric(name, runs, chosen) for name in wanted],
        "notes": _notes(runs),
    }
    return jsonable(stamped(found, runs, command))


def _entries(run: Run) -> list[Mapping[str, Any]]:
    return [e for e in run.summary["scores"] if isinstance(e.get("metric"), str)]


def _metrics(runs: Sequence[Run], asked: Iterable[str] | None) -> list[str]:
    of_run = [dict.fromkeys(e["metric"] for e in _entries(run)) for run in runs]
    if asked is not None:
        names = [get_metric(name).name for name in asked]
        for name in names:
            if not any(name in known for known in of_run):
                raise InputError(
                    f"no run has {name}; score it first with segjax evaluate -m {name}"
                )
        return names
    common = [name for name in of_run[0] if all(name in known for known in of_run)]
    if not common:
        raise InputError("the runs have no metric in common; score them by the same metrics")
    return sorted(common, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))


def _metric(name: str, runs: Sequence[Run], chosen: set[str] | None) -> dict[str, Any]:
    metric = get_metric(name)
    tables = [_by_class(run, name) for run in runs]
    if any("" in table for table in tables):  # the mean over one class is that of the class
        tables = [{"": next(iter(t.values())), **t} if len(t) == 1 else t for t in tables]
    classes = dict.fromkeys(label for table in tables for label in table)
    kept = [c for c in classes if chosen is None or c in chosen or c == ""]
    return {
        "metric": name,
        "title": metric.title,
        "better": None if metric.higher_is_better is None else _way(metric.higher_is_better),
        "unit": metric.unit,
        "classes": [
            {"name": label, "rows": [table.get(label) for table in tables]} for label in kept
        ],
    }


def _way(higher: bool) -> str:
    return "higher" if higher else "lower"


def _by_class(run: Run, name: str) -> dict[str, dict[str, Any]]:
    """Rows of one run by class; "" stands for all of them together."""
    found = {}
    for entry in _entries(run):
        if entry["metric"] == name:
            whole = entry.get("label") in (None, "mean")
            found["" if whole else str(entry.get("name"))] = _row(entry)
    return found


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of an entry; a file may hold anything."""
    row = {key: _number(entry.get(key)) for key in _COPIED}
    ends = entry.get("interval")
    known = [_number(ends.get(k)) for k in ("low", "high")] if isinstance(ends, Mapping) else [None]
    counts = {key: int(row[key] or 0) for key in ("n", "n_undefined", "n_missed")}
    interval = None if None in known else dict(zip(("low", "high"), known, strict=True))
    return row | counts | {"interval": interval}


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) else None


def _notes(runs: Sequence[Run]) -> list[str]:
    """What makes scores of data sets hard to compare."""
    lines = []
    for key, what in (("unit", "lengths are in other units"), ("options", "options differ")):
        known = {run.name: _plain(run.summary.get(key)) for run in runs}
        if len(set(map(str, known.values()))) > 1:
            told = "; ".join(f"{name}: {value}" for name, value in known.items())
            lines.append(f"{what} ({told})" if key == "unit" else _differing(runs))
    return lines


def _plain(value: Any) -> Any:
    """Of options, those that change what a score means."""
    if not isinstance(value, Mapping):
        return value
    return {k: value.get(k) for k in ("surface", "relabel", "undefined", "missing", "spacing")}


def _differing(runs: Sequence[Run]) -> str:
    options = {run.name: _plain(run.summary.get("options")) or {} for run in runs}
    keys = {k for known in options.values() for k in known}
    other = sorted(k for k in keys if len({str(o.get(k)) for o in options.values()}) > 1)
    return (
        f"runs were scored with other options ({', '.join(other)}), so that scores differ for that"
    )
