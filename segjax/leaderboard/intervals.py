"""Intervals for the mean score."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from segjax.leaderboard.resampling import bootstrap_means


# The ends then move by 2 % of the standard error from seed to seed: less than is printed.
REPLICATES = 20_000


@dataclass(frozen=True)
class Interval:
    """Where the mean over all such cases is likely to be."""

    low: float
    high: float
    level: float
    method: str
    replicates: int


def percentile_intervals(
    scores: Float[np.ndarray, "case column"],
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Interval | None]:
    """Percentile bootstrap interval of the mean of each column.

    Too narrow for few cases: at n = 20 a nominal 95 % interval covers 84-89 % on real
    scores, so that it is a lower bound on the uncertainty. Columns share their resamples.

    Args:
        scores: cases by columns; NaN is left out.
        level: share of the replicates inside.
        replicates: how many resamples.
        seed: makes the result reproducible.

    Returns:
        One interval per column; None where fewer than two scores are defined or one is
        infinite.

    References:
        Efron, B. & Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 13.
    """
    finite = np.isfinite(scores).sum(0)
    usable = (finite > 1) & ~np.isinf(scores).any(0)
    if not usable.any():
        return [None] * scores.shape[1]
    means = bootstrap_means(jax.random.key(seed), scores[:, usable], replicates=replicates)
    tail = (1 - level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail], axis=0)
    # No mean is beyond the scores; what is comes of rounding.
    ends = np.nanmin(scores[:, usable], axis=0), np.nanmax(scores[:, usable], axis=0)
    low, high = np.clip(low, *ends), np.clip(high, *ends)
    found = iter(zip(low.tolist(), high.tolist(), strict=True))
    return [
        Interval(*next(found), level, "percentile bootstrap", replicates) if ok else None
        for ok in usable
    ]
