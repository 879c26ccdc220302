"""Flags for images unlike those a network was trained on, where its word is worth less.

Two simple signs. The distance (Mahalanobis, with a covariance shrunk to a few directions) of the
network's pooled features from those of the images it was calibrated on; and plain statistics of
the image and its objects that lie outside what it has seen.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from segjax.quality.scaling import diameters


DIRECTIONS = 32
STATISTICS = ("contrast_to_noise", "diameter", "saturated")
_QUANTILE = 0.99
# Of each statistic, the share of usual images on either side that is called unusual. Dim images
# are flagged sooner: where the truth cannot be seen, nothing tells the network that it errs.
_TAILS = {"contrast_to_noise": 0.02, "diameter": 0.005, "saturated": 0.005}
_SMOOTH = 5  # pixels over which contrast is seen
# Of each statistic, what to say where it is too low and too high; nothing where that is harmless.
_WORDS = {
    "contrast_to_noise": ("very dim: the prediction is over-confident", ""),
    "diameter": ("objects too small for the network", "objects too large for the network"),
    "saturated": ("", "saturated"),
}


@dataclass(frozen=True, eq=False)
class Usual:
    """What is usual; build by `learn_usual`.

    Attributes:
        mean: of the features.
        axes: directions in which they vary, each divided by its standard deviation.
        rest: variance along each of the other directions.
        threshold: the 99 % quantile of the distances.
        ranges: lowest and highest usual value of each of `STATISTICS`.
    """

    mean: Float[np.ndarray, " feature"]
    axes: Float[np.ndarray, "feature direction"]
    rest: float
    threshold: float
    ranges: Mapping[str, tuple[float, float]]

    def distance(self, features: Float[np.ndarray, "patch feature"]) -> Float[np.ndarray, " patch"]:
        """How far features are from usual, in standard deviations."""
        return _distance(features - self.mean, self.axes, self.rest)


def learn_usual(
    features: Float[np.ndarray, "patch feature"], statistics: Mapping[str, np.ndarray]
) -> Usual:
    """Learn from patches what is usual.

    Every second patch gives the mean and the directions, the others the threshold: distances of
    those that were fitted would be too short.

    Args:
        features: pooled features of the network, of patches in an order without meaning.
        statistics: of `image_statistics`, by name, one per patch; NaN where there is none.
    """
    fitted, held = features[::2].astype(float), features[1::2].astype(float)
    mean = fitted.mean(0)
    _, sizes, directions = np.linalg.svd(fitted - mean, full_matrices=False)
    variances = sizes**2 / max(1, len(fitted) - 1)
    count = min(DIRECTIONS, max(1, len(variances) // 2))
    beyond = features.shape[1] - count
    rest = max(float(variances[count:].sum()) / max(1, beyond), 1e-6 * float(variances[0]), 1e-12)
    axes = directions[:count].T / np.sqrt(np.maximum(variances[:count], rest))
    distances = _distance(held - mean, axes, rest)
    ranges = {}
    for name, values in statistics.items():
        ends = np.nanquantile(values, (_TAILS[name], 1 - _TAILS[name]))
        ranges[name] = (float(ends[0]), float(ends[1]))
    return Usual(
        mean.astype(np.float32),
        axes.astype(np.float32),
        rest,
        float(np.quantile(distances, _QUANTILE)),
        ranges,
    )


def _distance(centred: np.ndarray, axes: np.ndarray, rest: float) -> Float[np.ndarray, " patch"]:
    along = centred @ axes
    scale = np.linalg.norm(axes, axis=0)
    beyond = np.maximum((centred**2).sum(-1) - ((along / scale) ** 2).sum(-1), 0)
    return np.sqrt((along**2).sum(-1) + beyond / rest)


def image_statistics(
    image: np.ndarray, labels: np.ndarray, noise: float | None = None
) -> dict[str, float]:
    """Plain facts about an image and its objects, at the scale of the network.

    Args:
        image: intensities in any range.
        labels: numbered from 1 without gaps.
        noise: its standard deviation, if the image was scaled, which hides it; None to measure.

    Returns:
        "contrast_to_noise": from the 5th to the 98th percentile of means over 5 x 5 pixels, over
        the standard deviation of the noise (pure noise has 0.7); "diameter": median of the objects
        in pixels, NaN where there is none; "saturated": share of pixels at the highest value.
    """
    seen = ndimage.uniform_filter(np.asarray(image, np.float32), _SMOOTH, axes=(-2, -1))
    low, high = np.percentile(seen[..., ::2, ::2], (5, 98))
    noise = noise_of(image) if noise is None else noise
    found = diameters(labels)
    found = found[found > 0]  # scaling may lose specks
    return {
        "contrast_to_noise": float(min((high - low) / max(noise, 1e-6 * (high - low), 1e-30), 1e4)),
        "diameter": float(np.median(found)) if found.size else math.nan,
        "saturated": float((image == image.max()).mean()),
    }


def noise_of(image: np.ndarray) -> float:
    """Standard deviation of the noise, from what a smooth image would not have.

    The median size of mixed second differences in each plane, which edges hardly change.

    References:
        Immerkaer, J. (1996). Fast noise variance estimation. CVIU 64(2), 300-302.
        doi:10.1006/cviu.1996.0060
    """
    if min(image.shape[-2:]) < 3:
        return 0.0
    image = np.asarray(image, np.float32)
    rows = image[..., :-2, :] - 2 * image[..., 1:-1, :] + image[..., 2:, :]
    both = rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:]
    return float(np.median(np.abs(both))) / 0.6745 / 6.0


def flags_of(usual: Usual, features: np.ndarray, statistics: Mapping[str, float]) -> list[str]:
    """What is unusual about an image, in words.

    Args:
        usual: what is not.
        features: of all its patches.
        statistics: of the image.
    """
    flags = []
    if np.median(usual.distance(features)) > usual.threshold:
        flags.append("unlike the training images")
    for name, (below, above) in _WORDS.items():
        low, high = usual.ranges.get(name, (-math.inf, math.inf))
        value = statistics.get(name, math.nan)
        if value < low and below:
            flags.append(below)
        elif value > high and above:
            flags.append(above)
    return flags
