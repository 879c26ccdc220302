"""The leaderboard: scores in, a board out that can be read, stored and verified."""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from segjax._compiling import keep_compiled
from segjax._errors import InputError
from segjax._version import __version__
from segjax.leaderboard.document import SCHEMA, describe, result_of, scheme_of
from segjax.leaderboard.judging import Judged, judge, rank_by_schemes, subkey
from segjax.leaderboard.options import Options
from segjax.leaderboard.resampling import Plan, poisson_weights
from segjax.leaderboard.scores import Scores, from_arrays, from_tables, scores_sha256
from segjax.leaderboard.separability import holm
from segjax.leaderboard.slices import Slice, difference_test, slice_cases, slice_estimates
from segjax.leaderboard.trust import simulate
from segjax.report.board import render_board, to_csv, to_latex, to_markdown
from segjax.table import Table, jsonable


_SLICE_REPLICATES = 10_000  # of weights that are kept: 10 MB for 1000 units
_MOST_SLICES = 50


@dataclass(frozen=True)
class Board:
    """A leaderboard; `document` has all of it, as `leaderboard.document` says."""

    document: Mapping[str, Any]

    def result(self, measure: str | None = None) -> Mapping[str, Any]:
        """What is said of one measure: the first, if none is named.

        Raises:
            InputError: if there is no such measure.
        """
        for found in self.document["results"]:
            if measure in (None, found["measure"]):
                return found
        names = ", ".join(found["measure"] for found in self.document["results"])
        raise InputError(f"no measure {measure!r}; there are {names}")

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.to_markdown()

    def to_json(self) -> str:
        """`leaderboard.json`."""
        return json.dumps(self.document, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One row per measure and model."""
        return to_csv(self.document)

    def to_markdown(self) -> str:
        """A table per measure."""
        return to_markdown(self.document)

    def to_latex(self) -> str:
        """A table per measure, for booktabs."""
        return to_latex(self.document)

    def to_html(self) -> str:
        """One page that needs no network."""
        return render_board(self.document)


def board(
    scores: Scores | Mapping[str, Table] | Mapping[str, Any],
    options: Options | None = None,
    *,
    key: Any = None,
    metric: str = "dice",
    cases: Any = None,
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    title: str = "",
    command: str = "",
    **chosen: Any,
) -> Board:
    """Judge methods by their scores.

    Args:
        scores: from `leaderboard.scores`; or by model a `Table`, or the scores of its cases.
        options: how to judge; by default `Options()`.
        key: a JAX key, or a number, in place of the options' seed.
        metric: what the scores are, if they are plain numbers.
        cases: their names, likewise.
        metadata: by case, values by column.
        title: of the page.
        command: that makes the board, for its stamp.
        **chosen: fields of `Options`, in place of `options`.

    Raises:
        InputError: if the scores cannot be compared, or an option is wrong.

    Example:
        >>> found = board(
        ...     {"A": [0.91, 0.88, 0.93, 0.90, 0.94], "B": [0.85, 0.80, 0.88, 0.86, 0.90]},
        ...     replicates=1000,
        ... )
        >>> [row["model"] for row in found.result("dice")["table"]]
        ['A', 'B']
    """
    began = time.perf_counter()
    keep_compiled()
    if key is not None:
        chosen["seed"] = _seed(key)
    options = _options(options, chosen).settled()
    scores = _scores(scores, metric, cases, metadata)
    for chosen_slice in options.slices:  # before anything is computed
        scores.column(chosen_slice.column, "slices")
    plan, judged = judge(scores, options)
    units = _unit_names(scores, options, plan)
    slices = slice_all(scores, options, plan, judged)
    schemes = [
        scheme_of(found, scheme, scores)
        for found in judged
        if len(found.standing.order)
        for scheme in rank_by_schemes(found, plan, len(scores.cases), options)
    ]
    document = {
        "schema": SCHEMA,
        "title": title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "segjax": __version__,
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "device": jax.devices()[0].device_kind,
        },
        "command": command,
        **describe(scores, options, plan),
        "sources": [{"path": s.path, "sha256": s.sha256} for s in scores.sources],
        "scores_sha256": scores_sha256(scores),
        "results": [result_of(found, scores, options, units) for found in judged],
        "schemes": schemes,
        "slices": slices,
        "calibration": simulate(subkey(options, "calibration"), judged, scores.models, options)
        if options.calibrate
        else None,
        "notes": _notes(scores, options, judged),
    }
    document["seconds"] = round(time.perf_counter() - began, 3)
    return Board(jsonable(document))


def _seed(key: Any) -> int | tuple[int, ...]:
    if isinstance(key, int):
        return key
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = np.asarray(jax.random.key_data(key) if typed else key)
    if words.dtype != np.uint32 or words.ndim != 1:
        raise InputError("key must be a number, or one JAX key, as jax.random.key(0)")
    return tuple(words.tolist())


def _options(options: Options | None, chosen: Mapping[str, Any]) -> Options:
    names = {f.name for f in fields(Options)}
    for name in chosen:
        if name not in names:
            raise InputError(f"board has no option {name!r}; there are {', '.join(sorted(names))}")
    given = {f: getattr(options, f) for f in names} if options is not None else {}
    given |= chosen
    columns = given.get("slices", ())
    given["slices"] = tuple(Slice(c) if isinstance(c, str) else c for c in columns)
    return Options(**given)


def _scores(scores: Any, metric: str, cases: Any, metadata: Any) -> Scores:
    if isinstance(scores, Scores):
        return scores
    if not isinstance(scores, Mapping) or not scores:
        raise InputError("give the scores of each model by its name, as {'A': ..., 'B': ...}")
    if all(isinstance(table, Table) for table in scores.values()):
        return from_tables(scores, metadata=metadata)
    rows = [np.asarray(row, float) for row in scores.values()]
    if any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        raise InputError("give one score per case, of the same cases for every model")
    return from_arrays(
        np.stack(rows), metric=metric, models=list(scores), cases=cases, metadata=metadata
    )


def _unit_names(scores: Scores, options: Options, plan: Plan) -> list[str]:
    of_cases = scores.metadata[options.clusters] if options.clusters else scores.cases
    names = [""] * plan.units
    for unit, name in zip(plan.unit, of_cases, strict=True):
        names[unit] = str(name)
    return names


def _notes(scores: Scores, options: Options, judged: list[Judged]) -> list[str]:
    notes = [*scores.notes, *(note for found in judged for note in found.panel.notes)]
    if options.statistic != "mean":
        notes.append(
            f"models are ranked by the {options.statistic}; verdicts are on the mean of their "
            "paired differences"
        )
    if options.compat:
        notes.append(
            "numbers as segauge prints them: percentile intervals and Bonferroni pairs, which for "
            "few cases do not hold what they promise"
        )
    few = [found for found in judged if np.unique(found.standing.units).size < 2]
    notes += [f"{found.measure.name}: a single case has no interval" for found in few]
    return notes


def slice_all(
    scores: Scores, options: Options, plan: Plan, judged: list[Judged]
) -> list[dict[str, Any]]:
    """Every measure in every slice, with a test for a difference between the slices.

    Tests are adjusted by Holm over all models, measures and columns.
    """
    if not options.slices:
        return []
    key = subkey(options, "slices")
    count = min(options.replicates or 1, _SLICE_REPLICATES)
    weights = poisson_weights(key, plan.units, count=count)
    entries, tests, orders = [], [], []
    for chosen in options.slices:
        groups = slice_cases(scores.metadata[chosen.column], chosen.bins)
        if len(groups) > _MOST_SLICES:
            raise InputError(
                f"slices: {chosen.column!r} has {len(groups)} values; numbers can be sorted into "
                "bins, as {column: size, bins: 3}"
            )
        for found in judged:
            rows = np.zeros((len(found.standing.order), len(scores.cases)))
            rows[:, found.panel.cases] = found.measure.sign * found.standing.scores
            kept = np.zeros(len(scores.cases), bool)
            kept[found.panel.cases] = True
            inside = {name: cases & kept for name, cases in groups.items()}
            inside = {name: cases for name, cases in inside.items() if cases.any()}
            shown = [c for c in inside.values() if c.sum() >= options.minimum_n]
            tests.append(difference_test(plan, rows, shown))
            orders.append(found.standing.order)
            entries.append(
                {
                    "column": chosen.column,
                    "measure": found.measure.name,
                    "groups": [
                        _group(weights, plan, rows, name, cases, found, scores, options)
                        for name, cases in inside.items()
                    ],
                }
            )
    flat = np.concatenate(tests)
    adjusted = np.full(flat.shape, np.nan)
    adjusted[~np.isnan(flat)] = holm(flat[~np.isnan(flat)])
    parts = np.split(adjusted, np.cumsum([t.size for t in tests])[:-1])
    for entry, part, order in zip(entries, parts, orders, strict=True):
        entry["tests"] = [
            {"model": scores.models[model], "p": p, "differs": bool(p <= options.alpha)}
            for model, p in zip(order, part, strict=True)
        ]
    return entries


def _group(
    weights: Any,
    plan: Plan,
    rows: np.ndarray,
    name: str,
    cases: np.ndarray,
    found: Judged,
    scores: Scores,
    options: Options,
) -> dict[str, Any]:
    group = slice_estimates(weights, plan, rows, cases, level=options.level, bounds=found.bounds)
    ends = zip(found.standing.order, group.estimates, group.low, group.high, strict=True)
    return {
        "value": name,
        "n": group.cases,
        "shown": group.cases >= options.minimum_n,
        "models": [
            {"model": scores.models[model], "estimate": estimate, "low": low, "high": high}
            for model, estimate, low, high in ends
        ],
    }
