import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from jax.test_util import check_grads
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.metrics import calibration as metrics
from segjax.statistics import Calibration, calibration, measure_calibration
from tests.images import SHAPES, label_maps
from tests.reference import calibration as definition


NAMES = [m.name for m in metrics.METRICS]
SMOOTH = ["brier", "nll", "hinge"]  # functions of sums
OF_BINS = ["ece", "mce", "average_calibration_error"]
FINE = 2.0**-10  # probabilities in whole multiples of this leave few distinct ones


def pair(rng, shape, dtype="float32", step=None):
    """A mask and probabilities that know something of it; in whole `step`s they tie."""
    reference = rng.random(shape) < 0.4
    p = np.clip(rng.normal(0.3 + 0.3 * reference, 0.25), 0, 1)
    return reference, (p if step is None else np.rint(p / step) * step).astype(dtype)


def measured(reference, probability, **options) -> Calibration:
    return measure_calibration(
        make_case(reference=reference, prediction=probability, probabilities=True, **options)
    )


def scores(reference, probability, names=NAMES, **options):
    return segjax.evaluate(reference=reference, prediction=probability, metrics=names, **options)


# Definitions.


@pytest.mark.parametrize("step", [None, 1 / 8, 1.0], ids=["distinct", "ties", "hard"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_random_probabilities_match_the_definition(shape, step, dtype, rng):
    for _ in range(3):
        reference, p = pair(rng, shape, dtype, step)
        found = scores(reference, p)
        for name in NAMES:
            wanted = getattr(definition, name)(reference, p)
            np.testing.assert_allclose(found[name], wanted, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mask", [np.zeros, np.ones], ids=["empty", "full"])
@pytest.mark.parametrize("value", [0.0, 0.25, 1.0, None])
def test_one_sided_references_and_constants_match_the_definition(name, mask, value, rng):
    reference = mask((6, 5), bool)
    p = rng.random((6, 5)) if value is None else np.full((6, 5), value)
    score = scores(reference, p, [name])[name]
    np.testing.assert_allclose(
        score, getattr(definition, name)(reference, p), rtol=1e-9, atol=1e-12
    )
    half = reference.copy()
    half[:3] ^= True
    score = scores(half, p, [name])[name]
    np.testing.assert_allclose(score, getattr(definition, name)(half, p), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_without_voxels_nothing_is_defined(name):
    mask, p = np.ones((3, 4), bool), np.full((3, 4), 0.5, np.float32)
    function = getattr(segjax, name)
    assert np.isnan(function(reference=mask, prediction=p, valid=mask ^ True))
    assert np.isnan(function(reference=mask[:0], prediction=p[:0]))
    traced = jax.jit(lambda r, p, v: function(reference=r, prediction=p, valid=v))
    assert np.isnan(traced(mask, p, mask ^ True))


@pytest.mark.parametrize("closed", ["left", "right"])
@pytest.mark.parametrize("bins", [1, 2, 8])
@pytest.mark.parametrize("name", OF_BINS)
def test_probabilities_on_the_edges_of_bins_belong_to_the_side_that_is_closed(
    name, bins, closed, rng
):
    reference, p = pair(rng, (12, 9), step=1 / 8)  # every one on an edge of 8 bins
    options = {"bins": bins, "closed": closed}
    score = getattr(segjax, name)(reference=reference, prediction=p, **options)
    assert score == pytest.approx(getattr(definition, name)(reference, p, **options), rel=1e-9)
    if closed == "left":
        traced = jax.jit(lambda r, p: getattr(segjax, name)(reference=r, prediction=p, bins=bins))
        assert float(traced(reference, p)) == pytest.approx(float(score), rel=1e-5)


@pytest.mark.parametrize("bins", [1, 4, 7, 500])
def test_adaptive_bins_share_out_what_a_border_cuts(bins, rng):
    for step in (None, 1 / 8):
        reference, p = pair(rng, (6, 5), step=step)
        score = segjax.ace(reference=reference, prediction=p, bins=bins)
        assert score == pytest.approx(definition.ace(reference, p, bins=bins), rel=1e-9)


def test_calibration_errors_by_hand():
    # Bins of a quarter: two voxels at 0.2 of which one is there, four at 0.7, all there.
    p = np.array([0.2, 0.2, 0.7, 0.7, 0.7, 0.7])
    reference = np.array([1, 0, 1, 1, 1, 1], bool)
    c = measured(reference, p)
    assert metrics.ece(c, bins=4) == pytest.approx((2 * 0.3 + 4 * 0.3) / 6)
    assert metrics.mce(c, bins=4) == pytest.approx(0.3)
    # Halves of three voxels: two at 0.2 with one at 0.7 (2 there, 1.1 foretold), three at 0.7.
    assert metrics.ace(c, bins=2) == pytest.approx((0.9 / 3 + 0.9 / 3) / 2)
    # Bins (0.2, 0.4] and so on leave 0.2 to the first of five.
    assert metrics.reliability_curve(c, bins=5, closed="right")[2].tolist() == [2, 0, 0, 4, 0]
    assert metrics.reliability_curve(c, bins=5)[2].tolist() == [0, 2, 0, 4, 0]


# Peers.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [None, 1 / 8, 1.0], ids=["distinct", "ties", "hard"])
def test_scores_are_those_of_scikit_learn(step, dtype, rng):
    reference, p = pair(rng, (40, 33), dtype, step)
    y, flat = reference.ravel(), p.ravel()
    found = scores(reference, p)
    assert found["auroc"] == pytest.approx(sklearn.roc_auc_score(y, flat), rel=1e-9)
    assert found["auprc"] == pytest.approx(sklearn.average_precision_score(y, flat), rel=1e-9)
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(y, flat), rel=1e-6)
    assert found["nll"] == pytest.approx(sklearn.log_loss(y, flat.astype(float)), rel=1e-9)
    decision = 2 * flat.astype(float) - 1
    assert found["hinge"] == pytest.approx(sklearn.hinge_loss(y, decision), rel=1e-9)


@pytest.mark.parametrize("step", [None, 1 / 8], ids=["distinct", "ties"])
def test_curves_are_those_of_scikit_learn(step, rng):
    reference, p = pair(rng, (12, 9), "float64", step)
    y, flat, c = reference.ravel(), p.ravel(), measured(reference, p)
    for ours, theirs in (
        (metrics.roc_curve(c), sklearn.roc_curve(y, flat, drop_intermediate=False)),
        (metrics.precision_recall_curve(c), sklearn.precision_recall_curve(y, flat)),
    ):
        for x, wanted in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(x, wanted, rtol=1e-12)
    confidence, frequency, count = metrics.reliability_curve(c, bins=7)
    true, foretold = calibration_curve(y, flat, n_bins=7)
    np.testing.assert_allclose(frequency[count > 0], true)
    np.testing.assert_allclose(confidence[count > 0], foretold)
    assert np.isnan(confidence[count == 0]).all()
    assert count.sum() == y.size


# Thresholds.


@pytest.mark.parametrize("step", [None, 1 / 8], ids=["distinct", "ties"])
def test_a_sweep_scores_the_mask_at_every_threshold(step, rng):
    reference, p = pair(rng, (6, 5), step=step)
    c = measured(reference, p)
    thresholds, dice, iou = metrics.threshold_sweep(c)
    np.testing.assert_array_equal(thresholds, np.unique(p))
    for t, d, j in zip(thresholds, dice, iou, strict=True):
        mask = {"reference": reference, "prediction": p >= t}
        assert (d, j) == (segjax.dice(**mask), segjax.iou(**mask))
    assert metrics.best_dice(c) == dice.max()
    assert metrics.best_iou(c) == iou.max()
    chosen = metrics.best_threshold(c)
    assert segjax.dice(reference=reference, prediction=p >= chosen) == dice.max()
    assert chosen == thresholds[dice == dice.max()][-1]


def test_the_best_threshold_is_the_least_bad_where_less_is_better(rng):
    reference, p = pair(rng, (6, 5))
    c = measured(reference, p)
    assert metrics.best_threshold(c, metric="fpr") == p.max() or not reference.flat[p.argmax()]
    assert metrics.best_threshold(c, metric="FNR") == p[reference].min()
    assert metrics.best_threshold(c, metric="Jaccard") == metrics.best_threshold(c)
    for name, says in (("tp", "tp is best nowhere"), ("mIoU", "best nowhere"), ("hd", "unknown")):
        with pytest.raises(InputError, match=says):
            metrics.best_threshold(c, metric=name)


def test_no_threshold_is_best_where_none_has_a_score():
    c = measured(np.zeros(4, bool), np.full(4, 0.5))
    assert np.isnan(metrics.best_threshold(c, metric="sensitivity"))
    assert np.isnan(metrics.best_dice(c))


# Laws.

probabilities = arrays.arrays(np.float32, 30, elements=st.floats(0, 1, width=32))
references = arrays.arrays(np.bool_, 30)


@given(references, probabilities)
def test_ranks_do_not_care_for_monotone_maps(reference, p):
    _, rank = np.unique(p, return_inverse=True)
    other = rank / 30.0
    for name in ("auroc", "auprc", "best_dice", "best_iou"):
        one, two = (scores(reference, x, [name])[name] for x in (p, other))
        np.testing.assert_allclose(one, two, rtol=1e-12)


@given(references, arrays.arrays(np.float64, 30, elements=st.integers(0, 64).map(lambda i: i / 64)))
def test_the_complement_has_the_same_errors_and_the_rest_of_the_area(reference, p):
    names = ["brier", "nll", "hinge", "ece", "mce", "ace", "auroc"]
    one, both = scores(reference, p, names), scores(~reference, 1 - p, names)
    turned = scores(reference, 1 - p, ["auroc"])
    np.testing.assert_allclose(one["auroc"], 1 - turned["auroc"], atol=1e-12)
    np.testing.assert_allclose(one["auroc"], both["auroc"], atol=1e-12)
    for name in ("brier", "nll", "hinge", "ace"):
        np.testing.assert_allclose(one[name], both[name], rtol=1e-9, atol=1e-12)
    c, turned = measured(reference, p), measured(~reference, 1 - p)
    for error in (metrics.ece, metrics.mce):  # a bin closed at the left is closed at the right
        np.testing.assert_allclose(
            error(c, bins=8), error(turned, bins=8, closed="right"), rtol=1e-9, atol=1e-12
        )


@given(references, probabilities, st.integers(1, 40))
def test_errors_are_in_order(reference, p, bins):
    c = measured(reference, p)
    ece, mce = metrics.ece(c, bins=bins), metrics.mce(c, bins=bins)
    average = metrics.average_calibration_error(c, bins=bins)
    overall = metrics.ece(c, bins=1)  # |prevalence - mean p|
    assert overall - 1e-12 <= ece <= mce + 1e-12 <= 1 + 2e-12
    assert overall - 1e-12 <= metrics.ace(c, bins=bins) <= 1 + 1e-12
    assert average <= mce + 1e-12
    brier = metrics.brier(c)
    assert 0 <= brier <= metrics.hinge(c) / 2 + 1e-12 <= 1 + 2e-12
    assert metrics.nll(c) >= brier - 1e-12  # -log(1 - e) >= e >= e^2
    assert overall**2 <= brier + 1e-12


@given(references, probabilities)
def test_areas_are_those_under_the_curves(reference, p):
    c = measured(reference, p)
    fpr, tpr, _ = metrics.roc_curve(c)
    np.testing.assert_allclose(metrics.auroc(c), np.trapezoid(tpr, fpr), atol=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(c)
    np.testing.assert_allclose(
        metrics.auprc(c), -(np.diff(recall) * precision[:-1]).sum(), atol=1e-12
    )


def test_masks_have_the_area_of_their_one_operating_point(rng):
    reference, p = pair(rng, (6, 5), step=1.0)
    masks = {"reference": reference, "prediction": p > 0}
    assert segjax.auroc(**masks) == pytest.approx(float(segjax.auc_trapezoid(**masks)))
    assert segjax.brier(**masks) == pytest.approx(1 - float(segjax.accuracy(**masks)))
    assert segjax.best_dice(**masks) >= segjax.dice(**masks)


@given(references, probabilities, st.integers(0, 30))
def test_cases_add_up_to_the_whole(reference, p, cut):
    parts = [measured(reference[s], p[s]) for s in (slice(cut), slice(cut, None))]
    whole, both = measured(reference, p), parts[0] + parts[1]
    for metric in metrics.METRICS:
        np.testing.assert_allclose(metric(both), metric(whole), rtol=1e-9, atol=1e-12)


# Traced.


def rank_bounds(c):
    """How far AUROC and AUPRC may be off if the order within columns is not known."""
    n, m = (x.astype(float) for x in (c.positives, c.negatives))
    auroc = (n * m).sum() / (2 * n.sum() * m.sum())
    at = c.at_thresholds()
    tp, fp = (x.astype(float) for x in (at.tp, at.fp))
    before, after = (tp - n) / np.maximum(tp - n + fp, 1), tp / np.maximum(tp + fp - m, 1)
    return auroc, (n * (after - before)).sum() / n.sum()


@pytest.mark.parametrize("bins", [100, 5040, None])
@pytest.mark.parametrize("step", [None, 1 / 10, 1.0], ids=["distinct", "ties", "hard"])
def test_columns_of_fixed_width_keep_sums_and_bound_ranks(step, bins, rng):
    reference, p = pair(rng, (40, 33), step=step)
    options = {} if bins is None else {"bins": bins}
    count = lambda r, p: calibration(reference=r, probability=p, **options)
    c, exact = jax.jit(count)(reference, p), measured(reference, p)
    for name in SMOOTH:
        metric = getattr(metrics, name)
        np.testing.assert_allclose(metric(c), metric(exact), rtol=1e-5)
    for name in OF_BINS:
        metric = getattr(metrics, name)
        for number in (1, 5, 10, 20):  # divide all of the columns
            found = metric(c, bins=number)
            np.testing.assert_allclose(found, metric(exact, bins=number), rtol=1e-4, atol=1e-6)
    bounds = rank_bounds(jax.tree.map(np.asarray, c))
    for bound, metric in zip(bounds, (metrics.auroc, metrics.auprc), strict=True):
        assert abs(float(metric(c)) - metric(exact)) <= bound + 1e-6
    if step is not None:  # ties stay ties, and nothing else ties
        assert metrics.auroc(c) == pytest.approx(metrics.auroc(exact), rel=1e-6)
        assert metrics.auprc(c) == pytest.approx(metrics.auprc(exact), rel=1e-6)
        assert metrics.best_threshold(c) == pytest.approx(metrics.best_threshold(exact))


def test_every_edge_of_a_column_and_its_neighbours_are_counted_on_the_right_side():
    bins = 50_400
    edges = (np.arange(bins + 1) / bins).astype(np.float32)
    beside = [np.nextafter(edges, np.float32(end)) for end in (0, 1)]
    p = np.concatenate([edges, *beside])
    c = jax.jit(lambda r, p: calibration(reference=r, probability=p))(p >= 0, p)
    place = np.searchsorted(edges, p, side="right") - 1
    np.testing.assert_array_equal(c.positives, np.bincount(place, minlength=bins + 1))
    np.testing.assert_allclose(c.excess.sum(), (p.astype(float) - edges[place]).sum(), rtol=1e-4)


def test_counts_and_sums_hold_where_most_voxels_fall_in_one_column():
    # 2**21 alike values: a float32 sum of the values would lose the last bits of each.
    p = np.full(2**21, 0.99999, np.float32)
    reference = np.arange(p.size) % 4 > 0
    c = jax.jit(lambda r, p: calibration(reference=r, probability=p))(reference, p)
    exact = measured(reference, p)
    for name in ("brier", "hinge", "ece", "ace"):
        metric = getattr(metrics, name)
        np.testing.assert_allclose(metric(c), metric(exact), rtol=2e-6, err_msg=name)


def test_fixed_columns_add_up_over_batches_and_devices(rng):
    reference, p = pair(rng, (4, 6, 5))
    count = lambda r, p: calibration(reference=r, probability=p, bins=100)
    each = jax.jit(jax.vmap(count))(reference, p)
    whole = count(jnp.asarray(reference), jnp.asarray(p))
    one = lambda i: jax.tree.map(lambda x: x[i], each)
    summed = one(0) + one(1) + one(2) + one(3)
    reduced = jax.vmap(
        lambda r, p: jax.lax.psum(count(r, p), "case"), axis_name="case", out_axes=None
    )(reference, p)
    every = jax.jit(lambda c: jnp.stack([metric(c) for metric in metrics.METRICS], -1))
    for found in (summed, reduced):
        np.testing.assert_array_equal(found.positives, whole.positives)
        np.testing.assert_array_equal(found.negatives, whole.negatives)
        np.testing.assert_allclose(every(found), every(whole), rtol=1e-5, atol=1e-6)
    alone = [every(one(i)) for i in range(4)]  # leading axes of this layout too
    np.testing.assert_allclose(every(each), alone, rtol=1e-5, atol=1e-6)
    for curve in (metrics.roc_curve, metrics.precision_recall_curve, metrics.threshold_sweep):
        for x, y in zip(curve(each), curve(one(2)), strict=True):
            np.testing.assert_allclose(x[2], y, rtol=1e-6)
    best = metrics.best_threshold(each)
    np.testing.assert_allclose(best[2], metrics.best_threshold(one(2)))


def test_columns_that_differ_do_not_add_up(rng):
    reference, p = pair(rng, (6, 5))
    one = calibration(reference=jnp.asarray(reference), probability=jnp.asarray(p), bins=10)
    other = calibration(reference=jnp.asarray(reference), probability=jnp.asarray(p), bins=20)
    with pytest.raises(InputError, match="pass the same bins"):
        one + other
    with pytest.raises(InputError, match="do not add up"):
        one + measured(reference, p)


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_score_under_jit_and_vmap_as_on_the_host(name, rng):
    reference, p = pair(rng, (4, 6, 5), step=FINE)
    valid = rng.random(reference.shape) < 0.8
    score = lambda r, p, v: getattr(segjax, name)(reference=r, prediction=p, valid=v)
    host = [score(*x) for x in zip(reference, p, valid, strict=True)]
    batched = jax.jit(jax.vmap(score))(reference, p, valid)
    np.testing.assert_allclose(batched, host, rtol=1e-5, atol=1e-6)
    assert batched.dtype == jnp.float32


@pytest.mark.parametrize("name", [*SMOOTH, "ece"])
def test_gradients_are_those_of_differences(name, rng):
    reference = jnp.asarray(rng.random((6, 5)) < 0.4)
    p = jnp.asarray(0.5 + rng.integers(-6, 7, (6, 5)) / 15, jnp.float32)  # mid bins of 15
    score = lambda p: getattr(segjax, name)(reference=reference, prediction=p)
    check_grads(jax.jit(score), (p,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2, eps=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_and_those_of_ranks_are_zero(name, rng):
    reference, p = pair(rng, (6, 5), step=1 / 2)  # 0 and 1 among them
    valid = p != 0.5
    for mask in (reference, reference & False):
        score = lambda p, mask=mask: getattr(segjax, name)(
            reference=mask, prediction=jnp.where(valid, p, jnp.nan), valid=valid
        )
        gradient = jax.jit(jax.grad(score))(jnp.asarray(p))
        assert np.isfinite(gradient).all()
        if name in ("auroc", "auprc", "best_dice", "best_iou"):
            assert not gradient.any()


def test_probabilities_of_lower_precision_are_scored(rng):
    reference, p = pair(rng, (6, 5), "float16", step=1 / 8)
    host, traced = scores(reference, p), jax.jit(scores)(reference, p)
    for name in NAMES:
        np.testing.assert_allclose(traced[name], host[name], rtol=1e-5, atol=1e-6)
    brain = jax.jit(scores)(reference, jnp.asarray(p, jnp.bfloat16))  # holds these exactly
    for name in NAMES:
        np.testing.assert_allclose(brain[name], host[name], rtol=1e-5, atol=1e-6)


# Inputs.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-3, 1.001, 7.5])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_no_probability_is_refused(value, dtype):
    p = np.full((4, 5), 0.5, dtype)
    p[1, 2] = value
    mask = p > 0
    with pytest.raises(InputError, match=r"prediction holds .* no probability.* apply a sigmoid"):
        segjax.brier(reference=mask, prediction=p)
    with pytest.raises(InputError, match=r"predictions holds .* no probability"):
        segjax.evaluate_batch(references=mask[None], predictions=p[None], metrics=["brier"])
    with pytest.raises(InputError, match=r"predictions\[1\] holds .* no probability"):
        segjax.evaluate_batch(
            references=[mask[:1], mask], predictions=[p[:1], p], metrics=["brier"]
        )


def test_minus_zero_is_zero():
    p = np.array([-0.0, 0.0, 1.0], np.float32)
    c = measured(np.array([True, False, True]), p)
    assert c.thresholds.tolist() == [0, 1]
    assert (c.positives.tolist(), c.negatives.tolist()) == ([1, 1], [1, 0])


def test_metrics_of_masks_and_of_probabilities_are_asked_for_apart(rng):
    reference, p = pair(rng, (6, 5))
    with pytest.raises(
        InputError, match=r"threshold probabilities first.*metrics of probabilities alone"
    ):
        scores(reference, p, ["dice", "brier"])
    with pytest.raises(InputError, match="threshold probabilities first"):
        scores(reference, p, ["dice"])
    both = scores(reference, p > 0.5, ["dice", "brier"])
    assert both["brier"] == definition.brier(reference, p > 0.5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_wanted_labels_are_the_foreground_and_what_is_ignored_does_not_count(order, rng):
    reference, _ = label_maps(rng, (6, 5), labels=(0, 1, 2, 5))
    p = rng.random((6, 5))
    reference, p = (np.asarray(x, order=order) for x in (reference, p))
    valid = rng.random((6, 5)) < 0.7
    score = lambda **options: segjax.brier(reference=reference, prediction=p, **options)
    assert score() == score(labels="foreground")
    assert score() == pytest.approx(definition.brier(reference > 0, p))
    assert score(labels=[2]) == pytest.approx(definition.brier(reference == 2, p))
    both = (reference == 2) | (reference == 5)
    assert score(labels=(2, 5)) == pytest.approx(definition.brier(both, p))
    assert score(labels=(0,)) == pytest.approx(definition.brier(reference == 0, p))
    kept = (reference != 5) & valid
    wanted = definition.brier(reference[kept] == 2, p[kept])
    options = {"labels": (2,), "ignore": 5}
    assert score(valid=valid, **options) == pytest.approx(wanted)
    traced = jax.jit(lambda r, p, v: segjax.brier(reference=r, prediction=p, valid=v, **options))
    assert float(traced(reference, p, valid)) == pytest.approx(wanted, rel=1e-5)


def test_predicted_labels_are_certain():
    reference, prediction = np.array([[0, 1, 2, 2]]), np.array([[0, 2, 2, 255]])
    options = {"reference": reference, "prediction": prediction}
    assert segjax.brier(**options, labels="foreground") == 0
    assert segjax.brier(**options, labels=(2,)) == 2 / 4
    with pytest.raises(InputError, match=r"divide probabilities by the greatest value \(x / 255\)"):
        segjax.brier(**options)
    assert segjax.evaluate(**options, metrics=["dice", "brier"])["brier"] == 0


def test_jax_arrays_outside_of_jit_are_checked_and_scored_exactly(rng):
    reference, p = pair(rng, (6, 5))
    score = segjax.auroc(reference=jnp.asarray(reference), prediction=jnp.asarray(p))
    assert score == segjax.auroc(reference=reference, prediction=p)
    with pytest.raises(InputError, match="no probability"):
        segjax.auroc(reference=jnp.asarray(reference), prediction=jnp.asarray(p) + 1)


@pytest.mark.parametrize("ragged", [False, True])
def test_batches_score_as_their_cases_do(ragged, rng):
    shapes = [(9, 13), (20, 7), (9, 13)] if ragged else [(6, 5)] * 3
    pairs = [pair(rng, shape) for shape in shapes]
    maps = [np.where(r, 2, rng.choice([0, 255], r.shape)) for r, _ in pairs]
    ps = [p for _, p in pairs]
    if not ragged:
        maps, ps = np.stack(maps), np.stack(ps)
    options = {"metrics": NAMES, "labels": [2], "ignore": 255}
    table = segjax.evaluate_batch(references=maps, predictions=ps, **options)
    for i, (r, p) in enumerate(zip(maps, ps, strict=True)):
        alone = segjax.evaluate(reference=r, prediction=p, **options)
        for name in NAMES:
            np.testing.assert_array_equal(table.column(name)[i], alone[name])
        kept = r != 255  # sizes in the table are those at one half
        assert table.counts.tp[i] == ((r == 2) & (p >= 0.5))[kept].sum()
        assert table.counts.tn[i] == ((r != 2) & (p < 0.5))[kept].sum()
    masks = segjax.evaluate_batch(
        references=[x == 2 for x in maps], predictions=ps, metrics=["brier", "auroc"]
    )
    assert masks.column("brier")[1] == pytest.approx(definition.brier(maps[1] == 2, ps[1]))


@pytest.mark.parametrize("bins", [0, -1, 1.5, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["ece", "mce", "ace", "average_calibration_error"])
def test_bins_are_whole_numbers(name, bins):
    mask = np.ones(3, bool)
    with pytest.raises(InputError, match="bins must be a whole number"):
        getattr(segjax, name)(reference=mask, prediction=mask, bins=bins)


def test_bins_are_closed_on_one_side():
    with pytest.raises(InputError, match="closed must be left or right"):
        segjax.ece(reference=np.ones(3, bool), prediction=np.ones(3, bool), closed="both")


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_scores_lower_for_accelerators(platform):
    mask = jax.ShapeDtypeStruct((4, 128, 192), jnp.bool_)
    p = jax.ShapeDtypeStruct((4, 128, 192), jnp.float32)
    one = lambda r, p: segjax.evaluate(reference=r, prediction=p, metrics=NAMES)
    exported = jax.export.export(jax.jit(jax.vmap(one)), platforms=[platform])(mask, p)
    assert "custom_call" not in exported.mlir_module()
