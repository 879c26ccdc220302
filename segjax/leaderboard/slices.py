"""Slices of the cases: by organ, scanner, sex, size; and whether scores differ between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from segjax._errors import InputError
from segjax.leaderboard.intervals import default_method, interval_ends, ratio_evidence
from segjax.leaderboard.resampling import Plan, reweighted


@dataclass(frozen=True)
class Slice:
    """A column of the cases' metadata; numbers may be sorted into bins.

    Attributes:
        column: its name.
        bins: how many bins of about as many cases each, or the edges between them; None takes
            every value as a slice.
    """

    column: str
    bins: int | tuple[float, ...] | None = None


@dataclass(frozen=True)
class Group:
    """What is said of one slice.

    Attributes:
        cases: how many it has.
        estimates: mean score of every model.
        low: ends of the intervals of the means; NaN where there are too few units.
        high: see `low`.
        method: of the intervals.
    """

    cases: int
    estimates: Float[np.ndarray, "model"]
    low: Float[np.ndarray, "model"]
    high: Float[np.ndarray, "model"]
    method: str


def slice_cases(
    values: Sequence[str | int | float | None], bins: int | tuple[float, ...] | None
) -> dict[str, Bool[np.ndarray, "case"]]:
    """Which cases each slice holds, in a natural order; without a value, a case is in none.

    A bin holds what is above the edge before it, up to and with its own edge.

    Raises:
        InputError: if bins are asked for of what is no number.

    Example:
        >>> slice_cases(["b", "a", "", "b"], None)
        {'a': array([False,  True, False, False]), 'b': array([ True, False, False,  True])}
        >>> list(slice_cases(["1", "2", "3", "40"], 2))
        ['1 to 2', '3 to 40']
    """
    texts = ["" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    if bins is None:
        return {
            name: np.array([t == name for t in texts])
            for name in sorted({t for t in texts if t}, key=_natural)
        }
    if isinstance(bins, int) and bins < 1:
        raise InputError(f"bins must be positive, got {bins}")
    wrong = next((t for t in texts if t and not _is_number(t)), None)
    if wrong is not None:
        raise InputError(f"{wrong[:60]!r} is no number and cannot be sorted into bins")
    numbers = np.array([float(t) if t else np.nan for t in texts])
    there = np.sort(numbers[~np.isnan(numbers)])
    if isinstance(bins, int):
        edges = np.unique([part[-1] for part in np.array_split(there, bins) if part.size])
    else:
        edges = np.array([*bins, np.inf])
    place = np.searchsorted(edges, numbers)
    found = {}
    for i in range(edges.size):
        inside = (place == i) & ~np.isnan(numbers)
        if not inside.any():
            continue
        least, most = numbers[inside].min(), numbers[inside].max()
        found[f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"] = inside
    return found


def slice_estimates(
    weights: UInt8[np.ndarray, "replicate unit"],
    plan: Plan,
    scores: Float[np.ndarray, "model case"],
    inside: Bool[np.ndarray, "case"],
    *,
    level: float = 0.95,
    bounds: tuple[float | None, float | None] = (None, None),
) -> Group:
    """Means of a slice with their intervals, from weights that serve all slices.

    Args:
        weights: of `resampling.poisson_weights`, one per unit of the plan.
        plan: whose units they weigh.
        scores: finite inside the slice.
        inside: the slice.
        level: of the intervals.
        bounds: least and greatest score there can be.
    """
    shares = plan.sums(inside.astype(float)[:, None])[:, 0]
    there = np.flatnonzero(shares)
    sums = plan.sums(np.where(inside, scores, 0.0).T)[there].T
    shares = shares[there][None]
    own = Plan(np.arange(there.size), plan.first[there], plan.size[there])
    method = default_method(plan, units=there.size)
    drawn = reweighted(weights[:, there], sums, shares, errors=True)
    evidence = ratio_evidence(own, sums, shares, drawn, units=there.size)
    low, high = interval_ends(evidence, method, level=level, bounds=bounds)
    return Group(int(inside.sum()), evidence.estimates, low, high, method)


def difference_test(
    plan: Plan,
    scores: Float[np.ndarray, "model case"],
    groups: Sequence[Bool[np.ndarray, "case"]],
) -> Float[np.ndarray, "model"]:
    """Whether scores differ between slices, by the Kruskal-Wallis test.

    Cases that belong together count as one, by their mean.

    Returns:
        One p-value per model, not adjusted; NaN if there are fewer than two slices, or a unit has
        cases in several of them, so that they are not independent.

    References:
        Kruskal, W. H. & Wallis, W. A. (1952). Use of ranks in one-criterion variance analysis.
        JASA 47(260), 583-621. doi:10.2307/2280779
    """
    import scipy.stats  # slow to import

    sizes = np.stack([plan.sums(g.astype(float)[:, None])[:, 0] for g in groups]) if groups else []
    if len(groups) < 2 or (np.count_nonzero(sizes, axis=0) > 1).any():
        return np.full(len(scores), np.nan)
    found = np.ones(len(scores))
    for i, row in enumerate(scores):
        parts = []
        for inside, size in zip(groups, sizes, strict=True):
            sums = plan.sums(np.where(inside, row, 0.0)[:, None])[:, 0]
            parts.append(sums[size > 0] / size[size > 0])
        if np.ptp(np.concatenate(parts)) > 0:
            found[i] = scipy.stats.kruskal(*parts).pvalue
    return found


def _natural(text: str) -> tuple[int, float, str]:
    return (0, float(text), text) if _is_number(text) else (1, 0.0, text)


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text)).item()
    except ValueError:
        return False
