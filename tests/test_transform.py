"""Dense distances: as SciPy in float64, and what holds of any distance."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from segjax.ops import transform
from segjax.ops.transform import distance_transform, signed_distance


SHAPES = [(13,), (9, 17), (6, 9, 11)]


def expected(mask, spacing=None):
    return ndimage.distance_transform_edt(~mask, sampling=spacing)


def cases(shape, rng):
    corner, border = np.zeros(shape, bool), np.zeros(shape, bool)
    corner[(-1,) * len(shape)] = True
    border[0] = True
    middle = np.zeros(shape, bool)
    middle[tuple(n // 2 for n in shape)] = True
    drawn = [rng.random(shape) < share for share in (0.02, 0.1, 0.5, 0.95)]
    for mask in drawn:
        mask.flat[3] = True  # of an empty mask SciPy gives finite distances
    return [corner, border, middle, ~middle, np.ones(shape, bool), *drawn]


@pytest.mark.parametrize("shape", SHAPES)
def test_squared_distances_are_the_integers_of_scipy(shape, rng):
    squared = jax.jit(lambda mask: transform._squared(mask, (1.0,) * mask.ndim)[0])
    for mask in cases(shape, rng):
        found = squared(jnp.asarray(mask))
        assert found.dtype == jnp.int32
        np.testing.assert_array_equal(found, np.rint(expected(mask) ** 2))


@pytest.mark.parametrize(
    "spacing", [(0.7,), (0.3, 0.3), (0.1, 5.0), (5.0, 0.3, 0.7)], ids=lambda spacing: str(spacing)
)
def test_distances_are_those_of_scipy(spacing, rng):
    shape = SHAPES[len(spacing) - 1]
    for mask in cases(shape, rng):
        found = distance_transform(jnp.asarray(mask), spacing)
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected(mask, spacing), rtol=4e-7)


@pytest.mark.parametrize("shape", [(4, 4, 512), (512, 4, 4)])
def test_long_lines_stay_exact(shape, rng):
    # Rounding does not add up along a line: the error is that at 512^3 as well.
    spacing = (0.1, 5.0, 1.7)
    one = np.zeros(shape, bool)
    one[(-1,) * len(shape)] = True
    few = rng.random(shape) < 0.002
    few.flat[7] = True
    squared = jax.jit(lambda mask: transform._squared(mask, (1.0,) * mask.ndim)[0])
    for mask in (one, few):
        np.testing.assert_array_equal(squared(jnp.asarray(mask)), np.rint(expected(mask) ** 2))
        found = distance_transform(jnp.asarray(mask), spacing)
        np.testing.assert_allclose(found, expected(mask, spacing), rtol=4e-7)


def test_squares_beyond_int32_are_floats():
    mask = jnp.zeros((2, 40_000), bool).at[0, 0].set(True)  # 40,000^2 = 1.6e9; its double is not
    assert transform._squared(mask, (1.0, 1.0))[0].dtype == jnp.float32
    found = distance_transform(mask)
    np.testing.assert_allclose(found[0], np.arange(40_000), rtol=4e-7)
    np.testing.assert_allclose(found[1], np.hypot(1, np.arange(40_000)), rtol=4e-7)


@pytest.mark.parametrize("spacing", [None, (0.1, 5.0)])
def test_nothing_to_reach_is_infinitely_far(spacing):
    empty = jnp.zeros((9, 17), bool)
    assert jnp.all(distance_transform(empty, spacing) == jnp.inf)
    assert jnp.all(distance_transform(~empty, spacing) == 0)
    assert jnp.all(signed_distance(empty, spacing) == jnp.inf)
    assert jnp.all(signed_distance(~empty, spacing) == -jnp.inf)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_no_voxels_no_distances(shape):
    assert distance_transform(jnp.zeros(shape, bool)).shape == shape
    assert signed_distance(jnp.zeros(shape, bool)).shape == shape


@pytest.mark.parametrize("spacing", [None, (0.1, 5.0)])
def test_signed_distance_is_to_the_other_side(spacing, rng):
    mask = rng.random((9, 17)) < 0.4
    found = signed_distance(jnp.asarray(mask), spacing)
    np.testing.assert_allclose(found, expected(mask, spacing) - expected(~mask, spacing), rtol=4e-7)
    np.testing.assert_array_equal(found < 0, mask)
    np.testing.assert_array_equal(signed_distance(jnp.asarray(~mask), spacing), -found)


@pytest.mark.parametrize("function", [distance_transform, signed_distance])
def test_jit_vmap_and_loop_agree(function, rng):
    share = np.array([0, 0.02, 0.5, 1])[:, None, None]
    masks = jnp.asarray(rng.random((4, 9, 17)) < share)
    for spacing in (None, (0.1, 5.0)):
        one = lambda mask, spacing=spacing: function(mask, spacing)
        looped = np.stack([one(mask) for mask in masks])
        np.testing.assert_array_equal(jax.jit(jax.vmap(one))(masks), looped)


@pytest.mark.parametrize("function", [distance_transform, signed_distance])
def test_gradient_is_zero(function, rng):
    score = lambda x: jnp.sum(jnp.tanh(function(x > 0.5, (0.1, 5.0))))
    images = jnp.stack([jnp.asarray(rng.random((9, 17)), jnp.float32), jnp.zeros((9, 17))])
    for differentiate in (jax.grad, jax.jacfwd):
        slopes = jax.jit(jax.vmap(differentiate(score)))(images)
        np.testing.assert_array_equal(slopes, 0)


def test_gradient_of_a_weighted_probability_is_the_map(rng):
    # The boundary loss: the map is a constant weight, and its gradient the weight.
    mask = jnp.asarray(rng.random((9, 17)) < 0.3)
    loss = lambda p: jnp.sum(p * signed_distance(mask))
    np.testing.assert_array_equal(jax.grad(loss)(jnp.zeros((9, 17))), signed_distance(mask))


def test_double_precision_changes_nothing(rng):
    mask = rng.random((9, 17)) < 0.1
    for spacing in (None, (0.1, 5.0)):
        single = distance_transform(jnp.asarray(mask), spacing)
        with jax.enable_x64(True):
            double = distance_transform(jnp.asarray(mask), spacing)
        assert double.dtype == jnp.float32
        np.testing.assert_array_equal(double, single)


@pytest.mark.parametrize("spacing", [None, (5.0, 0.3, 0.7)])
def test_lowers_for_accelerators(spacing):
    batch = jax.ShapeDtypeStruct((2, 6, 9, 11), jnp.bool_)
    one = lambda mask: signed_distance(mask, spacing)
    exported = jax.export.export(jax.jit(jax.vmap(one)), platforms=("cpu", "cuda", "tpu"))(batch)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "custom_call" not in exported.mlir_module()


@given(mask=arrays(bool, (9, 17)), spacing=st.sampled_from([None, (0.1, 5.0)]))
def test_neighbours_differ_by_at_most_the_spacing(mask, spacing):
    mask[4, 4] = True
    found = np.float64(distance_transform(jnp.asarray(mask), spacing))
    assert np.all((found == 0) == mask)
    for axis, step in enumerate(spacing or (1.0, 1.0)):
        assert np.max(np.abs(np.diff(found, axis=axis))) <= step + 1e-6 * found.max()


@given(mask=arrays(bool, (9, 17)), more=arrays(bool, (9, 17)))
def test_a_larger_mask_is_never_farther(mask, more):
    nearer = distance_transform(jnp.asarray(mask | more))
    assert jnp.all(nearer <= distance_transform(jnp.asarray(mask)))


@given(mask=arrays(bool, (9, 17)))
def test_axes_are_alike(mask):
    found = distance_transform(jnp.asarray(mask), (0.1, 5.0))
    turned = distance_transform(jnp.asarray(mask.T), (5.0, 0.1)).T
    np.testing.assert_allclose(found, turned, rtol=4e-7)
    mirrored = distance_transform(jnp.asarray(mask[::-1, ::-1]), (0.1, 5.0))[::-1, ::-1]
    np.testing.assert_allclose(found, mirrored, rtol=4e-7)


@pytest.mark.parametrize("function", [distance_transform, signed_distance])
def test_says_what_is_wrong(function):
    square = jnp.zeros((3, 3), bool)
    with pytest.raises(ValueError, match="1 to 3 axes"):
        function(jnp.zeros((2, 2, 2, 2), bool))
    with pytest.raises(ValueError, match="1 to 3 axes"):
        function(jnp.zeros((), bool))
    for spacing in ((1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, np.inf), (1.0, np.nan)):
        with pytest.raises(ValueError, match="positive number for each axis"):
            function(square, spacing)


def test_labels_are_not_a_mask():
    with pytest.raises(ValueError, match="must be boolean, got int32"):
        transform._checked(jnp.zeros((3, 3), jnp.int32), None)
