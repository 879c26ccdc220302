"""Read pairs of files ahead of the scoring, and check that they belong together."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from segjax import io
from segjax._errors import InputError
from segjax.folder.plan import Options
from segjax.metrics import get_metric
from segjax.tiles import why_not


_LARGE = 2**28  # voxels of an image that is read in tiles unasked
_SMALL = 2**22  # bytes of a file that is not looked at before it is read
_AHEAD = 4  # pairs read while others are scored
_NOTED = ("labels stored as float", "labels lie scattered")  # what is read, with a warning

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A pair of files in memory; or, if they are to be read in tiles, opened alone."""

    pair: io.Pair
    reference: io.Volume
    prediction: io.Volume
    hashes: tuple[str, str | None]

    @property
    def in_tiles(self) -> bool:
        return isinstance(self.reference.array, io.StoredArray)


def load(pair: io.Pair, options: Options) -> Loaded:
    """Read both files of a pair; a prediction that is missing is empty.

    Raises:
        InputError: if one cannot be read, or they lie on different grids.
    """
    if (volumes := opened(pair, options)) is not None:
        hashed = None if pair.prediction is None else sha256(pair.prediction)
        return Loaded(pair, *volumes, (sha256(pair.reference), hashed))
    r = io.read_labels(pair.reference, max_voxels=options.max_voxels)
    if pair.prediction is None:
        empty = replace(r, array=np.zeros_like(r.array))
        return Loaded(pair, r, empty, (sha256(pair.reference), None))
    p = io.read_labels(pair.prediction, max_voxels=options.max_voxels)
    if pair.slice is not None:
        p = _plane(pair, p)
        r = io.Volume(r.array, p.spacing if r.spacing is None else r.spacing, r.unit)
    _check_grids(pair, r, p, options)
    return Loaded(pair, r, p, (sha256(pair.reference), sha256(pair.prediction)))


def opened(pair: io.Pair, options: Options) -> tuple[io.Volume, io.Volume] | None:
    """Both files, left where they are; None if they are to be read as a whole."""
    paths = [pair.reference] + ([] if pair.prediction is None else [pair.prediction])
    if pair.slice is not None or not (options.tile or all(map(_may_be_large, paths))):
        return None
    metrics = [get_metric(name) for name in (*(options.metrics or ()), *options.also)]
    unfit = why_not(metrics, options.surface)
    if unfit and options.tile is None:
        return None
    if unfit:
        raise InputError(unfit)
    limit = max(options.max_voxels, io.MAX_STORED)
    found = [io.open_labels(path, max_voxels=limit) for path in paths]
    for path, volume in zip(paths, found, strict=True):
        if volume is None and options.tile is not None:
            raise InputError(
                f"{path}: its format cannot be read in tiles; save it as .zarr, .tif or .npy, or "
                "drop --tile"
            )
    volumes = [volume for volume in found if volume is not None]
    if len(volumes) < len(paths):
        return None
    r, p = volumes[0], volumes[-1]
    if options.tile is None and r.array.size < _LARGE:
        return None
    if pair.prediction is None:
        empty = lambda box: np.zeros_like(r.array[box])
        return r, replace(r, array=replace(r.array, read=empty))
    _check_grids(pair, r, p, options)
    return r, p


def _may_be_large(path: Path) -> bool:
    """Of folders, sizes say nothing: a Zarr need not store what is empty."""
    try:
        return path.is_dir() or path.stat().st_size > _SMALL
    except OSError:
        return False  # reading it will say why


def _plane(pair: io.Pair, volume: io.Volume) -> io.Volume:
    z = pair.slice or 0
    if volume.array.ndim < 3 or z >= volume.array.shape[0]:
        raise InputError(
            f"{pair.prediction}: has no plane {z}, which {pair.reference.name} annotates; "
            "check that frames and planes are numbered alike"
        )
    spacing = None if volume.spacing is None else volume.spacing[1:]
    return io.Volume(volume.array[z], spacing, volume.unit)


def _check_grids(pair: io.Pair, r: io.Volume, p: io.Volume, options: Options) -> None:
    if r.array.shape != p.array.shape:
        raise InputError(
            f"{pair.prediction}: has shape {p.array.shape}, its reference {pair.reference} has "
            f"{r.array.shape}; resample the prediction to the grid of the reference"
        )
    if options.allow_spacing_mismatch or options.spacing is not None:
        return
    if difference := io.grid_difference(r, p):
        raise InputError(
            f"{pair.prediction}: lies on another grid than {pair.reference} ({difference}); "
            "resample it, or pass --allow-spacing-mismatch if only the header is wrong"
        )


def read_ahead(pairs: Sequence[io.Pair], read: Callable[[io.Pair], T]) -> Iterator[T]:
    """Read pairs in the background, in order, a few ahead of the scoring."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = iter(pairs)
        queue = [pool.submit(read, pair) for pair in islice(waiting, _AHEAD)]
        try:
            while queue:
                loaded = queue.pop(0).result()
                queue.extend(pool.submit(read, pair) for pair in islice(waiting, 1))
                yield loaded
        finally:
            for future in queue:
                future.cancel()


@contextmanager
def doubts_noted() -> Iterator[list[str]]:
    """Gather what is said of odd label maps, for `summed_up`; show other warnings after.

    Around the threads that read and not in them: the settings of warnings are the process's.
    """
    doubts: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        for kind in _NOTED:
            warnings.filterwarnings("always", f".*: {kind}")
        yield doubts
    for w in said:
        if any(kind in str(w.message) for kind in _NOTED):
            doubts.append(str(w.message))
        else:
            warnings.showwarning(w.message, w.category, w.filename, w.lineno)


def summed_up(doubts: Sequence[str]) -> Iterator[str]:
    """One note for each kind of doubt: the first, and how many more files it is of."""
    for kind in _NOTED:
        texts = sorted({text for text in doubts if kind in text})
        if texts:
            more = f" (and {len(texts) - 1} more files)" if len(texts) > 1 else ""
            yield texts[0] + more


def sha256(path: Path) -> str:
    """Of a file; of a folder (Zarr), of the names and digests of its files.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        parts = sorted(f for f in path.rglob("*") if f.is_file())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    listing = "".join(f"{part.relative_to(path).as_posix()} {sha256(part)}\n" for part in parts)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
