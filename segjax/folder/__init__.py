"""From two folders of masks to a table, a summary and a page."""

import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from segjax import io
from segjax._compiling import counting_compilations, keep_compiled
from segjax._errors import InputError
from segjax._version import __version__
from segjax.folder.journals import Entry, join_journals, open_journal
from segjax.folder.plan import OBJECT_METRICS as OBJECT_METRICS, Options as Options
from segjax.folder.scoring import Progress, score_all
from segjax.folder.tabulating import notes_on_annotation, notes_on_pieces, objects_of, tabulate
from segjax.folder.writing import images_in, pictures_of, write
from segjax.hosts import ALONE, Hosts, hosts_of_jax
from segjax.leaderboard.summary import summarise
from segjax.metrics import get_metric
from segjax.table import Table, jsonable


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `run` returns.

    Attributes:
        table: every score.
        summary: the content of `summary.json`.
        files: what was written, by kind: "scores", "summary", "report",
            and "objects" if labels are objects. Of several hosts the first alone writes.
        reused: cases taken from an earlier run.
    """

    table: Table
    summary: dict[str, Any]
    files: dict[str, Path]
    reused: int


def evaluate_folder(
    reference: str | Path,
    prediction: str | Path | None = None,
    *,
    metrics: Iterable[str] | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    images: str | Path | None = None,
    progress: Progress | None = None,
    hosts: bool = False,
    **options: Any,
) -> Table:
    """Score a folder of predictions against a folder of references, or two files.

    Args:
        reference: label maps taken as the standard: a folder (flat, nnU-Net or Cell Tracking
            Challenge layout), a pattern such as "labels/{id}_gt.png", or a .csv that lists pairs
            under the heading `reference,prediction`, with or without `case`.
        prediction: label maps to be judged, paired by name; None with a list of pairs.
        metrics: names or aliases; None for a choice that suits what the folders hold.
        output: folder for `scores.csv`, `summary.json`, `report.html`, the journal
            `cases.jsonl`, and `objects.csv` if labels are objects.
        resume: take from the journal in `output` what is there already.
        images: folder of the images that were segmented, to lay the pictures over.
        progress: called with (cases done, cases, name) after each case.
        hosts: share the cases among all processes that `jax.distributed.initialize` has brought
            together; each has to call this, sees the folders, and gets the whole table.
        **options: see `Options`.

    Returns:
        One score per case, label and metric.

    Raises:
        InputError: if anything cannot be scored; the message names the file. With `output`, all
            other pairs are scored first, and stay in the journal.
    """
    names = None if metrics is None else tuple(metrics)
    chosen = Options(metrics=names, **options)
    return run(
        reference,
        prediction,
        chosen,
        output=output,
        resume=resume,
        images=images,
        progress=progress,
        hosts=hosts_of_jax() if hosts else ALONE,
    ).table


def run(
    reference: str | Path,
    prediction: str | Path | None,
    options: Options,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    images: str | Path | None = None,
    progress: Progress | None = None,
    command: str = "",
    hosts: Hosts = ALONE,
) -> Report:
    """Do what `evaluate_folder` says, and return all that it found."""
    with hosts.together():
        report = _run(
            reference, prediction, options, output, resume, images, progress, command, hosts
        )
        hosts.gather("written")
    return report


def _run(
    reference: str | Path,
    prediction: str | Path | None,
    options: Options,
    output: str | Path | None,
    resume: bool,
    images: str | Path | None,
    progress: Progress | None,
    command: str,
    hosts: Hosts,
) -> Report:
    start = time.perf_counter()
    for name in (*(options.metrics or ()), *options.also):
        get_metric(name)  # before anything is read
    if resume and output is None:
        raise InputError("there is nothing to resume without an output folder; pass --output")
    beneath = {} if images is None else images_in(Path(images))
    keep_compiled()
    pairing = io.pair(reference, prediction)
    if options.missing_as_empty:
        pairing = pairing.with_missing_as_empty()
    journal = None if output is None else open_journal(Path(output), resume, hosts)
    with counting_compilations() as compilations:
        try:
            scored = score_all(pairing, options, journal, progress, hosts)
        finally:
            if journal is not None:
                journal.close()
        if output is not None:
            join_journals(Path(output), [*scored.entries, *scored.markers], hosts)
        plan, entries = scored.plan, scored.entries
        plan.notes.extend(notes_on_annotation(pairing, scored))
        plan.notes.extend(notes_on_pieces(scored.entries))
        table = tabulate(pairing, scored)
        summary = {
            "segjax": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "method": _method(reference, prediction),
            "layout": pairing.layout,
            "cases": len(table),
            "options": plan.as_options(),
            "labels": [k._asdict() for k in table.labels],
            "versions": _versions(),
            "unpaired": {
                "reference": list(pairing.only_reference),
                "prediction": list(pairing.only_prediction),
            },
            "notes": plan.notes,
            "inputs": [
                {k: e[k] for k in ("case", "reference", "prediction", "shape", "spacing", "unit")}
                for e in entries
            ],
            "unit": _unit(entries),
            "scores": summarise(
                table,
                undefined=options.undefined,
                missing=options.missing,
                replicates=options.replicates,
                seed=options.seed,
            ),
        }
        objects = objects_of(entries)
        if plan.objects:
            summary["objects"] = [{"case": k, **table.counts} for k, table in objects.items()]
    summary["compilations"] = compilations
    summary["seconds"] = round(time.perf_counter() - start, 3)
    summary = jsonable(summary)
    files: dict[str, Path] = {}
    if output is not None and hosts.first:
        pictures, surfaces = pictures_of(table, pairing, plan, beneath)
        files = write(Path(output), table, summary, objects, pictures, surfaces)
    return Report(table=table, summary=summary, files=files, reused=scored.reused)


def _method(reference: str | Path, prediction: str | Path | None) -> str:
    """A name for what was judged, after the folder, the pattern's folder, or the list."""
    path = Path(reference if prediction is None else prediction)
    if prediction is None:
        return path.stem
    return path.parent.name if io.is_pattern(path) else path.name


def _unit(entries: list[Entry]) -> str:
    """Of lengths: what the files agree on; "px" where spacings are all 1 and say nothing."""
    units = {e["unit"] for e in entries}
    if len(units) == 1 and (unit := units.pop()) is not None:
        return unit
    return "px" if all(set(e["spacing"]) == {1.0} for e in entries) else "unit of spacing"


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": jax.devices()[0].device_kind,
    }
