"""A board of complete scores, by plain NumPy: resamples drawn and permuted one block at a time."""

from itertools import combinations

import numpy as np
import scipy.stats


def resamples(rng, units, count, *, strata=None, within=False):
    """Places of the cases of each resample, as lists of different lengths."""
    labels = np.unique(units)
    cases = {u: np.flatnonzero(units == u) for u in labels}
    of = np.zeros(len(units)) if strata is None else np.asarray(strata)
    groups = [[u for u in labels if of[cases[u][0]] == s] for s in np.unique(of)]
    for _ in range(count):
        drawn = [group[i] for group in groups for i in rng.integers(0, len(group), len(group))]
        parts = [cases[u] for u in drawn]
        if within:
            parts = [part[rng.integers(0, part.size, part.size)] for part in parts]
        yield np.concatenate(parts)


def statistics(scores, drawn, quantile=None):
    """Of every model in every resample."""
    one = np.mean if quantile is None else lambda x, axis: np.quantile(x, quantile, axis=axis)
    return np.array([one(scores[:, places], axis=1) for places in drawn])


def independent(rng, scores, count):
    """Means and standard errors of resampled independent cases."""
    n = scores.shape[1]
    means, errors = [], []
    for start in range(0, count, 2000):
        places = rng.integers(0, n, (min(2000, count - start), n))
        drawn = scores[:, places]
        means.append(drawn.mean(2).T)
        errors.append(drawn.std(2, ddof=1).T / np.sqrt(n))
    return np.concatenate(means), np.concatenate(errors)


def rank_probability(means, higher):
    """Credit for each rank, a tie's shared between those it spans, and the averaged ranks."""
    oriented = -means if higher else means
    low = scipy.stats.rankdata(oriented, method="min", axis=1)
    high = scipy.stats.rankdata(oriented, method="max", axis=1)
    k = means.shape[1]
    credit = np.array(
        [((low <= r) & (r <= high)) / (high - low + 1) for r in range(1, k + 1)]
    ).mean(1)
    return credit.T, scipy.stats.rankdata(oriented, method="average", axis=1)


def t_statistics(scores):
    """Paired t of every pair: a - b in the order of `combinations`."""
    return [scipy.stats.ttest_rel(scores[a], scores[b]).statistic for a, b in _pairs(scores)]


def largest_t(rng, family, count):
    """Largest |t| of any pair in any measure, the models' names shuffled within each case."""
    models, n = family[0].shape
    pairs = _pairs(family[0])
    largest = np.zeros(count)
    for i in range(count):
        order = np.array([rng.permutation(models) for _ in range(n)]).T
        for scores in family:
            mixed = np.take_along_axis(scores, order, 0)
            d = np.array([mixed[a] - mixed[b] for a, b in pairs])
            t = d.mean(1) / (d.std(1, ddof=1) / np.sqrt(n))
            largest[i] = max(largest[i], np.abs(t).max())
    return largest


def _pairs(scores):
    return list(combinations(range(len(scores)), 2))
