"""Ranks, and what upsets them, by the definitions: loops, and fractions instead of floats."""

import math
from fractions import Fraction
from itertools import combinations


def ranks(scores):
    return [
        1 + sum(b > a for b in scores) + Fraction(sum(b == a for b in scores) - 1, 2)
        for a in scores
    ]


def rank_probability(replicates):
    models = len(replicates[0])
    credit = [[Fraction(0)] * models for _ in range(models)]
    for row in replicates:
        for i, a in enumerate(row):
            better, equal = sum(b > a for b in row), sum(b == a for b in row)
            for k in range(better, better + equal):
                credit[i][k] += Fraction(1, equal * len(replicates))
    return credit


def tau_b(x, y):
    pairs = list(combinations(range(len(x)), 2))
    sign = lambda a, b: int(a > b) - int(a < b)
    s = [(sign(x[i], x[j]), sign(y[i], y[j])) for i, j in pairs]
    untied = sum(a != 0 for a, _ in s), sum(b != 0 for _, b in s)
    if 0 in untied:
        return float(untied == (0, 0))
    return sum(a * b for a, b in s) / math.sqrt(untied[0] * untied[1])


def statistic(values, which):
    values = sorted(Fraction(v) for v in values)
    if which == "mean":
        return sum(values) / len(values)
    q = Fraction(1, 2) if which == "median" else Fraction(str(which))
    place = (len(values) - 1) * q
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def board(scores, which, units, removed=()):
    """The statistic of each model over the cases whose unit is not removed."""
    kept = [c for c, u in enumerate(units) if u not in removed]
    return [statistic([row[c] for c in kept], which) for row in scores]


def winners(estimates):
    return {i for i, e in enumerate(estimates) if e == max(estimates)}


def leave_one_out(scores, which, units):
    before = board(scores, which, units)
    after = [board(scores, which, units, {u}) for u in range(max(units) + 1)]
    return (
        [winners(a) != winners(before) for a in after],
        [ranks(a) != ranks(before) for a in after],
    )


def upset_size(scores, which, units):
    """Size of the smallest set without which none that wins now does; None if there is none."""
    now = winners(board(scores, which, units))
    everything = range(max(units) + 1)
    for size in range(1, len(everything)):
        for removed in combinations(everything, size):
            if not now & winners(board(scores, which, units, set(removed))):
                return size
    return None


def tiers(ranks, separable):
    """For ranks without ties."""
    found, present, first = {}, 0, None
    for i in sorted(range(len(ranks)), key=lambda i: ranks[i]):
        if first is None or separable[first][i]:
            present, first = present + 1, i
        found[i] = present
    return [found[i] for i in range(len(ranks))]
