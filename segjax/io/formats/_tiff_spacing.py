"""How large a voxel is, by what OME, ImageJ or plain TIFF say."""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

from segjax.io._text import read_json
from segjax.io.volume import MILLIMETRES, positive_spacing, unit_name


if TYPE_CHECKING:
    import tifffile

Spacing = tuple[tuple[float, ...] | None, str | None]

# Dots per inch that programs write without having measured anything.
_PRINTING = (1, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 220, 240, 300, 350, 360, 400, 600)
_PER_INCH = {2: 1.0, 3: 2.54}


def spacing(path: Path, file: "tifffile.TiffFile", axes: str) -> Spacing:
    """Spacing of the spatial axes `axes` and its unit; (None, None) if the file says nothing."""
    axes = axes.removesuffix("S")
    # Pages of no stated meaning (Q, I) are planes: nobody else stacks label maps.
    axes = axes.replace("Q", "Z").replace("I", "Z")
    if not axes or set(axes) - set("ZYX") or len(set(axes)) != len(axes):
        return None, None
    if file.is_ome and file.ome_metadata:
        sizes, unit = _ome(file.ome_metadata)
    elif file.is_imagej:
        sizes, unit = _imagej(file)
    else:
        sizes, unit = _plain(file)
    lengths = positive_spacing([sizes.get(axis) for axis in axes])
    return (lengths, unit) if lengths else (_sidecar(path, len(axes)), None)


def _ome(xml: str) -> tuple[dict[str, float], str | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return {}, None
    sizes, units = {}, {}
    for axis in "ZYX":
        size = pixels.get(f"PhysicalSize{axis}")
        unit = unit_name(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size is not None and unit is not None:
            sizes[axis], units[axis] = _number(size), unit
    unit = units.get("X")
    if unit is None:
        return {}, None
    scale = {axis: MILLIMETRES[units[axis]] / MILLIMETRES[unit] for axis in sizes}
    return {a: n if scale[a] == 1 else n * scale[a] for a, n in sizes.items()}, unit


def _imagej(file: "tifffile.TiffFile") -> tuple[dict[str, float], str | None]:
    metadata = file.imagej_metadata or {}
    unit = unit_name(str(metadata.get("unit", "")))
    if unit is None:
        return {}, None
    # ImageJ leaves `spacing` out where it is 1.
    depth = abs(_number(metadata.get("spacing", 1.0)))
    return {"Z": depth, "Y": _pixel(file, "YResolution"), "X": _pixel(file, "XResolution")}, unit


def _plain(file: "tifffile.TiffFile") -> tuple[dict[str, float], str | None]:
    tags = file.pages.first.tags
    per_inch = _PER_INCH.get(int(tags.valueof("ResolutionUnit", 1)))
    if per_inch is None:
        return {}, None
    sizes = {axis: _pixel(file, f"{axis}Resolution") for axis in "YX"}
    dots = [per_inch / size if size > 0 else math.nan for size in sizes.values()]
    if any(abs(n - default) < 0.5 for n in dots for default in _PRINTING):
        return {}, None
    return {axis: size * 25400 / per_inch for axis, size in sizes.items()}, "um"


def _sidecar(path: Path, count: int) -> tuple[float, ...] | None:
    """What nnU-Net keeps in case.json beside case.tif, in array-axis order."""
    sidecar = path.with_suffix(".json")
    found = read_json(sidecar) if sidecar.is_file() else None
    lengths = found.get("spacing") if isinstance(found, dict) else None
    if not isinstance(lengths, list) or len(lengths) != count:
        return None
    return positive_spacing([_number(length) for length in lengths])


def _pixel(file: "tifffile.TiffFile", tag: str) -> float:
    """Length of a pixel: the inverse of a rational number of pixels per unit."""
    value = file.pages.first.tags.valueof(tag, None)
    if not isinstance(value, tuple) or len(value) != 2 or not value[0]:
        return math.nan
    return value[1] / value[0]


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return math.nan
