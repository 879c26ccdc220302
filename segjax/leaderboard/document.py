"""A board as a plain document: `leaderboard.json`, from which page and tables are drawn.

Schema "segjax-leaderboard/1"; lists "per model" follow `models`, and what is undefined is null.

| key | what |
|---|---|
| `title`, `created`, `segjax`, `versions`, `command`, `seconds` | where it comes from |
| `dataset` | name, url, license, citation |
| `options` | all of `Options`, and `plan`: kind, column, units |
| `sources`, `scores_sha256` | files with their SHA-256, and that of the scores themselves |
| `models`, `measures`, `cases`, `metadata` | names, and what is known of them |
| `scores`, `status`, `limits`, `suspect` | by measure: scores per model and case as they came; 0 scored, 1 undefined, 2 missed, 3 absent; the worst score of each case where it is a length; flagged models |
| `results` | per measure: `table`, `ranking`, `pairs`, `gap` |
| `schemes`, `slices`, `calibration`, `notes` | as their names say |
"""  # noqa: E501

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from segjax.io.sheet import Facts, Status
from segjax.leaderboard.intervals import failure_bound
from segjax.leaderboard.judging import Judged, Scheme
from segjax.leaderboard.measures import Measure
from segjax.leaderboard.options import Options
from segjax.leaderboard.ranking import leave_one_out, rank_sets, smallest_upset, tiers
from segjax.leaderboard.resampling import Plan
from segjax.leaderboard.scores import Scores
from segjax.leaderboard.separability import detectable
from segjax.table import jsonable


SCHEMA = "segjax-leaderboard/1"
_FACTS = tuple(f.name for f in fields(Facts))
_NEVER = 1e6  # units: as good as never


def describe(scores: Scores, options: Options, plan: Plan) -> dict[str, Any]:
    """What went in."""
    trained = scores.contaminated
    return {
        "dataset": dict(scores.dataset),
        "options": describe_options(options, plan),
        "models": [
            {
                "name": name,
                **{key: getattr(facts, key) for key in _FACTS},
                "contaminated": bool(contaminated),
                "contaminated_on": list(facts.contaminated_on),
                "ranked": not contaminated,
            }
            for name, facts, contaminated in zip(scores.models, scores.facts, trained, strict=True)
        ],
        "measures": [
            {f.name: getattr(measure, f.name) for f in fields(Measure)}
            for measure in scores.measures
        ],
        "cases": list(scores.cases),
        "metadata": {column: list(values) for column, values in scores.metadata.items()},
        "scores": _by_measure(scores, scores.values),
        "status": _by_measure(scores, scores.status),
        "limits": _by_measure(scores, scores.limits),
        "suspect": _by_measure(scores, scores.suspect),
    }


def describe_options(options: Options, plan: Plan) -> dict[str, Any]:
    """All options, and the plan that they lead to."""
    kind = "clusters" if options.clusters else "strata" if options.strata else "iid"
    return {
        **{
            f.name: getattr(options, f.name)
            for f in fields(Options)
            if f.name not in ("suspect", "slices")
        },
        "alpha": options.alpha,
        "suspect": options.suspect and options.suspect._asdict(),
        "slices": [{"column": s.column, "bins": s.bins} for s in options.slices],
        "plan": {
            "kind": "clusters then cases" if options.within else kind,
            "column": options.clusters or options.strata,
            "units": plan.units,
        },
    }


def _by_measure(scores: Scores, values: np.ndarray) -> dict[str, Any]:
    return {m.name: jsonable(v) for m, v in zip(scores.measures, values, strict=True)}


def result_of(judged: Judged, scores: Scores, options: Options, units: list[str]) -> Any:
    """All that is said of one measure.

    Args:
        judged: its numbers.
        scores: of all measures.
        options: settled.
        units: names of the units.
    """
    standing, verdict, panel = judged.standing, judged.verdict, judged.panel
    names = [scores.models[i] for i in standing.order]
    spread, k = standing.distribution, len(names)
    low, high = rank_sets(verdict.better)
    tier = tiers(standing.ranks, verdict.better) if k else np.zeros(0, int)
    ranked = [
        {
            **_row(judged, scores, options, model),
            "rank": float(standing.ranks[i]),
            "tier": int(tier[i]),
            "p_best": float(spread.probability[i, 0]),
            "mean_rank": float(spread.mean_rank[i]),
            "rank_low": float(spread.low[i]),
            "rank_high": float(spread.high[i]),
            "set_low": int(low[i]),
            "set_high": int(high[i]),
        }
        for i, model in enumerate(standing.order.tolist())
    ]
    excluded = [
        _row(judged, scores, options, model) | {"rank": None, "tier": None}
        for model in np.flatnonzero(~panel.ranked).tolist()
    ]
    present = np.unique(standing.units)
    return jsonable(
        {
            "measure": judged.measure.name,
            "n": int(panel.cases.size),
            "units": int(present.size),
            "dropped": list(panel.dropped),
            "table": ranked + excluded,
            "ranking": {
                "models": names,
                "probability": spread.probability,
                "tau": {"mean": spread.tau_mean, "low": spread.tau_low, "high": spread.tau_high},
                **_robustness(judged, scores, options, [units[u] for u in present.tolist()]),
            },
            "pairs": [_pair(judged, names, i, j) for i in range(k) for j in range(i + 1, k)],
            "comparisons": verdict.comparisons,
            "gap": _gap(judged, options),
        }
    )


def _row(judged: Judged, scores: Scores, options: Options, model: int) -> dict[str, Any]:
    panel, found = judged.panel, judged.estimates
    values = panel.values[model][~np.isnan(panel.values[model])]
    interval = lambda ends, method: (
        None
        if np.isnan(ends[0][model])
        else {"low": float(ends[0][model]), "high": float(ends[1][model]), "method": method}
    )
    there = values.size > 0
    return {
        "model": scores.models[model],
        "excluded": panel.excluded[model],
        "n": int(found.n[model]),
        "n_filled": int(panel.filled[model].sum()),
        "estimate": float(found.values[model]),
        "interval": interval((found.low, found.high), found.methods[model]),
        "percentile": interval(found.percentile, "percentile"),
        "mean": values.mean() if there else None,
        "median": np.median(values) if there else None,
        "sd": values.std(ddof=1) if values.size > 1 else None,
        "min": values.min(initial=np.inf) if there else None,
        "max": values.max(initial=-np.inf) if there else None,
        "failures": _failures(judged, scores, options, model),
    }


def _failures(judged: Judged, scores: Scores, options: Options, model: int) -> Any:
    """Cases that are missed, or no better than the score at which one has failed."""
    measure, panel = judged.measure, judged.panel
    below = measure.worst if judged.failure is None else judged.failure
    values = panel.values[model]
    missed = scores.status[scores.measures.index(measure), model, panel.cases] >= Status.MISSED
    if below is None and not missed.any():
        return None
    failed = missed if below is None else missed | (measure.sign * (values - below) <= 0)
    return {
        "n": int(failed.sum()),
        "of": int(failed.size),
        "upper": failure_bound(int(failed.sum()), failed.size, level=options.level),
        "below": below,
    }


def _robustness(
    judged: Judged, scores: Scores, options: Options, units: Sequence[str]
) -> dict[str, Any]:
    standing = judged.standing
    if not len(standing.order):
        return {"leave_one_out": {"winner": [], "order": []}, "upset": None}
    statistic = "mean" if options.quantile is None else options.quantile
    _, own = np.unique(standing.units, return_inverse=True)
    without = leave_one_out(standing.scores, statistic, own)
    upset = smallest_upset(standing.scores, statistic, own)
    return {
        "leave_one_out": {
            "winner": [units[i] for i in np.flatnonzero(without.winner).tolist()],
            "order": [units[i] for i in np.flatnonzero(without.order).tolist()],
        },
        "upset": upset
        and {
            "cases": [units[i] for i in upset.units.tolist()],
            "winner": scores.models[standing.order[upset.winner]],
        },
    }


def _pair(judged: Judged, names: Sequence[str], i: int, j: int) -> dict[str, Any]:
    """Row i is ranked before row j; differences in the measure's own direction."""
    verdict, sign = judged.verdict, judged.measure.sign
    ends = sorted((sign * verdict.low[i, j], sign * verdict.high[i, j]))
    needed = verdict.needed[i, j]
    better = names[i] if verdict.better[i, j] else names[j] if verdict.better[j, i] else None
    return {
        "a": names[i],
        "b": names[j],
        "difference": sign * verdict.difference[i, j] + 0.0,
        "low": ends[0],
        "high": ends[1],
        "p": verdict.p[i, j],
        "separable": bool(verdict.separable[i, j]),
        "better": better,
        "effect": sign * verdict.effect[i, j] + 0.0,
        "superiority": verdict.superiority[i, j],
        "units_needed": int(needed) if needed <= _NEVER else None,
    }


def _gap(judged: Judged, options: Options) -> list[tuple[int, float]]:
    """Smallest difference that n units find, for the pair in the middle."""
    paired, verdict = judged.verdict.paired, judged.verdict
    spread = paired.se[np.isfinite(paired.se)] * np.sqrt(paired.units)
    if not spread.size or not verdict.comparisons or not (middle := float(np.median(spread))):
        return []
    sizes = np.unique(np.round(np.geomspace(5, max(1000, 10 * paired.units), 30)).astype(int))
    sizes = np.union1d(sizes, [paired.units])
    gaps = detectable(np.float64(middle), sizes, verdict.comparisons, alpha=options.alpha)
    return [(int(n), float(gap)) for n, gap in zip(sizes, gaps, strict=True)]


def scheme_of(judged: Judged, found: Scheme, scores: Scores) -> dict[str, Any]:
    """Ranks under one scheme."""
    return jsonable(
        {
            "measure": judged.measure.name,
            "scheme": found.name,
            "models": [scores.models[i] for i in judged.standing.order],
            "ranks": found.ranks,
            "low": found.low,
            "high": found.high,
        }
    )
