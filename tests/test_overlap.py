import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from jax.test_util import check_grads

import segjax
from segjax import InputError
from segjax.metrics import overlap
from segjax.statistics import Confusion, confusion, pooled, soft_confusion, with_prior
from tests.images import SHAPES, corner_cases, masks
from tests.reference import overlap as definition


PER_LABEL = [m for m in overlap.METRICS if m.per == "label"]
counts = st.integers(0, 2**20)
confusions = st.builds(lambda *c: Confusion(*map(np.int64, c)), counts, counts, counts, counts)


def as_counts(reference, prediction):
    return Confusion(*map(np.int64, definition.counts(reference, prediction)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("metric", PER_LABEL, ids=lambda m: m.name)
def test_matches_definition(metric, shape, rng):
    for _ in range(3):  # in one draw, two counts may happen to be equal
        reference, prediction = masks(rng, shape)
        expected = getattr(definition, metric.name)(definition.counts(reference, prediction))
        score = metric(as_counts(reference, prediction))
        np.testing.assert_allclose(float(score), float(expected), rtol=1e-12, atol=1e-15)
        in_float32 = metric(
            confusion(reference=jnp.array(reference), prediction=jnp.array(prediction))
        )
        np.testing.assert_allclose(float(in_float32), float(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases())
@pytest.mark.parametrize("metric", PER_LABEL, ids=lambda m: m.name)
def test_matches_definition_at_the_corners(metric, name, reference, prediction):
    expected = getattr(definition, metric.name)(definition.counts(reference, prediction))
    score = metric(as_counts(reference, prediction))
    np.testing.assert_allclose(float(score), float(expected), rtol=1e-12, atol=1e-15)


def test_dice_of_a_core_in_a_square():
    square = np.zeros((6, 6), bool)
    square[1:5, 1:5] = True
    core = np.zeros((6, 6), bool)
    core[2:4, 2:4] = True
    # 2 * 4 / (16 + 4)
    assert segjax.dice(reference=square, prediction=core) == pytest.approx(0.4)


@given(confusions)
def test_dice_and_iou_determine_each_other(c):
    dice, iou = overlap.dice(c), overlap.iou(c)
    np.testing.assert_allclose(dice, 2 * iou / (1 + iou), rtol=1e-12)


@given(confusions)
def test_f_beta_is_dice_at_one_and_nears_precision_and_sensitivity(c):
    np.testing.assert_allclose(overlap.f_beta(c), overlap.dice(c), rtol=1e-12)
    if c.tp > 0:
        precise, sensitive = overlap.f_beta(c, beta=0.0), overlap.f_beta(c, beta=1e6)
        np.testing.assert_allclose(precise, overlap.precision(c), rtol=1e-12)
        np.testing.assert_allclose(sensitive, overlap.sensitivity(c), rtol=1e-4)


@given(confusions)
def test_exchanging_the_images_exchanges_precision_and_sensitivity(c):
    swapped = Confusion(tp=c.tp, fp=c.fn, fn=c.fp, tn=c.tn)
    np.testing.assert_array_equal(overlap.precision(c), overlap.sensitivity(swapped))
    for symmetric in (overlap.dice, overlap.iou, overlap.mcc, overlap.kappa):
        np.testing.assert_allclose(symmetric(c), symmetric(swapped), rtol=1e-9, atol=1e-12)


@given(confusions)
def test_mcc_changes_its_sign_with_the_prediction(c):
    inverted = Confusion(tp=c.fn, fp=c.tn, fn=c.tp, tn=c.fp)
    np.testing.assert_allclose(overlap.mcc(c), -overlap.mcc(inverted), rtol=1e-9, atol=1e-12)


@given(confusions)
def test_scores_stay_between_worst_and_best(c):
    for metric in PER_LABEL:
        if metric.best is None or metric.signed:
            continue
        low, high = sorted([metric.best, metric.worst])
        score = metric(c)
        assert np.isnan(score) or low - 1e-12 <= score <= high + 1e-12, metric.name


@given(confusions, st.integers(2, 50))
def test_ratios_do_not_depend_on_the_size_of_the_voxels(c, times):
    finer = jax.tree.map(lambda x: x * times, c)
    for metric in PER_LABEL:
        if metric.unit == "":
            np.testing.assert_allclose(metric(c), metric(finer), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", PER_LABEL, ids=lambda m: m.name)
def test_counts_of_a_large_volume_do_not_overflow(metric):
    # 1290^3 voxels, the most that int32 counts; 2 TP alone is beyond int32.
    total = 2**31 - 1
    c = (2**30, 2**28, 2**27, total - 2**30 - 2**28 - 2**27)
    expected = float(getattr(definition, metric.name)(c))
    score = metric(Confusion(*(jnp.int32(x) for x in c)))
    np.testing.assert_allclose(float(score), expected, rtol=2e-6)


@pytest.mark.parametrize("metric", PER_LABEL, ids=lambda m: m.name)
def test_small_objects_in_large_volumes_keep_their_digits(metric):
    # Formulas that subtract numbers close to 1 lose all of these in float32.
    c = (90, 7, 3, 2**30)
    expected = float(getattr(definition, metric.name)(c))
    score = metric(Confusion(*(jnp.int32(x) for x in c)))
    np.testing.assert_allclose(float(score), expected, rtol=2e-6)


SMOOTH = ("dice", "iou", "sensitivity", "specificity", "precision", "mcc", "kappa", "f_beta")


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_of_soft_scores(name, rng):
    reference = jnp.asarray(rng.random((4, 4)) < 0.5)
    logits = jnp.asarray(rng.normal(size=(4, 4)), jnp.float32)
    score = getattr(segjax, name)
    check_grads(
        lambda x: score(reference=reference, prediction=jax.nn.sigmoid(x)),
        (logits,),
        order=1,
        modes=["rev"],
        rtol=2e-2,
        atol=2e-3,
    )


@pytest.mark.parametrize("metric", PER_LABEL, ids=lambda m: m.name)
def test_undefined_has_zero_gradient(metric):
    nothing = Confusion(*(jnp.zeros(()) for _ in range(4)))
    score, gradient = jax.value_and_grad(lambda c: metric(c) * 1.0)(nothing)
    if np.isnan(score):
        assert all(g == 0 for g in jax.tree.leaves(gradient)), gradient


def test_soft_counts_of_certain_predictions_are_the_hard_counts(rng):
    reference, prediction = masks(rng, (6, 5))
    soft = soft_confusion(
        reference=jnp.asarray(reference)[..., None],
        probability=jnp.asarray(prediction, jnp.float32)[..., None],
    )
    assert [int(x[0]) for x in jax.tree.leaves(soft)] == list(
        definition.counts(reference, prediction)
    )


def test_a_prior_makes_the_dice_of_nothing_perfect():
    nothing = Confusion(*(np.zeros(()) for _ in range(4)))
    assert overlap.dice(with_prior(nothing, 1.0)) == 1


# Several labels: the last axis.

THREE = Confusion(  # labels of 10, 100 and 0 voxels in the reference; the last is predicted
    tp=np.array([5, 90, 0]),
    fp=np.array([5, 10, 4]),
    fn=np.array([5, 10, 0]),
    tn=np.array([85, 0, 96]),
)


def test_macro_weighted_and_micro_averages_by_hand():
    dice = segjax.get_metric("dice")
    # Dice per label: 10/20, 180/200, 0/4
    assert dice.at(average="macro")(THREE) == pytest.approx((0.5 + 0.9 + 0) / 3)
    assert dice.at(average="weighted")(THREE) == pytest.approx((10 * 0.5 + 100 * 0.9) / 110)
    assert dice.at(average="micro")(THREE) == pytest.approx(2 * 95 / (2 * 95 + 19 + 15))
    assert overlap.dice(pooled(THREE)) == dice.at(average="micro")(THREE)


def test_averages_pass_over_labels_that_are_nowhere():
    absent = Confusion(*(np.append(x, x.dtype.type(0)) for x in jax.tree.leaves(THREE)))
    for average in ("macro", "weighted", "micro"):
        metric = segjax.get_metric(f"iou(average={average})")
        assert metric(absent) == pytest.approx(float(metric(THREE)))
    assert overlap.mean_iou(absent) == pytest.approx(float(overlap.mean_iou(THREE)))


def test_generalised_dice_by_hand():
    # weights 1/100, 1/10000, and the largest of the others for the absent label
    top = (5 / 100 + 90 / 10_000) * 2
    bottom = 20 / 100 + 200 / 10_000 + 4 / 100
    assert overlap.generalized_dice(THREE) == pytest.approx(top / bottom)
    uniform = overlap.generalized_dice(THREE, weights="uniform")
    assert uniform == pytest.approx(float(overlap.dice(pooled(THREE))))
    in_float32 = overlap.generalized_dice(jax.tree.map(jnp.asarray, THREE))
    np.testing.assert_allclose(float(in_float32), top / bottom, rtol=1e-6)


def test_generalised_dice_of_nothing_is_undefined():
    nothing = Confusion(*(np.zeros(3, int) for _ in range(4)))
    assert math.isnan(overlap.generalized_dice(nothing))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: overlap.f_beta(THREE, beta=-1.0), "beta must not be negative"),
        (lambda: overlap.generalized_dice(THREE, weights="cubic"), "weights must be one of"),
        (lambda: segjax.get_metric("dice(average=mean)"), "average must be one of"),
        (lambda: segjax.get_metric("dice(beta=2)"), "has no option 'beta'"),
    ],
)
def test_wrong_options_say_what_is_right(call, says):
    with pytest.raises(InputError, match=says):
        call()
