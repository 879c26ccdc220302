"""Intervals hold as often as they say, whatever is predicted."""

import numpy as np
import pytest

from segjax import InputError
from segjax.quality.conformal import Calibration, calibrate, recalibrate
from tests.reference.conformal import accepted


def calibration(residuals, counts=None, constant=0.01, per_object=0.04):
    counts = np.ones(len(residuals)) if counts is None else counts
    return Calibration(
        np.asarray(residuals, float), np.asarray(counts, float), constant, per_object
    )


@pytest.mark.parametrize("count", [1.0, 9.0, 100.0])
@pytest.mark.parametrize("n", [9, 20])
def test_interval_is_full_conformal_prediction(rng, n, count):
    c = calibration(rng.normal(0.2, 0.3, n), rng.integers(1, 40, n))
    found = c.interval(0.5, count, 0.8)
    tried = np.linspace(-4, 4, 16001)  # in steps of 0.0005
    low, high = accepted(c.residuals, c.spread(c.counts), float(c.spread(count)), 0.8, tried)
    np.testing.assert_allclose([found.low - 0.5, found.high - 0.5], [low, high], atol=2e-3)


@pytest.mark.parametrize(("n", "coverage"), [(9, 0.9), (19, 0.8), (99, 0.9)])
def test_intervals_of_exchangeable_images_hold_as_often_as_they_say(rng, n, coverage):
    trials, held = 1500, 0
    for _ in range(trials):
        counts = rng.integers(1, 50, n + 1).astype(float)
        residuals = 0.3 + rng.standard_t(3, n + 1) * (
            0.05 + 0.4 / counts
        )  # not as the model has it
        c = calibration(residuals[:-1], counts[:-1])
        _, low, high = c.interval(0.0, counts[-1], coverage)
        held += low <= residuals[-1] <= high
    error = 3 * np.sqrt(coverage * (1 - coverage) / trials)
    assert coverage - error <= held / trials <= coverage + 1 / (n + 1) + 0.05 + error


def test_prediction_is_corrected_by_the_mean_residual():
    c = calibration([0.1, 0.3, 0.2, 0.2])
    assert c.interval(0.5, 1.0, 0.5).value == pytest.approx(0.7)


def test_too_few_images_give_no_ends():
    eight, nine = (calibration(np.linspace(-1, 1, n)) for n in (8, 9))
    assert eight.attainable < 0.9 <= nine.attainable
    assert np.isinf(eight.interval(0.5, 1.0, 0.9)[1:]).all()
    assert np.isfinite(nine.interval(0.5, 1.0, 0.9)[1:]).all()


def test_more_objects_give_a_narrower_interval(rng):
    c = calibration(rng.normal(0, 0.2, 50), np.full(50, 5.0))
    widths = [high - low for _, low, high in (c.interval(0.5, k, 0.9) for k in (1.0, 5.0, 50.0))]
    assert widths[0] > widths[1] > widths[2] > 0


def test_spread_is_learned(rng):
    counts = rng.integers(1, 25, 4000).astype(float)
    residuals = rng.normal(0, np.sqrt(0.01 + 0.09 / counts))
    c = calibrate(np.zeros(4000), residuals, counts)
    assert c.constant == pytest.approx(0.01, rel=0.2)
    assert c.per_object == pytest.approx(0.09, rel=0.2)
    assert c.residuals.size == 2000


def test_parts_of_one_image_count_once():
    base = calibration([0.0])
    true = np.array([0.1, 0.3, 0.5, 0.7])
    c = recalibrate(np.zeros(4), true, np.ones(4), base=base, groups=np.array([7, 7, 8, 9]))
    np.testing.assert_allclose(c.residuals, [0.2, 0.5, 0.7])
    np.testing.assert_allclose(c.counts, [2, 1, 1])
    assert (c.constant, c.per_object) == (base.constant, base.per_object)


def test_equal_residuals_give_a_point():
    assert calibration(np.full(20, 0.1)).interval(0.5, 3.0, 0.8) == pytest.approx((0.6, 0.6, 0.6))


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5, float("nan")])
def test_coverage_is_a_share(coverage):
    with pytest.raises(InputError, match="coverage"):
        calibration([0.0]).interval(0.5, 1.0, coverage)


def test_residuals_are_finite():
    with pytest.raises(InputError, match="finite"):
        calibrate(np.zeros(8), np.full(8, np.nan), np.ones(8))
    with pytest.raises(InputError, match="too few"):
        calibrate(np.zeros(3), np.zeros(3), np.ones(3))
