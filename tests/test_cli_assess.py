"""`segjax assess`: what it prints and writes, and the one line it says when it cannot."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest

from segjax.cli import main
from segjax.quality.weights import save_weights
from tests.quality import toy


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def segjax(capsys, tmp_path, monkeypatch):
    """Run a command in this process, in the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return Result(main([str(a) for a in arguments]), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "toy.npz"
    save_weights(path, toy.calibrated_toy())
    return path


@pytest.fixture
def assess(segjax, weights, tmp_path, rng):
    """`segjax assess images labels` of three images, each of which may be replaced."""

    def run(*arguments, image=None, labels=None, given=weights):
        for folder in ("images", "labels", "worse"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for name in ("a", "b", "c"):
            seen, objects = toy.scene(rng, (26, 26))
            np.save(tmp_path / "images" / f"{name}.npy", seen)
            np.save(tmp_path / "labels" / f"{name}.npy", objects)
            np.save(tmp_path / "worse" / f"{name}.npy", np.roll(objects, 4, 0))
        for folder, array in (("images", image), ("labels", labels)):
            if array is not None:
                np.save(tmp_path / folder / "a.npy", array)
        return segjax("assess", "images", "labels", "--weights", given, "-q", *arguments)

    return run


def test_scores_are_printed_worst_first(assess):
    result = assess("-m", "SEG,dice")
    assert result.status == 0
    assert "3 images" in result.out
    rows = re.findall(r"^([abc]) +([\d.]+) ", result.out, re.M)
    assert sorted(name for name, _ in rows) == ["a", "b", "c"]
    assert [float(x) for _, x in rows] == sorted(float(x) for _, x in rows)
    assert "predicted Dice" in result.out
    assert "note: Intervals are calibrated on simulated images" in result.err


def test_json_is_printed_alone(assess):
    rows = json.loads(assess("--json").out)
    assert [row["case"] for row in rows] == ["a", "b", "c"]
    assert {row["metric"] for row in rows} == {"predicted SEG"}


def test_files_are_written_and_a_run_is_resumed(assess, segjax, tmp_path):
    result = assess("-o", "out", "--per-object", "--calibrate", "labels")
    assert result.status == 0
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert written == {"scores.csv", "objects.csv", "summary.json", "triage.html", "cases.jsonl"}
    summary = json.loads((tmp_path / "out/summary.json").read_text("utf-8"))
    assert summary["command"].startswith("segjax assess images labels --weights ")
    assert summary["method"] == "labels"
    assert summary["calibrated_on"] == 3
    command = summary["command"].split()[1:]
    assert "3 from the earlier run" in segjax(*command, "--resume").out


def test_methods_are_ranked_without_a_truth(assess, segjax, weights, tmp_path):
    assess("-o", "good")
    segjax("assess", "images", "worse", "--weights", weights, "-q", "-o", "bad")
    quick = ("--replicates", "300", "--permutations", "300")
    result = segjax("leaderboard", "good/scores.csv", "bad/scores.csv", *quick, "-o", "board")
    assert result.status == 0, result.err
    assert "predicted SEG" in result.out
    board = json.loads((tmp_path / "board/leaderboard.json").read_text("utf-8"))
    (measure,) = board["measures"]
    assert measure["better"] == "higher"
    assert "predicted by a network" in measure["title"]
    assert {m["name"] for m in board["models"]} == {"good", "bad"}
    assert not any("differ within a case" in note for note in board["notes"])
    assert segjax("leaderboard", "verify", "board/leaderboard.json").status == 0


RGB = np.zeros((26, 26, 3), np.uint8)


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"image": np.ones((20, 26))}, (), r"labels/a.npy: the image has shape \(20, 26\)"),
        ({"image": RGB}, (), "3 colours.*--channel"),
        ({"image": np.full((26, 26), np.nan)}, (), "676 pixels that are NaN"),
        ({"labels": np.ones((26, 26)) / 2}, (), "a.npy: holds fractions"),
        (
            {"image": np.ones((5, 26, 26)), "labels": np.zeros((5, 26, 26), int)},
            (),
            "weights are for 2-D images",
        ),
        ({"given": "nothing.npz"}, (), "nothing.npz: there is no such file of weights"),
        ({"given": "images/a.npy"}, (), "a.npy: is damaged or no file of weights"),
        ({}, ("-m", "PQ"), "'PQ' is not among what the weights toy predict: SEG, Dice"),
        ({}, ("-m", ","), "--metric names none"),
        ({}, ("--channel", "red"), "--channel takes a number"),
        ({}, ("--spacing", "a"), "--spacing takes numbers"),
        ({}, ("--coverage", "2"), "coverage must be between 0 and 1"),
        ({}, ("--diameter", "-1"), "diameter must be a positive number"),
        ({}, ("--calibrate", "absent"), "no such file or folder"),
        ({}, ("--resume",), "pass --output"),
        ({}, ("-o", "images/a.npy"), "images/a.npy"),
    ],
)
def test_what_cannot_be_assessed_is_said_on_one_line(assess, changes, arguments, said):
    result = assess(*arguments, **changes)
    assert result.status == 2
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    assert re.search(said, result.err), result.err


def test_damaged_weights_are_told_without_a_traceback(assess, weights, tmp_path):
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "bent.npz").write_bytes(data)
    result = assess(given="bent.npz")
    assert result.status == 2
    assert result.err.startswith("segjax: bent.npz: ")
    assert result.err.count("\n") == 1


def test_colours_can_be_chosen(assess, segjax, weights, tmp_path):
    assess()
    for path in (tmp_path / "images").iterdir():
        grey = np.load(path)
        np.save(path, np.stack([grey * 0, grey, grey * 0], -1))
    typed = ("assess", "images", "labels", "--weights", weights, "-q")
    assert "3 colours" in segjax(*typed).err
    assert "constant image" in segjax(*typed, "--channel", "0").out
    assert "constant image" not in segjax(*typed, "--channel", "1").out
    assert segjax(*typed, "--channel", "mean").status == 0
