"""Objects measured to their counterparts, against every object compared with every other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.statistics import measure_objects, object_distances
from tests.images import corner_cases
from tests.reference import instances as definition


SPACES = [((14, 17), (1.0, 1.0)), ((14, 17), (2.0, 0.5)), ((5, 9, 8), (3.0, 1.0, 1.0))]


def scattered(rng, shape, number):
    """Boxes that touch borders and one another; many overlap nothing in the other map."""
    maps = np.zeros((2, *shape), np.int64)
    for image, k in ((image, k) for k in range(1, number + 1) for image in maps):
        low = [rng.integers(0, n) for n in shape]
        if rng.random() < 0.8:
            image[tuple(slice(a, a + rng.integers(1, 5)) for a in low)] = k
    return maps


def score(reference, prediction, **options):
    return float(segjax.object_hausdorff(reference=reference, prediction=prediction, **options))


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_object_hausdorff_matches_the_definition(shape, spacing, rng):
    lone = 0
    for number in (1, 2, 3, 5, 9) * 4:
        reference, prediction = scattered(rng, shape, number)
        lone += sum(not prediction[reference == k].any() for k in set(reference.flat) - {0})
        expected = definition.object_hausdorff(reference, prediction, spacing)
        renamed = np.where(reference > 0, 2**40 + reference, 0)
        for r in (reference, renamed):
            np.testing.assert_allclose(score(r, prediction, spacing=spacing), expected, rtol=1e-12)
    assert lone > 10


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_ignored_voxels_measure_nothing_but_are_measured_to(shape, spacing, rng):
    measure = lambda r, p, v: segjax.object_hausdorff(
        reference=r, prediction=p, valid=v, spacing=spacing, labels=range(1, 6)
    )
    pairs = [scattered(rng, shape, number) for number in (1, 2, 3, 5, 5, 5)]
    pairs.append((np.zeros(shape, int), pairs[1][1]))
    r, p = (np.stack(x).astype(np.int32) for x in zip(*pairs, strict=True))
    valid = rng.random(r.shape) < 0.4
    valid[::3] = True
    cases = list(zip(r, p, valid, strict=True))
    expected = [definition.object_hausdorff(r, p, spacing, v) for r, p, v in cases]
    np.testing.assert_allclose([measure(*case) for case in cases], expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.vmap(measure))(r, p, valid), expected, rtol=1e-6)


def test_of_masks_it_is_the_hausdorff_distance_of_all_voxels():
    for _, reference, prediction in corner_cases():
        expected = definition.object_hausdorff(reference, prediction, (1, 1))
        np.testing.assert_allclose(score(reference, prediction), expected)


def test_an_object_in_a_ring_is_measured_from_its_middle():
    # The middle of the square is 3 from the ring, whose corners are (1, 1) from the square.
    ring = np.ones((7, 7), int)
    square = np.zeros((7, 7), int)
    ring[1:6, 1:6] = 0
    square[1:6, 1:6] = 1
    assert score(square, ring) == 3


def test_objects_of_equal_overlap_are_told_apart_by_size():
    reference = np.zeros((3, 12), int)
    reference[0, 2:6] = 1
    prediction = np.zeros((3, 12), int)
    prediction[0, :4] = 1  # shares 2, and is 2 away
    prediction[0, 4:12] = 2  # shares 2, and is 6 away
    d = measure_objects(make_case(reference=reference, prediction=prediction))
    assert d.reference.distance.tolist() == [2]
    assert d.prediction.distance.tolist() == [2, 6]
    assert score(reference, prediction) == (2 + (4 * 2 + 8 * 6) / 12) / 2


def test_images_of_other_axes_are_refused():
    line = np.ones(4, int)
    for measure in (score, jax.jit(lambda r, p: object_distances(
        reference=r, prediction=p, number=1, spacing=(1.0,)
    ))):  # fmt: skip
        with pytest.raises(InputError, match="2-D or 3-D"):
            measure(line, line)
    with pytest.raises(InputError, match="not known while tracing"):
        jax.jit(score)(jnp.ones((3, 3), int), jnp.ones((3, 3), int))


def test_the_traced_builder_lowers_for_accelerators():
    shape = jax.ShapeDtypeStruct((2, 32, 40), np.int32)
    one = lambda r, p: segjax.object_hausdorff(reference=r, prediction=p, labels=range(1, 5))
    exported = jax.export.export(jax.jit(jax.vmap(one)), platforms=["cuda", "tpu"])(shape, shape)
    assert exported.platforms == ("cuda", "tpu")
