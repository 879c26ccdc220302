"""Scores of many cases, with named axes, and the policy for what could not be scored."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from segjax._errors import InputError
from segjax._numerics import defined_mean
from segjax.metrics import Metric, get_metric
from segjax.statistics import Confusion, Contingency, pooled


UNDEFINED = ("omit", "best", "worst", "fail")
MISSING = ("diagonal", "worst", "omit", "fail")


class Label(NamedTuple):
    """A label and what it stands for."""

    value: int
    name: str


class Column(NamedTuple):
    """One metric of one label; `label` is None for metrics of the whole image."""

    metric: str
    label: int | None


class Row(NamedTuple):
    """One score: the layout of `scores.csv`."""

    case: str
    label: str
    name: str
    metric: str
    score: float
    status: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Scores, case by case; build with `make_table`.

    Attributes:
        cases: names, one per score of a column.
        labels: the labels that were scored, of every case, there or not.
        metrics: canonical names, in the order they were asked for.
        columns: raw scores in float64; NaN where 0/0.
        counts: voxel counts of shape (case, label).
        diagonals: physical diagonal of the images, in the unit of their spacing.
        objects: for metrics of objects, by name, the objects of all cases side by side.
    """

    cases: tuple[str, ...]
    labels: tuple[Label, ...]
    metrics: tuple[str, ...]
    columns: Mapping[Column, np.ndarray]
    counts: Confusion
    diagonals: np.ndarray
    objects: Mapping[str, Contingency] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cases)

    def column(self, metric: str, label: int | None = None) -> np.ndarray:
        """Raw scores of one metric over the cases.

        Args:
            metric: any of its names.
            label: may be left out if there is only one, and for metrics of whole images.

        Raises:
            InputError: if there is no such column.
        """
        name = get_metric(metric).name
        if label is None and (name, None) not in self.columns and len(self.labels) == 1:
            label = self.labels[0].value
        try:
            return self.columns[Column(name, label)]
        except KeyError:
            labels = ", ".join(str(k.value) for k in self.labels)
            raise InputError(
                f"no scores of {name} for label {label}; metrics are {', '.join(self.metrics)}, "
                f"labels {labels}"
            ) from None

    def missed(self, column: Column) -> np.ndarray:
        """Cases where something is wholly missed.

        The score is 0/0 because the prediction is empty and should not be, or a distance has
        nothing to reach.
        """
        r, p = self.counts.reference_size, self.counts.prediction_size
        if column.label is None:
            r, p = r.sum(-1), p.sum(-1)
        else:
            place = [k.value for k in self.labels].index(column.label)
            r, p = r[:, place], p[:, place]
        scores = self.columns[column]
        return (np.isnan(scores) & (r > 0) & (p == 0)) | np.isinf(scores)

    def resolved(
        self, column: Column, *, undefined: str = "omit", missing: str = "diagonal"
    ) -> np.ndarray:
        """Scores under a policy; NaN is what the policy leaves out.

        Args:
            column: which scores.
            undefined: for 0/0 where nothing is there to be scored: "omit", "best", "worst",
                or "fail".
            missing: for what is wholly missed: "diagonal" puts the diagonal of the image for
                a distance, and for any other metric what a prediction that knows nothing is
                worth; "worst" differs in that distances stay infinite; or "omit", or "fail".

        Raises:
            InputError: for an unknown policy, or if the policy is "fail" and applies.
        """
        check_undefined(undefined)
        if missing not in MISSING:
            raise InputError(f"missing must be one of {', '.join(MISSING)}, got {missing!r}")
        metric, missed = get_metric(column.metric), self.missed(column)
        scores = self.columns[column]
        if missed.any() and missing == "fail":
            case = self.cases[int(np.argmax(missed))]
            raise InputError(
                f"{case}: nothing was predicted, or nothing is there, so {metric.name} is missing"
            )
        if missing == "diagonal" and metric.unit == "length":
            scores = np.where(missed, self.diagonals, scores)
        elif missing != "omit" and metric.missed is not None:
            scores = np.where(missed, metric.missed, scores)
        else:
            scores = np.where(missed, np.nan, scores)
        kept = np.where(missed, 0.0, scores)  # an omitted miss is not thereby undefined
        if undefined == "fail" and np.isnan(kept).any():
            case = self.cases[int(np.argmax(np.isnan(kept)))]
            raise InputError(f"{case}: {metric.name} is undefined (0/0), and undefined is 'fail'")
        return np.where(missed, scores, resolve_undefined(kept, metric, undefined))

    def mean_over_labels(self, metric: str, **policy: str) -> np.ndarray:
        """Per case, the mean of a metric over the labels whose score is left by the policy."""
        scores = np.stack([self.resolved(Column(metric, k.value), **policy) for k in self.labels])
        return defined_mean(scores, axis=0)

    def pooled(self, column: Column) -> float | None:
        """Score of the voxels, or the objects, of all cases together; None where there is none."""
        metric = get_metric(column.metric)
        if metric.name in self.objects:
            return float(metric(self.objects[metric.name]))
        if metric.statistic is not Confusion or metric.unit == "volume":
            return None
        counts = pooled(self.counts, axis=0)
        scores = metric(counts)
        if column.label is None:
            return float(scores)
        return float(scores[[k.value for k in self.labels].index(column.label)])

    def rows(self) -> Iterator[Row]:
        """All scores, case by case, in the order of labels and metrics."""
        names = {k.value: k.name for k in self.labels}
        missed = {column: self.missed(column) for column in self.columns}
        for i, case in enumerate(self.cases):
            for column, scores in self.columns.items():
                status = "undefined" if math.isnan(scores[i]) else "scored"
                if missed[column][i]:
                    status = "missed"
                label = "" if column.label is None else str(column.label)
                name = names.get(column.label, "") if column.label is not None else ""
                yield Row(case, label, name, column.metric, float(scores[i]), status)

    def to_csv(self) -> str:
        """Tidy text, one line per case, label and metric; NaN is written `nan`."""
        return csv_text(Row._fields, self.rows())

    def to_json(self) -> str:
        """The rows as a JSON list; a score that is no number is null."""
        return json.dumps([jsonable(row._asdict()) for row in self.rows()], ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame` (install `segjax[tables]`)."""
        return data_frame(Row._fields, self.rows())


def make_table(
    *,
    cases: Sequence[str],
    labels: Sequence[Label],
    metrics: Sequence[Metric],
    counts: Confusion,
    others: Mapping[str, np.ndarray],
    voxel_volumes: np.ndarray | None = None,
    diagonals: np.ndarray | None = None,
    objects: Mapping[str, Contingency] | None = None,
) -> Table:
    """Assemble a table: overlap metrics are computed here, all cases and labels at once.

    Args:
        cases: names.
        labels: what the last axis of `counts` stands for.
        metrics: what to tabulate.
        counts: integer counts of shape (case, label).
        others: scores of the metrics that need more than these counts, of shape (case,), or
            (case, label) where there is one per label.
        voxel_volumes: product of the spacing, per case; default 1.
        diagonals: of the images, per case; not known by default.
        objects: of all cases, side by side, by the name of the metric that judges them; without
            them metrics of objects have no pooled score.
    """
    volume = np.ones(len(cases)) if voxel_volumes is None else voxel_volumes
    columns: dict[Column, np.ndarray] = {}
    of_label: dict[str, np.ndarray] = {}
    for metric in metrics:
        if metric.statistic is not Confusion:
            scores = np.asarray(others[metric.name], float)
        else:
            per_case = volume if metric.per == "image" else volume[:, None]
            scores = np.asarray(metric(counts, voxel_volume=per_case), float)
        if metric.per == "image":
            columns[Column(metric.name, None)] = scores
        else:
            of_label[metric.name] = scores
    for i, label in enumerate(labels):
        for name, scores in of_label.items():
            columns[Column(name, label.value)] = scores[:, i]
    return Table(
        cases=tuple(cases),
        labels=tuple(labels),
        metrics=tuple(m.name for m in metrics),
        columns=columns,
        counts=counts,
        diagonals=np.full(len(cases), np.nan) if diagonals is None else diagonals,
        objects={} if objects is None else objects,
    )


def csv_text(fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lines of comma-separated values under a heading; NaN is written `nan`."""
    out = io.StringIO()
    # Every line break inside a name is quoted only if it is part of the terminator.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(fields)
    writer.writerows(rows)
    return out.getvalue().replace("\r\n", "\n")


def data_frame(fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """The rows as a `pandas.DataFrame`.

    Raises:
        InputError: if pandas is not installed.
    """
    try:
        import pandas  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError('pandas is missing; pip install "segjax[tables]"') from None
    return pandas.DataFrame(list(rows), columns=list(fields))


def check_undefined(policy: str) -> None:
    """Raise `InputError` for an unknown policy."""
    if policy not in UNDEFINED:
        raise InputError(f"undefined must be one of {', '.join(UNDEFINED)}, got {policy!r}")


def resolve_undefined(scores: Any, metric: Metric, policy: str) -> Any:
    """Put the policy's choice where scores are NaN.

    Raises:
        InputError: if the policy is "fail" and a score is undefined.
    """
    if policy == "omit" or metric.best is None:
        return scores
    undefined = np.isnan(scores)
    if policy == "fail":
        if np.any(undefined):
            raise InputError(f"{metric.name} is undefined (0/0), and undefined is 'fail'")
        return scores
    return np.where(undefined, metric.best if policy == "best" else metric.worst, scores)


def jsonable(value: Any) -> Any:
    """Plain Python for JSON: no NumPy types, None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
