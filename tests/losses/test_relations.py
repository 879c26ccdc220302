"""What each loss has to do with the metric that it stands for."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import segjax
from segjax import losses
from segjax.losses import LOSSES
from tests.images import cells, masks
from tests.losses.cases import quick


SPACE = (8, 9)
EXACT = [x for x in LOSSES if x.exact is not None]


def metric(name, reference, prediction):
    (score,) = segjax.evaluate(reference=reference, prediction=prediction, metrics=[name]).values()
    return score


def of_masks(loss, reference, prediction, **options):
    """The loss of one case, one class, with probabilities of 0 and 1."""
    f = partial(loss, from_logits=False, channels=False, dims=reference.ndim, **options)
    return quick(f)(jnp.asarray(prediction, jnp.float32), jnp.asarray(reference))


def of_objects(loss, reference, prediction, **options):
    channels = np.arange(prediction.max() + 1) == prediction[..., None]
    f = partial(loss, objects=int(reference.max()), from_logits=False, dims=2, **options)
    return quick(f)(jnp.asarray(channels, jnp.float32), jnp.asarray(reference))


@pytest.mark.parametrize("loss", EXACT, ids=lambda x: x.name)
def test_losses_are_exactly_their_metric(loss, rng):
    if loss.of == "object":
        reference, prediction = cells(rng, (24, 20), 8)
        value = of_objects(loss.function, reference, prediction, **loss.exact)
        expected = 1 - metric(loss.metric, reference, prediction)
    elif loss.metric == "nll":
        reference, prediction = rng.random(SPACE) < 0.4, rng.random(SPACE).astype(np.float32)
        options = loss.exact | {"reduction": "mean"}
        value = of_masks(loss.function, reference, prediction, **options)
        expected = metric("nll", reference, prediction)
    else:
        reference, prediction = masks(rng, SPACE)
        value = of_masks(loss.function, reference, prediction, **loss.exact)
        expected = 1 - metric(loss.metric, reference, prediction)
    assert 0 < expected < 2
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("loss", [x for x in EXACT if x.of == "class"], ids=lambda x: x.name)
def test_losses_of_classes_are_means_over_their_metrics(loss, rng):
    reference, prediction = rng.integers(0, 3, (2, *SPACE))
    score = segjax.get_metric(loss.metric)
    expected = (
        1
        - segjax.evaluate(
            reference=reference, prediction=prediction, metrics=[score.name], labels=(0, 1, 2)
        )[score.name]
    )
    p = jnp.asarray(prediction[..., None] == np.arange(3), jnp.float32)
    f = partial(loss.function, from_logits=False, dims=2, **loss.exact)
    apart, mean, light = quick(
        lambda p, y: (
            f(p, y, per_class=True),
            f(p, y),
            f(p, y, class_weights=(0.0, 1.0, 3.0)),
        )
    )(p, reference)
    np.testing.assert_allclose(apart, expected, rtol=1e-5)
    np.testing.assert_allclose(mean, expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(light, (expected[1] + 3 * expected[2]) / 4, rtol=1e-5)


def test_generalised_dice_of_classes_is_the_metric(rng):
    reference, prediction = rng.integers(0, 3, (2, *SPACE))
    p = jnp.asarray(prediction[..., None] == np.arange(3), jnp.float32)
    value = losses.generalised_dice(p, reference, from_logits=False, dims=2)
    expected = 1 - segjax.generalized_dice(
        reference=reference, prediction=prediction, labels=(0, 1, 2)
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_a_prior_shrinks_losses_by_a_known_factor(rng):
    r, p = masks(rng, SPACE)
    size, union = r.sum() + p.sum(), (r | p).sum()
    value = of_masks(losses.dice, r, p, prior=3.0)
    np.testing.assert_allclose(value, (1 - metric("dice", r, p)) * size / (size + 6), rtol=1e-5)
    value = of_masks(losses.iou, r, p, prior=3.0)
    np.testing.assert_allclose(value, (1 - metric("iou", r, p)) * union / (union + 3), rtol=1e-5)
    elements = sum((x & ~ndimage.binary_erosion(x)).sum() for x in (r, p))
    value = of_masks(losses.surface_dice, r, p, prior=3.0, tolerance=0.0)
    expected = (1 - metric("nsd(tolerance=0)", r, p)) * elements / (elements + 3)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_what_is_in_neither_mask_costs_nothing_and_what_is_in_one_costs_all(rng):
    nothing, something = np.zeros(SPACE, bool), np.ones(SPACE, bool)
    for loss in (losses.dice, losses.iou, losses.tversky, losses.surface_dice):
        assert of_masks(loss, nothing, nothing) == 0
        assert of_masks(loss, nothing, nothing, prior=0.0) == 0
        np.testing.assert_allclose(of_masks(loss, nothing, something, prior=0.0), 1)
    np.testing.assert_allclose(of_masks(losses.mcc, nothing, nothing), 0, atol=1e-6)
    np.testing.assert_allclose(of_masks(losses.mcc, something, something), 0, atol=1e-6)
    assert of_masks(losses.mcc, something, nothing, prior=0.0) == 1


def test_focal_tversky_and_log_cosh_dice_bend_the_losses_they_are_of(rng):
    r, p = masks(rng, SPACE)
    x = 1 - metric("f_beta(beta=1.5275252)", r, p)
    value = of_masks(losses.focal_tversky, r, p, prior=0.0)
    np.testing.assert_allclose(value, x**0.75, rtol=1e-5)
    x = 1 - metric("dice", r, p)
    value = of_masks(losses.log_cosh_dice, r, p, prior=0.0)
    np.testing.assert_allclose(value, np.log(np.cosh(x)), rtol=1e-5)
    assert x**2 / 2 - x**4 / 12 <= value <= x**2 / 2


def test_focal_is_at_most_cross_entropy_and_top_k_at_least(rng):
    r, p = rng.random(SPACE) < 0.4, rng.random(SPACE).astype(np.float32)
    nll = metric("nll", r, p)
    assert 0 < of_masks(losses.focal, r, p, reduction="mean") < nll
    shares = [float(of_masks(losses.top_k, r, p, share=s)) for s in (0.1, 0.5, 0.9)]
    assert shares[0] > shares[1] > shares[2] > nll


def test_lovasz_softmax_leaves_out_classes_that_are_not_there(rng):
    reference, prediction = rng.integers(0, 2, (2, *SPACE))
    prediction[0] = 2
    scores = segjax.iou(reference=reference, prediction=prediction, labels=(0, 1, 2))
    p = jnp.asarray(prediction[..., None] == np.arange(3), jnp.float32)
    f = partial(losses.lovasz_softmax, p, reference, from_logits=False, dims=2)
    np.testing.assert_allclose(f(), 1 - scores[:2].mean(), rtol=1e-5)
    np.testing.assert_allclose(f(classes="all"), 1 - scores.mean(), rtol=1e-5)


def test_the_lovasz_hinge_bounds_iou_from_above(rng):
    r, p = masks(rng, SPACE)
    f = quick(partial(losses.lovasz_hinge, channels=False, dims=2))
    error = 1 - metric("iou", r, p)
    np.testing.assert_allclose(f(jnp.where(p, 1.0, -1.0), r), 2 * error, rtol=1e-5)
    for size in (0.1, 1.0, 3.0):
        sure = jnp.asarray(size * rng.random(SPACE).astype(np.float32))
        assert f(jnp.where(p, sure, -sure), r) >= error


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (3.0, 0.5)])
def test_the_boundary_loss_is_made_of_distances_of_pixels(rng, spacing):
    r, p = masks(rng, SPACE)
    far = lambda mask: ndimage.distance_transform_edt(~mask, sampling=spacing)
    value = of_masks(losses.boundary, r, p, spacing=spacing)
    # Of what is wrong outside the distance to the mask, of what is wrong inside that to the rest.
    np.testing.assert_allclose(r.size * value, far(r)[p].sum() + far(~r)[r & ~p].sum(), rtol=1e-5)
    around = r | p
    value = of_masks(losses.boundary, r, around, spacing=spacing)
    mean = 2 * segjax.average_hausdorff(reference=r, prediction=around, spacing=spacing)
    assert mean > 0
    np.testing.assert_allclose(value, around.sum() / r.size * mean, rtol=1e-5)


def test_the_hausdorff_loss_bounds_the_distance_from_above(rng):
    isolated = np.indices(SPACE).sum(0) % 2 == 0  # so that all pixels are on the surface
    f = {a: partial(of_masks, losses.hausdorff, alpha=a) for a in (1.0, 2.0)}
    for _ in range(2):
        r, p = ((rng.random(SPACE) < 0.2) & isolated for _ in "rp")
        r[0, 0] = p[7, 7] = True
        distance = segjax.hausdorff(reference=r, prediction=p)
        for alpha in f:
            assert r.size * f[alpha](r, p) >= distance**alpha * (1 - 1e-6)


@pytest.mark.parametrize("tolerance", [1.0, 1.5, 3.0])
def test_surface_dice_is_nsd_at_other_tolerances_and_in_space(rng, tolerance):
    for shape, spacing in (((9, 11), (1.0, 1.0)), ((5, 6, 7), (2.0, 1.0, 0.7))):
        r = rng.random(shape) < 0.05
        p = r ^ (rng.random(shape) < 0.1)
        r.flat[0] = p.flat[-1] = True
        value = of_masks(losses.surface_dice, r, p, prior=0.0, tolerance=tolerance, spacing=spacing)
        expected = 1 - segjax.nsd(reference=r, prediction=p, spacing=spacing, tolerance=tolerance)
        assert 0 < expected < 1
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_cldice_of_lines_is_the_metric():
    r, p = np.zeros((2, 9, 11), bool)
    r[4, 1:10] = True
    p[4, 3:8] = p[2, 1:10] = True
    value = of_masks(losses.cldice, r, p, prior=0.0)
    np.testing.assert_allclose(value, 1 - metric("cldice", r, p), rtol=1e-5)
    assert 0.1 < value < 0.9


def test_objects_are_drawn_to_each_other_before_they_match(rng):
    reference, prediction = cells(rng, (24, 20), 8)
    for loss, name in ((losses.pq, "pq"), (losses.seg, "seg")):
        value = of_objects(loss, reference, prediction)
        assert value < 1 - metric(name, reference, prediction)


def test_channels_of_objects_may_be_in_any_order(rng):
    reference, prediction = cells(rng, (24, 20), 8)
    order = rng.permutation(prediction.max()) + 1
    shuffled = np.concatenate([[0], order])[prediction]
    for loss in (losses.pq, losses.seg):
        values = [of_objects(loss, reference, x) for x in (prediction, shuffled)]
        np.testing.assert_allclose(*values, rtol=1e-6)


def test_presets_are_sums(rng):
    x = jnp.asarray(rng.normal(size=(2, *SPACE, 3)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 3, (2, *SPACE)))

    @quick
    def pairs(x, y):
        parts = (losses.dice, losses.cross_entropy, losses.focal, losses.boundary)
        dice, ce, focal, boundary = (f(x, y, reduction="case") for f in parts)
        return [
            (losses.dice_ce(x, y, dice_weight=0.5, ce_weight=2.0), 0.5 * dice + 2 * ce),
            (losses.dice_focal(x, y, dice_weight=0.5, focal_weight=2.0), 0.5 * dice + 2 * focal),
            (losses.dice_boundary(x, y, boundary_weight=0.25), 0.75 * dice + 0.25 * boundary),
        ]

    for found, expected in pairs(x, y):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
