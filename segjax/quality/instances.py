"""What each object of a segmentation is worth: a heuristic, by leaving one out at a time.

In a patch around an object the score is predicted twice, with the object and without it. Where
the prediction falls, the object is right; where it hardly moves or rises, the object is spurious,
or badly outlined, or a part of one. No interval goes with it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from segjax._errors import InputError
from segjax.quality.running import run
from segjax.quality.scaling import diameters
from segjax.quality.weights import Assessor


MOST = 10_000
_AT_ONCE = 64


class ObjectScores(NamedTuple):
    """Scores of single objects.

    Attributes:
        labels: in the segmentation.
        centres: in pixels of the image.
        diameters: in pixels of the last axis.
        metrics: names, the last axis of the scores.
        around: predicted score of the patch around each object.
        drops: by how much it falls without the object.
    """

    labels: np.ndarray
    centres: Float[np.ndarray, "object axis"]
    diameters: Float[np.ndarray, " object"]
    metrics: tuple[str, ...]
    around: Float[np.ndarray, "object metric"]
    drops: Float[np.ndarray, "object metric"]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what `rows` gives."""
        axes = ("z", "y", "x")[-self.centres.shape[1] :]
        return (
            "label",
            *axes,
            "diameter",
            *(f"predicted {m} around" for m in self.metrics),
            *(f"drop of {m} without" for m in self.metrics),
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """One line per object, in the order of labels."""
        numbers = (self.centres, self.diameters[:, None], self.around, self.drops)
        for label, *values in zip(self.labels.tolist(), *numbers, strict=True):
            yield (label, *(round(float(x), 4) for part in values for x in part))


def score_objects(
    assessor: Assessor,
    image: Float[np.ndarray, "*space"],
    labels: np.ndarray,
    names: np.ndarray,
    metrics: Sequence[str],
    factors: Sequence[float],
) -> ObjectScores:
    """Score each object of a segmentation.

    Args:
        assessor: the network.
        image: as the network sees it, along no axis smaller than its patch.
        labels: numbered from 1; those that scaling has lost have a score of NaN.
        names: label of each object in the segmentation that was given.
        metrics: outputs of the network.
        factors: by how much each axis was enlarged.

    Raises:
        InputError: if there are more than 10,000 objects.
    """
    if len(names) > MOST:
        raise InputError(
            f"{len(names)} objects are too many to be scored one by one (at most {MOST}); crop "
            "the image, or leave out per_object"
        )
    patch, by = assessor.card.patch, np.array(factors)
    boxes = ndimage.find_objects(labels, max_label=len(names))
    places = [assessor.network.outputs.index(m) for m in metrics]
    centres = np.full((len(names), labels.ndim), np.nan)
    around, drops = np.full((2, len(names), len(metrics)), np.nan)
    there = [k for k, box in enumerate(boxes) if box is not None]
    for i in range(0, len(there), _AT_ONCE):
        some = there[i : i + _AT_ONCE]
        windows, seen, whole = [], [], []
        for k in some:
            centres[k] = [(s.start + s.stop - 1) / 2 for s in boxes[k]]
            windows.append(_window(centres[k], patch, labels.shape))
            seen.append(image[windows[-1]])
            whole.append(labels[windows[-1]])
        without = [np.where(w == k + 1, 0, w) for k, w in zip(some, whole, strict=True)]
        said = run(assessor, np.stack([*seen, *seen]), np.stack([*whole, *without]))
        kept, left = said.scores[:, places].reshape(2, len(some), -1)
        around[some], drops[some] = kept, kept - left
    scale = float(by[-1])
    sizes = np.zeros(len(names))
    found = diameters(labels)
    sizes[: len(found)] = found / scale
    return ObjectScores(names, (centres + 0.5) / by - 0.5, sizes, tuple(metrics), around, drops)


def _window(
    centre: Float[np.ndarray, " axis"], patch: Sequence[int], shape: Sequence[int]
) -> tuple[slice, ...]:
    """The patch around a place that lies within the image."""
    around = zip(centre, patch, shape, strict=True)
    first = [min(max(0, round(c - p / 2)), n - p) for c, p, n in around]
    return tuple(slice(a, a + p) for a, p in zip(first, patch, strict=True))
