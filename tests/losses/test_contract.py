"""What holds for every loss there is and will be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError, get_metric
from segjax.losses import LOSSES
from tests.losses.cases import (
    SPACE,
    channels,
    compiled,
    discs,
    every_loss,
    forms,
    function,
    labels_for,
    logits_of,
)


def random_pair(loss, rng, scale=1.0):
    y = labels_for(loss, rng.integers(0, 3, (2, *SPACE)).astype(np.int32))
    return scale * rng.normal(size=(*y.shape, channels(loss))), y


@every_loss
def test_gradients_are_finite_differences(loss, rng):
    with jax.enable_x64(True):
        run = compiled(loss.name, "float64")
        x, y = random_pair(loss, rng)
        _, slope = run(x, y)
        assert slope.dtype == jnp.float64
        for _ in range(3):
            way = rng.normal(size=x.shape)
            step = 1e-6 * way
            found = (run(x + step, y)[0] - run(x - step, y)[0]).sum() / 2e-6
            np.testing.assert_allclose((slope * way).sum(), found, rtol=1e-5, atol=1e-8)


@every_loss
def test_values_and_gradients_are_finite_whatever_comes(loss, rng):
    run = compiled(loss.name)
    single = np.zeros((2, *SPACE), np.int32)
    single[:, 3, 4] = 1
    maps = [np.zeros_like(single), np.ones_like(single), single, discs()]
    for y in (labels_for(loss, m) for m in maps):
        right = logits_of(loss, y, 100)
        for x in (right, -right, np.zeros_like(right), rng.normal(size=right.shape)):
            values, slope = run(x, y)
            assert np.isfinite(values).all()
            assert np.isfinite(slope).all()
            assert values.shape == (2,)
            assert values.dtype == jnp.float32


@every_loss
def test_a_perfect_prediction_costs_nothing(loss):
    y = labels_for(loss, discs())
    values, _ = compiled(loss.name)(logits_of(loss, y, 100), y)
    np.testing.assert_allclose(values, 0, atol=1e-6)
    assert not np.allclose(compiled(loss.name)(logits_of(loss, y, -100), y)[0], 0, atol=0.05)


@every_loss
def test_the_way_from_wrong_to_right_leads_down(loss):
    y = labels_for(loss, discs())
    wrong = np.roll(y, (2, 1), (1, 2))
    ends = [logits_of(loss, labels, 4.0) for labels in (wrong, y)]
    way = [(1 - t) * ends[0] + t * ends[1] for t in np.linspace(0, 1, 6)]
    values = np.stack([compiled(loss.name)(x, y)[0] for x in way])
    # A hinge is at rest where all are right by 1.
    assert ((np.diff(values, axis=0) < 0) | (values[1:] == 0)).all()
    assert (values[:3] > 0).all()


@every_loss
def test_vmap_and_a_batch_agree(loss, rng):
    x, y = random_pair(loss, rng)
    found = forms(loss.name)(x, y)
    np.testing.assert_allclose(found["mapped"], found["case"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(compiled(loss.name)(x, y)[0], found["case"], rtol=1e-5, atol=1e-6)


@every_loss
def test_half_precision_is_summed_in_single(loss, rng):
    x, y = random_pair(loss, rng)
    found = forms(loss.name)(x, y)
    assert found["half"].dtype == jnp.float32
    np.testing.assert_allclose(found["half"], found["rounded"], rtol=1e-6)
    np.testing.assert_allclose(found["half"], found["case"], rtol=0.03)


@every_loss
def test_pixels_that_do_not_count_have_no_say(loss, rng):
    x, y = random_pair(loss, rng)
    where = rng.random(y.shape) < 0.7
    where[:, 0] = True
    clean, _ = compiled(loss.name)(np.where(where[..., None], x, 0), y, where)
    poisoned, slope = compiled(loss.name)(np.where(where[..., None], x, np.nan), y, where)
    np.testing.assert_array_equal(poisoned, clean)
    assert np.isfinite(slope).all()
    assert not np.any(np.asarray(slope)[~where])


@every_loss
def test_reductions_are_sums_and_means_of_the_values(loss, rng):
    x, y = random_pair(loss, rng)
    found = forms(loss.name)(x, y)
    values = found["none"]
    assert values.shape == (y.shape if loss.of == "pixel" else (2,))
    np.testing.assert_allclose(found["case"], values.reshape(2, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(found["mean"], values.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["sum"], values.sum(), rtol=1e-5)


@every_loss
def test_shapes_and_dtypes_that_do_not_fit_are_refused_while_tracing(loss):
    f = function(loss)
    x = jax.ShapeDtypeStruct((2, *SPACE, channels(loss)), jnp.float32)
    labels = lambda shape, dtype=jnp.int32: jax.ShapeDtypeStruct(shape, dtype)
    with pytest.raises(InputError, match=r"\(2, 8, 9, .*\(2, 9, 8\)|\(2, 9, 8\).*\(2, 8, 9, "):
        jax.eval_shape(f, x, labels((2, 9, 8)))
    whole = jax.ShapeDtypeStruct(x.shape, jnp.int32)
    with pytest.raises(InputError, match="int32"):
        jax.eval_shape(f, whole, labels((2, *SPACE)))
    with pytest.raises(InputError, match="reduction"):
        jax.eval_shape(function(loss, reduction="average"), x, labels((2, *SPACE)))
    with pytest.raises(TypeError, match="wher"):
        jax.eval_shape(function(loss, wher=None), x, labels((2, *SPACE)))


@every_loss
def test_a_loss_says_what_it_stands_for(loss):
    assert get_metric(loss.metric).name
    assert loss.relation
    assert loss.source
    assert loss.title != loss.name


def test_names_are_those_of_the_functions_and_different():
    assert len({x.name for x in LOSSES}) == len(LOSSES)
    for x in LOSSES:
        assert getattr(segjax.losses, x.name) is x.function
