"""From a trained network to an assessor: what its predictions are worth on held-out images."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from segjax.quality.conformal import Calibration, calibrate
from segjax.quality.outliers import STATISTICS, image_statistics, learn_usual
from segjax.quality.running import run
from segjax.quality.weights import Assessor


_FEWEST = 20  # scored patches that a calibration takes


class HeldOut(NamedTuple):
    """Patches that no weight was learned from, at the scale of the network.

    Attributes:
        images: normalised as the network sees them, or as they are if its card says that
            patches are normalised one by one.
        labels: segmentations of them, not numbered in any way; 0 is background.
        scores: true scores, by output of the network.
        counted: whether each is defined.
    """

    images: Float[np.ndarray, "patch *space"]
    labels: Int[np.ndarray, "patch *space"]
    scores: Float[np.ndarray, "patch output"]
    counted: Bool[np.ndarray, "patch output"]


def finish(assessor: Assessor, batches: Iterable[HeldOut], *, averaging: int = 1) -> Assessor:
    """Calibrate a network's scores, and learn what its images look like.

    Args:
        assessor: of trained weights.
        batches: held-out patches, 1,000 or more, in an order without meaning.
        averaging: as it will be assessed with; fewer views give wider intervals.
    """
    said, facts, true, counted = [], [], [], []
    for batch in batches:
        said.append(run(assessor, batch.images, batch.labels, averaging=averaging))
        facts += [image_statistics(i, s) for i, s in zip(batch.images, batch.labels, strict=True)]
        true.append(batch.scores)
        counted.append(batch.counted)
    scores, _, features, counts = (np.concatenate(x) for x in zip(*said, strict=True))
    statistics = {name: np.array([f[name] for f in facts]) for name in STATISTICS}
    calibrations = _calibrations(
        assessor.network.outputs, scores, np.concatenate(true), np.concatenate(counted), counts
    )
    return replace(assessor, calibrations=calibrations, usual=learn_usual(features, statistics))


def _calibrations(
    outputs: tuple[str, ...],
    predicted: np.ndarray,
    true: np.ndarray,
    counted: np.ndarray,
    counts: np.ndarray,
) -> Mapping[str, Calibration]:
    """Of each output with enough scores; clipping to the metric's range comes after."""
    return {
        name: calibrate(predicted[known, i], true[known, i], counts[known])
        for i, name in enumerate(outputs)
        if (known := counted[:, i]).sum() >= _FEWEST
    }
