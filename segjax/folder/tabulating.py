"""From the entries of single cases to one table."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax.case import diagonal
from segjax.folder.scoring import Entry, Scored
from segjax.metrics import Metric
from segjax.objects import ObjectTable
from segjax.statistics import Confusion, Contingency, Listing, join_listings, side_by_side
from segjax.table import Label, Table, make_table


Image: TypeAlias = int | str | None  # a frame's number, or the name of a case


def tabulate(pairing: io.Pairing, scored: Scored) -> Table:
    """Assemble the entries of all cases, whichever labels each of them has.

    Raises:
        InputError: if references and predictions have no label in common.
    """
    plan, entries = scored.plan, scored.entries
    if plan.labels is None:
        found = _found(entries)
        _check_some_label_agrees(entries, found)
    else:
        found = [1] if isinstance(plan.labels, str) else list(plan.labels)
    mask = isinstance(plan.labels, str) or (plan.labels is None and found == [1])
    found += [region.code for region in plan.regions]
    counts = np.zeros((len(entries), len(found), 4), np.int64)
    for i, entry in enumerate(entries):
        rows = np.asarray(entry["counts"], np.int64).reshape(-1, 4)
        counts[i, :, 3] = rows.sum(-1).max(initial=0)  # labels that are not there: all negative
        for label, row in zip(entry["labels"], rows, strict=True):
            if label in found:
                counts[i, found.index(label)] = row
    names = dict(plan.names or ({1: "foreground"} if mask else {}))
    names |= {region.code: region.name for region in plan.regions}
    outlined = [m for m in plan.by_outlines if m.statistic is not Confusion]
    columns = {m.name: _column(m, entries, found) for m in outlined}
    columns |= {m.name: _of_frames(m, pairing, scored.markers) for m in plan.by_markers}
    objects = _pooled(plan.by_outlines, pairing.pairs, entries)
    objects |= _pooled(plan.by_markers, pairing.markers, scored.markers)
    return make_table(
        cases=[e["case"] for e in entries],
        labels=[Label(k, names.get(k, str(k))) for k in found],
        metrics=plan.metrics,
        counts=Confusion(*np.moveaxis(counts, -1, 0)),
        others=columns,
        voxel_volumes=np.array([float(np.prod(e["spacing"])) for e in entries]),
        diagonals=np.array([diagonal(e["shape"], e["spacing"]) for e in entries]),
        objects=objects,
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
    return sorted({label for label, counts in rows if label > 0 and any(counts[:3])}) or [1]


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


def _of_frames(metric: Metric, pairing: io.Pairing, markers: Sequence[Entry]) -> np.ndarray:
    """Scores of one metric against the markers of each case's frame."""
    pairs = zip(pairing.markers, markers, strict=True)
    scores = {pair.frame: _read(entry["scores"][metric.name]) for pair, entry in pairs}
    return np.array([scores.get(pair.frame, np.nan) for pair in pairing.pairs])


def _pooled(
    metrics: Sequence[Metric], pairs: Sequence[io.Pair], entries: Sequence[Entry]
) -> dict[str, Contingency]:
    """The objects of all images side by side, by the name of each metric that judges them."""
    names = [m.name for m in metrics if m.of_objects]
    if not names:
        return {}
    images = _images(pairs, entries).values()
    return dict.fromkeys(names, side_by_side([join_listings(x).contingency for x in images]))


def _images(pairs: Sequence[io.Pair], entries: Sequence[Entry]) -> dict[Image, list[Listing]]:
    """Objects of each image, in as many listings as it has parts."""
    images: dict[Image, list[Listing]] = defaultdict(list)
    for pair, entry in zip(pairs, entries, strict=True):
        images[pair.name if pair.frame is None else pair.frame].append(Listing(**entry["overlaps"]))
    return images


def notes_on_annotation(pairing: io.Pairing, scored: Scored) -> list[str]:
    """Say so if outlines are those of fewer objects than have markers."""
    if not scored.markers:
        return []
    seen = {pair.frame for pair in pairing.pairs if pair.slice is None}
    outlined = _images(pairing.pairs, scored.entries)
    marked = _images(pairing.markers, scored.markers)
    fewer = [
        frame for frame in seen & marked.keys() if _count(outlined[frame]) < _count(marked[frame])
    ]
    if not fewer:
        return []
    return [
        f"{len(fewer)} of {len(seen)} frames have fewer objects in SEG than in TRA: what SEG does "
        "not annotate counts as a false positive in pq, f1 and dice, not in seg"
    ]


def notes_on_pieces(entries: Sequence[Entry]) -> list[str]:
    """Say so if objects lie in several places: some label maps number anew where others go on."""
    found = [
        (table, case, label)
        for case, table in objects_of(list(entries)).items()
        for label in np.flatnonzero(table.pieces > 1)
    ]
    if not found:
        return []
    table, case, first = found[0]
    cases = len({case for _, case, _ in found})
    return [
        f"{len(found)} objects in {cases} cases are in several pieces "
        f"(the first: label {table.label[first]} of the {table.side[first]} of {case}) and count "
        "as one each; pass --relabel to take every piece as an object"
    ]


def _count(listings: list[Listing]) -> int:
    return len({label for listing in listings for label in listing.reference[0]})


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
