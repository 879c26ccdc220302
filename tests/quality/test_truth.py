"""What a network's outputs stand for, where the truth is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from segjax.quality.truth import true_score
from segjax.simulation.targets import TARGETS, measure
from tests.quality import toy


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
    found = [true_score(*pair, metric, 1.0) for metric in TARGETS]
    np.testing.assert_allclose(found, learned.values, rtol=1e-4)


def test_lengths_are_in_pixels_of_the_network(pair):
    for metric in ("MHD", "ASD"):
        one, three = (true_score(*pair, metric, scale) for scale in (1.0, 3.0))
        assert three == pytest.approx(3 * one, rel=1e-5)
    assert true_score(*pair, "neMHD", 3.0) < true_score(*pair, "neMHD", 1.0)
    assert true_score(*pair, "SEG", 3.0) == true_score(*pair, "SEG", 1.0)


def test_scores_that_are_undefined_are_nan(pair):
    empty = np.zeros_like(pair[0])
    assert np.isnan(true_score(empty, empty, "SEG", 1.0))
    assert true_score(pair[0], empty, "SEG", 1.0) == 0
