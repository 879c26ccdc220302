"""From scores to what is said of them: estimates, ranks and verdicts of every measure."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from segjax._errors import InputError
from segjax.leaderboard.intervals import (
    Ends,
    Evidence,
    default_method,
    gather_evidence,
    interval_ends,
    methods_of,
    percentile,
)
from segjax.leaderboard.measures import Measure, values_of
from segjax.leaderboard.options import Options
from segjax.leaderboard.policy import Panel, complete
from segjax.leaderboard.ranking import (
    average_ranks,
    case_ranks,
    rank_distribution,
    schemes,
    settled,
)
from segjax.leaderboard.resampling import (
    Plan,
    make_plan,
    pcg64_means,
    quantile_replicates,
    replicates,
)
from segjax.leaderboard.scores import Scores
from segjax.leaderboard.standing import Standing, nobody
from segjax.leaderboard.verdicts import Verdict, judge_pairs


_SCHEME_REPLICATES = 10_000  # their bands are drawn, and not printed
# Which key is whose: adding a use must not change what the others draw.
KEYS = {"resamples": 0, "permutations": 1, "slices": 2, "calibration": 3}


@dataclass(frozen=True)
class Estimates:
    """What one measure says of each model; ends are NaN where there is no interval.

    Attributes:
        values: of the statistic.
        low: ends of the intervals.
        high: see `low`.
        methods: of the intervals, model by model.
        percentile: ends of the percentile intervals.
        n: scores of each model.
        replicates: of the values.
    """

    values: Float[np.ndarray, "model"]
    low: Float[np.ndarray, "model"]
    high: Float[np.ndarray, "model"]
    methods: list[str]
    percentile: Ends
    n: Int[np.ndarray, "model"]
    replicates: Float[np.ndarray, "replicate model"]


@dataclass(frozen=True)
class Judged:
    """All that is found of one measure; and the score at which a case has failed, if given."""

    measure: Measure
    panel: Panel
    estimates: Estimates
    standing: Standing
    verdict: Verdict
    failure: float | None = None

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Least and greatest score there can be."""
        return bounds_of(self.measure)


def judge(scores: Scores, options: Options) -> tuple[Plan, list[Judged]]:
    """Judge every measure.

    Args:
        scores: as they are.
        options: settled.

    Raises:
        InputError: if a column or measure is not there, or a policy refuses the scores.
    """
    plan = plan_of(scores, options)
    key = subkey(options, "resamples")
    failures = values_of(options.failure, scores.measures, "failure")
    panels, estimates, standings = [], [], []
    for i, measure in enumerate(scores.measures):
        panel = complete(
            scores,
            i,
            missing=options.missing,
            undefined=options.undefined,
            worst=options.worst,
            suspect=options.suspect,
        )
        own = segauge_rows(scores, i) if options.compat else _spread(panel, len(scores.cases))
        found = _estimate(key, plan, own, measure, options)
        panels.append(panel)
        estimates.append(found)
        standings.append(_rank(plan, panel, found, measure, options))
    verdicts = judge_pairs(subkey(options, "permutations"), standings, options)
    found = zip(scores.measures, panels, estimates, standings, verdicts, failures, strict=True)
    return plan, [Judged(*each) for each in found]


def subkey(options: Options, use: str) -> PRNGKeyArray:
    """The key of one use."""
    if isinstance(options.seed, int):
        key = jax.random.key(options.seed)
    else:
        key = jax.random.wrap_key_data(jnp.array(options.seed, jnp.uint32))
    return jax.random.fold_in(key, KEYS[use])


def bounds_of(measure: Measure) -> tuple[float | None, float | None]:
    """Least and greatest score there can be."""
    if measure.better == "higher":
        return measure.worst, measure.best
    return measure.best, measure.worst


def plan_of(scores: Scores, options: Options) -> Plan:
    """What is resampled."""
    return make_plan(
        len(scores.cases),
        clusters=_column(scores, options.clusters, "clusters"),
        strata=_column(scores, options.strata, "strata"),
        within=options.within,
    )


def _column(scores: Scores, name: str | None, what: str) -> list[str] | None:
    if name is None:
        return None
    values = scores.column(name, what)
    if None in values:
        case = scores.cases[values.index(None)]
        raise InputError(f"{what}: case {case!r} has no {name}; every case needs one")
    return [str(v) for v in values]


def _spread(panel: Panel, cases: int) -> Float[np.ndarray, "model case"]:
    """Scores on all cases; NaN where a case is left out."""
    rows = np.full((len(panel.values), cases), np.nan)
    rows[:, panel.cases] = panel.values
    return rows


def segauge_rows(scores: Scores, index: int) -> Float[np.ndarray, "model case"]:
    """Scores of which each model keeps its own: those that are finite."""
    values = scores.values[index]
    return np.where(np.isfinite(values), values, np.nan)


def _estimate(
    key: PRNGKeyArray,
    plan: Plan,
    rows: Float[np.ndarray, "model case"],
    measure: Measure,
    options: Options,
) -> Estimates:
    there = ~np.isnan(rows)
    method = options.interval or default_method(
        plan,
        units=int(np.unique(plan.unit[there.any(0)]).size),
        quantile=options.quantile is not None,
    )
    if options.compat:
        return _estimate_as_segauge(rows, options)
    bounds, count = bounds_of(measure), options.replicates or 1
    nothing = np.full(len(rows), np.nan)
    values, ends, plain = nothing.copy(), np.stack([nothing] * 2), np.stack([nothing] * 2)
    drawn, methods = np.full((count, len(rows)), np.nan), np.full(len(rows), method, object)
    # Models of other cases (they are not ranked) by themselves: they are to change nothing here.
    kinds, kind = np.unique(there, axis=0, return_inverse=True)
    for i in np.flatnonzero(kinds.any(1)):
        some = kind == i
        evidence = gather_evidence(
            key,
            plan,
            rows[some],
            weights=kinds[i : i + 1].astype(float),
            quantile=options.quantile,
            count=count,
            left_out=method == "bca",
        )
        values[some], drawn[:, some] = evidence.estimates, evidence.replicates
        ends[:, some] = interval_ends(evidence, method, level=options.level, bounds=bounds)
        plain[:, some] = interval_ends(evidence, "percentile", level=options.level, bounds=bounds)
        found = (ends[0, some], ends[1, some])
        named = methods_of(evidence, method, found, level=options.level, bounds=bounds)
        methods[some] = named
    n = there.sum(1)
    names, percentiles = methods.tolist(), (plain[0], plain[1])
    return Estimates(values, ends[0], ends[1], names, percentiles, n, drawn)


def _estimate_as_segauge(rows: Float[np.ndarray, "model case"], options: Options) -> Estimates:
    values, low, high = np.full((3, len(rows)), np.nan)
    for i, row in enumerate(rows):
        own = row[None, ~np.isnan(row)]
        if own.size:
            means = pcg64_means(own, options.seed, count=options.replicates or 1)
            evidence = Evidence(estimates=own.mean(1), replicates=means, units=own.size)
            values[i] = evidence.estimates[0]
            (low[i],), (high[i],) = percentile(evidence, options.level)
    nothing = np.empty((0, len(rows)))
    n = (~np.isnan(rows)).sum(1)
    return Estimates(values, low, high, ["percentile"] * len(rows), (low, high), n, nothing)


def _rank(
    plan: Plan, panel: Panel, found: Estimates, measure: Measure, options: Options
) -> Standing:
    ranked = np.flatnonzero(panel.ranked)
    oriented = measure.sign * panel.values[ranked]
    if not ranked.size:
        return nobody(oriented, plan.unit[panel.cases])
    if options.compat:
        estimates = oriented.mean(1)
        drawn = pcg64_means(oriented, options.seed, count=options.replicates or 1)
    else:
        estimates = settled(measure.sign * found.values[ranked], oriented)
        drawn = settled(measure.sign * found.replicates[:, ranked], oriented)
    order = np.argsort(-estimates, kind="stable")
    drawn = drawn[~np.isnan(drawn).any(1)][:, order]
    level = 0.95 if options.compat else options.level  # segauge's is, whatever was asked for
    return Standing(
        ranked[order],
        oriented[order],
        plan.unit[panel.cases],
        estimates[order],
        drawn,
        average_ranks(estimates[order]),
        rank_distribution(drawn, estimates[order], level=level),
    )


# Other ways to rank.


@dataclass(frozen=True)
class Scheme:
    """Ranks under one scheme; ends are those of the resamples, None where it has none."""

    name: str
    ranks: Float[np.ndarray, "ranked"]
    low: Float[np.ndarray, "ranked"] | None
    high: Float[np.ndarray, "ranked"] | None


def rank_by_schemes(judged: Judged, plan: Plan, cases: int, options: Options) -> list[Scheme]:
    """The ranks of the models under each of the usual schemes."""
    standing, key = judged.standing, subkey(options, "resamples")
    count = min(options.replicates or 1, _SCHEME_REPLICATES)
    rows = np.full((len(standing.order), cases), np.nan)
    rows[:, judged.panel.cases] = standing.scores
    kept = ~np.isnan(rows[:1])
    of_cases = np.zeros_like(rows)
    of_cases[:, judged.panel.cases] = -case_ranks(standing.scores)
    weights = kept.astype(float)
    drawn = {
        "median then rank": (
            standing.scores,
            quantile_replicates(key, plan, rows, 0.5, count=count),
        ),
        "rank then mean": (of_cases, replicates(key, plan, of_cases, weights, count=count)[0]),
    }
    if options.quantile is not None:
        rows = np.where(kept, rows, 0.0)
        means = replicates(key, plan, rows, weights, count=count)[0]
        drawn["mean then rank"] = standing.scores, means
    found = []
    for name, ranks in schemes(standing.scores, judged.verdict.better).items():
        low = high = None
        if name in drawn:
            values, means = drawn[name]
            tied = settled(means, values)
            spread = rank_distribution(tied[~np.isnan(tied).any(1)], -ranks, level=options.level)
            low, high = spread.low, spread.high
        elif name == "mean then rank":
            low, high = standing.distribution.low, standing.distribution.high
        found.append(Scheme(name, ranks, low, high))
    return found
