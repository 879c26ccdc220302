"""Panoptic quality by class, against its definition and torchmetrics."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import segjax
from segjax import InputError
from tests.images import cells
from tests.reference import panoptic as definition


DIVISOR = 100


def things(rng, shape=(20, 24)):
    """Cells of three classes; some predicted with another class."""
    reference, prediction = cells(rng, shape, int(rng.integers(1, 14)))
    kind = rng.integers(1, 4, 1 + max(reference.max(), prediction.max()))
    other = np.where(rng.random(kind.size) < 0.2, rng.integers(1, 4, kind.size), kind)
    as_things = lambda x, kind: np.where(x > 0, kind[x] * DIVISOR + x, 0)
    own = np.zeros_like(kind)  # of each predicted object the class of what it is made from
    for k in np.unique(prediction):
        own[k] = other[np.bincount(reference[prediction == k]).argmax()]
    return as_things(reference, kind), as_things(prediction, own)


def score(reference, prediction, **options):
    options = {"divisor": DIVISOR} | options
    return segjax.panoptic_quality(reference=reference, prediction=prediction, **options)


def as_dictionary(found):
    values = zip(found.iou, found.tp, found.fp, found.fn, strict=True)
    return dict(zip(found.classes.tolist(), values, strict=True))


def check(reference, prediction, ignore=None, divisor=DIVISOR):
    found = as_dictionary(score(reference, prediction, ignore=ignore, divisor=divisor))
    expected = definition.panoptic_quality(reference, prediction, divisor, ignore)
    assert found.keys() == expected.keys()
    for k, values in expected.items():
        np.testing.assert_allclose(found[k], [float(x) for x in values], rtol=1e-12)


def test_panoptic_quality_matches_the_definition(rng):
    for shape in [(20, 24)] * 20 + [(5, 8, 9)] * 5:
        reference, prediction = things(rng, shape)
        check(reference, prediction)
        check(reference, prediction, ignore=0)
        reference[rng.random(shape) < 0.3] = 999
        prediction[rng.random(shape) < 0.1] = 999
        check(reference, prediction, ignore=999)
        large = 2**40 * (reference > 0) + reference
        check(large, np.where(prediction > 0, 2**40 + prediction, 0), ignore=2**40 + 999)


small_maps = hnp.arrays(np.int64, (5, 6), elements=st.sampled_from([0, 1, 2, 10, 11, 12, 20]))


@given(small_maps, small_maps, st.sampled_from([None, 0, 1, 20]))
def test_any_maps_match_the_definition(reference, prediction, ignore):
    check(reference, prediction, ignore, divisor=10)


@given(small_maps, small_maps)
def test_of_one_class_it_is_the_metric_of_objects(reference, prediction):
    found = score(reference, prediction)
    options = {"reference": reference, "prediction": prediction}
    expected = [segjax.pq(**options), segjax.sq(**options), segjax.rq(**options)]
    if not found.classes.size:
        assert np.isnan(expected[0])
        assert np.isnan(found.mean)
        return
    np.testing.assert_allclose(np.concatenate([found.pq, found.sq, found.rq]), expected, rtol=1e-12)
    assert found.mean == found.pq[0]


@pytest.mark.filterwarnings("ignore")  # of what torchmetrics imports, about itself
@pytest.mark.parametrize("ignore", [None, 0])
def test_data_sets_score_as_in_torchmetrics(ignore, rng):
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchmetrics.functional.detection")
    pairs = [things(rng) for _ in range(12)]
    # It takes what is neither thing nor stuff for void in predictions as well.
    rest = 5 * DIVISOR
    known = np.arange(24) < (24 if ignore is None else 12)
    fill = lambda x, where: np.where((x == 0) & where, rest, x)
    pairs = [(fill(r, known), fill(p, True)) for r, p in pairs]
    coded = [
        torch.tensor(np.stack([np.stack([x // DIVISOR, x % DIVISOR], -1) for x in side]))
        for side in zip(*pairs, strict=True)
    ]
    theirs = detection.panoptic_quality(
        coded[1], coded[0], things={1, 2, 3}, stuffs={5}, allow_unknown_preds_category=True,
        return_sq_and_rq=True, return_per_class=True,
    )  # fmt: skip
    ours = functools.reduce(operator.add, (score(r, p, ignore=ignore) for r, p in pairs))
    expected = np.asarray(theirs).reshape(4, 3)
    assert ours.classes.tolist() == [1, 2, 3, 5]
    np.testing.assert_allclose(ours.pq, expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(np.nan_to_num(ours.sq), expected[:, 1], rtol=1e-6)
    np.testing.assert_allclose(ours.rq, expected[:, 2], rtol=1e-6)


def test_ignored_voxels_leave_the_union():
    reference = np.array([[101, 101, 101, 255, 255, 255, 255, 0]])
    prediction = np.array([[101, 101, 101, 101, 101, 101, 101, 0]])
    # By more than half in ignored voxels, and yet a match; with them IoU would be 3 / 7.
    assert score(reference, prediction, ignore=255).pq.tolist() == [1]


@pytest.mark.parametrize(("inside", "fp"), [(2, [1]), (3, [])])
def test_unmatched_segments_in_ignored_voxels_are_no_false_positives(inside, fp):
    reference, prediction = np.zeros((2, 1, 8), int)
    reference[0, :inside] = 255
    prediction[0, :4] = 101  # half or three quarters of it
    found = score(reference, prediction, ignore=255)
    assert found.fp.tolist() == fp
    assert found.classes.tolist() == [1] * len(fp)


def test_sums_and_means_are_over_the_classes_that_occur():
    one = score(np.array([[101, 101, 0]]), np.array([[101, 0, 0]]))  # IoU of 1 / 2: no match
    two = score(np.array([[101, 201, 201]]), np.array([[101, 201, 0]]))
    both = one + two
    assert both.classes.tolist() == [1, 2]
    assert both.pq.tolist() == [1 / 2, 0]
    assert both.mean == 1 / 4
    assert (both.tp.tolist(), both.fp.tolist(), both.fn.tolist()) == ([1, 0], [1, 1], [1, 1])
    nothing = score(np.zeros((2, 2), int), np.zeros((2, 2), int))
    assert np.isnan(nothing.mean)
    assert as_dictionary(nothing + both) == as_dictionary(both)


def test_what_cannot_be_scored_says_why():
    image = np.ones((2, 2), int)
    with pytest.raises(InputError, match="divisor must be at least 1"):
        score(image, image, divisor=0)
    with pytest.raises(InputError, match="same shape"):
        score(image, image[:1])
