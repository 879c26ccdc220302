import jax
import numpy as np
import pytest
import scipy.stats

from segjax import InputError
from segjax.leaderboard.resampling import make_plan, poisson_weights
from segjax.leaderboard.slices import difference_test, slice_cases, slice_estimates


KEY = jax.random.key(5)


def test_values_are_slices_in_a_natural_order():
    found = slice_cases(["10", "2", "", "2", "1"], None)
    assert list(found) == ["1", "2", "10"]
    np.testing.assert_array_equal(found["2"], [False, True, False, True, False])


def test_bins_hold_about_as_many_cases_each_and_ties_stay_together():
    found = slice_cases([str(v) for v in (5, 1, 2, 2, 2, 9, 7)] + [""], 3)
    assert list(found) == ["1 to 2", "5", "7 to 9"] or list(found) == ["1 to 2", "5 to 7", "9"]
    assert np.stack(list(found.values())).sum(0).tolist() == [1] * 7 + [0]
    with pytest.raises(InputError, match="'x' is no number"):
        slice_cases(["1", "x"], 2)
    with pytest.raises(InputError, match="bins must be positive"):
        slice_cases(["1"], 0)


def test_a_slice_has_the_interval_of_its_own_cases(rng):
    scores = rng.beta(8, 2, (2, 120))
    inside = np.arange(120) % 3 == 0
    weights = poisson_weights(KEY, 120, count=20_000)
    found = slice_estimates(weights, make_plan(120), scores, inside, bounds=(0.0, 1.0))
    assert found.cases == 40
    assert found.method == "studentized"
    np.testing.assert_allclose(found.estimates, scores[:, inside].mean(1))
    for model in range(2):
        error = scipy.stats.sem(scores[model, inside])
        half = scipy.stats.t.isf(0.025, 39) * error
        mean = scores[model, inside].mean()
        assert found.low[model] == pytest.approx(mean - half, abs=0.5 * error)
        assert found.high[model] == pytest.approx(mean + half, abs=0.5 * error)


def test_a_slice_of_few_clusters_has_students_interval(rng):
    scores, clusters = rng.normal(size=(1, 24)), np.repeat(np.arange(6), 4)
    plan = make_plan(24, clusters=clusters)
    weights = poisson_weights(KEY, 6, count=100)
    found = slice_estimates(weights, plan, scores, clusters < 4)
    means = scores.reshape(6, 4)[:4].mean(1)
    expected = scipy.stats.t.interval(0.95, 3, means.mean(), scipy.stats.sem(means))
    assert found.method == "t"
    np.testing.assert_allclose((found.low[0], found.high[0]), expected, rtol=1e-12)


def test_a_slice_of_one_case_has_no_interval(rng):
    weights = poisson_weights(KEY, 9, count=50)
    found = slice_estimates(weights, make_plan(9), rng.random((2, 9)), np.arange(9) == 4)
    assert found.cases == 1
    assert np.isnan([found.low, found.high]).all()


def test_the_test_of_a_difference_is_that_of_kruskal_and_wallis(rng):
    scores = rng.random((3, 30))
    scores[1] = 0.5
    groups = [np.arange(30) % 3 == k for k in range(3)]
    found = difference_test(make_plan(30), scores, groups)
    expected = scipy.stats.kruskal(*(scores[0, g] for g in groups)).pvalue
    np.testing.assert_allclose(found[0], expected)
    assert found[1] == 1  # all scores are the same
    assert np.isnan(difference_test(make_plan(30), scores, groups[:1])).all()


def test_cases_that_belong_together_count_once_or_not_at_all(rng):
    scores, clusters = rng.random((1, 24)), np.repeat(np.arange(12), 2)
    plan = make_plan(24, clusters=clusters)
    groups = [clusters % 2 == k for k in range(2)]
    means = scores.reshape(12, 2).mean(1)
    expected = scipy.stats.kruskal(means[::2], means[1::2]).pvalue
    np.testing.assert_allclose(difference_test(plan, scores, groups), expected)
    across = [np.arange(24) % 2 == k for k in range(2)]
    assert np.isnan(difference_test(plan, scores, across)).all()
