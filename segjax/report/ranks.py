"""Which metric leads, and which cases it ranks first, middle and last."""

from collections.abc import Iterable

import numpy as np

from segjax.metrics import Metric, get_metric
from segjax.statistics import SurfaceDistances
from segjax.table import Column, Table


MEAN = "mean"  # stands for the mean over labels, as in `leaderboard.summarise`


def leading_order(names: Iterable[str]) -> list[str]:
    """Dice first, then as given; accuracy never first (MISeval's guideline).

    The guideline is one for voxels: a metric of objects that is given first stays there.
    """
    ordered = list(names)
    if not ordered or not get_metric(ordered[0]).of_objects:
        ordered = sorted(ordered, key=lambda name: name != "dice")
    if len(ordered) > 1 and _plain(ordered[0]) == "accuracy":
        ordered = [*ordered[1:], ordered[0]]
    return ordered


def main_metric(names: Iterable[str]) -> Metric | None:
    """The first in `leading_order` that has a direction and is not accuracy."""
    metrics = [get_metric(name) for name in leading_order(names)]
    return next((m for m in metrics if m.best is not None and _plain(m.name) != "accuracy"), None)


def boundary_metric(names: Iterable[str]) -> Metric | None:
    """The first metric of the distances between surfaces, if there is one."""
    metrics = (get_metric(name) for name in names)
    return next((m for m in metrics if m.statistic is SurfaceDistances), None)


def _plain(name: str) -> str:
    return name.partition("(")[0]


def views(table: Table) -> list[tuple[int | str, str]]:
    """Labels one may look at, each with its name; the mean first where there are several."""
    each: list[tuple[int | str, str]] = [(k.value, k.name) for k in table.labels]
    several = len(each) > 1 and any(c.label is not None for c in table.columns)
    return [(MEAN, "mean over labels"), *each] if several else each[:1]


def scores_in(table: Table, metric: str, view: int | str, **policy: str) -> np.ndarray:
    """Scores of one view under a policy; metrics of whole images look the same in all."""
    if Column(metric, None) in table.columns:
        return table.resolved(Column(metric, None), **policy)
    if view == MEAN:
        return table.mean_over_labels(metric, **policy)
    return table.resolved(Column(metric, int(view)), **policy)


def missed_in(table: Table, metric: str, view: int | str) -> np.ndarray:
    """Cases whose score is missing, of any label if the view is their mean."""
    if Column(metric, None) in table.columns:
        return table.missed(Column(metric, None))
    labels = [k.value for k in table.labels] if view == MEAN else [int(view)]
    return np.any([table.missed(Column(metric, k)) for k in labels], axis=0)


def sizes_in(table: Table, view: int | str) -> np.ndarray:
    """Voxels of the view's label in the reference; of all labels if it is their mean."""
    sizes = np.asarray(table.counts.reference_size)
    if view == MEAN:
        return sizes.sum(-1)
    return sizes[:, [k.value for k in table.labels].index(int(view))]


def ranking(table: Table, metric: Metric | None = None, /, **policy: str) -> np.ndarray:
    """Indices of the cases, best first by a metric; what is undefined is left out.

    The metric is the main one if none is given. Ties keep the order of the table, so that
    nobody chooses.
    """
    metric = metric or main_metric(table.metrics)
    if metric is None or not len(table) or not table.labels:
        return np.zeros(0, int)
    scores = scores_in(table, metric.name, views(table)[0][0], **policy)
    scores = np.abs(scores) if metric.signed else scores
    order = np.argsort(-scores if metric.higher_is_better else scores, kind="stable")
    return order[~np.isnan(scores[order])]


def sample_indices(table: Table, **policy: str) -> dict[str, int]:
    """The best, the median and the worst case by rank; fewer where there are fewer cases."""
    order = ranking(table, **policy)
    if not order.size:
        return {}
    places = {"best": 0, "median": order.size // 2, "worst": order.size - 1}
    if order.size == 1:
        return {"only": int(order[0])}
    if order.size == 2:
        del places["median"]
    return {name: int(order[place]) for name, place in places.items()}


def samples(table: Table, **policy: str) -> dict[str, str]:
    """Names of the cases the page shows as samples, by "best", "median" and "worst".

    Args:
        table: scores.
        policy: `undefined` and `missing`, as `Table.resolved` takes them.

    Example:
        >>> import numpy as np
        >>> from segjax.evaluation import evaluate_batch
        >>> reference = np.ones((3, 2, 2), bool)
        >>> prediction = reference.copy()
        >>> prediction[1, 0], prediction[2, 0, 0] = False, False
        >>> table = evaluate_batch(
        ...     references=reference, predictions=prediction, cases=["a", "b", "c"]
        ... )
        >>> samples(table)
        {'best': 'a', 'median': 'c', 'worst': 'b'}
    """
    return {place: table.cases[i] for place, i in sample_indices(table, **policy).items()}


def worst_first(table: Table, metric: Metric | None = None, /, **policy: str) -> tuple[str, ...]:
    """Names of all cases as the page lists them: worst by a metric, then undefined.

    The metric is the main one if none is given.
    """
    return tuple(table.cases[i] for i in worst_first_indices(table, metric, **policy))


def worst_first_indices(table: Table, metric: Metric | None = None, /, **policy: str) -> list[int]:
    """Indices of all cases, worst first, then those without a score."""
    worst = ranking(table, metric, **policy)[::-1].tolist()
    return worst + sorted(set(range(len(table))) - set(worst))
