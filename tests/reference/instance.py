"""Scores of objects, by sets of voxels and by trying out every assignment."""

import itertools
import math
from fractions import Fraction

from tests.reference import overlap


def objects(labels):
    return [overlap.voxels(labels == k) for k in sorted(set(labels.ravel().tolist()) - {0})]


def both(reference, prediction):
    return objects(reference), objects(prediction)


def iou(r, p):
    return Fraction(len(r & p), len(r | p))


def share(part, whole):
    return float(part / whole) if whole else math.nan


def one_to_one(references, predictions):
    """Every way to give each reference object a predicted one or none."""
    for given in itertools.product([None, *range(len(predictions))], repeat=len(references)):
        used = [j for j in given if j is not None]
        if len(used) == len(set(used)):
            yield [(i, j) for i, j in enumerate(given) if j is not None]


def matches(reference, prediction, threshold, strict):
    """Number and total IoU of the best one-to-one matches at a threshold."""
    references, predictions = both(reference, prediction)
    limit = Fraction(str(threshold))
    best = (0, Fraction(0))
    for pairs in one_to_one(references, predictions):
        values = [iou(references[i], predictions[j]) for i, j in pairs]
        if all((v > limit if strict else v >= limit) and v > 0 for v in values):
            best = max(best, (len(values), sum(values, Fraction(0))))
    return *best, len(references), len(predictions)


def covering(references, predictions):
    """Of each reference object the predicted one that covers more than half of it."""
    return [
        next((j for j, p in enumerate(predictions) if 2 * len(r & p) > len(r)), None)
        for r in references
    ]


def seg(reference, prediction):
    references, predictions = both(reference, prediction)
    found = covering(references, predictions)
    pairs = zip(references, found, strict=True)
    return share(sum(iou(r, predictions[j]) for r, j in pairs if j is not None), len(references))


def ctc_ns(reference, prediction):
    references, predictions = both(reference, prediction)
    found = covering(references, predictions)
    return sum(max(found.count(j) - 1, 0) for j in range(len(predictions)))


def ctc_fn(reference, prediction):
    return covering(*both(reference, prediction)).count(None)


def ctc_fp(reference, prediction):
    references, predictions = both(reference, prediction)
    return len(predictions) - len(set(covering(references, predictions)) - {None})


def det(reference, prediction):
    anew = 10 * len(objects(reference))
    cost = 5 * ctc_ns(reference, prediction) + 10 * ctc_fn(reference, prediction)
    cost += ctc_fp(reference, prediction)
    return 1 - min(cost, anew) / anew if anew else math.nan


def pq(reference, prediction, threshold=0.5, strict=True):
    _, total, r, p = matches(reference, prediction, threshold, strict)
    return share(2 * total, r + p) if r + p else math.nan


def sq(reference, prediction, threshold=0.5, strict=True):
    n, total, _, _ = matches(reference, prediction, threshold, strict)
    return share(total, n)


def rq(reference, prediction, threshold=0.5, strict=True):
    return f1(reference, prediction, threshold, strict)


def f1(reference, prediction, threshold=0.5, strict=False):
    n, _, r, p = matches(reference, prediction, threshold, strict)
    return share(Fraction(2 * n), r + p)


def object_precision(reference, prediction, threshold=0.5, strict=False):
    n, _, _, p = matches(reference, prediction, threshold, strict)
    return share(Fraction(n), p)


def object_recall(reference, prediction, threshold=0.5, strict=False):
    n, _, r, _ = matches(reference, prediction, threshold, strict)
    return share(Fraction(n), r)


def average_precision(reference, prediction, threshold=0.5, strict=False):
    n, _, r, p = matches(reference, prediction, threshold, strict)
    return share(Fraction(n), r + p - n)


def dsb_score(reference, prediction):
    grid = [Fraction(k, 20) for k in range(10, 20)]
    return sum(average_precision(reference, prediction, t) for t in grid) / 10


def mean_matched_score(reference, prediction, threshold=0.5, strict=False):
    return sq(reference, prediction, threshold, strict)


def mean_true_score(reference, prediction, threshold=0.5, strict=False):
    _, total, r, _ = matches(reference, prediction, threshold, strict)
    return share(total, r)


def aggregated(references, predictions, pairs):
    """Kumar's ratio, objects without a pair adding to the union."""
    inside = sum(len(references[i] & predictions[j]) for i, j in pairs)
    union = sum(len(references[i] | predictions[j]) for i, j in pairs)
    paired, used = {i for i, _ in pairs}, {j for _, j in pairs}
    union += sum(len(r) for i, r in enumerate(references) if i not in paired)
    union += sum(len(p) for j, p in enumerate(predictions) if j not in used)
    return inside / union if union else math.nan


def aji(reference, prediction):
    references, predictions = both(reference, prediction)
    pairs = []
    for i, r in enumerate(references):
        best = max(range(len(predictions)), key=lambda j: iou(r, predictions[j]), default=None)
        if best is not None and r & predictions[best]:
            pairs.append((i, best))
    return aggregated(references, predictions, pairs)


def aji_plus(reference, prediction):
    """Of all one-to-one pairs of the greatest total IoU, every value there is."""
    references, predictions = both(reference, prediction)
    total = lambda pairs: sum((iou(references[i], predictions[j]) for i, j in pairs), Fraction(0))
    meeting = [
        pairs
        for pairs in one_to_one(references, predictions)
        if all(references[i] & predictions[j] for i, j in pairs)
    ]
    most = max(map(total, meeting))
    values = {aggregated(references, predictions, x) for x in meeting if total(x) == most}
    return min(values) if len(values) == 1 else values


def dice2(reference, prediction):
    pairs = [(r, p) for r, p in itertools.product(*both(reference, prediction)) if r & p]
    return share(
        Fraction(2 * sum(len(r & p) for r, p in pairs)), sum(len(r) + len(p) for r, p in pairs)
    )


def object_dice(reference, prediction):
    references, predictions = both(reference, prediction)
    if not references and not predictions:
        return math.nan
    there = half_of_object_dice(references, predictions)
    return (there + half_of_object_dice(predictions, references)) / 2


def half_of_object_dice(ours, theirs):
    total = 0.0
    for a in ours:
        dice = lambda b, a=a: 2 * len(a & b) / (len(a) + len(b))
        best = max(theirs, key=lambda b, a=a, dice=dice: (len(a & b), dice(b)), default=set())
        total += len(a) / sum(map(len, ours)) * dice(best)
    return total


def jaccard_sparse(reference, prediction):
    references, predictions = both(reference, prediction)
    best = [max((iou(r, p) for p in predictions), default=Fraction(0)) for r in references]
    return share(sum(best), len(best))


def inside(small, large):
    return 2 * len(small & large) > len(small)


def splits(reference, prediction):
    references, predictions = both(reference, prediction)
    return sum(max(sum(inside(p, r) for p in predictions) - 1, 0) for r in references)


def merges(reference, prediction):
    return splits(prediction, reference)


def kinds(reference, prediction):
    """A word for each object of the reference, and for each of the prediction."""
    references, predictions = both(reference, prediction)
    parts = [[j for j, p in enumerate(predictions) if inside(p, r)] for r in references]
    covers = [[i for i, r in enumerate(references) if inside(r, p)] for p in predictions]
    merged = {i for c in covers if len(c) > 1 for i in c}
    pieces = {j for x in parts if len(x) > 1 for j in x}
    return (
        [
            "merged"
            if i in merged
            else "split"
            if len(parts[i]) > 1
            else "accurate"
            if any(i in c for c in covers)
            else "missed"
            for i in range(len(references))
        ],
        [
            "merged"
            if len(covers[j]) > 1
            else "split"
            if j in pieces
            else "accurate"
            if covers[j]
            else "spurious"
            for j in range(len(predictions))
        ],
    )


def missed(reference, prediction):
    return kinds(reference, prediction)[0].count("missed")


def spurious(reference, prediction):
    return kinds(reference, prediction)[1].count("spurious")


def jaccard_binary(reference, prediction):
    return overlap.iou(overlap.counts(reference != 0, prediction != 0))


def jaccard_binary_sparse(annotation, prediction):
    known = overlap.voxels(annotation > 0)
    r, p = overlap.voxels(annotation == 2), overlap.voxels(prediction != 0) & known
    return overlap.share(len(r & p), len(r | p))


def middles(labels, spacing):
    """Centroids of the objects, in order of their labels."""
    found = objects(labels)
    mean = lambda voxels: [s * sum(x) / len(x) for s, x in zip(spacing, zip(*voxels), strict=True)]  # noqa: B905
    return [mean(voxels) for voxels in found]


def detections(reference, prediction, spacing, distance):
    """Number and least total distance of the most pairs at most so far apart."""
    r, p = middles(reference, spacing), middles(prediction, spacing)
    best = (0, 0.0)
    for pairs in one_to_one(range(len(r)), range(len(p))):
        apart = [math.dist(r[i], p[j]) for i, j in pairs]
        if all(d <= distance * (1 + 1e-9) for d in apart):
            best = max(best, (len(pairs), -sum(apart)))
    return best[0], -best[1], len(r), len(p)
