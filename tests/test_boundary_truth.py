"""What the experiment takes as truth is what geometry says it is."""

import dataclasses
import math
from itertools import product

import numpy as np
import pytest
from scipy.special import ellipe

from experiments import boundary_truth
from experiments.boundary_truth import Shape, truth


BALL, BOX = 2, math.inf


def shape(radii, centre=0.0, norm=BALL, axes=None):
    radii = np.asarray(radii, float)
    axes = np.eye(radii.size) if axes is None else axes
    return Shape(np.broadcast_to(np.asarray(centre, float), radii.shape), radii, axes, norm)


def turned(dims, seed):
    return boundary_truth._rotation(np.random.default_rng(seed), dims, np.pi)


@pytest.mark.parametrize("dims", [2, 3])
def test_concentric_spheres_are_apart_by_the_difference_of_their_radii(dims):
    t = truth(shape([10.0] * dims), shape([12.5] * dims), 2.4, 1000)
    for distance in (t.hd, t.hd95, t.hd95_pooled, t.assd):
        assert distance == pytest.approx(2.5, abs=1e-12)
    assert t.nsd == 0


def test_equal_spheres_side_by_side():
    t = truth(shape([10.0] * 3), shape([10.0] * 3, [2, 0, 0]), 1.5, 20_000)
    # By Archimedes u = cos(angle) is uniform, and a point is |sqrt(104 - 40 u) - 10| away:
    # within 1.5 for 72.25 <= 104 - 40 u <= 132.25, a width in u of 60 / 40 of 2.
    assert t.hd == pytest.approx(2, abs=1e-9)
    assert t.nsd == pytest.approx(0.75, abs=1e-3)
    u = np.linspace(-1, 1, 1_000_001)
    far = np.abs(np.sqrt(104 - 40 * u) - 10)
    assert t.assd == pytest.approx(far.mean(), abs=1e-4)
    assert t.hd95 == pytest.approx(np.percentile(far, 95), abs=1e-3)
    assert t.hd95_pooled == pytest.approx(t.hd95, abs=1e-3)


def test_a_square_in_a_larger_one():
    t = truth(shape([6.0] * 2, norm=BOX), shape([8.0] * 2, norm=BOX), 1.99, 40_000)
    # Inner sides (48) are 2 away, so are the middles of the outer ones (48 of 64); near their
    # corners, over 8 stretches of 2, sqrt(4 + x^2), which is sqrt(2) + asinh(1) on average.
    corners = 16 * (math.sqrt(2) + math.asinh(1))
    assert t.hd == pytest.approx(2 * math.sqrt(2), abs=1e-6)
    assert t.assd == pytest.approx((2 * 96 + corners) / 112, abs=1e-4)
    assert t.hd95 == pytest.approx(math.hypot(2, 2 - 64 * 0.05 / 8), abs=1e-3)
    assert t.hd95_pooled == pytest.approx(math.hypot(2, 2 - 112 * 0.05 / 8), abs=1e-3)
    assert t.nsd == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_boxes_shifted_along_a_face(dims):
    axes = turned(dims, 3)
    one = shape([7.0] * dims, norm=BOX, axes=axes)
    other = dataclasses.replace(one, centre=one.centre + 2 * axes[:, 0])
    t = truth(one, other, 1.0, 60_000)
    assert t.hd == pytest.approx(2, abs=1e-6)
    if dims == 2:
        # Of each outline of 56: 14 are 2 outside, 14 inside and 2 away but for two corners cut
        # off by 2, and 2 x 2 are up to 2 outside along the side; the rest lies on the other.
        assert t.assd == pytest.approx((2 * 14 + 2 * 14 - 4 + 4) / 56, abs=1e-3)
        assert t.nsd == pytest.approx((24 + 2 + 2) / 56, abs=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("norm", [BALL, BOX])
def test_distance_is_to_the_nearest_point(dims, norm, rng):
    one = shape(rng.uniform(2, 6, dims), rng.normal(size=dims), norm, turned(dims, 1))
    surface = one.onto(one.samples(100_000 if dims == 3 else 20_000)[0])
    points = rng.uniform(-9, 9, (50, dims))
    points[0] = one.centre
    points[1:4] = one.centre + rng.normal(size=(3, 1)) * one.axes[:, 0]  # on an axis
    nearest = [np.linalg.norm(surface - point, axis=1).min() for point in points]
    distance = one.distance(points)
    assert np.all(distance <= np.array(nearest) + 1e-12)
    np.testing.assert_allclose(distance, nearest, atol=0.05)  # samples are about as far apart
    assert one.contains(points).any()
    assert not one.contains(points).all()


def test_a_step_along_the_normal_of_an_ellipsoid_is_as_long_as_it_is(rng):
    radii = np.array([4.0, 6.0, 9.0])
    one = shape(radii, 1.0, BALL, turned(3, 2))
    unit = rng.normal(size=(200, 3))
    surface = one.onto(unit)
    normal = unit / radii @ one.axes.T
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    np.testing.assert_allclose(one.distance(surface), 0, atol=1e-9)
    for step in (-1.5, 0.01, 7.0):  # the smallest radius of curvature is 16 / 9
        np.testing.assert_allclose(one.distance(surface + step * normal), abs(step), rtol=1e-9)


def test_areas_are_those_of_the_shapes():
    area = lambda radii, norm: shape(radii, norm=norm).samples(50_000)[1].sum()
    eccentricity = math.sqrt(1 - 16 / 81)
    prolate = 2 * np.pi * 16 * (1 + 9 / 4 / eccentricity * math.asin(eccentricity))
    assert area([5.0] * 3, BALL) == pytest.approx(4 * np.pi * 25, rel=1e-9)
    assert area([4.0, 4.0, 9.0], BALL) == pytest.approx(prolate, rel=1e-6)
    assert area([4.0, 9.0], BALL) == pytest.approx(36 * ellipe(1 - 16 / 81), rel=1e-9)
    assert area([2.0, 3.0, 5.0], BOX) == pytest.approx(8 * (6 + 10 + 15), rel=1e-3)
    assert area([2.0, 3.0], BOX) == pytest.approx(20, rel=1e-9)


@pytest.mark.parametrize(("norm", "filled"), [(BALL, math.pi / 6), (BOX, 1.0)])
def test_a_shape_contains_its_volume(norm, filled):
    radii = np.array([4.0, 6.0, 9.0])
    one = shape(radii, 0.3, norm, turned(3, 2))
    grid = np.stack(np.meshgrid(*[np.arange(-13, 13.5, 0.5)] * 3, indexing="ij"), -1)
    assert one.contains(grid).mean() * 26.5**3 == pytest.approx(filled * 8 * radii.prod(), rel=0.01)


@pytest.mark.parametrize("norm", [BALL, BOX])
def test_truth_does_not_depend_on_the_order_or_the_frame(norm):
    one = shape([6.0, 8.0, 11.0], norm=norm)
    other = shape(
        [7.0, 7.5, 10.0],
        [0.5, -0.4, 1.0],
        norm,
        boundary_truth._rotation(np.random.default_rng(5), 3, 0.2),
    )
    turn, shift = turned(3, 4), np.array([3.0, -1.0, 2.0])
    move = lambda s: Shape(turn @ s.centre + shift, s.radii, turn @ s.axes, norm)
    expected = dataclasses.astuple(truth(one, other, 1.1, 5000))
    for pair in ((other, one), (move(one), move(other))):
        np.testing.assert_allclose(
            dataclasses.astuple(truth(*pair, 1.1, 5000)), expected, rtol=1e-6
        )


@pytest.mark.parametrize("norm", [BALL, BOX])
@pytest.mark.parametrize("dims", [2, 3])
def test_more_samples_change_nothing(dims, norm):
    one = shape([18.0, 9.0, 13.0][:dims], norm=norm)
    axes = boundary_truth._rotation(np.random.default_rng(6), dims, 0.2)
    other = shape([17.0, 10.2, 13.4][:dims], [0.3, 0.8, -0.6][:dims], norm, axes)
    samples = boundary_truth.Config().samples // (8 if dims == 2 else 1)
    few, many = (dataclasses.astuple(truth(one, other, 1.2, n)) for n in (samples, 4 * samples))
    np.testing.assert_allclose(few, many, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_pairs_are_digitised_whole(dims):
    families = boundary_truth.Config().families
    config = dataclasses.replace(
        boundary_truth.SMOKE, families=families, pairs_2d=3, pairs_3d=5, smallest=6, largest=8
    )
    pairs = boundary_truth.draw(config, dims)
    spacings = boundary_truth.SPACINGS[dims]
    assert [(pair.family, pair.spacing) for pair in pairs] == list(product(families, spacings))
    for pair in pairs:
        for mask in (pair.reference, pair.prediction):
            for axis in range(dims):
                assert not np.take(mask, (0, -1), axis).any()
        assert 0 < pair.truth.assd <= pair.truth.hd95 <= pair.truth.hd < 8 * pair.voxel
    again = boundary_truth.draw(config, dims)
    assert [pair.truth for pair in again] == [pair.truth for pair in pairs]


def test_a_tool_that_pools_is_measured_against_a_truth_that_does():
    pair = boundary_truth.draw(boundary_truth.SMOKE, 2)[0]
    t = pair.truth
    scores = (t.hd, t.hd95_pooled, t.assd, t.nsd)
    assert boundary_truth._errors(scores, pair, pooled=True) == (0, 0, 0, 0)
    assert boundary_truth._errors((None, t.hd95, None, None), pair, pooled=False)[1] == 0
