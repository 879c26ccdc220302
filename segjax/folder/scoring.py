"""Score pair after pair, keeping a journal from which a run can be resumed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax.case import Case, check_spacing, distinct, make_case
from segjax.evaluation import measure
from segjax.folder.plan import MANY_LABELS, Options, Plan, make_plan
from segjax.folder.reading import Loaded, floats_noted, load, read_ahead, sha256
from segjax.metrics import get_metric
from segjax.objects import object_table
from segjax.statistics import Confusion


Progress: TypeAlias = Callable[[int, int, str], None]
Entry: TypeAlias = dict[str, Any]

_COUNTS = get_metric("tp")  # every case is counted: sizes and misses are read off the counts


def score_all(
    pairing: io.Pairing,
    options: Options,
    journal: io.Journal | None,
    progress: Progress | None,
) -> tuple[Plan, list[Entry], int]:
    """Score what the journal does not hold.

    Returns:
        The plan, one entry per pair, and how many of them are from the journal.

    Raises:
        InputError: if a pair cannot be scored, or the run is interrupted; the journal then
            holds what was scored before.
    """
    earlier = _earlier(journal)
    entries: list[Entry] = []
    reused = 0
    try:
        with floats_noted() as floats:
            first = load(pairing.pairs[0], options)
            plan = make_plan(pairing, options, first.pair.name, first.reference)
            _check_same_run(journal, earlier, plan)
            at_hand = {first.pair: first}
            del first

            def read(pair: io.Pair) -> Loaded | Entry:
                again = at_hand.pop(pair, None)
                return _recall(pair, earlier) or again or load(pair, options)

            for i, loaded in enumerate(read_ahead(pairing.pairs, read)):
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


def _score(loaded: Loaded, plan: Plan) -> Entry:
    pair, r, p = loaded.pair, loaded.reference, loaded.prediction
    given = plan.options.spacing_of(r)
    try:
        ignore = None if r.array.dtype == np.bool_ else plan.ignore
        case = make_case(
            reference=r.array,
            prediction=p.array,
            spacing=given,
            labels=plan.labels,
            ignore=ignore,
            surface=plan.options.surface,
        )
        _check_listed(case, pair, plan)
        _check_few(case, pair, plan)
        counted, known = measure(case, [_COUNTS, *plan.metrics])
        others = [m for m in plan.metrics if m.statistic is not Confusion]
        scores = {m.name: m(known[m.statistic], voxel_volume=case.voxel_volume) for m in others}
        objects = _objects(loaded, plan, ignore) if plan.objects else None
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
        "objects": objects,
    }


def _objects(loaded: Loaded, plan: Plan, ignore: int | None) -> dict[str, Any]:
    return object_table(
        reference=loaded.reference.array,
        prediction=loaded.prediction.array,
        spacing=plan.options.spacing_of(loaded.reference),
        labels=plan.labels,
        ignore=ignore,
    ).to_record()


def _check_listed(case: Case, pair: io.Pair, plan: Plan) -> None:
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


def _check_few(case: Case, pair: io.Pair, plan: Plan) -> None:
    """By the first reference, labels are classes; objects here would make a column each."""
    if plan.labels is not None or len(case.labels) <= MANY_LABELS:
        return
    for path, labels in ((pair.reference, case.reference), (pair.prediction, case.prediction)):
        count = int(np.count_nonzero(distinct(labels)))
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
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{output}: cannot be made ({error.strerror}); choose another --output"
        ) from None
    return io.Journal.open(output / "cases.jsonl", resume=resume)


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
        if entry[side]["sha256"] != sha256(path):
            return None
        entry = entry | {side: entry[side] | {"path": str(path)}}
    return entry


def _check_same_run(journal: io.Journal | None, earlier: Mapping[str, Entry], plan: Plan) -> None:
    if any(entry["run"] != plan.fingerprint for entry in earlier.values()):
        path = "" if journal is None else journal.path
        raise InputError(
            f"{path}: the earlier run had other options; drop --resume, or choose another --output"
        )
