"""From two folders of masks to a table, a summary and a page."""

import hashlib
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from segjax import io, report
from segjax._compiling import counting_compilations, keep_compiled
from segjax._errors import InputError
from segjax._version import __version__
from segjax.case import Case, Labels, check_spacing, distinct, make_case
from segjax.evaluation import DEFAULT_METRICS, measure
from segjax.leaderboard.summary import summarise
from segjax.metrics import Metric, get_metric
from segjax.statistics import Confusion
from segjax.table import Column, Label, Table, jsonable, make_table


# For maps of objects, whose labels are only numbers.
OBJECT_METRICS = (
    "dice",
    "iou",
    "jaccard_sparse",
    "adapted_rand_error(ignore_background=True)",
    "vi_split",
    "vi_merge",
)
_MANY_LABELS = 32  # more labels than this in one image are objects, not classes
_AHEAD = 4  # pairs read while others are scored
_PICTURES = 12

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `run` returns.

    Attributes:
        table: every score.
        summary: the content of `summary.json`.
        files: what was written, by kind: "scores", "summary", "report".
        reused: cases taken from an earlier run.
    """

    table: Table
    summary: dict[str, Any]
    files: dict[str, Path]
    reused: int


@dataclass(frozen=True, kw_only=True)
class Options:
    """What decides the scores; a run is resumed only with the same ones.

    Attributes:
        metrics: names; None for a choice that suits what the folders hold.
        also: names of metrics to score beside those.
        labels: labels to score; "foreground" for all that is not background together;
            None for those that occur, unless the images hold objects.
        label_names: what the labels are called; a label that is not listed is an error.
        spacing: voxel size along each array axis, in place of what the files say.
        ignore: label of the references whose voxels are not counted.
        undefined: policy for 0/0; see `Table.resolved`.
        missing: policy for empty predictions; see `Table.resolved`.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        allow_spacing_mismatch: score files whose headers disagree about the grid.
        max_voxels: refuse larger files.
    """

    metrics: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    labels: Labels = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    spacing: Sequence[float] | float | None = None
    ignore: int | None = None
    undefined: str = "omit"
    missing: str = "worst"
    replicates: int = 100_000
    seed: int = 0
    allow_spacing_mismatch: bool = False
    max_voxels: int = io.MAX_VOXELS


def evaluate_folder(
    reference: str | Path,
    prediction: str | Path,
    *,
    metrics: Iterable[str] | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    images: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Table:
    """Score a folder of predictions against a folder of references, or two files.

    Args:
        reference: label maps taken as the standard; flat, nnU-Net or Cell Tracking
            Challenge layout.
        prediction: label maps to be judged, paired by name.
        metrics: names or aliases; None for a choice that suits what the folders hold.
        output: folder for `scores.csv`, `summary.json`, `report.html` and the journal
            `cases.jsonl`.
        resume: take from the journal in `output` what is there already.
        images: folder of the images that were segmented, to lay the pictures over.
        progress: called with (cases done, cases, name) after each case.
        **options: see `Options`.

    Returns:
        One score per case, label and metric.

    Raises:
        InputError: if anything cannot be scored; the message names the file. What was
            scored before stays in the journal.
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
    ).table


def run(
    reference: str | Path,
    prediction: str | Path,
    options: Options,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    images: str | Path | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Report:
    """Do what `evaluate_folder` says, and return all that it found."""
    start = time.perf_counter()
    for name in (*(options.metrics or ()), *options.also):
        get_metric(name)  # before anything is read
    if resume and output is None:
        raise InputError("there is nothing to resume without an output folder; pass --output")
    beneath = {} if images is None else _by_stem(Path(images))
    keep_compiled()
    pairing = io.pair(Path(reference), Path(prediction))
    journal = None if output is None else _open_journal(Path(output), resume)
    with counting_compilations() as compilations:
        try:
            plan, entries, reused = _score_all(pairing, options, journal, progress)
        finally:
            if journal is not None:
                journal.close()
        table = _tabulate(pairing, plan, entries)
        summary = {
            "segjax": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "method": Path(prediction).name,
            "layout": pairing.layout,
            "cases": len(table),
            "options": _plain(plan),
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
            "scores": summarise(
                table,
                undefined=options.undefined,
                missing=options.missing,
                replicates=options.replicates,
                seed=options.seed,
            ),
        }
    summary["compilations"] = compilations
    summary["seconds"] = round(time.perf_counter() - start, 3)
    summary = jsonable(summary)
    files: dict[str, Path] = {}
    if output is not None:
        pictures = _pictures(table, pairing, plan, beneath)
        files = _write(Path(output), table, summary, pictures)
    return Report(table=table, summary=summary, files=files, reused=reused)


@dataclass(frozen=True)
class _Plan:
    """Options, with what depends on the files filled in."""

    options: Options
    metrics: tuple[Metric, ...]
    labels: Labels
    ignore: int | None
    names: Mapping[int, str]
    notes: list[str]

    @property
    def fingerprint(self) -> dict[str, Any]:
        o = self.options
        labels = self.labels
        return {
            "segjax": __version__,
            "metrics": [m.name for m in self.metrics],
            "labels": labels if labels is None or isinstance(labels, str) else list(labels),
            "spacing": None if o.spacing is None else np.atleast_1d(o.spacing).tolist(),
            "ignore": self.ignore,
        }


def _plain(plan: _Plan) -> dict[str, Any]:
    o = plan.options
    return plan.fingerprint | {
        "undefined": o.undefined,
        "missing": o.missing,
        "replicates": o.replicates,
        "seed": o.seed,
    }


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": jax.devices()[0].device_kind,
    }


# Reading and scoring.


@dataclass(frozen=True)
class _Loaded:
    pair: io.Pair
    reference: io.Volume
    prediction: io.Volume
    hashes: tuple[str, str]


def _score_all(
    pairing: io.Pairing,
    options: Options,
    journal: io.Journal | None,
    progress: Progress | None,
) -> tuple[_Plan, list[dict[str, Any]], int]:
    earlier = _earlier(journal)
    entries: list[dict[str, Any]] = []
    reused = 0
    try:
        with _floats_noted() as floats:
            first = _load(pairing.pairs[0], options)
            plan = _make_plan(pairing, options, first)
            _check_same_run(journal, earlier, plan)
            at_hand = {first.pair: first}
            del first

            def read(pair: io.Pair) -> _Loaded | dict[str, Any]:
                again = at_hand.pop(pair, None)
                return _recall(pair, earlier) or again or _load(pair, options)

            for i, loaded in enumerate(_read_ahead(pairing.pairs, read)):
                if isinstance(loaded, dict):
                    entries.append(loaded)
                    reused += 1
                else:
                    entries.append(_score(loaded, plan))
                    if journal is not None:
                        journal.append(entries[-1])
                if progress is not None:
                    progress(i + 1, len(pairing.pairs), pairing.pairs[i].name)
        plan.notes.extend(floats)
    except KeyboardInterrupt:
        kept = "run again with --resume to finish" if journal else "pass --output to keep them"
        raise InputError(
            f"stopped after {len(entries)} of {len(pairing.pairs)} cases; {kept}"
        ) from None
    return plan, entries, reused


def _read_ahead(
    pairs: Sequence[io.Pair], read: Callable[[io.Pair], _Loaded | dict[str, Any]]
) -> Iterator[_Loaded | dict[str, Any]]:
    """Read pairs in the background, in order, a few ahead of the scoring."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = iter(pairs)
        queue = [pool.submit(read, pair) for pair in islice(waiting, _AHEAD)]
        try:
            while queue:
                loaded = queue.pop(0).result()
                queue.extend(pool.submit(read, pair) for pair in islice(waiting, 1))
                yield loaded
        finally:
            for future in queue:
                future.cancel()


@contextmanager
def _floats_noted() -> Iterator[list[str]]:
    """Gather what is said of labels stored as floats into one note; show other warnings after.

    Around the threads that read and not in them: the settings of warnings are the process's.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", ".*: labels stored as float")
        yield notes
    floats = sorted(str(w.message) for w in said if "labels stored as" in str(w.message))
    if floats:
        more = f" (and {len(floats) - 1} more files)" if len(floats) > 1 else ""
        notes.append(floats[0] + more)
    for w in said:
        if "labels stored as" not in str(w.message):
            warnings.showwarning(w.message, w.category, w.filename, w.lineno)


def _load(pair: io.Pair, options: Options) -> _Loaded:
    r = io.read_labels(pair.reference, max_voxels=options.max_voxels)
    p = io.read_labels(pair.prediction, max_voxels=options.max_voxels)
    if pair.slice is not None:
        p = _plane(pair, p)
        r = io.Volume(r.array, p.spacing if r.spacing is None else r.spacing, r.unit)
    _check_grids(pair, r, p, options)
    return _Loaded(pair, r, p, (_sha256(pair.reference), _sha256(pair.prediction)))


def _plane(pair: io.Pair, volume: io.Volume) -> io.Volume:
    z = pair.slice or 0
    if volume.array.ndim < 3 or z >= volume.array.shape[0]:
        raise InputError(
            f"{pair.prediction}: has no plane {z}, which {pair.reference.name} annotates; "
            "check that frames and planes are numbered alike"
        )
    spacing = None if volume.spacing is None else volume.spacing[1:]
    return io.Volume(volume.array[z], spacing, volume.unit)


def _check_grids(pair: io.Pair, r: io.Volume, p: io.Volume, options: Options) -> None:
    if r.array.shape != p.array.shape:
        raise InputError(
            f"{pair.prediction}: has shape {p.array.shape}, its reference {pair.reference} has "
            f"{r.array.shape}; resample the prediction to the grid of the reference"
        )
    if options.allow_spacing_mismatch or options.spacing is not None:
        return
    if difference := io.grid_difference(r, p):
        raise InputError(
            f"{pair.prediction}: lies on another grid than {pair.reference} ({difference}); "
            "resample it, or pass --allow-spacing-mismatch if only the header is wrong"
        )


def _make_plan(pairing: io.Pairing, options: Options, first: _Loaded) -> _Plan:
    notes: list[str] = []
    ignore = options.ignore if options.ignore is not None else pairing.ignore
    names = dict(options.label_names) or dict(pairing.label_names)
    names = {k: v for k, v in names.items() if k not in (0, ignore)}
    labels = options.labels
    if labels is None and names:
        labels = tuple(sorted(names))
    count = int(np.count_nonzero(np.unique(first.reference.array)))
    objects = labels is None and (pairing.layout == "ctc" or count > _MANY_LABELS)
    if objects:
        labels = "foreground"
        notes.append(
            f"{first.pair.name} has {count} labels, taken as objects: overlap is that of the "
            "foreground; pass --labels to score labels one by one"
        )
    metrics = options.metrics or (OBJECT_METRICS if objects else DEFAULT_METRICS)
    chosen = tuple(dict.fromkeys(get_metric(name) for name in (*metrics, *options.also)))
    return _Plan(options, chosen, labels, ignore, names, notes)


def _score(loaded: _Loaded, plan: _Plan) -> dict[str, Any]:
    pair, r, p = loaded.pair, loaded.reference, loaded.prediction
    given = plan.options.spacing if plan.options.spacing is not None else r.spacing
    try:
        ignore = None if r.array.dtype == np.bool_ else plan.ignore
        case = make_case(
            reference=r.array,
            prediction=p.array,
            spacing=given,
            labels=plan.labels,
            ignore=ignore,
        )
        _check_listed(case, pair, plan)
        _check_few(case, pair, plan)
        counted, known = measure(case, [_COUNTS, *plan.metrics])
        others = [m for m in plan.metrics if m.statistic is not Confusion]
        scores = {m.name: m(known[m.statistic], voxel_volume=case.voxel_volume) for m in others}
    except InputError as error:
        named = str(pair.reference) in str(error) or str(pair.prediction) in str(error)
        raise error if named else InputError(f"{pair.reference}: {error}") from None
    c = known[Confusion]
    return {
        "case": pair.name,
        "reference": {"path": str(pair.reference), "sha256": loaded.hashes[0]},
        "prediction": {"path": str(pair.prediction), "sha256": loaded.hashes[1]},
        "shape": list(r.array.shape),
        "spacing": list(check_spacing(given, r.array.ndim)),
        "unit": r.unit,
        "run": plan.fingerprint,
        "labels": list(counted.labels),
        "counts": np.stack([c.tp, c.fp, c.fn, c.tn], -1).tolist(),
        "scores": {name: _written(score) for name, score in scores.items()},
    }


_COUNTS = get_metric("tp")  # every case is counted: sizes and misses are read off the counts


def _check_listed(case: Case, pair: io.Pair, plan: _Plan) -> None:
    """A file of class names lists every label: another one is a mistake, not background."""
    if not plan.names or plan.options.labels is not None:
        return
    for path, labels in ((pair.reference, case.reference), (pair.prediction, case.prediction)):
        known = {*plan.names, 0, plan.ignore}
        odd = [k for k in distinct(labels).tolist() if k not in known]
        if odd:
            listed = ", ".join(str(k) for k in sorted(plan.names))
            raise InputError(
                f"{path}: has label {odd[0]}, which is not among the named labels ({listed}); "
                "name it, or choose labels with --labels"
            )


def _check_few(case: Case, pair: io.Pair, plan: _Plan) -> None:
    """By the first reference, labels are classes; objects here would make a column each."""
    if plan.labels is not None or len(case.labels) <= _MANY_LABELS:
        return
    for path, labels in ((pair.reference, case.reference), (pair.prediction, case.prediction)):
        count = int(np.count_nonzero(distinct(labels)))
        if count > _MANY_LABELS:
            raise InputError(
                f"{path}: has {count} labels, too many to be classes; pass --labels foreground "
                "if they are objects, else list the classes, as in --labels 1,2,3"
            )


def _written(score: Any) -> float | str | None:
    value = float(score)
    return None if np.isnan(value) else value if np.isfinite(value) else str(value)


def _sha256(path: Path) -> str:
    """Of a file; of a folder (Zarr), of the digests of its files."""
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        parts = sorted(f for f in path.rglob("*") if f.is_file())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    return hashlib.sha256("".join(map(_sha256, parts)).encode()).hexdigest()


# The journal.


def _open_journal(output: Path, resume: bool) -> io.Journal:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{output}: cannot be made ({error.strerror}); choose another --output"
        ) from None
    return io.Journal.open(output / "cases.jsonl", resume=resume)


def _earlier(journal: io.Journal | None) -> dict[str, dict[str, Any]]:
    entries = [] if journal is None else journal.entries
    whole = {"case", "reference", "prediction", "shape", "spacing", "unit", "run", "labels"}
    whole |= {"counts", "scores"}
    if any(not whole <= entry.keys() for entry in entries):
        raise InputError(f"{journal.path}: is no journal of segjax; choose another --output")  # type: ignore[union-attr]
    return {entry["case"]: entry for entry in entries}


def _recall(pair: io.Pair, earlier: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The entry of an earlier run, if both files hold the same still, wherever they are now."""
    entry = earlier.get(pair.name)
    if entry is None:
        return None
    for side, path in (("reference", pair.reference), ("prediction", pair.prediction)):
        if entry[side]["sha256"] != _sha256(path):
            return None
        entry = entry | {side: entry[side] | {"path": str(path)}}
    return entry


def _check_same_run(
    journal: io.Journal | None, earlier: Mapping[str, dict[str, Any]], plan: _Plan
) -> None:
    if any(entry["run"] != plan.fingerprint for entry in earlier.values()):
        path = "" if journal is None else journal.path
        raise InputError(
            f"{path}: the earlier run had other options; drop --resume, or choose another --output"
        )


# From entries to a table, and to files.


def _tabulate(pairing: io.Pairing, plan: _Plan, entries: list[dict[str, Any]]) -> Table:
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
    others = [m.name for m in plan.metrics if m.statistic is not Confusion]
    return make_table(
        cases=[e["case"] for e in entries],
        labels=[Label(k, names.get(k, str(k))) for k in found],
        metrics=plan.metrics,
        counts=Confusion(*np.moveaxis(counts, -1, 0)),
        whole={name: np.array([_read(e["scores"][name]) for e in entries]) for name in others},
        voxel_volumes=np.array([float(np.prod(e["spacing"])) for e in entries]),
    )


def _found(entries: list[dict[str, Any]]) -> list[int]:
    """Labels with a voxel anywhere: an empty case speaks of label 1, which others may not."""
    rows = (row for e in entries for row in zip(e["labels"], e["counts"], strict=True))
    return sorted({label for label, counts in rows if any(counts[:3])}) or [1]


def _read(score: float | str | None) -> float:
    return np.nan if score is None else float(score)


def _check_some_label_agrees(entries: list[dict[str, Any]], found: list[int]) -> None:
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


def _write(
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


def _pictures(
    table: Table, pairing: io.Pairing, plan: _Plan, beneath: Mapping[str, Path]
) -> dict[str, Any]:
    """Overlays of the best, the median and the worst cases, chosen by rank alone."""
    pairs = {pair.name: pair for pair in pairing.pairs}
    pictures = {}
    for name in _by_rank(table, plan):
        pair = pairs[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # all has been said while scoring
            loaded = _load(pair, plan.options)
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


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; --images takes the folder of the images")
    return {io.stem(path): path for path in sorted(folder.iterdir()) if io.is_readable(path)}


def _by_rank(table: Table, plan: _Plan) -> list[str]:
    scored = [m for m in plan.metrics if m.best is not None and m.name != "accuracy"]
    metric = next((m for m in scored if m.name == "dice"), scored[0] if scored else None)
    if metric is None:
        return list(table.cases[:_PICTURES])
    if Column(metric.name, None) in table.columns:
        scores = table.resolved(Column(metric.name, None))
    else:
        scores = table.mean_over_labels(metric.name)
    scores = np.abs(scores) if metric.signed else scores
    order = np.argsort(-scores if metric.higher_is_better else scores, kind="stable")
    order = order[~np.isnan(scores[order])]  # best first
    if not len(order):
        return list(table.cases[:_PICTURES])
    worst = order[::-1][: _PICTURES - 2]
    chosen = dict.fromkeys([order[0], order[len(order) // 2], *worst])
    return [table.cases[int(i)] for i in chosen]
