"""Runs side by side: what changed, how sure that is, and a page that says so."""

import csv
import io
import json
import re

import numpy as np
import pytest
import scipy.stats

from segjax import InputError
from segjax.cli import main
from segjax.comparison import compare_cases, compare_datasets, read_runs, share_cases, write
from segjax.leaderboard import Options, board, gather_scores
from segjax.report.comparison import render_comparison
from tests.io import files
from tests.report.browser import CHROMIUM, Browser
from tests.report.test_page import Outline


QUICK = ("-q", "--replicates", "99")
OPTIONS = Options(replicates=300, permutations=99)
HOSTILE = '<script>alert("&")</script>'


def scores(path, name, **cases):
    """A table of scores as a model of its own; NaN is a miss."""
    lines = ["case,metric,score"]
    lines += [f"{case},{metric},{v}" for case, row in cases.items() for metric, v in row.items()]
    file = path / f"{name}.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def two(tmp_path):
    """Of four cases the second run is better in two, equal in one, worse in one."""
    before = {"a": 0.5, "b": 0.6, "c": 0.9, "d": 0.8}
    after = {"a": 0.7, "b": 0.9, "c": 0.9, "d": 0.7}
    return [
        scores(tmp_path, name, **{k: {"dice": v, "hd95": 10 * (1 - v)} for k, v in run.items()})
        for name, run in (("before", before), ("after", after))
    ]


def measure(document, name):
    return next(m for m in document["measures"] if m["name"] == name)


# The same cases


def test_differences_are_those_of_each_case(two):
    found = measure(compare_cases(read_runs(two), OPTIONS), "dice")
    (pair,) = found["pairs"]
    np.testing.assert_allclose(pair["differences"], [0.2, 0.3, 0, -0.1], atol=1e-12)
    np.testing.assert_allclose(found["means"], [0.7, 0.8])
    assert pair["difference"] == pytest.approx(0.1)
    assert (pair["better"], pair["worse"], found["n"]) == (2, 1, 4)


def test_less_is_better_where_that_is_so(two):
    found = measure(compare_cases(read_runs(two), OPTIONS), "hausdorff(percentile=95)")
    (pair,) = found["pairs"]
    assert found["better"] == "lower"
    assert pair["difference"] == pytest.approx(-1)
    assert (pair["better"], pair["worse"]) == (2, 1)


def test_interval_is_that_of_paired_differences(tmp_path, rng):
    first = rng.uniform(0.2, 0.8, 40)
    second = first + rng.normal(0.05, 0.03, 40)  # cases vary far more than differences do
    paths = [
        scores(tmp_path, name, **{f"c{i}": {"dice": v} for i, v in enumerate(values)})
        for name, values in (("x", first), ("y", second))
    ]
    (pair,) = measure(compare_cases(read_runs(paths), OPTIONS), "dice")["pairs"]
    t = scipy.stats.ttest_rel(second, first).confidence_interval()
    assert pair["interval"]["low"] == pytest.approx(t.low, abs=0.004)
    assert pair["interval"]["high"] == pytest.approx(t.high, abs=0.004)
    assert pair["separable"]
    assert pair["p"] == 0.01  # the least that 99 permutations allow


def test_p_is_that_of_the_leaderboard(two):
    runs = read_runs(two)
    found = compare_cases(runs, OPTIONS)
    made = board(gather_scores([run.sheet for run in runs]), OPTIONS)
    for one in found["measures"]:
        assert one["pairs"][0]["p"] == made.result(one["name"])["pairs"][0]["p"]


def test_a_case_that_is_lacking_is_missed_and_told(tmp_path):
    paths = [
        scores(tmp_path, "x", a={"dice": 0.5}, b={"dice": 0.5}, c={"dice": 0.5}),
        scores(tmp_path, "y", a={"dice": 0.9}, b={"dice": 0.9}),
    ]
    document = compare_cases(read_runs(paths), OPTIONS)
    found = measure(document, "dice")
    assert found["values"][1] == [0.9, 0.9, 0.0]
    assert found["is_filled"][1] == [False, False, True]
    assert "y lacks 1 of 3 cases, c the first; they count as missing" in document["notes"]


def test_a_metric_that_only_one_run_has_is_left_out_and_told(tmp_path):
    paths = [
        scores(tmp_path, "x", a={"dice": 0.5, "iou": 0.3}, b={"dice": 0.5, "iou": 0.3}),
        scores(tmp_path, "y", a={"dice": 0.9}, b={"dice": 0.9}),
    ]
    document = compare_cases(read_runs(paths), OPTIONS)
    assert [m["name"] for m in document["measures"]] == ["dice"]
    assert "left out, for not all runs have them: iou" in document["notes"]


def test_counts_have_no_better_end_and_are_left_out(tmp_path):
    cases = {k: {"dice": 0.5, "tp": 9} for k in "abc"}
    runs = read_runs([scores(tmp_path, name, **cases) for name in "xy"])
    assert [m["name"] for m in compare_cases(runs, OPTIONS)["measures"]] == ["dice"]


def test_equal_runs_differ_nowhere(two):
    document = compare_cases(read_runs([f"x={two[0]}", f"y={two[0]}"]), OPTIONS)
    (pair,) = measure(document, "dice")["pairs"]
    assert (pair["difference"], pair["interval"], pair["better"], pair["worse"]) == (0, None, 0, 0)
    assert not pair["separable"]
    assert "cannot be told from" in render_comparison(document)


def test_every_run_is_set_against_the_first(two, tmp_path):
    third = scores(tmp_path, "third", **{k: {"dice": 0.1} for k in "abcd"})
    document = compare_cases(read_runs([*two, third]), OPTIONS, metrics=["dice"])
    assert document["runs"] == ["before", "after", "third"]
    assert [p["run"] for p in measure(document, "dice")["pairs"]] == ["after", "third"]
    heads = next(csv.reader(io.StringIO((write(tmp_path / "o", document)["csv"]).read_text())))
    assert heads[-2:] == ["after - before", "third - before"]


# Several data sets


def blob(shift, label=1, size=20):
    image = np.zeros((size, size), np.uint8)
    image[4 + shift : 12 + shift, 4:12] = label
    return image


_LABELS = ((1, 2), (1,), (1, 2))  # of the data sets A, B and C


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Three data sets with cases of the same names; the second lacks a class."""
    root = tmp_path_factory.mktemp("sets")
    for name, shifts, labels in zip("ABC", ((0, 1), (2, 3), (4, 5)), _LABELS, strict=True):
        r, p = (files.touch(root / name / side) for side in "rp")
        names = {"background": 0, "liver": 1, "spleen": 2}
        files.dataset(r, labels={k: v for k, v in names.items() if v in (0, *labels)})
        for case, shift in enumerate(shifts):
            for side, by in ((r, 0), (p, shift)):
                np.save(side / f"case{case}.npy", np.concatenate([blob(by, k) for k in labels]))
        command = ["evaluate", r, p, *QUICK, "-m", "iou,dice", "-o", root / name / "out"]
        assert main(list(map(str, command))) == 0
    return [f"{name}={root / name / 'out'}" for name in "ABC"]


def test_classes_go_by_name_and_data_set(sets):
    document = compare_datasets(read_runs(sets))
    assert [m["metric"] for m in document["metrics"]] == ["dice", "iou"]
    dice = document["metrics"][0]
    by_class = {c["name"]: c["rows"] for c in dice["classes"]}
    assert set(by_class) == {"", "liver", "spleen"}
    assert by_class["spleen"][1] is None
    for rows in (by_class["liver"], by_class[""]):
        means = [row["mean"] for row in rows if row]
        assert means == sorted(means, reverse=True)
    np.testing.assert_allclose(by_class["liver"][0]["mean"], np.mean([1, 7 / 8]))
    assert document["cases"] == [2, 2, 2]


def test_names_that_coincide_are_told_from_the_same_cases(sets, capsys):
    with pytest.raises(InputError, match="pass --datasets if these are several data sets"):
        share_cases(read_runs(sets))
    assert main(["compare", *sets]) == 2
    assert main(["compare", *sets, "--datasets"]) == 0
    assert re.search(r"dice +spleen +0\.9375 +- +0\.\d+", capsys.readouterr().out)


def test_runs_without_common_cases_are_data_sets(two, tmp_path, sets):
    other = scores(tmp_path, "other", x={"dice": 0.1})
    assert not share_cases(read_runs([two[0], other]))
    with pytest.raises(InputError, match=r"holds no summary\.json"):
        compare_datasets(read_runs([two[0], other]))


def test_metrics_and_labels_are_chosen(sets):
    document = compare_datasets(read_runs(sets), metrics=["IoU"], labels=["liver"])
    (metric,) = document["metrics"]
    assert (metric["metric"], [c["name"] for c in metric["classes"]]) == ("iou", ["", "liver"])
    with pytest.raises(InputError, match="no run has mcc"):
        compare_datasets(read_runs(sets), metrics=["mcc"])


def test_table_of_classes_is_written(sets, tmp_path):
    paths = write(tmp_path / "o", compare_datasets(read_runs(sets)))
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text())))
    classes = {(r["dataset"], r["class"]) for r in rows if r["metric"] == "iou"}
    assert classes == {
        *(("B", c) for c in ("all", "liver")),
        *((name, c) for name in "AC" for c in ("all", "liver", "spleen")),
    }
    page = paths["html"].read_text()
    assert "has no such class" in page
    assert "mIoU" in page


def test_other_options_are_noted(sets, tmp_path):
    source = sets[0].partition("=")[2]
    for name in ("scores.csv", "summary.json"):
        (tmp_path / name).write_bytes((files.Path(source) / name).read_bytes())
    found = json.loads((tmp_path / "summary.json").read_text())
    found["options"]["missing"] = "omit"
    (tmp_path / "summary.json").write_text(json.dumps(found))
    (note,) = compare_datasets(read_runs([sets[1], f"other={tmp_path}"]))["notes"]
    assert "with other options (missing)" in note


def test_summaries_that_hold_anything_are_no_traceback(sets, tmp_path, capsys):
    source = files.Path(sets[0].partition("=")[2])
    (tmp_path / "scores.csv").write_bytes((source / "scores.csv").read_bytes())
    odd = {"metric": "dice", "name": [1], "mean": "x", "interval": [0], "n": True, "pooled": 1e999}
    for scored in ([odd], [{"metric": 1}], [{}]):
        summary = {"scores": scored, "inputs": {"a": 1}, "options": [], "cases": "many", "unit": 3}
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        status = main(
            ["compare", sets[1], f"odd={tmp_path}", "--datasets", "-o", str(tmp_path / "o")]
        )
        assert status in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
        gate = ["--baseline", str(tmp_path), "--max-drop", "dice.low=1"]
        truth, guess = (str(source.parent / side) for side in "rp")
        assert main(["evaluate", truth, guess, *QUICK, *gate]) == 1
        assert "no value in the baseline" in capsys.readouterr().err


# Names, files and the command


def test_runs_are_named_after_their_folders(tmp_path, two):
    for name in ("x", "y"):
        files.touch(tmp_path / name / "out")
        (tmp_path / name / "out" / "scores.csv").write_text(two[0].read_text())
    runs = read_runs([tmp_path / "x" / "out", tmp_path / "y" / "out"])
    assert [run.name for run in runs] == ["x/out", "y/out"]


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([], "two runs or more"),
        (["nowhere.csv", "x=nowhere.csv"], "nowhere.csv"),
        (["x={0}", "x={1}"], "two runs are called 'x'"),
        (["={0}", "x={1}"], "names no run"),
    ],
)
def test_what_is_no_run_is_refused(sources, words, two):
    with pytest.raises(InputError, match=words):
        read_runs([s.format(*two) for s in sources])


@pytest.mark.parametrize("kind", ["cases", "datasets"])
def test_hostile_names_are_inert(kind, tmp_path, sets):
    if kind == "cases":
        cases = {HOSTILE.replace('"', ""): {"dice": 0.5}, "b": {"dice": 0.7}}
        paths = [scores(tmp_path, name, **cases) for name in "xy"]
        runs = read_runs([f"{HOSTILE}={paths[0]}", paths[1]])
        document = compare_cases(runs, OPTIONS)
    else:
        runs = read_runs([f"{HOSTILE}={sets[0].partition('=')[2]}", sets[1]])
        document = compare_datasets(runs, command=HOSTILE)
    found = Outline(render_comparison(document))
    assert found.open == []
    assert found.tags.count("script") == 1
    assert not any("alert" in text for text in found.scripts)
    assert HOSTILE in "".join(found.text)


def test_page_asks_for_nothing_and_shows_every_case(two):
    page = render_comparison(compare_cases(read_runs(two), OPTIONS))
    assert "default-src 'none'" in page
    assert Outline(page).open == []
    assert not {"src", "href", "srcset"} & {name for _, name, _ in Outline(page).attributes}
    for case in "abcd":
        assert f"<bdi>{case}</bdi>" in page
    assert page.count('class="gain"') == 4
    assert page.count('class="loss"') == 2  # of two measures


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_tables_of_cases_are_sorted_by_a_click(two, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render_comparison(compare_cases(read_runs(two), OPTIONS, metrics=["dice"])))
    browser = Browser(tmp_path / "chromium")
    try:
        browser.open(path)
        head = "document.querySelectorAll('.sortable thead button')"
        cases = (
            "[...document.querySelectorAll('.sortable tbody th')].map(x => x.textContent).join('')"
        )
        assert browser.run(cases) == "dcab"  # the greatest loss first
        browser.run(f"{head}[1].click()")
        assert browser.run(cases) == "abdc"  # by the first run
        browser.run(f"{head}[1].click()")
        assert browser.run(cases) == "cdba"
        browser.run(f"{head}[0].click()")
        assert browser.run(cases) == "abcd"
        assert browser.complaints == []
    finally:
        browser.close()


def test_a_thousand_cases_stay_small(tmp_path, rng):
    values = rng.uniform(0.5, 0.9, (2, 1000))
    paths = [
        scores(tmp_path, name, **{f"case{i}": {"dice": v} for i, v in enumerate(row)})
        for name, row in zip("xy", values, strict=True)
    ]
    page = render_comparison(compare_cases(read_runs(paths), OPTIONS))
    assert len(page) < 400_000
    assert "the 300 that lost most" in page


def test_command_prints_and_writes(two, tmp_path, capsys):
    command = ["compare", *map(str, two), "--replicates", "300", "-o", str(tmp_path / "o")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert re.search(r"dice +after +0\.7000 +0\.8000 +\+0\.1000", out)
    assert {p.name for p in (tmp_path / "o").iterdir()} == {
        "comparison.json",
        "comparison.csv",
        "comparison.html",
    }
    found = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert found["command"].startswith("segjax compare")
    assert len(found["sources"]) == 2
    assert main([*command[:-2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "cases"


@pytest.mark.parametrize("extra", [["-m", "nothing"], ["-m", ","], ["--level", "2"]])
def test_command_refuses_what_cannot_be(extra, two, capsys):
    assert main(["compare", *map(str, two), *extra]) == 2
    assert capsys.readouterr().err.startswith("segjax: ")
