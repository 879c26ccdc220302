"""The bundled sample, scored by the command and by plain NumPy."""

import csv
import json

import numpy as np
import pytest
import tifffile

from segjax import demo
from segjax.cli import main
from segjax.io import read_labels


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Where `segjax demo` has been run."""
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "-o", str(folder)]) == 0
    return folder


def plain_dice():
    """Reader 4 against what at least two of the first three drew, without segjax."""
    dice = {}
    for name, readers, _ in demo.lung_nodules():
        reference, prediction = np.sum(readers[:3], axis=0) >= 2, readers[3]
        shared = np.sum(reference & prediction)
        dice[name] = 2 * shared / (reference.sum() + prediction.sum())
    return dice


def test_sample_is_24_nodules_of_four_readers():
    nodules = demo.lung_nodules()
    assert len({name for name, _, _ in nodules}) == 24
    for _, readers, spacing in nodules:
        assert (readers.dtype, readers.ndim, len(readers)) == (bool, 4, 4)
        assert readers.any(axis=(1, 2, 3)).all()
        assert len(spacing) == 3
        assert min(spacing) > 0


def test_files_hold_the_masks_and_their_spacing(output):
    for name, readers, spacing in demo.lung_nodules():
        volume = read_labels(output / "predictions" / f"{name}.tif")
        np.testing.assert_array_equal(volume.array, readers[3])
        np.testing.assert_allclose(volume.spacing, spacing, rtol=1e-5)
        assert volume.unit == "mm"


def test_dice_is_that_of_plain_numpy(output):
    with (output / "out" / "scores.csv").open(newline="") as file:
        found = {
            r["case"]: float(r["score"]) for r in csv.DictReader(file) if r["metric"] == "dice"
        }
    expected = plain_dice()
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-12)
    summary = json.loads((output / "out" / "summary.json").read_text())
    (one,) = [e for e in summary["scores"] if e["metric"] == "dice"]
    np.testing.assert_allclose(one["mean"], np.mean(list(expected.values())))
    assert one["n"] == 24


def test_ends_with_the_path_of_the_report(output, capsys):
    assert main(["demo", "-o", str(output)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == ["report", str(output / "out" / "report.html")]
    assert (output / "out" / "report.html").stat().st_size > 10_000


def test_command_in_the_summary_repeats_it(output, capsys):
    import shlex

    summary = json.loads((output / "out" / "summary.json").read_text())
    before = (output / "out" / "scores.csv").read_bytes()
    assert main(shlex.split(summary["command"])[1:]) == 0
    assert (output / "out" / "scores.csv").read_bytes() == before


def test_browser_opens_only_if_asked(output, monkeypatch, capsys):
    import click

    opened = []
    monkeypatch.setattr(click, "launch", opened.append)
    assert main(["demo", "-o", str(output), "--open"]) == 0
    assert opened == [str(output / "out" / "report.html")]


def test_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["demo", "-o", str(tmp_path / "file" / "demo")]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"segjax: {tmp_path}/file/demo")
    assert err.endswith("choose another --output\n")


def test_file_in_the_way_is_one_line(tmp_path, capsys):
    (tmp_path / "references").touch()
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_stacks_open_in_imagej(output):
    name, readers, _ = demo.lung_nodules()[0]
    with tifffile.TiffFile(output / "references" / f"{name}.tif") as file:
        assert file.is_imagej
        assert file.series[0].shape == readers.shape[1:]
