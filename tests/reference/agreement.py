"""Agreement of partitions by looking at every voxel, or every pair of voxels."""

import math
from collections import Counter
from itertools import combinations


def paired(reference, prediction, ignore_background=False):
    pairs = list(zip(reference.ravel().tolist(), prediction.ravel().tolist(), strict=True))
    return [pair for pair in pairs if pair[0] or not ignore_background]


def entropy(labels):
    n = len(labels)
    return -sum(k / n * math.log2(k / n) for k in Counter(labels).values())


def vi_split(reference, prediction, ignore_background=False):
    pairs = paired(reference, prediction, ignore_background)
    return entropy(pairs) - entropy([r for r, _ in pairs]) if pairs else math.nan


def vi_merge(reference, prediction, ignore_background=False):
    pairs = paired(reference, prediction, ignore_background)
    return entropy(pairs) - entropy([p for _, p in pairs]) if pairs else math.nan


def variation_of_information(reference, prediction, ignore_background=False):
    both = (reference, prediction, ignore_background)
    return vi_split(*both) + vi_merge(*both)


def mutual_information(reference, prediction, ignore_background=False):
    pairs = paired(reference, prediction, ignore_background)
    if not pairs:
        return math.nan
    return entropy([r for r, _ in pairs]) + entropy([p for _, p in pairs]) - entropy(pairs)


def pair_counts(pairs):
    """Pairs of voxels that are together in (both, reference alone, prediction alone, neither)."""
    found = Counter((a[0] == b[0], a[1] == b[1]) for a, b in combinations(pairs, 2))
    return found[True, True], found[True, False], found[False, True], found[False, False]


def over(part, whole):
    return part / whole if whole else math.nan


def adapted_rand_precision(reference, prediction, ignore_background=False):
    both, _, p, _ = pair_counts(paired(reference, prediction, ignore_background))
    return over(both, both + p)


def adapted_rand_recall(reference, prediction, ignore_background=False):
    both, r, _, _ = pair_counts(paired(reference, prediction, ignore_background))
    return over(both, both + r)


def adapted_rand_error(reference, prediction, ignore_background=False):
    both, r, p, _ = pair_counts(paired(reference, prediction, ignore_background))
    return over(r + p, 2 * both + r + p)


def rand_index(reference, prediction):
    both, r, p, neither = pair_counts(paired(reference, prediction))
    return over(both + neither, both + r + p + neither)


def adjusted_rand_index(reference, prediction):
    both, r, p, neither = pair_counts(paired(reference, prediction))
    total = both + r + p + neither
    if not total:
        return math.nan
    expected = (both + r) * (both + p) / total
    return over(both - expected, (2 * both + r + p) / 2 - expected)


def multiclass_mcc(reference, prediction):
    """Correlation of the one-hot codes (Gorodkin's definition), summed over the labels."""
    pairs = paired(reference, prediction)
    labels = sorted({k for pair in pairs for k in pair})
    n = len(pairs)

    def covariance(i, j):
        total = 0.0
        for k in labels:
            x, y = [pair[i] == k for pair in pairs], [pair[j] == k for pair in pairs]
            total += sum(a and b for a, b in zip(x, y, strict=True)) / n - sum(x) * sum(y) / n**2
        return total

    spread = covariance(0, 0) * covariance(1, 1)
    return covariance(0, 1) / math.sqrt(spread) if spread > 1e-12 else math.nan


def multiclass_kappa(reference, prediction):
    pairs = paired(reference, prediction)
    n = len(pairs)
    observed = sum(r == p for r, p in pairs) / n
    rows, columns = Counter(r for r, _ in pairs), Counter(p for _, p in pairs)
    chance = sum(rows[k] * columns[k] for k in rows) / n**2
    return (observed - chance) / (1 - chance) if chance < 1 else math.nan
