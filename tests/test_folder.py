"""Folders through the library: the same scores as one by one, and nothing left behind."""

import csv
import io
import os
import threading
import warnings

import numpy as np
import pytest

import segjax
from segjax import folder, report
from segjax._errors import InputError
from segjax.evaluation import DEFAULT_METRICS
from segjax.io import read_journal
from tests.images import label_maps, masks
from tests.io import files


SHAPE = (6, 5)
METRICS = (*DEFAULT_METRICS, "tn", "mcc", "vi_split", "adapted_rand_error", "jaccard_sparse")


@pytest.fixture
def write(tmp_path):
    """Write pairs of arrays as two folders; returns their paths."""

    def folders(pairs):
        for i, side in enumerate("rp"):
            (tmp_path / side).mkdir(exist_ok=True)
            for name, pair in pairs.items():
                np.save(tmp_path / side / f"{name}.npy", pair[i])
        return tmp_path / "r", tmp_path / "p"

    return folders


def score(paths, **options):
    return segjax.evaluate_folder(*paths, replicates=99, **options)


def run(paths, *, output=None, resume=False, progress=None, **options):
    chosen = folder.Options(replicates=99, **options)
    return folder.run(*paths, chosen, output=output, resume=resume, progress=progress)


# The same as one by one


@pytest.mark.parametrize("shape", [SHAPE, (4, 3, 5)])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_masks_score_as_they_do_one_by_one(shape, dtype, write, rng):
    pairs = {f"{i}": tuple(x.astype(dtype) for x in masks(rng, shape)) for i in range(4)}
    table = score(write(pairs), metrics=METRICS)
    assert table.cases == tuple(pairs)
    for i, (reference, prediction) in enumerate(pairs.values()):
        alone = segjax.evaluate(reference=reference, prediction=prediction, metrics=METRICS)
        for name in METRICS:
            assert table.column(name)[i] == alone[name]


@pytest.mark.parametrize("ignore", [None, 5])
def test_label_maps_score_as_they_do_one_by_one(ignore, write, rng):
    pairs = {f"{i}": label_maps(rng, SHAPE) for i in range(4)}
    table = score(write(pairs), metrics=METRICS, labels=[1, 2], ignore=ignore, spacing=(2.0, 3.0))
    for i, (reference, prediction) in enumerate(pairs.values()):
        alone = segjax.evaluate(
            reference=reference,
            prediction=prediction,
            metrics=METRICS,
            labels=[1, 2],
            ignore=ignore,
        )
        for (name, label), column in table.columns.items():
            expected = alone[name] if label is None else alone[name][(1, 2).index(label)]
            np.testing.assert_array_equal(column[i], expected)


def test_cases_of_different_shapes_and_labels_share_a_table(write, rng):
    pairs = {
        "a": label_maps(rng, (6, 5), labels=(0, 1, 7)),
        "b": label_maps(rng, (9, 4), labels=(0, 7, 300)),
        "c": label_maps(rng, (3, 4, 5), labels=(0, 1)),
    }
    table = score(write(pairs), metrics=["tp", "fp", "fn", "tn"])
    assert [k.value for k in table.labels] == [1, 7, 300]
    for i, (reference, prediction) in enumerate(pairs.values()):
        for label in (1, 7, 300):
            r, p = reference == label, prediction == label
            counts = [table.column(name, label)[i] for name in ("tp", "fp", "fn", "tn")]
            assert counts == [(r & p).sum(), (~r & p).sum(), (r & ~p).sum(), (~r & ~p).sum()]


def test_spacing_comes_from_the_reference(tmp_path, rng):
    pytest.importorskip("SimpleITK")
    reference, prediction = (x.astype(np.uint8) for x in masks(rng, (4, 3, 5)))
    files.itk(tmp_path / "r.mha", reference, spacing=(0.5, 0.5, 3.0))
    np.save(tmp_path / "p.npy", prediction)
    report = run((tmp_path / "r.mha", tmp_path / "p.npy"), metrics=("absolute_volume_difference",))
    assert report.summary["inputs"][0]["spacing"] == [3.0, 0.5, 0.5]
    difference = abs(float(reference.sum()) - float(prediction.sum()))
    assert report.table.column("absolute_volume_difference") == [difference * 0.75]


@pytest.mark.parametrize("suffix", [".nii.gz", ".tif", ".png", ".npz", ".mha"])
def test_format_does_not_change_the_scores(suffix, tmp_path, rng):
    import tifffile
    from PIL import Image

    packages = {".nii.gz": "nibabel", ".mha": "SimpleITK"}
    pytest.importorskip(packages.get(suffix, "numpy"))
    pair = [x.astype(np.uint8) for x in label_maps(rng, SHAPE)]
    writers = {
        ".nii.gz": files.nifti,
        ".tif": tifffile.imwrite,
        ".png": lambda path, array: Image.fromarray(array).save(path),
        ".npz": lambda path, array: np.savez_compressed(path, labels=array),
        ".mha": files.itk,
    }
    paths = [tmp_path / f"{side}{suffix}" for side in "rp"]
    for path, array in zip(paths, pair, strict=True):
        writers[suffix](path, array)
    table = score(paths, metrics=["dice"])
    alone = segjax.evaluate(reference=pair[0], prediction=pair[1], metrics=["dice"])
    np.testing.assert_array_equal([table.column("dice", k)[0] for k in (1, 2, 5)], alone["dice"])


def test_cases_are_in_natural_order_and_told_as_they_are_done(write, rng):
    pairs = {f"case{i}": masks(rng, SHAPE) for i in (10, 9, 1)}
    told = []
    table = score(write(pairs), progress=lambda *news: told.append(news))
    assert table.cases == ("case1", "case9", "case10")
    assert told == [(1, 3, "case1"), (2, 3, "case9"), (3, 3, "case10")]


def test_metrics_beside_the_chosen_ones_come_once(write, rng):
    paths = write({"a": masks(rng, SHAPE)})
    assert run(paths, metrics=("iou",), also=("dice", "Jaccard")).table.metrics == ("iou", "dice")
    assert run(paths, also=("vi",)).table.metrics == (
        *DEFAULT_METRICS,
        "variation_of_information",
    )


# Objects


def objects(rng, shape=(12, 14), number=5):
    """Two careless drawings of some boxes, as numbered objects."""
    maps = np.zeros((2, *shape), np.uint16)
    for k in range(1, number + 1):
        box = tuple(slice(a := int(rng.integers(0, n - 3)), a + 4) for n in shape)
        maps[0][box] = 3 * k
        if rng.random() < 0.8:
            maps[1][tuple(slice(s.start + 1, s.stop) for s in box)] = 5 * k
    return tuple(maps)


def lines_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_runs_of_objects_tell_what_becomes_of_each(write, rng, tmp_path):
    pairs = {"flat": objects(rng), "deep": objects(rng, (5, 6, 7)), "b": objects(rng)}
    report = run(write(pairs), output=tmp_path / "out", metrics=("SEG",), labels="foreground")
    assert report.files["objects"] == tmp_path / "out" / "objects.csv"
    lines = lines_of(report.files["objects"])
    assert list(lines[0])[:5] == ["case", "side", "label", "kind", "match"]
    assert [x["case"] for x in lines] == sorted(x["case"] for x in lines)
    told = {entry["case"]: entry for entry in report.summary["objects"]}
    for case, (reference, prediction) in pairs.items():
        table = segjax.object_table(reference=reference, prediction=prediction)
        assert told[case] == {"case": case, **table.counts}
        own = [x for x in lines if x["case"] == case]
        expected = list(csv.DictReader(io.StringIO(table.to_csv())))
        assert [{k: v for k, v in x.items() if v and k != "case"} for x in own] == expected
        assert {x["centroid-2"] for x in own if case != "deep"} <= {""}


def test_objects_are_measured_as_the_scores_are(write, rng, tmp_path):
    pairs = {f"{i}": objects(rng, (5, 6, 7)) for i in range(2)}
    options = {"spacing": (2.0, 0.5, 0.5), "labels": (3, 5, 6, 15), "ignore": 9}
    run(write(pairs), output=tmp_path / "out", metrics=("pq",), **options)
    lines = lines_of(tmp_path / "out" / "objects.csv")
    expected = [
        {"case": case, **row}
        for case, (r, p) in pairs.items()
        for row in csv.DictReader(
            io.StringIO(segjax.object_table(reference=r, prediction=p, **options).to_csv())
        )
    ]
    assert lines == expected


def test_pictures_of_objects_show_their_kinds(write, rng, tmp_path, monkeypatch):
    seen = []

    def picture(reference, prediction, **options):
        seen.append((reference, prediction, options["errors"]))
        return report.Picture("data:image/png;base64,", 1, 1, "")

    monkeypatch.setattr(report, "picture", picture)
    paths = write({"a": objects(rng), "b": objects(rng)})
    run(paths, output=tmp_path / "out", metrics=("SEG",), labels="foreground")
    assert len(seen) == 2
    for reference, prediction, errors in seen:
        expected = segjax.error_map(reference=reference, prediction=prediction)
        np.testing.assert_array_equal(errors, expected)
    run(paths, output=tmp_path / "classes", metrics=("dice",), labels="foreground")
    assert [errors for *_, errors in seen[2:]] == [None, None]


@pytest.mark.parametrize(
    ("metrics", "labels", "told"),
    [
        (("dice",), "foreground", False),
        (("dice",), None, False),
        (("dice", "f1(threshold=0.7)"), None, True),
        (("assd(unmatched=omit)",), "foreground", True),
    ],
)
def test_objects_are_told_where_a_metric_is_of_them(metrics, labels, told, write, rng, tmp_path):
    paths = write({"a": objects(rng)})
    report = run(paths, output=tmp_path / "out", metrics=metrics, labels=labels)
    assert ("objects" in report.files) == ("objects" in report.summary) == told
    assert (tmp_path / "out" / "objects.csv").exists() == told


def test_objects_of_resumed_cases_are_told_without_reading_them_again(
    write, rng, tmp_path, monkeypatch
):
    paths = write({f"{i}": objects(rng) for i in range(3)})
    options = {"metrics": ("SEG",), "labels": "foreground", "output": tmp_path / "out"}
    first = run(paths, **options)
    before = first.files["objects"].read_bytes()
    first.files["objects"].unlink()
    monkeypatch.setattr(folder.scoring, "tell_objects", None)
    again = run(paths, **options, resume=True)
    assert again.reused == 3
    assert again.files["objects"].read_bytes() == before
    assert again.summary["objects"] == first.summary["objects"]


def test_journal_without_objects_is_not_taken_for_one_with(write, rng, tmp_path):
    many = np.arange(1, 50, dtype=np.uint16).reshape(7, 7)
    paths = write({"a": (many, many)})
    run(paths, output=tmp_path / "out", metrics=("dice",), labels="foreground")
    with pytest.raises(InputError, match="the earlier run had other options"):
        run(paths, output=tmp_path / "out", metrics=("dice",), resume=True)  # objects by number


# Nothing left behind


def test_warnings_are_the_users_own_affair(write, rng):
    pairs = {f"{i}": tuple(x.astype(float) for x in masks(rng, SHAPE)) for i in range(9)}
    paths = write(pairs)
    before = list(warnings.filters)
    report = run(paths)
    assert warnings.filters == before
    (note,) = report.summary["notes"]
    assert "labels stored as float64 are whole numbers" in note
    assert "17 more files" in note


def test_threads_end_with_the_run(write, rng):
    pairs = {f"{i}": masks(rng, SHAPE) for i in range(9)}
    paths = write(pairs)
    before = set(threading.enumerate())
    score(paths)
    assert set(threading.enumerate()) <= before
    np.save(paths[0] / "1.npy", np.ones((2, 2)))
    with pytest.raises(InputError, match="has shape"):
        score(paths)
    assert set(threading.enumerate()) <= before


def test_unknown_metric_is_found_before_anything_is_touched(write, rng, tmp_path):
    paths = write({"a": masks(rng, SHAPE)})
    with pytest.raises(InputError, match="unknown metric"):
        score(paths, metrics=["dcie"], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_option_is_a_type_error(write, rng):
    with pytest.raises(TypeError, match="labells"):
        score(write({"a": masks(rng, SHAPE)}), labells=[1])


# Resume


def test_resumed_run_has_the_same_files_as_a_whole_one(write, rng, tmp_path):
    pairs = {f"{i}": label_maps(rng, SHAPE) for i in range(6)}
    paths, out = write(pairs), tmp_path / "out"

    def stop(done, cases, name):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(InputError, match="stopped after 3 of 6 cases"):
        run(paths, output=out, progress=stop)
    assert os.listdir(out) == ["cases.jsonl"]
    resumed = run(paths, output=out, resume=True)
    whole = run(paths, output=tmp_path / "whole")
    assert (resumed.reused, whole.reused) == (3, 0)
    for name in ("scores.csv", "cases.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert resumed.summary["scores"] == whole.summary["scores"]


def test_infinite_and_undefined_scores_survive_the_journal(write, tmp_path, monkeypatch):
    empty, full = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    paths = write({"a": (empty, empty), "b": (full, full)})
    first = run(paths, output=tmp_path / "out", metrics=("jaccard_sparse", "dice"))
    lines = tmp_path / "out" / "cases.jsonl"
    entries = read_journal(lines)
    assert [e["scores"] for e in entries] == [{"jaccard_sparse": None}, {"jaccard_sparse": 1.0}]
    entries[1]["scores"]["jaccard_sparse"] = "inf"
    files.rewrite(lines, entries)
    again = run(paths, output=tmp_path / "out", resume=True, metrics=("jaccard_sparse", "dice"))
    np.testing.assert_array_equal(again.table.column("jaccard_sparse"), [np.nan, np.inf])
    np.testing.assert_array_equal(again.table.column("dice"), first.table.column("dice"))


def test_case_that_came_or_went_is_no_obstacle_to_resuming(write, rng, tmp_path):
    pairs = {f"{i}": masks(rng, SHAPE) for i in range(4)}
    paths = write(pairs)
    run(paths, output=tmp_path / "out")
    for path in paths:
        (path / "0.npy").unlink()
    write({"9": masks(rng, SHAPE)})
    report = run(paths, output=tmp_path / "out", resume=True)
    assert report.table.cases == ("1", "2", "3", "9")
    assert report.reused == 3
