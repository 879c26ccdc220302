"""From the entries of single cases to one table."""

import numpy as np

from segjax._errors import InputError
from segjax.case import diagonal
from segjax.folder.plan import Plan
from segjax.folder.scoring import Entry
from segjax.metrics import Metric
from segjax.objects import ObjectTable
from segjax.statistics import Confusion
from segjax.table import Label, Table, make_table


def tabulate(plan: Plan, entries: list[Entry]) -> Table:
    """Assemble the entries of all cases, whichever labels each of them has.

    Raises:
        InputError: if references and predictions have no label in common.
    """
    if plan.labels is None:
        found = _found(entries)
        _check_some_label_agrees(entries, found)
    else:
        found = [1] if isinstance(plan.labels, str) else list(plan.labels)
    counts = np.zeros((len(entries), len(found), 4), np.int64)
    for i, entry in enumerate(entries):
        rows = np.asarray(entry["counts"], np.int64).reshape(-1, 4)
        counts[i, :, 3] = rows.sum(-1).max(initial=0)  # labels that are not there: all negative
        for label, row in zip(entry["labels"], rows, strict=True):
            if label in found:
                counts[i, found.index(label)] = row
    mask = isinstance(plan.labels, str) or (plan.labels is None and found == [1])
    names = plan.names or ({1: "foreground"} if mask else {})
    others = [m for m in plan.metrics if m.statistic is not Confusion]
    return make_table(
        cases=[e["case"] for e in entries],
        labels=[Label(k, names.get(k, str(k))) for k in found],
        metrics=plan.metrics,
        counts=Confusion(*np.moveaxis(counts, -1, 0)),
        others={m.name: _column(m, entries, found) for m in others},
        voxel_volumes=np.array([float(np.prod(e["spacing"])) for e in entries]),
        diagonals=np.array([diagonal(e["shape"], e["spacing"]) for e in entries]),
    )


def objects_of(entries: list[Entry]) -> dict[str, ObjectTable]:
    """What becomes of the objects of each case; empty where labels are no objects."""
    return {
        entry["case"]: ObjectTable.from_record(entry["objects"])
        for entry in entries
        if entry["objects"] is not None
    }


def _found(entries: list[Entry]) -> list[int]:
    """Labels with a voxel anywhere: an empty case speaks of label 1, which others may not."""
    rows = (row for e in entries for row in zip(e["labels"], e["counts"], strict=True))
    return sorted({label for label, counts in rows if any(counts[:3])}) or [1]


def _column(metric: Metric, entries: list[Entry], found: list[int]) -> np.ndarray:
    """Scores of one metric over the cases, and over labels where there is one for each."""
    if metric.per == "image":
        return np.array([_read(e["scores"][metric.name]) for e in entries])
    column = np.full((len(entries), len(found)), np.nan)  # labels that are not there
    for row, entry in zip(column, entries, strict=True):
        for label, score in zip(entry["labels"], entry["scores"][metric.name], strict=True):
            if label in found:
                row[found.index(label)] = _read(score)
    return column


def _read(score: float | str | None) -> float:
    return np.nan if score is None else float(score)


def _check_some_label_agrees(entries: list[Entry], found: list[int]) -> None:
    """Masks stored as 0/255 against masks stored as 0/1 would silently score 0."""
    sizes = {k: np.zeros(2, np.int64) for k in found}
    for entry in entries:
        for label, (tp, fp, fn, _) in zip(entry["labels"], entry["counts"], strict=True):
            if label in sizes:
                sizes[label] += tp + fn, tp + fp
    only_r = [k for k, (r, p) in sizes.items() if r and not p]
    only_p = [k for k, (r, p) in sizes.items() if p and not r]
    if len(found) == 2 and len(only_r) == len(only_p) == 1:
        raise InputError(
            f"{entries[0]['reference']['path']}: references hold only label {only_r[0]}, "
            f"predictions only label {only_p[0]}; if both are masks, pass --labels foreground"
        )
