"""Objects found by their centroids, against every assignment there is."""

import jax
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.statistics import Centroids, centroids, matching, measure_centroids
from tests.images import label_maps
from tests.reference import instance as definition


NAMES = ("centroid_f1", "centroid_precision", "centroid_recall")
SPACES = [((9,), (0.5,)), ((6, 7), (2.0, 0.5)), ((4, 3, 5), (3.0, 1.0, 1.0))]
LABELS = range(1, 6)


def dots(rng, shape):
    """Few voxels of each label, some labels missing."""
    return rng.choice([0] * 12 + [1, 2, 3, 4, 5], shape)


def scores(r, p, **options):
    return [getattr(segjax, name)(reference=r, prediction=p, **options) for name in NAMES]


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_detection_matches_the_definition(shape, spacing, rng):
    for distance in (0, 0.7, 1.5, 3, 100):
        for _ in range(6):
            r, p = dots(rng, shape), dots(rng, shape)
            tp, total, n, m = definition.detections(r, p, spacing, distance)
            expected = [definition.share(2 * tp, n + m), *(definition.share(tp, x) for x in (m, n))]
            np.testing.assert_allclose(scores(r, p, spacing=spacing, distance=distance), expected)
            c = measure_centroids(make_case(reference=r, prediction=p, spacing=spacing))
            partner = matching.by_centroids(c, distance=distance)
            found = partner >= 0
            apart = np.linalg.norm(c.reference[found] - c.prediction[partner[found]], axis=1)
            np.testing.assert_allclose(apart.sum(), total, atol=1e-12)


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_centroids_are_the_means_of_the_places(shape, spacing, rng):
    r, p = label_maps(rng, shape, labels=(0, 1, 2, 2**50))
    c = measure_centroids(make_case(reference=r, prediction=p, spacing=spacing))
    np.testing.assert_allclose(c.reference, definition.middles(r, spacing), rtol=1e-12)
    np.testing.assert_allclose(c.prediction, definition.middles(p, spacing), rtol=1e-12)


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_jit_and_vmap_detect_as_the_host_does(shape, spacing, rng):
    r, p = (np.stack([dots(rng, shape) for _ in range(8)]).astype(np.int32) for _ in "rp")
    valid = rng.random(r.shape) < 0.8
    score = lambda r, p, v: scores(r, p, valid=v, spacing=spacing, labels=LABELS, distance=1.3)
    host = [score(*case) for case in zip(r, p, valid, strict=True)]
    traced = jax.jit(jax.vmap(score))(r, p, valid)
    np.testing.assert_allclose(np.transpose(traced), host, rtol=1e-6)


def test_as_many_pairs_as_can_be_match_before_the_nearest():
    # On a line: reference at 0 and 3, prediction at 2 and 6. The nearest pair, 3 and 2, would
    # leave 0 and 6 apart.
    at = lambda *places: np.bincount(places, np.arange(1, len(places) + 1), 8).astype(int)
    r, p = at(0, 3), at(2, 6)
    assert scores(r, p, distance=3) == [1, 1, 1]
    assert scores(r, p, distance=2.9) == [0.5, 0.5, 0.5]


def test_a_distance_at_the_limit_counts():
    r, p = np.zeros((2, 40, 40), int)
    r[3:6, 3:10] = 1
    p[6:9, 7:14] = 1  # 3 down, 4 to the right: 5
    for spacing, limit in ((1, 5), (0.1, 0.5), (1 / 3, 5 / 3)):
        assert scores(r, p, spacing=spacing, distance=limit) == [1, 1, 1]
        assert scores(r, p, spacing=spacing, distance=0.999 * limit) == [0, 0, 0]
    with pytest.raises(InputError, match="must not be negative"):
        segjax.centroid_f1(reference=r, prediction=p, distance=-1)


def test_centroids_of_large_objects_are_exact_to_float32():
    image = np.ones((2000, 1500), np.int32)
    find = jax.jit(lambda x: centroids(
        reference=x, prediction=x, number=1, spacing=(1.0, 1.0)
    ).reference)  # fmt: skip
    np.testing.assert_allclose(find(image), [[999.5, 749.5]], rtol=1e-6)


def test_leading_axes_and_padding_do_not_matter(rng):
    places = rng.integers(0, 9, (2, 3, 4, 2)).astype(float)
    there = rng.random((2, 3, 4)) < 0.7
    whole = matching.by_centroids(Centroids(*places, *there), distance=3)
    for i in range(3):
        alone = Centroids(*(x[i][t[i]] for x, t in zip(places, there, strict=True)), *(
            np.ones(t[i].sum(), bool) for t in there
        ))  # fmt: skip
        partner = matching.by_centroids(alone, distance=3)
        assert (whole[i] >= 0).sum() == (partner >= 0).sum()
        assert (whole[i][~there[0][i]] == -1).all()


def test_detection_lowers_for_accelerators():
    shape = jax.ShapeDtypeStruct((2, 16, 16), np.int32)
    one = lambda r, p: scores(r, p, labels=LABELS)
    exported = jax.export.export(jax.jit(jax.vmap(one)), platforms=["cuda", "tpu"])(shape, shape)
    assert exported.platforms == ("cuda", "tpu")
