"""Who is first, and how firmly: ranks over resamples, rank sets, tiers, and what upsets them.

Scores are oriented so that higher is better; rank 1 is best, ties share the mean of their
ranks and are exact equality. A score may be -inf (worse than any other); none is NaN.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Num

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace


Statistic: TypeAlias = str | float  # "mean", "median", or which quantile, in (0, 1)

_BLOCK = 2048  # replicates compared at a time on the host: 50 models of them fit its cache
_DIGITS = 2.0**-40  # of the largest score: statistics that differ by less are tied


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RankDistribution:
    """How ranks vary over resamples of the cases.

    `probability[i, k]` is the share of resamples in which model i has rank k + 1; a tie
    splits its credit equally over the ranks it spans, so that rows and columns sum to 1.
    `mean_rank`, `low` and `high` are of the ranks averaged over ties. `tau_...` tell how far
    the order in a resample agrees with that of the estimates (1: the same, -1: reversed).
    """

    probability: Float[AnyArray, "model rank"]
    mean_rank: Float[AnyArray, "model"]
    low: Float[AnyArray, "model"]
    high: Float[AnyArray, "model"]
    tau_mean: Float[AnyArray, ""]
    tau_low: Float[AnyArray, ""]
    tau_high: Float[AnyArray, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LeaveOneOut:
    """Whether the winner, or anything in the order, changes without one unit."""

    winner: Bool[np.ndarray, "unit"]
    order: Bool[np.ndarray, "unit"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Upset:
    """Units without which another model wins, and which one."""

    units: Int[np.ndarray, "removed"]
    winner: int


def average_ranks(scores: Num[AnyArray, "*batch model"]) -> Float[AnyArray, "*batch model"]:
    """Ranks over the last axis: 1 is best, ties share the mean of their ranks.

    1 + number better + (number equal, oneself aside) / 2. By comparing all pairs, which for
    50 models costs as much as sorting, and needs no more memory than the result.

    Args:
        scores: higher is better.

    Returns:
        Ranks from 1 to the number of models.

    Example:
        >>> average_ranks(np.array([0.7, 0.9, 0.7, -np.inf])).tolist()
        [2.5, 1.0, 2.5, 4.0]
    """
    models = scores.shape[-1]
    ranks = []
    for block in _blocks(scores.reshape(-1, models)):
        better, worse = _better_and_worse(block)
        ranks.append((1 + models + better - worse).astype(float).T / 2)
    return namespace(scores).concatenate(ranks).reshape(scores.shape)


def case_ranks(scores: Num[AnyArray, "model case"]) -> Float[AnyArray, "model case"]:
    """Ranks of the models within each case."""
    return average_ranks(scores.T).T


def rank_distribution(
    replicates: Float[AnyArray, "replicate model"],
    estimates: Float[AnyArray, "model"],
    *,
    level: float = 0.95,
) -> RankDistribution:
    """Distribution of the ranks over resamples, and of their agreement with the estimates.

    Ends are quantiles with linear interpolation (type 7) at (1 - level) / 2 and its
    complement. Agreement is Kendall's tau-b, (concordant - discordant pairs) / sqrt(pairs
    untied in the one x pairs untied in the other): other than tau-a it is 1 for the same
    order even if that has ties. Where an order is tied throughout, tau is 1 if the other is
    so too, else 0.

    Given JAX arrays it traces; on a CPU, NumPy arrays are quicker.

    Args:
        replicates: statistic of each model in each resample.
        estimates: statistic of each model over all cases.
        level: share of the resamples between `low` and `high`.

    Raises:
        InputError: if `level` is not in (0, 1), or there is no resample.

    References:
        Kendall, M. G. (1945). The treatment of ties in ranking problems. Biometrika 33(3),
        239-251. doi:10.1093/biomet/33.3.239
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    count, models = replicates.shape
    if not count:
        raise InputError("no resample to rank: ask for at least one replicate")
    xp = namespace(replicates, estimates)
    tails = (1 - level) / 2, (1 + level) / 2
    above = estimates[:, None] > estimates[None, :]

    parts = []
    for block in _blocks(replicates if xp is np else jnp.asarray(replicates)):
        better, worse = _better_and_worse(block)
        parts.append((better, models - 1 - worse, _tau(better, better + worse, above)))
    first, last, tau = (xp.concatenate(p, axis=-1) for p in zip(*parts, strict=True))

    def one(first: Any, last: Any) -> Any:
        return _rank_summary(first, last, models, tails)

    probability, mean, low, high = _each(one, first, last)
    tau_low, tau_high = xp.quantile(tau, xp.asarray(tails))
    return RankDistribution(probability, mean, low, high, tau.mean(), tau_low, tau_high)


def rank_sets(
    separable: Bool[AnyArray, "model model"],
) -> tuple[Int[AnyArray, "model"], Int[AnyArray, "model"]]:
    """Simultaneous confidence sets for ranks, from pairwise verdicts.

    From 1 + number of models separably better, to the number of models that are not
    separably worse. Where the verdicts hold together at some level (the family-wise error is
    controlled), so do the sets: all true ranks lie in them with that probability.

    Args:
        separable: whether the model of the row is separably better than that of the column.

    Returns:
        Lowest and highest rank of each model.

    References:
        Mogstad, M., Romano, J. P., Shaikh, A. M. & Wilhelm, D. (2024). Inference for ranks
        with applications to mobility across neighbourhoods and academic achievement across
        countries. Review of Economic Studies 91(1), 476-518. doi:10.1093/restud/rdad006
    """
    return 1 + separable.sum(0), len(separable) - separable.sum(1)


def tiers(
    ranks: Num[np.ndarray, "model"], separable: Bool[np.ndarray, "model model"]
) -> Int[np.ndarray, "model"]:
    """Tiers, from 1: going down the ranks, one begins where a model is separably worse.

    Worse, that is, than the first of the present tier (than any of them, where several tie).
    Hence no model is separable from the first of its tier; but the last of a tier need not
    be separable from the first of the next, nor need two of a tier be inseparable.

    Args:
        ranks: 1 is best.
        separable: whether the model of the row is separably better than that of the column.
    """
    tier = np.ones(len(ranks), int)
    start = ranks.min()
    while True:
        worse = separable[ranks == start].any(0) & (ranks > start)
        if not worse.any():
            return tier
        start = ranks[worse].min()
        tier[ranks >= start] += 1


def leave_one_out(
    scores: Float[np.ndarray, "model case"],
    statistic: Statistic,
    units: Int[np.ndarray, "case"] | None = None,
) -> LeaveOneOut:
    """Whether the winner or the order depends on a single unit.

    The winner changes if not the same models are first: also if another draws level, or if
    of several that were level one falls back. The order changes if any rank does. The
    statistic is taken over all cases that remain, however many a unit has. Without the only
    unit nothing would be left to change.

    Args:
        scores: higher is better.
        statistic: "mean", "median", or which quantile.
        units: of every case its cluster, from 0; None if every case is its own.

    Raises:
        InputError: if the statistic is none of these.
    """
    units = _numbered(units, scores)
    before = settled(_estimates(scores, statistic), scores)
    after = settled(_estimates_without(scores, statistic, units), scores).T
    defined = ~np.isnan(after).any(-1)
    return LeaveOneOut(
        winner=defined & (_first(after) != _first(before)).any(-1),
        order=defined & (average_ranks(after) != average_ranks(before)).any(-1),
    )


def smallest_upset(
    scores: Float[np.ndarray, "model case"],
    statistic: Statistic,
    units: Int[np.ndarray, "case"] | None = None,
) -> Upset | None:
    """A small set of units without which another model wins.

    Wins, that is, outright: it is ahead of every model that is first now. Against each rival
    units are removed, the most favourable to the leader first, until the rival is ahead; the
    smallest set over all rivals is taken.

    Exact for the mean if a single model is first now: no smaller set exists. Otherwise a
    smaller one may be missed, rarely: for quantiles the search is greedy, the next unit being
    that without which the rival does best.

    The rival need not be the new winner: a third model may be ahead of it.

    Args:
        scores: higher is better.
        statistic: "mean", "median", or which quantile.
        units: of every case its cluster, from 0; None if every case is its own.

    Returns:
        The units, ascending, and who is first without them; None if no set is found, be it of
        all units but one.

    Raises:
        InputError: if the statistic is none of these.

    References:
        Broderick, T., Giordano, R. & Meager, R. (2020). An automatic finite-sample robustness
        metric: when can dropping a little data make a big difference? arXiv:2011.14999
    """
    units = _numbered(units, scores)
    estimates = settled(_estimates(scores, statistic), scores)
    leading = _first(estimates)
    rivals = np.flatnonzero(~leading)
    removal = _shortest_by_mean if _quantile(statistic) is None else _greedy_by_quantile
    smallest, limit = None, len(np.unique(units)) - 1  # something has to remain
    for rival in rivals[np.argsort(-estimates[rivals], kind="stable")]:
        duel = np.concatenate([scores[leading], scores[rival : rival + 1]])
        removed = removal(duel, statistic, units, limit)
        if removed is not None:
            smallest, limit = removed, len(removed) - 1
    if smallest is None:
        return None
    left = scores[:, ~np.isin(units, smallest)]
    winner = settled(_estimates(left, statistic), scores).argmax()
    return Upset(np.sort(smallest), int(winner))


def schemes(
    scores: Float[np.ndarray, "model case"],
    separable: Bool[np.ndarray, "model model"] | None = None,
) -> dict[str, Float[np.ndarray, "model"]]:
    """Ranks of the models by each of the usual schemes.

    "mean then rank", "median then rank", "rank then mean" (by the mean of the ranks within
    the cases), and, given verdicts, "test-based" (by the number of models that one is
    separably better than, less the number that are separably better than it).

    Args:
        scores: higher is better.
        separable: whether the model of the row is separably better than that of the column.

    References:
        Wiesenfarth, M. et al. (2021). Methods and open-source toolkit for analyzing and
        visualizing challenge results. Scientific Reports 11, 2369.
        doi:10.1038/s41598-021-82017-6
    """
    merits = {
        "mean then rank": settled(_estimates(scores, "mean"), scores),
        "median then rank": settled(_estimates(scores, "median"), scores),
        "rank then mean": -case_ranks(scores).mean(-1),
    }
    if separable is not None:
        merits["test-based"] = separable.sum(1) - separable.sum(0)
    return {name: average_ranks(merit) for name, merit in merits.items()}


# Ranks of many replicates.


def _blocks(scores: Num[AnyArray, "replicate model"]) -> Iterator[Any]:
    """The scores, models first; on the host, a cacheful of replicates at a time."""
    if namespace(scores) is jnp:
        yield scores.T
        return
    for start in range(0, max(len(scores), 1), _BLOCK):
        yield np.ascontiguousarray(scores[start : start + _BLOCK].T)


def _each(function: Callable[..., Any], *arrays: Any) -> Any:
    """`jax.lax.map` over the first axis of all arrays, or its like for NumPy."""
    if namespace(*arrays) is jnp:
        return jax.lax.map(lambda rows: function(*rows), arrays)
    results = [function(*rows) for rows in zip(*arrays, strict=True)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *results)


def _better_and_worse(scores: Num[AnyArray, "model replicate"]) -> Any:
    """For each model, how many are better and how many worse, in each replicate."""

    def than(one: Any) -> Any:
        return (scores > one).sum(0, dtype=np.int16), (scores < one).sum(0, dtype=np.int16)

    return _each(than, scores)


def _tau(
    better: Int[AnyArray, "model replicate"],
    untied: Int[AnyArray, "model replicate"],
    above: Bool[AnyArray, "model model"],
) -> Float[AnyArray, "replicate"]:
    """Kendall's tau-b of each replicate with the order that says which model is above which."""
    xp = namespace(better, above)

    def concordant_less_discordant(one: Any, below: Any) -> Any:
        sign = (better - one).clip(-1, 1)
        return (sign * below[:, None]).sum(0, dtype=np.int16)

    agreement = _each(concordant_less_discordant, better, above.astype(better.dtype))
    pairs = untied.sum(0, dtype=np.int32).astype(float) / 2, above.sum()
    scale = xp.sqrt(pairs[0] * pairs[1])
    both_tied = (pairs[0] == 0) & (pairs[1] == 0)
    tau = agreement.sum(0, dtype=np.int32).astype(float) / xp.where(scale > 0, scale, 1)
    return xp.where(both_tied, 1.0, tau)


def _counts(values: Int[AnyArray, "replicate"], *, below: int) -> Int[AnyArray, "{below}"]:
    """How often each of 0, 1, ... occurs."""
    if namespace(values) is jnp:
        return jnp.zeros(below, jnp.int32).at[values].add(1)
    return np.bincount(values, minlength=below)


def _rank_summary(
    first: Int[AnyArray, "replicate"],
    last: Int[AnyArray, "replicate"],
    models: int,
    tails: tuple[float, float],
) -> Any:
    """Probability of each rank, mean rank, and its quantiles, of one model.

    `first` and `last` are the ranks, from 0, that its tie spans: itself alone for the most.
    """
    xp = namespace(first, last)
    total = len(first)
    begin, end = np.indices((models, models))
    spans = _counts(first.astype(np.int32) * models + last, below=models**2)
    credit = spans.astype(float).reshape(models, models) / np.maximum(end - begin + 1, 1)
    # Of rank k: all that begin at or before it and end at or after it.
    probability = xp.diagonal(credit.cumsum(0)[:, ::-1].cumsum(1)[:, ::-1]) / total

    doubled = _counts(first + last, below=2 * models - 1)
    up_to = doubled.cumsum()

    def quantile(q: float) -> Any:
        place = (total - 1) * q
        below = int(place)
        low, high = (1 + (up_to <= k).sum() / 2 for k in (below, min(below + 1, total - 1)))
        return low + (place - below) * (high - low)

    mean = 1 + doubled.astype(float) @ np.arange(2 * models - 1.0) / (2 * total)
    return probability, mean, quantile(tails[0]), quantile(tails[1])


# Statistics over the cases, and without some of them.


def _quantile(statistic: Statistic) -> float | None:
    """Which quantile; None for the mean."""
    if statistic == "mean":
        return None
    if statistic == "median":
        return 0.5
    if isinstance(statistic, str) or not 0 < statistic < 1:
        raise InputError(
            f"unknown statistic {statistic!r}: give 'mean', 'median' or a quantile in (0, 1)"
        )
    return statistic


def _numbered(
    units: Int[np.ndarray, "case"] | None, scores: Float[np.ndarray, "model case"]
) -> Int[np.ndarray, "case"]:
    return np.arange(scores.shape[1]) if units is None else units


def settled(
    values: Float[np.ndarray, "*any"], scores: Float[np.ndarray, "model case"]
) -> Float[np.ndarray, "*any"]:
    """Values rounded so that those which differ by rounding errors alone are tied."""
    largest = np.abs(scores, where=np.isfinite(scores), out=np.zeros_like(scores)).max()
    quantum = 2.0 ** np.frexp(largest)[1] * _DIGITS
    return np.round(values / quantum) * quantum


def _first(values: Float[np.ndarray, "*batch model"]) -> Bool[np.ndarray, "*batch model"]:
    return values == values.max(-1, keepdims=True)


def _place(cases: Any, q: float) -> tuple[Any, Any, Any]:
    """Between which two of the sorted scores, counted from 0, the quantile lies, and how far."""
    # Rounded, for 0.3 of 11 cases is the 4th, not something between the 3rd and the 4th.
    place = np.round((cases - 1) * q, 9)
    lower = np.floor(place).astype(int)
    return lower, np.minimum(lower + 1, cases - 1), place - lower


def _between(lower: Any, upper: Any, fraction: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(lower), lower, lower + fraction * (upper - lower))


def _estimates(
    scores: Float[np.ndarray, "model case"], statistic: Statistic
) -> Float[np.ndarray, "model"]:
    q = _quantile(statistic)
    if q is None:
        return scores.mean(-1)
    lower, upper, fraction = _place(scores.shape[1], q)
    ordered = np.sort(scores, axis=-1)
    return _between(ordered[:, lower], ordered[:, upper], fraction)


def _estimates_without(
    scores: Float[np.ndarray, "model case"],
    statistic: Statistic,
    units: Int[np.ndarray, "case"],
) -> Float[np.ndarray, "model unit"]:
    """The statistic without each unit in turn; NaN where nothing is left."""
    q = _quantile(statistic)
    sizes = np.bincount(units)
    left = units.size - sizes
    if q is None:
        finite = np.isfinite(scores)
        sums, infinite = _unit_sums(np.where(finite, scores, 0), units), _unit_sums(~finite, units)
        means = (sums.sum(-1, keepdims=True) - sums) / np.maximum(left, 1)
        values = np.where(infinite.sum(-1, keepdims=True) > infinite, -np.inf, means)
    else:
        ordered = np.sort(scores, axis=-1)
        passed = _passed(scores, units)
        lower, upper, fraction = _place(np.maximum(left, 1), q)
        below, above = (
            np.take_along_axis(ordered, np.minimum(k + passed(k), units.size - 1), axis=-1)
            for k in (lower, upper)
        )
        values = _between(below, above, fraction)
    return np.where(left > 0, values, np.nan)


def _passed(
    scores: Float[np.ndarray, "model case"], units: Int[np.ndarray, "case"]
) -> Callable[[Int[np.ndarray, "unit"]], Int[np.ndarray, "model unit"]]:
    """How many of each unit's own scores precede the k-th of the others, in sorted order.

    If the unit's are at places p_0 < p_1 < ... of all scores, p_i - i of the others precede
    the i-th of them: it is passed if that is at most k.
    """
    sizes = np.bincount(units)
    starts = np.cumsum(sizes) - sizes
    grouped = np.sort(units)
    place = np.argsort(np.argsort(scores, axis=-1, kind="stable"), axis=-1)
    in_units = np.sort(units * units.size + place, axis=-1) - grouped * units.size
    others_before = in_units - (np.arange(units.size) - starts[grouped])
    return lambda k: _unit_sums(others_before <= k[grouped], grouped).astype(int)


def _unit_sums(
    values: Num[np.ndarray, "row case"] | Bool[np.ndarray, "row case"],
    units: Int[np.ndarray, "case"],
) -> Float[np.ndarray, "row unit"]:
    count = units.max() + 1
    cells = np.arange(len(values))[:, None] * count + units
    sums = np.bincount(cells.ravel(), values.ravel(), minlength=len(values) * count)
    return sums.reshape(len(values), count)


def _shortest_by_mean(
    duel: Float[np.ndarray, "model case"],
    statistic: Statistic,
    units: Int[np.ndarray, "case"],
    limit: int,
) -> Int[np.ndarray, "removed"] | None:
    """Fewest units without which the last model has a greater mean than all others."""
    present = np.unique(units)
    leads = _unit_sums(duel[:-1] - duel[-1], units)[:, present]
    order = np.argsort(-leads.sum(0), kind="stable")
    # Summed from the end, so that what is removed, infinite perhaps, leaves no trace.
    lead = leads[:, order][:, ::-1].cumsum(-1)[:, ::-1]
    cases = np.bincount(units)[present][order][::-1].cumsum()[::-1]
    behind = np.all(settled(lead / cases, duel) < 0, axis=0)
    removed = int(behind.argmax())
    return present[order[:removed]] if behind[removed] and removed <= limit else None


def _greedy_by_quantile(
    duel: Float[np.ndarray, "model case"],
    statistic: Statistic,
    units: Int[np.ndarray, "case"],
    limit: int,
) -> Int[np.ndarray, "removed"] | None:
    """Units removed until the last model has a greater quantile than all others."""
    removed = np.array([], int)
    while removed.size < limit:
        kept = ~np.isin(units, removed)
        there = np.unique(units[kept])
        with np.errstate(invalid="ignore"):  # level where all are infinitely bad
            leads = _unit_sums((duel[:-1].max(0) - duel[-1])[None], units)[0, there]
            without = _estimates_without(duel[:, kept], statistic, units[kept])[:, there]
            margins = settled(without[-1] - without[:-1].max(0), duel)
        favour = np.lexsort((np.nan_to_num(leads), np.nan_to_num(margins)))
        candidates = there[favour[::-1]]

        def first(count: int, candidates: Any = candidates, removed: Any = removed) -> Any:
            return np.concatenate([removed, candidates[:count]])

        # One at a time while they are few; many that are alike are not worth a look each.
        count = min(max(1, removed.size // 8), limit - removed.size)
        if _is_ahead(duel, statistic, ~np.isin(units, first(count))):
            sets = (first(k) for k in range(1, count + 1))
            return next(s for s in sets if _is_ahead(duel, statistic, ~np.isin(units, s)))
        removed = first(count)
    return None


def _is_ahead(
    duel: Float[np.ndarray, "model case"], statistic: Statistic, kept: Bool[np.ndarray, "case"]
) -> bool:
    """Whether the last model is ahead of all others in these cases."""
    estimates = settled(_estimates(duel[:, kept], statistic), duel)
    return bool((estimates[-1] > estimates[:-1]).all())
