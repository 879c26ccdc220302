import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from segjax import InputError
from segjax.leaderboard import ranking
from segjax.leaderboard.ranking import (
    average_ranks,
    case_ranks,
    leave_one_out,
    rank_distribution,
    rank_sets,
    schemes,
    smallest_upset,
    tiers,
)
from tests.reference import ranking as reference


STATISTICS = ["mean", "median", 0.1, 0.3]
CLUSTERS = np.array([2, 0, 1, 0, 2, 3, 0, 1, 4])


def coarse(rng, *shape):
    """Scores with many ties, which floats hold exactly."""
    return rng.integers(0, 5, shape) / 4


def verdicts(rng, models):
    """Some of the pairs in which the model of the row is truly better than the column's."""
    merit = rng.permutation(models)
    return (merit[:, None] > merit) & (rng.random((models, models)) < 0.5)


# Ranks


@pytest.mark.parametrize("shape", [(7,), (40, 5), (3, 4, 6), (2, 1), (0, 3)])
def test_ranks_are_those_of_scipy(shape, rng):
    scores = coarse(rng, *shape)
    scores[scores == 0] = -np.inf
    expected = scipy.stats.rankdata(-scores, axis=-1) if scores.size else scores
    np.testing.assert_array_equal(average_ranks(scores), expected)


def test_traced_ranks_are_those_of_the_host(rng):
    scores = coarse(rng, 3, 4, 6)
    np.testing.assert_array_equal(jax.jit(average_ranks)(scores), average_ranks(scores))


def test_ranks_do_not_depend_on_how_many_are_compared_at_a_time(rng, monkeypatch):
    scores = coarse(rng, 50, 4)
    whole = average_ranks(scores), rank_distribution(scores, scores[0])
    monkeypatch.setattr(ranking, "_BLOCK", 7)
    blocks = average_ranks(scores), rank_distribution(scores, scores[0])
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(blocks), strict=True):
        np.testing.assert_array_equal(one, other)


def test_more_models_than_a_byte_counts_are_ranked(rng):
    scores = rng.permutation(300) / 300
    estimates = np.arange(300) / 300
    np.testing.assert_array_equal(average_ranks(scores), scipy.stats.rankdata(-scores))
    d = rank_distribution(scores[None], estimates)
    assert d.tau_mean == pytest.approx(scipy.stats.kendalltau(scores, estimates).statistic)


def test_ranks_within_cases_are_of_the_models():
    scores = np.array([[0.9, 0.5, -np.inf], [0.8, 0.5, 0.1]])
    np.testing.assert_array_equal(case_ranks(scores), [[1, 1.5, 2], [2, 1.5, 1]])


# Ranks over resamples


@pytest.mark.parametrize("draw", ["continuous", "tied"])
def test_distribution_is_that_of_a_loop_over_resamples(draw, rng):
    replicates = rng.normal(0, 1, (999, 5)) if draw == "continuous" else coarse(rng, 999, 5)
    estimates = replicates[0]
    ranks = np.array([scipy.stats.rankdata(-row, method="average") for row in replicates])
    at_best = ranks == ranks.min(1, keepdims=True)
    d = rank_distribution(replicates, estimates)
    close = {"rtol": 0, "atol": 1e-12}
    p_best = (at_best / at_best.sum(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(d.probability[:, 0], p_best, **close)
    np.testing.assert_allclose(d.mean_rank, ranks.mean(0), **close)
    np.testing.assert_allclose(d.low, np.quantile(ranks, 0.025, axis=0), **close)
    np.testing.assert_allclose(d.high, np.quantile(ranks, 0.975, axis=0), **close)
    credit = np.array(reference.rank_probability(replicates.tolist()), float)
    np.testing.assert_allclose(d.probability, credit, **close)


def test_rank_interval_has_the_level_asked_for(rng):
    replicates = rng.normal(0, 1, (500, 4))
    ranks = scipy.stats.rankdata(-replicates, axis=1)
    d = rank_distribution(replicates, replicates[0], level=0.5)
    np.testing.assert_allclose(d.low, np.quantile(ranks, 0.25, axis=0), atol=1e-12)
    np.testing.assert_allclose(d.high, np.quantile(ranks, 0.75, axis=0), atol=1e-12)


def test_order_agrees_as_kendall_says(rng):
    replicates, estimates = coarse(rng, 200, 5), np.array([0.5, 0.25, 0.5, 1, 0])
    taus = [reference.tau_b(row, estimates) for row in replicates.tolist()]
    theirs = [scipy.stats.kendalltau(row, estimates).statistic for row in replicates]
    np.testing.assert_allclose(np.nan_to_num(theirs), taus, atol=1e-12)
    d = rank_distribution(replicates, estimates)
    ends = np.quantile(taus, [0.025, 0.975])
    np.testing.assert_allclose(
        [d.tau_mean, d.tau_low, d.tau_high], [np.mean(taus), *ends], atol=1e-12
    )


@pytest.mark.parametrize(
    ("replicate", "estimates", "tau"),
    [
        ([3, 2, 2, 1], [0.4, 0.3, 0.3, 0.1], 1),  # the same order, ties and all
        ([1, 2, 3, 4], [0.4, 0.3, 0.2, 0.1], -1),
        ([1, 1, 1, 1], [0.4, 0.3, 0.2, 0.1], 0),
        ([4, 3, 2, 1], [0.4, 0.4, 0.4, 0.4], 0),
        ([1, 1, 1, 1], [0.4, 0.4, 0.4, 0.4], 1),
        ([4, 3, -np.inf, -np.inf], [0.4, 0.3, -np.inf, -np.inf], 1),
        ([1], [0.4], 1),
    ],
)
def test_agreement_of_one_order(replicate, estimates, tau):
    d = rank_distribution(np.array([replicate], float), np.array(estimates))
    assert [d.tau_mean, d.tau_low, d.tau_high] == [tau] * 3


def test_every_model_has_one_rank_and_every_rank_one_model(rng):
    d = rank_distribution(coarse(rng, 300, 6), np.arange(6.0))
    np.testing.assert_allclose(d.probability.sum(0), 1)
    np.testing.assert_allclose(d.probability.sum(1), 1)
    np.testing.assert_allclose(d.probability @ np.arange(1, 7), d.mean_rank)


def test_models_that_are_always_level_share_all_ranks():
    d = rank_distribution(np.full((10, 4), 0.5), np.full(4, 0.5))
    np.testing.assert_allclose(d.probability, 0.25)
    np.testing.assert_array_equal([d.mean_rank, d.low, d.high], 2.5)


def test_a_rank_that_never_occurs_has_probability_zero(rng):
    replicates = coarse(rng, 400, 3)
    replicates = np.hstack([replicates, replicates[:, :1] - 2, replicates[:, :1] - 2])
    d = rank_distribution(replicates, replicates[0])
    np.testing.assert_array_equal(d.probability[:3, 3:], 0)


def test_distribution_traces(rng):
    replicates = coarse(rng, 333, 4)
    expected = rank_distribution(replicates, replicates[0])
    with jax.enable_x64(True):
        d = jax.jit(rank_distribution)(replicates, replicates[0])
        assert d.probability.dtype == jnp.float64
        for traced, here in zip(jax.tree.leaves(d), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(traced, here, rtol=0, atol=1e-12)


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(InputError, match="level must lie between 0 and 1, got 95"):
        rank_distribution(np.zeros((3, 2)), np.zeros(2), level=95.0)
    with pytest.raises(InputError, match="no resample"):
        rank_distribution(np.zeros((0, 2)), np.zeros(2))


# Rank sets and tiers


def test_rank_sets_count_the_verdicts():
    # 0 is better than 2 and 3, 1 is better than 3.
    separable = np.zeros((4, 4), bool)
    separable[[0, 0, 1], [2, 3, 3]] = True
    low, high = rank_sets(separable)
    assert low.tolist() == [1, 1, 2, 3]
    assert high.tolist() == [2, 3, 4, 4]
    again = jax.jit(rank_sets)(separable)
    np.testing.assert_array_equal(again, (low, high))


def test_rank_sets_hold_the_true_ranks_of_true_verdicts(rng):
    merit = rng.permutation(6)
    separable = (merit[:, None] > merit) & (rng.random((6, 6)) < 0.5)
    low, high = rank_sets(separable)
    assert separable.any()
    assert (low <= average_ranks(merit)).all()
    assert (average_ranks(merit) <= high).all()


def test_without_verdicts_every_rank_is_possible_and_there_is_one_tier():
    none = np.zeros((3, 3), bool)
    np.testing.assert_array_equal(rank_sets(none), [[1] * 3, [3] * 3])
    assert tiers(np.array([2.0, 1.0, 3.0]), none).tolist() == [1, 1, 1]


def test_tiers_are_found_by_walking_down(rng):
    for _ in range(20):
        ranks = rng.permutation(7) + 1.0
        separable = (ranks[:, None] < ranks) & (rng.random((7, 7)) < 0.3)
        assert tiers(ranks, separable).tolist() == reference.tiers(ranks, separable)


def test_tiers_do_not_depend_on_the_order_of_models(rng):
    for _ in range(20):
        ranks = scipy.stats.rankdata(rng.integers(0, 4, 7))
        separable, shuffle = verdicts(rng, 7), rng.permutation(7)
        np.testing.assert_array_equal(
            tiers(ranks, separable)[shuffle],
            tiers(ranks[shuffle], separable[np.ix_(shuffle, shuffle)]),
        )


def test_neighbouring_tiers_need_not_be_separable():
    # Only the first and the last of three are separable.
    separable = np.zeros((3, 3), bool)
    separable[0, 2] = True
    assert tiers(np.array([1.0, 2.0, 3.0]), separable).tolist() == [1, 1, 2]


def test_one_model_is_alone_in_everything():
    alone, none = np.array([[0.3, 0.4]]), np.zeros((1, 1), bool)
    assert tiers(np.ones(1), none).tolist() == [1]
    np.testing.assert_array_equal(rank_sets(none), [[1], [1]])
    assert not leave_one_out(alone, "mean").order.any()
    assert smallest_upset(alone, "mean") is None
    assert rank_distribution(alone.T, alone[0, :1]).probability.tolist() == [[1]]
    assert schemes(alone, none)["test-based"].tolist() == [1]


# Without some of the cases


@pytest.mark.parametrize("clustered", [False, True], ids=["cases", "clusters"])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_leaving_one_out_is_a_loop_over_units(statistic, clustered, rng):
    units = CLUSTERS if clustered else np.arange(9)
    changes = 0
    for _ in range(20):
        scores = coarse(rng, 4, 9)
        winner, order = reference.leave_one_out(scores.tolist(), statistic, units.tolist())
        found = leave_one_out(scores, statistic, units if clustered else None)
        assert (found.winner.tolist(), found.order.tolist()) == (winner, order)
        changes += sum(winner)
    assert changes


@pytest.mark.parametrize("statistic", STATISTICS)
def test_scores_in_another_order_are_tied_for_all_their_rounding_errors(statistic, rng):
    scores = rng.random(30)
    permuted = np.stack([rng.permutation(scores) for _ in range(99)])
    assert len(set(permuted.mean(1))) > 1  # or there is nothing to settle
    assert leave_one_out(np.stack([scores, scores]), statistic).order.sum() == 0
    assert smallest_upset(np.stack([scores, scores]), statistic) is None
    np.testing.assert_array_equal(schemes(permuted)["mean then rank"], 50)


def test_a_single_bad_case_decides():
    # Means 0.8 and 0.825; without the last case 1 and 0.9.
    scores = np.array([[1, 1, 1, 0.2], [0.9, 0.9, 0.9, 0.6]])
    found = leave_one_out(scores, "mean")
    assert found.winner.tolist() == found.order.tolist() == [False, False, False, True]
    upset = smallest_upset(scores, "mean")
    assert (upset.units.tolist(), upset.winner) == ([3], 0)
    assert not leave_one_out(scores, "median").winner.any()


def test_drawing_level_changes_the_winner_but_is_no_upset():
    scores = np.array([[1.0, 0.5, 0.5], [0.5, 0.5, 0.5]])
    assert leave_one_out(scores, "mean").winner.tolist() == [True, False, False]
    assert smallest_upset(scores, "mean") is None


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_only_unit_cannot_be_left_out(statistic):
    scores = np.array([[1.0, 0.5], [0.5, 1.0]])
    for units in (np.zeros(2, int), None):
        some = scores if units is not None else scores[:, :1]
        found = leave_one_out(some, statistic, units)
        assert not found.winner.any()
        assert not found.order.any()
        assert smallest_upset(some, statistic, units) is None


@pytest.mark.parametrize(
    ("statistic", "decisive", "winner"),
    # By mean and low quantile the miss decides; by median nothing does; the quantile at 0.3 of
    # 5 lies above the second score, that of 4 below it.
    [("mean", [0], 1), ("median", [], 0), (0.1, [0], 1), (0.3, [1, 2, 3, 4], 0)],
)
def test_infinitely_bad_cases_count_until_they_are_left_out(statistic, decisive, winner):
    scores = np.array([[0.5, 0.6, 0.7, 0.8, 0.9], [-np.inf, 0.65, 0.75, 0.85, 0.95]])
    found = leave_one_out(scores, statistic)
    assert np.flatnonzero(found.winner).tolist() == decisive
    upset = smallest_upset(scores, statistic)
    assert upset.winner == winner
    if decisive:
        assert upset.units.size == 1
        assert upset.units[0] in decisive
    both = np.array([[-np.inf] * 4, [-np.inf] * 4, [-np.inf] * 3 + [0.0]])
    assert smallest_upset(both, "mean") is None
    assert not leave_one_out(both, "mean").order[:3].any()


@pytest.mark.parametrize("clustered", [False, True], ids=["cases", "clusters"])
def test_no_set_smaller_than_the_upset_of_a_mean_exists(clustered, rng):
    units = CLUSTERS if clustered else np.arange(9)
    sizes = set()
    for _ in range(30):
        scores = rng.integers(0, 9, (4, 9)) / 8 + np.array([[0.25], [0], [0.125], [0]])
        if len(reference.winners(reference.board(scores.tolist(), "mean", units))) > 1:
            continue
        upset = smallest_upset(scores, "mean", units)
        size = None if upset is None else upset.units.size
        assert size == reference.upset_size(scores.tolist(), "mean", units.tolist())
        sizes.add(size)
    assert len(sizes) > 2


@pytest.mark.parametrize("clustered", [False, True], ids=["cases", "clusters"])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_an_upset_makes_a_winner_of_who_was_none(statistic, clustered, rng):
    units = CLUSTERS if clustered else np.arange(9)
    excess, found = [], 0
    for _ in range(15):
        scores = coarse(rng, 4, 9)
        upset = smallest_upset(scores, statistic, units if clustered else None)
        size = reference.upset_size(scores.tolist(), statistic, units.tolist())
        if upset is None:
            continue
        now = reference.winners(reference.board(scores.tolist(), statistic, units))
        removed = set(upset.units.tolist())
        then = reference.winners(reference.board(scores.tolist(), statistic, units, removed))
        assert not now & then
        assert upset.winner in then
        excess.append(upset.units.size - size)
        found += 1
    assert found
    assert min(excess) == 0
    assert np.mean(excess) < 0.5


def test_the_winner_after_an_upset_may_be_a_third_model():
    # Means 0.6, 0.575 and 0.55; without the first case 0.467, 0.5 and 0.733.
    scores = np.array([[1, 0.4, 0.4, 0.6], [0.8, 0.5, 0.5, 0.5], [0, 0.7, 0.8, 0.7]])
    upset = smallest_upset(scores, "mean")
    assert (upset.units.tolist(), upset.winner) == ([0], 2)


def test_many_cases_are_removed_in_few_steps(rng):
    scores = rng.random((3, 400)) * 0.5
    scores[0] += 0.2
    upset = smallest_upset(scores, "median")
    assert upset.winner in (1, 2)
    left = np.delete(scores, upset.units, axis=1)
    medians = np.median(left, axis=1)
    assert medians[0] < medians[1:].max()
    # At the least, half of those go in which the leader is above the new median.
    assert 50 < upset.units.size < 250


@pytest.mark.parametrize("statistic", ["average", 0.0, 1.0, -0.5])
def test_unknown_statistics_are_refused(statistic):
    with pytest.raises(InputError, match="unknown statistic"):
        leave_one_out(np.zeros((2, 3)), statistic)


# Schemes


def test_the_order_depends_on_the_scheme():
    # Means 0.7, 0.66, 0.6; medians 0.7, 0.9, 0.8; mean ranks 11/5, 8/5, 11/5.
    scores = np.array(
        [[0.7, 0.7, 0.7, 0.7, 0.7], [0.9, 0.9, 0.9, 0.3, 0.3], [0.8, 0.8, 0.8, 0.6, 0.0]]
    )
    separable = np.zeros((3, 3), bool)
    separable[0, 1:] = True
    found = {name: ranks.tolist() for name, ranks in schemes(scores, separable).items()}
    assert found == {
        "mean then rank": [1, 2, 3],
        "median then rank": [3, 1, 2],
        "rank then mean": [2.5, 1, 2.5],
        "test-based": [1, 2.5, 2.5],
    }
    assert "test-based" not in schemes(scores)


def test_infinitely_bad_cases_are_worst_by_every_scheme():
    scores = np.array([[0.5, 0.5, 0.5], [-np.inf, 0.4, 0.4], [-np.inf, -np.inf, 0.3]])
    for ranks in schemes(scores).values():
        assert ranks[0] == 1
    assert schemes(scores)["median then rank"].tolist() == [1, 2, 3]
    assert schemes(scores)["mean then rank"].tolist() == [1, 2.5, 2.5]
