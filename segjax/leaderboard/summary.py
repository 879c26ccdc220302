"""One line per metric and label: what `summary.json` and the page print."""

from dataclasses import asdict
from typing import Any

import numpy as np

from segjax.leaderboard.intervals import REPLICATES, percentile_intervals
from segjax.metrics import get_metric
from segjax.table import Column, Table


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summarise(
    table: Table,
    *,
    undefined: str = "omit",
    missing: str = "diagonal",
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Summarise every column over the cases.

    Args:
        table: scores.
        undefined: policy for 0/0; see `Table.resolved`.
        missing: policy for misses.
        level: of the bootstrap interval of the mean.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Per column, and per mean over labels where there are several: metric, label (None
        for the whole image, "mean" for the mean over labels), name, n (scores in the mean),
        n_undefined, n_missed, mean, sd, median, min, max, quantiles, interval, and pooled
        (the score of the voxels, or the objects, of all cases together). What cannot be
        computed is None.
    """
    policy = {"undefined": undefined, "missing": missing}
    names = {k.value: k.name for k in table.labels}
    entries: list[tuple[dict[str, Any], np.ndarray]] = []
    for name in table.metrics:
        columns = [c for c in table.columns if c.metric == name]
        if len(columns) > 1:
            entries.append((_mean_entry(table, columns), table.mean_over_labels(name, **policy)))
        for column in columns:
            head = {
                "metric": name,
                "label": column.label,
                "name": "" if column.label is None else names[column.label],
                **_counts(table, column),
                "pooled": table.pooled(column),
            }
            entries.append((head, table.resolved(column, **policy)))
    if not entries or not len(table):
        return []
    scores = np.stack([s for _, s in entries], axis=1)
    intervals = percentile_intervals(scores, level=level, replicates=replicates, seed=seed)
    return [
        head | _moments(s) | {"interval": None if i is None else asdict(i)}
        for (head, s), i in zip(entries, intervals, strict=True)
    ]


def _counts(table: Table, column: Column) -> dict[str, int]:
    missed = table.missed(column)
    undefined = np.isnan(table.columns[column]) & ~missed
    return {"n_undefined": int(undefined.sum()), "n_missed": int(missed.sum())}


def _mean_entry(table: Table, columns: list[Column]) -> dict[str, Any]:
    counts = [_counts(table, c) for c in columns]
    totals = {k: sum(c[k] for c in counts) for k in counts[0]}
    metric = get_metric(columns[0].metric)
    pooled = None
    if metric.best is not None:
        over = [p for c in columns if (p := table.pooled(c)) is not None and not np.isnan(p)]
        pooled = float(np.mean(over)) if over else None
    return {
        "metric": metric.name,
        "label": "mean",
        "name": "mean over labels",
        **totals,
        "pooled": pooled,
    }


def _moments(scores: np.ndarray) -> dict[str, Any]:
    there = scores[~np.isnan(scores)]
    n = there.size
    if not n:
        return {"n": 0, "mean": None, "sd": None, "median": None, "min": None, "max": None} | {
            "quantiles": None
        }
    with np.errstate(invalid="ignore"):  # infinite scores have no spread, or even no mean
        mean = float(there.mean())
        spread = float(there.std(ddof=1)) if n > 1 else None
        quantiles = np.quantile(there, QUANTILES)
    return {
        "n": n,
        "mean": mean,
        "sd": spread,
        "median": float(np.median(there)),
        "min": float(there.min()),
        "max": float(there.max()),
        "quantiles": {f"{q:g}": float(v) for q, v in zip(QUANTILES, quantiles, strict=True)},
    }
