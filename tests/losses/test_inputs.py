"""Predictions and labels in all their forms, and what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from segjax import InputError, losses
from segjax.losses import _classes
from segjax.losses._inputs import pixels
from tests.losses.cases import quick


SPACE = (4, 5)


def drawn(rng, classes=3, batch=2):
    x = jnp.asarray(rng.normal(size=(batch, *SPACE, classes)), jnp.float32)
    return x, rng.integers(0, max(2, classes), (batch, *SPACE)).astype(np.int32)


def both(x, y, **how):
    """A loss of classes and one of pixels."""
    return losses.dice(x, y, **how), losses.cross_entropy(x, y, **how)


def same(*pairs):
    for a, b in pairs:
        for found, expected in zip(a, b, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_ids_one_hot_and_soft_labels_say_the_same(rng):
    x, y = drawn(rng)
    one_hot = np.arange(3) == y[..., None]
    of_ids = both(x, y)
    for labels in (y.astype(np.uint8), one_hot, one_hot.astype(np.int32), one_hot.astype(float)):
        same((both(x, labels), of_ids))
    soft = 0.9 * one_hot + 0.1 / 3
    smoothed = losses.cross_entropy(x, y, label_smoothing=0.1)
    same(([losses.cross_entropy(x, jnp.asarray(soft, jnp.float32))], [smoothed]))


def test_one_class_may_be_a_mask_with_or_without_its_axis(rng):
    x, y = drawn(rng, classes=1)
    expected = both(x, y)
    forms = (y > 0, y * 255, y.astype(np.float32), y[..., None], (y > 0)[..., None])
    for labels in forms:
        same((both(x, labels), expected))
    without = dict(channels=False, dims=2)
    same((both(x[..., 0], y, **without), expected))
    same((both(x[..., 0], y > 0, **without), expected))


def test_one_class_by_sigmoid_is_two_by_softmax(rng):
    x, y = drawn(rng, classes=1)
    two = jnp.concatenate([jnp.zeros_like(x), x], -1)
    same(
        ([losses.cross_entropy(x, y)], [losses.cross_entropy(two, y)]),
        ([losses.focal(x, y)], [losses.focal(two, y)]),
        ([losses.dice(x, y)], [losses.dice(two, y, per_class=True)[:, 1]]),
        (
            [losses.cross_entropy(x, y, class_weights=(0.5, 3.0), reduction="mean")],
            [losses.cross_entropy(two, y, class_weights=(0.5, 3.0), reduction="mean")],
        ),
    )


def test_pixels_that_do_not_count_might_as_well_not_be_there(rng):
    x, y = drawn(rng)
    where = np.ones(y.shape, bool)
    where[:, -1] = False  # a row, so that what is left is an image
    kept = both(x[:, :-1], y[:, :-1], reduction="case")
    ignored = np.where(where, y, 255)
    for how in ({"where": where}, {"ignore_index": 255}):
        labels = ignored if "ignore_index" in how else y
        same((both(x, labels, reduction="case", **how), kept))
    halves = {"where": where | (rng.random(y.shape) < 2), "ignore_index": 255}
    same((both(x, ignored, reduction="case", **halves), kept))
    same(
        ([losses.top_k(x, y, where=where)], [losses.top_k(x[:, :-1], y[:, :-1])]),
        ([losses.lovasz_softmax(x, y, where=where)], [losses.lovasz_softmax(x[:, :-1], y[:, :-1])]),
    )
    small = ignored.astype(np.uint8)
    same((both(x, small, ignore_index=-1, reduction="case"), both(x, small, reduction="case")))
    assert not losses.cross_entropy(x, y, where=where)[:, -1].any()
    assert losses.cross_entropy(x, y, where=np.zeros_like(where), reduction="mean") == 0


def test_any_axes_may_come_first_and_one_to_three_are_space(rng):
    x = jnp.asarray(rng.normal(size=(2, 3, 4, 5, 2)), jnp.float32)
    y = rng.integers(0, 2, x.shape[:-1])
    for dims, batch in ((1, (2, 3, 4)), (2, (2, 3)), (3, (2,))):
        flat = (z.reshape(-1, *z.shape[len(batch) :]) for z in (x, y))
        dice = quick(partial(losses.dice, dims=dims))
        value = dice(x, y)
        assert value.shape == batch
        np.testing.assert_allclose(value.reshape(-1), dice(*flat), rtol=1e-6)
    np.testing.assert_array_equal(losses.dice(x, y), losses.dice(x, y, dims=3))


def test_probabilities_give_what_their_logits_give(rng):
    x, y = drawn(rng)
    names = ("dice", "cross_entropy", "focal", "top_k", "lovasz_softmax")
    for classes, p in ((3, jax.nn.softmax(x)), (1, jax.nn.sigmoid(x[..., :1]))):
        labels = np.minimum(y, max(1, classes - 1))
        for name in names:
            loss = getattr(losses, name)
            found = loss(p, labels, from_logits=False)
            expected = loss(x[..., :classes], labels)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_many_classes_are_computed_as_few_are(rng, monkeypatch):
    x, y = drawn(rng, classes=5, batch=1)
    f = lambda x: (*both(x, y), losses.focal(x, y), losses.surface_dice(x, y), losses.cldice(x, y))
    few = quick(lambda x: f(x))(x)
    monkeypatch.setattr(_classes, "_FEW", 4)
    same((quick(lambda x: f(x))(x), few))


def test_a_class_id_that_no_class_has_is_none_of_them(rng):
    x, y = drawn(rng)
    y[:, 0] = 7
    none = np.arange(3) == y[..., None]
    same((both(x, y), both(x, none)))
    assert not losses.cross_entropy(x, y)[:, 0].any()


def test_top_k_is_the_mean_of_the_costliest(rng):
    x, y = drawn(rng)
    x = x.at[:, 0].set(0)  # ties
    cost = np.sort(np.asarray(losses.cross_entropy(x, y)).reshape(2, -1))[:, ::-1]
    for share, k in ((0.05, 1), (0.5, 10), (0.55, 11), (1.0, 20)):
        np.testing.assert_allclose(losses.top_k(x, y, share=share), cost[:, :k].mean(1), rtol=1e-6)


def test_what_is_exported_for_accelerators_stays_there(rng):
    x, y = drawn(rng)
    f = jax.jit(jax.grad(lambda x, y: losses.dice_boundary(x, y, reduction="mean")))
    for platform in ("cuda", "tpu"):
        assert jax.export.export(f, platforms=[platform])(x, y).mlir_module()


X, Y = np.zeros((2, 4, 5, 3), np.float32), np.zeros((2, 4, 5), np.int32)


@pytest.mark.parametrize(
    ("x", "y", "how", "message"),
    [
        (X, Y[:, :3], {}, r"\(2, 3, 5\).*\(2, 4, 5, 3\)"),
        (X, Y[..., None], {}, r"\(2, 4, 5, 1\)"),
        (X, Y.astype(float), {}, r"class ids must be integer.*\(2, 4, 5\)"),
        (X, Y > 0, {}, "class ids must be integer, got bool"),
        (X, Y.astype(complex), {}, "complex"),
        (X[0], Y[0], {}, r"\(4, 5, 3\).*say with dims="),
        (X, Y, {"dims": 4}, "dims must be 1, 2 or 3"),
        (X, Y, {"dims": 0}, "got 0"),
        (X, Y, {"where": Y}, r"bool of shape \(2, 4, 5\), got int32"),
        (X, Y, {"where": Y[0] > 0}, r"\(4, 5\)"),
        (X, X, {"ignore_index": 255}, "use where="),
        (X, Y, {"class_weights": (1.0, 2.0)}, "3 numbers"),
        (X[..., 0], Y[0], {"channels": False, "dims": 2}, r"\(2, 4, 5\)"),
        (X[..., 0], Y[..., None], {"channels": False, "dims": 2}, r"\(2, 4, 5, 1\)"),
        (X, Y, {"reduction": "max"}, "none, case, mean, sum"),
    ],
)
def test_what_does_not_fit_is_refused(x, y, how, message):
    with pytest.raises(InputError, match=message):
        pixels(x, y, **how)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dice", {"prior": -1.0}, "prior"),
        ("tversky", {"alpha": -1.0}, "alpha"),
        ("focal_tversky", {"gamma": 0.0}, "gamma"),
        ("generalised_dice", {"weights": "cubic"}, "weights must be one of"),
        ("generalised_dice", {"class_weights": (1.0, 1.0, 1.0)}, "weights="),
        ("sensitivity_specificity", {"share": 2.0}, "share"),
        ("cross_entropy", {"label_smoothing": 1.0}, "label_smoothing"),
        ("focal", {"gamma": -1.0}, "gamma"),
        ("top_k", {"share": 0.0}, "share"),
        ("lovasz_softmax", {"classes": "some"}, "present, all"),
        ("lovasz_hinge", {}, r"single class.*\(2, 4, 5, 3\)"),
        ("boundary", {"spacing": (1.0, 2.0, 3.0)}, "spacing"),
        ("hausdorff", {"alpha": 0.0}, "alpha"),
        ("surface_dice", {"tolerance": -1.0}, "tolerance"),
        ("cldice", {"iterations": -1}, "iterations"),
        ("pq", {"objects": 2, "class_weights": (1.0, 1.0, 1.0)}, "no class_weights"),
        ("seg", {"objects": 2, "channels": False, "dims": 2}, "."),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        getattr(losses, name)(X, Y, **options)
