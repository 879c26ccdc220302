"""From a pair of label maps to scores, each statistic computed once."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from segjax._errors import InputError
from segjax.case import (
    Case,
    Labels,
    Spacing,
    as_labels,
    as_probabilities,
    check_labels,
    check_same_grid,
    check_spacing,
    check_surface,
    diagonal,
    make_case,
)
from segjax.metrics import Metric, get_metric
from segjax.statistics import (
    STACKED,
    STATISTICS,
    BoundaryBands,
    Calibration,
    Centroids,
    Confusion,
    ConfusionMatrix,
    Contingency,
    Foreground,
    InstanceSurfaces,
    ObjectDistances,
    PointDistances,
    Scribbles,
    Skeletons,
    SurfaceBands,
    SurfaceDistances,
    Topology,
    boundary_bands,
    calibration,
    centroids,
    confusion,
    contingency,
    count_masks,
    instance_surfaces,
    label_confusion,
    object_distances,
    side_by_side,
    skeletons,
    soft_confusion,
    surface_distances,
    topology,
)
from segjax.table import Label, Table, check_undefined, make_table, resolve_undefined


# What MISeval's guideline asks for: Dice first, IoU, sensitivity and specificity beside it.
DEFAULT_METRICS = (
    "dice",
    "iou",
    "sensitivity",
    "specificity",
    "precision",
    "volumetric_similarity",
)
_TOGETHER, _VOXELS = 64, 2**24  # cases that are measured at once, and voxels of them
# Statistics of one label at a time.
_OF_MASKS = (SurfaceDistances, BoundaryBands, Skeletons, Topology)
_OF_OBJECTS = (InstanceSurfaces, ObjectDistances, Centroids)  # of all labels together


def evaluate(
    *,
    reference: Any,
    prediction: Any,
    metrics: Iterable[str] = DEFAULT_METRICS,
    spacing: Spacing = None,
    labels: Labels = None,
    ignore: int | None = None,
    valid: Any = None,
    surface: str = "voxel",
    relabel: bool = False,
    undefined: str = "omit",
) -> dict[str, Any]:
    """Score one prediction against one reference.

    Args:
        reference: label map taken as the standard, 0 = background; integers or bool, any
            number of axes; NumPy, JAX, or anything with DLPack.
        prediction: label map to be judged, of the same shape; or, if all metrics are of
            probabilities (brier, ece, auroc ...), floats from 0 to 1, of the foreground: all
            that is not background, or `labels`.
        metrics: names or aliases, e.g. "dice", "mIoU", "f_beta(beta=2)".
        spacing: voxel size along each array axis; default 1.
        labels: labels to score, in this order; None for those that occur; "foreground" to
            take everything that is not background as one label.
        ignore: label of the reference whose voxels are not counted.
        valid: mask of the voxels that are counted; all by default.
        surface: "voxel", "surfel" or "mesh", for boundary metrics; see `segjax.case.make_case`.
        relabel: take each connected piece of a label as an object of its own.
        undefined: what becomes of a score that is 0/0: "omit" leaves NaN, "best" and
            "worst" put the metric's best and worst value, "fail" raises.

    Returns:
        Scores by canonical name, in float64. Masks (boolean, or holding at most one label),
        metrics of whole images and averages give scalars; a map of several labels gives one
        score per label, in ascending order of the label (or the order of `labels`).

    Raises:
        InputError: if the input cannot be scored; see `segjax.case.make_case`.

    Example:
        >>> import numpy as np
        >>> reference = np.zeros((8, 8), bool)
        >>> reference[2:6, 2:6] = True
        >>> prediction = np.roll(reference, 1, axis=0)
        >>> scores = evaluate(reference=reference, prediction=prediction, metrics=["DSC", "IoU"])
        >>> {name: round(float(score), 3) for name, score in scores.items()}
        {'dice': 0.75, 'iou': 0.6}
    """
    check_undefined(undefined)
    wanted = [get_metric(name) for name in _names(metrics)]
    if _traced(reference, prediction):
        _check_not_relabelled(relabel)
        return _trace(wanted, reference, prediction, spacing, labels, ignore, valid, surface)
    case = make_case(
        reference=reference,
        prediction=prediction,
        spacing=spacing,
        labels=labels,
        ignore=ignore,
        valid=valid,
        surface=surface,
        relabel=relabel,
        probabilities=_of_probabilities(wanted),
    )
    case, known = measure(case, wanted)
    # Asked only if a metric has labels: of maps of objects they take long to list.
    as_mask = lambda: case.foreground or (labels is None and len(case.labels) < 2)
    return scores_of(wanted, known, case.voxel_volume, as_mask, undefined)


def scores_of(
    metrics: Iterable[Metric],
    known: Mapping[type, Any],
    voxel_volume: float,
    as_mask: Callable[[], bool],
    undefined: str,
) -> dict[str, Any]:
    """Scores by name from statistics by type; of a mask, one in place of one for each label."""
    scores = {}
    for m in metrics:
        score = np.asarray(m(known[m.statistic], voxel_volume=voxel_volume))
        if m.per == "label" and as_mask():
            score = score[0]
        scores[m.name] = resolve_undefined(score, m, undefined)[()]
    return scores


def _names(metrics: Iterable[str]) -> list[str]:
    return [metrics] if isinstance(metrics, str) else list(metrics)


def _of_probabilities(metrics: Iterable[Metric]) -> bool:
    return all(m.statistic is Calibration for m in metrics)


def measure(
    case: Case, metrics: Iterable[Metric], known: Mapping[type, Any] | None = None
) -> tuple[Case, dict[type, Any]]:
    """Build every statistic that the metrics need, once.

    Args:
        case: what to measure.
        metrics: what it is measured for.
        known: statistics by type that are there already.

    Returns:
        The case with the labels that its `Confusion` counts, and the statistics by type.
    """
    wanted = list(metrics)
    known = dict(known or {})
    whole = case
    masks = case.reference.dtype == np.bool_  # whose only label is known without counting
    by_label = {m.statistic for m in wanted if m.per == "label"}
    if any(m.statistic is Confusion or (m.per == "label" and not masks) for m in wanted):
        case, known[Confusion] = count_present(case)
    for kind in dict.fromkeys(m.statistic for m in wanted):  # a set would reorder
        if kind not in known:  # what is not by label is the same beside what is
            known[kind] = STATISTICS[kind](case if kind in by_label else whole)
    return case, known


def count_present(case: Case) -> tuple[Case, Confusion]:
    """Count labels; unless they were asked for, drop those that do not occur.

    At least one label is kept: an empty image has an empty mask.
    """
    counts = STATISTICS[Confusion](case)
    if case.wanted is not None:
        return case, counts
    there = (counts.reference_size > 0) | (counts.prediction_size > 0)
    there[0] |= not there.any()
    if there.all():
        return replace(case, wanted=tuple(case.labels)), counts
    labels = tuple(k for k, present in zip(case.labels, there, strict=True) if present)
    return replace(case, wanted=labels), jax.tree.map(lambda x: x[there], counts)


def evaluate_batch(
    *,
    references: Any,
    predictions: Any,
    metrics: Iterable[str] = DEFAULT_METRICS,
    spacing: Spacing = None,
    labels: Labels = None,
    ignore: int | None = None,
    surface: str = "voxel",
    relabel: bool = False,
    cases: Sequence[str] | None = None,
) -> Table:
    """Score many cases at once, in few compiled programs, over all devices of this host.

    Accelerators share the counting of masks and labels; where the device is the CPU itself, NumPy
    counts. All kinds of devices share the search for surface distances. The scores are those of
    one device.

    Args:
        references: label maps taken as the standard: an array with the cases along the first
            axis, or a list of maps, which may differ in shape.
        predictions: label maps to be judged, of the same shapes; or probabilities, as for
            `evaluate`.
        metrics: names or aliases.
        spacing: voxel size along each array axis of every case; default 1.
        labels: labels to score; None for those that occur in any case.
        ignore: label of the references whose voxels are not counted.
        surface: "voxel", "surfel" or "mesh", for boundary metrics; see `segjax.case.make_case`.
        relabel: take each connected piece of a label as an object of its own.
        cases: names; numbers by default.

    Returns:
        A `Table` with one row per case, label and metric.

    Raises:
        InputError: if the input cannot be scored.

    Example:
        >>> import numpy as np
        >>> references = np.eye(4, dtype=bool)[None].repeat(3, axis=0)
        >>> table = evaluate_batch(references=references, predictions=references, metrics=["dice"])
        >>> table.column("dice")
        array([1., 1., 1.])
    """
    wanted = [get_metric(name) for name in _names(metrics)]
    options = {
        "spacing": spacing,
        "labels": labels,
        "ignore": ignore,
        "surface": surface,
        "relabel": relabel,
        "probabilities": _of_probabilities(wanted),
    }
    if _differ_in_shape(references) or _differ_in_shape(predictions):
        parts, counts = _separate(references, predictions, **options)
    else:
        parts, counts = _stacked(references, predictions, **options)
    names = tuple(map(str, range(len(parts)))) if cases is None else tuple(cases)
    if len(names) != len(parts):
        raise InputError(f"{len(names)} names for {len(parts)} cases")
    others = [m for m in wanted if m.statistic is not Confusion]
    scores: dict[str, list[Any]] = {m.name: [] for m in others}
    objects: list[Contingency] = []
    few = max(1, min(_TOGETHER, _VOXELS // max(1, *(part.size for part in parts))))
    for start in range(0, len(parts), few) if others else ():
        block = parts[start : start + few]
        known = _measure_block(block, others)
        for m in others:
            scores[m.name].extend(_score_block(m, known[m.statistic], block[0].voxel_volume))
        if any(m.of_objects for m in others):
            objects.append(side_by_side(known[Contingency]))
    together = side_by_side(objects)
    return make_table(
        cases=names,
        labels=[Label(k, str(k)) for k in parts[0].labels],
        metrics=wanted,
        counts=counts,
        others={name: np.asarray(values, float) for name, values in scores.items()},
        voxel_volumes=np.array([part.voxel_volume for part in parts]),
        diagonals=np.array([diagonal(part.reference.shape, part.spacing) for part in parts]),
        objects={m.name: together for m in others if m.of_objects},
    )


def _differ_in_shape(maps: Any) -> bool:
    return isinstance(maps, list | tuple) and len({np.shape(x) for x in maps}) > 1


def _stacked(
    references: Any, predictions: Any, spacing: Spacing, **options: Any
) -> tuple[list[Case], Confusion]:
    """Cases of one shape, and their counts."""
    as_prediction = as_probabilities if options["probabilities"] else as_labels
    r, p = as_labels(references, "references"), as_prediction(predictions, "predictions")
    if r.shape != p.shape or r.ndim < 2 or not len(r):
        raise InputError(
            "references and predictions must have the same shape, cases first, got "
            f"{r.shape} and {p.shape}"
        )
    # Cases stay on the first axis: `make_case` turns Fortran order round.
    r, p = np.ascontiguousarray(r), np.ascontiguousarray(p)
    along = None if spacing is None else (1.0, *np.broadcast_to(spacing, r.ndim - 1))
    whole = make_case(reference=r, prediction=p, spacing=along, **options)
    if whole.wanted is None:
        masks = whole.reference.dtype == np.bool_
        whole = replace(whole, wanted=(1,)) if masks else count_present(whole)[0]
    return list(_parts(whole)), _count_stack(whole)


def _separate(
    references: Sequence[Any], predictions: Sequence[Any], spacing: Spacing, **options: Any
) -> tuple[list[Case], Confusion]:
    """Cases that differ in shape, and their counts."""
    if len(references) != len(predictions):
        raise InputError(f"{len(references)} references for {len(predictions)} predictions")
    if len({np.ndim(r) for r in references}) != 1:
        raise InputError("cases must all have as many axes; score 2-D and 3-D ones apart")
    as_prediction = as_probabilities if options["probabilities"] else as_labels
    parts = []
    for i, (r, p) in enumerate(zip(references, predictions, strict=True)):
        r, p = as_labels(r, f"references[{i}]"), as_prediction(p, f"predictions[{i}]")
        try:
            r, p = np.ascontiguousarray(r), np.ascontiguousarray(p)
            parts.append(make_case(reference=r, prediction=p, spacing=spacing, **options))
        except InputError as error:
            raise InputError(f"case {i}: {error}") from None
    labels = sorted({k for part in parts for k in count_present(part)[0].labels})
    parts = [replace(p, wanted=tuple(labels) if p.wanted is None else p.wanted) for p in parts]
    return parts, STACKED[Confusion](parts)


def _measure_block(block: list[Case], metrics: Sequence[Metric]) -> dict[type, Any]:
    """Statistics of a few cases by type: one with a case axis, or a list with one per case."""
    known = {kind: STACKED[kind](block) for kind in {m.statistic for m in metrics} & STACKED.keys()}
    alone = [m for m in metrics if m.statistic not in known]
    each = [measure(case, alone)[1] for case in block] if alone else []
    return known | {m.statistic: [one[m.statistic] for one in each] for m in alone}


def _score_block(metric: Metric, known: Any, volume: float) -> Any:
    """Scores of a few cases."""
    if isinstance(known, list):
        return [metric(one, voxel_volume=volume) for one in known]
    return metric(known, voxel_volume=volume)


def _parts(stack: Case) -> Iterator[Case]:
    for i, (r, p) in enumerate(zip(stack.reference, stack.prediction, strict=True)):
        valid = None if stack.valid is None else stack.valid[i]
        yield replace(stack, reference=r, prediction=p, valid=valid, spacing=stack.spacing[1:])


def _count_stack(stack: Case) -> Confusion:
    masks = stack.reference.dtype == stack.prediction.dtype == np.bool_
    if masks and stack.valid is None and stack.labels == (1,):
        counts = count_masks(reference=stack.reference, prediction=stack.prediction)
        return jax.tree.map(lambda x: x[:, None], counts)
    return STACKED[Confusion](list(_parts(stack)))


# Every metric as a function of arrays: segjax.dice(reference=r, prediction=p).


def as_function(name: str) -> Callable[..., Any]:
    """A metric as a pure function of two label maps, for `jit`, `vmap`, `grad` and sharding.

    The function takes `reference` and `prediction` by keyword, then `spacing`, `labels`,
    `ignore`, `valid`, `surface` and `relabel` as `evaluate` does, then the metric's own
    options. NumPy arrays give float64 scores; JAX arrays are scored where they are. While
    tracing, maps of several labels need `labels=`; floating-point JAX predictions are taken as
    probabilities of the foreground, and the score is then differentiable where the metric is.
    """
    metric = get_metric(name)

    def function(
        *,
        reference: Any,
        prediction: Any,
        spacing: Spacing = None,
        labels: Labels = None,
        ignore: int | None = None,
        valid: Any = None,
        surface: str = "voxel",
        relabel: bool = False,
        **options: Any,
    ) -> Any:
        wanted = metric.at(**options) if options else metric
        soft = _soft(prediction) and wanted.statistic is not Calibration
        if _traced(reference, prediction) or soft:
            _check_not_relabelled(relabel)
            scores = _trace(
                [wanted], reference, prediction, spacing, labels, ignore, valid, surface
            )
        else:
            scores = evaluate(
                reference=reference,
                prediction=prediction,
                metrics=[wanted.name],
                spacing=spacing,
                labels=labels,
                ignore=ignore,
                valid=valid,
                surface=surface,
                relabel=relabel,
            )
        return scores[wanted.name]

    function.__name__ = function.__qualname__ = metric.function.__name__
    function.__doc__ = inspect.getdoc(metric.function)
    return function


def _check_not_relabelled(relabel: bool) -> None:
    if relabel:
        raise InputError(
            "objects are not told apart while tracing; pass the maps of "
            "segjax.ops.components.components, and labels=range(1, n)"
        )


def _traced(*arrays: Any) -> bool:
    return any(isinstance(x, Tracer) for x in arrays)


def _soft(prediction: Any) -> bool:
    return isinstance(prediction, jax.Array) and jnp.issubdtype(prediction.dtype, jnp.floating)


def _trace(
    metrics: Sequence[Metric],
    reference: Any,
    prediction: Any,
    spacing: Spacing,
    labels: Labels,
    ignore: int | None,
    valid: Any,
    surface: str,
) -> dict[str, Any]:
    """Score arrays whose values are not known yet."""
    check_surface(surface)
    r, p = jnp.asarray(reference), jnp.asarray(prediction)
    check_same_grid(r, p)
    valid = None if valid is None else jnp.asarray(valid)
    wanted = None if labels is None or isinstance(labels, str) else check_labels(labels, ignore)
    if ignore is not None:
        kept = r != ignore
        valid = kept if valid is None else kept & valid
    kinds = dict.fromkeys(m.statistic for m in metrics)
    lengths = check_spacing(spacing, r.ndim)
    known = {
        kind: _traced_statistic(kind, r, p, labels, wanted, valid, lengths, surface)
        for kind in kinds
    }
    volume = math.prod(lengths)
    scores = {m.name: m(known[m.statistic], voxel_volume=volume) for m in metrics}
    if wanted is not None:
        return scores
    return {m.name: scores[m.name][0] if m.per == "label" else scores[m.name] for m in metrics}


def _traced_statistic(
    kind: Any,
    r: Any,
    p: Any,
    labels: Labels,
    wanted: tuple[int, ...] | None,
    valid: Any,
    spacing: tuple[float, ...],
    surface: str,
) -> Any:
    soft = jnp.issubdtype(p.dtype, jnp.floating)
    if kind is Calibration:
        mark = lambda x: x != 0 if wanted is None else jnp.isin(x, jnp.asarray(wanted))
        return calibration(reference=mark(r), probability=p if soft else mark(p), valid=valid)
    if soft:
        if kind is not Confusion or wanted is not None:
            raise InputError(
                "probabilities have metrics of overlap or calibration, of one foreground"
            )
        return soft_confusion(reference=r[..., None], probability=p[..., None], valid=valid)
    one_label = issubclass(kind, _OF_MASKS) and kind not in _OF_OBJECTS
    if issubclass(kind, BoundaryBands):
        of_masks = partial(boundary_bands, valid=valid, euclidean=kind is SurfaceBands)
    elif kind in (Skeletons, Topology):
        of_masks = partial(skeletons if kind is Skeletons else topology, valid=valid)
    else:
        elements = "solid" if kind is PointDistances else surface
        of_masks = partial(surface_distances, spacing=spacing, valid=valid, surface=elements)
    if kind in (Foreground, Scribbles):
        if kind is Scribbles:
            valid = r > 0 if valid is None else (r > 0) & valid
            r = r == 2
        c = confusion(reference=r != 0, prediction=p != 0, valid=valid)
        return kind(tp=c.tp, fp=c.fp, fn=c.fn, tn=c.tn)
    if wanted is None:
        if labels is None and not r.dtype == p.dtype == jnp.bool_:
            raise InputError(
                "the labels of a map are not known while tracing: pass labels=, or boolean masks"
            )
        if kind in _OF_OBJECTS and not r.dtype == p.dtype == jnp.bool_:
            raise InputError("the objects of a map are not known while tracing: pass labels=")
        r, p, wanted = r != 0, p != 0, (1,)
        if kind is Confusion:
            counts = confusion(reference=r, prediction=p, valid=valid)
            return jax.tree.map(lambda x: x[None], counts)
        if one_label:
            return jax.tree.map(lambda x: x[None], of_masks(reference=r, prediction=p))
    if r.dtype == jnp.bool_ or p.dtype == jnp.bool_:
        r, p = r.astype(jnp.int32), p.astype(jnp.int32)
    if one_label:
        of_label = lambda k: of_masks(reference=r == k, prediction=p == k)
        return jax.lax.map(of_label, jnp.asarray(wanted, jnp.int32))
    if kind is Confusion:
        return label_confusion(reference=r, prediction=p, labels=wanted, valid=valid)
    segments = tuple(k for k in wanted if k != 0)
    codes = {"reference": _codes(r, segments), "prediction": _codes(p, segments), "valid": valid}
    if kind is InstanceSurfaces:
        return instance_surfaces(**codes, number=len(segments), spacing=spacing, surface=surface)
    if kind in (ObjectDistances, Centroids):
        build = object_distances if kind is ObjectDistances else centroids
        return build(**codes, number=len(segments), spacing=spacing)
    rows = len(segments) + 1
    pairs = contingency(**codes, num_reference=rows, num_prediction=rows)
    return ConfusionMatrix(pairs.table) if kind is ConfusionMatrix else pairs


def _codes(x: Any, labels: tuple[int, ...]) -> Any:
    """Rank of each voxel's label among the sorted labels, from 1; 0 for all others."""
    if not labels:
        return jnp.zeros(x.shape, jnp.int32)
    order = np.argsort(labels)
    known = jnp.asarray(np.asarray(labels)[order], jnp.int32)
    place = jnp.clip(jnp.searchsorted(known, x.astype(jnp.int32)), 0, len(labels) - 1)
    return jnp.where(known[place] == x, jnp.asarray(order + 1)[place], 0)
