"""Contingency tables of cases in host memory, where labels may be any 64-bit integers.

Label maps are piecewise constant, so voxels are first gathered into runs of equal pairs, in
stretches that stay in the processor's cache; only runs are counted. Nothing is as large as the
images but the images.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from segjax.case import Case
from segjax.statistics.contingency import ConfusionMatrix, Contingency


_STRETCH = 2**18  # voxels looked at together
_MOST_RUNS = 2**21  # that are kept before they are added up
_MOST_CELLS_A_RUN = 4  # of a table that is quicker to fill than runs are to sort
_MOST_LISTED = 2**16  # labels up to here are looked up in a list however few voxels there are
_FEW_CELLS = 2**20  # up to here a table is quicker than sorting, and one with gaps than ranks

Runs = tuple[np.ndarray, np.ndarray, np.ndarray]  # both labels, and how many voxels
Stretch = tuple[int, np.ndarray, np.ndarray, np.ndarray | None]  # its start, both, what counts


@dataclass(frozen=True)
class Segments:
    """A contingency table, and the labels that its segments have in the images.

    Attributes:
        contingency: the table; int64 counts.
        reference_labels: label of each segment of the reference, the background (0) first.
        prediction_labels: label of each segment of the prediction.
    """

    contingency: Contingency
    reference_labels: np.ndarray
    prediction_labels: np.ndarray

    @property
    def listed(self) -> "Listing":
        """The objects alone, in plain numbers: what there is to know of them, but their places."""
        t, r, p = self.contingency, self.reference_labels, self.prediction_labels
        meet = np.flatnonzero(t.overlapping)
        row, column = t.pairs
        return Listing(
            _listed(r, t.reference_sizes),
            _listed(p, t.prediction_sizes),
            [r[row[meet]].tolist(), p[column[meet]].tolist(), t.counts[meet].tolist()],
        )


def _listed(labels: np.ndarray, sizes: np.ndarray) -> list[list[int]]:
    there = np.flatnonzero(sizes[1:]) + 1
    return [labels[there].tolist(), sizes[there].tolist()]


class Listing(NamedTuple):
    """Objects of an image, or of a part of one, in lists that JSON can hold.

    Attributes:
        reference: labels of the objects of the reference, and their sizes.
        prediction: the same of the prediction.
        pairs: labels of the objects that meet, in the reference and in the prediction, and how
            many voxels they share.
    """

    reference: list[list[int]]
    prediction: list[list[int]]
    pairs: list[list[int]]


def join_listings(parts: Sequence[Listing]) -> Segments:
    """The objects of an image from those of its parts, such as planes.

    Objects of one label are one object. The background is not listed, so that it has no size.
    """
    r_labels, r_sizes = _joined_sizes([part.reference for part in parts])
    p_labels, p_sizes = _joined_sizes([part.prediction for part in parts])
    r, p, shared = (_chained([part.pairs[i] for part in parts]) for i in range(3))
    ranks = np.searchsorted(r_labels, r), np.searchsorted(p_labels, p), shared
    r, p, counts = _added(ranks, r_sizes.size, p_sizes.size)
    return Segments(Contingency(counts, r_sizes, p_sizes, r, p), r_labels, p_labels)


def _joined_sizes(sides: list[list[list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels, 0 first, and the sizes of each added up."""
    labels = _chained([[0], *(side[0] for side in sides)])
    sizes = _chained([[0], *(side[1] for side in sides)])
    own, place = np.unique(labels, return_inverse=True)
    return own, np.bincount(place, sizes, own.size).astype(np.int64)


def _chained(lists: list[list[int]]) -> np.ndarray:
    # All of one unsigned type: 64-bit integers of both kinds would together become floats.
    return np.array([x for one in lists for x in one], np.uint64)


def count_segments(case: Case) -> Contingency:
    """Contingency of a case in host memory; exact at any size, int64 counts."""
    return find_segments(case).contingency


def find_segments(case: Case) -> Segments:
    """Contingency of a case in host memory, with the labels, in ascending order.

    Beside the images it takes 24 bytes a pair of segments that meet, and some 200 MB where
    many runs have to be added up.
    """
    case = case.objects
    return segments_of(count_runs(case), None if case.foreground else case.wanted)


def segments_of(runs: Runs, wanted: Sequence[int] | None) -> Segments:
    """As `find_segments`, of runs; what is not wanted is background (None: all is wanted)."""
    r, p, length = runs
    if wanted is not None:
        r, p = (np.where(np.isin(x, wanted), x, 0) for x in (r, p))
    rows, columns = (int(x.max(initial=0)) + 1 for x in (r, p))
    if rows * columns <= _FEW_CELLS:
        labels = np.arange(rows), np.arange(columns)
    else:
        (r, r_labels), (p, p_labels) = _ranked(r), _ranked(p)
        rows, columns, labels = r_labels.size, p_labels.size, (r_labels, p_labels)
    r, p, counts = _added((r, p, length), rows, columns)
    sizes = lambda x, n: np.bincount(x, counts, n).astype(np.int64)
    pairs = Contingency(counts, sizes(r, rows), sizes(p, columns), r, p)
    return Segments(pairs, *labels)


def count_matrix(case: Case) -> ConfusionMatrix:
    """Confusion matrix of a case in host memory; int64 counts.

    Row and column 0 stand for every label that is not wanted (the background among them),
    unless the background is itself wanted; then only pairs of wanted labels are counted.
    """
    r, p, length = count_runs(case)
    if case.foreground:
        r, p = ((x != 0).astype(np.uint8) for x in (r, p))
    return matrix_of((r, p, length), case.labels)


def matrix_of(runs: Runs, wanted: Sequence[int]) -> ConfusionMatrix:
    """As `count_matrix`, of runs."""
    r, p, length = runs
    labels = wanted if 0 in wanted else (0, *wanted)
    order = np.argsort(labels)
    known = np.asarray(labels)[order]
    place = [np.minimum(np.searchsorted(known, x), len(known) - 1) for x in (r, p)]
    listed = [known[i] == x for i, x in zip(place, (r, p), strict=True)]
    r, p = (np.where(l, order[i], 0) for l, i in zip(listed, place, strict=True))
    if 0 in wanted:
        length = length * (listed[0] & listed[1])
    n = len(labels)
    counts = np.bincount(r * n + p, length, n * n).astype(np.int64)
    return ConfusionMatrix(counts.reshape(n, n))


def sum_indices(case: Case, found: Segments) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the indices along each axis, over the voxels of each segment but the background.

    Returns:
        Of the reference and of the prediction, exact, of shape (segment, axis).
    """
    shape = case.reference.shape
    line = max(shape[-1], 1)
    sides = found.reference_labels, found.prediction_labels
    sums = [np.zeros((len(shape), labels.size), np.int64) for labels in sides]
    for start, r, p, kept in stretches(case):
        change = _changes(r, p, kept)
        change[-start % line :: line] = True  # a run stays in its line
        first, length = _lengths(change, kept)
        for labels, x, total in zip(sides, (r, p), sums, strict=True):
            own = np.flatnonzero((x[first] != 0) & (length > 0))
            segment, n = numbers_of(labels, x[first[own]]), length[own]
            *before, last = np.unravel_index(first[own] + start, shape)
            for axis, index in enumerate(before):
                np.add.at(total[axis], segment, n * index)
            np.add.at(total[-1], segment, n * last + n * (n - 1) // 2)
    reference, prediction = (total.T for total in sums)
    return reference, prediction


def numbers_of(labels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Numbers of the segments that have the labels of some voxels; 0 where there is none."""
    most = int(x.max(initial=0))
    if most <= max(_MOST_LISTED, x.size):
        listed = labels[labels <= most].astype(np.intp)
        numbers = np.zeros(most + 1, np.intp)
        numbers[listed] = np.arange(listed.size)
        return numbers[x]
    place = np.minimum(np.searchsorted(labels, x), labels.size - 1)
    return np.where(labels[place] == x, place, 0)


def count_runs(case: Case) -> Runs:
    """Label pair and length of the runs of equal pairs, voxels in memory order.

    Runs end where a stretch does. Of many, those of the same pair are added up.
    """

    def of_stretch(stretch: Stretch) -> Runs:
        _, r, p, kept = stretch
        first, length = _lengths(_changes(r, p, kept), kept)
        return r[first], p[first], length

    return gather_runs(map(of_stretch, stretches(case)))


def gather_runs(parts: Iterable[Runs]) -> Runs:
    """The runs of all parts, at least one; of many, those of the same pair are added up."""
    found: list[Runs] = []
    held = 0
    for part in parts:
        found.append(part)
        held += part[2].size
        if held > _MOST_RUNS:
            found = [merge_runs(_joined(found))]
            held = found[0][0].size
    return _joined(found)


def stretches(case: Case) -> Iterator[Stretch]:
    """Both maps flat, and which of their voxels count, a stretch at a time; at least one."""
    r, p = (_as_numbers(x.reshape(-1)) for x in (case.reference, case.prediction))
    valid = None if case.valid is None else case.valid.reshape(-1)
    for start in range(0, max(r.size, 1), _STRETCH):
        part = slice(start, start + _STRETCH)
        kept = None if valid is None else valid[part]
        if case.ignore is not None:
            kept = r[part] != case.ignore if kept is None else kept & (r[part] != case.ignore)
        yield start, r[part], p[part], kept


def _as_numbers(x: np.ndarray) -> np.ndarray:
    return x.view(np.uint8) if x.dtype == np.bool_ else x


def _joined(parts: list[Runs]) -> Runs:
    if len(parts) == 1:
        return parts[0]
    r, p, length = (np.concatenate(x) for x in zip(*parts, strict=True))
    return r, p, length


def _changes(r: np.ndarray, p: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    """Where a run of equal pairs begins."""
    change = np.empty(r.size, bool)
    change[:1] = True
    np.not_equal(r[1:], r[:-1], out=change[1:])
    change[1:] |= p[1:] != p[:-1]
    if kept is not None:
        change[1:] |= kept[1:] != kept[:-1]
    return change


def _lengths(change: np.ndarray, kept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where each run begins, and how many of its voxels count: all or none."""
    first = _places(change)
    length = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=length[:-1])
    length[-1:] = change.size - first[-1:]
    return first, length if kept is None else length * kept[first]


def _places(flags: np.ndarray) -> np.ndarray:
    """`flatnonzero` of few flags: eight at a time, then those of the words that have one."""
    if flags.size % 8 or np.count_nonzero(flags) > flags.size // 12:
        return np.flatnonzero(flags)
    words = flags.view(np.uint64)
    there = np.flatnonzero(words != 0)
    place = np.flatnonzero(words[there].view(bool))
    return (there[place >> 3] << 3) + (place & 7)


def merge_runs(runs: Runs) -> Runs:
    """One run for each pair of labels, whatever these are."""
    (r, r_labels), (p, p_labels) = _ranked(runs[0]), _ranked(runs[1])
    r, p, counts = _added((r, p, runs[2]), r_labels.size, p_labels.size)
    return r_labels[r].astype(runs[0].dtype), p_labels[p].astype(runs[1].dtype), counts


def _ranked(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of labels among those that occur and 0, and these labels, ascending."""
    most = int(x.max(initial=0))
    if most < 2**20:
        there = np.zeros(most + 1, bool)
        there[x] = True
        there[0] = True
        return (np.cumsum(there) - 1)[x], np.flatnonzero(there)
    labels, rank = np.unique(x, return_inverse=True)
    if labels[0] == 0:
        return rank.reshape(-1), labels
    return rank.reshape(-1) + 1, np.concatenate([np.zeros(1, labels.dtype), labels])


def _added(runs: Runs, rows: int, columns: int) -> Runs:
    """The pairs that occur, ascending, and how many voxels each has."""
    r, p, length = runs
    cell = r.astype(np.intp) * columns
    cell += p.astype(np.intp, copy=False)
    # As float64 weights, in which sums of whole numbers below 2**53 are exact.
    if rows * columns <= max(_FEW_CELLS, _MOST_CELLS_A_RUN * cell.size):
        counts = np.bincount(cell, length, rows * columns)
        pair = np.flatnonzero(counts != 0)
        counts = counts[pair]
    else:
        cell, length = _sorted(cell, length, rows * columns)
        first = _places(np.concatenate([np.ones(1, bool), cell[1:] != cell[:-1]]))
        pair, counts = cell[first], np.add.reduceat(length, first)
        pair, counts = pair[counts > 0], counts[counts > 0]
    row = pair // columns
    return row, pair - row * columns, counts.astype(np.int64)


def _sorted(cell: np.ndarray, length: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Both by cell, ascending: as one number each where they fit, which is sorted more quickly."""
    bits = int(length.max(initial=0)).bit_length()
    if cells.bit_length() + bits > 63:
        order = np.argsort(cell)
        return cell[order], length[order].astype(np.int64, copy=False)
    both = (cell.astype(np.int64) << bits) | length.astype(np.int64, copy=False)
    both.sort()
    return both >> bits, both & ((1 << bits) - 1)
