"""Scores of an image that is larger than memory, from its tiles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from segjax._errors import InputError
from segjax.case import Labels, Spacing
from segjax.evaluation import DEFAULT_METRICS, scores_of
from segjax.metrics import Metric, get_metric
from segjax.statistics import (
    Confusion,
    ConfusionMatrix,
    Contingency,
    Foreground,
    Scribbles,
    SurfaceDistances,
)
from segjax.statistics.confusion import as_kind
from segjax.statistics.segments import Runs, Segments, matrix_of, segments_of
from segjax.table import check_undefined
from segjax.tiles import counting
from segjax.tiles.case import TiledCase, make_tiled_case
from segjax.tiles.pieces import count_pieces
from segjax.tiles.surfaces import measure_surfaces


STATISTICS = (
    Confusion,
    Foreground,
    Scribbles,
    Contingency,
    ConfusionMatrix,
    SurfaceDistances,
)


def evaluate_tiled(
    *,
    reference: Any,
    prediction: Any,
    metrics: Iterable[str] = DEFAULT_METRICS,
    spacing: Spacing = None,
    labels: Labels = None,
    ignore: int | None = None,
    surface: str = "voxel",
    relabel: bool = False,
    undefined: str = "omit",
    tile: Sequence[int] | int | None = None,
) -> dict[str, Any]:
    """Score one prediction against one reference tile by tile, as `evaluate` scores the whole.

    Memory is needed for a few tiles, and for tables with a row for each object or each pair of
    objects that meet; none for the image. Scores are the same as `evaluate` gives: counts, and
    all that is made of them, to the last bit; distances too, and their means to rounding. Label
    ids hold for the whole image; pieces told apart by `relabel` go on across tiles.

    Args:
        reference: label map taken as the standard: the path of a Zarr, OME-Zarr, TIFF or .npy,
            or an array of which boxes can be read (`zarr.Array`, `numpy.memmap`).
        prediction: label map to be judged, of the same shape.
        metrics: names or aliases: of overlap, agreement, objects, and distances of surfaces.
        spacing: voxel size along each array axis; by default that of the reference's file, or 1.
        labels: labels to score, in this order; None for those that occur; "foreground" to
            take everything that is not background as one label.
        ignore: label of the reference whose voxels are not counted.
        surface: "voxel" or "surfel", for boundary metrics; see `segjax.case.make_case`.
        relabel: take each connected piece of a label as an object of its own.
        undefined: as for `evaluate`.
        tile: voxels along each axis of a tile, or one number for all axes; by default some 16
            million voxels, in whole chunks of the reference.

    Returns:
        Scores by canonical name, as from `evaluate`.

    Raises:
        InputError: if the input cannot be scored, or a metric needs the whole image.

    Example:
        >>> import numpy as np
        >>> reference = np.zeros((8, 8), bool)
        >>> reference[2:6, 2:6] = True
        >>> prediction = np.roll(reference, 1, axis=0)
        >>> scores = evaluate_tiled(reference=reference, prediction=prediction, tile=3)
        >>> round(float(scores["dice"]), 3)
        0.75
    """
    check_undefined(undefined)
    names = [metrics] if isinstance(metrics, str) else metrics
    wanted = [get_metric(name) for name in names]
    if reason := why_not(wanted, surface):
        raise InputError(reason)
    case = make_tiled_case(
        reference=reference,
        prediction=prediction,
        spacing=spacing,
        labels=labels,
        ignore=ignore,
        surface=surface,
        relabel=relabel,
        tile=tile,
    )
    found = measure(case, wanted)
    as_mask = lambda: case.foreground or (labels is None and len(found.labels) < 2)
    return scores_of(wanted, found.known, case.voxel_volume, as_mask, undefined)


def why_not(metrics: Iterable[Metric], surface: str) -> str | None:
    """Why these cannot be scored in tiles; None if they can."""
    unfit = [m.name for m in metrics if m.statistic not in STATISTICS]
    if unfit:
        return (
            f"{', '.join(unfit)} cannot be scored in tiles, without the whole image in memory; "
            "leave it out, or score crops"
        )
    if surface == "mesh" and any(m.statistic is SurfaceDistances for m in metrics):
        return (
            "meshes cannot be measured in tiles, without the whole image in memory; "
            'take surface "voxel" or "surfel", or score crops'
        )
    return None


@dataclass(frozen=True)
class Measured:
    """What `measure` returns.

    Attributes:
        pairs: labels that meet, and in how many voxels.
        labels: those that have scores of their own.
        segments: the objects and how they meet; None if no metric asks.
        known: statistics by type.
    """

    pairs: Runs
    labels: tuple[int, ...]
    segments: Segments | None
    known: dict[type, Any]


def measure(case: TiledCase, metrics: Iterable[Metric], *, objects: bool = False) -> Measured:
    """Build every statistic that the metrics need, once.

    Args:
        case: what to measure.
        metrics: what it is measured for, as `why_not` allows.
        objects: find the objects whether or not a metric asks.
    """
    kinds = {m.statistic for m in metrics}
    pairs = counting.count_pairs(case)
    labels = counting.labels_of(case, pairs)
    segments = None
    if objects or Contingency in kinds:
        restricted = None if case.foreground else case.wanted
        segments = count_pieces(case) if case.relabel else segments_of(pairs, restricted)
    known: dict[type, Any] = {Foreground: counting.foreground_of(pairs)}
    if case.foreground:
        of_mask = lambda x: np.asarray(x)[None]
        known[Confusion] = as_kind(Confusion, jax.tree.map(of_mask, known[Foreground]))
    else:
        known[Confusion] = counting.confusion_of(pairs, labels)
    if Scribbles in kinds:
        known[Scribbles] = counting.scribbles_of(pairs, case.reference.dtype)
    if ConfusionMatrix in kinds:
        r, p, voxels = pairs
        as_seen = (r != 0, p != 0, voxels) if case.foreground else pairs
        known[ConfusionMatrix] = matrix_of(as_seen, labels)
    if segments is not None:
        known[Contingency] = segments.contingency
    if SurfaceDistances in kinds:
        known[SurfaceDistances] = measure_surfaces(case, labels)
    return Measured(pairs, labels, segments, known)
