"""Zarr and OME-Zarr (NGFF 0.4 and 0.5), by zarr: axes as stored, full resolution."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segjax.io._problem import problem
from segjax.io.formats._zarr_chunks import bounded_store, bounds_of
from segjax.io.stored import StoredArray, without_axes
from segjax.io.volume import (
    MAX_VOXELS,
    MILLIMETRES,
    Volume,
    blank,
    check_count,
    check_size,
    positive_spacing,
    unit_name,
)


if TYPE_CHECKING:
    import zarr

_MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_store(path: Path) -> bool:
    """Whether `path` is a folder that holds a Zarr array or group."""
    try:
        return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)
    except OSError:  # A name too long, a folder that may not be entered.
        return False


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read an array, or the full resolution of an OME-Zarr image; size-1 t and c go."""
    volume = _open(path, labels, max_voxels)
    stored = volume.array
    check_size(path, stored.shape, max_voxels, stored.dtype.itemsize)
    values = stored[stored.everything] if pixels else blank(stored.shape, stored.dtype)
    return replace(volume, array=values)


def open_stored(path: Path, *, max_voxels: int) -> Volume:
    """What `read` reads of labels, left in its chunks."""
    return _open(path, True, max_voxels)


def _open(path: Path, labels: bool, max_voxels: int) -> Volume:
    import zarr

    node = zarr.open(bounded_store(path), mode="r")
    if isinstance(node, zarr.Array):
        return Volume(_pixels(path, node, max_voxels))
    if labels and "labels" in node:
        node = _label_image(path, node)
    multiscale = _multiscale(path, node)
    array = _full_resolution(path, node, multiscale)
    axes = _axes(path, multiscale, array.ndim)
    scale = _scale(multiscale, array.ndim)
    kept = [i for i, (kind, _) in enumerate(axes) if kind == "space" or array.shape[i] > 1]
    values = without_axes(_pixels(path, array, max_voxels), kept)
    if any(axes[i][0] != "space" for i in kept):
        return Volume(values)
    spacing, unit = _common_unit([scale[i] for i in kept], [axes[i][1] for i in kept])
    return Volume(values, spacing, unit)


def _pixels(path: Path, array: "zarr.Array", max_voxels: int) -> StoredArray:
    check_count(path, array.shape, max_voxels, array.dtype.itemsize)
    check_size(path, array.shards or array.chunks, min(max_voxels, MAX_VOXELS))
    if array.dtype.kind not in "biuf":
        raise problem(path, f"holds {array.dtype} values", "save integer labels")
    chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
    inner = math.prod(array.shards) // math.prod(array.chunks) if array.shards else 0
    store: Any = array.store
    store.bounds = bounds_of(path, array.metadata.to_dict(), chunk_bytes, inner)
    read = lambda box: np.asarray(array[box])
    return StoredArray(array.shape, array.dtype, array.chunks, read)


def _label_image(path: Path, image: "zarr.Group") -> "zarr.Group":
    """The label image that an image carries inside it."""
    import zarr

    names = sorted(zarr.open_group(image.store_path / "labels", mode="r").group_keys())
    group = image[f"labels/{names[0]}"] if len(names) == 1 else None
    if not isinstance(group, zarr.Group):
        what = f"is an image with {len(names)} label images ({', '.join(names[:5])})"
        raise problem(path, what, f"give one of them, as in {path.name}/labels/NAME")
    return group


def _multiscale(path: Path, group: "zarr.Group") -> Mapping[str, Any]:
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    found = ome.get("multiscales") if isinstance(ome, Mapping) else None
    if not isinstance(found, list) or not found or not isinstance(found[0], Mapping):
        raise problem(
            path,
            "is a Zarr group without an image (no 'multiscales')",
            "give the array or OME-Zarr image inside it",
        )
    return found[0]


def _full_resolution(
    path: Path, group: "zarr.Group", multiscale: Mapping[str, Any]
) -> "zarr.Array":
    import zarr

    array = group[str(multiscale["datasets"][0]["path"])]
    if not isinstance(array, zarr.Array):
        raise problem(path, "its first dataset is no array", "write it again")
    return array


def _axes(path: Path, multiscale: Mapping[str, Any], count: int) -> list[tuple[str, str | None]]:
    """Type and unit of each axis; versions before 0.4 named them only, or not at all."""
    axes = multiscale.get("axes") or list("tczyx"[5 - count :])
    if len(axes) != count:
        raise problem(path, f"names {len(axes)} axes of {count}", "correct its metadata")
    axes = [axis if isinstance(axis, Mapping) else {"name": str(axis)} for axis in axes]
    return [
        (str(axis.get("type") or _kind(str(axis.get("name")))), unit_name(axis.get("unit")))
        for axis in axes
    ]


def _kind(name: str) -> str:
    return "space" if name.lower() in ("x", "y", "z") else "other"


def _scale(multiscale: Mapping[str, Any], count: int) -> list[float]:
    """Product of the scales of the data set and of all data sets."""
    scale = [1.0] * count
    for holder in (multiscale["datasets"][0], multiscale):
        for transform in holder.get("coordinateTransformations") or ():
            if transform.get("type") == "scale" and len(transform["scale"]) == count:
                scale = [a * float(b) for a, b in zip(scale, transform["scale"], strict=True)]
    return scale


def _common_unit(
    lengths: list[float], units: list[str | None]
) -> tuple[tuple[float, ...] | None, str | None]:
    if None in units:
        return positive_spacing(lengths), None
    sizes = [MILLIMETRES[unit] for unit in units if unit]
    scaled = [
        n if math.isclose(s, sizes[-1]) else n * s / sizes[-1]
        for n, s in zip(lengths, sizes, strict=True)
    ]
    return positive_spacing(scaled), units[-1]
