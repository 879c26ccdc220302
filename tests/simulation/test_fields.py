import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from segjax.simulation._fields import Grain, blur, plane_grain, smooth_noise


@pytest.fixture(scope="module")
def fields():
    """Of one draw: white noise, and a field 3 pixels wide whose knots lie 4 apart."""
    grains = Grain((0.0, 0.0), (1.0, 1.0)), plane_grain(3.0, 1.0, 1.0, 2)
    draw = jax.jit(jax.vmap(lambda key: smooth_noise(key, (24, 25), *grains)))
    return [np.asarray(field) for field in draw(jax.random.split(jax.random.key(3), 2000))]


def test_every_pixel_is_normal_also_at_the_border(fields):
    for field in fields:
        # 600 means of 2000 draws: their largest is some 3.3 / sqrt(2000).
        assert np.abs(field.mean(0)).max() < 0.11
        np.testing.assert_allclose(field.std(0), 1, atol=0.08)
        assert abs((np.abs(field) > 2).mean() - 0.0455) < 0.004


def test_correlation_falls_as_the_width_says(fields):
    white, smooth = fields
    for apart in (1, 3, 6):
        found = (smooth[:, :, apart:] * smooth[:, :, :-apart]).mean()
        # Knots this far apart show in the second digit.
        assert found == pytest.approx(np.exp(-(apart**2) / 36), abs=0.04)
    assert abs((white[:, 1:] * white[:, :-1]).mean()) < 0.01


def test_blur_is_that_of_scipy_within(rng):
    image = rng.random((20, 31)).astype(np.float32)
    widths = 1.1, 1.7
    expected = ndimage.gaussian_filter(image, widths, truncate=9.0)
    inner = slice(8, -8), slice(10, -10)
    found = blur(jnp.asarray(image), widths)
    np.testing.assert_allclose(np.asarray(found)[inner], expected[inner], rtol=1e-4)


def test_blur_keeps_what_is_even_and_a_blur_of_nothing_keeps_all(rng):
    np.testing.assert_allclose(blur(jnp.ones((7, 9)), (2.0, 3.0)), 1, rtol=1e-6)
    image = jnp.asarray(rng.random((1, 6, 5)), jnp.float32)
    np.testing.assert_allclose(blur(image, (0.0, 0.0, 0.0)), image, rtol=1e-6)
