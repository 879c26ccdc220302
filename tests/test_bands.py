import jax
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.metrics.boundary import boundary_iou
from segjax.statistics import boundary_bands, measure_bands, measure_surface_bands
from tests.images import SHAPES, corner_cases, label_maps
from tests.reference import bands as definition


WIDTHS = (0.02, 0.3, 1, 2, 3)


def blobs(rng, shape):
    """Masks with something inside: most voxels are set, so that bands have depths."""
    return rng.random((2, *shape)) < 0.93


both_kinds = pytest.mark.parametrize("metric", ["boundary_iou", "boundary_iou_euclidean"])


def scores(metric, reference, prediction, **options):
    names = [f"{metric}(width={width})" for width in WIDTHS]
    found = segjax.evaluate(reference=reference, prediction=prediction, metrics=names, **options)
    return list(found.values())


def expected(metric, reference, prediction, **options):
    score = getattr(definition, metric)
    return [score(reference, prediction, w, **options) for w in WIDTHS]


@both_kinds
@pytest.mark.parametrize("shape", [(17,), (12, 9), (6, 7, 5)])
def test_random_masks_match_the_definition(metric, shape, rng):
    for _ in range(3):
        reference, prediction = blobs(rng, shape)
        np.testing.assert_allclose(
            scores(metric, reference, prediction),
            expected(metric, reference, prediction),
            rtol=1e-12,
        )


@both_kinds
@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases())
def test_empty_and_full_masks_match_the_definition(metric, name, reference, prediction):
    np.testing.assert_allclose(
        scores(metric, reference, prediction),
        expected(metric, reference, prediction),
        rtol=1e-12,
    )


def test_bands_of_shifted_squares():
    # Squares of 5 x 5 (rings of 16, 8 and 1), one row apart, share four rows. The larger depths
    # in these are 1 2 2 2 1, 1 2 3 2 1, 1 2 3 2 1 and 1 2 2 2 1.
    reference = np.zeros((9, 9), bool)
    reference[1:6, 1:6] = True
    prediction = np.roll(reference, 1, axis=0)
    b = measure_bands(make_case(reference=reference, prediction=prediction))
    assert b.reference.tolist() == b.prediction.tolist() == [[16, 8, 1, 0, 0]]
    assert b.both.tolist() == [[8, 10, 2, 0, 0]]
    assert boundary_iou(b, width=1) == 8 / (16 + 16 - 8)
    assert boundary_iou(b, width=2) == 18 / (24 + 24 - 18)
    assert boundary_iou(b, width=3) == 20 / (25 + 25 - 20)


def test_a_missing_corner_is_seen_from_the_diagonal_by_steps_to_any_neighbour_alone():
    # Rings of 24, 16, 8 and 1, less the corner. Its neighbours on the diagonal, one of every
    # ring, are as many steps to any neighbour from it as they are rings away, so one ring
    # further out; the nearest voxels of the surface are as near as ever.
    square = np.zeros((9, 9), bool)
    square[1:8, 1:8] = True
    square[1, 1] = False
    case = make_case(reference=square, prediction=square)
    assert measure_bands(case).both.tolist() == [[24, 16, 8, 0, 0]]
    assert measure_surface_bands(case).both.tolist() == [[23, 16, 8, 1, 0]]


@both_kinds
@pytest.mark.parametrize("shape", SHAPES)
def test_bands_as_wide_as_the_image_are_the_masks(metric, shape, rng):
    reference, prediction = blobs(rng, shape)
    images = {"reference": reference, "prediction": prediction}
    assert getattr(segjax, metric)(**images, width=100) == segjax.iou(**images)


@both_kinds
def test_turning_exchanging_and_spacing_change_nothing(metric, rng):
    reference, prediction = blobs(rng, (12, 9))
    one = scores(metric, reference, prediction)
    assert scores(metric, prediction, reference) == one
    assert scores(metric, reference.T, prediction.T) == one
    assert scores(metric, reference[::-1], prediction[::-1]) == one
    assert scores(metric, reference, prediction, spacing=(3.0, 0.5)) == one


@pytest.mark.parametrize(
    ("shape", "voxels"),
    [((15, 20), 1), ((45, 60), 2), ((75, 100), 2), ((90, 120), 3), ((3, 4), 1), ((100, 75, 4), 3)],
)
def test_a_share_is_of_the_diagonal_of_the_whole_image(shape, voxels):
    # 2 % of 25, 75, 125, 150 and 5: 0.5 (at least 1), 1.5 and 2.5 (halves to even), 3 and 0.1.
    reference = np.zeros(shape, bool)
    reference[tuple(slice(2, 14) for _ in shape)] = True
    prediction = np.roll(reference, 1, axis=0)
    images = {"reference": reference, "prediction": prediction}
    assert segjax.boundary_iou(**images) == segjax.boundary_iou(**images, width=voxels)
    traced = jax.jit(lambda r, p: segjax.boundary_iou(reference=r, prediction=p))
    assert traced(reference, prediction) == np.float32(segjax.boundary_iou(**images))


@both_kinds
def test_voxels_that_are_not_valid_are_not_counted_and_make_no_boundary(metric, rng):
    reference, prediction = (x.astype(int) for x in blobs(rng, (12, 9)))
    marked = reference.copy()
    marked[:, 4] = 255
    valid = marked != 255
    masks = reference == 1, prediction == 1
    wanted = expected(metric, *masks, counted=valid)
    np.testing.assert_allclose(scores(metric, *masks, valid=valid), wanted)
    # Under the ignored label the reference is not this label, whose boundary runs along it.
    wanted = expected(metric, marked == 1, masks[1], counted=valid)
    np.testing.assert_allclose(scores(metric, marked, prediction, ignore=255), wanted)
    options = {"ignore": 255, "labels": [1], "width": 1}
    score = lambda r, p: getattr(segjax, metric)(reference=r, prediction=p, **options)
    np.testing.assert_allclose(jax.jit(score)(marked, prediction), [wanted[2]], rtol=1e-6)


@pytest.mark.parametrize("measure", [measure_bands, measure_surface_bands])
@pytest.mark.parametrize("shape", SHAPES)
def test_counts_under_jit_and_vmap_are_those_of_the_host(measure, shape, rng):
    euclidean = measure is measure_surface_bands
    masks = np.stack([blobs(rng, shape) for _ in range(3)])
    masks[2, 1] = False
    valid = rng.random((3, *shape)) < 0.8
    count = lambda m, v: boundary_bands(
        reference=m[0], prediction=m[1], valid=v, euclidean=euclidean
    )
    batched = jax.jit(jax.vmap(count))(masks, valid)
    for i, (reference, prediction) in enumerate(masks):
        host = measure(make_case(reference=reference, prediction=prediction, valid=valid[i]))
        assert type(host) is type(batched)
        assert host.diagonal == batched.diagonal
        for name in ("reference", "prediction", "both"):
            found = getattr(batched, name)
            np.testing.assert_array_equal(found[i], getattr(host, name)[0])
            assert found.dtype == jnp.int32
            assert getattr(host, name).dtype == np.int64


def test_labels_are_scored_one_by_one(rng):
    reference, prediction = label_maps(rng, (12, 9), labels=(0, 1, 2, 5))
    options = {"reference": reference, "prediction": prediction, "labels": (5, 1), "width": 1}
    wanted = [definition.boundary_iou(reference == k, prediction == k, 1) for k in (5, 1)]
    np.testing.assert_allclose(segjax.boundary_iou(**options), wanted)


@pytest.mark.parametrize("width", [0, -1, 1.5, float("inf"), float("nan")])
def test_widths_are_shares_or_whole_numbers(width):
    mask = np.ones((3, 3), bool)
    with pytest.raises(InputError, match="width must be a whole number of voxels, or a share"):
        segjax.boundary_iou(reference=mask, prediction=mask, width=width)
