"""What becomes of each object: a table with a row for each, and an image of the errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Integer, UInt8

from segjax._errors import InputError
from segjax._numerics import ratio
from segjax.case import Case, Labels, Spacing, make_case
from segjax.ops import components
from segjax.statistics import Segments, contingency, find_segments, matching, sum_indices
from segjax.statistics.segments import numbers_of, stretches
from segjax.table import csv_text, data_frame, jsonable


SIDES = ("reference", "prediction")
_COLUMNS = ("side", "label", "kind", "match", "overlap", "iou", "voxels", "size", "pieces")
_WHOLE = ("code", "shared", "union", "voxels", "pieces", "index_sums")
_WORDS = np.array(["", *matching.KINDS])


class SizeClass(NamedTuple):
    """What becomes of the objects of similar size: those of `least` <= size < `most`.

    Attributes:
        least: smallest size, in physical units.
        most: size that is too large; infinite for the last class.
        reference: objects of the reference of this size.
        accurate: how many of them are found as they are.
        missed: how many of them are missed.
        spurious: predicted objects of this size that are spurious.
        merged: objects of the reference that lie with others in one predicted object.
        split: objects of the reference in which several predicted ones lie.
        seg: mean over those of the reference of their IoU with the predicted object that
            covers more than half of them, 0 without such; NaN if there are none.
    """

    least: float
    most: float
    reference: int
    accurate: int
    missed: int
    spurious: int
    merged: int
    split: int
    seg: float


@dataclass(frozen=True, kw_only=True)
class ObjectTable:
    """One row for each object of the reference, then of the prediction; see `object_table`.

    Whole numbers, from which the rest follows.

    Attributes:
        in_reference: whether the object is one of the reference; else of the prediction.
        label: its number in its image.
        code: what becomes of it, a value of `segjax.statistics.matching.KINDS`.
        match: label of the object of the other image that shares most voxels with it, of
            several the smallest; 0 if it meets none.
        shared: voxels that are of both.
        union: voxels that are of either.
        voxels: its own.
        pieces: how many connected parts it has, neighbours touching at least by a corner; 0,
            not known, in images of more than three axes.
        index_sums: sum over its voxels of the index along each axis, of shape (object, axis).
        spacing: voxel size along each axis.
    """

    in_reference: np.ndarray
    label: np.ndarray
    code: np.ndarray
    match: np.ndarray
    shared: np.ndarray
    union: np.ndarray
    voxels: np.ndarray
    pieces: np.ndarray
    index_sums: np.ndarray
    spacing: tuple[float, ...]

    def __len__(self) -> int:
        return self.label.size

    @property
    def side(self) -> np.ndarray:
        """The image of each object: "reference" or "prediction"."""
        return np.where(self.in_reference, *SIDES)

    @property
    def kind(self) -> np.ndarray:
        """What becomes of each object, in a word: see `matching.kinds`."""
        return _WORDS[self.code]

    @property
    def overlap(self) -> np.ndarray:
        """Share of the object that its match has; more than 0.5 if that covers it."""
        return self.shared / self.voxels

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of the object and its match; 0 if it meets none."""
        return self.shared / self.union

    @property
    def size(self) -> np.ndarray:
        """Area or volume, in the unit of spacing."""
        return self.voxels * float(np.prod(self.spacing))

    @property
    def centroid(self) -> np.ndarray:
        """Mean index of the voxels, times the spacing, of shape (object, axis)."""
        return self.index_sums / self.voxels[:, None] * self.spacing

    @property
    def counts(self) -> dict[str, int]:
        """How many objects there are in either image, and how many of each kind.

        The spurious ones are predicted, those of all other kinds are of the reference.
        """
        n = int(self.in_reference.sum())
        kinds = {word: int(chosen.sum()) for word, chosen in self._of_kinds().items()}
        return {"reference": n, "prediction": len(self) - n, **kinds}

    def by_size(self, edges: Sequence[float | int]) -> list[SizeClass]:
        """Count the objects in classes of size, which tell whether small ones are lost.

        Args:
            edges: where one class ends and the next begins, ascending, in the unit of
                `size`; the first begins at 0.

        Raises:
            InputError: if the edges do not ascend from above 0.
        """
        limits = np.array([0, *edges, np.inf], float)
        if not (np.diff(limits) > 0).all():
            raise InputError(f"edges must be positive and ascend, got {list(edges)}")
        of = np.searchsorted(limits, self.size, side="right") - 1
        count = lambda chosen: np.bincount(of[chosen], minlength=limits.size - 1)
        kinds = [count(chosen) for chosen in self._of_kinds().values()]
        covered = np.where(self.in_reference & (self.overlap > 0.5), self.iou, 0)
        reference = count(self.in_reference)
        seg = ratio(np.bincount(of, covered, limits.size - 1), reference)
        columns = (limits[:-1], limits[1:], reference, *kinds, seg)
        return [SizeClass(*row) for row in zip(*(x.tolist() for x in columns), strict=True)]

    def _of_kinds(self) -> dict[str, np.ndarray]:
        """Which objects count for each kind: predicted ones for the spurious alone."""
        return {
            word: (self.code == code) & (self.in_reference != (code == matching.SPURIOUS))
            for word, code in matching.KINDS.items()
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings of the columns; one of the centroid for each axis of the array."""
        return (*_COLUMNS, *(f"centroid-{axis}" for axis in range(len(self.spacing))))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The objects one by one, as plain Python."""
        columns = [getattr(self, name).tolist() for name in _COLUMNS]
        return zip(*columns, *self.centroid.T.tolist(), strict=True)

    def to_csv(self) -> str:
        """One line for each object, under a heading."""
        return csv_text(self.columns, self.rows())

    def to_json(self) -> str:
        """The rows as a JSON list."""
        rows = (dict(zip(self.columns, row, strict=True)) for row in self.rows())
        return json.dumps([jsonable(row) for row in rows])

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame` (install `segjax[tables]`)."""
        return data_frame(self.columns, self.rows())

    def to_record(self) -> dict[str, list[Any]]:
        """Whole numbers as lists, for a journal: an object takes some 40 characters."""
        return {f.name: np.asarray(getattr(self, f.name)).tolist() for f in fields(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ObjectTable":
        """Read what `to_record` wrote."""
        spacing = tuple(record["spacing"])
        whole = {name: np.array(record[name], np.int64) for name in _WHOLE}
        whole["index_sums"] = whole["index_sums"].reshape(-1, len(spacing))
        return cls(
            in_reference=np.array(record["in_reference"], bool),
            label=_as_labels(record["label"]),
            match=_as_labels(record["match"]),
            spacing=spacing,
            **whole,
        )


def object_table(
    *,
    reference: Any,
    prediction: Any,
    spacing: Spacing = None,
    labels: Labels = None,
    ignore: int | None = None,
    valid: Any = None,
    relabel: bool = False,
) -> ObjectTable:
    """Say of every object what becomes of it, where it is, how large, and what matches it.

    The match is, for the objects of both images alike, the object of the other image that
    shares most voxels with it, of several the smallest. If one covers more than half of a
    reference object, as SEG asks, it is that; but objects that are missed have a match too,
    which tells how far they are from being found (`overlap`).

    Args:
        reference: label map taken as the standard: NumPy, JAX, anything with DLPack.
        prediction: label map to be judged, of the same shape.
        spacing: voxel size along each array axis; default 1.
        labels: objects to look at, others being background; None for all.
        ignore: label of the reference whose voxels are not counted.
        valid: mask of the voxels that are counted; all by default.
        relabel: take each connected piece of a label as an object; they are numbered anew.

    Raises:
        InputError: if the input cannot be scored; see `segjax.case.make_case`.

    Example:
        >>> import numpy as np
        >>> reference = np.array([[1, 1, 1, 0, 4, 4]])
        >>> prediction = np.array([[0, 7, 7, 7, 0, 0]])
        >>> print(object_table(reference=reference, prediction=prediction).to_csv())
        side,label,kind,match,overlap,iou,voxels,size,pieces,centroid-0,centroid-1
        reference,1,accurate,7,0.6666666666666666,0.5,3,3.0,1,0.0,1.0
        reference,4,missed,0,0.0,0.0,2,2.0,1,0.0,4.5
        prediction,7,accurate,1,0.6666666666666666,0.5,3,3.0,1,0.0,2.0
        <BLANKLINE>
    """
    case = make_case(
        reference=reference,
        prediction=prediction,
        spacing=spacing,
        labels=labels,
        ignore=ignore,
        valid=valid,
        relabel=relabel,
    )
    return tell_objects(case, find_segments(case))


def tell_objects(case: Case, found: Segments) -> ObjectTable:
    """`object_table` of a case whose segments are found."""
    case = case.objects
    t, order = found.contingency, -1 if case.turned else 1
    kinds, sums = matching.kinds(t), sum_indices(case, found)
    there, back = matching.by_overlap(t), matching.by_overlap_back(t)
    shared = lambda chosen: np.where(chosen, t.counts, 0)
    own = [x.astype(np.uint64) for x in (found.reference_labels, found.prediction_labels)]
    sizes = (t.reference_sizes, t.prediction_sizes)
    partners = (matching.partners(t, there), matching.partners_back(t, back))
    shares = (t.over_reference(shared(there), "max"), t.over_prediction(shared(back), "max"))
    objects = [np.flatnonzero(code) for code in kinds]
    joined = lambda parts: np.concatenate([x[o] for x, o in zip(parts, objects, strict=True)])
    met = [(x[n] * (n > 0)) for x, n in zip(sizes[::-1], partners, strict=True)]
    voxels, share = joined(sizes), joined(shares)
    pieces = [_pieces(x, k) for x, k in zip((case.reference, case.prediction), own, strict=True)]
    return ObjectTable(
        in_reference=np.repeat([True, False], [o.size for o in objects]),
        label=_as_labels(joined(own)),
        code=joined(kinds),
        match=_as_labels(joined([x[n] for x, n in zip(own[::-1], partners, strict=True)])),
        shared=share,
        union=voxels + joined(met) - share,
        voxels=voxels,
        pieces=joined(pieces),
        index_sums=joined(sums)[:, ::order],
        spacing=case.spacing[::order],
    )


def _pieces(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many connected parts each of the labels has."""
    if labels.ndim > 3 or not labels.size:
        return np.zeros(wanted.size, np.int64)
    there, count = components.pieces(labels)
    place = np.minimum(np.searchsorted(there, wanted), max(there.size - 1, 0))
    found = there[place] == wanted if there.size else np.zeros(wanted.size, bool)
    return np.where(found, count[place] if there.size else 0, 0)


def error_map(
    *,
    reference: Any,
    prediction: Any,
    labels: Labels = None,
    ignore: int | None = None,
    valid: Any = None,
    relabel: bool = False,
) -> np.ndarray:
    """Image of what becomes of each object: 0 background, else a value of `matching.KINDS`.

    1 accurate, 2 missed, 3 spurious, 4 merged, 5 split (see `matching.kinds`). All voxels of an
    object are of its kind; where an object of the reference and a predicted one lie on each
    other, of the reference's.

    Args:
        reference: label map taken as the standard: NumPy, JAX, anything with DLPack.
        prediction: label map to be judged, of the same shape.
        labels: objects to look at, others being background; None for all.
        ignore: label of the reference whose voxels are not counted, and 0 in the image.
        valid: mask of the voxels that are counted, the others being 0; all by default.
        relabel: take each connected piece of a label as an object.

    Raises:
        InputError: if the input cannot be scored; see `segjax.case.make_case`.

    Example:
        >>> import numpy as np
        >>> reference = np.array([[1, 1, 1, 0, 4, 4]])
        >>> prediction = np.array([[0, 7, 7, 7, 0, 0]])
        >>> error_map(reference=reference, prediction=prediction)
        array([[1, 1, 1, 1, 2, 2]], dtype=uint8)
    """
    case = make_case(
        reference=reference,
        prediction=prediction,
        labels=labels,
        ignore=ignore,
        valid=valid,
        relabel=relabel,
    ).objects
    found = find_segments(case)
    kinds = [code.astype(np.uint8) for code in matching.kinds(found.contingency)]
    own = (found.reference_labels, found.prediction_labels)
    image = np.empty(case.size, np.uint8)
    for start, *both, kept in stretches(case):
        r, p = (code[numbers_of(k, x)] for code, k, x in zip(kinds, own, both, strict=True))
        painted = np.where(r > 0, r, p)
        image[start : start + r.size] = painted if kept is None else painted * kept
    image = image.reshape(case.reference.shape)
    return image.T if case.turned else image


def kind_map(
    *,
    reference: Integer[Array, "..."],
    prediction: Integer[Array, "..."],
    number: int,
    valid: Bool[Array, "..."] | None = None,
) -> UInt8[Array, "..."]:
    """`error_map` for `jit` and `vmap`; pure.

    Args:
        reference: objects 1 to `number`; what is beyond is background.
        prediction: objects 1 to `number`, of the same shape.
        number: of objects, at most, in either map; fixed while tracing.
        valid: voxels that count, the others being 0; all by default.

    Raises:
        InputError: if the shapes differ.
    """
    table = contingency(
        reference=reference,
        prediction=prediction,
        num_reference=number + 1,
        num_prediction=number + 1,
        valid=valid,
    )

    def paint(code: Any, labels: Any) -> Any:
        inside = jnp.where((labels > 0) & (labels <= number), labels, 0).astype(jnp.uint32)
        return code.astype(jnp.uint8).at[inside].get(mode="promise_in_bounds")

    r, p = map(paint, matching.kinds(table), (reference, prediction))
    painted = jnp.where(r > 0, r, p)
    return painted if valid is None else jnp.where(valid, painted, 0)


def _as_labels(values: Any) -> np.ndarray:
    """Labels of any width in one type: signed, unless one needs all 64 bits."""
    labels = np.asarray(values, np.uint64)
    return labels if labels.max(initial=0) > np.iinfo(np.int64).max else labels.astype(np.int64)
