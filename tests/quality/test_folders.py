"""From folders to files: paired, resumed, calibrated, and ranked."""

import csv
import json
import math
import shutil

import numpy as np
import pytest
import tifffile

import segjax
from segjax import InputError
from segjax.quality import folders
from segjax.quality.predict import assess
from tests.quality import toy


NAMES = tuple(f"cell{i}" for i in range(12))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Twelve images, the segmentations of two methods, and the truth of nine."""
    root = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(5)
    for name in ("images", "good", "bad", "truth"):
        (root / name).mkdir()
    for i, name in enumerate(NAMES):
        image, labels = toy.scene(rng, (26, 26))
        worse = np.where(rng.random(labels.shape) < 0.05 * i, 0, labels)
        parts = {"images": image.astype(np.uint16), "good": labels, "bad": worse}
        parts |= {"truth": labels} if i < 9 else {}
        for folder, array in parts.items():
            np.save(root / folder / f"{name}.npy", array.astype(np.uint16))
    return root


def run(scenes, method="bad", options=None, **arguments):
    chosen = folders.Options(**({"averaging": 1, "diameter": 8.0} | (options or {})))
    given = {"metric": ("SEG", "Dice"), "weights": toy.calibrated_toy()} | arguments
    return folders.run(scenes / "images", scenes / method, options=chosen, **given)


def lines(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_image_gets_what_it_gets_alone(scenes, tmp_path):
    report = run(scenes, output=tmp_path)
    assert report.assessments.cases == NAMES
    rows = lines(tmp_path / "scores.csv")
    assert len(rows) == 24
    for i, name in enumerate(NAMES):
        image, labels = (np.load(scenes / f / f"{name}.npy") for f in ("images", "bad"))
        options = {"weights": toy.calibrated_toy(), "averaging": 1, "diameter": 8.0}
        alone = assess(image, labels, ("SEG", "Dice"), **options)
        for row, metric in zip(rows[2 * i : 2 * i + 2], ("SEG", "Dice"), strict=True):
            assert (row["case"], row["metric"]) == (name, f"predicted {metric}")
            assert row["status"] == "scored"
            found = [float(row[key]) for key in ("score", "low", "high")]
            np.testing.assert_allclose(found, alone.scores[metric], rtol=1e-5)
            assert row["flags"] == "; ".join(alone.flags)


def test_the_worst_image_is_first_on_the_page(scenes, tmp_path):
    report = run(scenes, output=tmp_path)
    order = report.assessments.worst_first()
    scores = report.assessments.column("SEG")[order]
    assert (np.diff(scores) >= 0).all()
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert [r["case"] for r in summary["results"]] == [NAMES[i] for i in order]
    page = (tmp_path / "triage.html").read_text("utf-8")
    places = [page.index(f'data-case="{NAMES[i]}"') for i in order]
    assert places == sorted(places)
    assert page.count("<img ") == 12


def test_an_interrupted_run_is_finished(scenes, tmp_path):
    whole = run(scenes, output=tmp_path / "whole")

    def stop(done, cases, name):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(InputError, match="--resume"):
        run(scenes, output=tmp_path / "part", progress=stop)
    again = run(scenes, output=tmp_path / "part", resume=True)
    assert (whole.reused, again.reused) == (0, 5)
    pages = [(tmp_path / k / "triage.html").read_text("utf-8") for k in ("whole", "part")]
    assert pages[0].count("<img ") == pages[1].count("<img ") == 12
    assert (tmp_path / "whole/scores.csv").read_text() == (tmp_path / "part/scores.csv").read_text()


def test_a_run_is_resumed_only_with_the_same_options(scenes, tmp_path):
    run(scenes, output=tmp_path)
    with pytest.raises(InputError, match="other options or weights"):
        run(scenes, output=tmp_path, resume=True, options={"diameter": 9.0})
    with pytest.raises(InputError, match="other options or weights"):
        run(scenes, output=tmp_path, resume=True, metric="Dice")
    # What is only said of the scores may change: nothing need be predicted anew.
    again = run(scenes, output=tmp_path, resume=True, options={"coverage": 0.5})
    assert again.reused == 12
    with pytest.raises(InputError, match="nothing to resume"):
        run(scenes, resume=True)


def test_a_changed_file_is_assessed_again(scenes, tmp_path):
    for folder in ("images", "bad"):
        (tmp_path / folder).mkdir()
        for name in NAMES[:3]:
            data = (scenes / folder / f"{name}.npy").read_bytes()
            (tmp_path / folder / f"{name}.npy").write_bytes(data)
    run(tmp_path, output=tmp_path / "out")
    np.save(tmp_path / "bad" / f"{NAMES[1]}.npy", np.eye(26, dtype=np.uint8))
    assert run(tmp_path, output=tmp_path / "out", resume=True).reused == 2


def test_objects_are_scored_and_survive_a_resumption(scenes, tmp_path):
    run(scenes, output=tmp_path, options={"per_object": True})
    first = (tmp_path / "objects.csv").read_text()
    assert len(first.splitlines()) > 12
    assert first.startswith("case,label,y,x,diameter,predicted SEG around")
    run(scenes, output=tmp_path, options={"per_object": True}, resume=True)
    assert (tmp_path / "objects.csv").read_text() == first


def test_annotated_images_correct_the_scores(scenes):
    plain = run(scenes)
    report = run(scenes, calibrate=scenes / "truth")
    true = []
    for name in NAMES[:9]:
        r, p = (np.load(scenes / f / f"{name}.npy") for f in ("truth", "bad"))
        true.append(float(segjax.evaluate(reference=r, prediction=p, metrics=["seg"])["seg"]))
    raw = np.array([a.raw["SEG"] for a in plain.assessments.assessments])
    residuals = np.array(true) - raw[:9]
    corrected = report.assessments.column("SEG")
    np.testing.assert_allclose(corrected, np.clip(raw + residuals.mean(), 0, 1), atol=1e-5)
    (note,) = [n for n in report.assessments.notes if n.startswith("SEG")]
    assert "9 annotated images" in note
    assert "too few" not in note
    lows = np.array([a.scores["SEG"].low for a in report.assessments.assessments[:9]])
    highs = np.array([a.scores["SEG"].high for a in report.assessments.assessments[:9]])
    assert ((lows <= true) & (true <= highs)).all()


def test_few_annotated_images_are_said_to_be_few(scenes, tmp_path):
    for name in NAMES[:4]:
        (tmp_path / f"{name}.npy").write_bytes((scenes / "truth" / f"{name}.npy").read_bytes())
    report = run(scenes, calibrate=tmp_path)
    note = next(n for n in report.assessments.notes if n.startswith("SEG"))
    assert "4 are too few for intervals of 90 % (at most 80 %)" in note
    assert "annotate 9 or more" in note
    for a in report.assessments.assessments:
        assert a.scores["SEG"][1:] == (0.0, 1.0)


def test_truth_of_other_images_is_refused(scenes, tmp_path):
    np.save(tmp_path / "other.npy", np.eye(26, dtype=np.uint8))
    with pytest.raises(InputError, match="no file name matches"):
        run(scenes, calibrate=tmp_path)


def test_what_the_intervals_are_worth_is_said(scenes):
    (note,) = run(scenes).assessments.notes
    assert "simulated" in note
    (note,) = run(scenes, weights=toy.toy()).assessments.notes
    assert "not calibrated" in note


def test_frames_of_the_tracking_challenge_go_with_their_results(tmp_path, rng):
    for folder, name in (("01", "t"), ("01_RES", "mask")):
        (tmp_path / folder).mkdir()
        for k in (0, 3):
            part = toy.scene(rng, (26, 26))[name == "mask"]
            tifffile.imwrite(tmp_path / folder / f"{name}{k:03}.tif", part.astype(np.uint16))
    found = folders.assess_folder(tmp_path / "01", tmp_path / "01_RES", weights=toy.toy())
    assert found.cases == ("t000", "t003")


def test_an_image_that_cannot_be_assessed_is_named(scenes, tmp_path):
    for folder in ("images", "bad"):
        (tmp_path / folder).mkdir()
    image = np.load(scenes / "images" / "cell0.npy")
    np.save(tmp_path / "images" / "x.npy", image)
    np.save(tmp_path / "bad" / "x.npy", image[:9] * 0)
    with pytest.raises(InputError, match=r"x.npy: the image has shape \(26, 26\)"):
        run(tmp_path)


def test_the_other_images_are_assessed_before_the_damaged_are_named(scenes, tmp_path):
    shutil.copytree(scenes / "images", tmp_path / "images")
    shutil.copytree(scenes / "bad", tmp_path / "bad")
    cut = tmp_path / "images" / f"{NAMES[4]}.npy"
    cut.write_bytes(cut.read_bytes()[:-9])
    np.save(tmp_path / "bad" / f"{NAMES[7]}.npy", np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match=rf"{NAMES[4]}.npy: is cut"):
        run(tmp_path)
    with pytest.raises(InputError) as told:
        run(tmp_path, output=tmp_path / "out")
    assert str(told.value).startswith("2 cases cannot be scored, all others are done; mend them")
    assert f"{NAMES[4]}.npy: is cut" in str(told.value)
    assert f"{NAMES[7]}.npy: the image has shape" in str(told.value)
    assert not (tmp_path / "out" / "scores.csv").exists()
    for folder in ("images", "bad"):
        shutil.copytree(scenes / folder, tmp_path / folder, dirs_exist_ok=True)
    assert run(tmp_path, output=tmp_path / "out", resume=True).reused == len(NAMES) - 2


def test_constant_images_are_absent_and_last(tmp_path, rng):
    for folder in ("images", "bad"):
        (tmp_path / folder).mkdir()
    for name, contrast in (("a", 0), ("b", 1)):
        image, labels = toy.scene(rng, (26, 26))
        np.save(tmp_path / "images" / f"{name}.npy", image * contrast)
        np.save(tmp_path / "bad" / f"{name}.npy", labels)
    table = run(tmp_path, output=tmp_path / "out").assessments
    assert table.worst_first() == [1, 0]
    row = next(table.rows())
    assert math.isnan(row.score)
    assert (row.status, row.flags) == ("absent", "constant image")
    assert json.loads(table.to_json())[0]["score"] is None


def test_only_the_worst_are_pictured(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "PICTURES", 3)
    report = run(scenes, output=tmp_path)
    page = (tmp_path / "triage.html").read_text("utf-8")
    assert page.count("<img ") == 3
    worst = [NAMES[i] for i in report.assessments.worst_first()[:3]]
    assert all(f'alt="{name} with' in page for name in worst)
