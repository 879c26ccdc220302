"""The scores of models on common cases, and what each kind of score is."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int8

from segjax._errors import InputError
from segjax.io._cells import canonical, known_metric, plain, status_of
from segjax.io._problem import shown
from segjax.io.sheet import Facts, Row, Sheet, Source, Status, Value
from segjax.leaderboard.measures import (
    HUGE,
    ROUNDING,
    Declared,
    Measure as Measure,
    find_metric,
    is_length,
    kinds_of,
    measures_of,
    nearest,
    quoted,
)
from segjax.table import Table, jsonable


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores as they are, before any policy; build with `gather_scores`.

    Attributes:
        models: names, in the order given.
        cases: names, sorted as strings.
        measures: what was measured.
        values: raw scores; NaN where there is none.
        status: a `segjax.io.sheet.Status` for each of them.
        limits: per case the worst score there can be; NaN where it is not known.
        suspect: models whose scores the source flags as not to be trusted.
        facts: one per model.
        metadata: by column one value per case, None where it is not known.
        dataset: "name", "url", "license" and "citation", as far as known.
        sources: the files that were read.
        notes: what was left out, and why.
    """

    models: tuple[str, ...]
    cases: tuple[str, ...]
    measures: tuple[Measure, ...]
    values: Float[np.ndarray, "measure model case"]
    status: Int8[np.ndarray, "measure model case"]
    limits: Float[np.ndarray, "measure case"]
    suspect: Bool[np.ndarray, "measure model"]
    facts: tuple[Facts, ...]
    metadata: Mapping[str, tuple[Value, ...]]
    dataset: Mapping[str, str]
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def contaminated(self) -> Bool[np.ndarray, " model"]:
        """Models that were trained on the cases, or on the data set they are of."""
        name = self.dataset.get("name", "").casefold()
        return np.array(
            [
                f.contaminated or (name != "" and name in map(str.casefold, f.contaminated_on))
                for f in self.facts
            ]
        )

    def place(self, metric: str, label: str = "") -> int | None:
        """Place of a measure by any name of its metric and its label; None if there is none."""
        of = {m.metric: i for i, m in enumerate(self.measures) if m.label == label}
        name = find_metric(metric, of)
        return None if name is None else of[name]

    def column(self, name: str, what: str) -> tuple[Value, ...]:
        """One column of the metadata.

        Args:
            name: of the column.
            what: asks for it; stands at the head of the error.

        Raises:
            InputError: if there is no such column.
        """
        if name not in self.metadata:
            known = ", ".join(self.metadata) or "none"
            raise InputError(f"{what}: no column {name!r} of the cases; there are {known}")
        return self.metadata[name]


def gather_scores(
    sheets: Sequence[Sheet],
    *,
    metrics: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    declared: Mapping[str, Declared] | None = None,
    facts: Mapping[str, Facts] | None = None,
    dataset: Mapping[str, str] | None = None,
    metadata: Mapping[str, Mapping[str, Value]] | None = None,
) -> Scores:
    """Put scores of many sources side by side.

    Args:
        sheets: from `segjax.io.scores.read_scores`; each model is in one of them.
        metrics: which, in this order; None for all that can be ranked.
        labels: which, in this order; None for all.
        declared: by name of a metric "better" ("higher" or "lower"), "best", "worst" and "unit":
            needed for metrics unknown to segjax, and goes before what is known of others.
        facts: by name of a model, in place of what the sources say.
        dataset: goes before what the sources say.
        metadata: by case, values by column, beside those of the sources.

    Raises:
        InputError: if there are no scores, a model is in two sources, models have no case in
            common, a metric is not known or has no direction, or a score is not possible.
    """
    if not sheets:
        raise InputError("there are no scores; give at least one file of them")
    models = _models(sheets)
    rows = _spelled(row for sheet in sheets for row in sheet.rows)
    kinds, notes = kinds_of(dict.fromkeys(row.metric for row in rows), metrics, declared or {})
    rows = [row for row in rows if row.metric in kinds]
    if not rows:
        said = "; ".join([*notes, *(note for sheet in sheets for note in sheet.notes)])
        raise InputError(
            f"there are no scores that can be ranked{f' ({shown(said)})' if said else ''}; declare "
            "metrics that segjax does not know in a configuration, as metrics: {mine: {better: "
            "higher}}"
        )
    measures = measures_of(rows, kinds, labels, {sheet.unit for sheet in sheets})
    place = {(m.metric, m.label): i for i, m in enumerate(measures)}
    rows = [row for row in rows if (row.metric, row.label) in place]
    _check_common(rows)
    cases = sorted({row.case for row in rows})
    of_model, of_case = ({x: i for i, x in enumerate(names)} for names in (models, cases))
    values = np.full((len(measures), len(models), len(cases)), np.nan)
    status = np.full(values.shape, Status.ABSENT, np.int8)
    for row in rows:
        at = place[row.metric, row.label], of_model[row.model], of_case[row.case]
        values[at], status[at] = row.score, _status(row, measures[at[0]])
    return Scores(
        models=models,
        cases=tuple(cases),
        measures=measures,
        values=values,
        status=status,
        limits=_limits(measures, cases, sheets),
        suspect=_suspect(measures, models, sheets),
        facts=_facts(models, sheets, facts or {}),
        metadata=_metadata(cases, [*(sheet.metadata for sheet in sheets), metadata or {}]),
        dataset={k: v for s in sheets for k, v in s.dataset.items()} | dict(dataset or {}),
        sources=tuple(dict.fromkeys(source for sheet in sheets for source in sheet.sources)),
        notes=(*notes, *(note for sheet in sheets for note in sheet.notes)),
    )


def from_tables(tables: Mapping[str, Table], **options: Any) -> Scores:
    """Put tables side by side, by name of the model.

    Args:
        tables: of the same cases.
        **options: of `gather_scores`.

    Raises:
        InputError: as `gather_scores`.
    """
    return gather_scores([_sheet(name, table) for name, table in tables.items()], **options)


def _sheet(model: str, table: Table) -> Sheet:
    return Sheet(
        rows=[
            Row(model, r.case, r.name or r.label, r.metric, r.score, Status[r.status.upper()])
            for r in table.rows()
        ],
        facts={model: Facts()},
        diagonals={
            case: float(extent)
            for case, extent in zip(table.cases, table.diagonals, strict=True)
            if math.isfinite(extent)
        },
    )


def from_arrays(
    values: Any,
    *,
    metric: str,
    models: Sequence[str] | None = None,
    cases: Sequence[str] | None = None,
    label: str = "",
    **options: Any,
) -> Scores:
    """Take the scores of one metric as they are.

    Args:
        values: one row per model; NaN is no score.
        metric: any name of it.
        models: names; A, B, ... by default.
        cases: names; numbers by default.
        label: what was segmented.
        **options: of `gather_scores`.

    Raises:
        InputError: as `gather_scores`, and if names are too few, too many or there twice.
    """
    array = np.asarray(values, float)
    if array.ndim != 2:
        raise InputError(f"give a row of scores per model, not an array of shape {array.shape}")
    width = len(str(array.shape[1]))
    names = _letters(len(array)) if models is None else list(models)
    of = [f"{i:0{width}d}" for i in range(1, array.shape[1] + 1)] if cases is None else list(cases)
    for what, given, n in (("models", names, len(array)), ("cases", of, array.shape[1])):
        if len(given) != n or len(set(given)) != n:
            raise InputError(f"{what} must be {n} different names, got {len(set(given))}")
    rows = [
        Row(model, case, label, canonical(metric), float(score), status_of(float(score), None))
        for model, row in zip(names, array, strict=True)
        for case, score in zip(of, row, strict=True)
    ]
    return gather_scores([Sheet(rows=rows, facts=dict.fromkeys(names, Facts()))], **options)


def scores_sha256(scores: Scores) -> str:
    """SHA-256 of what was scored, whatever files it came in.

    Of the names of models, cases and measures, and of every score with its status, as JSON: no
    score, and an infinite one, is null.
    """
    content = {
        "models": scores.models,
        "cases": scores.cases,
        "measures": [measure.name for measure in scores.measures],
        "scores": jsonable(scores.values + 0.0),  # no minus zero
        "status": scores.status.tolist(),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _letters(n: int) -> list[str]:
    return [chr(65 + i) if n <= 26 else f"model {i + 1}" for i in range(n)]


def _models(sheets: Sequence[Sheet]) -> tuple[str, ...]:
    names = [
        name
        for sheet in sheets
        for name in dict.fromkeys([*sheet.facts, *(row.model for row in sheet.rows)])
    ]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise InputError(
            f"model {quoted(twice[0])} is in two sources; rename one of them, or join the files"
        )
    return tuple(names)


def _spelled(rows: Iterable[Row]) -> list[Row]:
    """Metrics that are unknown are spelled alike; no score is there twice."""
    spelling: dict[str, str] = {}
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = row.metric if known_metric(row.metric) else plain(row.metric)
        row = row._replace(metric=spelling.setdefault(key, row.metric))
        if found.setdefault(row[:4], row) is not row:
            raise InputError(f"{_of(row)} is there twice; keep one of them")
    return list(found.values())


def _status(row: Row, measure: Measure) -> Status:
    """An infinitely bad score is a miss; one beyond what is possible is an error."""
    if row.status is not Status.SCORED:
        return row.status
    if math.isinf(row.score) and row.score * measure.sign < 0:
        return Status.MISSED
    for bound, side, which in ((measure.best, 1, "best"), (measure.worst, -1, "worst")):
        excess = -math.inf if bound is None else side * measure.sign * (row.score - bound)
        huge = bound is None and abs(row.score) >= HUGE
        if huge or excess > ROUNDING * max(1, abs(bound or 0)):
            limit = "possible" if bound is None else f"the {which} there is ({bound:g})"
            raise InputError(
                f"{_of(row)} is {row.score:g}, beyond {limit}; divide percentages by 100, "
                f"or declare the {which} of {shown(row.metric[:60])}"
            )
    return Status.SCORED


def _check_common(rows: Sequence[Row]) -> None:
    """Names of cases that agree nowhere are written differently."""
    cases: dict[tuple[str, str], dict[str, set[str]]] = {}
    for row in rows:
        of = cases.setdefault((row.metric, row.label), {})
        of.setdefault(row.model, set()).add(row.case)
    for (metric, label), of in cases.items():
        common, first = None, ""
        for model, there in of.items():
            if common is not None and not common & there:
                raise InputError(
                    f"models {quoted(first)} and {quoted(model)} have no case of "
                    f"{_what(metric, label)} in common ({quoted(min(of[first]))} and "
                    f"{quoted(min(there))}, say); call cases the same in all files"
                )
            common, first = (there, model) if common is None else (common & there, first)


def _limits(
    measures: Sequence[Measure], cases: Sequence[str], sheets: Sequence[Sheet]
) -> Float[np.ndarray, "measure case"]:
    extents: dict[str, float] = {}
    for sheet in sheets:
        for case, extent in sheet.diagonals.items():
            extents[case] = max(extent, extents.get(case, 0.0))
    diagonals = [extents.get(case, math.nan) for case in cases]
    unknown = [math.nan] * len(cases)
    return np.array(
        [
            [m.worst] * len(cases)
            if m.worst is not None
            else diagonals
            if is_length(m)
            else unknown
            for m in measures
        ]
    )


def _suspect(
    measures: Sequence[Measure], models: Sequence[str], sheets: Sequence[Sheet]
) -> Bool[np.ndarray, "measure model"]:
    flagged = {pair for sheet in sheets for pair in sheet.suspect}
    return np.array([[(model, m.label) in flagged for model in models] for m in measures])


# Facts and metadata.


def _facts(
    models: Sequence[str], sheets: Sequence[Sheet], given: Mapping[str, Facts]
) -> tuple[Facts, ...]:
    for name in given:
        if name not in models:
            raise InputError(
                f"no scores of model {quoted(name)}; did you mean {nearest(name, models)}?"
            )
    found = {name: facts for sheet in sheets for name, facts in sheet.facts.items()}
    return tuple(_joined(found.get(name, Facts()), given.get(name, Facts())) for name in models)


def _joined(found: Facts, given: Facts) -> Facts:
    said = {f.name: getattr(given, f.name) for f in fields(Facts)}
    return replace(found, **{key: value for key, value in said.items() if value})


def _metadata(
    cases: Sequence[str], sources: Sequence[Mapping[str, Mapping[str, Value]]]
) -> dict[str, tuple[Value, ...]]:
    columns: dict[str, dict[str, Value]] = {}
    for case in cases:
        for source in sources:
            for column, value in source.get(case, {}).items():
                known = columns.setdefault(column, {}).setdefault(case, value)
                if str(known) != str(value):
                    raise InputError(
                        f"case {quoted(case)} has {quoted(column)} {quoted(known)} in one source "
                        f"and {quoted(value)} in another; keep one of them"
                    )
    return {column: _typed([of.get(case) for case in cases]) for column, of in columns.items()}


def _typed(values: Sequence[Value]) -> tuple[Value, ...]:
    """Text if any of the values is: sources may differ in what they take for numbers."""
    if any(isinstance(value, str) for value in values):
        return tuple(None if value is None else str(value) for value in values)
    return tuple(values)


def _of(row: Row) -> str:
    what = _what(row.metric, row.label)
    return f"{what} of model {quoted(row.model)}, case {quoted(row.case)}"


def _what(metric: str, label: str) -> str:
    return shown(f"{metric[:60]}, {label[:60]}" if label else metric[:60])
