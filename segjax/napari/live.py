"""What is asked of label layers, and the answer: scores of each result, and of its objects."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from segjax._errors import InputError
from segjax._numerics import defined_mean
from segjax.case import as_host, check_same_grid, distinct, make_case
from segjax.evaluation import measure
from segjax.metrics import Metric, get_metric
from segjax.objects import ObjectTable, tell_objects
from segjax.statistics import Confusion, Contingency, find_segments


DEFAULT_METRICS = ("dice", "iou", "seg", "pq", "f1", "jaccard_sparse", "hausdorff(percentile=95)")
KINDS_OF_LABELS = ("objects", "classes")
_MOST_CLASSES = 32
_COUNTS = get_metric("tp")  # what is missed is read off the counts


@dataclass(frozen=True, kw_only=True)
class Options:
    """How layers are scored.

    Attributes:
        metrics: names or aliases.
        labels: what labels are, one of `KINDS_OF_LABELS`: objects are one foreground to metrics
            of overlap and boundaries; of classes, scores are means over those that are defined.
        annotated_only: the reference holds a few objects of many; the rest is not known.
        relabel: each connected piece of a label is an object.
        surface: see `segjax.case.make_case`.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS
    labels: str = "objects"
    annotated_only: bool = False
    relabel: bool = False
    surface: str = "voxel"


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Arrays to be scored, which may be painted on meanwhile.

    Attributes:
        results: label maps by name.
        reference: the truth; None to predict scores from the image.
        image: intensities; only looked at without a reference.
        spacing: voxel size along each axis.
        unit: of the spacing.
        options: how.
    """

    results: Mapping[str, Any]
    reference: Any = None
    image: Any = None
    spacing: tuple[float, ...] = ()
    unit: str = ""
    options: Options = field(default_factory=Options)


class Mark(NamedTuple):
    """A score.

    Attributes:
        value: NaN if it is undefined.
        status: "scored", "undefined" (0/0) or "missed", as in a `segjax.Table`.
        by_class: the marks whose mean it is, by label.
        low: lower end of the interval of a predicted score.
        high: upper end.
    """

    value: float
    status: str
    by_class: Mapping[int, "Mark"] = {}
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What is said of one result.

    Attributes:
        marks: by name of the metric.
        objects: what becomes of each object; None without a reference.
        problem: why there are no scores; empty if there are.
        notes: of metrics that cannot be had, and why; reasons not to trust predictions.
    """

    marks: Mapping[str, Mark] = field(default_factory=dict)
    objects: ObjectTable | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """The answer to a question.

    Attributes:
        question: with the arrays as they were when they were scored.
        results: by name.
        seconds: how long it took.
    """

    question: Question
    results: Mapping[str, Result]
    seconds: float


def answer(question: Question, before: Answer | None = None) -> Answer:
    """Score every result; one that cannot be scored says why, the others are scored.

    Args:
        question: its arrays are copied first, so that they may be painted on.
        before: an earlier answer, which is returned as it is if it answers this, too.
    """
    start = time.perf_counter()
    question = _copied(question)
    if before is not None and _same(question, before.question):
        return before
    judge = _predict if question.reference is None else _measure
    results = {}
    for name, labels in question.results.items():
        try:
            results[name] = judge(question, labels)
        except MemoryError:
            results[name] = Result(problem="does not fit in memory; crop the layers")
        except ValueError as error:  # InputError, or an option out of its range
            results[name] = Result(problem=str(error))
    return Answer(question=question, results=results, seconds=time.perf_counter() - start)


def annotated_part(reference: Any, prediction: Any) -> np.ndarray:
    """Mask of what is known if the reference holds a few objects of many.

    Voxels of these objects, and of the predicted ones that meet one of them. All others may be
    objects that nobody has drawn yet, or background.

    Example:
        >>> import numpy as np
        >>> reference = np.array([1, 1, 0, 0, 0, 0])
        >>> prediction = np.array([0, 5, 5, 0, 6, 6])
        >>> annotated_part(reference, prediction).astype(int)
        array([1, 1, 1, 0, 0, 0])
    """
    drawn = reference != 0
    met = distinct(prediction[drawn])
    return drawn | (np.isin(prediction, met[met != 0]) & (prediction != 0))


def _copied(question: Question) -> Question:
    copy = lambda x: None if x is None else np.array(as_host(x))
    return replace(
        question,
        reference=copy(question.reference),
        image=copy(question.image),
        results={name: copy(labels) for name, labels in question.results.items()},
    )


def _same(one: Question, other: Question) -> bool:
    """Whether two questions have the same answer."""
    plain = lambda q: (q.options, q.spacing, q.unit, tuple(q.results))
    arrays = lambda q: (q.reference, q.image, *q.results.values())
    return plain(one) == plain(other) and all(
        x is y or (x is not None and y is not None and np.array_equal(x, y))
        for x, y in zip(arrays(one), arrays(other), strict=True)
    )


def _measure(question: Question, labels: np.ndarray) -> Result:
    """Scores against the reference."""
    reference, options = question.reference, question.options
    check_same_grid(reference, labels)
    if not reference.any():
        raise InputError("the reference has no objects yet; paint some, or choose another layer")
    whole = make_case(
        reference=reference,
        prediction=labels,
        spacing=question.spacing or None,
        labels=_classes(reference, labels) if options.labels == "classes" else "foreground",
        valid=annotated_part(reference, labels) if options.annotated_only else None,
        surface=options.surface,
        relabel=options.relabel,
    )
    found = find_segments(whole)
    whole, known = measure(whole, [_COUNTS], {Contingency: found.contingency})
    wanted, groups, marks, notes = _names(options.metrics), {}, {}, []
    for metric in wanted:
        groups.setdefault(metric.statistic, []).append(metric)
    for statistic, metrics in groups.items():
        try:
            _, known = measure(whole, metrics, known)
            for m in metrics:
                scores = np.asarray(m(known[statistic], voxel_volume=whole.voxel_volume), float)
                marks[m.name] = _mark(scores, known[Confusion], whole.labels)
        except ValueError as error:  # a metric may ask more of the images than others do
            notes.append(f"{', '.join(m.name for m in metrics)}: {error}")
    return Result(
        marks={m.name: marks[m.name] for m in wanted if m.name in marks},
        objects=tell_objects(whole, found),
        notes=tuple(notes),
    )


def _predict(question: Question, labels: np.ndarray) -> Result:
    """Scores that the image lets expect."""
    from segjax.quality.predict import assess, find_weights

    if question.image is None:
        raise InputError("choose a reference, or an image, from which scores can be predicted")
    weights = find_weights(None, labels.ndim)
    found = assess(
        question.image,
        labels,
        weights.network.outputs,
        weights=weights,
        spacing=question.spacing if labels.ndim == 3 else None,
        channel="mean" if question.image.ndim > labels.ndim else None,
        relabel=question.options.relabel,
    )
    return Result(
        marks={
            name: Mark(x.value, "undefined" if np.isnan(x.value) else "scored", {}, x.low, x.high)
            for name, x in found.scores.items()
        },
        notes=found.flags,
    )


def _names(metrics: Sequence[str]) -> list[Metric]:
    return list({m.name: m for m in map(get_metric, metrics)}.values())


def _classes(reference: np.ndarray, labels: np.ndarray) -> tuple[int, ...]:
    found = np.union1d(distinct(reference), distinct(labels))
    classes = tuple(int(k) for k in found if k != 0)
    if len(classes) > _MOST_CLASSES:
        raise InputError(
            f"there are {len(classes)} classes, of at most {_MOST_CLASSES}; if labels are "
            'objects, set "Labels are" to objects'
        )
    return classes


def _mark(scores: np.ndarray, counts: Confusion, labels: tuple[int, ...]) -> Mark:
    """A score of the image, or the mean over labels of theirs."""
    r, p = counts.reference_size, counts.prediction_size
    if not scores.ndim:
        return Mark(float(scores), _status(float(scores), bool(p.sum() == 0)))
    each = [
        Mark(x, _status(x, gone))
        for x, gone in zip(scores.tolist(), ((r > 0) & (p == 0)).tolist(), strict=True)
    ]
    if len(each) == 1:
        return each[0]
    mean = float(defined_mean(scores))
    return Mark(mean, _status(mean, False), dict(zip(labels, each, strict=True)))


def _status(score: float, gone: bool) -> str:
    if np.isinf(score) or (np.isnan(score) and gone):
        return "missed"
    return "undefined" if np.isnan(score) else "scored"
