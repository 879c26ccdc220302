"""What segauge-benchmark prints of its results, resample by resample.

From a description of segauge 0.2.0: `bootstrap_ci`, `ranking_stability`, `paired_significance`.
"""

import math
from itertools import combinations

import numpy as np
from scipy.stats import rankdata


def interval(values, level=0.95, *, count=2000, seed=0):
    """Mean of the finite values, and its percentile interval."""
    kept = np.array([v for v in values if v is not None and math.isfinite(v)])
    if not kept.size:
        return math.nan, math.nan, math.nan
    rng = np.random.default_rng(seed)
    means = [kept[rng.integers(0, kept.size, kept.size)].mean() for _ in range(count)]
    tail = (1 - level) / 2
    return kept.mean(), np.quantile(means, tail), np.quantile(means, 1 - tail)


def ranking(scores, higher, *, count=2000, seed=0):
    """By model its share of first ranks, mean rank and rank interval; scores are complete."""
    n = scores.shape[1]
    rng = np.random.default_rng(seed)
    ranks, best = [], []
    for _ in range(count):
        means = scores[:, rng.integers(0, n, n)].mean(1)
        rank = rankdata(-means if higher else means, method="average")
        first = rank == rank.min()
        ranks.append(rank)
        best.append(first / first.sum())
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0)
    return np.mean(best, axis=0), np.mean(ranks, axis=0), low, high


def analyse(cases, higher, *, level=0.95, count=2000, seed=0):
    """All that is said of one organ and metric.

    Args:
        cases: by model and case the score, None where it is not finite.
        higher: whether higher is better.
    """
    models = list(cases)
    finite = {m: {c: v for c, v in of.items() if v is not None} for m, of in cases.items()}
    common = sorted(set.intersection(*(set(of) for of in finite.values())))
    scores = np.array([[finite[m][c] for c in common] for m in models])
    means = scores.mean(1)
    order = np.argsort(-means if higher else means)
    table = {m: interval(cases[m].values(), level, count=count, seed=seed) for m in models}
    stable = ranking(scores, higher, count=count, seed=seed)
    comparisons = math.comb(len(models), 2)
    pairs = []
    for a, b in combinations(order, 2):
        delta, low, high = interval(
            scores[a] - scores[b], 1 - (1 - level) / comparisons, count=count, seed=seed
        )
        pairs.append((models[a], models[b], delta, low, high, not low <= 0 <= high))
    return {
        "n": len(common),
        "order": [models[i] for i in order],
        "table": table,
        "ranking": {m: tuple(x[i] for x in stable) for i, m in enumerate(models)},
        "pairs": pairs,
    }
