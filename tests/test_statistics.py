"""Counting: exact, whatever the dtype, the layout and the size."""

import sys
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from segjax.case import make_case
from segjax.ops import packing
from segjax.statistics import (
    Confusion,
    confusion,
    contingency,
    count_labels,
    count_masks,
    count_matrix,
    count_segments,
    label_confusion,
    segments,
)
from tests.images import SHAPES, corner_cases, label_maps, masks
from tests.reference.overlap import counts as counted


def numbers(c):
    return [np.asarray(x).tolist() for x in (c.tp, c.fp, c.fn, c.tn)]


def per_label(reference, prediction, labels):
    rows = [counted(reference == k, prediction == k) for k in labels]
    return [list(column) for column in zip(*rows, strict=True)]


# Masks.


@pytest.mark.parametrize("shape", [*SHAPES, (64, 130), (3, 70, 70)])
def test_masks_are_counted_under_jit(shape, rng):
    reference, prediction = masks(rng, shape)
    c = jax.jit(lambda r, p: confusion(reference=r, prediction=p))(reference, prediction)
    assert numbers(c) == list(counted(reference, prediction))
    assert c.tp.dtype == jnp.int32


@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases())
def test_masks_are_counted_at_the_corners(name, reference, prediction):
    c = confusion(reference=jnp.array(reference), prediction=jnp.array(prediction))
    assert numbers(c) == list(counted(reference, prediction))


def test_masks_are_counted_under_vmap(rng, counting):
    reference, prediction = masks(rng, (5, 40, 33))
    c = jax.vmap(lambda r, p: confusion(reference=r, prediction=p))(reference, prediction)
    expected = [counted(r, p) for r, p in zip(reference, prediction, strict=True)]
    assert numbers(c) == [list(x) for x in zip(*expected, strict=True)]
    assert numbers(count_masks(reference=reference, prediction=prediction)) == numbers(c)


def test_only_valid_voxels_are_counted(rng, counting):
    reference, prediction = masks(rng, (6, 5))
    valid = rng.random((6, 5)) < 0.7
    c = confusion(
        reference=jnp.array(reference), prediction=jnp.array(prediction), valid=jnp.array(valid)
    )
    assert numbers(c) == list(counted(reference[valid], prediction[valid]))
    case = make_case(reference=reference, prediction=prediction, valid=valid)
    assert [x[0] for x in numbers(count_labels(case))] == numbers(c)


@given(hnp.arrays(bool, st.integers(1, 400)))
def test_count_counts(mask):
    assert int(packing.count(jnp.asarray(mask))) == mask.sum()


@pytest.mark.parametrize("size", [8191, 8192, 8193, 70_000])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_bytes_do_not_overflow_while_counting(size, share, rng):
    mask = rng.random(size) < share
    assert int(packing.count(jnp.asarray(mask))) == mask.sum()


def test_a_volume_of_1024_cubed_does_not_overflow():
    # 2**25 words of 32 voxels, all of them true; the mask itself would take 1 GiB.
    words = jnp.broadcast_to(jnp.uint32(0xFFFFFFFF), 2**25)
    assert int(jax.jit(packing.popcount)(words)) == 2**30
    c = Confusion(tp=jnp.int32(2**30 - 2), fp=jnp.int32(1), fn=jnp.int32(1), tn=jnp.int32(0))
    assert int((c + c).tp.dtype.itemsize) == 4
    assert int(c.reference_size) == 2**30 - 1


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"same shape, got \(2, 3\) and \(3, 2\)"):
        confusion(reference=jnp.ones((2, 3), bool), prediction=jnp.ones((3, 2), bool))


# Label maps.

DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", "<u2"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_of_any_integer_type_are_counted(dtype, rng, counting):
    reference, prediction = (x.astype(dtype) for x in label_maps(rng, (6, 5)))
    case = make_case(reference=reference, prediction=prediction, labels=(1, 2, 5, 9))
    assert numbers(count_labels(case)) == per_label(reference, prediction, (1, 2, 5, 9))


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_are_counted_under_jit_as_on_the_host(shape, rng):
    reference, prediction = label_maps(rng, shape)
    labels = (1, 2, 5)
    traced = jax.jit(lambda r, p: label_confusion(reference=r, prediction=p, labels=labels))
    expected = per_label(reference, prediction, labels)
    assert numbers(traced(reference, prediction)) == expected
    case = make_case(reference=reference, prediction=prediction)
    assert case.labels == (1, 2, 3, 4, 5)  # candidates, some absent
    case = make_case(reference=reference, prediction=prediction, labels=labels)
    assert numbers(count_labels(case)) == expected


@pytest.mark.parametrize("count", [1, 7, 8, 127, 128, 300])
def test_any_number_of_labels_is_counted(count, rng, counting):
    reference, prediction = label_maps(rng, (40, 50), labels=range(count + 1))
    labels = tuple(range(1, count + 1))
    case = make_case(reference=reference, prediction=prediction, labels=labels)
    c = count_labels(case)
    np.testing.assert_array_equal(
        c.reference_size, np.bincount(reference.ravel(), minlength=count + 1)[1:]
    )
    np.testing.assert_array_equal(
        c.prediction_size, np.bincount(prediction.ravel(), minlength=count + 1)[1:]
    )
    same = reference[reference == prediction]
    np.testing.assert_array_equal(c.tp, np.bincount(same, minlength=count + 1)[1:])
    np.testing.assert_array_equal(c.tp + c.fp + c.fn + c.tn, reference.size)


def test_slabs_add_up(rng, monkeypatch, counting):
    module = sys.modules["segjax.statistics.confusion"]
    reference, prediction = label_maps(rng, (40, 50))
    case = make_case(reference=reference, prediction=prediction, ignore=2)
    whole = numbers(count_labels(case))
    monkeypatch.setattr(module, "_SLAB", 96)
    assert numbers(count_labels(case)) == whole


def test_labels_out_of_order_keep_their_order(rng):
    reference, prediction = label_maps(rng, (6, 5))
    case = make_case(reference=reference, prediction=prediction, labels=(5, 0, 1))
    assert numbers(count_labels(case)) == per_label(reference, prediction, (5, 0, 1))


def test_ignored_voxels_are_not_counted(rng, counting):
    reference, prediction = label_maps(rng, (6, 5))
    reference[0] = 255
    case = make_case(reference=reference, prediction=prediction, ignore=255, labels=(1, 2, 5))
    assert numbers(count_labels(case)) == per_label(reference[1:], prediction[1:], (1, 2, 5))


def test_fortran_order_counts_alike(rng):
    reference, prediction = label_maps(rng, (4, 3, 5))
    expected = per_label(reference, prediction, (1, 2, 5))
    for r, p in [
        (np.asfortranarray(reference), np.asfortranarray(prediction)),
        (np.asfortranarray(reference), prediction),
        (reference[::-1], prediction[::-1]),
    ]:
        case = make_case(reference=r, prediction=p, labels=(1, 2, 5))
        assert numbers(count_labels(case)) == expected


WIDE = (0, 1, 2**33 + 1, 2**40, 2**62)


def test_wide_labels_stay_apart(rng, counting):
    # As int32 these would be 0, 1, 1, 0, 0.
    reference, prediction = label_maps(rng, (6, 5), labels=np.array(WIDE))
    case = make_case(reference=reference, prediction=prediction, labels=WIDE[1:])
    assert numbers(count_labels(case)) == per_label(reference, prediction, WIDE[1:])
    found = make_case(reference=reference, prediction=prediction).labels
    assert found == tuple(np.union1d(reference, prediction)[1:].tolist())


# Tables.


def occurring(t):
    """The table of the segments that are there, and of the background."""
    rows, columns = (np.flatnonzero(x[1:]) + 1 for x in (t.reference_sizes, t.prediction_sizes))
    return t.table[np.ix_([0, *rows], [0, *columns])].tolist()


def table(reference, prediction):
    rows, columns = (np.union1d([0], x) for x in (reference, prediction))
    return [[int(((reference == r) & (prediction == p)).sum()) for p in columns] for r in rows]


@pytest.mark.parametrize("labels", [(0, 1, 2, 5), (1, 2, 3), (0, 3, 70_000), WIDE])
@pytest.mark.parametrize("shape", SHAPES)
def test_segments_are_tabulated(labels, shape, rng):
    reference, prediction = label_maps(rng, shape, labels=np.array(labels))
    t = count_segments(make_case(reference=reference, prediction=prediction))
    assert occurring(t) == table(reference, prediction)
    assert t.total == reference.size


def test_segments_are_tabulated_under_jit_and_vmap(rng):
    reference, prediction = label_maps(rng, (3, 6, 5), labels=(0, 1, 2, 3))
    tabulate = lambda r, p: contingency(
        reference=r, prediction=p, num_reference=4, num_prediction=4
    )
    t = jax.jit(jax.vmap(tabulate))(reference, prediction)
    expected = [
        [[((r == i) & (p == j)).sum() for j in range(4)] for i in range(4)]
        for r, p in zip(reference, prediction, strict=True)
    ]
    np.testing.assert_array_equal(t.table, expected)


def test_labels_outside_the_table_are_not_counted_and_spoil_nothing():
    t = contingency(
        reference=jnp.array([-1, 0, 1, 9]),
        prediction=jnp.array([0, 0, 1, 1]),
        num_reference=2,
        num_prediction=2,
    )
    assert t.table.tolist() == [[1, 0], [0, 1]]


def test_invalid_voxels_are_not_tabulated(rng):
    reference, prediction = label_maps(rng, (6, 5), labels=(0, 1, 2, 3))
    valid = rng.random((6, 5)) < 0.7
    case = make_case(reference=reference, prediction=prediction, valid=valid)
    host = count_segments(case).table
    traced = contingency(
        reference=jnp.array(reference),
        prediction=jnp.array(prediction),
        num_reference=4,
        num_prediction=4,
        valid=jnp.array(valid),
    ).table
    assert host.sum() == valid.sum()
    np.testing.assert_array_equal(np.asarray(traced), host)


@pytest.mark.parametrize("most_runs", [2**23, 100])
@pytest.mark.parametrize("few_cells", [2**20, 9])
@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_runs_are_gathered_ranked_and_merged_without_a_loss(
    share, few_cells, most_runs, rng, monkeypatch
):
    monkeypatch.setattr(segments, "_STRETCH", 64)
    monkeypatch.setattr(segments, "_MOST_RUNS", most_runs)
    monkeypatch.setattr(segments, "_FEW_CELLS", few_cells)
    monkeypatch.setattr(segments, "_MOST_CELLS_A_RUN", 4 if few_cells > 9 else 0)
    labels = np.repeat(np.arange(40), 50).reshape(40, 50) % 7
    noise = rng.integers(0, 7, labels.shape)
    noisy = np.where(rng.random(labels.shape) < share, noise, labels).astype(np.uint64)
    noisy[noisy == 3] = 2**63 + 1
    valid = rng.random(labels.shape) < 0.9
    for mask in (None, valid):
        t = count_segments(make_case(reference=noisy, prediction=labels, valid=mask))
        kept = np.ones_like(valid) if mask is None else mask
        assert occurring(t) == table(noisy[kept], labels[kept])


def test_a_hundred_thousand_objects_need_no_table():
    many = np.arange(100_000).reshape(250, 400)
    t = count_segments(make_case(reference=many, prediction=many))
    assert t.counts.size == 100_000
    assert t.reference_objects == t.prediction_objects == 99_999


def test_confusion_matrix_has_the_wanted_labels_in_their_order(rng, counting):
    reference, prediction = label_maps(rng, (6, 5))
    labels = (5, 1, 0)
    m = count_matrix(make_case(reference=reference, prediction=prediction, labels=labels))
    expected = [[((reference == r) & (prediction == p)).sum() for p in labels] for r in labels]
    assert m.counts.tolist() == expected
    m = count_matrix(make_case(reference=reference, prediction=prediction, labels=(1, 2)))
    rest = lambda x: np.where(np.isin(x, (1, 2)), x, 0)
    assert m.counts.tolist() == table(rest(reference), rest(prediction))


def test_statistics_of_two_halves_add_up_to_the_whole(rng, counting):
    reference, prediction = label_maps(rng, (6, 5), labels=(0, 1, 2, 3))
    full = [0, 1, 2, 3] * 2
    reference[[0, 1], :4] = prediction[[0, 1], :4] = np.array(full).reshape(2, 4)
    reference[[3, 4], :4] = prediction[[3, 4], :4] = np.array(full).reshape(2, 4)
    for build in (count_labels, count_segments, count_matrix):
        whole, *halves = (
            build(make_case(reference=reference[s], prediction=prediction[s], labels=(1, 2, 3)))
            for s in (slice(None), slice(0, 3), slice(3, None))
        )
        total = halves[0] + halves[1]
        if build is count_segments:
            total, whole = total.table, whole.table
        for got, expected in zip(*map(jax.tree.leaves, (total, whole)), strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("longest", [9, 2**40], ids=["one number each", "too long for that"])
@pytest.mark.parametrize("labels", [3, 5_000], ids=["dense", "sorted"])
def test_runs_of_the_same_pair_are_added_up(rng, labels, longest):
    r, p = rng.integers(0, labels, (2, 400)).astype(np.int32)
    length = rng.integers(0, longest, 400)
    r[-1], p[-1], length[-1] = labels, labels, longest
    found = segments.merge_runs((r, p, length))
    expected = Counter()
    for key, n in zip(zip(r.tolist(), p.tolist(), strict=True), length.tolist(), strict=True):
        expected[key] += n
    expected = sorted((*key, n) for key, n in expected.items() if n)
    assert list(zip(*(x.tolist() for x in found), strict=True)) == expected
