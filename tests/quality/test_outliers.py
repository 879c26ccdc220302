"""What is foreign is flagged, what is usual is not."""

import math

import numpy as np
import pytest

from segjax.quality.outliers import flags_of, image_statistics, learn_usual, noise_of


FACTS = {"contrast_to_noise": 11.0, "diameter": 22.0, "saturated": 0.0}


def features(rng, count):
    """Of 40 features that vary along 3 directions and hardly along the others."""
    mixing = np.random.default_rng(1).normal(size=(3, 40))
    return 5 + rng.normal(size=(count, 3)) @ mixing + 0.1 * rng.normal(size=(count, 40))


def usual(rng, count=2000):
    spread = {name: x * (0.9 + 0.2 * rng.random(count)) for name, x in FACTS.items()}
    return learn_usual(features(rng, count), spread)


def test_one_in_a_hundred_usual_patches_is_beyond_the_threshold(rng):
    u = usual(rng)
    share = (u.distance(features(rng, 4000)) > u.threshold).mean()
    assert 0.003 < share < 0.025


def test_distance_is_that_of_mahalanobis(rng):
    x = features(rng, 4000)
    u = learn_usual(x, {})
    new = features(rng, 50)
    centred = new - x[::2].mean(0)
    exact = np.sqrt((centred @ np.linalg.inv(np.cov(x[::2].T)) * centred).sum(-1))
    assert np.corrcoef(u.distance(new), exact)[0, 1] > 0.97


def test_features_off_the_usual_directions_are_far(rng):
    u = usual(rng)
    foreign = features(rng, 20) + 3 * rng.normal(size=40)
    assert (u.distance(foreign) > u.threshold).all()
    assert flags_of(u, foreign, FACTS) == ["unlike the training images"]
    assert flags_of(u, features(rng, 20), FACTS) == []


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("contrast_to_noise", 1.0, "very dim"),
        ("contrast_to_noise", 1000.0, None),
        ("diameter", 3.0, "too small"),
        ("diameter", 90.0, "too large"),
        ("diameter", math.nan, None),
        ("saturated", 0.5, "saturated"),
    ],
)
def test_plain_facts_are_flagged_in_words(rng, name, value, word):
    facts = FACTS | {name: value}
    flags = flags_of(usual(rng), features(rng, 20), facts)
    assert [word in flag for flag in flags] == ([] if word is None else [True])


def test_few_patches_and_constant_features_do_no_harm(rng):
    u = learn_usual(np.ones((6, 12)), {"diameter": np.array([1.0, np.nan] * 3)})
    assert np.isfinite(u.distance(rng.normal(size=(3, 12)))).all()


def test_noise_is_measured_in_spite_of_edges(rng):
    labels = np.zeros((80, 80))
    labels[20:50, 30:60] = 100
    assert noise_of(labels + rng.normal(0, 4, labels.shape)) == pytest.approx(4, rel=0.1)
    assert noise_of(np.stack([labels + rng.normal(0, 4, labels.shape)] * 2)) == pytest.approx(
        4, rel=0.1
    )
    assert noise_of(np.zeros((2, 2))) == 0


def test_statistics_do_not_depend_on_the_range_of_intensities(rng):
    image = rng.normal(size=(40, 40)) + 5 * (rng.random((40, 40)) > 0.7)
    labels = np.eye(40, dtype=int)
    one, other = (image_statistics(x, labels) for x in (image, 300 * image + 1000))
    assert one == pytest.approx(other, rel=1e-3)
    empty = image_statistics(np.zeros((4, 4)), np.zeros((4, 4), int))
    assert math.isnan(empty["diameter"])
    assert empty["contrast_to_noise"] == 0
