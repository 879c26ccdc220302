"""Calibration on a few images whose truth is known."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax.case import check_same_grid
from segjax.evaluation import evaluate
from segjax.quality.conformal import Calibration, recalibrate
from segjax.quality.predict import Assessment
from segjax.simulation.targets import METRICS_OF_TARGETS


class Calibrated(NamedTuple):
    """Calibrations from annotated images.

    Attributes:
        by_metric: for each metric with a true score on some image.
        cases: the annotated ones.
        notes: what they allow, in words.
    """

    by_metric: Mapping[str, Calibration]
    cases: tuple[str, ...]
    notes: tuple[str, ...]


def annotated(truth: Path, labels: Mapping[str, Path]) -> dict[str, Path]:
    """The truth of each case that has one.

    Args:
        truth: folder of label maps.
        labels: the segmentation of each case.
    """
    found = {_segmented(pair): pair.reference for pair in _pairs(truth, labels)}
    by_path = {path.resolve(): case for case, path in labels.items()}
    known = {by_path[p]: t for p, t in found.items() if p in by_path}
    if not known:
        raise InputError(
            f"{truth}: holds the truth of none of the assessed images; give its files the names "
            "of the label maps"
        )
    return known


def calibrate_on(
    known: Mapping[str, Path],
    labels: Mapping[str, Path],
    assessments: Mapping[str, Assessment],
    base: Mapping[str, Calibration],
) -> Calibrated:
    """Learn from annotated images how far predictions are off, image by image.

    Args:
        known: truth by case.
        labels: segmentation by case.
        assessments: by case, not calibrated.
        base: calibrations by metric, for how the spread depends on the number of objects.
    """
    metrics = tuple(next(iter(assessments.values())).raw)
    coverage = next(iter(assessments.values())).coverage
    true = {case: _true_scores(t, labels[case], assessments[case]) for case, t in known.items()}
    by_metric = {}
    for metric in metrics:
        pairs = [
            (assessments[case].raw[metric], scores[metric], assessments[case].objects)
            for case, scores in true.items()
        ]
        sound = np.array([p for p in pairs if np.isfinite(p).all()]).reshape(-1, 3)
        if len(sound):
            spread = base.get(metric, _flat())
            by_metric[metric] = recalibrate(*sound.T, base=spread)
    if not by_metric:
        raise InputError("none of the annotated images has a true score; annotate others")
    return Calibrated(by_metric, tuple(known), tuple(_notes(by_metric, coverage)))


def _pairs(truth: Path, labels: Mapping[str, Path]) -> Sequence[io.Pair]:
    first = next(iter(labels.values()))
    return io.pair(truth, first.parent if truth.is_dir() else first).pairs


def _segmented(pair: io.Pair) -> Path:
    if pair.slice is not None or pair.prediction is None:
        raise InputError(
            f"{pair.reference}: annotates a plane, or an image without a label map; calibrate on "
            "images that are annotated as a whole"
        )
    return pair.prediction.resolve()


def _true_scores(truth: Path, labels: Path, assessment: Assessment) -> dict[str, float]:
    r, p = io.read_labels(truth).array, io.read_labels(labels).array
    try:
        check_same_grid(r, p)
    except InputError as error:
        raise InputError(f"{truth}: {error}") from None
    return {m: true_score(r, p, m, assessment.voxel) for m in assessment.raw}


def true_score(
    reference: np.ndarray, labels: np.ndarray, metric: str, voxel: tuple[float, ...]
) -> float:
    """What a network's output stands for, where the truth is known.

    Args:
        reference: the truth.
        labels: the segmentation.
        metric: name of the output, one of `segjax.simulation.targets.TARGETS`.
        voxel: size of a voxel in pixels of the network, in which lengths are.
    """
    found = evaluate(
        reference=reference,
        prediction=labels,
        metrics=(METRICS_OF_TARGETS[metric],),
        labels="foreground",
        spacing=voxel,
    )
    return float(next(iter(found.values())))


def _flat() -> Calibration:
    return Calibration(np.zeros(1), np.ones(1), 1.0, 0.0)


def _notes(calibrations: Mapping[str, Calibration], coverage: float) -> list[str]:
    notes = []
    for metric, c in calibrations.items():
        n = c.residuals.size
        said = f"{metric}: calibrated on {n} annotated {'image' if n == 1 else 'images'}, which "
        said += f"corrects predictions by {c.bias:+.3f}"
        if c.attainable < coverage - 1e-9:
            needed = math.ceil(coverage / (1 - coverage) - 1e-9)
            said += (
                f"; {n} are too few for intervals of {100 * coverage:g} % (at most "
                f"{100 * c.attainable:.0f} %), so that these are as wide as the metric: annotate "
                f"{needed} or more"
            )
        notes.append(said)
    return notes
