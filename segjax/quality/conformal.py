"""Intervals for predicted scores that hold as often as they say, by conformal prediction.

What a network is off by on images with known truth (its residuals) says by how much it may be off
on the next one: if that is exchangeable with those, an interval of coverage 0.9 holds the true
score of at least 9 in 10 images, whatever the network is worth. Residuals are first divided by a
spread that shrinks with the number of objects, since a score is a mean over them.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import nnls

from segjax._errors import InputError


class Interval(NamedTuple):
    """A corrected prediction and the ends of its interval; infinite where nothing is known."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Residuals with which predictions are corrected and intervals made; build by `calibrate`.

    Attributes:
        residuals: true minus predicted score, one per image.
        counts: objects in each image.
        constant: part of the variance that does not depend on the number of objects.
        per_object: part of the variance that is divided by it.
    """

    residuals: Float[np.ndarray, " image"]
    counts: Float[np.ndarray, " image"]
    constant: float
    per_object: float

    @property
    def bias(self) -> float:
        """What predictions are corrected by: the mean residual."""
        return float(self.residuals.mean())

    @property
    def attainable(self) -> float:
        """The largest coverage at which intervals are finite."""
        return self.residuals.size / (self.residuals.size + 1)

    def spread(self, counts: float | Float[np.ndarray, " image"]) -> Float[np.ndarray, "..."]:
        """The scale of residuals of images with so many objects."""
        return np.asarray(np.sqrt(self.constant + self.per_object / np.maximum(counts, 1.0)))

    def interval(self, predicted: float, count: float, coverage: float = 0.9) -> Interval:
        """Correct a prediction and put an interval around it.

        Full conformal prediction with the score |residual - mean residual| / spread, the mean
        being over the calibration images and the new one. The images may be as few as
        coverage / (1 - coverage); with fewer the ends are infinite.

        Args:
            predicted: score of the new image, as predicted.
            count: objects in it.
            coverage: how often the interval is to hold the true score.

        References:
            Vovk, V., Gammerman, A. & Shafer, G. (2005). Algorithmic learning in a random world.
            Lei, J. et al. (2018). Distribution-free predictive inference for regression. JASA
            113(523), 1094-1111. doi:10.1080/01621459.2017.1307116
        """
        check_coverage(coverage)
        allowed = math.floor((1 - coverage) * (self.residuals.size + 1) + 1e-9)
        value = predicted + self.bias
        if allowed == 0:
            return Interval(value, -math.inf, math.inf)
        scale = float(self.spread(count))
        scales = self.spread(self.counts)
        high = _farthest(self.residuals, scales, scale, allowed)
        low = -_farthest(-self.residuals, scales, scale, allowed)
        return Interval(value, predicted + low, predicted + high)


def _farthest(
    residuals: Float[np.ndarray, " image"],
    scales: Float[np.ndarray, " image"],
    scale: float,
    allowed: int,
) -> float:
    """The largest residual that at least `allowed` of the known ones are not less odd than.

    With z the new residual, m = (sum + z) / (n + 1) the mean and s a spread, the new score
    |z - m| / s passes |r - m| / s_r at one of two places, where these lines cross.
    """
    n, total = residuals.size, residuals.sum()
    apart = ((n + 1) * residuals - total) / scales
    falling = (total / scale + apart) / (n / scale + 1 / scales)
    slope = n / scale - 1 / scales
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.where(slope > 0, (total / scale - apart) / slope, np.inf)
    passed = np.maximum(falling, rising)
    return float(np.partition(passed, n - allowed)[n - allowed])


def calibrate(
    predicted: Float[np.ndarray, " image"],
    true: Float[np.ndarray, " image"],
    counts: Float[np.ndarray, " image"],
) -> Calibration:
    """Learn from many images with known truth how far predictions are off.

    Every second image fits how the spread depends on the number of objects, the others are kept
    as residuals, so that both are independent.

    Args:
        predicted: scores, in an order without meaning.
        true: scores.
        counts: objects, as they will be counted where the truth is not known.
    """
    residuals = _residuals(predicted, true, counts)
    if residuals.size < 4:
        raise InputError(f"{residuals.size} images are too few to calibrate; give 4 or more")
    fitted = residuals[::2] - residuals[::2].mean()
    terms = np.stack([np.ones(fitted.size), 1 / np.maximum(counts[::2], 1.0)], 1)
    (constant, per_object), _ = nnls(terms, fitted**2)
    if constant + per_object == 0:
        constant = 1.0  # no residual at all: any scale will do
    return Calibration(
        residuals[1::2], np.asarray(counts[1::2], float), float(constant), float(per_object)
    )


def recalibrate(
    predicted: Float[np.ndarray, " image"],
    true: Float[np.ndarray, " image"],
    counts: Float[np.ndarray, " image"],
    *,
    base: Calibration,
    groups: Int[np.ndarray, " image"] | None = None,
) -> Calibration:
    """Calibrate on few annotated images of one's own, in place of simulated ones.

    Args:
        predicted: scores.
        true: scores.
        counts: objects.
        base: where the spread is taken from.
        groups: number of the image that each belongs to, where several are parts of one: parts
            of an image are alike, so that its mean residual counts once. Default: none are.
    """
    residuals = _residuals(predicted, true, counts)
    counts = np.asarray(counts, float)
    if groups is not None:
        _, number, parts = np.unique(groups, return_inverse=True, return_counts=True)
        residuals = np.bincount(number, residuals) / parts
        counts = np.bincount(number, counts)
    return Calibration(residuals, counts, base.constant, base.per_object)


def check_coverage(coverage: float) -> None:
    """Raise `InputError` unless it is between 0 and 1."""
    if not 0 < coverage < 1:
        raise InputError(f"coverage must be between 0 and 1, e.g. 0.9; got {coverage}")


def _residuals(
    predicted: np.ndarray, true: np.ndarray, counts: np.ndarray
) -> Float[np.ndarray, " image"]:
    residuals = np.asarray(true, float) - np.asarray(predicted, float)
    if not np.isfinite(residuals).all() or not np.isfinite(counts).all() or not residuals.size:
        raise InputError("calibration takes finite scores, of at least one image")
    return residuals
