"""One case: a reference and a prediction on the same grid, checked before any device work."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from segjax._errors import InputError


# "foreground", or labels; one length per axis, or one for all. Checked here, so loosely typed.
Labels: TypeAlias = Sequence[int] | str | None
Spacing: TypeAlias = Sequence[float | int] | float | int | None

SURFACES = ("voxel", "surfel", "mesh")
_FEW = 127  # so many labels are counted faster than looked for


@dataclass(frozen=True, kw_only=True)
class Case:
    """A reference and a predicted label map of the same image; build with `make_case`.

    Attributes:
        reference: label map taken as the standard: integers or bool, 0 is background.
        prediction: label map to be judged, of the same shape; or probabilities of the label
            of a reference that is a mask, which are counted as a mask from one half up.
        spacing: voxel size along each array axis.
        most: no label of either map is greater.
        wanted: labels to score, None for those that occur.
        foreground: all that is not background counts as one label, 1.
        ignore: label of the reference whose voxels are not counted.
        valid: mask of the voxels that are counted; None for all.
        surface: what a surface is made of, one of `SURFACES`.
        relabel: objects in several pieces are as many objects; see `objects`.
        turned: the axes are in the reverse of the order that was given.
    """

    reference: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, ...]
    most: int
    wanted: tuple[int, ...] | None = None
    foreground: bool = False
    ignore: int | None = None
    valid: np.ndarray | None = None
    surface: str = "voxel"
    relabel: bool = False
    turned: bool = False

    @property
    def size(self) -> int:
        return self.reference.size

    @property
    def voxel_volume(self) -> float:
        return math.prod(self.spacing)

    @cached_property
    def objects(self) -> "Case":
        """The case whose labels are its objects: itself, unless they are to be told apart."""
        if not self.relabel:
            return self
        from segjax.ops.components import components  # what needs no objects needs no JAX

        valid, sides = self.valid, [self.reference, self.prediction]
        if self.ignore is not None:
            kept = self.reference != self.ignore
            valid = kept if valid is None else kept & valid
        if self.wanted is not None and not self.foreground:
            sides = [np.where(np.isin(x, self.wanted), x, 0) for x in sides]
        (r, r_count), (p, p_count) = map(components, sides)
        return replace(
            self,
            reference=r,
            prediction=p,
            most=max(r_count, p_count),
            wanted=None,
            ignore=None,
            valid=valid,
            relabel=False,
        )

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """Labels to count, ascending unless asked for in another order; some may be absent.

        Never empty: an empty image is an empty mask of label 1.
        """
        if self.wanted is not None:
            return self.wanted
        if self.most <= _FEW:
            found = range(1, self.most + 1)
        else:
            found = np.union1d(distinct(self.reference), distinct(self.prediction))
        return tuple(int(k) for k in found if k not in (0, self.ignore)) or (1,)


def make_case(
    *,
    reference: Any,
    prediction: Any,
    spacing: Spacing = None,
    labels: Labels = None,
    ignore: int | None = None,
    valid: Any = None,
    surface: str = "voxel",
    relabel: bool = False,
    probabilities: bool = False,
) -> Case:
    """Check a pair of label maps and build a case.

    Args:
        reference: label map taken as the standard: NumPy, JAX, anything with DLPack.
        prediction: label map to be judged, of the same shape.
        spacing: voxel size along each array axis; one number for all axes; default 1.
        labels: labels to score; None for those that occur; "foreground" takes everything
            that is not background as one label (metrics of objects still see the objects).
        ignore: label of the reference whose voxels are not counted.
        valid: mask of the voxels that are counted; all by default.
        surface: of boundary metrics: "voxel" takes the voxels with a face neighbour outside,
            each counting alike (MONAI, medpy, Metrics Reloaded); "surfel" the patches between
            voxels, weighing by length or area (DeepMind's surface-distance); "mesh" moves
            these patches to where the surface is likely to lie, nearest to the truth.
        relabel: to metrics of objects and partitions each connected piece of a label is one
            object, neighbours touching at least by a corner. By default a label is one object,
            however many pieces it has.
        probabilities: a prediction of floats holds probabilities of the labels wanted, taken
            as one foreground, against the rest.

    Raises:
        InputError: if the shapes differ, a label is negative or not a whole number, a
            probability is not from 0 to 1, or `spacing` is not one positive number per axis.
    """
    r = as_labels(reference, "reference")
    p = (as_probabilities if probabilities else as_labels)(prediction, "prediction")
    check_same_grid(r, p)
    if valid is not None:
        valid = as_host(valid).astype(bool)
        if valid.shape != r.shape:
            raise InputError(f"valid has shape {valid.shape}, the label maps have {r.shape}")
    if ignore is not None and r.dtype == np.bool_:
        raise InputError("a boolean mask has no label to ignore; pass valid= instead")
    check_surface(surface)
    foreground = isinstance(labels, str)
    if foreground:
        if labels != "foreground":
            raise InputError(f'labels must be integers or "foreground", got {labels!r}')
        labels = (1,)
    wanted = None if labels is None else check_labels(labels, None if foreground else ignore)
    most = max(_greatest(r, "reference"), _greatest(p, "prediction"))
    if probabilities and labels is None and p.dtype.kind in "iu" and distinct(p[p != 0]).size > 1:
        raise InputError(
            "prediction holds integers, which are labels, of several kinds; divide probabilities "
            'by the greatest value (x / 255), or name the foreground: labels=(1,), "foreground"'
        )
    if r.dtype != p.dtype and np.bool_ in (r.dtype, p.dtype):
        r, p = (x.view(np.uint8) if x.dtype == np.bool_ else x for x in (r, p))
    turned = all(x.flags.f_contiguous and not x.flags.c_contiguous for x in (r, p))
    turned &= valid is None
    if turned:
        r, p, spacing = r.T, p.T, _reversed(spacing)  # voxels in memory order: no copies later
    case = Case(
        reference=r,
        prediction=p,
        spacing=check_spacing(spacing, r.ndim),
        most=most,
        wanted=wanted,
        foreground=foreground,
        ignore=ignore,
        valid=valid,
        surface=surface,
        relabel=relabel,
        turned=turned,
    )
    return one_foreground(case) if p.dtype.kind == "f" else case


def check_same_grid(reference: Any, prediction: Any) -> None:
    """Raise `InputError` if two arrays differ in shape; nothing is broadcast."""
    if reference.shape != prediction.shape:
        raise InputError(
            f"reference and prediction must have the same shape, got {reference.shape} and "
            f"{prediction.shape}; resample the prediction to the grid of the reference first"
        )


def check_surface(surface: str) -> None:
    """Raise `InputError` if there is no such kind of surface."""
    if surface not in SURFACES:
        raise InputError(f"surface must be one of {', '.join(SURFACES)}, got {surface!r}")


def as_host(array: Any) -> np.ndarray:
    """Bring an array of any library to the host, without a copy where it is there already."""
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "__array__") or not hasattr(array, "__dlpack__"):
        return np.asarray(array)
    return np.from_dlpack(array)


def as_labels(array: Any, name: str) -> np.ndarray:
    """Check one label map.

    Raises:
        InputError: naming `name`, if the map holds fractions or is no image.
    """
    labels = as_host(array)
    if not labels.dtype.isnative:
        labels = labels.astype(labels.dtype.newbyteorder("="))
    if labels.ndim == 0:
        raise InputError(f"{name} is a single number, not an image")
    if labels.dtype == np.bool_:
        return labels
    if labels.dtype.kind == "f":
        return _whole_numbers(labels, name)
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integers or booleans, got {labels.dtype}")
    return labels


def as_probabilities(array: Any, name: str) -> np.ndarray:
    """Check probabilities, one a voxel; integers and booleans are checked as labels.

    Raises:
        InputError: naming `name`, if a value is not from 0 to 1, or the array is no image.
    """
    values = as_host(array)
    if values.dtype.kind != "f" or values.ndim == 0:
        return as_labels(values, name)
    # NaN is neither the least nor the greatest, and compares as false.
    if not (values.min(initial=0) >= 0 and values.max(initial=1) <= 1):
        odd = values[~((values >= 0) & (values <= 1))].flat[0]
        raise InputError(
            f"{name} holds {odd}, which is no probability from 0 to 1; apply a sigmoid to logits, "
            "or mend the values that are not finite"
        )
    kind = values.dtype.newbyteorder("=")
    return values.astype(kind if kind.itemsize <= 8 else float, copy=False)


def _greatest(labels: np.ndarray, name: str) -> int:
    """The greatest label, having made sure in the same pass that none is negative."""
    if labels.dtype.kind != "i":
        return int(labels.max(initial=0))
    unsigned = int(labels.view(labels.dtype.str.replace("i", "u")).max(initial=0))
    if unsigned > np.iinfo(labels.dtype).max:
        raise InputError(
            f"{name} has the negative label {labels.min()}; labels are 0 (background) and up"
        )
    return unsigned


def _whole_numbers(values: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        odd = values[~np.isfinite(values) | (values != np.rint(values))].flat[0]
        raise InputError(
            f"{name} holds {odd}, which is no label; threshold probabilities first (x > 0.5); "
            "segjax.evaluate takes them for metrics of probabilities alone (brier, ece, auroc ...)"
        )
    if values.size and (values.min() < 0 or values.max() >= 2**53):
        raise InputError(f"{name} has labels outside 0 ... 2**53; store them as integers")
    warnings.warn(f"{name} is {values.dtype}; its whole numbers are read as labels", stacklevel=4)
    return values.astype(np.int64)


def check_spacing(spacing: Spacing, ndim: int) -> tuple[float, ...]:
    """One positive number per axis.

    Raises:
        InputError: if it is not.
    """
    if spacing is None:
        return (1.0,) * ndim
    values = np.atleast_1d(np.asarray(spacing, float))
    if values.size == 1:
        values = np.repeat(values, ndim)
    if values.shape != (ndim,):
        raise InputError(
            f"spacing has {values.size} numbers, the image has {ndim} axes; "
            "give one number per array axis"
        )
    if not (np.isfinite(values) & (values > 0)).all():
        raise InputError(f"spacing must be positive, got {tuple(values.tolist())}")
    return tuple(values.tolist())


def _reversed(spacing: Any) -> Any:
    return spacing if spacing is None or np.ndim(spacing) == 0 else tuple(spacing)[::-1]


def check_labels(labels: Sequence[int], ignore: int | None) -> tuple[int, ...]:
    """Different labels from 0 up.

    Raises:
        InputError: if they are not, or one of them is to be ignored.
    """
    wanted = tuple(int(k) for k in labels)
    if len(set(wanted)) != len(wanted) or any(k < 0 for k in wanted) or not wanted:
        raise InputError(f"labels must be different integers from 0 up, got {list(labels)}")
    if ignore in wanted:
        raise InputError(f"label {ignore} is both wanted and ignored; drop it from labels")
    return wanted


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Physical diagonal of an image: what a distance is worth that has nothing to reach."""
    return math.hypot(*(n * s for n, s in zip(shape, spacing, strict=True)))


def kept_voxels(case: Case) -> np.ndarray | None:
    """Mask of the voxels that are not ignored; None for all."""
    if case.ignore is None:
        return case.valid
    there = case.reference != case.ignore
    return there if case.valid is None else there & case.valid


def one_foreground(case: Case) -> Case:
    """Take the wanted labels of a case as one mask, and what counts as another.

    Probabilities are left as they are.
    """

    def mark(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind == "f":
            return x
        if case.foreground or case.wanted is None:
            return x != 0
        return x == case.wanted[0] if len(case.wanted) == 1 else np.isin(x, case.wanted)

    return replace(
        case,
        reference=mark(case.reference),
        prediction=mark(case.prediction),
        most=1,
        wanted=(1,),
        foreground=False,
        ignore=None,
        valid=kept_voxels(case),
    )


def distinct(labels: np.ndarray) -> np.ndarray:
    """Sorted labels of a map; only where a run of equal voxels starts is looked at."""
    flat = labels.reshape(-1)
    starts = flat[1:][flat[1:] != flat[:-1]]
    return np.unique(np.concatenate([flat[:1], starts]))


def encode(case: Case, part: slice) -> tuple[np.ndarray, np.ndarray, int]:
    """Recode a stretch of voxels: label number i of the case becomes i + 1, all else 0.

    Returns:
        Codes of the reference and of the prediction (bool, or unsigned, as small as they
        fit), and how many voxels of the stretch are not to be counted (their codes are 0).
    """
    r, p = case.reference.reshape(-1)[part], case.prediction.reshape(-1)[part]
    kept = None if case.valid is None else case.valid.reshape(-1)[part]
    if case.ignore is not None:
        kept = r != case.ignore if kept is None else kept & (r != case.ignore)
    if case.foreground:
        r, p = r != 0, p != 0
    r, p = _recode(r, case), _recode(p, case)
    if kept is None:
        return r, p, 0
    return r * kept, p * kept, r.size - int(np.count_nonzero(kept))


def _recode(x: np.ndarray, case: Case) -> np.ndarray:
    if x.dtype.kind == "f":
        x = x >= 0.5
    labels, most = case.labels, case.most
    if x.dtype == np.bool_ and labels == (1,):
        return x
    count = len(labels)
    small = np.min_scalar_type(count)
    if labels == tuple(range(1, count + 1)):
        if most > count:
            x = np.where(x <= count, x, 0)
        return x.astype(small, copy=False)
    if most < 2**16:
        table = np.zeros(most + 1, small)
        for code, label in enumerate(labels, start=1):
            if label <= most:
                table[label] = code
        return table[x.view(np.uint8) if x.dtype == np.bool_ else x]
    # Unsigned both: of mixed signs they would be compared as floats, not exact from 2**53.
    wanted, x = np.asarray(labels, np.uint64), x.astype(np.uint64, copy=False)
    order = np.argsort(wanted)
    place = np.minimum(np.searchsorted(wanted[order], x), count - 1)
    code = (order[place] + 1).astype(small)
    return np.where(wanted[order][place] == x, code, small.type(0))
