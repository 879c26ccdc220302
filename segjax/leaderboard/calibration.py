"""How well intervals and verdicts keep their word, by simulation on the user's own scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from segjax.leaderboard.intervals import interval_ends, ratio_evidence
from segjax.leaderboard.resampling import Plan, make_plan, replicates, residuals
from segjax.leaderboard.separability import (
    bonferroni_percentile,
    guarded_max_t,
    holm,
    max_t,
    sign_flip,
    wilcoxon,
)


_AT_ONCE = 2**22  # resamples of all columns: bounds the memory to about 200 MB


@dataclass(frozen=True)
class Coverage:
    """How often intervals hold the truth.

    Attributes:
        method: of the intervals.
        found: share of the simulated boards, by column.
        boards: how many were simulated.
    """

    method: str
    found: Float[np.ndarray, "column"]
    boards: int


def interval_coverage(
    key: PRNGKeyArray,
    plan: Plan,
    scores: Float[np.ndarray, "column case"],
    *,
    methods: Sequence[str],
    level: float = 0.95,
    boards: int = 1000,
    count: int = 1000,
    bounds: tuple[float | None, float | None] = (None, None),
) -> list[Coverage]:
    """Coverage of intervals of the mean, when the scores themselves are the population.

    Boards of as many units are drawn from the scores, an interval is made from each, and it is
    seen whether it holds the mean of the scores. What the scores do not hold, as failures that
    are too rare to be among them, no such simulation can bring.

    Args:
        key: makes the result reproducible.
        plan: what is drawn, for the boards and for their resamples.
        scores: finite.
        methods: of the intervals, as `interval_ends` takes them.
        level: their nominal level.
        boards: how many.
        count: resamples of each.
        bounds: least and greatest score there can be.

    References:
        Loh, W.-Y. (1987). Calibrating confidence coefficients. JASA 82(397), 155-162.
        doi:10.2307/2289408
    """
    a, b = plan.sums(scores.T).T, plan.sums(np.ones((scores.shape[1], 1)))[:, 0]
    truth = residuals(a, b[None])[1]
    own = Plan(np.arange(plan.units), plan.first, plan.size)  # units are the cases of a board
    drawing, resampling = jax.random.split(key)
    drawn = draw_units(drawing, plan, boards)
    block = max(1, _AT_ONCE // (count * max(1, len(scores))))
    held = {method: np.zeros(len(scores)) for method in methods}
    for start in range(0, boards, block):
        some = drawn[start : start + block]
        numerators = np.swapaxes(a[:, some], 0, 1).reshape(-1, plan.units)
        shares = np.ones((1, plan.units))
        if plan.clustered:
            shares = np.repeat(b[some], len(scores), axis=0)
        subkey = jax.random.fold_in(resampling, start)
        found = replicates(subkey, own, numerators, shares, count=count, errors=True)
        evidence = ratio_evidence(
            own, numerators, shares, found, units=plan.units, left_out="bca" in methods
        )
        for method in methods:
            low, high = interval_ends(evidence, method, level=level, bounds=bounds)
            slack = 1e-12 * np.maximum(1, np.abs(truth))
            low, high = low.reshape(-1, len(scores)), high.reshape(-1, len(scores))
            held[method] += ((low <= truth + slack) & (high >= truth - slack)).sum(0)
    return [Coverage(method, held[method] / boards, boards) for method in methods]


def draw_units(key: PRNGKeyArray, plan: Plan, count: int) -> np.ndarray:
    """Units of `count` boards, each from its own stratum: [board, unit]."""
    share = np.asarray(jax.random.uniform(key, (count, plan.units)))
    return plan.first + np.minimum((share * plan.size).astype(int), plan.size - 1)


def false_alarms(
    key: PRNGKeyArray,
    family: Sequence[Float[np.ndarray, "board model unit"]],
    *,
    verdict: str,
    alpha: float = 0.05,
    permutations: int = 500,
    count: int = 1000,
) -> Bool[np.ndarray, "board"]:
    """Which boards a verdict separates any pair on, in any measure.

    Args:
        key: makes the result reproducible.
        family: boards of every measure, higher is better, units as cases.
        verdict: as `Options.verdict`.
        alpha: its family-wise error.
        permutations: of the test.
        count: resamples, for "bonferroni".
    """
    boards, models, units = family[0].shape
    if verdict in ("max_t", "permutation"):
        test = guarded_max_t if verdict == "max_t" else max_t
        p = test(key, family, permutations=permutations, level=1 - alpha).p
        return (p <= alpha).any((1, 2))
    if verdict == "sign_flip":
        p = sign_flip(key, family, permutations=permutations)
        return np.array([(holm(one) <= alpha).any() for one in p])
    if verdict == "wilcoxon":
        each = ([scores[i] for scores in family] for i in range(boards))
        return np.array([(holm(wilcoxon(one)) <= alpha).any() for one in each])
    found = np.zeros(boards, bool)
    block = max(1, _AT_ONCE // (count * models))
    for scores in family:
        for start in range(0, boards, block):
            some = scores[start : start + block]
            means, _ = replicates(key, make_plan(units), some.reshape(-1, units), count=count)
            for i, one in enumerate(np.split(means, len(some), axis=1)):
                found[start + i] |= bonferroni_percentile(one, 1 - alpha)[2].any()
    return found


def null_boards(
    key: PRNGKeyArray,
    plan: Plan,
    family: Sequence[Float[np.ndarray, "model unit"]],
    boards: int,
) -> list[Float[np.ndarray, "board model unit"]]:
    """Boards like this one on which no model differs from another.

    Units are drawn from the scores, and in each the names of the models are shuffled, the same
    way for all measures: what is left is how units differ, and how measures go together.

    Args:
        key: makes the result reproducible.
        plan: which units are drawn.
        family: one matrix of scores per measure.
        boards: how many.
    """
    drawing, shuffling = jax.random.split(key)
    units = draw_units(drawing, plan, boards)
    models = len(family[0])
    order = np.asarray(jax.random.uniform(shuffling, (boards, models, plan.units))).argsort(1)
    return [np.take_along_axis(scores[:, units].swapaxes(0, 1), order, 1) for scores in family]
