"""Runs over the same cases: what changed in each of them, and whether that is more than chance."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.comparison._stamp import stamped
from segjax.comparison.runs import Run
from segjax.leaderboard.intervals import confidence_interval
from segjax.leaderboard.judging import Judged, judge
from segjax.leaderboard.options import Options
from segjax.leaderboard.scores import Scores, gather_scores
from segjax.metrics import get_metric
from segjax.table import jsonable


def compare_cases(
    runs: Sequence[Run],
    options: Options | None = None,
    *,
    metrics: Iterable[str] | None = None,
    labels: Iterable[str] | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Compare every run with the first one, case by case.

    Cases that a run lacks count as the policies say: by default as the worst score there is.
    Differences are those of a run less the first; p values share the error over all pairs of all
    measures (see `leaderboard`), intervals are each on its own.

    Args:
        runs: of which some cases are the same.
        options: policies, level, replicates and seed.
        metrics: which; None for those that all runs have, if they have a direction.
        labels: which; None for all.
        command: that was typed, for the page's stamp.

    Returns:
        What `comparison.json` holds.

    Raises:
        InputError: if the runs have no case in common, or scores cannot be compared.
    """
    if len(runs) < 2:
        raise InputError("give two runs or more")
    options = (options or Options()).settled()
    common, left_out = _common_metrics(runs)
    scores = gather_scores(
        [run.sheet for run in runs],
        metrics=common if metrics is None else metrics,
        labels=labels,
    )
    _, judged = judge(scores, options)
    found = {
        "kind": "cases",
        "runs": list(scores.models),
        "cases": list(scores.cases),
        "level": options.level,
        "options": {
            name: getattr(options, name)
            for name in ("missing", "undefined", "replicates", "permutations", "seed")
        },
        "comparisons": judged[0].verdict.comparisons if judged else 0,
        "measures": [_measure(one, scores, options) for one in judged],
        "notes": [
            *scores.notes,
            *(left_out if metrics is None else ()),
            *_lacking(runs, scores),
            *(n for j in judged for n in j.panel.notes),
        ],
    }
    return jsonable(stamped(found, runs, command))


def _common_metrics(runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """Metrics with a direction that all runs have, and a note on the others."""
    of_run = [dict.fromkeys(row.metric for row in run.sheet.rows) for run in runs]
    names = dict.fromkeys(name for known in of_run for name in known)
    common = [name for name in names if all(name in known for known in of_run)]
    if not common:
        raise InputError("the runs have no metric in common; score them by the same metrics")
    others = [name for name in names if name not in common]
    note = f"left out, for not all runs have them: {', '.join(others)}"
    judged = [name for name in common if _has_direction(name)]
    return judged or common, [note] if others else []


def _has_direction(name: str) -> bool:
    try:
        return get_metric(name).higher_is_better is not None
    except InputError:  # a metric of another tool: nobody knows which end is better
        return False


def _lacking(runs: Sequence[Run], scores: Scores) -> list[str]:
    """Who did not score what others did."""
    lines = []
    for run in runs:
        if missing := sorted(set(scores.cases) - run.cases):
            lines.append(
                f"{run.name} lacks {len(missing)} of {len(scores.cases)} cases, "
                f"{missing[0]} the first; they count as missing"
            )
    return lines


def _measure(judged: Judged, scores: Scores, options: Options) -> dict[str, Any]:
    measure, panel = judged.measure, judged.panel
    return {
        **{
            name: getattr(measure, name)
            for name in ("name", "metric", "label", "better", "unit", "title")
        },
        "n": int(panel.cases.size),
        "cases": [scores.cases[i] for i in panel.cases.tolist()],
        "means": panel.values.mean(1),
        "filled": panel.filled.sum(1),
        "values": panel.values,
        "is_filled": panel.filled,
        "pairs": [_pair(judged, scores, options, other) for other in range(1, len(scores.models))],
    }


def _pair(judged: Judged, scores: Scores, options: Options, other: int) -> dict[str, Any]:
    """A run against the first."""
    panel, sign = judged.panel, judged.measure.sign
    differences = panel.values[other] - panel.values[0]
    gains = sign * differences
    order = judged.standing.order.tolist()
    p = judged.verdict.p[order.index(0), order.index(other)]
    return {
        "run": scores.models[other],
        "difference": differences.mean(),
        "interval": _interval(differences, options),
        "p": p,
        "separable": bool(p <= options.alpha),
        "better": int((gains > _tie(panel.values)).sum()),
        "worse": int((gains < -_tie(panel.values)).sum()),
        "differences": differences,
    }


def _tie(values: np.ndarray) -> float:
    """Differences this small come of rounding."""
    return 1e-9 * max(1.0, float(np.abs(values).max(initial=0)))


def _interval(differences: np.ndarray, options: Options) -> dict[str, Any] | None:
    if differences.size < 2 or not np.ptp(differences):
        return None
    found = confidence_interval(
        differences,
        method=options.interval,
        level=options.level,
        replicates=options.replicates or 1,
        key=options.seed if isinstance(options.seed, int) else 0,
    )
    if not np.isfinite([found.low, found.high]).all():
        return None
    return {"low": found.low, "high": found.high, "method": found.method}
