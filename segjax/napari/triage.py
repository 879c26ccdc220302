"""Objects with the worst first, and the colours that show what becomes of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from segjax.objects import ObjectTable
from segjax.report.theme import OVERLAY, shade
from segjax.statistics import matching


WAYS = ("iou", "kind")
_COLOURS = {"accurate": "agreement", "spurious": "extra"}  # others are called as in the report
KIND_COLOURS = {kind: OVERLAY[_COLOURS.get(kind, kind)] for kind in matching.KINDS}
_STEPS = 20  # of the scale of IoU


def worst_first(table: ObjectTable) -> np.ndarray:
    """Rows to look at, by IoU, of equal ones the largest first.

    All objects of the reference, and the predicted ones that are spurious: others are seen with
    what they match.
    """
    rows = np.flatnonzero(table.in_reference | (table.code == matching.SPURIOUS))
    order = np.lexsort((table.label[rows], -table.voxels[rows], table.iou[rows]))
    return rows[order]


def iou_colour(iou: float) -> tuple[int, int, int]:
    """From dark (1) to bright (0), in steps, as few colours draw faster."""
    return shade(1 - round(iou * _STEPS) / _STEPS)


def colours(table: ObjectTable, way: str, *, reference: bool) -> dict[int, tuple[int, int, int]]:
    """The colour of each object of one side.

    Args:
        table: what becomes of the objects.
        way: "iou" or "kind".
        reference: of the reference, or of the prediction.
    """
    chosen = table.in_reference == reference
    labels = table.label[chosen].tolist()
    if way == "kind":
        return dict(zip(labels, map(KIND_COLOURS.__getitem__, table.kind[chosen]), strict=True))
    return dict(zip(labels, map(iou_colour, table.iou[chosen].tolist()), strict=True))


def colormap(colours: Mapping[int, tuple[int, int, int]]) -> Any:
    """A napari colormap that draws labels in these colours, and others faintly."""
    from napari.utils.colormaps import (  # pyright: ignore[reportMissingImports]
        DirectLabelColormap,
    )

    rgba = {colour: np.array([*colour, 255], np.float32) / 255 for colour in set(colours.values())}
    table: dict[int | None, Any] = {label: rgba[colour] for label, colour in colours.items()}
    return DirectLabelColormap(
        color_dict={None: np.array([0.5, 0.5, 0.5, 0.25], np.float32), 0: np.zeros(4), **table}
    )
