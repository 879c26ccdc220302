"""Small tables, summaries and pages, for the tests of `segjax.report`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from segjax.evaluation import evaluate_batch
from segjax.leaderboard.summary import summarise
from segjax.report import render
from segjax.report.overlay import Picture
from segjax.table import Label, Table


METRICS = ("accuracy", "iou", "dice", "precision", "volume_difference", "tp")
DOT = Picture("data:image/png;base64,iVBORw0KGgo=", 4, 4, "whole image")


@cache
def table(n: int = 6, labels: int = 1, metrics: tuple[str, ...] = METRICS) -> Table:
    """Bars of labels, each shorter in the prediction by the number of the case.

    Case 2 has an empty prediction, so that its precision is missed; case 3 is empty in
    both, so that its scores are undefined.
    """
    references = np.zeros((n, 2 * labels, 12), int)
    predictions = references.copy()
    for k in range(labels):
        references[:, 2 * k, 1:11] = k + 1
        for i in range(n):
            predictions[i, 2 * k, 1 : 11 - i % 9] = k + 1
    predictions[2:4], references[3:4] = 0, 0
    names = [f"case {i:03d}" for i in range(n)]
    return evaluate_batch(
        references=references,
        predictions=predictions,
        metrics=metrics,
        cases=names,
        labels=list(range(1, labels + 1)),
    )


def named(of: Table, cases: Sequence[str], labels: Sequence[str]) -> Table:
    """The table under other names."""
    renamed = tuple(Label(k.value, name) for k, name in zip(of.labels, labels, strict=True))
    return replace(of, cases=tuple(cases), labels=renamed)


def summary(of: Table, **more: object) -> dict[str, object]:
    """What `summary.json` would hold."""
    return {
        "segjax": "0.1.0",
        "created": "2026-11-22T20:00:00+00:00",
        "command": "segjax evaluate labels predictions",
        "method": "predictions",
        "layout": "flat",
        "cases": len(of),
        "options": {"metrics": list(of.metrics), "undefined": "omit", "missing": "worst"},
        "versions": {"python": "3.11", "jax": "0.10.2"},
        "unpaired": {"reference": [], "prediction": []},
        "inputs": [
            {
                "case": case,
                "reference": {"path": f"labels/{case}", "sha256": "ab" * 32},
                "prediction": {"path": f"predictions/{case}", "sha256": "cd" * 32},
                "shape": [2, 12],
                "spacing": [0.5, 0.5],
                "unit": "mm",
            }
            for case in of.cases
        ],
        "seconds": 1.2,
        "scores": summarise(of, replicates=200) if len(of) else [],
        **more,
    }


def page(of: Table, **more: object) -> str:
    """The page of a table, with pictures of its first cases."""
    return render(of, summary(of, **more), dict.fromkeys(of.cases[:3], DOT))
