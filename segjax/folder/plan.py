"""What to score, and how: the options of a run, and what the files add to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax._version import __version__
from segjax.case import Labels, Spacing, distinct
from segjax.evaluation import DEFAULT_METRICS
from segjax.folder.regions import Region, make_regions
from segjax.leaderboard.intervals import REPLICATES
from segjax.metrics import Metric, get_metric, length_unit
from segjax.statistics import InstanceSurfaces
from segjax.tiles.grid import make_grid


# For maps of objects, whose labels are only numbers.
OBJECT_METRICS = ("seg", "pq", "f1", "splits", "merges", "dice")
# For those of the Cell Tracking Challenge, and what of them is judged by markers if there are any.
TRACKING_METRICS = ("seg", "det", "pq", "f1", "dice")
DETECTION_METRICS = ("det", "ctc_ns", "ctc_fn", "ctc_fp")
MANY_LABELS = 32  # more labels than this in one image are objects, not classes


@dataclass(frozen=True, kw_only=True)
class Options:
    """What decides the scores; a run is resumed only with the same ones.

    Attributes:
        metrics: names; None for a choice that suits what the folders hold.
        also: names of metrics to score beside those.
        labels: labels to score; "foreground" for all that is not background together;
            None for those that occur, unless the images hold objects.
        label_names: what the labels are called; a label that is not listed is an error.
        regions: labels to score as one, by the name of the region; in addition to `labels`.
        spacing: voxel size along each array axis, in place of what the files say.
        ignore: label of the references whose voxels are not counted.
        surface: "voxel", "surfel" or "mesh", for boundary metrics; see `segjax.case.make_case`.
        missing_as_empty: count references without a prediction as if that were empty.
        relabel: take each connected piece of a label as an object of its own.
        undefined: policy for 0/0; see `Table.resolved`.
        missing: policy for empty predictions; see `Table.resolved`.
        replicates: of the bootstrap.
        seed: of the bootstrap.
        allow_spacing_mismatch: score files whose headers disagree about the grid.
        max_voxels: refuse larger files; of those read in tiles, only what is beyond belief.
        tile: read images in tiles of so many voxels along each axis, or along all axes; None to
            do so with large ones, in tiles that suit them.
    """

    metrics: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    labels: Labels = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    regions: Mapping[str, Sequence[int]] = field(default_factory=dict)
    spacing: Sequence[float] | float | None = None
    ignore: int | None = None
    surface: str = "voxel"
    relabel: bool = False
    missing_as_empty: bool = False
    undefined: str = "omit"
    missing: str = "diagonal"
    replicates: int = REPLICATES
    seed: int = 0
    allow_spacing_mismatch: bool = False
    max_voxels: int = io.MAX_VOXELS
    tile: Sequence[int] | int | None = None

    def spacing_of(self, reference: io.Volume) -> Spacing:
        """What was asked for, else what the file of the reference says."""
        return reference.spacing if self.spacing is None else self.spacing


@dataclass(frozen=True)
class Plan:
    """Options, with what depends on the files filled in.

    `objects` says that labels are objects: each is told what becomes of it. `labels` are those
    that have scores of their own, `regions` those that have them together.
    """

    options: Options
    metrics: tuple[Metric, ...]
    labels: Labels
    ignore: int | None
    names: Mapping[int, str]
    notes: list[str]
    objects: bool
    markers: bool = False
    regions: tuple[Region, ...] = ()

    @property
    def counted(self) -> Labels:
        """Labels of a case: those to score or, if there are regions alone, their parts."""
        if self.labels != ():
            return self.labels
        return tuple(self.listed)

    @property
    def listed(self) -> list[int]:
        """Labels that may occur where labels have names, beside background and ignored ones."""
        return sorted({*self.names, *(k for region in self.regions for k in region.labels)})

    @property
    def by_markers(self) -> tuple[Metric, ...]:
        """The metrics that are judged by markers, where there are such beside outlines."""
        return tuple(m for m in self.metrics if self.markers and _of_detection(m))

    @property
    def by_outlines(self) -> tuple[Metric, ...]:
        """The other metrics."""
        return tuple(m for m in self.metrics if m not in self.by_markers)

    @property
    def fingerprint(self) -> dict[str, Any]:
        o = self.options
        labels = self.labels
        return {
            "segjax": __version__,
            "metrics": [m.name for m in self.metrics],
            "labels": labels if labels is None or isinstance(labels, str) else list(labels),
            "spacing": None if o.spacing is None else np.atleast_1d(o.spacing).tolist(),
            "regions": {region.name: list(region.labels) for region in self.regions},
            "ignore": self.ignore,
            "surface": o.surface,
            "relabel": o.relabel,
            "markers": bool(self.by_markers),
            "objects": self.objects,
        }

    def as_options(self) -> dict[str, Any]:
        """All that decides scores and summaries, for the record."""
        o = self.options
        return self.fingerprint | {
            "missing_as_empty": o.missing_as_empty,
            "undefined": o.undefined,
            "missing": o.missing,
            "replicates": o.replicates,
            "seed": o.seed,
        }

    @property
    def policy(self) -> dict[str, str]:
        return {"undefined": self.options.undefined, "missing": self.options.missing}


def make_plan(pairing: io.Pairing, options: Options, name: str, first: io.Volume) -> Plan:
    """Fill in what the first reference, of case `name`, decides.

    Raises:
        InputError: if a metric is not known, or its length is in another unit than the images.
    """
    notes: list[str] = []
    ignore = options.ignore if options.ignore is not None else pairing.ignore
    names = dict(options.label_names) or dict(pairing.label_names)
    names = {k: v for k, v in names.items() if k not in (0, ignore)}
    chosen = options.labels is not None or options.label_names or options.regions
    regions = make_regions(options.regions if chosen else pairing.regions)
    notes.extend(f"{k.name}: labels {', '.join(map(str, k.labels))} together" for k in regions)
    labels = options.labels
    if labels is None and (names or (regions and not chosen)):
        labels = tuple(sorted(names))
    count = 0 if labels is not None else _count_labels(first.array)
    objects = labels is None and (pairing.layout == "ctc" or count > MANY_LABELS)
    if objects:
        labels = "foreground"
        notes.append(
            f"{name} has {count} labels, taken as objects: overlap is that of the "
            "foreground; pass --labels to score labels one by one"
        )
    metrics = options.metrics or (_of_objects(pairing) if objects else DEFAULT_METRICS)
    texts = (*metrics, *options.also)
    chosen = tuple(dict.fromkeys(get_metric(text) for text in texts))
    for text in texts:
        _check_unit(text, first, options, notes)
    if pairing.layout == "ctc":
        notes.extend(_on_tracking(pairing, chosen))
    objects |= any(m.of_objects or m.statistic is InstanceSurfaces for m in chosen)
    markers = bool(pairing.markers)
    return Plan(options, chosen, labels, ignore, names, notes, objects, markers, regions)


def _count_labels(array: Any) -> int:
    """How many labels there are beside the background."""
    if isinstance(array, io.StoredArray):
        grid = make_grid(array.shape, None, array.chunks)
        labels = reduce(np.union1d, (distinct(array[box]) for box in grid.boxes()))
    else:
        labels = np.unique(array)
    return int(np.count_nonzero(labels))


def _of_objects(pairing: io.Pairing) -> tuple[str, ...]:
    if pairing.layout != "ctc":
        return OBJECT_METRICS
    return TRACKING_METRICS if pairing.outlined else DETECTION_METRICS


def _of_detection(metric: Metric) -> bool:
    return metric.function.__name__ in DETECTION_METRICS


def _on_tracking(pairing: io.Pairing, metrics: Sequence[Metric]) -> Iterator[str]:
    """What is to be known of scores of the Cell Tracking Challenge."""
    yield (
        "the Cell Tracking Challenge averages over objects, not frames: "
        "its SEG and DET are the pooled scores"
    )
    detection = ", ".join(m.name for m in metrics if _of_detection(m))
    if not pairing.outlined:
        yield (
            "the truth is TRA alone, whose markers say where objects are and not how far they "
            f"reach; only {', '.join(DETECTION_METRICS)} can be trusted"
        )
    elif detection and pairing.markers:
        yield (
            f"{detection}: against the markers of TRA, pooled over all its "
            f"{len(pairing.markers)} frames"
        )
    elif detection:
        yield (
            f"{detection}: against SEG, for there is no TRA; objects that SEG does not annotate "
            "count as false positives"
        )


def _check_unit(text: str, first: io.Volume, options: Options, notes: list[str]) -> None:
    """Make sure that a length, as in "nsd@2mm", is in the unit of the images."""
    given = length_unit(text)
    if given is None or given == first.unit:
        return
    if given == "px":
        spacing = options.spacing_of(first)
        sizes = np.atleast_1d(1.0 if spacing is None else spacing).tolist()
        if set(sizes) != {1.0}:
            raise InputError(
                f"{text}: lengths are in the unit of the spacing, and a pixel measures "
                f"{' x '.join(f'{s:g}' for s in sizes)}; write the length without px"
            )
    elif first.unit is None or options.spacing is not None:
        notes.append(f"{text}: taken in the unit of the spacing, which is not known to be {given}")
    else:
        scale = io.MILLIMETRES[given] / io.MILLIMETRES[first.unit]
        raise InputError(
            f"{text}: the images are in {first.unit}; write the length in that, "
            f"1 {given} being {scale:g} {first.unit}"
        )
