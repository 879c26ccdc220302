import numpy as np
import pytest
import scipy.stats

import segjax
from segjax.leaderboard.intervals import percentile_intervals
from segjax.leaderboard.summary import summarise


def test_intervals_agree_with_scipy(rng):
    scores = rng.beta(8, 2, (60, 1))
    (interval,) = percentile_intervals(scores, replicates=50_000, seed=3)
    theirs = scipy.stats.bootstrap(
        (scores[:, 0],), np.mean, n_resamples=20_000, method="percentile", random_state=rng
    ).confidence_interval
    error = scores.std() / np.sqrt(60)
    assert abs(interval.low - theirs.low) < 0.1 * error
    assert abs(interval.high - theirs.high) < 0.1 * error


def test_a_seed_repeats_the_interval(rng):
    scores = rng.random((20, 2))
    first, again, other = (
        percentile_intervals(scores, replicates=1000, seed=seed) for seed in (5, 5, 6)
    )
    assert first == again != other


def test_undefined_scores_are_left_out_of_their_column_alone(rng):
    scores = rng.random((25, 2))
    scores[:20, 1] = np.nan
    intervals = percentile_intervals(scores, replicates=4000)
    assert intervals[1].low >= scores[20:, 1].min()
    few = percentile_intervals(scores[:21], replicates=100)
    assert few[0] is not None
    assert few[1] is None  # a single score has no interval


def test_scores_that_are_all_the_same_have_an_interval_of_no_width():
    (interval,) = percentile_intervals(np.full((10, 1), 0.7), replicates=200)
    assert (interval.low, interval.high) == (0.7, 0.7)


def test_infinite_scores_have_no_interval():
    scores = np.array([[1.0, np.inf], [2.0, 1.0], [3.0, 2.0]])
    assert [i is None for i in percentile_intervals(scores, replicates=50)] == [False, True]


def test_a_summary_counts_what_it_leaves_out():
    reference, prediction = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    reference[:3, 1:3, 1:3] = True  # the last is empty in both
    prediction[:2, 1:3, 1:4] = True  # the third is missed
    table = segjax.evaluate_batch(
        references=reference, predictions=prediction, metrics=["dice", "precision"]
    )
    dice, precision = summarise(table, replicates=200)
    assert (dice["n"], dice["n_undefined"], dice["n_missed"]) == (3, 1, 0)
    assert (precision["n"], precision["n_undefined"], precision["n_missed"]) == (3, 1, 1)
    assert dice["mean"] == pytest.approx(0.8 * 2 / 3)
    assert precision["mean"] == pytest.approx(4 / 6 * 2 / 3)
    assert dice["pooled"] == pytest.approx(2 * 8 / (12 + 12))
    assert dice["sd"] == pytest.approx(np.std([0.8, 0.8, 0], ddof=1))
    assert dice["quantiles"]["0.5"] == dice["median"] == pytest.approx(0.8)
    assert summarise(table, missing="omit", replicates=200)[1]["n"] == 2


def test_several_labels_have_a_mean_row_without_background():
    reference = np.array([[[1, 1, 2, 0]], [[1, 2, 2, 0]]])
    prediction = np.array([[[1, 0, 2, 0]], [[1, 2, 0, 0]]])
    table = segjax.evaluate_batch(
        references=reference, predictions=prediction, metrics=["iou", "vi"]
    )
    rows = summarise(table, replicates=100)
    assert [r["label"] for r in rows] == ["mean", 1, 2, None]
    assert rows[0]["mean"] == pytest.approx(np.mean([(0.5 + 1) / 2, (1 + 0.5) / 2]))
