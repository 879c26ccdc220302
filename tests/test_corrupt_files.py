"""Corrupt files among good ones: each is named, nothing that was scored is lost."""

import csv
import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from segjax.cli import main
from segjax.io import read_journal
from tests.io import files


SUFFIXES = (".mha", ".nii.gz", ".npy", ".npz", ".png", ".tif")
CORRUPT = (".nii.gz", ".png", ".tif")  # of these a part is missing


def save(path, labels):
    suffix = "".join(path.suffixes)
    if suffix == ".tif":
        tifffile.imwrite(path, labels, photometric="minisblack", compression="zlib")
    elif suffix == ".png":
        Image.fromarray(labels).save(path)
    elif suffix == ".nii.gz":
        files.nifti(path, labels)
    elif suffix == ".mha":
        files.itk(path, labels)
    else:
        (np.save if suffix == ".npy" else np.savez)(path, labels)


def name(suffix):
    return f"{suffix.replace('.', '')}{suffix}"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A case in every format, and the predictions that are to be mended."""
    for package in ("nibabel", "SimpleITK"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    reference = np.zeros((20, 30), np.uint8)
    reference[4:12, 5:20] = 1
    for folder, labels in (("r", reference), ("p", np.roll(reference, 2, 0))):
        (tmp_path / folder).mkdir()
        for suffix in SUFFIXES:
            save(tmp_path / folder / name(suffix), labels)
    shutil.copytree("p", "good")
    for suffix in CORRUPT:
        path = tmp_path / "p" / name(suffix)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
    return tmp_path


@pytest.fixture
def segjax(capsys):
    def run(*arguments):
        status = main([str(a) for a in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return status, said.out, said.err

    return run


EVALUATE = ("evaluate", "r", "p", "-q", "-m", "dice", "-o", "out")


def test_evaluation_scores_the_good_files_and_names_the_corrupt(folders, segjax):
    status, out, err = segjax(*EVALUATE)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("segjax: 3 cases cannot be scored, all others are done; mend them, and ")
    assert all(f" p/{name(suffix)}: " in err for suffix in CORRUPT)
    done = len(SUFFIXES) - len(CORRUPT)
    assert len(read_journal(folders / "out" / "cases.jsonl")) == done
    assert not (folders / "out" / "scores.csv").exists()
    for suffix in CORRUPT:
        shutil.copy(folders / "good" / name(suffix), folders / "p")
    status, out, _ = segjax(*EVALUATE, "--resume")
    assert status == 0
    assert f"{done} from the earlier run" in out
    with open("out/scores.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "dice"]
    assert [float(row["score"]) for row in rows] == [0.75] * len(SUFFIXES)


def test_one_corrupt_file_is_told_when_the_rest_is_scored(folders, segjax):
    for suffix in CORRUPT[1:]:
        shutil.copy(folders / "good" / name(suffix), folders / "p")
    status, out, err = segjax(*EVALUATE)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("segjax: p/niigz.nii.gz: ")
    assert len(read_journal(folders / "out" / "cases.jsonl")) == len(SUFFIXES) - 1


def test_where_all_is_corrupt_not_all_is_tried(tmp_path, monkeypatch, segjax):
    monkeypatch.chdir(tmp_path)
    for side in "rp":
        (tmp_path / side).mkdir()
        for i in range(30):
            shape = (8, 9) if side == "r" or i < 1 else (8, 8)
            np.save(tmp_path / side / f"c{i:02}.npy", np.eye(*shape, dtype=np.uint8))
    status, _, err = segjax(*EVALUATE)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("segjax: 20 cases cannot be scored, no more were tried; ")
    assert err.count(".npy: has shape (8, 8)") == 5
    assert err.endswith(", c19, c20\n")


def test_doctor_names_all_corrupt_files_at_once(folders, segjax):
    status, out, err = segjax("doctor", "r", "p", "--json")
    assert (status, err) == (1, "")
    (found,) = (f for f in json.loads(out)["findings"] if f["severity"] == "stops")
    assert sorted(found["cases"]) == sorted(s.replace(".", "") for s in CORRUPT)


def test_good_files_are_scored_when_the_corrupt_are_gone(folders, segjax):
    for suffix in CORRUPT:
        (folders / "p" / name(suffix)).unlink()
    status, out, err = segjax(*EVALUATE)
    assert status == 0
    assert f"{len(SUFFIXES) - len(CORRUPT)} cases" in out
    assert f"{len(CORRUPT)} references without a prediction, not scored" in err


@pytest.mark.parametrize("command", ["leaderboard", "compare"])
def test_a_corrupt_table_among_good_ones_is_named(command, tmp_path, monkeypatch, segjax):
    monkeypatch.chdir(tmp_path)
    for run in "abc":
        with open(f"{run}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("case", "dice"), ("x", 0.5), ("y", 0.25), ("z", 0.75)])
    (tmp_path / "b.csv").write_bytes((tmp_path / "b.csv").read_bytes()[:-9] + b"\0\xff")
    status, out, err = segjax(command, "a.csv", "b.csv", "c.csv", "-o", "out")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("segjax: b.csv: ")
    assert not (tmp_path / "out").exists()
