"""Assessments of many images, as a table like that of measured scores."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from segjax._errors import InputError
from segjax.leaderboard.measures import PREDICTED
from segjax.metrics import get_metric
from segjax.quality.predict import Assessment
from segjax.table import csv_text, data_frame, jsonable


class Row(NamedTuple):
    """One predicted score: the columns of a measured one, and what only predictions have."""

    case: str
    label: str
    name: str
    metric: str
    score: float
    status: str
    low: float
    high: float
    flags: str


@dataclass(frozen=True, eq=False)
class Assessments:
    """Predicted scores, case by case.

    Attributes:
        cases: names.
        assessments: one per case, of the same metrics.
        notes: what holds for all, e.g. of their calibration.
    """

    cases: tuple[str, ...]
    assessments: tuple[Assessment, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What was predicted."""
        return tuple(self.assessments[0].scores) if self.assessments else ()

    def column(self, metric: str) -> Float[np.ndarray, " case"]:
        """Predicted scores of one metric over the cases."""
        if metric not in self.metrics:
            raise InputError(f"no scores of {metric!r}; metrics are {', '.join(self.metrics)}")
        return np.array([a.scores[metric].value for a in self.assessments])

    def worst_first(self, metric: str | None = None) -> list[int]:
        """Places of the cases, the lowest predicted quality first; without a score at the end."""
        metric = self.metrics[0] if metric is None else metric
        scores = self.column(metric)
        return np.argsort(scores if is_higher_better(metric) else -scores, kind="stable").tolist()

    def rows(self) -> Iterator[Row]:
        """All scores, case by case."""
        for case, a in zip(self.cases, self.assessments, strict=True):
            for metric, score in a.scores.items():
                yield Row(
                    case=case,
                    label="",
                    name="",
                    metric=PREDICTED + metric,
                    score=score.value,
                    status="absent" if math.isnan(score.value) else "scored",
                    low=score.low,
                    high=score.high,
                    flags="; ".join(a.flags),
                )

    def to_csv(self) -> str:
        """Tidy text, which `segjax leaderboard` reads; NaN is written `nan`."""
        return csv_text(Row._fields, self.rows())

    def to_json(self) -> str:
        """The rows as a JSON list; a score that is no number is null."""
        return json.dumps([jsonable(row._asdict()) for row in self.rows()], ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame` (install `segjax[tables]`)."""
        return data_frame(Row._fields, self.rows())


def is_higher_better(metric: str) -> bool:
    """Whether a higher score means a better segmentation."""
    return get_metric(metric).higher_is_better is not False


def objects_csv(cases: Sequence[str], assessments: Sequence[Assessment]) -> str | None:
    """Scores of the objects of all cases; None if none were asked for."""
    found = [(c, a.per_object) for c, a in zip(cases, assessments, strict=True) if a.per_object]
    if not found:
        return None
    columns = ("case", *found[0][1].columns)
    return csv_text(columns, ((case, *row) for case, objects in found for row in objects.rows()))
