"""What a network's outputs stand for, where the truth is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from segjax.quality.truth import true_score
from segjax.simulation.targets import TARGETS, measure
from tests.quality import toy


ONE, THREE = (1.0, 1.0), (3.0, 3.0)


@pytest.fixture(scope="module")
def pair():
    _, labels = toy.scene(np.random.default_rng(2), (30, 30))
    evaluated = np.roll(labels, 1, 0)
    evaluated[:12] = 0
    return labels, evaluated


def test_true_scores_are_what_networks_learn(pair):
    most = int(pair[0].max())
    learned = measure(*map(jnp.asarray, pair), TARGETS, objects=(most, most))
    assert learned.counted.all()
    found = [true_score(*pair, metric, ONE) for metric in TARGETS]
    np.testing.assert_allclose(found, learned.values, rtol=1e-4)


def test_lengths_of_volumes_count_the_distance_of_planes():
    reference = np.zeros((8, 12, 12), np.int32)
    reference[2:6, 3:9, 3:9] = 1
    thinner = np.where(np.arange(8)[:, None, None] == 2, 0, reference)
    near, far = (true_score(reference, thinner, "MHD", (z, 1.0, 1.0)) for z in (1.0, 2.0))
    assert near < far


def test_lengths_are_in_pixels_of_the_network(pair):
    for metric in ("MHD", "ASD"):
        one, three = (true_score(*pair, metric, scale) for scale in (ONE, THREE))
        assert three == pytest.approx(3 * one, rel=1e-5)
    assert true_score(*pair, "neMHD", THREE) < true_score(*pair, "neMHD", ONE)
    assert true_score(*pair, "SEG", THREE) == true_score(*pair, "SEG", ONE)


def test_scores_that_are_undefined_are_nan(pair):
    empty = np.zeros_like(pair[0])
    assert np.isnan(true_score(empty, empty, "SEG", ONE))
    assert true_score(pair[0], empty, "SEG", ONE) == 0
