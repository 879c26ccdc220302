"""Score pair after pair, keeping a journal from which a run can be resumed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from segjax import io, tiles
from segjax._errors import InputError
from segjax.case import check_spacing, distinct, make_case
from segjax.evaluation import measure
from segjax.folder.plan import MANY_LABELS, Options, Plan, make_plan
from segjax.folder.reading import Loaded, doubts_noted, load, read_ahead, sha256
from segjax.folder.regions import Region, score_region
from segjax.metrics import Metric, get_metric
from segjax.objects import ObjectTable, tell_objects
from segjax.statistics import Confusion, Contingency, Segments, find_segments


Progress: TypeAlias = Callable[[int, int, str], None]
Entry: TypeAlias = dict[str, Any]
# Labels that occur in the reference and in the prediction, which takes time to find out.
_Present: TypeAlias = Callable[[], Sequence[np.ndarray]]

_COUNTS = get_metric("tp")  # every case is counted: sizes and misses are read off the counts


class Scored(NamedTuple):
    """What `score_all` returns.

    Attributes:
        plan: what was scored, and how.
        entries: one per pair of the pairing.
        markers: one per pair of its markers; none if no metric is judged by them.
        reused: how many of the entries are from the journal.
    """

    plan: Plan
    entries: list[Entry]
    markers: list[Entry]
    reused: int


def score_all(
    pairing: io.Pairing,
    options: Options,
    journal: io.Journal | None,
    progress: Progress | None,
) -> Scored:
    """Score what the journal does not hold.

    Raises:
        InputError: if a pair cannot be scored, or the run is interrupted; the journal then
            holds what was scored before.
    """
    earlier = _earlier(journal)
    entries: list[Entry] = []
    reused = tiled = 0
    cases = len(pairing.pairs)
    pairs = [*pairing.pairs]
    try:
        with doubts_noted() as doubts:
            first = load(pairing.pairs[0], options)
            plan = make_plan(pairing, options, first.pair.name, first.reference)
            _check_same_run(journal, earlier, plan)
            at_hand = {first.pair: first}
            del first
            if plan.by_markers:
                pairs += [replace(pair, name=f"{pair.name} (TRA)") for pair in pairing.markers]

            def read(pair: io.Pair) -> Loaded | Entry:
                again = at_hand.pop(pair, None)
                return _recall(pair, earlier) or again or load(pair, options)

            for i, loaded in enumerate(read_ahead(pairs, read)):
                if isinstance(loaded, dict):
                    entries.append(loaded)
                    reused += i < cases
                else:
                    tiled += loaded.in_tiles
                    entries.append(_score(loaded, plan, by_markers=i >= cases))
                    if journal is not None:
                        journal.append(entries[-1])
                if progress is not None:
                    progress(i + 1, len(pairs), pairs[i].name)
        plan.notes.extend(doubts)
        if tiled:
            plan.notes.append(
                f"{tiled} of {len(pairs)} images were read in tiles: there are no pictures of "
                "them, and it is not told what becomes of each object"
            )
    except KeyboardInterrupt:
        kept = "run again with --resume to finish" if journal else "pass --output to keep them"
        raise InputError(f"stopped after {len(entries)} of {len(pairs)} cases; {kept}") from None
    return Scored(plan, entries[:cases], entries[cases:], reused)


class _Measured(NamedTuple):
    """What there is to know of a case: see the entry of the journal."""

    labels: Sequence[int]
    counts: Confusion
    scores: dict[str, Any]
    found: Segments | None
    told: ObjectTable | None
    regions: Sequence[tuple[Confusion, dict[str, Any]]]


def _score(loaded: Loaded, plan: Plan, *, by_markers: bool) -> Entry:
    pair, r, p = loaded.pair, loaded.reference, loaded.prediction
    try:
        measured = (_measure_tiles if loaded.in_tiles else _measure)(loaded, plan, by_markers)
    except InputError as error:
        named = any(str(path) in str(error) for path in (pair.reference, pair.prediction) if path)
        raise error if named else InputError(f"{pair.reference}: {error}") from None
    except MemoryError:
        both = io.byte_size(r.array.nbytes + p.array.nbytes)
        raise InputError(
            f"{pair.reference}: does not fit in memory with what scoring needs beside it and its "
            f"prediction ({both}); crop it, or score fewer metrics"
        ) from None
    labels, counts, scores, found, told, regions = measured
    return {
        "case": pair.name,
        "reference": {"path": str(pair.reference), "sha256": loaded.hashes[0]},
        "prediction": {"path": _text(pair.prediction), "sha256": loaded.hashes[1]},
        "shape": list(r.array.shape),
        "spacing": list(check_spacing(plan.options.spacing_of(r), r.array.ndim)),
        "unit": r.unit,
        "run": plan.fingerprint,
        "labels": [*labels, *(region.code for region in plan.regions)],
        "counts": [*_rows(counts), *(row for c, _ in regions for row in _rows(c))],
        "scores": {
            name: _written(score) if np.ndim(score) == 0 else _joined(name, score, regions)
            for name, score in scores.items()
        },
        "overlaps": None if found is None else found.listed._asdict(),
        "objects": None if told is None else told.to_record(),
    }


def _measure(loaded: Loaded, plan: Plan, by_markers: bool) -> _Measured:
    r = loaded.reference
    metrics = plan.by_markers if by_markers else plan.by_outlines
    ignore = None if r.array.dtype == np.bool_ else plan.ignore
    case = make_case(
        reference=r.array,
        prediction=loaded.prediction.array,
        spacing=plan.options.spacing_of(r),
        labels=plan.counted,
        ignore=ignore,
        surface=plan.options.surface,
        relabel=plan.options.relabel,
    )
    present = lambda: (distinct(case.reference), distinct(case.prediction))
    _check_listed(present, loaded.pair, plan)
    _check_few(len(case.labels), present, loaded.pair, plan)
    found = find_segments(case) if plan.objects else None
    at_hand = {} if found is None else {Contingency: found.contingency}
    counted, known = measure(case, [_COUNTS, *metrics], at_hand)
    told = None if found is None or by_markers else tell_objects(case, found)
    regions = [_score_region(region, loaded, ignore, plan) for region in plan.regions]
    scores = _scores(metrics, known, case.voxel_volume)
    return _Measured(counted.labels, known[Confusion], scores, found, told, regions)


def _measure_tiles(loaded: Loaded, plan: Plan, by_markers: bool) -> _Measured:
    """As `_measure`, but that what becomes of each object is not told."""
    r = loaded.reference
    metrics = plan.by_markers if by_markers else plan.by_outlines
    case = tiles.make_tiled_case(
        reference=r.array,
        prediction=loaded.prediction.array,
        spacing=plan.options.spacing_of(r),
        labels=plan.counted,
        ignore=None if r.array.dtype == np.bool_ else plan.ignore,
        surface=plan.options.surface,
        relabel=plan.options.relabel,
        tile=plan.options.tile,
    )
    measured = tiles.measure(case, metrics, objects=plan.objects)
    present = lambda: tuple(map(np.unique, measured.pairs[:2]))
    _check_listed(present, loaded.pair, plan)
    _check_few(len(measured.labels), present, loaded.pair, plan)
    regions = []
    for region in plan.regions:
        own = replace(case, region=region.labels, wanted=(1,), foreground=False, relabel=False)
        wanted = [m for m in metrics if m.per == "label"]
        known = tiles.measure(own, wanted).known
        regions.append((known[Confusion], _scores(wanted, known, case.voxel_volume)))
    known = measured.known
    scores = _scores(metrics, known, case.voxel_volume)
    return _Measured(measured.labels, known[Confusion], scores, measured.segments, None, regions)


def _scores(
    metrics: Sequence[Metric], known: Mapping[type, Any], voxel_volume: float
) -> dict[str, Any]:
    """Those that are not read off the counts."""
    others = [m for m in metrics if m.statistic is not Confusion]
    return {m.name: m(known[m.statistic], voxel_volume=voxel_volume) for m in others}


def _rows(c: Confusion) -> list[list[int]]:
    """Counts of each label."""
    return np.stack([c.tp, c.fp, c.fn, c.tn], -1).reshape(-1, 4).tolist()


def _joined(name: str, scores: Any, regions: Sequence[tuple[Confusion, dict[str, Any]]]) -> Any:
    """Scores of the labels, then those of the regions."""
    return _written(np.concatenate([np.ravel(scores), *(np.ravel(s[name]) for _, s in regions)]))


def _score_region(
    region: Region, loaded: Loaded, ignore: int | None, plan: Plan
) -> tuple[Confusion, dict[str, Any]]:
    return score_region(
        region,
        loaded.reference.array,
        loaded.prediction.array,
        plan.by_outlines,
        ignore=ignore,
        spacing=plan.options.spacing_of(loaded.reference),
        surface=plan.options.surface,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _check_listed(present: _Present, pair: io.Pair, plan: Plan) -> None:
    """A file of class names lists every label: another one is a mistake, not background."""
    if not plan.names or plan.options.labels is not None:
        return
    for path, labels in zip((pair.reference, pair.prediction), present(), strict=True):
        known = {*plan.listed, 0, plan.ignore}
        odd = [k for k in labels.tolist() if k not in known]
        if odd:
            listed = ", ".join(map(str, plan.listed))
            raise InputError(
                f"{path}: has label {odd[0]}, which is not among the named labels ({listed}); "
                "name it, or choose labels with --labels"
            )


def _check_few(labels: int, present: _Present, pair: io.Pair, plan: Plan) -> None:
    """By the first reference, labels are classes; objects here would make a column each."""
    if plan.labels is not None or labels <= MANY_LABELS:
        return
    for path, own in zip((pair.reference, pair.prediction), present(), strict=True):
        count = int(np.count_nonzero(own))
        if count > MANY_LABELS:
            raise InputError(
                f"{path}: has {count} labels, too many to be classes; pass --labels foreground "
                "if they are objects, else list the classes, as in --labels 1,2,3"
            )


def _written(score: Any) -> Any:
    """For JSON, which has no NaN and no infinity: numbers, None, text; a list per label."""
    if np.ndim(score):
        return [_written(value) for value in score]
    value = float(score)
    return None if np.isnan(value) else value if np.isfinite(value) else str(value)


def open_journal(output: Path, resume: bool) -> io.Journal:
    """Make the output folder, and open the journal in it; without `resume` it starts empty."""
    return io.Journal.open(io.output_folder(output) / "cases.jsonl", resume=resume)


def _earlier(journal: io.Journal | None) -> dict[str, Entry]:
    entries = [] if journal is None else journal.entries
    whole = {"case", "reference", "prediction", "shape", "spacing", "unit", "run", "labels"}
    whole |= {"counts", "scores", "objects"}
    if any(not whole <= entry.keys() for entry in entries):
        raise InputError(f"{journal.path}: is no journal of segjax; choose another --output")  # type: ignore[union-attr]
    return {entry["case"]: entry for entry in entries}


def _recall(pair: io.Pair, earlier: Mapping[str, Entry]) -> Entry | None:
    """The entry of an earlier run, if both files hold the same still, wherever they are now."""
    entry = earlier.get(pair.name)
    if entry is None:
        return None
    for side, path in (("reference", pair.reference), ("prediction", pair.prediction)):
        if entry[side]["sha256"] != (None if path is None else sha256(path)):
            return None
        entry = entry | {side: entry[side] | {"path": _text(path)}}
    return entry


def _check_same_run(journal: io.Journal | None, earlier: Mapping[str, Entry], plan: Plan) -> None:
    same = lambda e: e["run"] == plan.fingerprint and (e.get("overlaps") or not plan.objects)
    if not all(same(entry) for entry in earlier.values()):
        path = "" if journal is None else journal.path
        raise InputError(
            f"{path}: the earlier run had other options; drop --resume, or choose another --output"
        )
