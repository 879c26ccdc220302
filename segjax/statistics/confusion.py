"""Voxel counts of agreement and disagreement about labels."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Num, UInt32

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
# and reducing bytes is what costs; the device counts words.

_SLAB = 2**20  # voxels packed at a time: they stay in cache, and packing overlaps counting
_FEWEST_WORDS = 2**10
_MOST_PLANES = 7  # beyond 127 labels one histogram is cheaper


@jax.jit
def _count_codes(
    reference: UInt32[Array, "plane word"],
    prediction: UInt32[Array, "plane word"],
    codes: Int[Array, " code"],
) -> Int[Array, "code 3"]:
    def one(code: Int[Array, ""]) -> Int[Array, " 3"]:
        r, p = packing.where_code(reference, code), packing.where_code(prediction, code)
        return jnp.stack([packing.popcount(r & p), packing.popcount(r), packing.popcount(p)])

    return jax.lax.map(one, codes)


@jax.jit
def _count_masks(
    reference: UInt32[Array, "case word"], prediction: UInt32[Array, "case word"]
) -> Int[Array, "3 case"]:
    return jnp.stack([packing.popcount(x) for x in (reference & prediction, reference, prediction)])


def count_masks(
    *, reference: Bool[np.ndarray, "case *space"], prediction: Bool[np.ndarray, "case *space"]
) -> Confusion:
    """Confusions of a stack of masks in host memory; int64 counts of shape (case,)."""
    check_same_grid(reference, prediction)
    voxels = reference[0].size if len(reference) else 0
    packed = packing.pack_masks(reference), packing.pack_masks(prediction)
    if counts_on_host():
        r, p = packed
        tp, r, p = (packing.popcount_on_host(x) for x in (r & p, r, p))
    else:
        tp, r, p = np.asarray(_count_masks(*jax.device_put(packed))).astype(np.int64)
    return from_sizes(tp, r, p, voxels)


def count_labels(case: Case) -> Confusion:
    """One confusion per label of a case in host memory; int64 counts of shape (label,).

    Exact at any size: slabs of the volume are counted in int32 and summed in int64.
    """
    codes = len(case.labels)
    few = packing.plane_count(codes) <= _MOST_PLANES
    counter = _packed_counts(codes) if few else _histograms(codes)
    voxels, pending = 0, []
    for start in range(0, case.size, _SLAB):
        part = slice(start, start + _SLAB)
        r, p, dropped = encode(case, part)
        voxels += r.size - dropped
        pending.append(counter(r, p))
    counts = np.zeros((codes, 3), np.int64)
    for part in pending:  # only now wait for the device
        counts += np.asarray(part)[:codes]
    tp, r, p = counts.T
    return from_sizes(tp, r, p, voxels)


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


def _packed_counts(codes: int) -> Any:
    planes = packing.plane_count(codes)
    wanted = np.arange(1, 1 + packing.bucket(codes, smallest=1, steps=4), dtype=np.int32)

    def count(r: np.ndarray, p: np.ndarray) -> Any:
        words = -(-r.size // 32)
        if counts_on_host():
            words += words % 2  # counted in pairs
            return packing.count_codes_on_host(
                packing.pack(r, planes, words), packing.pack(p, planes, words), codes
            )
        words = packing.bucket(words, smallest=_FEWEST_WORDS)
        packed = packing.pack(r, planes, words), packing.pack(p, planes, words)
        return _count_codes(*jax.device_put(packed), wanted)

    return count


def _histograms(codes: int) -> Any:
    """Many labels: three passes of additions, whatever their number (NumPy's are faster)."""
    size = lambda x: np.bincount(x, minlength=codes + 1)[1:]
    return lambda r, p: np.stack([size(r[r == p]), size(r), size(p)], -1)
