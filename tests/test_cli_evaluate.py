"""What `segjax evaluate` takes and gives beside two folders and a table."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from segjax.cli import evaluate, main
from segjax.folder.formats import FORMATS
from tests.io import files


QUICK = ("-q", "--replicates", "99")


def square(size, offset=0):
    image = np.zeros((12, 12), np.uint8)
    image[offset : offset + size, :size] = 1
    return image


def tumour(shift=0):
    """A whole tumour of three labels, each inside the one before."""
    image = np.zeros((12, 12), np.uint8)
    for label, edge in ((1, 1), (2, 3), (3, 5)):
        image[edge + shift : 11 - edge + shift, edge : 11 - edge] = label
    return image


@pytest.fixture
def save(tmp_path):
    """Write arrays as r/NAME.npy and p/NAME.npy; None writes nothing."""

    def write(**cases):
        for name, pair in cases.items():
            for side, array in zip("rp", pair, strict=True):
                (tmp_path / side).mkdir(exist_ok=True)
                if array is not None:
                    np.save(tmp_path / side / f"{name}.npy", array)
        return tmp_path / "r", tmp_path / "p"

    return write


@pytest.fixture
def segjax(capsys):
    def run(*arguments):
        status = main([str(a) for a in arguments])
        return status, *capsys.readouterr()

    return run


def summary_of(out):
    return json.loads(out)


def means(summary):
    return {(e["metric"], e["name"]): e["mean"] for e in summary["scores"]}


def dice(r, p):
    return 2 * (r & p).sum() / (r.sum() + p.sum())


# Regions


def test_regions_of_nnunet_are_scored_as_one_label_each(save, segjax):
    r, p = save(a=(tumour(), tumour(1)))
    files.dataset(r, labels={"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]})
    status, out, _ = segjax("evaluate", r, p, *QUICK, "-m", "dice,hd95", "--json")
    found = summary_of(out)
    assert status == 0
    assert found["layout"] == "nnunet"
    for name, least in (("whole", 1), ("core", 2), ("enhancing", 3)):
        expected = dice(tumour() >= least, tumour(1) >= least)
        assert means(found)["dice", name] == pytest.approx(expected)
        assert means(found)["hausdorff(percentile=95)", name] == 1
    assert {k["name"]: k["value"] for k in found["labels"]} == {
        "enhancing": 3,
        "whole": -1,
        "core": -2,
    }
    assert found["options"]["regions"] == {"whole": [1, 2, 3], "core": [2, 3]}


def test_ignored_voxels_count_in_no_region(save, segjax):
    reference, prediction = tumour(), tumour(1)
    reference[:4] = 4
    r, p = save(a=(reference, prediction))
    files.dataset(r, labels={"background": 0, "whole": [1, 2, 3], "ignore": 4})
    _, out, _ = segjax("evaluate", r, p, *QUICK, "-m", "dice", "--json")
    expected = dice(reference[4:] > 0, prediction[4:] > 0)
    assert means(summary_of(out)) == {("dice", "whole"): pytest.approx(expected)}


def test_regions_alone_leave_their_parts_without_rows(save, segjax, tmp_path):
    r, p = save(a=(tumour(), tumour(1)), b=(tumour() * 0, tumour() * 0))
    files.dataset(r, labels={"background": 0, "whole": [1, 2, 3]})
    found = segjax("evaluate", r, p, *QUICK, "-m", "dice,mIoU", "-o", tmp_path / "o")
    assert found[0] == 0
    lines = (tmp_path / "o" / "scores.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["a", "", "", "mean_iou"],
        ["a", "-1", "whole", "dice"],
        ["b", "", "", "mean_iou"],
        ["b", "-1", "whole", "dice"],
    ]
    page = (tmp_path / "o" / "report.html").read_text()
    assert "whole" in page
    assert "(-1)" not in page
    again = segjax("evaluate", r, p, *QUICK, "-m", "dice,mIoU", "-o", tmp_path / "o", "--resume")
    assert "2 from the earlier run" in again[1]


def test_a_region_is_added_by_hand(save, segjax):
    r, p = save(a=(tumour(), tumour(1)))
    _, out, _ = segjax(
        "evaluate", r, p, *QUICK, "-m", "dice", "--labels", "3", "--region", "whole=1,2,3", "--json"
    )
    found = means(summary_of(out))
    assert set(found) == {("dice", "mean over labels"), ("dice", "3"), ("dice", "whole")}
    assert found["dice", "whole"] == pytest.approx(dice(tumour() > 0, tumour(1) > 0))


def test_names_of_a_file_bring_their_regions_and_ignored_label(save, segjax, tmp_path):
    r, p = save(a=(tumour(), tumour(1)))
    names = tmp_path / "names.json"
    names.write_text('{"labels": {"edge": 1, "core": [2, 3], "ignore": 9}}')
    _, out, _ = segjax("evaluate", r, p, *QUICK, "-m", "dice", "--label-names", names, "--json")
    found = summary_of(out)
    assert {k["name"] for k in found["labels"]} == {"edge", "core"}
    assert found["options"]["ignore"] == 9


@pytest.mark.parametrize("text", ["whole", "whole=", "whole=a", "whole=0,1"])
def test_a_region_that_is_none_is_refused(text, save, segjax):
    status, _, err = segjax("evaluate", *save(a=(tumour(), tumour())), "--region", text)
    assert status == 2
    assert "region" in err


# Formats


def test_nnunet_summary_is_that_of_nnunet(save, segjax, tmp_path):
    r, p = save(a=(tumour(), tumour(1)), b=(tumour() * (tumour() < 3), tumour(1) * 0))
    files.dataset(r, labels={"background": 0, "one": 1, "inner": [2, 3], "three": 3})
    status, out, _ = segjax(
        "evaluate", r, p, *QUICK, "-m", "dice,hd95", "--format", "nnunet", "-o", tmp_path / "o"
    )
    assert status == 0
    found = json.loads(out)
    assert list(found) == ["foreground_mean", "mean", "metric_per_case"]
    assert (tmp_path / "o" / "nnunet_summary.json").read_text() == out
    case = found["metric_per_case"][0]
    assert case["reference_file"].endswith("r/a.npy")
    assert list(case["metrics"]) == ["1", "3", "(2, 3)"]
    masks = {"1": (1,), "3": (3,), "(2, 3)": (2, 3)}
    for key, labels in masks.items():
        x, y = np.isin(tumour(), labels), np.isin(tumour(1), labels)
        own = case["metrics"][key]
        assert own["TP"] == (x & y).sum()
        assert own["FP"] == (~x & y).sum()
        assert own["FN"] == (x & ~y).sum()
        assert own["TN"] == (~x & ~y).sum()
        assert (own["n_ref"], own["n_pred"]) == (x.sum(), y.sum())
        assert own["Dice"] == pytest.approx(dice(x, y))
        assert own["IoU"] == pytest.approx((x & y).sum() / (x | y).sum())
        assert own["hausdorff(percentile=95)"] >= 0
    b = found["metric_per_case"][1]["metrics"]
    assert math.isnan(b["3"]["Dice"])  # nowhere in this case
    assert b["1"]["Dice"] == 0
    assert found["mean"]["3"]["Dice"] == case["metrics"]["3"]["Dice"]
    assert found["mean"]["1"]["TP"] == case["metrics"]["1"]["TP"] / 2
    expected = np.mean([found["mean"][key]["Dice"] for key in masks])
    assert found["foreground_mean"]["Dice"] == pytest.approx(expected)


def test_grand_challenge_metrics_have_paths_for_a_leaderboard(save, segjax, tmp_path):
    r, p = save(a=(square(6), square(6)), b=(square(6), square(6, 3)), c=(square(0), square(0)))
    options = ("-m", "dice,hd95,f_beta(beta=0.5)", "--labels", "foreground", "-o", tmp_path / "o")
    status, out, _ = segjax("evaluate", r, p, *QUICK, *options, "--format", "grand-challenge")
    assert status == 0
    found = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert json.loads((tmp_path / "o" / "metrics.json").read_text()) == found
    assert found["dice"]["mean"] == pytest.approx(0.75)
    assert found["dice"]["std"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert (found["dice"]["n"], found["dice"]["n_undefined"]) == (2, 1)
    assert found["dice"]["ci_low"] <= found["dice"]["mean"] <= found["dice"]["ci_high"]
    assert {"hd95", "f_beta_beta_0_5"} <= set(found)
    assert found["case"]["b"]["dice"] == {"foreground": 0.5}
    assert found["case"]["c"]["dice"] == {"foreground": None}


def test_grand_challenge_metrics_tell_labels_apart(save, segjax):
    r, p = save(a=(tumour(), tumour(1)))
    _, out, _ = segjax("evaluate", r, p, *QUICK, "-m", "dice", "--format", "grand-challenge")
    found = json.loads(out)["dice"]
    assert set(found["labels"]) == {"1", "2", "3"}
    assert found["mean"] == pytest.approx(np.mean([x["mean"] for x in found["labels"].values()]))


def test_csv_and_json_are_what_the_files_hold(save, segjax, tmp_path):
    r, p = save(a=(square(6), square(5)))
    command = ("evaluate", r, p, *QUICK, "-o", tmp_path / "o", "--format")
    assert segjax(*command, "csv")[1] == (tmp_path / "o" / "scores.csv").read_text()
    found = json.loads(segjax(*command, "json")[1])
    assert found == json.loads((tmp_path / "o" / "summary.json").read_text())


def test_every_format_can_be_asked_for():
    option = next(p for p in evaluate.params if p.name == "printed")
    assert list(option.type.choices) == list(FORMATS)


# Gates


@pytest.mark.parametrize(
    ("gate", "status"),
    [
        ("dice.ci_low=0.49", 0),
        ("dice.ci_low=0.99", 1),
        ("dice.ci_high=0.9", 0),
        ("dice.low=0.9", 1),
    ],
)
def test_ends_of_the_interval_are_gates_by_either_name(gate, status, save, segjax):
    pair = save(a=(square(6), square(6)), b=(square(6), square(6, 3)))
    found = segjax("evaluate", *pair, *QUICK, "-m", "dice", "--fail-under", gate)
    assert found[0] == status
    assert ("gate failed: low dice" in found[2]) == (status == 1)


@pytest.fixture
def baseline(save, segjax, tmp_path):
    """An earlier run whose mean Dice is 0.75 and mean Hausdorff distance 1.5."""
    pair = save(a=(square(6), square(6)), b=(square(6), square(6, 3)))
    segjax("evaluate", *pair, *QUICK, "-m", "dice,hd", "-o", tmp_path / "before")
    return tmp_path / "before"


@pytest.mark.parametrize(
    ("drop", "status"),
    [
        ("dice=0", 1),
        ("dice=0.1", 1),
        ("dice=0.25", 0),
        ("hd=0.5", 1),
        ("hd=1.5", 0),
        ("dice.median=0.25", 0),
        ("dice.low=0.01", 0),
        ("mcc=1", 1),
    ],
)
def test_a_drop_from_the_baseline_is_bounded(drop, status, baseline, save, segjax):
    pair = save(a=(square(6), square(6, 3)), b=(square(6), square(6, 3)))
    command = ("evaluate", *pair, *QUICK, "-m", "dice,hd", "--baseline", baseline)
    found = segjax(*command, "--max-drop", drop)
    assert found[0] == status, found[2]
    assert ("gate failed" in found[2]) == (status == 1)


def test_a_gain_is_no_drop(baseline, save, segjax):
    pair = save(a=(square(6), square(6)), b=(square(6), square(6)))
    found = segjax(
        "evaluate", *pair, *QUICK, "--baseline", baseline / "summary.json", "--max-drop", "dice=0"
    )
    assert found[0] == 0


def test_other_cases_than_the_baseline_are_told(baseline, save, segjax):
    save(a=(square(6), square(6)), b=(square(6), square(6)))
    pair = save(c=(square(6), square(6)))
    command = ("evaluate", *pair, *QUICK, "--baseline", baseline, "--max-drop", "dice=0")
    assert "the baseline has other cases: 1 are new and 0 are gone" in segjax(*command)[2]


def test_what_the_baseline_lacks_fails(baseline, save, segjax):
    pair = save(a=(square(6), square(6)))
    found = segjax("evaluate", *pair, *QUICK, "--baseline", baseline, "--max-drop", "sensitivity=1")
    assert found[0] == 1
    assert "no value in the baseline" in found[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-drop", "dice=0.1"), "--baseline and --max-drop go together"),
        (("--baseline", "x"), "--baseline and --max-drop go together"),
        (("--baseline", "nowhere", "--max-drop", "dice=0.1"), "nowhere"),
        (("--baseline", "x", "--max-drop", "dice=-1"), "0 or more"),
        (("--baseline", "x", "--max-drop", "dice"), "--max-drop takes METRIC=VALUE"),
    ],
)
def test_a_baseline_that_is_none_is_bad_usage(options, words, save, segjax):
    found = segjax("evaluate", *save(a=(square(6), square(6))), *options)
    assert found[0] == 2
    assert words in found[2]


@pytest.mark.parametrize("text", ["{}", "[]", '{"scores": 1}', '{"scores": [1]}', "no JSON"])
def test_a_file_that_is_no_summary_is_refused(text, save, segjax, tmp_path):
    path = tmp_path / "summary.json"
    path.write_text(text)
    pair = save(a=(square(6), square(6)))
    found = segjax("evaluate", *pair, "--baseline", path, "--max-drop", "dice=0")
    assert found[0] == 2
    assert "summary.json" in found[2]


# Pairs


def test_missing_predictions_count_as_empty_where_asked(save, segjax):
    r, p = save(a=(square(6), square(6)), b=(square(6), None))
    _, plain, err = segjax("evaluate", r, p, *QUICK, "-m", "dice", "--format", "json")
    assert means(summary_of(plain))["dice", "foreground"] == 1
    _, out, _ = segjax(
        "evaluate", r, p, *QUICK, "-m", "dice,hd", "--missing-as-empty", "--format", "json"
    )
    found = summary_of(out)
    assert means(found)["dice", "foreground"] == 0.5
    assert found["unpaired"]["reference"] == ["b"]
    assert [e["n_missed"] for e in found["scores"]] == [0, 1]
    _, _, err = segjax("evaluate", r, p, *QUICK, "--missing-as-empty")
    assert "1 references without a prediction, counted as empty: b" in err


def test_a_list_of_pairs_is_scored(save, segjax, tmp_path):
    save(a=(square(6), square(6)), b=(square(6), square(6, 3)))
    manifest = tmp_path / "pairs.csv"
    manifest.write_text("case,reference,prediction\nx,r/a.npy,p/b.npy\ny,r/b.npy,p/b.npy\n")
    command = ("evaluate", *QUICK, "-m", "dice", "--json")
    status, out, _ = segjax(*command, "--manifest", manifest)
    found = summary_of(out)
    assert (status, found["layout"], found["method"]) == (0, "manifest", "pairs")
    assert means(found)["dice", "foreground"] == 0.5
    assert means(summary_of(segjax(*command, manifest)[1])) == means(found)
    assert segjax(*command, "x", "y", "--manifest", manifest)[0] == 2
    assert segjax(*command)[0] == 2


def test_patterns_are_scored(save, segjax, tmp_path):
    save(a=(square(6), square(6)), b=(square(6), square(6, 3)))
    (tmp_path / "p" / "b.npy").rename(tmp_path / "p" / "b_v2.npy")
    (tmp_path / "p" / "a.npy").rename(tmp_path / "p" / "a_v2.npy")
    status, out, _ = segjax(
        "evaluate", tmp_path / "r" / "{id}.npy", tmp_path / "p" / "{id}_v2.npy", *QUICK, "--json"
    )
    found = summary_of(out)
    assert (status, found["layout"], found["method"]) == (0, "patterns", "p")
    assert [entry["case"] for entry in found["inputs"]] == ["a", "b"]


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell):
    done = _completing(f"{shell}_source")
    assert "segjax" in done.stdout
    assert "_SEGJAX_COMPLETE" in done.stdout


def test_commands_and_options_are_completed():
    words = {"COMP_WORDS": "segjax eva", "COMP_CWORD": "1"}
    assert "evaluate" in _completing("bash_complete", **words).stdout
    words = {"COMP_WORDS": "segjax evaluate --max", "COMP_CWORD": "2"}
    assert "--max-drop" in _completing("bash_complete", **words).stdout
    words = {"COMP_WORDS": "segjax explain haus", "COMP_CWORD": "2"}
    assert "hausdorff" in _completing("bash_complete", **words).stdout


def _completing(instruction, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "segjax"],
        capture_output=True,
        text=True,
        env={**os.environ, "_SEGJAX_COMPLETE": instruction, **environment},
    )
    assert done.stderr == "" or "bash" in done.stderr.lower()  # bash may be old, or missing
    return done
