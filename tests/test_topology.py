"""Betti numbers, and what is scored by them and by skeletons."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.morphology import skeletonize

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.metrics.topology import betti_error, cldice, euler_error
from segjax.ops.skeleton import skeleton
from segjax.ops.topology import betti_numbers, euler_characteristic
from segjax.statistics import (
    Skeletons,
    Topology,
    measure_skeletons,
    measure_topology,
    skeletons,
    topology,
)
from tests.images import corner_cases, label_maps, several, solids
from tests.reference import topology as definition


SHAPES = [(13,), (9, 11), (5, 7, 6)]
every_shape = pytest.mark.parametrize("shape", SHAPES)
traced_betti = jax.jit(betti_numbers)


# Betti numbers


@every_shape
def test_betti_numbers_match_the_definition(shape, rng):
    for mask in several(rng, shape):
        found = betti_numbers(mask)
        assert found.tolist() == definition.betti(mask)
        assert found.dtype == np.int64
        assert euler_characteristic(mask) == definition.euler(mask)
        traced = traced_betti(mask)
        np.testing.assert_array_equal(traced, found)
        assert traced.dtype == jnp.int32


@every_shape
def test_betti_numbers_match_gudhi(shape, rng):
    gudhi = pytest.importorskip("gudhi")
    for mask in several(rng, shape):
        cells = gudhi.CubicalComplex(top_dimensional_cells=np.where(mask, 0.0, 1.0))
        cells.compute_persistence(homology_coeff_field=2, min_persistence=0)
        born = [cells.persistence_intervals_in_dimension(k) for k in range(mask.ndim)]
        alive = [sum(a <= 0 < b for a, b in intervals) for intervals in born]
        assert betti_numbers(mask).tolist() == alive


@pytest.mark.parametrize(("mask", "betti"), solids().values(), ids=solids())
def test_betti_numbers_of_solids(mask, betti):
    assert betti_numbers(mask).tolist() == betti
    assert euler_characteristic(mask) == betti[0] - betti[1] + betti[2]


def test_corners_join_the_mask_and_part_the_background():
    ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    assert betti_numbers(ring).tolist() == [1, 1]
    assert betti_numbers(~ring).tolist() == [1, 0]


@given(mask=arrays(bool, (5, 7, 6)), axis=st.integers(0, 2))
def test_turning_keeps_betti_numbers(mask, axis):
    betti = betti_numbers(mask).tolist()
    assert betti_numbers(np.flip(mask, axis)).tolist() == betti
    assert betti_numbers(np.moveaxis(mask, axis, 0)).tolist() == betti


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_no_voxels_have_no_topology(shape):
    for xp in (np, jnp):
        assert not betti_numbers(xp.zeros(shape, bool)).any()


@pytest.mark.parametrize("shape", [(), (2, 2, 2, 2)])
def test_says_what_is_wrong_with_a_mask(shape):
    with pytest.raises(InputError, match="of masks of 1 to 3 axes, got shape"):
        betti_numbers(np.zeros(shape, bool))


# Statistics


def pair_of_blobs(rng, shape):
    image = ndimage.gaussian_filter(rng.random(shape), 1.5)
    moved = ndimage.gaussian_filter(image + 0.4 * image.std() * rng.standard_normal(shape), 0.5)
    return image > np.quantile(image, 0.7), moved > np.quantile(moved, 0.7)


@pytest.mark.parametrize("shape", [(24, 29), (12, 13, 14)])
def test_statistics_under_jit_are_those_of_the_host(shape, rng):
    reference, prediction = pair_of_blobs(rng, shape)
    valid = rng.random(shape) < 0.8
    case = make_case(reference=reference, prediction=prediction, valid=valid)
    masks = {"reference": reference, "prediction": prediction, "valid": valid}
    for pure, measure in ((skeletons, measure_skeletons), (topology, measure_topology)):
        host, traced = measure(case), jax.jit(pure)(**masks)
        for name, found in vars(traced).items():
            assert found.dtype == jnp.int32
            assert getattr(host, name).dtype == np.int64
            np.testing.assert_array_equal(found, getattr(host, name)[0])


@pytest.mark.parametrize("shape", [(24, 29), (12, 13, 14)])
def test_voxels_that_are_not_valid_have_no_say(shape, rng):
    reference, prediction = pair_of_blobs(rng, shape)
    valid = rng.random(shape) < 0.7
    case = make_case(reference=reference, prediction=prediction, valid=valid)
    thin_r, thin_p = skeleton(reference) & valid, skeleton(prediction) & valid
    s, t = measure_skeletons(case), measure_topology(case)
    assert s.reference == thin_r.sum()
    assert s.reference_inside == (thin_r & prediction).sum()
    assert s.prediction == thin_p.sum()
    assert s.prediction_inside == (thin_p & reference).sum()
    assert t.reference[0].tolist() == definition.betti(reference & valid)
    assert t.prediction[0].tolist() == definition.betti(prediction & valid)


def test_what_is_predicted_where_the_reference_is_ignored_is_no_error():
    reference, prediction = np.zeros((2, 12, 12), int)
    reference[2:5, 1:11] = prediction[2:5, 1:11] = 1
    reference[8:] = 255
    prediction[9:11, 2:4] = 1
    options = {"reference": reference, "prediction": prediction, "ignore": 255}
    for name, best in (("cldice", 1), ("betti_error", 0), ("euler_error", 0)):
        score = lambda r, p, name=name: getattr(segjax, name)(
            reference=r, prediction=p, ignore=255, labels=[1]
        )
        assert getattr(segjax, name)(**options) == best
        assert jax.jit(score)(reference, prediction) == best
    del options["ignore"]
    assert segjax.betti_error(**options, labels=[1]) == 1


@pytest.mark.parametrize("name", ["cldice", "betti_error", "euler_error"])
def test_labels_are_scored_one_by_one(name, rng):
    reference, prediction = label_maps(rng, (12, 9), labels=(0, 1, 2, 5))
    score = lambda **images: getattr(segjax, name)(**images)
    found = score(reference=reference, prediction=prediction, labels=(5, 1))
    wanted = [score(reference=reference == k, prediction=prediction == k) for k in (5, 1)]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(24, 29), (12, 13, 14)])
def test_the_order_of_voxels_in_memory_changes_no_skeleton(shape, rng):
    reference, prediction = pair_of_blobs(rng, shape)
    one = measure_skeletons(make_case(reference=reference, prediction=prediction))
    turned = make_case(
        reference=np.asfortranarray(reference), prediction=np.asfortranarray(prediction)
    )
    assert turned.reference.shape == shape[::-1]
    assert measure_skeletons(turned) == one
    other_way = measure_skeletons(make_case(reference=reference.T, prediction=prediction.T))
    assert other_way != one  # so that there was something to see


@pytest.mark.parametrize("function", [skeletons, topology])
@pytest.mark.parametrize("shape", SHAPES)
def test_lowers_for_accelerators(function, shape):
    mask = jax.ShapeDtypeStruct(shape, bool)
    score = jax.jit(lambda r, p, v: function(reference=r, prediction=p, valid=v))
    exported = jax.export.export(score, platforms=("cuda", "tpu"))(mask, mask, mask)
    assert exported.platforms == ("cuda", "tpu")


# Metrics


def test_cldice_of_a_line_that_is_broken_off():
    # Lines are their own skeletons: of the 9 pixels 4 are found, of the 6 predicted 4 are right.
    reference, prediction = np.zeros((2, 5, 13), bool)
    reference[2, 1:10] = True
    prediction[2, 1:5] = prediction[4, 11:13] = True
    images = {"reference": reference, "prediction": prediction}
    s = measure_skeletons(make_case(**images))
    assert [x.tolist() for x in vars(s).values()] == [[9], [4], [6], [4]]
    assert segjax.topological_precision(**images) == 4 / 6
    assert segjax.topological_sensitivity(**images) == 4 / 9
    assert segjax.cldice(**images) == pytest.approx(2 * 4 / (9 + 6))


def test_cldice_forgives_what_is_too_wide():
    # The line is in the middle of the bar, and its skeleton; that of the bar is on the line.
    reference, prediction = np.zeros((2, 9, 9, 20), bool)
    reference[4, 4, 2:18] = True
    prediction[3:6, 3:6, 2:18] = True
    images = {"reference": reference, "prediction": prediction}
    assert segjax.dice(**images) < 0.25
    assert segjax.cldice(**images) == 1


@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases())
def test_empty_and_full_masks_match_the_definition(name, reference, prediction):
    images = {"reference": reference, "prediction": prediction}
    wanted = definition.cldice(*images.values(), *map(skeletonize, images.values()))
    np.testing.assert_allclose(segjax.cldice(**images), wanted)
    r, p = definition.betti(reference), definition.betti(prediction)
    errors = [abs(a - b) for a, b in zip(r, p, strict=True)]
    assert segjax.betti_error(**images) == sum(errors)
    assert [segjax.betti_error(**images, dimension=k) for k in (0, 1)] == errors
    assert segjax.euler_error(**images) == abs(r[0] - r[1] - p[0] + p[1])


def test_cldice_in_the_plane_is_that_of_the_skeletons_of_scikit_image(rng):
    for _ in range(5):
        reference, prediction = pair_of_blobs(rng, (48, 48))
        thin = skeletonize(reference), skeletonize(prediction)
        wanted = definition.cldice(reference, prediction, *thin)
        found = segjax.cldice(reference=reference, prediction=prediction)
        assert found == pytest.approx(wanted, abs=1e-12)


def test_cldice_in_space_is_near_that_of_the_skeletons_of_scikit_image(rng):
    # On average within 0.015: skeletons there differ by a few voxels.
    differences = []
    for _ in range(8):
        reference, prediction = pair_of_blobs(rng, (24, 24, 24))
        thin = skeletonize(reference), skeletonize(prediction)
        wanted = definition.cldice(reference, prediction, *thin)
        differences.append(segjax.cldice(reference=reference, prediction=prediction) - wanted)
    assert np.max(np.abs(differences)) < 0.05
    assert np.mean(np.abs(differences)) < 0.015


def test_cldice_is_symmetric(rng):
    reference, prediction = pair_of_blobs(rng, (24, 29))
    one = segjax.cldice(reference=reference, prediction=prediction)
    assert segjax.cldice(reference=prediction, prediction=reference) == one
    precision = segjax.topological_precision(reference=reference, prediction=prediction)
    assert segjax.topological_sensitivity(reference=prediction, prediction=reference) == precision


def test_large_counts_do_not_overflow():
    s = Skeletons(*jnp.array([2**30, 2**29, 2**30, 2**29], jnp.int32))
    assert cldice(s) == 0.5


def test_betti_errors_do_not_cancel_and_euler_errors_do():
    t = Topology(np.array([[1, 0, 0], [2, 3, 1]]), np.array([[2, 1, 0], [1, 3, 4]]))
    assert betti_error(t).tolist() == [2, 4]
    assert euler_error(t).tolist() == [0, 2]
    assert [betti_error(t, dimension=k).tolist() for k in range(3)] == [[1, 1], [1, 0], [0, 3]]


@pytest.mark.parametrize("dimension", [2, -1, 0.5, "some"])
def test_dimensions_are_those_of_the_image(dimension):
    mask = np.ones((3, 3), bool)
    with pytest.raises(InputError, match="dimension must be all or one of 0, 1 in an image of 2"):
        segjax.betti_error(reference=mask, prediction=mask, dimension=dimension)
