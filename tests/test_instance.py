"""Laws of the metrics of objects, and that every way to compute them gives the same."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from hypothesis.extra import numpy as hnp

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.metrics import METRICS, get_metric, instance
from segjax.ops import assignment
from segjax.statistics import (
    Contingency,
    contingency,
    count_segments,
    find_segments,
    matching,
    side_by_side,
)
from tests.images import label_maps
from tests.reference import instance as definition


OBJECTS = [m for m in METRICS if m.of_objects]
ASSIGNED = ("f1(threshold=0.2)", "pq(threshold=0.3)", "average_precision(threshold=0)", "aji_plus")
small_maps = hnp.arrays(np.int32, (5, 6), elements=st.integers(0, 4))
every_metric = pytest.mark.parametrize("metric", OBJECTS, ids=lambda m: m.name)


def table_of(reference, prediction):
    return count_segments(make_case(reference=reference, prediction=prediction))


def scores(reference, prediction, metrics=OBJECTS):
    table = table_of(reference, prediction)
    return {m.name: float(m(table)) for m in metrics}


def same(got, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


# Laws.


@given(small_maps, small_maps, st.permutations(range(1, 5)))
def test_numbers_of_objects_say_nothing(reference, prediction, order):
    renumber = np.array([0, *(k * 2**40 for k in order)])
    got = scores(renumber[reference], prediction)
    first_of_equals = ("aji", "aji_plus")  # they take the first of pairs that are as good
    expected = scores(reference, prediction)
    same(got, {k: v for k, v in expected.items() if k not in first_of_equals})


@given(small_maps, small_maps)
def test_axes_may_be_swapped(reference, prediction):
    same(scores(reference.T, prediction.T), scores(reference, prediction))
    same(scores(reference[::-1], prediction[::-1]), scores(reference, prediction))


@given(small_maps, small_maps)
def test_seg_is_one_exactly_if_every_object_is_found_as_it_is(reference, prediction):
    assume(reference.any())
    drawn, found = definition.both(reference, prediction)
    assert (scores(reference, prediction)["seg"] == 1) == all(r in found for r in drawn)


@given(small_maps, small_maps, st.data())
def test_cutting_an_object_that_is_right_never_raises_panoptic_quality(reference, prediction, data):
    assume(reference.any())
    label = data.draw(st.sampled_from(sorted(set(reference[reference > 0].tolist()))))
    right = np.where(prediction == 9, 0, np.where(reference == label, 9, prediction))
    cut = data.draw(hnp.arrays(bool, reference.shape))
    before = scores(reference, right)
    after = scores(reference, np.where(cut & (right == 9), 10, right))
    for name in ("pq", "seg", "f1", "average_precision", "dsb_score", "aji_plus"):
        assert after[name] <= before[name] + 1e-12, name


@given(small_maps, small_maps)
def test_precision_and_recall_of_objects_change_places_with_the_maps(reference, prediction):
    there, back = scores(reference, prediction), scores(prediction, reference)
    same(
        {"object_precision": back["object_recall"]}, {"object_precision": there["object_precision"]}
    )
    for name in ("pq", "f1", "average_precision", "object_dice"):
        same({name: back[name]}, {name: there[name]})
    same({"pq": there["sq"] * there["rq"]}, {"pq": there["pq"]} if there["rq"] else {})


@given(small_maps, small_maps)
def test_every_object_has_one_kind(reference, prediction):
    table = table_of(reference, prediction)
    words = {code: word for word, code in matching.KINDS.items()}
    found = [[words[k] for k in side.tolist() if k] for side in matching.kinds(table)]
    assert found == [list(x) for x in definition.kinds(reference, prediction)]


# Restricted by size, and several images together.


@pytest.mark.parametrize(("low", "high"), [(0, 6), (6, 12), (4, float("inf")), (100, 200)])
def test_objects_of_other_sizes_are_as_if_they_were_background(low, high, rng):
    for _ in range(20):
        reference, prediction = label_maps(rng, (9, 8), labels=(0, 0, 0, 1, 2, 3, 5))
        table = table_of(reference, prediction)
        size = lambda x, k: (x == k).sum()
        within = lambda n: low <= n < high
        kept = [k for k in (1, 2, 3, 5) if within(size(reference, k))]
        stays = []
        for k in (1, 2, 3, 5):
            shared = {j: ((reference == j) & (prediction == k)).sum() for j in (1, 2, 3, 5)}
            most = max(shared.values())
            belongs = [j for j, n in shared.items() if n == most and n]
            if any(j in kept for j in belongs) or (not belongs and within(size(prediction, k))):
                stays.append(k)
        expected = scores(
            np.where(np.isin(reference, kept), reference, 0),
            np.where(np.isin(prediction, stays), prediction, 0),
        )
        for metric in OBJECTS:
            limits = {"min_size": low} | ({"max_size": high} if high < np.inf else {})
            got = float(metric.at(**limits)(table))
            np.testing.assert_allclose(got, expected[metric.name], rtol=1e-9, err_msg=metric.name)


def test_images_side_by_side_score_as_one_image(rng):
    images = [label_maps(rng, (6, 5)) for _ in range(4)]
    images.append((np.zeros((6, 5), int), images[0][1]))
    whole = side_by_side([table_of(*pair) for pair in images])
    apart = [
        np.concatenate([np.where(x > 0, x + 10 * i, 0) for i, x in enumerate(side)])
        for side in zip(*images, strict=True)
    ]
    same({m.name: float(m(whole)) for m in OBJECTS}, scores(*apart))
    nothing = side_by_side([])
    assert np.isnan(instance.seg(nothing))
    assert nothing.total == 0


# On the device.


@pytest.mark.parametrize("name", ASSIGNED)
def test_assignments_under_jit_and_vmap_are_those_of_the_host(name, rng):
    reference, prediction = (
        np.stack(x) for x in zip(*(label_maps(rng, (6, 5)) for _ in range(6)), strict=True)
    )
    metric = get_metric(name)
    function = getattr(segjax, metric.function.__name__)
    score = lambda r, p: function(
        reference=r, prediction=p, labels=range(1, 7), **dict(metric.options)
    )
    traced = jax.jit(jax.vmap(score))(reference, prediction)
    host = [score(r, p) for r, p in zip(reference, prediction, strict=True)]
    np.testing.assert_allclose(traced, host, rtol=1e-5)


def test_pairs_found_by_sorting_score_as_those_in_a_table(rng, monkeypatch):
    module = sys.modules["segjax.statistics.contingency"]
    reference, prediction = label_maps(rng, (3, 9, 8), labels=(-1, 0, 1, 2, 3, 9))
    valid = rng.random(reference.shape) < 0.9
    count = lambda r, p, v: contingency(
        reference=r, prediction=p, num_reference=6, num_prediction=5, valid=v
    )
    table = jax.vmap(count)(reference, prediction, valid)
    monkeypatch.setattr(module, "_MOST_CELLS", 0)
    listed = jax.jit(jax.vmap(count))(reference, prediction, valid)
    assert listed.reference is not None
    np.testing.assert_array_equal(listed.table, table.table)
    for metric in METRICS:
        if metric.statistic is Contingency and metric.name != "aji_plus":
            np.testing.assert_allclose(
                metric(listed), metric(table), rtol=1e-5, atol=1e-6, err_msg=metric.name
            )
    with pytest.raises(InputError, match="too many to be assigned while tracing"):
        instance.aji_plus(listed)


def test_thresholds_are_exact_beyond_32_bits():
    # Intersection over union are 3/5 to the voxel, or one voxel less.
    union = 2_000_000_000
    for missing in (0, 1):
        inside = 3 * union // 5 - missing
        table = jnp.array([[0, 0], [union - inside, inside]], jnp.int32)
        score = jax.jit(lambda t: instance.f1(Contingency.from_table(t), threshold=0.6))(table)
        assert score == 1 - missing


@every_metric
def test_metrics_of_objects_lower_for_accelerators(metric):
    shape = jax.ShapeDtypeStruct((2, 16, 16), jnp.int32)
    function = getattr(segjax, metric.function.__name__)
    score = jax.vmap(lambda r, p: function(reference=r, prediction=p, labels=range(1, 5)))
    exported = jax.export.export(jax.jit(score), platforms=["cuda", "tpu"])(shape, shape)
    assert exported.platforms == ("cuda", "tpu")


def test_assignment_is_the_best_there_is(rng):
    for shape in 10 * [(1, 1), (1, 5), (4, 2), (5, 5)]:  # few, to share compilations
        worth = np.where(rng.random(shape) < 0.6, rng.random(shape), 0)
        best = max(
            sum(worth[i, j] for i, j in pairs)
            for pairs in definition.one_to_one(range(shape[0]), range(shape[1]))
        )
        row, column = np.nonzero(worth)
        chosen = assignment.assign_pairs(row, column, worth[row, column])
        for found in (
            np.asarray(assignment.assign(jnp.asarray(worth, jnp.float32))),
            np.histogram2d(row[chosen], column[chosen], [np.arange(n + 1) for n in shape])[0] > 0,
        ):
            assert (found.sum(0) <= 1).all()
            assert (found.sum(1) <= 1).all()
            assert (worth * found).sum() == pytest.approx(best, rel=1e-5)
    with pytest.raises(InputError, match=r"threshold must be in \[0, 1\]"):
        segjax.f1(reference=worth > 0, prediction=worth > 0, threshold=1.5)
    with pytest.raises(InputError, match="no threshold from"):
        segjax.dsb_score(reference=worth > 0, prediction=worth > 0, step=0)


def test_segments_know_the_labels_of_the_files():
    reference = np.array([[0, 2**63, 5], [5, 0, 7]], np.uint64)
    found = find_segments(make_case(reference=reference, prediction=reference))
    there = found.contingency.reference_sizes > 0
    assert found.reference_labels[there].tolist() == [0, 5, 7, 2**63]


# Objects in several pieces.


@pytest.mark.parametrize("shape", [(9, 11), (4, 6, 7)])
def test_relabelled_objects_score_as_their_pieces(shape, rng):
    for _ in range(5):
        reference, prediction = label_maps(rng, shape, labels=(0, 0, 0, 1, 2, 5))
        for options in ({}, {"labels": (1, 5)}, {"ignore": 2}, {"labels": "foreground"}):
            kept = lambda x, options=options: np.where(np.isin(x, options["labels"]), x, 0)
            sides = reference, prediction
            if isinstance(options.get("labels"), tuple):
                sides = kept(reference), kept(prediction)
            valid = reference != 2 if "ignore" in options else None
            pieces = [split(x) for x in sides]
            metrics = ("seg", "pq", "aji", "vi_split", "unmatched_objects", "centroid_f1")
            metrics += ("object_hausdorff",)
            expected = segjax.evaluate(
                reference=pieces[0], prediction=pieces[1], valid=valid, metrics=metrics
            )
            got = segjax.evaluate(
                reference=reference, prediction=prediction, relabel=True, metrics=metrics, **options
            )
            same(got, expected)


def split(labels):
    from skimage.measure import label

    return label(labels, background=0)


def test_relabelling_leaves_metrics_of_labels_alone_and_waits_for_no_trace(rng):
    reference, prediction = label_maps(rng, (6, 5))
    options = {"reference": reference, "prediction": prediction, "metrics": ["dice", "iou"]}
    whole = segjax.evaluate(**options)
    for name, score in segjax.evaluate(**options, relabel=True).items():
        np.testing.assert_array_equal(score, whole[name])
    score = jax.jit(lambda r, p: segjax.f1(reference=r, prediction=p, relabel=True))
    with pytest.raises(InputError, match=r"segjax\.ops\.components"):
        score(reference > 0, prediction > 0)
    table = segjax.evaluate_batch(
        references=reference[None] > 0, predictions=prediction[None] > 0,
        metrics=["f1"], relabel=True,
    )  # fmt: skip
    alone = segjax.f1(reference=reference > 0, prediction=prediction > 0, relabel=True)
    assert table.column("f1").tolist() == [float(alone)]


def test_sizes_are_restricted_under_jit_as_on_the_host(rng):
    reference, prediction = label_maps(rng, (9, 8), labels=(0, 0, 0, 1, 2, 3, 5))
    for name in ("seg", "pq", "splits", "object_dice"):
        score = lambda r, p, name=name: getattr(segjax, name)(
            reference=r, prediction=p, labels=range(1, 6), min_size=4, max_size=12
        )
        np.testing.assert_allclose(
            jax.jit(score)(reference, prediction), score(reference, prediction), rtol=1e-5
        )


@pytest.mark.parametrize("option", ["highest=inf", "step=1e-9", "step=inf"])
def test_endless_thresholds_are_refused(option):
    x = np.eye(3, dtype=int)
    with pytest.raises(InputError, match="there is no threshold from"):
        segjax.evaluate(reference=x, prediction=x, metrics=[f"dsb_score({option})"])
