import csv
import io
import json

import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.table import Column


def three_cases():
    """A hit, a miss, and nothing to find."""
    reference, prediction = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    reference[:2, 1:3, 1:3] = True
    prediction[0, 1:3, 1:4] = True
    return segjax.evaluate_batch(
        references=reference,
        predictions=prediction,
        metrics=["dice", "precision", "mcc", "tp"],
        cases=["hit", 'a "miss", so', "nothing"],
    )


def test_a_miss_counts_as_the_worst_and_nothing_to_find_is_left_out():
    table = three_cases()
    dice, precision = Column("dice", 1), Column("precision", 1)
    assert np.array_equal(table.column("DSC"), [0.8, 0, np.nan], equal_nan=True)
    assert table.missed(dice).tolist() == [False, False, False]  # its 0 is no 0/0
    assert table.missed(precision).tolist() == [False, True, False]
    resolve = lambda **policy: table.resolved(precision, **policy).tolist()
    assert np.array_equal(resolve(), [4 / 6, 0, np.nan], equal_nan=True)
    assert np.array_equal(resolve(missing="omit"), [4 / 6, np.nan, np.nan], equal_nan=True)
    assert resolve(undefined="best") == [4 / 6, 0, 1]
    assert resolve(undefined="worst") == [4 / 6, 0, 0]
    assert table.resolved(Column("mcc", 1))[1] == 0  # knows nothing, is not contrary


def test_a_miss_never_improves_a_mean():
    table = three_cases()
    for metric in ("dice", "precision", "mcc"):
        scores = table.resolved(Column(metric, 1))
        assert scores[1] <= scores[0]
        assert np.nanmean(scores) < scores[0]


def test_policies_can_fail_and_unknown_ones_are_refused():
    table = three_cases()
    precision = Column("precision", 1)
    with pytest.raises(InputError, match="so: nothing was predicted, or nothing is there"):
        table.resolved(precision, missing="fail")
    with pytest.raises(InputError, match="precision is undefined"):
        table.resolved(precision, undefined="fail")
    with pytest.raises(InputError, match="missing must be one of"):
        table.resolved(precision, missing="zero")


def test_rows_are_tidy_and_say_why_there_is_no_score():
    rows = list(csv.DictReader(io.StringIO(three_cases().to_csv())))
    assert len(rows) == 3 * 4
    assert rows[5] == {
        "case": 'a "miss", so',
        "label": "1",
        "name": "1",
        "metric": "precision",
        "score": "nan",
        "status": "missed",
    }
    assert [r["status"] for r in rows if r["case"] == "nothing" and r["metric"] == "dice"] == [
        "undefined"
    ]
    assert float(rows[0]["score"]) == 0.8


def test_json_holds_the_rows_and_no_nan():
    rows = json.loads(three_cases().to_json(), parse_constant=lambda text: pytest.fail(text))
    assert rows[0] == {
        "case": "hit",
        "label": "1",
        "name": "1",
        "metric": "dice",
        "score": 0.8,
        "status": "scored",
    }
    assert rows[-4]["score"] is None


def test_pooled_scores_are_those_of_all_voxels_together():
    table = three_cases()
    # 4 of 8 reference voxels found, 6 predicted
    assert table.pooled(Column("dice", 1)) == pytest.approx(2 * 4 / (8 + 6))
    assert table.pooled(Column("tp", 1)) == 4


def test_the_mean_over_labels_passes_over_labels_that_are_nowhere():
    reference = np.array([[[1, 1, 2, 2]], [[1, 1, 0, 0]]])
    prediction = np.array([[[1, 0, 2, 2]], [[1, 1, 0, 0]]])
    table = segjax.evaluate_batch(references=reference, predictions=prediction, metrics=["iou"])
    assert table.mean_over_labels("iou").tolist() == [0.75, 1.0]


def test_a_column_that_is_not_there_says_which_are():
    with pytest.raises(InputError, match="metrics are dice, precision, mcc, tp, labels 1"):
        three_cases().column("iou")


def test_a_table_becomes_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = three_cases().to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["case", "label", "name", "metric", "score", "status"]
