"""Which of the ranked models differ: one test over everything on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
import scipy.special
from jaxtyping import Bool, Float, PRNGKeyArray

from segjax.leaderboard.intervals import Ends
from segjax.leaderboard.options import Options
from segjax.leaderboard.separability import (
    Differences,
    bonferroni_percentile,
    differences,
    guarded_max_t,
    holm,
    max_t,
    pairs,
    sign_flip,
    simultaneous,
    units_needed,
    wilcoxon,
)
from segjax.leaderboard.standing import Standing


@dataclass(frozen=True)
class Verdict:
    """Pairs of the ranked models, row against column; oriented, so that positive is better.

    Attributes:
        difference: row less column.
        low: simultaneous ends of it.
        high: see `low`.
        p: adjusted over everything on the page; NaN where the test has none.
        separable: whether they differ.
        effect: standardised mean difference.
        superiority: share of cases where the row is better, ties half.
        needed: units that would separate them with 80 % power.
        paired: differences as they were found, of the pairs in the order of `pairs`.
        comparisons: how many pairs share the error.
    """

    difference: Float[np.ndarray, "ranked ranked"]
    low: Float[np.ndarray, "ranked ranked"]
    high: Float[np.ndarray, "ranked ranked"]
    p: Float[np.ndarray, "ranked ranked"]
    separable: Bool[np.ndarray, "ranked ranked"]
    effect: Float[np.ndarray, "ranked ranked"]
    superiority: Float[np.ndarray, "ranked ranked"]
    needed: Float[np.ndarray, "ranked ranked"]
    paired: Differences
    comparisons: int

    @property
    def better(self) -> Bool[np.ndarray, "ranked ranked"]:
        """Whether the row is separably better than the column."""
        return self.separable & (self.difference > 0)


class _Tested(NamedTuple):
    """Pairs of one measure, models in their common order."""

    paired: Differences
    p: np.ndarray
    low: np.ndarray
    high: np.ndarray


def judge_pairs(
    key: PRNGKeyArray, standings: Sequence[Standing], options: Options
) -> list[Verdict]:
    """Say of every measure which models differ; one family over all of them.

    Models that are ranked by some measures only are judged in families of their own, which
    share the error between them.
    """
    families: dict[tuple[int, ...], list[int]] = {}
    for i, standing in enumerate(standings):
        families.setdefault(tuple(sorted(standing.order.tolist())), []).append(i)
    families = {models: at for models, at in families.items() if len(models) > 1}
    comparisons = sum(len(at) * len(m) * (len(m) - 1) // 2 for m, at in families.items())
    found: dict[int, _Tested] = {}
    for number, places in enumerate(families.values()):
        tested = _test(
            jax.random.fold_in(key, number),
            [standings[i] for i in places],
            options,
            families=len(families),
            comparisons=comparisons,
        )
        found |= dict(zip(places, tested, strict=True))
    if options.verdict in ("sign_flip", "wilcoxon") and found:
        ends = np.cumsum([one.p.size for one in found.values()])[:-1]
        adjusted = np.split(holm(np.concatenate([one.p for one in found.values()])), ends)
        found = {i: found[i]._replace(p=p) for i, p in zip(found, adjusted, strict=True)}
    return [
        _verdict(standing, found.get(i), comparisons, options)
        for i, standing in enumerate(standings)
    ]


def _test(
    key: PRNGKeyArray,
    standings: Sequence[Standing],
    options: Options,
    *,
    families: int,
    comparisons: int,
) -> list[_Tested]:
    """Test the pairs of measures that rank the same models."""
    back = [np.argsort(one.order) for one in standings]  # to an order common to all measures
    family = [one.scores[order] for one, order in zip(standings, back, strict=True)]
    units = [one.units for one in standings]
    paired = [differences(x, u) for x, u in zip(family, units, strict=True)]
    if options.verdict == "bonferroni":
        ends = [
            bonferroni_percentile(one.replicates[:, order], options.level)[:2]
            for one, order in zip(standings, back, strict=True)
        ]
        return [
            _Tested(d, np.full(e[0].shape, np.nan), *e) for d, e in zip(paired, ends, strict=True)
        ]
    if options.verdict in ("max_t", "permutation"):
        tested = (guarded_max_t if options.verdict == "max_t" else max_t)(
            key,
            family,
            units=units,
            permutations=options.permutations,
            level=1 - options.alpha / families,
        )
        return [
            _Tested(d, np.minimum(1, families * p), *simultaneous(d, tested.critical))
            for d, p in zip(paired, tested.p, strict=True)
        ]
    if options.verdict == "sign_flip":
        raw = sign_flip(key, family, units=units, permutations=options.permutations)
    else:
        raw = wilcoxon(family, units=units)
    return [
        _Tested(d, p, *_bonferroni_ends(d, comparisons, options))
        for d, p in zip(paired, raw, strict=True)
    ]


def _bonferroni_ends(d: Differences, comparisons: int, options: Options) -> Ends:
    """Student's intervals that hold together, for tests that have none."""
    share = 1 - options.alpha / (2 * comparisons)
    half = scipy.special.stdtrit(max(d.units - 1, 1), share) * np.where(
        np.isnan(d.se), np.inf, d.se
    )
    return d.mean - half, d.mean + half


def _verdict(
    standing: Standing,
    found: _Tested | None,
    comparisons: int,
    options: Options,
) -> Verdict:
    k = len(standing.order)
    if found is None:
        nothing = np.full((k, k), np.nan)
        none = np.zeros((k, k), bool)
        paired = differences(standing.scores, standing.units)
        return Verdict(
            nothing, nothing, nothing, nothing, none, nothing, nothing, nothing, paired, 0
        )
    paired, p, low, high = found
    if options.verdict == "bonferroni":
        comparisons = len(p)  # within the measure, as segauge
    with np.errstate(invalid="ignore"):
        unit_effect = paired.t / np.sqrt(paired.units)
    needed = units_needed(
        np.where(np.isnan(unit_effect), 0, unit_effect), max(comparisons, 1), alpha=options.alpha
    )
    if options.verdict == "bonferroni":
        separable = (low > 0) | (high < 0)
    else:
        separable = (p <= options.alpha) & (paired.mean != 0)
    square = lambda upper, lower, diagonal: _square(upper, lower, diagonal, standing.order)
    return Verdict(
        difference=square(paired.mean, -paired.mean, 0.0),
        low=square(low, -high, 0.0),
        high=square(high, -low, 0.0),
        p=square(p, p, np.nan),
        separable=square(separable, separable, False),
        effect=square(paired.effect, -paired.effect, 0.0),
        superiority=square(paired.superiority, 1 - paired.superiority, 0.5),
        needed=square(needed, needed, np.inf),
        paired=paired,
        comparisons=comparisons,
    )


def _square(
    upper: np.ndarray, lower: np.ndarray, diagonal: float | bool, order: np.ndarray
) -> np.ndarray:
    """Pairs of models in their common order, as a matrix in the order of ranks."""
    k = len(order)
    found = np.full((k, k), diagonal)
    a, b = pairs(k)
    found[a, b], found[b, a] = upper, lower
    place = np.argsort(np.argsort(order))
    return found[np.ix_(place, place)]
