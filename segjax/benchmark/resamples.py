"""Intervals of means, ranks and pairs from bootstrap resamples, by segjax and by others."""

import importlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from segjax.benchmark.timing import Build, Entry
from segjax.leaderboard.intervals import Evidence, interval_ends
from segjax.leaderboard.ranking import rank_distribution
from segjax.leaderboard.resampling import make_plan, replicates
from segjax.leaderboard.separability import bonferroni_percentile


def whole_board(scores: np.ndarray, count: int) -> tuple[Any, ...]:
    """Intervals, ranks and pairs, from resamples that all share."""
    return judged(scores, whole_means(scores, count))


def whole_means(scores: np.ndarray, count: int) -> np.ndarray:
    """Means of resamples."""
    return replicates(jax.random.key(0), make_plan(scores.shape[1]), scores, count=count)[0]


def judged(scores: np.ndarray, means: np.ndarray) -> tuple[Any, ...]:
    """What is said of the means of resamples."""
    evidence = Evidence(estimates=scores.mean(1), replicates=means, units=scores.shape[1])
    ends = interval_ends(evidence, "percentile")
    return ends, rank_distribution(means, evidence.estimates), bonferroni_percentile(means)


def peers(scores: np.ndarray, count: int, *, large: bool = False) -> Mapping[str, Build]:
    """Others that do the same, or the intervals of it; chance decides what they find."""
    return {
        "NumPy, counts x scores": lambda: Entry(
            lambda: judged(scores, by_counts(scores, count)),
            bar=1.0 if large else None,
            alike=False,
        ),
        "scipy.stats.bootstrap (intervals alone)": lambda: Entry(
            lambda: by_scipy(scores, count), alike=False, slow=large
        ),
        "segauge": lambda: segauge(scores, count, large=large),
    }


def by_counts(scores: np.ndarray, count: int) -> np.ndarray:
    """Means of resamples as a NumPy user would write them, at their quickest."""
    rng, n = np.random.default_rng(0), scores.shape[1]
    means, block = [], max(1, 2**20 // n)
    for start in range(0, count, block):
        size = min(block, count - start)
        cells = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(cells.reshape(-1), minlength=size * n).reshape(size, n)
        means.append(counts @ scores.T / n)
    return np.concatenate(means)


def by_scipy(scores: np.ndarray, count: int) -> Any:
    """All models in one call, so that it can share the resamples."""
    from scipy import stats

    return stats.bootstrap(
        (scores,), np.mean, axis=1, n_resamples=count, method="percentile", batch=100, rng=0
    )


def segauge(scores: np.ndarray, count: int, *, large: bool) -> Entry:
    """The board of segauge-benchmark: an interval per model and pair, ranks in a loop."""
    from scipy import stats

    bootstrap_ci = importlib.import_module("segauge.stats").bootstrap_ci

    def work() -> Any:
        intervals = [bootstrap_ci(row, n_resamples=count) for row in scores]
        rng, n = np.random.default_rng(0), scores.shape[1]
        ranks = np.empty((count, len(scores)))
        for i in range(count):
            ranks[i] = stats.rankdata(-scores[:, rng.integers(0, n, n)].mean(1))
        level = 1 - 0.05 / (len(scores) * (len(scores) - 1) / 2)
        pairs = [
            bootstrap_ci(a - b, n_resamples=count, confidence=level)
            for i, a in enumerate(scores)
            for b in scores[i + 1 :]
        ]
        return intervals, np.quantile(ranks, [0.025, 0.975], axis=0), pairs

    return Entry(work, bar=0.02 if large else None, alike=False, slow=large)
