"""Predict how good a segmentation is, from the image and the segmentation alone."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from segjax._errors import InputError
from segjax.case import as_host
from segjax.metrics import get_metric
from segjax.quality.card import Card
from segjax.quality.conformal import Calibration, check_coverage
from segjax.quality.inputs import Checked, check
from segjax.quality.instances import ObjectScores, score_objects
from segjax.quality.outliers import flags_of, image_statistics, noise_of
from segjax.quality.preparing import Prepared, normalised, prepare
from segjax.quality.running import Patches, check_averaging, run
from segjax.quality.scaling import resize_image
from segjax.quality.tiling import cut, laid_over, padded, starts
from segjax.quality.weights import Assessor, available_weights, load_weights


OVERLAP = 1 / 6
ERRORS = ("false_negative", "false_positive")
_SHARE = 4.0  # of these maps, which are in quarters of a cell
_AT_ONCE = 256  # patches that are cut before they are run


class Score(NamedTuple):
    """A predicted score.

    Attributes:
        value: corrected by the mean residual of the calibration; NaN if nothing can be seen.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


class Tiles(NamedTuple):
    """What was predicted of each patch.

    Attributes:
        first: where it starts in the image, in pixels.
        extent: its size in the image, in pixels.
        scores: not corrected, in the order of the metrics.
        counts: objects the network sees, by which scores are weighted.
    """

    first: Float[np.ndarray, "tile axis"]
    extent: tuple[float, ...]
    scores: Float[np.ndarray, "tile metric"]
    counts: Float[np.ndarray, " tile"]


@dataclass(frozen=True, eq=False)
class Assessment:
    """How good a segmentation is, as far as the image tells.

    Attributes:
        scores: by metric, the first asked for first.
        raw: the same as the network gave them, not corrected, lengths in pixels of its own scale;
            NaN if nothing can be seen.
        coverage: of the intervals.
        flags: reasons not to trust the scores, in words; empty if there is none.
        objects: how many the network sees.
        segmented: how many the segmentation has.
        diameter: of the objects, in pixels, that the image was scaled by.
        diameter_from: "given", "labels", or "card".
        voxel: size of the image's voxels along each axis, in pixels of the network.
        weights: name of the network's weights.
        tiles: what was predicted of each patch; None where nothing was.
        per_object: scores of single objects, if asked for.
        error_map: if asked for, by "false_negative" and "false_positive", the share of pixels
            around each pixel that is missed, or spurious, on the grid of the image.
    """

    scores: Mapping[str, Score]
    raw: Mapping[str, float]
    coverage: float
    flags: tuple[str, ...]
    objects: float
    segmented: int
    diameter: float
    diameter_from: str
    voxel: tuple[float, ...]
    weights: str
    tiles: Tiles | None = None
    per_object: ObjectScores | None = None
    error_map: Mapping[str, Float[np.ndarray, "*space"]] | None = None

    @property
    def score(self) -> float:
        """The first score."""
        return next(iter(self.scores.values())).value

    @property
    def interval(self) -> tuple[float, float]:
        """Of the first score."""
        _, low, high = next(iter(self.scores.values()))
        return low, high


def assess(
    image: Any,
    labels: Any,
    metric: str | Iterable[str] = "SEG",
    *,
    weights: str | os.PathLike[str] | Assessor | None = None,
    diameter: float | None = None,
    spacing: Sequence[float] | float | None = None,
    channel: int | str | None = None,
    relabel: bool = False,
    calibration: Mapping[str, Calibration] | None = None,
    coverage: float = 0.9,
    averaging: int = 4,
    overlap: float = OVERLAP,
    per_object: bool = False,
    error_map: bool = False,
) -> Assessment:
    """Predict the score that a segmentation would get if the truth were known.

    The image is scaled so that objects have the size that the network knows, and cut into
    overlapping patches; the score is the mean over patches, each weighted by the objects that the
    network sees in it. An image without objects in the segmentation gets what the network says of
    it, and a flag; of a constant image nothing can be said, its scores are NaN.

    Intervals of the weights' own calibration hold for images as simulated for them. On other
    images they may hold less often than they say: calibrate on a few annotated ones (see
    `segjax.quality.assess_folder`), and mind the flags.

    Args:
        image: intensities in any range, of any size.
        labels: the segmentation, of the same shape: integers, 0 is background, or a mask, whose
            pieces are then its objects.
        metric: one or several of the network's outputs.
        weights: a name (see `segjax.quality.available_weights`), a file, or what
            `segjax.quality.load_weights` returned; None for those that suit the image's axes.
        diameter: of the objects in pixels; None to take the median of those segmented.
        spacing: of the voxels of a volume; None if its ratio is that of the network's.
        channel: of an image with colours, which one, or "mean".
        relabel: take each connected piece of a label as an object.
        calibration: by metric, in place of that of the weights.
        coverage: how often intervals are to hold the true score.
        averaging: mean over 1, 2, 4 or 8 flipped and turned views.
        overlap: least share of a patch that the next one covers too.
        per_object: also score single objects; two more patches each.
        error_map: also say where the segmentation is wrong.

    Raises:
        InputError: if the image cannot be assessed; it says why and what to do.
    """
    check_coverage(coverage)
    if not 0 <= overlap < 1:
        raise InputError(f"overlap must be at least 0 and below 1, got {overlap}")
    assessor = find_weights(weights, np.ndim(as_host(labels)))
    card = assessor.card
    check_averaging(averaging, card.patch)
    names = outputs_of(assessor, [metric] if isinstance(metric, str) else metric)
    if error_map and not set(ERRORS) <= set(assessor.network.maps):
        raise InputError(f"the weights {card.name} give no error map; do not ask for one")
    checked = check(image, labels, assessor.network.dims, channel=channel, relabel=relabel)
    prepared = prepare(checked, card, diameter=diameter, spacing=spacing)
    blank = Assessment(
        scores={name: Score(math.nan, *bounds(name)) for name in names},
        raw=dict.fromkeys(names, math.nan),
        coverage=coverage,
        flags=(*_plain_flags(checked), *prepared.flags),
        objects=0.0,
        segmented=len(checked.names),
        diameter=prepared.diameter,
        diameter_from=prepared.diameter_from,
        voxel=tuple(f * s for f, s in zip(prepared.factors, card.spacing, strict=True)),
        weights=card.name,
    )
    if checked.constant:
        return blank
    seen = _seen(prepared.image, card)
    labelled = padded(prepared.labels, card.patch)
    first = starts(seen.shape, card.patch, overlap)
    patches = _over_tiles(assessor, seen, labelled, first, averaging)
    places = [assessor.network.outputs.index(name) for name in names]
    scores = patches.scores[:, places]
    count = float(patches.counts.mean() * prepared.image.size / math.prod(card.patch))
    means = weighted(scores, patches.counts).tolist()
    by = np.array(prepared.factors)
    extent = tuple((np.array(card.patch) / by).tolist())
    objects = errors = None
    if per_object:
        objects = score_objects(assessor, seen, labelled, checked.names, names, prepared.factors)
    if error_map:
        laid = _error_map(assessor, first, patches, seen.shape)
        inside = tuple(slice(0, n) for n in prepared.image.shape)
        errors = {k: resize_image(x[inside], checked.image.shape) for k, x in laid.items()}
    assessment = replace(
        blank,
        raw=dict(zip(names, means, strict=True)),
        flags=(*blank.flags, *_unusual(assessor, checked, prepared, patches)),
        objects=count,
        tiles=Tiles(first / by, extent, scores, patches.counts),
        per_object=objects,
        error_map=errors,
    )
    return calibrated(assessment, assessor.calibrations if calibration is None else calibration)


def calibrated(assessment: Assessment, calibrations: Mapping[str, Calibration]) -> Assessment:
    """Correct raw scores and give them intervals.

    Args:
        assessment: of an image.
        calibrations: by metric; without one, scores stay and the interval is all there can be.
    """
    scores = {
        name: _score(name, raw, assessment, calibrations.get(name))
        for name, raw in assessment.raw.items()
    }
    return replace(assessment, scores=scores)


def find_weights(weights: str | os.PathLike[str] | Assessor | None, dims: int) -> Assessor:
    """The weights that are meant; of none, those that suit images of so many axes."""
    if isinstance(weights, Assessor):
        return weights
    if weights is not None:
        return load_weights(weights)
    name = f"nuclei-{dims}d"
    if name not in available_weights():
        have = ", ".join(available_weights()) or "none"
        raise InputError(
            f"no weights for {dims} axes come with segjax (there are: {have}); train some by "
            "segjax train, and give the file as weights (--weights)"
        )
    return load_weights(name)


def outputs_of(assessor: Assessor, metrics: Iterable[str]) -> tuple[str, ...]:
    """The outputs of a network that some names of metrics mean.

    Raises:
        InputError: if the network does not predict one of them.
    """
    outputs = assessor.network.outputs
    by_metric = {get_metric(name).name: name for name in outputs}
    found = []
    for metric in metrics:
        same = [name for name in outputs if name.casefold() == metric.casefold()]
        try:
            same = same or [by_metric[get_metric(metric).name]]
        except (KeyError, InputError):
            raise InputError(
                f"{metric!r} is not among what the weights {assessor.card.name} predict: "
                f"{', '.join(outputs)}; choose one of these, or other weights"
            ) from None
        found += same
    if not found:
        raise InputError(f"no metric is asked for; the weights predict {', '.join(outputs)}")
    return tuple(dict.fromkeys(found))


def weighted(
    scores: Float[np.ndarray, "patch metric"], counts: Float[np.ndarray, " patch"]
) -> Float[np.ndarray, " metric"]:
    """Means over patches, weighted by objects; where there is hardly any, plain means."""
    if counts.sum() < 0.5:
        return scores.mean(0)
    return counts @ scores / counts.sum()


def bounds(metric: str) -> tuple[float, float]:
    """The lowest and the highest score there can be."""
    known = get_metric(metric)
    ends = [math.nan if e is None else e for e in (known.best, known.worst)]
    return min(ends), max(ends)


def _seen(image: np.ndarray, card: Card) -> np.ndarray:
    """The image as the network sees it, along no axis smaller than a patch."""
    if card.normalised == "image":
        image = normalised(image, card.percentiles)
    return padded(image, card.patch)


def _over_tiles(
    assessor: Assessor,
    image: np.ndarray,
    labels: np.ndarray,
    first: Int[np.ndarray, "tile axis"],
    averaging: int,
) -> Patches:
    """What the network says of all patches; few of them are cut at once."""
    patch, found = assessor.card.patch, []
    for i in range(0, len(first), _AT_ONCE):
        some = first[i : i + _AT_ONCE]
        both = cut(image, some, patch), cut(labels, some, patch)
        found.append(run(assessor, *both, averaging=averaging))
    return Patches(*(np.concatenate(x) for x in zip(*found, strict=True)))


def _unusual(
    assessor: Assessor, checked: Checked, prepared: Prepared, patches: Patches
) -> list[str]:
    if assessor.usual is None:
        return []
    # Interpolation hides noise from its measure, but takes away only what it averages.
    shrunk = math.prod(min(f, 1.0) for f in prepared.factors)
    noise = noise_of(checked.image) * math.sqrt(shrunk)
    facts = image_statistics(prepared.image, prepared.labels, noise)
    return flags_of(assessor.usual, patches.features, facts)


def _plain_flags(checked: Checked) -> list[str]:
    flags = []
    if checked.constant:
        flags.append("constant image")
    if not len(checked.names):
        flags.append("no objects")
    elif checked.pieces > 1:
        flags.append(f"one label in {checked.pieces} pieces: relabel if it is a mask")
    return flags


def _error_map(
    assessor: Assessor,
    first: Int[np.ndarray, "tile axis"],
    patches: Patches,
    shape: Sequence[int],
) -> dict[str, Float[np.ndarray, "*space"]]:
    """Shares of pixels in error, at the scale of the network."""
    found = {}
    for name in ERRORS:
        cells = patches.maps[..., assessor.network.maps.index(name)] / _SHARE
        found[name] = np.clip(laid_over(cells, first, assessor.card.patch, shape), 0.0, 1.0)
    return found


def _score(name: str, raw: float, assessment: Assessment, calibration: Calibration | None) -> Score:
    """In the metric's range; lengths in pixels of the image."""
    low, high = bounds(name)
    if math.isnan(raw):
        return Score(raw, low, high)
    found = (raw, low, high)
    if calibration is not None:
        found = calibration.interval(raw, assessment.objects, assessment.coverage)
    pixels = assessment.voxel[-1] if get_metric(name).unit == "length" else 1.0
    return Score(*(np.clip(found, low, high) / pixels).tolist())
