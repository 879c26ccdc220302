import itertools
import math

import jax
import numpy as np
import pytest
import scipy.stats

from segjax import InputError
from segjax.leaderboard import separability as sep
from tests.reference import separability as reference


KEY = jax.random.key(7)


def test_pairs_are_in_order():
    a, b = sep.pairs(3)
    assert [*zip(a.tolist(), b.tolist(), strict=True)] == [(0, 1), (0, 2), (1, 2)]
    assert sep.pairs(1)[0].size == 0


def test_differences_agree_with_scipy(rng):
    scores = rng.beta(18, 2, (4, 25))
    d = sep.differences(scores)
    for i, (a, b) in enumerate(zip(*sep.pairs(4), strict=True)):
        theirs = scipy.stats.ttest_rel(scores[a], scores[b])
        assert d.t[i] == pytest.approx(theirs.statistic)
        assert d.effect[i] == pytest.approx(theirs.statistic / 5)
        low, high = sep.simultaneous(d, scipy.stats.t.ppf(0.975, 24))
        assert (low[i], high[i]) == pytest.approx(theirs.confidence_interval(0.95))
    assert (d.n, d.units) == (25, 25)


def test_differences_by_hand():
    # d = 1, 2, 3, -2 in units 5, 5, 5, 9: mean 1; residual sums 0 + 1 + 2 = 3 and -3;
    # se = sqrt(2 / 1 * (9 + 9)) / 4 = 6 / 4; sd = sqrt((0 + 1 + 4 + 9) / 3).
    scores = np.array([[1.0, 2.0, 3.0, -2.0], [0.0, 0.0, 0.0, 0.0]])
    d = sep.differences(scores, np.array([5, 5, 5, 9]))
    assert (d.mean[0], d.se[0], d.t[0]) == pytest.approx((1, 1.5, 2 / 3))
    assert d.effect[0] == pytest.approx(1 / math.sqrt(14 / 3))
    assert (d.superiority[0], d.units) == (0.75, 2)


def test_differences_agree_with_the_definition_for_clusters(rng):
    scores, units = rng.random((3, 30)), rng.integers(0, 6, 30)
    expected = reference.all_t([reference.by_unit(scores.tolist(), units.tolist())])[0]
    np.testing.assert_allclose(sep.differences(scores, units).t, expected)


def test_units_of_equal_size_are_as_their_means(rng):
    scores, units = rng.random((3, 24)), np.repeat(np.arange(8), 3)
    means = scores.reshape(3, 8, 3).mean(-1)
    np.testing.assert_allclose(sep.differences(scores, units).t, sep.differences(means).t)


def test_no_difference_and_one_that_never_varies():
    scores = 1 / np.arange(3.0, 10)
    d = sep.differences(np.stack([scores, scores, scores + 0.1]))
    assert d.t.tolist() == d.effect.tolist() == [0, -math.inf, -math.inf]
    assert d.superiority.tolist() == [0.5, 0, 0]
    low, high = sep.simultaneous(d, 3.0)
    np.testing.assert_allclose([low, high], [[0, -0.1, -0.1]] * 2, atol=1e-15)


def test_one_case_has_a_mean_alone():
    d = sep.differences(np.array([[1.0], [0.25]]))
    assert d.mean == [0.75]
    assert np.isnan([d.sd, d.se, d.t, d.effect]).all()
    assert [end.tolist() for end in sep.simultaneous(d, 2.0)] == [[-math.inf], [math.inf]]


@pytest.mark.parametrize("models", [2, 3])
def test_max_t_agrees_with_writing_all_arrangements_out(models, rng):
    family = [rng.random((models, 4)), rng.lognormal(1, 1, (models, 4))]
    family[0][1, 2] += 1
    found = sep.max_t(KEY, family)
    assert found.exact
    assert found.arrangements == math.factorial(models) ** 3  # one unit's order is free
    np.testing.assert_allclose(found.p, reference.max_t(family, [range(4)] * 2))


def test_max_t_with_clusters_and_measures_of_different_cases(rng):
    family = [rng.random((3, 7)), rng.random((3, 5))]
    units = [np.array([4, 4, 2, 2, 2, 9, 9]), np.array([7, 2, 4, 7, 7])]
    found = sep.max_t(KEY, family, units=units)
    np.testing.assert_allclose(found.p, reference.max_t(family, [u.tolist() for u in units]))


def test_ties_are_counted_as_ties(rng):
    family = [rng.integers(0, 3, (3, 4)) / 10 + 0.1]
    found = sep.max_t(KEY, family)
    np.testing.assert_allclose(found.p, reference.max_t(family, [range(4)]))
    np.testing.assert_allclose(sep.sign_flip(KEY, family), reference.sign_flip(family, [range(4)]))


@pytest.mark.parametrize("models", [3, 8])
def test_drawn_arrangements_agree_with_drawing_labels(models, rng):
    """For both kinds of groups: p as from permutations of every case, drawn by NumPy."""
    family = [rng.random((models, 12)) for _ in range(2)]
    family[0][0] += 0.3
    found = sep.max_t(KEY, family, permutations=4000)
    assert not found.exact
    order = rng.permuted(np.tile(np.arange(models), (4000, 12, 1)), axis=-1).swapaxes(1, 2)
    shuffled = [np.take_along_axis(scores[None], order, 1) for scores in family]
    largest = np.max([np.abs(sep.differences(boards).t).max(-1) for boards in shuffled], axis=0)
    expected = (largest[:, None, None] >= np.abs(found.t)).mean(0)
    assert (np.abs(expected - 0.5) < 0.4).any()
    np.testing.assert_allclose(found.p, expected, atol=4 * math.sqrt(0.25 * 2 / 4000))


def test_two_models_and_one_measure_are_a_sign_flip_test(rng):
    family = [rng.normal(0.3, 1, (2, 10))]
    flipped = sep.sign_flip(KEY, family)
    np.testing.assert_allclose(sep.max_t(KEY, family).p, flipped)
    np.testing.assert_allclose(flipped, reference.sign_flip(family, [range(10)]))


def test_sign_flip_agrees_with_writing_all_signs_out(rng):
    family, units = [rng.random((3, 9)), rng.random((3, 6))], [np.arange(9) % 5, np.arange(6) % 4]
    found = sep.sign_flip(KEY, family, units=units)
    np.testing.assert_allclose(found, reference.sign_flip(family, units))


def test_drawn_signs_agree_with_all_of_them(rng):
    family = [rng.normal(0.1, 1, (4, 12))]
    drawn, exact = (sep.sign_flip(KEY, family, permutations=n) for n in (2000, 2048))
    np.testing.assert_allclose(drawn, exact, atol=4 * math.sqrt(0.25 / 2000))
    assert np.abs(drawn - exact).max() > 0


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_p_critical_value_and_intervals_say_the_same(level, rng):
    for n, permutations in [(4, 10_000), (9, 99), (9, 200)]:
        family = [rng.random((3, n)) + np.array([[0.7], [0.1], [0]]) for _ in range(2)]
        found = sep.max_t(KEY, family, permutations=permutations, level=level)
        separable = found.p <= 1 - level + 1e-12
        np.testing.assert_array_equal(separable, np.abs(found.t) > found.critical)
        for measure, scores in enumerate(family):
            low, high = sep.simultaneous(sep.differences(scores), found.critical)
            np.testing.assert_array_equal(separable[measure], (low > 0) | (high < 0))


def test_too_few_arrangements_separate_nothing():
    family = [np.array([[5.0, 6.0, 7.5], [1.0, 2.0, 3.0]])]
    found = sep.max_t(KEY, family)  # 2^2 arrangements: p is at least 1 / 4
    assert (found.p, found.critical) == (0.25, math.inf)
    low, high = sep.simultaneous(sep.differences(family[0]), found.critical)
    assert (low[0], high[0]) == (-math.inf, math.inf)


def test_a_constant_difference_is_separable_from_enough_cases():
    scores = np.linspace(0, 1, 10)
    found = sep.max_t(KEY, [np.stack([scores + 0.1, scores, scores])])
    assert found.t.tolist() == [[math.inf, math.inf, 0]]
    assert (found.p[0, :2] < 0.01).all()
    assert found.p[0, 2] == 1


def test_nothing_to_compare_is_not_separable():
    assert sep.max_t(KEY, [np.ones((1, 5))]).p.shape == (1, 0)
    assert sep.sign_flip(KEY, [np.ones((1, 5))]).shape == (1, 0)
    single = [np.array([[3.0, 3.0], [1.0, 2.0]])]
    assert sep.max_t(KEY, single, units=[np.zeros(2, int)]).p == 1
    assert sep.sign_flip(KEY, single, units=[np.zeros(2, int)]) == 1
    same = [np.full((9, 6), 0.3)]
    assert (sep.max_t(KEY, same, permutations=100).p == 1).all()
    assert (sep.sign_flip(KEY, same) == 1).all()
    assert (sep.wilcoxon(same) == 1).all()


def test_a_measure_of_one_unit_leaves_the_others_alone(rng):
    scores = rng.random((3, 6))
    alone = sep.max_t(KEY, [scores])
    both = sep.max_t(
        KEY, [scores, np.array([[9.0], [1], [0]])], units=[np.arange(6), np.array([3])]
    )
    np.testing.assert_array_equal(both.p, [alone.p[0], [1, 1, 1]])


@pytest.mark.parametrize("models", [3, 8])
def test_statistics_do_not_depend_on_unit_and_offset(models, rng):
    family = [rng.random((models, 12))]
    moved = [1e3 * family[0] + 1e3 * rng.random(12)]
    found, again = (sep.max_t(KEY, f, permutations=300) for f in (family, moved))
    np.testing.assert_array_equal(found.p, again.p)
    np.testing.assert_allclose(found.critical, again.critical)


def test_the_same_model_twice_among_many(rng):
    scores = rng.random((8, 12))
    scores[5] = scores[2]
    scores[3] += 1
    found = sep.max_t(KEY, [scores], permutations=300)
    a, b = sep.pairs(8)
    assert found.p[0, (a == 2) & (b == 5)] == 1
    assert found.p[0, (a == 2) & (b == 3)] < 1
    assert np.isfinite(found.critical)


def test_boards_are_tested_by_themselves(rng):
    boards = rng.random((5, 3, 12)) + np.arange(5)[:, None, None] * [[0.2], [0], [0]]
    many = sep.max_t(KEY, [boards], permutations=2000)
    assert many.p.shape == (5, 1, 3)
    assert many.critical.shape == (5,)
    flips = sep.sign_flip(KEY, [boards])
    for i, scores in enumerate(boards):
        one = sep.max_t(KEY, [scores], permutations=2000)
        np.testing.assert_array_equal(many.t[i], one.t)
        np.testing.assert_allclose(many.p[i], one.p, atol=4 * math.sqrt(0.25 * 2 / 2000))
        np.testing.assert_array_equal(flips[i], sep.sign_flip(KEY, [scores]))  # all signs


def test_family_wise_error_holds_where_no_model_differs(rng):
    boards = rng.beta(18, 2, (1000, 1, 10)) - rng.lognormal(-3, 1, (1000, 3, 10))
    p = sep.max_t(KEY, [boards], permutations=199).p.min((-2, -1))
    for alpha in (0.05, 0.2):  # exact: rejects in alpha, up to Monte-Carlo error
        assert abs((p <= alpha).mean() - alpha) < 4 * math.sqrt(alpha * (1 - alpha) / 1000)


def test_wilcoxon_is_scipys_pair_by_pair(rng):
    scores, units = rng.random((3, 24)), np.repeat(np.arange(12), 2)
    found = sep.wilcoxon([scores, scores], units=[np.arange(24), units])
    means = scores.reshape(3, 12, 2).mean(-1)
    for row, x in zip(found, (scores, means), strict=True):
        for p, a, b in zip(row, *sep.pairs(3), strict=True):
            assert p == pytest.approx(scipy.stats.wilcoxon(x[a], x[b])[1])


def test_wilcoxon_sees_ties_through_rounding():
    # |d| = 0.1 in all: 0.4 - 0.3 is not 0.8 - 0.7 in binary.
    scores = np.array([[0.4, 0.8, 0.2, 0.6], [0.3, 0.7, 0.3, 0.5]])
    _, expected = scipy.stats.wilcoxon([1, 1, -1, 1])
    assert sep.wilcoxon([scores]) == pytest.approx(expected)


def test_holm_by_hand():
    # Sorted 0.01 x 4, 0.02 x 3, 0.03 x 2 -> 0.06 as before it, 0.6 x 1.
    p = np.array([[0.03, 0.01], [0.6, 0.02]])
    np.testing.assert_allclose(sep.holm(p), [[0.06, 0.04], [0.6, 0.06]])
    assert sep.holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert sep.holm(np.zeros((1, 0))).shape == (1, 0)


def test_holm_agrees_with_the_definition(rng):
    p = np.round(rng.random(40) ** 3, 2)
    np.testing.assert_allclose(sep.holm(p), reference.holm(p.tolist()))


def test_bonferroni_intervals_are_quantiles_of_differences(rng):
    replicates = rng.normal([0.5, 0, 0.1], 0.1, (5000, 3))
    low, high, separable = sep.bonferroni_percentile(replicates, 0.94)
    d = replicates[:, 1] - replicates[:, 2]  # three pairs: level 0.98 each
    assert (low[2], high[2]) == pytest.approx(tuple(np.percentile(d, [1, 99])))
    assert separable.tolist() == [True, True, False]
    assert not sep.bonferroni_percentile(np.zeros((10, 2)))[2].any()
    assert sep.bonferroni_percentile(np.zeros((10, 1)))[0].size == 0


def test_units_needed_reach_the_power_asked_for(rng):
    # z(1 - 0.05 / 6) = 2.394, z(0.8) = 0.842: (3.236 / 0.4)^2 = 65.4.
    assert sep.units_needed(np.array([-0.4, 0.0, 1e9]), 3).tolist() == [66, math.inf, 2]
    assert sep.units_needed(0.5, 1, power=0.9) == math.ceil(((1.959964 + 1.281552) / 0.5) ** 2)
    _, p = scipy.stats.ttest_1samp(rng.normal(0.4, 1, (4000, 66)), 0, axis=1)
    assert np.mean(np.asarray(p) < 0.05 / 3) == pytest.approx(0.8, abs=0.03)


def test_kidneys_need_as_many_cases_as_published():
    # Mean and standard deviation of the paired differences in Dice of three models of 20 scans.
    mean, sd = np.array([0.00137414, 0.01483, 0.01345585]), [0.02399648, 0.04526033, 0.04470509]
    assert sep.units_needed(mean / sd, 3).tolist() == [3193, 98, 116]


def test_what_is_detectable_needs_as_many_units():
    n = np.array([10, 100, 1000])
    gap = sep.detectable(2.0, n, 3)
    np.testing.assert_array_equal(sep.units_needed(gap / 2.0 * (1 + 1e-12), 3), n)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ([np.ones((2, 3)), np.ones((3, 3))], {}, "need the same models"),
        ([np.ones((2, 3)), np.ones((2, 4))], {}, "say the units of each"),
        ([np.array([[1, np.inf], [0, 1]])], {}, "finite scores"),
        ([np.ones((2, 0))], {}, "no case"),
        ([np.ones((2, 3))], {"permutations": 0}, "permutations must be positive, got 0"),
        ([np.ones((2, 3))], {"level": 1.0}, "level must be between 0 and 1, got 1.0"),
    ],
)
def test_what_cannot_be_tested_is_refused(family, options, message):
    with pytest.raises(InputError, match=message):
        sep.max_t(KEY, family, **options)


def flips(units):
    return np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=units - 1)])


@pytest.mark.parametrize("clusters", [None, [0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 6]])
def test_joint_flips_are_those_of_a_loop(clusters, rng):
    units = np.arange(7) if clusters is None else np.array(clusters)
    scores = rng.gamma(1, 0.1, (4, units.size))
    found = sep.flip_max_t(KEY, [scores], units=[units], permutations=1000)
    largest = [np.abs(sep.differences(scores * s[units], units).t).max() for s in flips(7)]
    t = np.abs(sep.differences(scores, units).t)
    expected = [(np.array(largest) >= one * (1 - 1e-9)).mean() for one in t]
    assert found.exact
    np.testing.assert_allclose(found.p[0], expected, rtol=1e-12)


def test_a_far_worse_model_makes_no_others_separable(rng):
    scores = rng.beta(18, 2, (200, 1, 20)) + rng.normal(0, 0.02, (200, 12, 20))
    scores[:, 0] -= 0.5
    equal = sep.pairs(12)[0] > 0
    alarms = lambda test: (
        (test(KEY, [scores], permutations=299).p[:, 0, equal] <= 0.05).any(1).mean()
    )
    assert alarms(sep.max_t) > 0.12  # what the guard is for
    assert alarms(sep.guarded_max_t) < 0.1
    worse = sep.guarded_max_t(KEY, [scores], permutations=299).p[:, 0, ~equal]
    assert (worse <= 0.05).mean() > 0.99


def test_the_guard_asks_both_tests(rng):
    scores = rng.random((3, 15))
    found = sep.guarded_max_t(KEY, [scores], permutations=500)
    naming, flipping = jax.random.split(KEY)
    both = (
        sep.max_t(naming, [scores], permutations=500),
        sep.flip_max_t(flipping, [scores], permutations=500),
    )
    np.testing.assert_array_equal(found.p, np.maximum(both[0].p, both[1].p))
    assert found.critical == max(both[0].critical, both[1].critical)
