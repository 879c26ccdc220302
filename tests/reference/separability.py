"""Tests between models by writing every arrangement out, one pair and one unit at a time."""

import math
from itertools import combinations, permutations, product


def by_unit(scores, units):
    """{unit: [[score per case of the unit] per model]}"""
    found = {}
    for case, unit in enumerate(units):
        cases = found.setdefault(unit, [[] for _ in scores])
        for model, row in zip(cases, scores, strict=True):
            model.append(row[case])
    return found


def t_statistic(differences):
    """Cluster-robust t of a list of lists: differences per unit."""
    n = sum(map(len, differences))
    units = len(differences)
    if units < 2:
        return 0.0
    mean = math.fsum(map(math.fsum, differences)) / n
    residuals = [math.fsum(d - mean for d in unit) for unit in differences]
    se = math.sqrt(units / (units - 1) * math.fsum(e**2 for e in residuals)) / n
    if se < 1e-12:
        return math.copysign(math.inf, mean) if abs(mean) > 1e-12 else 0.0
    return mean / se


def all_t(boards):
    """t of every pair in every measure; a board is {unit: [[score] per model]}."""
    models = len(next(iter(boards[0].values())))
    subtracted = lambda unit, i, j: [x - y for x, y in zip(unit[i], unit[j], strict=True)]
    return [
        [
            t_statistic([subtracted(unit, i, j) for unit in board.values()])
            for i, j in combinations(range(models), 2)
        ]
        for board in boards
    ]


def max_t(family, units):
    """Adjusted p over all permutations of the models in every unit."""
    boards = [by_unit(s.tolist(), u) for s, u in zip(family, units, strict=True)]
    labels = sorted({unit for board in boards for unit in board})
    orders = list(permutations(range(len(family[0]))))
    observed = all_t(boards)
    largest = []
    for choice in product(orders, repeat=len(labels)):
        order = dict(zip(labels, choice, strict=True))
        arranged = [
            {unit: [cases[i] for i in order[unit]] for unit, cases in board.items()}
            for board in boards
        ]
        largest.append(max(abs(t) for row in all_t(arranged) for t in row))
    at_least = lambda t: sum(m >= abs(t) - 1e-9 for m in largest) / len(largest)
    return [[at_least(t) for t in row] for row in observed]


def sign_flip(family, units):
    """p of every pair over all signs of its units' differences."""
    p = []
    for scores, unit in zip(family, units, strict=True):
        board = by_unit(scores.tolist(), unit)
        row = []
        for i, j in combinations(range(len(scores)), 2):
            d = [math.fsum(u[i]) - math.fsum(u[j]) for u in board.values()]
            flips = list(product((1, -1), repeat=len(d)))
            sums = [abs(math.fsum(s * x for s, x in zip(f, d, strict=True))) for f in flips]
            row.append(sum(s >= sums[0] - 1e-12 for s in sums) / len(sums))
        p.append(row)
    return p


def holm(p):
    """Each p against the number of hypotheses not yet rejected when its turn comes."""
    adjusted, worst = {}, 0.0
    for rejected, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - rejected) * p[i]))
        adjusted[i] = worst
    return [adjusted[i] for i in range(len(p))]
