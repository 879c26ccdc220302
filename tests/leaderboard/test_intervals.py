import jax
import numpy as np
import pytest
import scipy.stats

from segjax import InputError
from segjax.leaderboard.intervals import (
    METHODS,
    Evidence,
    confidence_interval,
    default_method,
    failure_bound,
    gather_evidence,
    interval_ends,
    jackknife,
    methods_of,
    quantile_jackknife,
    standard_errors,
)
from segjax.leaderboard.resampling import make_plan, quantile_replicates, replicates
from tests.reference import bootstrap


KEY = jax.random.key(11)


def evidence_of(scores, plan=None, count=2000):
    plan = plan or make_plan(scores.shape[-1])
    found, errors = replicates(KEY, plan, scores, count=count, errors=True)
    return Evidence(
        estimates=scores.mean(-1),
        replicates=found,
        units=plan.units,
        errors=standard_errors(plan, scores),
        replicate_errors=errors,
        jackknife=jackknife(plan, scores),
    )


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_ends_are_those_of_scipy_on_the_same_resamples(method, statistic, rng):
    scores = rng.beta(8, 2, (1, 25))
    theirs = scipy.stats.bootstrap(
        (scores[0],),
        np.mean if statistic == "mean" else np.median,
        n_resamples=999,
        method=method,
        confidence_level=0.9,
        random_state=rng,
    )
    plan = make_plan(25)
    left_out = (
        jackknife(plan, scores) if statistic == "mean" else quantile_jackknife(plan, scores, 0.5)
    )
    e = Evidence(
        estimates=getattr(np, statistic)(scores, axis=1),
        replicates=theirs.bootstrap_distribution[:, None],
        units=25,
        jackknife=left_out,
    )
    low, high = interval_ends(e, method, level=0.9)
    np.testing.assert_allclose((low[0], high[0]), theirs.confidence_interval, rtol=1e-12)


def test_studentized_ends_are_those_of_a_loop(rng):
    scores = rng.beta(8, 2, 15)
    found, _ = replicates(KEY, make_plan(15), np.eye(15), count=2000)
    drawn = [np.repeat(np.arange(15), row) for row in np.rint(found * 15).astype(int)]
    expected = bootstrap.studentized(scores, drawn, 0.95)
    low, high = interval_ends(evidence_of(scores[None]), "studentized")
    np.testing.assert_allclose((low[0], high[0]), expected, rtol=1e-9)


def test_students_interval_is_the_textbooks(rng):
    scores = rng.normal(size=12)
    low, high = interval_ends(evidence_of(scores[None], count=10), "t", level=0.9)
    expected = scipy.stats.t.interval(0.9, 11, scores.mean(), scipy.stats.sem(scores))
    np.testing.assert_allclose((low[0], high[0]), expected, rtol=1e-12)


def test_t_of_equal_clusters_is_that_of_their_means(rng):
    scores, clusters = rng.normal(size=(1, 24)), np.repeat(np.arange(6), 4)
    plan = make_plan(24, clusters=clusters)
    means = scores.reshape(6, 4).mean(1)
    low, high = interval_ends(evidence_of(scores, plan, count=10), "t")
    expected = scipy.stats.t.interval(0.95, 5, means.mean(), scipy.stats.sem(means))
    np.testing.assert_allclose((low[0], high[0]), expected, rtol=1e-12)


def test_expanded_percentiles_are_as_wide_as_students_for_normal_scores(rng):
    scores = scipy.stats.norm.ppf((np.arange(20) + 0.5) / 20)[None]
    e = evidence_of(scores, count=200_000)
    ends = np.array([interval_ends(e, method) for method in ("expanded percentile", "t")])
    np.testing.assert_allclose(ends[0], ends[1], rtol=0.06)
    narrow = interval_ends(e, "percentile")
    assert narrow[1] - narrow[0] < 0.95 * (ends[0, 1] - ends[0, 0])


def test_ends_stay_within_the_range_of_the_scores(rng):
    scores = np.append(rng.beta(90, 1, 11), 0.3)[None]
    e = evidence_of(scores)
    free = interval_ends(e, "t")
    assert free[1] > 1
    for method in METHODS:
        low, high = interval_ends(e, method, bounds=(0.0, 1.0))
        assert 0 <= low[0] <= scores.mean() <= high[0] <= 1
    assert interval_ends(e, "t", bounds=(0.9, None))[0] == pytest.approx(
        min(0.9, scores.mean())
    )  # scores beyond a bound show that it is none


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_are_all_the_same_have_an_interval_of_no_width(method):
    low, high = interval_ends(evidence_of(np.full((1, 9), 0.7)), method)
    np.testing.assert_allclose((low, high), 0.7, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_single_case_has_no_interval(method):
    low, high = interval_ends(evidence_of(np.array([[0.7]])), method)
    assert np.isnan([low, high]).all()


def test_scores_of_which_nearly_all_are_the_same_have_an_end():
    scores = np.append(np.ones(19), 0.2)[None]  # a third of the resamples are of ones alone
    e = evidence_of(scores)
    ends = interval_ends(e, "studentized")
    np.testing.assert_allclose(ends, interval_ends(e, "t"))
    named = {"level": 0.95, "bounds": (None, None)}
    assert methods_of(e, "studentized", ends, **named) == ["t"]
    plain = evidence_of(np.linspace(0, 1, 19)[None])
    ends = interval_ends(plain, "studentized")
    assert methods_of(plain, "studentized", ends, **named) == ["studentized"]


def test_standard_errors_are_textbook(rng):
    scores = rng.random((3, 17))
    found = standard_errors(make_plan(17), scores)
    np.testing.assert_allclose(found, scipy.stats.sem(scores, axis=1), rtol=1e-12)


def test_the_error_of_a_ratio_is_that_of_the_jackknife(rng):
    a, b = rng.random((1, 200)), rng.random((1, 200)) + 0.5
    plan = make_plan(200)
    left_out = jackknife(plan, a, b)
    expected = np.sqrt(199 / 200 * ((left_out - left_out.mean(0)) ** 2).sum(0))
    np.testing.assert_allclose(standard_errors(plan, a, b), expected, rtol=0.02)


def test_the_default_method_keeps_its_level_whatever_is_drawn():
    clusters = np.arange(120)
    assert default_method(make_plan(10)) == "studentized"
    assert default_method(make_plan(10), quantile=True) == "percentile"
    assert default_method(make_plan(120, clusters=clusters // 10)) == "t"
    assert default_method(make_plan(120, clusters=clusters // 3)) == "studentized"
    assert default_method(make_plan(120, clusters=clusters // 3, within=True)) == "t"


def test_the_median_of_many_cases_is_covered_as_its_order_statistics_say(rng):
    scores = rng.random((1, 101))
    found = quantile_replicates(KEY, make_plan(101), scores, 0.5, count=20_000)
    e = Evidence(estimates=np.median(scores, 1), replicates=found, units=101)
    ends = [float(end[0]) for end in interval_ends(e, "percentile")]
    places = np.searchsorted(np.sort(scores[0]), ends)
    exact = scipy.stats.binom.ppf([0.025, 0.975], 101, 0.5)
    np.testing.assert_allclose(places, exact, atol=1.5)


def test_bounds_of_failure_rates_are_exact():
    assert failure_bound(0, 20) == pytest.approx(1 - 0.05 ** (1 / 20))
    assert failure_bound(5, 5) == 1
    bound = failure_bound(2, 20)
    assert scipy.stats.binom.cdf(2, 20, bound) == pytest.approx(0.05)


def test_what_cannot_be_made_is_refused():
    e = Evidence(estimates=np.zeros(1), replicates=np.zeros((5, 1)), units=4)
    for method, words in (
        ("wald", "interval must be one of percentile"),
        ("studentized", "needs standard errors"),
        ("t", "needs a standard error"),
        ("bca", "each unit left out"),
    ):
        with pytest.raises(InputError, match=words):
            interval_ends(e, method)
    with pytest.raises(InputError, match="between 0 and 1"):
        interval_ends(e, "percentile", level=95.0)


def test_a_ratio_of_sums_is_a_mean_with_denominators_as_weights(rng):
    tp, wrong = rng.integers(0, 50, (2, 40)).astype(float)
    dice, weights = 2 * tp / (2 * tp + wrong), 2 * tp + wrong
    plan = make_plan(40)
    pooled = gather_evidence(KEY, plan, dice[None], weights=weights[None], count=500)
    assert pooled.estimates[0] == pytest.approx(2 * tp.sum() / weights.sum())
    counts = np.rint(replicates(KEY, plan, np.eye(40), count=500)[0] * 40)
    expected = (counts @ (2 * tp)) / (counts @ weights)
    np.testing.assert_allclose(pooled.replicates[:, 0], expected, rtol=1e-12)
    found = confidence_interval(dice, weights=weights, replicates=20_000)
    low, high = np.quantile(expected, [0.025, 0.975])
    assert found.low < pooled.estimates[0] < found.high
    assert abs(found.low - low) + abs(found.high - high) < 0.5 * (high - low)


def test_one_interval_is_that_of_many(rng):
    scores = rng.beta(9, 1, (2, 30))
    e = gather_evidence(KEY, make_plan(30), scores, quantile=0.5, count=3000, left_out=True)
    low, high = interval_ends(e, "bca")
    found = confidence_interval(scores[1], quantile=0.5, method="bca", replicates=3000, key=KEY)
    assert (found.low, found.high) == pytest.approx((low[1], high[1]))
    with pytest.raises(InputError, match="one finite score per case"):
        confidence_interval([0.5, np.nan])
