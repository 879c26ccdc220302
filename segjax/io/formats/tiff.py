"""TIFF, OME-TIFF and ImageJ stacks, by tifffile."""

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segjax.io._problem import problem
from segjax.io.formats import _tiff_spacing
from segjax.io.stored import Box, StoredArray, mapped, without_channel_axis
from segjax.io.volume import MAX_VOXELS, Volume, blank, check_count, check_size, drop_channel_axis


if TYPE_CHECKING:
    import tifffile

# Photometric interpretations RGB, separated, YCbCr and the three Labs; kinds of alpha.
_COLOURS = (2, 5, 6, 8, 9, 10)
_ALPHA = (1, 2)
_AGAIN = "copy or export it again"


def read(path: Path, *, labels: bool, max_voxels: int, pixels: bool = True) -> Volume:
    """Read the first, full-resolution image of the file."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = _only_series(path, file, labels)
        check_size(path, series.shape, max_voxels, series.dtype.itemsize)
        check_size(path, series.keyframe.tile or (1,), max_voxels)
        _check_whole(path, file, series)
        page, axes = series.keyframe, series.axes
        array = _pixels(path, series) if pixels else blank(series.shape, series.dtype)
        channels = False
        if "S" in axes:
            array, axes = np.moveaxis(array, axes.index("S"), -1), axes.replace("S", "") + "S"
            channels = _is_colour(page)
        if page.colormap is not None and not labels:
            array, channels = _coloured(array, page.colormap), True
        spacing, unit = _tiff_spacing.spacing(path, file, axes)
    if labels and not channels:
        array = drop_channel_axis(array)
    if spacing is not None and len(spacing) != array.ndim:
        spacing, unit = None, None
    return Volume(array, spacing, unit, channels=channels)


def open_stored(path: Path, *, max_voxels: int) -> Volume | None:
    """The labels of the first image, left in the file; None if they lie among colours."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = _only_series(path, file, labels=True)
        check_count(path, series.shape, max_voxels)
        check_size(path, series.keyframe.tile or (1,), min(max_voxels, MAX_VOXELS))
        _check_whole(path, file, series)
        if "S" in series.axes:
            return None
        spacing, unit = _tiff_spacing.spacing(path, file, series.axes)
        if series.dataoffset is not None:
            dtype = series.dtype.newbyteorder(file.byteorder)
            array = mapped(path, dtype, series.shape, series.dataoffset)
        else:
            array = _in_pieces(path, series)
    array = without_channel_axis(array)
    if spacing is not None and len(spacing) != array.ndim:
        spacing, unit = None, None
    return Volume(array, spacing, unit)


def _in_pieces(path: Path, series: "tifffile.TiffPageSeries") -> StoredArray:
    """What is compressed, or not stored together: read by strips, tiles or pages."""
    import tifffile

    try:
        import zarr
    except ImportError as error:
        raise problem(
            path, "needs zarr to be read in tiles", 'pip install "segjax[zarr]"'
        ) from error

    def opened(series: "tifffile.TiffPageSeries") -> Any:
        return zarr.open(series.aszarr(), mode="r")

    def read(box: Box) -> np.ndarray:
        # Opened anew for each box, so that no file stays open.
        with tifffile.TiffFile(path) as file:
            return np.asarray(opened(file.series[0])[box])

    return StoredArray(series.shape, series.dtype, opened(series).chunks, read)


def _coloured(indices: np.ndarray, colormap: np.ndarray) -> np.ndarray:
    """A palette image in 8-bit colours; TIFF stores its palette in 16."""
    return np.take((colormap.T >> 8).astype(np.uint8), indices, axis=0)


def _pixels(path: Path, series: "tifffile.TiffPageSeries") -> np.ndarray:
    import tifffile

    try:
        array = series.asarray()
        if array.shape != series.shape:  # tifffile logs a line and returns what it has
            raise problem(path, f"is damaged: {array.size} of its pixels are there", _AGAIN)
        return array
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        codec = tifffile.COMPRESSION(series.keyframe.compression).name
        raise problem(
            path, f"is compressed by {codec}, which needs imagecodecs", 'pip install "segjax[io]"'
        ) from error


def _only_series(path: Path, file: "tifffile.TiffFile", labels: bool) -> "tifffile.TiffPageSeries":
    _check_chain(path, file)
    if not file.series:
        raise problem(path, "holds no image", "write it again")
    # Overviews and thumbnails are reduced; anything else is a second image.
    others = [s for s in file.series[1:] if not (s.keyframe.is_reduced or s.keyframe.is_mask)]
    if labels and others:
        shapes = ", ".join(str(s.shape) for s in file.series[:4])
        raise problem(path, f"holds several images ({shapes})", "save each as its own file")
    return file.series[0]


def _is_colour(page: "tifffile.TiffPage") -> bool:
    return page.photometric in _COLOURS or any(kind in _ALPHA for kind in page.extrasamples)


def _check_whole(path: Path, file: "tifffile.TiffFile", series: "tifffile.TiffPageSeries") -> None:
    """Refuse what is cut: tifffile may log a line and return fewer planes, or zeros."""
    if series.keyframe.predictor != 1 and series.keyframe.compression == 1:
        raise problem(path, "is damaged: its pixels are predicted and not compressed", _AGAIN)
    if series.dataoffset is not None:
        whole = 0 < series.dataoffset <= file.filehandle.size - series.nbytes
    else:
        whole = all(_page_is_whole(page) for page in series.pages)
    if not whole:
        raise problem(path, "is cut: pixels are missing", _AGAIN)


def _page_is_whole(page: Any) -> bool:
    if page is None or len(page.dataoffsets) != len(page.databytecounts):
        return False
    size = page.parent.filehandle.size
    # Nothing at 0 is left out, and so 0; something at 0 would be the header.
    places = zip(page.dataoffsets, page.databytecounts, strict=True)
    return all(0 < o <= size - n if n else o <= size for o, n in places)


def _check_chain(path: Path, file: "tifffile.TiffFile") -> None:
    """Each page names the next; tifffile would follow a chain for ever that bites its tail."""
    handle, tiff = file.filehandle, file.tiff
    seen: set[int] = set()
    offset = file.pages.first.offset
    while offset:
        if offset in seen:
            raise problem(path, "is damaged: a page follows itself", _AGAIN)
        seen.add(offset)
        try:
            handle.seek(offset)
            (tags,) = struct.unpack(tiff.tagnoformat, handle.read(tiff.tagnosize))
            handle.seek(offset + tiff.tagnosize + tags * tiff.tagsize)
            (offset,) = struct.unpack(tiff.offsetformat, handle.read(tiff.offsetsize))
        except (struct.error, OSError, OverflowError, ValueError) as error:
            raise problem(path, "is cut: pages are missing", _AGAIN) from error
