import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.metrics import agreement, instance
from segjax.statistics import (
    STATISTICS,
    Centroids,
    ConfusionMatrix,
    Contingency,
    Foreground,
    Scribbles,
)
from tests.images import SHAPES, corner_cases, label_maps
from tests.reference import agreement as pairs, instance as objects


METRICS = tuple(m for m in (*agreement.METRICS, *instance.METRICS) if m.statistic is not Centroids)
small_maps = hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 4))


def definition(metric):
    return getattr(pairs, metric.name, None) or getattr(objects, metric.name)


def images_for(metric, reference, prediction):
    if metric.statistic is Scribbles:  # an annotation: 0, 1 and 2
        return np.minimum(reference, 2), prediction
    return reference, prediction


def score(metric, reference, prediction):
    case = make_case(reference=reference, prediction=prediction)
    return float(metric(STATISTICS[metric.statistic](case)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_matches_definition(metric, shape, rng):
    for _ in range(3):
        reference, prediction = images_for(metric, *label_maps(rng, shape))
        expected = definition(metric)(reference, prediction)
        if isinstance(expected, set):  # several pairings are as good
            assert any(np.isclose(score(metric, reference, prediction), x) for x in expected)
            continue
        np.testing.assert_allclose(score(metric, reference, prediction), float(expected), rtol=1e-9)


@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases((3, 4)))
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_matches_definition_at_the_corners(metric, name, reference, prediction):
    reference, prediction = images_for(metric, reference * 2, prediction * 2)
    expected = float(definition(metric)(reference, prediction))
    np.testing.assert_allclose(
        score(metric, reference, prediction), expected, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(
    "name",
    [
        "vi_split",
        "vi_merge",
        "mutual_information",
        "adapted_rand_precision",
        "adapted_rand_recall",
        "adapted_rand_error",
    ],
)
def test_background_of_the_reference_can_be_left_out(name, rng):
    metric = segjax.get_metric(f"{name}(ignore_background=True)")
    for _ in range(3):
        reference, prediction = label_maps(rng, (6, 5))
        expected = getattr(pairs, name)(reference, prediction, ignore_background=True)
        np.testing.assert_allclose(score(metric, reference, prediction), expected, rtol=1e-9)


@given(small_maps, small_maps, st.permutations(range(1, 5)))
def test_numbering_of_the_objects_does_not_matter(reference, prediction, order):
    renumber = np.array([0, *(100 * k for k in order)])
    for metric in METRICS:
        if metric.name in ("aji", "aji_plus"):
            continue  # of objects that fit as well the first is taken
        if metric.statistic in (Contingency, Foreground):
            before = score(metric, reference, prediction)
            after = score(metric, reference, renumber[prediction])
            np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12)


@given(small_maps, small_maps)
def test_agreement_is_symmetric_where_it_should_be(reference, prediction):
    names = ("variation_of_information", "mutual_information", "rand_index")
    for name in (*names, "adjusted_rand_index", "adapted_rand_error"):
        metric = segjax.get_metric(name)
        one, other = score(metric, reference, prediction), score(metric, prediction, reference)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    split = score(segjax.get_metric("vi_split"), reference, prediction)
    merge = score(segjax.get_metric("vi_merge"), prediction, reference)
    np.testing.assert_allclose(split, merge, rtol=1e-9, atol=1e-12)


@given(small_maps, small_maps)
def test_scores_stay_between_worst_and_best(reference, prediction):
    for metric in METRICS:
        low, high = sorted([metric.best, metric.worst])
        value = score(metric, *images_for(metric, reference, prediction))
        assert np.isnan(value) or low - 1e-9 <= value <= high + 1e-9, metric.name


def test_splitting_costs_split_and_recall_merging_costs_merge_and_precision():
    whole = np.ones((2, 4), int)
    halves = np.array([[1, 1, 2, 2]] * 2)
    # Over-segmentation: one bit of split; of 28 pairs, 12 stay together.
    scores = segjax.evaluate(
        reference=whole,
        prediction=halves,
        metrics=["vi split", "vi merge", "ARE precision", "ARE recall"],
    )
    assert list(scores.values()) == pytest.approx([1, 0, 1, 12 / 28])
    scores = segjax.evaluate(
        reference=halves,
        prediction=whole,
        metrics=["vi split", "vi merge", "ARE precision", "ARE recall"],
    )
    assert list(scores.values()) == pytest.approx([0, 1, 12 / 28, 1])


def test_sparse_jaccard_passes_over_what_is_not_annotated():
    reference, prediction = np.zeros((4, 6), int), np.zeros((4, 6), int)
    reference[:2, :2] = 7
    prediction[:2, :3] = 3  # 4 / 6
    prediction[3, 3:] = 9  # not annotated: costs nothing
    assert segjax.jaccard_sparse(reference=reference, prediction=prediction) == pytest.approx(4 / 6)


def test_an_empty_prediction_has_no_sparse_overlap():
    reference = np.eye(4, dtype=int)
    assert segjax.jaccard_sparse(reference=reference, prediction=reference * 0) == 0


def test_unknown_voxels_of_scribbles_are_left_out():
    annotation = np.array([[0, 1, 2, 2]])
    prediction = np.array([[5, 0, 5, 0]])
    assert segjax.jaccard_binary_sparse(reference=annotation, prediction=prediction) == 0.5


def test_scribbles_that_are_none_are_refused():
    with pytest.raises(InputError, match="annotation of 0"):
        segjax.jaccard_binary_sparse(reference=np.array([[3]]), prediction=np.array([[1]]))


def test_weighted_kappa_counts_near_misses_less():
    near = ConfusionMatrix(np.array([[8, 2, 0], [0, 8, 2], [2, 0, 8]]))
    far = ConfusionMatrix(np.array([[8, 0, 2], [2, 8, 0], [0, 2, 8]]))
    assert agreement.multiclass_kappa(near) == agreement.multiclass_kappa(far)
    linear = agreement.multiclass_kappa(near, weights="linear")
    assert linear == pytest.approx(1 - (2 + 2 + 2 * 2) / 30 / (8 / 9))
    with pytest.raises(InputError, match="weights must be"):
        agreement.multiclass_kappa(near, weights="cubic")


def statistic(metric, table):
    of_table = Contingency.from_table if metric.statistic is Contingency else ConfusionMatrix
    return of_table(table)


def test_padding_a_table_changes_nothing(rng):
    counts = rng.integers(0, 50, (4, 5))
    padded = np.pad(counts, ((0, 3), (0, 2)))
    for metric in METRICS:
        if metric.statistic is Contingency:
            np.testing.assert_allclose(
                metric(Contingency.from_table(counts)),
                metric(Contingency.from_table(padded)),
                rtol=1e-12,
            )


def test_small_objects_in_large_volumes_keep_their_digits():
    counts = np.array([[2**30, 7], [3, 90]])
    for metric in METRICS:
        if metric.statistic in (Contingency, ConfusionMatrix):
            exact = float(metric(statistic(metric, counts)))
            in_float32 = float(metric(statistic(metric, jnp.asarray(counts, jnp.int32))))
            np.testing.assert_allclose(in_float32, exact, rtol=1e-5, err_msg=metric.name)


def test_gradients_pass_through_tables_of_expected_counts(rng):
    table = jnp.asarray(rng.random((3, 3)) * 10, jnp.float32)
    for metric in METRICS:
        if metric.statistic in (Contingency, ConfusionMatrix) and metric.unit != "object":
            grads = jax.grad(lambda x, m=metric: m(statistic(m, x)))(table)
            assert np.isfinite(grads).all(), metric.name
