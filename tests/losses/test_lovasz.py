"""The Lovász extension: as its definition has it, sorted on the host as on the device."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from segjax import losses
from segjax.losses import lovasz


def extension(errors, truth):
    """Sum of the errors in descending order, each times what it adds to 1 - IoU."""
    wrong, before, total = set(), 0.0, 0.0
    for i in sorted(range(len(errors)), key=lambda i: -errors[i]):
        wrong.add(i)
        union = truth.sum() + sum(not truth[j] for j in wrong)
        loss = 1 - sum(j not in wrong for j in np.flatnonzero(truth)) / union
        total, before = total + errors[i] * (loss - before), loss
    return total


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_costs_are_those_of_the_definition(rng, share):
    errors, truth = rng.random(12).astype(np.float32), rng.random(12) < share
    for costs in (lovasz._costs_on_host, lovasz._costs_on_device):
        found = costs(jnp.asarray(errors), jnp.asarray(truth))
        np.testing.assert_allclose((found * errors).sum(), extension(errors, truth), rtol=1e-5)


def test_host_and_device_sort_alike(rng):
    errors = rng.integers(0, 6, (3, 2, 40)).astype(np.float32) / 8  # with ties, and zeros
    truth = rng.random(errors.shape) < 0.4
    host = lovasz._sort_on_host(errors, truth)
    np.testing.assert_allclose(jax.jit(lovasz._costs_on_device)(errors, truth), host, rtol=1e-6)
    double = lovasz._sort_on_host(errors.astype(float), truth)
    np.testing.assert_allclose(double, host, rtol=1e-6)


def test_costs_hold_in_large_images(rng):
    # As differences of losses they would be lost in rounding: 1e-6 beside 1.
    errors = rng.random(10**6).astype(np.float32)
    truth = rng.random(errors.size) < 0.5
    order = np.argsort(-errors, kind="stable")
    found = np.cumsum(truth[order])
    union = truth.sum() + np.arange(1, errors.size + 1) - found
    loss = 1 - (truth.sum() - found) / union
    exact = np.diff(loss, prepend=0.0)
    np.testing.assert_allclose(
        lovasz._sort_on_host(errors, truth)[order], exact, rtol=1e-5, atol=1e-15
    )


def test_accelerators_need_no_host():
    x, y = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32), jax.ShapeDtypeStruct((2, 8, 8), int)
    loss = jax.jit(jax.grad(lambda x, y: losses.lovasz_softmax(x, y, reduction="mean")))
    for platform in ("cuda", "tpu"):
        text = jax.export.export(loss, platforms=[platform])(x, y).mlir_module()
        assert "callback" not in text


def test_the_gradient_is_the_costs(rng):
    logits, y = rng.normal(size=(6, 7)).astype(np.float32), rng.random((6, 7)) < 0.4
    f = lambda x: losses.lovasz_hinge(x, y, channels=False, dims=2)
    slope = jax.grad(f)(jnp.asarray(logits))
    sign = np.where(y, -1, 1)
    errors = np.maximum(0, 1 + sign * logits)
    costs = lovasz._sort_on_host(errors.reshape(-1), y.reshape(-1)).reshape(6, 7)
    np.testing.assert_allclose(slope, np.where(errors > 0, sign * costs, 0), rtol=1e-5, atol=1e-7)
