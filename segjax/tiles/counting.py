"""Counts of an image from those of its tiles; exact, for whole numbers only add.

Runs of equal label pairs are counted tile by tile and added up; every statistic of overlap is
then read off the pairs of the whole image, of which there are few.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from segjax._errors import InputError
from segjax.statistics import Confusion, Foreground, Scribbles
from segjax.statistics.confusion import as_kind, from_sizes
from segjax.statistics.segments import Runs, count_runs, gather_runs, merge_runs
from segjax.tiles.case import TiledCase


def count_pairs(case: TiledCase) -> Runs:
    """Each pair of labels that meet anywhere, and in how many voxels that count."""

    def of_tiles() -> Iterator[Runs]:
        for box in case.grid.boxes():
            # Pairs are to be those of labels, also where only the foreground is scored.
            yield merge_runs(count_runs(case.read(box)))

    return merge_runs(gather_runs(of_tiles()))


def labels_of(case: TiledCase, pairs: Runs) -> tuple[int, ...]:
    """Labels to score: those asked for, else those that occur, else 1."""
    if case.wanted is not None:
        return case.wanted
    if case.region is not None:
        return (1,)
    found = np.union1d(pairs[0], pairs[1])
    return tuple(int(k) for k in found if k not in (0, case.ignore)) or (1,)


def confusion_of(pairs: Runs, labels: Sequence[int]) -> Confusion:
    """Counts of each label; int64."""
    r, p, voxels = pairs
    known = np.asarray(labels, np.uint64)
    order = np.argsort(known)

    def count(x: np.ndarray, of: np.ndarray) -> np.ndarray:
        x = x[of].astype(np.uint64)
        place = np.minimum(np.searchsorted(known[order], x), known.size - 1)
        there = known[order][place] == x
        # As float64 weights, in which sums of whole numbers below 2**53 are exact.
        sums = np.bincount(order[place[there]], voxels[of][there], known.size)
        return sums.astype(np.int64)

    anywhere = np.ones(r.shape, bool)
    return from_sizes(count(r, r == p), count(r, anywhere), count(p, anywhere), voxels.sum())


def foreground_of(pairs: Runs) -> Foreground:
    """Counts of all that is not background."""
    r, p, voxels = pairs
    return as_kind(Foreground, _of_masks(r != 0, p != 0, voxels))


def scribbles_of(pairs: Runs, dtype: np.dtype) -> Scribbles:
    """Counts over the annotated voxels; see `segjax.statistics.count_scribbles`.

    Raises:
        InputError: if the reference is not an annotation of 0, 1 and 2.
    """
    r, p, voxels = pairs
    if dtype == np.bool_ or r.max(initial=0) > 2:
        raise InputError(
            "jaccard_binary_sparse needs an annotation of 0 (unknown), 1 (negative) and "
            "2 (positive) as the reference"
        )
    return as_kind(Scribbles, _of_masks(r == 2, p != 0, voxels * (r > 0)))


def _of_masks(r: np.ndarray, p: np.ndarray, voxels: np.ndarray) -> Confusion:
    count = lambda chosen: voxels[chosen].sum()
    return from_sizes(count(r & p), count(r), count(p), voxels.sum())
