"""Voxel counts of agreement and disagreement about labels."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int64, Integer, Num, UInt32

from segjax import _devices
from segjax._compiling import counts_on_host
from segjax._errors import InputError
from segjax._numerics import AnyArray
from segjax.case import Case, check_same_grid, encode
from segjax.ops import packing


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Confusion:
    """True/false positives/negatives; hard counts are integers, soft ones floats.

    Every overlap metric is a function of these four numbers alone. Leading axes are free:
    one `Confusion` may hold all labels (last axis) of all cases.
    """

    tp: Num[AnyArray, "*batch"]
    fp: Num[AnyArray, "*batch"]
    fn: Num[AnyArray, "*batch"]
    tn: Num[AnyArray, "*batch"]

    def __add__(self, other: "Confusion") -> "Confusion":
        return jax.tree.map(operator.add, self, other)

    @property
    def reference_size(self) -> Num[AnyArray, "*batch"]:
        return self.tp + self.fn

    @property
    def prediction_size(self) -> Num[AnyArray, "*batch"]:
        return self.tp + self.fp


class Foreground(Confusion):
    """Confusion of everything that is not background, whatever its label."""


class Scribbles(Confusion):
    """Confusion with a sparse annotation: 0 = unknown (not counted), 1 = negative, 2 = positive."""


for _kind in (Foreground, Scribbles):
    jax.tree_util.register_dataclass(
        _kind, data_fields=["tp", "fp", "fn", "tn"], meta_fields=[], drop_fields=[]
    )


def from_sizes(tp: Any, reference: Any, prediction: Any, total: Any) -> Confusion:
    """From the true positives and the sizes of reference, prediction and image."""
    fp, fn = prediction - tp, reference - tp
    return Confusion(tp=tp, fp=fp, fn=fn, tn=total - tp - fp - fn)


def confusion(
    *,
    reference: Bool[Array, "..."],
    prediction: Bool[Array, "..."],
    valid: Bool[Array, "..."] | None = None,
) -> Confusion:
    """Count agreement of two masks of one case; pure, for `jit`, `vmap` and sharding.

    Args:
        reference: mask taken as the standard.
        prediction: mask to be judged, of the same shape.
        valid: voxels that count; all by default.

    Returns:
        Four int32 scalars: at most 2**31 - 1 voxels, so a 1024^3 volume fits.

    Raises:
        ValueError: if the shapes differ.
    """
    check_same_grid(reference, prediction)
    total: Any = reference.size
    if valid is not None:
        reference, prediction, total = reference & valid, prediction & valid, packing.count(valid)
    tp = packing.count(reference & prediction)
    return from_sizes(tp, packing.count(reference), packing.count(prediction), total)


def label_confusion(
    *,
    reference: Integer[Array, "..."],
    prediction: Integer[Array, "..."],
    labels: Sequence[int],
    valid: Bool[Array, "..."] | None = None,
) -> Confusion:
    """One confusion per label of two label maps of one case; pure, for `jit` and `vmap`.

    Args:
        reference: label map taken as the standard.
        prediction: label map to be judged, of the same shape.
        labels: the labels to count, fixed while tracing.
        valid: voxels that count; all by default.

    Returns:
        int32 counts with one trailing axis, over `labels`.

    Raises:
        ValueError: if the shapes differ.
    """
    check_same_grid(reference, prediction)

    def one(label: Int[Array, ""]) -> Confusion:
        return confusion(reference=reference == label, prediction=prediction == label, valid=valid)

    # Not in the maps' own type, where label 300 of a uint8 map would be 44.
    return jax.lax.map(one, jnp.asarray(labels, jnp.int32))


def soft_confusion(
    *,
    reference: Num[Array, "*space label"] | Bool[Array, "*space label"],
    probability: Float[Array, "*space label"],
    valid: Bool[Array, "..."] | None = None,
) -> Confusion:
    """Expected counts if each voxel were drawn from its predicted probability.

    Differentiable: `1 - overlap.dice(soft_confusion(...))` is the soft Dice loss.

    Args:
        reference: one-hot or soft labels.
        probability: predicted probabilities, of the same shape.
        valid: voxels that count, of shape `space`; all by default.
    """
    r, p = reference.astype(probability.dtype), probability
    weight = jnp.ones((*r.shape[:-1], 1), r.dtype) if valid is None else valid[..., None]
    total = lambda x: jnp.sum(x * weight, axis=tuple(range(r.ndim - 1)))
    return Confusion(
        tp=total(r * p), fp=total((1 - r) * p), fn=total(r * (1 - p)), tn=total((1 - r) * (1 - p))
    )


def pooled(counts: Confusion, axis: int = -1) -> Confusion:
    """Sum over labels (or cases): metrics of the sum are "micro" averages."""
    return jax.tree.map(lambda x: x.sum(axis), counts)


def with_prior(counts: Confusion, prior: float) -> Confusion:
    """Add `prior` imagined true positives, so that no ratio is 0/0 ("smoothing")."""
    return replace(counts, tp=counts.tp + prior)


# Below: from the host. Maps are recoded and packed there, 32 voxels a word, because moving
# and reducing bytes is what costs. NumPy counts the words where the device is the CPU itself;
# else all devices of this host do, of many small cases or of parts of a large one.

_SLAB = 2**20  # voxels packed at a time: they stay in cache, and packing overlaps counting
_BLOCK = 2**22  # voxels of masks of cases packed at a time: as bits they stay in cache
_FEWEST_WORDS = 2**10
_MOST_PLANES = 7  # beyond 127 labels one histogram is cheaper


def _count_codes(
    reference: UInt32[Array, "slab plane word"],
    prediction: UInt32[Array, "slab plane word"],
    codes: Int[Array, " code"],
) -> Int[Array, "slab code 3"]:
    def one(r: Any, p: Any, code: Any) -> Int[Array, " 3"]:
        r, p = packing.where_code(r, code), packing.where_code(p, code)
        return jnp.stack([packing.popcount(r & p), packing.popcount(r), packing.popcount(p)])

    of_slabs = jax.vmap(one, in_axes=(0, 0, None))
    return jax.lax.map(lambda code: of_slabs(reference, prediction, code), codes).swapaxes(0, 1)


def _count_masks(
    reference: UInt32[Array, "case word"], prediction: UInt32[Array, "case word"]
) -> Int[Array, "case 3"]:
    words = reference & prediction, reference, prediction
    return jnp.stack([packing.popcount(x) for x in words], -1)


@lru_cache(maxsize=16)
def _spread(count: Any, shared: tuple[bool, ...], devices: _devices.Devices) -> _devices.Spread:
    return _devices.Spread(count, shared, devices)


def count_masks(
    *, reference: Bool[np.ndarray, "case *space"], prediction: Bool[np.ndarray, "case *space"]
) -> Confusion:
    """Confusions of a stack of masks in host memory; int64 counts of shape (case,)."""
    check_same_grid(reference, prediction)
    voxels = reference[0].size if len(reference) else 0
    if counts_on_host():
        few = max(1, _BLOCK // max(1, voxels))
        parts = [
            _count_on_host(reference[i : i + few], prediction[i : i + few])
            for i in range(0, max(1, len(reference)), few)
        ]
        tp, r, p = np.concatenate(parts, axis=1)
    else:
        packed = packing.pack_masks(reference), packing.pack_masks(prediction)
        devices = _devices.own_devices()
        room = (0, _devices.even(len(reference), devices) - len(reference)), (0, 0)
        counted = _spread(_count_masks, (True, True), devices)(*(np.pad(x, room) for x in packed))
        tp, r, p = np.asarray(counted)[: len(reference)].T.astype(np.int64)
    return from_sizes(tp, r, p, voxels)


def _count_on_host(
    reference: Bool[np.ndarray, "case *space"], prediction: Bool[np.ndarray, "case *space"]
) -> Int64[np.ndarray, "3 case"]:
    r, p = packing.pack_masks(reference), packing.pack_masks(prediction)
    return np.stack([packing.popcount_on_host(x) for x in (r & p, r, p)])


def count_labels(case: Case) -> Confusion:
    """One confusion per label of a case in host memory; int64 counts of shape (label,).

    Exact at any size: slabs of the volume are counted in int32 and summed in int64.
    """
    c = count_many_labels([case])
    return Confusion(tp=c.tp[0], fp=c.fp[0], fn=c.fn[0], tn=c.tn[0])


def count_many_labels(cases: Sequence[Case]) -> Confusion:
    """As `count_labels`, of cases with as many labels; counts of shape (case, label)."""
    codes = len(cases[0].labels)
    few = packing.plane_count(codes) <= _MOST_PLANES
    voxels = np.zeros((len(cases), 1), np.int64)
    counts = np.zeros((len(cases), codes, 3), np.int64)
    if few and not counts_on_host():
        _add_from_devices(cases, voxels, counts)
    else:
        count = _counts_on_host(codes) if few else _histograms(codes)
        for slab in _slabs(cases):
            voxels[slab.case] += slab.voxels
            counts[slab.case] += count(slab)
    tp, r, p = counts[..., 0], counts[..., 1], counts[..., 2]
    return from_sizes(tp, r, p, voxels)


def _add_from_devices(
    cases: Sequence[Case],
    voxels: Int64[np.ndarray, "case 1"],
    counts: Int64[np.ndarray, "case _ 3"],
) -> None:
    devices = _devices.own_devices()
    count, pending = _counts_on_devices(counts.shape[1], devices), []
    for slabs in _groups(_slabs(cases), _SLAB * len(devices)):
        of = [slab.case for slab in slabs]
        np.add.at(voxels, of, [[slab.voxels] for slab in slabs])
        pending.append((of, count(slabs)))
    for of, part in pending:  # only now wait for the devices
        np.add.at(counts, of, np.asarray(part)[: len(of), : counts.shape[1]])


def count_foreground(case: Case) -> Foreground:
    """Confusion of all that is not background, of a case in host memory."""
    whole = replace(case, wanted=(1,), foreground=True)
    return as_kind(Foreground, pooled(count_labels(whole)))


def count_scribbles(case: Case) -> Scribbles:
    """Confusion over the annotated voxels of a case in host memory; see `Scribbles`.

    Raises:
        InputError: if the reference is not an annotation of 0, 1 and 2.
    """
    if case.reference.dtype == np.bool_ or case.reference.max(initial=0) > 2:
        raise InputError(
            "jaccard_binary_sparse needs an annotation of 0 (unknown), 1 (negative) and "
            "2 (positive) as the reference"
        )
    known = case.reference > 0
    known = known if case.valid is None else known & case.valid
    positive = replace(
        case, reference=case.reference == 2, wanted=(1,), foreground=True, valid=known
    )
    return as_kind(Scribbles, pooled(count_labels(positive)))


def as_kind(kind: Any, c: Confusion) -> Any:
    """The same counts by another name."""
    return kind(tp=c.tp, fp=c.fp, fn=c.fn, tn=c.tn)


class _Slab(NamedTuple):
    """Codes of a stretch of a case, by the case's number; how many voxels of it count."""

    case: int
    reference: np.ndarray
    prediction: np.ndarray
    voxels: int


def _slabs(cases: Sequence[Case]) -> Iterator[_Slab]:
    for i, case in enumerate(cases):
        for start in range(0, case.size, _SLAB):
            r, p, dropped = encode(case, slice(start, start + _SLAB))
            yield _Slab(i, r, p, r.size - dropped)


def _groups(slabs: Iterator[_Slab], most: int) -> Iterator[list[_Slab]]:
    """Slabs that are counted at once: at least one, else at most so many voxels."""
    group: list[_Slab] = []
    longest = 0
    for slab in slabs:
        longest = max(longest, slab.reference.size)
        if group and longest * (len(group) + 1) > most:
            yield group
            group, longest = [], slab.reference.size
        group.append(slab)
    if group:
        yield group


def _counts_on_devices(codes: int, devices: _devices.Devices) -> Any:
    planes = packing.plane_count(codes)
    wanted = np.arange(1, 1 + packing.bucket(codes, smallest=1, steps=4), dtype=np.int32)
    counted = _spread(_count_codes, (True, True, False), devices)

    def count(slabs: Sequence[_Slab]) -> Any:
        longest = max(slab.reference.size for slab in slabs)
        words = packing.bucket(-(-longest // 32), smallest=_FEWEST_WORDS)
        size = _devices.even(packing.bucket(len(slabs), smallest=1), devices)
        packed = np.zeros((2, size, planes, words), np.uint32)
        for i, slab in enumerate(slabs):
            packed[0, i] = packing.pack(slab.reference, planes, words)
            packed[1, i] = packing.pack(slab.prediction, planes, words)
        return counted(*packed, wanted)

    return count


def _counts_on_host(codes: int) -> Any:
    planes = packing.plane_count(codes)

    def count(slab: _Slab) -> np.ndarray:
        words = -(-slab.reference.size // 64) * 2  # counted in pairs
        r, p = (packing.pack(x, planes, words) for x in (slab.reference, slab.prediction))
        return packing.count_codes_on_host(r, p, codes)

    return count


def _histograms(codes: int) -> Any:
    """Many labels: three passes of additions, whatever their number (NumPy's are faster)."""
    size = lambda x: np.bincount(x, minlength=codes + 1)[1:]

    def count(slab: _Slab) -> np.ndarray:
        r, p = slab.reference, slab.prediction
        return np.stack([size(r[r == p]), size(r), size(p)], -1)

    return count
