import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import segjax
from experiments import demo_scores
from segjax import InputError
from segjax.io.scores import read_scores
from segjax.io.sheet import Facts, Row, Sheet, Source, Status
from segjax.leaderboard.policy import complete
from segjax.leaderboard.scores import from_arrays, from_tables, gather_scores, scores_sha256


SCORED, UNDEFINED, MISSED, ABSENT = Status
HD95 = "hausdorff(percentile=95)"


def sheet(model, scores, label="", **about):
    """Scores as {case: {metric: number or status}}."""
    rows = [
        Row(model, case, label, metric, math.nan if isinstance(x, Status) else x, x)
        if isinstance(x, Status)
        else Row(model, case, label, metric, x, SCORED)
        for case, of in scores.items()
        for metric, x in of.items()
    ]
    return Sheet(rows=rows, facts={model: Facts()}, **about)


def test_cases_are_sorted_as_strings_and_models_are_not():
    b = sheet("B", {"c10": {"dice": 0.1}, "c2": {"dice": 0.2}})
    a = sheet("A", {"c2": {"dice": 0.4}, "c1": {"dice": 0.3}})
    found = gather_scores([b, a])
    assert found.models == ("B", "A")
    assert found.cases == ("c1", "c10", "c2")
    np.testing.assert_array_equal(found.values, [[[math.nan, 0.1, 0.2], [0.3, math.nan, 0.4]]])
    np.testing.assert_array_equal(
        found.status, [[[ABSENT, SCORED, SCORED], [SCORED, ABSENT, SCORED]]]
    )


def test_measures_come_by_metric_then_by_label():
    liver = sheet("A", {"c": {"dice": 0.5, HD95: 2.0}}, "liver")
    spleen = [Row("A", "c", "spleen", "dice", 0.25, SCORED)]
    both = replace(liver, rows=[*spleen, *liver.rows], unit="mm")
    found = gather_scores([both])
    assert [m.name for m in found.measures] == ["dice, spleen", "dice, liver", f"{HD95}, liver"]
    assert [m.better for m in found.measures] == ["higher", "higher", "lower"]
    assert [m.sign for m in found.measures] == [1, 1, -1]
    assert [m.unit for m in found.measures] == ["", "", "mm"]
    assert found.place("DSC", "liver") == 1
    assert found.place("dice") is None
    chosen = gather_scores([both], metrics=["hd95", "DSC", "dice"], labels=["liver"])
    assert [m.name for m in chosen.measures] == [f"{HD95}, liver", "dice, liver"]
    assert "Hausdorff" in chosen.measures[0].title
    with pytest.raises(InputError, match="label 'livver'; did you mean 'liver'"):
        gather_scores([both], labels=["livver"])


def test_a_foreground_alone_needs_no_name():
    (measure,) = gather_scores([sheet("A", {"c": {"dice": 1.0}}, "foreground")]).measures
    assert (measure.name, measure.label) == ("dice", "foreground")


def test_metrics_without_a_direction_are_left_out_or_refused():
    one = sheet("A", {"c": {"dice": 0.5, "tp": 7.0, "volume_difference": -0.5}})
    found = gather_scores([one])
    assert [m.metric for m in found.measures] == ["dice"]
    assert len(found.notes) == 2
    for name in ("tp", "volume_difference"):
        with pytest.raises(InputError, match=f"{name} has no direction"):
            gather_scores([one], metrics=[name])
    (measure,) = gather_scores(
        [one], metrics=["tp"], declared={"tp": {"better": "higher"}}
    ).measures
    assert (measure.better, measure.best, measure.worst) == ("higher", None, None)


def test_unknown_metrics_need_a_declaration():
    mine = sheet("A", {"c": {"diced": 0.5}})
    with pytest.raises(InputError, match=r"'diced'; did you mean dice.*better: higher"):
        gather_scores([mine])
    said = {"better": "lower", "best": 0, "worst": 9, "unit": "mm"}
    (measure,) = gather_scores([mine], declared={"Diced": said}).measures
    assert (measure.better, measure.best, measure.worst, measure.unit) == ("lower", 0, 9, "mm")
    for wrong, words in (
        ({"better": "more"}, "must be higher or lower"),
        ({"better": "lower", "best": 1, "worst": 0}, "other way round"),
        ({"better": "lower", "best": "x"}, "best of 'diced' must be a number"),
        ({"better": "lower", "direction": 1}, "declares 'direction'"),
    ):
        with pytest.raises(InputError, match=words):
            gather_scores([mine], declared={"diced": wrong})


def test_an_unknown_metric_spelled_differently_is_one():
    sheets = [sheet("A", {"c": {"My score": 1.0}}), sheet("B", {"c": {"my_score": 2.0}})]
    found = gather_scores(sheets, declared={"my score": {"better": "higher"}})
    np.testing.assert_array_equal(found.values, [[[1.0], [2.0]]])


def test_the_only_nsd_there_is_needs_no_tolerance():
    two = "nsd(tolerance=2)"
    one = sheet("A", {"c": {two: 0.5, "nsd(tolerance=1)": 0.25}})
    alone = sheet("A", {"c": {two: 0.5}})
    assert gather_scores([alone], metrics=["nsd"]).measures[0].metric == two
    assert gather_scores([one], metrics=["nsd@2mm"]).measures[0].metric == two
    with pytest.raises(InputError, match="no model has scores of 'nsd'"):
        gather_scores([one], metrics=["nsd"])


def test_an_infinite_distance_is_a_miss():
    found = gather_scores([sheet("A", {"c": {HD95: math.inf}, "d": {HD95: 2.0}})])
    np.testing.assert_array_equal(found.status, [[[MISSED, SCORED]]])
    with pytest.raises(InputError, match="is -inf, beyond"):
        gather_scores([sheet("A", {"c": {HD95: -math.inf}})])


def test_scores_that_cannot_be_are_refused():
    percent = sheet("A", {"c": {"dice": 87.5}})
    with pytest.raises(InputError, match=r"dice of model 'A', case 'c' is 87.5.*percentages"):
        gather_scores([percent])
    assert gather_scores([percent], declared={"dice": {"best": 100}}).values.item() == 87.5
    with pytest.raises(InputError, match="beyond the worst there is"):
        gather_scores([sheet("A", {"c": {"dice": -0.5}})])
    assert gather_scores([sheet("A", {"c": {"dice": 1 + 1e-9}})]).values.item() > 1


def test_limits_are_the_metrics_or_the_diagonals():
    one = sheet("A", {"c": {"dice": 0.5, HD95: 2.0}, "d": {"dice": 0.5, HD95: 2.0}})
    found = gather_scores([replace(one, diagonals={"c": 30.0})])
    np.testing.assert_array_equal(found.limits, [[0, 0], [30, math.nan]])
    other = replace(sheet("B", {"c": {HD95: 1.0}}), diagonals={"c": 31.0, "d": 5.0})
    found = gather_scores([replace(one, diagonals={"c": 30.0}), other])
    np.testing.assert_array_equal(found.limits, [[0, 0], [31, 5]])


def test_what_is_known_of_the_models_and_the_cases():
    about = {
        "metadata": {"c": {"centre": 1}},
        "dataset": {"name": "D"},
        "sources": (Source("p", "h"),),
    }
    a = replace(sheet("A", {"c": {"dice": 1.0}, "d": {"dice": 1.0}}, "liver"), **about)
    a = replace(
        a,
        facts={"A": Facts(version="1", contaminated_on=("d",))},
        suspect=frozenset([("A", "liver")]),
    )
    b = replace(sheet("B", {"c": {"dice": 1.0}}, "liver"), metadata={"c": {"centre": 1}})
    found = gather_scores([a, b], facts={"B": Facts(license="MIT")}, metadata={"d": {"age": 3}})
    assert found.metadata == {"centre": (1, None), "age": (None, 3)}
    assert found.facts == (Facts(version="1", contaminated_on=("d",)), Facts(license="MIT"))
    assert found.contaminated.tolist() == [True, False]
    assert found.suspect.tolist() == [[True, False]]
    assert found.sources == (Source("p", "h"),)
    clean = gather_scores([a, b], dataset={"name": "other"})
    assert clean.contaminated.tolist() == [False, False]
    with pytest.raises(InputError, match="case 'c' has 'centre' '1' in one source and '2'"):
        gather_scores([a, replace(b, metadata={"c": {"centre": 2}})])
    with pytest.raises(InputError, match="no scores of model 'C'; did you mean"):
        gather_scores([a, b], facts={"C": Facts()})


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="no scores"):
        gather_scores([])
    a = sheet("A", {"c": {"dice": 1.0}})
    with pytest.raises(InputError, match="model 'A' is in two sources"):
        gather_scores([a, a])
    with pytest.raises(
        InputError, match=r"'A' and 'B' have no case of dice in common .'c' and 'd'"
    ):
        gather_scores([a, sheet("B", {"d": {"dice": 1.0}})])
    with pytest.raises(InputError, match="no model has scores of 'iou'; metrics are 'dice'"):
        gather_scores([a], metrics=["iou"])
    with pytest.raises(InputError, match="is there twice"):
        gather_scores([replace(a, rows=[*a.rows, *a.rows])])


NAMES = st.sampled_from(["A", "B", "\n"])
ROWS = st.tuples(
    NAMES,
    st.sampled_from(["x", "y", "\x1b"]),
    st.sampled_from(["", "l", "\x00"]),
    st.sampled_from(["dice", HD95, "tp", "foo", "mutual_information", "", "(", ")"]),
    st.sampled_from([0.0, 1.0, 0.5, math.inf, -math.inf, -3.0, 1e300]) | st.just(math.nan),
    st.sampled_from(list(Status)),
)
DECLARED = {"foo": {"better": "lower"}, "(": {"better": "higher"}}


@settings(max_examples=200)
@given(
    found=st.lists(st.lists(ROWS, max_size=5), max_size=3),
    metrics=st.sampled_from([None, ["DSC"], ["x"], []]),
    labels=st.sampled_from([None, ["l"], []]),
    declared=st.sampled_from([{}, DECLARED]),
    worst=st.sampled_from([{}, {"hd95": 6.0}]),
)
def test_no_rows_do_more_than_being_refused(found, metrics, labels, declared, worst):
    sheets = [
        Sheet(rows=[Row(*r[:5], ABSENT if math.isnan(r[4]) and r[5] == 0 else r[5]) for r in rows])
        for rows in found
    ]
    message = ""
    try:
        scores = gather_scores(sheets, metrics=metrics, labels=labels, declared=declared)
        scores_sha256(scores)
        for index in range(len(scores.measures)):
            complete(scores, index, worst=worst)
    except InputError as error:
        message = str(error)
    assert message == "" or message.isprintable()


def test_tables_go_side_by_side(rng):
    masks = rng.random((3, 2, 5, 6)) < 0.5
    masks[0, 0] = masks[1, 0] = False  # nothing to find: A finds nothing, B something
    masks[2, 1] = False  # B finds nothing of what is there
    reference, *predictions = masks
    tables = {
        name: segjax.evaluate_batch(
            references=reference, predictions=prediction, metrics=["dice", "hd95"]
        )
        for name, prediction in zip("AB", predictions, strict=True)
    }
    found = from_tables(tables)
    assert [m.metric for m in found.measures] == ["dice", HD95]
    assert found.status[0].tolist() == [[UNDEFINED, SCORED], [SCORED, SCORED]]
    assert found.status[1].tolist() == [[UNDEFINED, SCORED], [MISSED, MISSED]]
    np.testing.assert_allclose(found.limits[1], math.hypot(5, 6))
    for i, name in enumerate("AB"):
        np.testing.assert_array_equal(found.values[0, i], tables[name].column("dice"))


def test_arrays_are_taken_as_they_are(rng):
    values = rng.random((2, 11))
    values[1, 3] = math.nan
    found = from_arrays(values, metric="DSC", label="liver")
    assert found.models == ("A", "B")
    assert found.measures[0].name == "dice, liver"
    np.testing.assert_array_equal(found.values[0], values)
    assert found.status[0, 1, 3] == ABSENT
    named = from_arrays(values[:, :2], metric="dice", models=["x", "y"], cases=["b", "a"])
    np.testing.assert_array_equal(named.values[0], values[:, [1, 0]])
    with pytest.raises(InputError, match="cases must be 11 different names, got 1"):
        from_arrays(values, metric="dice", cases=["a"] * 11)


def test_the_hash_is_of_the_scores_alone():
    found = gather_scores([sheet("A", {"c": {"dice": 0.5, HD95: math.inf}})])
    text = (
        '{"cases":["c"],"measures":["dice","hausdorff(percentile=95)"],"models":["A"],'
        '"scores":[[[0.5]],[[null]]],"status":[[[0]],[[2]]]}'
    )
    assert json.loads(text)
    assert scores_sha256(found) == hashlib.sha256(text.encode()).hexdigest()
    elsewhere = replace(found, sources=(Source("p", "h"),), notes=("x",), metadata={"a": ("b",)})
    assert scores_sha256(elsewhere) == scores_sha256(found)
    other = gather_scores([sheet("A", {"c": {"dice": math.nextafter(0.5, 1), HD95: math.inf}})])
    assert scores_sha256(other) != scores_sha256(found)


def test_the_bundled_scores_are_those_that_the_experiment_finds():
    rows = demo_scores.run(demo_scores.SMOKE)
    bundled = gather_scores([read_scores(demo_scores.FILE)])
    assert bundled.models == tuple(demo_scores.METHODS)
    assert bundled.values.shape == (4, 5, 24)
    assert (bundled.status == SCORED).all()
    for row in rows:
        at = bundled.models.index(row["model"]), bundled.cases.index(row["case"])
        expected = [row[name] for name in demo_scores.METRICS]
        np.testing.assert_allclose(bundled.values[:, *at], expected, rtol=1e-5)
        for column in ("diameter_mm", "slice_mm"):
            assert bundled.metadata[column][at[1]] == pytest.approx(row[column], rel=1e-5)
    assert demo_scores.FILE.stat().st_size < 20_000
