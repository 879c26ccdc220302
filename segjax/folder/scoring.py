"""Score pair after pair, keeping a journal from which a run can be resumed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from segjax import io, tiles
from segjax._errors import InputError
from segjax.case import check_spacing, distinct, make_case
from segjax.evaluation import measure
from segjax.folder.journals import Entry, by_case, entries_left
from segjax.folder.plan import MANY_LABELS, Options, Plan, make_plan
from segjax.folder.reading import Loaded, doubts_noted, load, read_ahead, sha256, summed_up
from segjax.folder.refusals import Refusals, attempt
from segjax.folder.regions import Region, score_region
from segjax.hosts import ALONE, Hosts
from segjax.metrics import Metric, get_metric
from segjax.objects import ObjectTable, tell_objects
from segjax.statistics import Confusion, Contingency, Segments, find_segments


Progress: TypeAlias = Callable[[int, int, str], None]
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
    hosts: Hosts = ALONE,
) -> Scored:
    """Score what the journals do not hold, each host its share.

    Raises:
        InputError: if a pair cannot be scored, or the run is interrupted; the journal then
            holds what was scored before.
    """
    with doubts_noted() as doubts:
        left = hosts.gather(entries_left(journal, hosts))
        earlier = by_case(entry for part in left for entry in part)
        first = load(pairing.pairs[0], options)
        plan = make_plan(pairing, options, first.pair.name, first.reference)
        _check_same_run(journal, earlier, plan)
        pairs = [*pairing.pairs]
        if plan.by_markers:
            pairs += [replace(pair, name=f"{pair.name} (TRA)") for pair in pairing.markers]
        work = _Work(plan, len(pairing.pairs), earlier, journal, progress)
        work.at_hand[first.pair] = first
        del first
        # What is left comes first, so that each host has as much of it.
        dealt = sorted(range(len(pairs)), key=lambda i: pairs[i].name in earlier)
        shares = hosts.gather(work.do([(i, pairs[i]) for i in hosts.share(dealt)]))
    entries = dict(item for done, _, _ in shares for item in done)
    plan.notes.extend(summed_up([text for told in hosts.gather(doubts) for text in told]))
    ordered = [entries[i] for i in range(len(pairs))]
    reused, tiled = (sum(share[i] for share in shares) for i in (1, 2))
    if tiled:
        plan.notes.append(
            f"{tiled} of {len(pairs)} images were read in tiles: there are no pictures of "
            "them, and it is not told what becomes of each object"
        )
    return Scored(plan, ordered[: work.cases], ordered[work.cases :], reused)


@dataclass
class _Work:
    """What scoring a share takes; `at_hand` is what has been read before."""

    plan: Plan
    cases: int
    earlier: Mapping[str, Entry]
    journal: io.Journal | None
    progress: Progress | None
    at_hand: dict[io.Pair, Loaded] = field(default_factory=dict)

    def do(self, share: Sequence[tuple[int, io.Pair]]) -> tuple[list[tuple[int, Entry]], int, int]:
        """The entry of each numbered pair; cases of an earlier run, and pairs read in tiles.

        Raises:
            InputError: if pairs cannot be scored. With a journal, that is told when the others are
                in it; without one, at the first.
        """
        done: list[tuple[int, Entry]] = []
        refused = Refusals(kept=self.journal is not None)
        reused = tiled = 0
        self.at_hand = {pair: self.at_hand[pair] for _, pair in share if pair in self.at_hand}
        try:
            for (i, pair), read in zip(
                share, read_ahead([pair for _, pair in share], self._read), strict=True
            ):
                if isinstance(read, Loaded):
                    tiled += read.in_tiles
                    read = self._scored(read, by_markers=i >= self.cases)
                elif isinstance(read, dict):
                    reused += i < self.cases
                if isinstance(read, InputError):
                    refused.add(pair.name, read)
                    continue
                done.append((i, read))
                if self.progress is not None:
                    self.progress(len(done), len(share), pair.name)
        except KeyboardInterrupt:
            mend = "run again with --resume to finish"
            if self.journal is None:
                mend = "pass --output to keep them"
            raise InputError(f"stopped after {len(done)} of {len(share)} cases; {mend}") from None
        refused.tell()
        return done, reused, tiled

    def _read(self, pair: io.Pair) -> Loaded | Entry | InputError:
        again = self.at_hand.pop(pair, None)
        return attempt(
            lambda: _recall(pair, self.earlier) or again or load(pair, self.plan.options)
        )

    def _scored(self, loaded: Loaded, *, by_markers: bool) -> Entry | InputError:
        entry = attempt(lambda: _score(loaded, self.plan, by_markers=by_markers))
        if self.journal is not None and isinstance(entry, dict):
            self.journal.append(entry)
        return entry


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
