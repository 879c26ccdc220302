import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from segjax import InputError
from segjax.io.sheet import Facts, Status
from segjax.leaderboard.policy import MISSING, UNDEFINED, Suspect, complete
from segjax.leaderboard.scores import from_arrays


SCORED, EMPTY, MISSED, ABSENT = Status
NAN = math.nan


def make(values, status=None, *, metric="dice", diagonals=None, **about):
    """Scores of one metric; a status for each of them, or as the numbers say."""
    values = np.asarray(values, float)
    found = from_arrays(values, metric=metric, **about)
    if status is not None:
        found = replace(found, status=np.asarray(status, np.int8)[None])
    if diagonals is not None:
        found = replace(found, limits=np.asarray(diagonals, float)[None])
    return found


def test_scores_that_are_all_there_are_kept_as_they_are(rng):
    values = rng.random((3, 7))
    for missing in MISSING:
        for undefined in UNDEFINED:
            panel = complete(make(values), 0, missing=missing, undefined=undefined)
            np.testing.assert_array_equal(panel.values, values)
            np.testing.assert_array_equal(panel.cases, np.arange(7))
            assert not panel.filled.any()
            assert panel.dropped == ()
            assert panel.ranked.all()


def test_what_is_missing_counts_as_the_worst():
    scores = make([[0.5, NAN, 0.25], [1.0, 0.75, NAN]])
    panel = complete(scores, 0)
    np.testing.assert_array_equal(panel.values, [[0.5, 0, 0.25], [1, 0.75, 0]])
    np.testing.assert_array_equal(panel.filled, [[False, True, False], [False, False, True]])
    panel = complete(scores, 0, missing="drop-case")
    np.testing.assert_array_equal(panel.values, [[0.5], [1.0]])
    assert panel.dropped == ("2", "3")
    np.testing.assert_array_equal(panel.cases, [0])
    with pytest.raises(InputError, match="'dice' of model 'A', case '2' is missing, and missing"):
        complete(scores, 0, missing="fail")


def test_a_missed_distance_counts_as_the_diagonal_or_as_what_is_given():
    scores = make([[3.0, math.inf], [2.0, 4.0]], metric="hd95", diagonals=[50, 60])
    np.testing.assert_array_equal(complete(scores, 0).values, [[3, 60], [2, 4]])
    for name in ("hd95", "hausdorff(percentile=95)"):
        panel = complete(scores, 0, worst={name: 250.0})
        np.testing.assert_array_equal(panel.values, [[3, 250], [2, 4]])
    unknown = make([[3.0, math.inf], [2.0, 4.0]], metric="hd95")
    with pytest.raises(InputError, match=r"worst: \{hausdorff.*250.*diagonal.*missing: drop-case"):
        complete(unknown, 0)
    assert complete(unknown, 0, missing="drop-case").dropped == ("2",)


def test_no_score_may_be_worse_than_the_worst():
    scores = make([[3.0, math.inf], [2.0, 300.0]], metric="hd95")
    with pytest.raises(InputError, match="model 'B', case '2' is 300, worse than the worst"):
        complete(scores, 0, worst={"hd95": 250.0})
    rounded = make([[3.0, math.inf], [2.0, 250.0001]], metric="hd95")
    panel = complete(rounded, 0, worst={"hd95": 250.0})
    np.testing.assert_array_equal(panel.values, [[3, 250], [2, 250]])
    with pytest.raises(InputError, match="must be finite"):
        complete(scores, 0, worst={"hd95": math.inf})


def test_what_is_undefined_for_all_is_left_out():
    scores = make([[0.5, NAN], [0.25, NAN]], [[SCORED, EMPTY], [SCORED, EMPTY]])
    for undefined in ("best", "worst", "drop-case"):
        panel = complete(scores, 0, undefined=undefined)
        np.testing.assert_array_equal(panel.values, [[0.5], [0.25]])
        assert panel.dropped == ("2",)
    with pytest.raises(InputError, match="is undefined, and undefined is 'fail'"):
        complete(scores, 0, undefined="fail")


def test_what_is_undefined_for_some_was_rightly_not_found():
    scores = make([[0.5, NAN], [0.25, 0.0]], [[SCORED, EMPTY], [SCORED, SCORED]])
    np.testing.assert_array_equal(complete(scores, 0).values, [[0.5, 1], [0.25, 0]])
    panel = complete(scores, 0, undefined="worst")
    np.testing.assert_array_equal(panel.values, [[0.5, 0], [0.25, 0]])
    assert complete(scores, 0, undefined="drop-case").dropped == ("2",)
    with pytest.raises(InputError, match="undefined"):
        complete(scores, 0, undefined="fail")


def test_without_a_best_score_what_is_undefined_is_left_out():
    said = {"mine": {"better": "higher", "worst": 0}}
    status = [[SCORED, EMPTY, MISSED], [SCORED, SCORED, SCORED]]
    scores = make([[5, NAN, NAN], [2, 3, 4]], status, metric="mine", declared=said)
    panel = complete(scores, 0)
    assert panel.dropped == ("2",)
    np.testing.assert_array_equal(panel.values, [[5, 0], [2, 4]])


def test_who_misses_what_is_undefined_for_the_others_has_missed_it():
    scores = make([[0.5, NAN], [0.25, NAN]], [[SCORED, EMPTY], [SCORED, ABSENT]])
    np.testing.assert_array_equal(complete(scores, 0).values, [[0.5, 1], [0.25, 0]])


def test_models_that_are_not_ranked_have_no_say():
    facts = {"A": Facts(contaminated=True)}
    values = [[NAN, 0.5, NAN], [0.25, 0.75, NAN], [0.5, NAN, NAN]]
    status = [[ABSENT, SCORED, SCORED], [SCORED, SCORED, EMPTY], [SCORED, EMPTY, EMPTY]]
    values[0][2] = 0.125
    scores = make(values, status, facts=facts)
    panel = complete(scores, 0, missing="drop-case")
    assert panel.excluded == ("contaminated", None, None)
    assert panel.ranked.tolist() == [False, True, True]
    assert panel.dropped == ("3",)  # undefined for both that are ranked
    np.testing.assert_array_equal(panel.values, [[0, 0.5], [0.25, 0.75], [0.5, 1]])
    assert complete(scores, 0, missing="fail").ranked.tolist() == [False, True, True]
    far = make([[math.inf, 1], [2, 3]], metric="hd95", facts=facts)
    np.testing.assert_array_equal(complete(far, 0).values, [[NAN, 1], [2, 3]])
    assert not complete(far, 0).filled.any()


def test_if_no_model_is_ranked_all_are_shown():
    facts = {name: Facts(contaminated=True) for name in "AB"}
    panel = complete(make([[0.5, NAN], [1, 1]], facts=facts), 0)
    np.testing.assert_array_equal(panel.values, [[0.5, 0], [1, 1]])
    assert not panel.ranked.any()
    assert "no model can be ranked" in panel.notes[0]


def test_bad_models_are_suspect_in_every_measure_of_the_label():
    dice = make([[0.1, 0.05], [0.5, 0.0], [0.4, NAN]])
    hd95 = make([[1, 1], [2, 2], [3, 3]], metric="hd95")
    both = replace(
        dice,
        measures=dice.measures + hd95.measures,
        **{
            name: np.concatenate([getattr(dice, name), getattr(hd95, name)])
            for name in ("values", "status", "limits", "suspect")
        },
    )
    for index in range(2):
        panel = complete(both, index, suspect=Suspect("DSC", 0.1))
        assert panel.excluded == ("suspect", None, None)  # means 0.075, 0.25, 0.2
        panel = complete(both, index, suspect=Suspect("dice", 0.21))
        assert panel.excluded == ("suspect", None, "suspect")
    flagged = replace(both, suspect=np.array([[False, False, False], [False, True, False]]))
    assert complete(flagged, 0).excluded == (None, None, None)
    assert complete(flagged, 1).excluded == (None, "suspect", None)
    with pytest.raises(InputError, match="needs a metric with a worst score"):
        complete(both, 0, suspect=Suspect("hd95", 50))


def test_a_model_without_scores_is_missing_everywhere():
    panel = complete(make([[NAN, NAN], [0.5, 1]]), 0)
    np.testing.assert_array_equal(panel.values, [[0, 0], [0.5, 1]])
    assert panel.notes == ("'A' has no score of 'dice': it counts as missing everywhere",)


def test_what_cannot_be_completed_is_refused():
    with pytest.raises(InputError, match="no case of 'dice'"):
        complete(make([[NAN, 1], [1, NAN]]), 0, missing="drop-case")
    for name in ("missing", "undefined"):
        with pytest.raises(InputError, match=f"{name} must be one of .*, got 'omit'"):
            complete(make([[1]]), 0, **{name: "omit"})


TOP = {"dice": 1.0, "hd95": 40.0}


@st.composite
def boards(draw):
    """Plain numbers for scores with all that may happen to them, and a policy."""
    metric = draw(st.sampled_from(["dice", "hd95"]))
    models, cases = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    cells = st.tuples(
        st.one_of(st.sampled_from([0.0, TOP[metric]]), st.floats(0, TOP[metric])),
        st.sampled_from([SCORED, SCORED, SCORED, EMPTY, MISSED, ABSENT]),
    )
    row = st.lists(cells, min_size=cases, max_size=cases)
    policy = {"undefined": draw(st.sampled_from(["best", "worst", "drop-case"]))}
    suspect = draw(st.sampled_from([None, 0.3])) if metric == "dice" else None
    table = draw(st.lists(row, min_size=models, max_size=models))
    return metric, table, draw(st.booleans()), policy, suspect


def build(board):
    metric, table, contaminated, policy, suspect = board
    status = np.array([[kind for _, kind in row] for row in table])
    values = np.where(status == SCORED, [[x for x, _ in row] for row in table], NAN)
    scores = make(
        values,
        status,
        metric=metric,
        diagonals=[TOP[metric] if metric == "hd95" else 0.0] * values.shape[1],
        facts={"A": Facts(contaminated=contaminated)},
    )
    return scores, policy | {"suspect": suspect and Suspect("dice", suspect)}


def completed(scores, policy):
    with contextlib.suppress(InputError):  # no case is left
        return complete(scores, 0, **policy)
    return None


def standing(scores, model, policy):
    """Oriented mean and median of a model, and how many ranked ones are better on average."""
    panel = completed(scores, policy)
    if panel is None or not panel.ranked[model]:
        return None
    values = scores.measures[0].sign * panel.values
    means = values.mean(1)
    return means[model], np.median(values[model]), (means[panel.ranked] > means[model]).sum()


@settings(max_examples=200)
@given(board=boards(), where=st.tuples(st.integers(0, 3), st.integers(0, 4)))
def test_a_miss_never_improves_the_estimate_or_the_rank(board, where):
    scores, policy = build(board)
    model, case = where[0] % len(scores.models), where[1] % len(scores.cases)
    assume(scores.status[0, model, case] == SCORED)
    worse = replace(scores, values=scores.values.copy(), status=scores.status.copy())
    worse.values[0, model, case], worse.status[0, model, case] = NAN, MISSED
    before, after = (standing(s, model, policy) for s in (scores, worse))
    if before is None:
        assert after is None
    elif after is not None:
        assert after[0] <= before[0]
        assert after[1] <= before[1]
        assert after[2] >= before[2]


@given(board=boards())
def test_panels_of_ranked_models_are_complete_and_hold_the_scores(board):
    scores, policy = build(board)
    panel = completed(scores, policy)
    assume(panel is not None)
    assert np.isfinite(panel.values[panel.ranked]).all()
    assert len(panel.dropped) + len(panel.cases) == len(scores.cases)
    kept = ~panel.filled & ~np.isnan(panel.values)
    np.testing.assert_array_equal(panel.values[kept], scores.values[0][:, panel.cases][kept])
