"""One case that is never in memory as a whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.case import (
    Case,
    Labels,
    Spacing,
    check_labels,
    check_same_grid,
    check_spacing,
    check_surface,
    make_case,
)
from segjax.io import Box, open_labels
from segjax.tiles.grid import Grid, make_grid


@dataclass(frozen=True, kw_only=True)
class TiledCase:
    """A reference and a prediction of which boxes are read; build with `make_tiled_case`.

    Attributes:
        reference: what gives the labels of a box when indexed by slices.
        prediction: the same.
        grid: the tiles.
        spacing: voxel size along each array axis.
        wanted: labels to score, None for those that occur.
        foreground: all that is not background counts as one label, 1.
        region: labels that count as one label, 1; None for each label by itself.
        ignore: label of the reference whose voxels are not counted.
        surface: what a surface is made of.
        relabel: objects in several pieces are as many objects.
    """

    reference: Any
    prediction: Any
    grid: Grid
    spacing: tuple[float, ...]
    wanted: tuple[int, ...] | None = None
    foreground: bool = False
    region: tuple[int, ...] | None = None
    ignore: int | None = None
    surface: str = "voxel"
    relabel: bool = False

    @property
    def voxel_volume(self) -> float:
        return math.prod(self.spacing)

    def read(self, box: Box, labels: Sequence[int] | None = None) -> Case:
        """The part of the case in a box.

        Args:
            box: one slice with start and stop for each axis.
            labels: labels of the part; by default those that occur.
        """
        r, p = (_in_order(x[box]) for x in (self.reference, self.prediction))
        ignore, valid = self.ignore, None
        if self.region is not None:
            valid = None if ignore is None else r != ignore
            r, p, ignore, labels = np.isin(r, self.region), np.isin(p, self.region), None, (1,)
        return make_case(
            reference=r,
            prediction=p,
            spacing=self.spacing,
            labels="foreground" if self.foreground else labels,
            ignore=ignore,
            valid=valid,
            surface=self.surface,
        )


def _in_order(x: Any) -> np.ndarray:
    return np.ascontiguousarray(x)


def make_tiled_case(
    *,
    reference: Any,
    prediction: Any,
    spacing: Spacing = None,
    labels: Labels = None,
    ignore: int | None = None,
    surface: str = "voxel",
    relabel: bool = False,
    tile: Sequence[int] | int | None = None,
) -> TiledCase:
    """Check what can be checked before a voxel is read; see `segjax.case.make_case`.

    Args:
        reference: label map taken as the standard: the path of a file, or an array of which
            boxes can be read (`numpy.memmap`, `zarr.Array`).
        prediction: label map to be judged, of the same shape.
        spacing: voxel size along each array axis; by default that of the reference's file, or 1.
        labels: labels to score; None for those that occur; "foreground" for all as one.
        ignore: label of the reference whose voxels are not counted.
        surface: "voxel" or "surfel".
        relabel: take each connected piece of a label as an object of its own.
        tile: voxels along each axis of a tile, or one number for all axes.

    Raises:
        InputError: if the case cannot be scored.
    """
    r, own_spacing = _opened(reference, "reference")
    p, _ = _opened(prediction, "prediction")
    check_same_grid(r, p)
    check_surface(surface)
    foreground = isinstance(labels, str)
    if foreground and labels != "foreground":
        raise InputError(f'labels must be integers or "foreground", got {labels!r}')
    if ignore is not None and r.dtype == np.bool_:
        raise InputError("a boolean mask has no label to ignore")
    wanted = (1,) if foreground else labels
    return TiledCase(
        reference=r,
        prediction=p,
        grid=make_grid(r.shape, tile, getattr(r, "chunks", None)),
        spacing=check_spacing(own_spacing if spacing is None else spacing, r.ndim),
        wanted=None if wanted is None else check_labels(wanted, None if foreground else ignore),  # type: ignore[arg-type]
        foreground=foreground,
        ignore=ignore,
        surface=surface,
        relabel=relabel,
    )


def _opened(source: Any, name: str) -> tuple[Any, tuple[float, ...] | None]:
    """What boxes are read from, and the spacing its file gives."""
    if isinstance(source, str | Path):
        volume = open_labels(source)
        if volume is None:
            raise InputError(
                f"{source}: its format cannot be read in parts; save it as .zarr, .tif or .npy"
            )
        return volume.array, volume.spacing
    if not all(hasattr(source, known) for known in ("shape", "dtype", "ndim", "__getitem__")):
        raise InputError(
            f"{name} must be a path, or an array of which boxes can be read, got a "
            f"{type(source).__name__}"
        )
    if source.ndim == 0 or np.dtype(source.dtype).kind not in "biu":
        raise InputError(
            f"{name} must be an image of integers or booleans, got {source.dtype} of shape "
            f"{source.shape}"
        )
    return source, None
