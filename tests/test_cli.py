"""The command: what it writes, what it prints, and the one line it says when it cannot."""

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
from PIL import Image

from segjax.cli import main
from tests.io import files
from tests.io.test_refusals import bomb


SHAPE = (6, 5)
QUICK = ("--replicates", "99", "--quiet")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def segjax(capsys):
    """Run the command in this process."""

    def run(*arguments):
        status = main([str(a) for a in arguments])
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def evaluate(segjax, tmp_path):
    """`segjax evaluate r p -o out` in the temporary folder, with few replicates."""

    def run(*arguments, output=True):
        where = ("-o", tmp_path / "out") if output else ()
        return segjax("evaluate", tmp_path / "r", tmp_path / "p", *QUICK, *where, *arguments)

    return run


@pytest.fixture
def pairs(tmp_path):
    """Write pairs of label maps, by name."""

    def write(suffix=".npy", **maps):
        for i, side in enumerate("rp"):
            (tmp_path / side).mkdir(exist_ok=True)
            for name, pair in maps.items():
                save(tmp_path / side / f"{name}{suffix}", np.asarray(pair[i]))

    return write


def save(path, array):
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        np.save(path, array)


def square(size, *, of=1, dtype=np.uint8):
    """`size` voxels of label `of`, from the top left."""
    image = np.zeros(SHAPE, dtype)
    image.flat[:size] = of
    return image


def four(of=1):
    """Cases whose Dice are 1, 0.8, 0.5 and 0.4 by hand: 2 min(a, b) / (a + b)."""
    sizes = {"a": (8, 8), "b": (8, 12), "c": (4, 12), "d": (20, 5)}
    return {name: (square(r, of=of), square(p, of=of)) for name, (r, p) in sizes.items()}


FOUR = [1.0, 0.8, 0.5, 0.4]


def rows(folder):
    with (folder / "out" / "scores.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scores(folder, metric, label="1"):
    return [float(r["score"]) for r in rows(folder) if (r["metric"], r["label"]) == (metric, label)]


def summary(folder):
    return json.loads((folder / "out" / "summary.json").read_text("utf-8"))


def entry(found, metric, label=1):
    (one,) = [e for e in found["scores"] if (e["metric"], e["label"]) == (metric, label)]
    return one


def journal(folder):
    return [json.loads(x) for x in (folder / "out" / "cases.jsonl").read_text().splitlines()]


def refused(result, *patterns):
    """Status 2, and one line that says all of this."""
    assert result.status == 2
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    assert result.err.startswith("segjax: ")
    for pattern in patterns:
        assert re.search(pattern, result.err), result.err


def in_another_process(*arguments, before="", **options):
    """Start the command with a Python that first does `before`."""
    code = f"import sys; {before}\nfrom segjax.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return Result(process.returncode, out, err)


# Bad input: files


def shape_mismatch(path):
    np.save(path.with_suffix(".npy"), np.ones((5, 6), np.uint8))


def fractions(path):
    np.save(path.with_suffix(".npy"), np.full(SHAPE, 0.5))


def not_finite(path):
    np.save(path.with_suffix(".npy"), np.full(SHAPE, np.nan))


def negative(path):
    np.save(path.with_suffix(".npy"), np.full(SHAPE, -1))


def complex_numbers(path):
    np.save(path.with_suffix(".npy"), np.ones(SHAPE, complex))


def colours(path):
    Image.fromarray(np.ones((*SHAPE, 3), np.uint8)).save(path.with_suffix(".png"))


def pickled_npz(path):
    np.savez(path.with_suffix(".npz"), labels=np.array([{}], object))


def pickled_npy(path):
    np.save(path.with_suffix(".npy"), np.array([{}], object))


def cut_tiff(path):
    path = path.with_suffix(".tif")
    tifffile.imwrite(path, np.ones((64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-1000])


def text_as_png(path):
    path.with_suffix(".png").write_text("<html>404</html>")


def nothing(path):
    path.with_suffix(".png").touch()


def bomb_tif(path):
    bomb(path.with_suffix(".tif"))


def bomb_png(path):
    bomb(path.with_suffix(".png"))


def bomb_npy(path):
    bomb(path.with_suffix(".npy"))


BAD_FILES = {
    shape_mismatch: (r"has shape \(5, 6\)", "resample"),
    fractions: ("holds fractions", "threshold it"),
    not_finite: ("holds NaN", "save integer labels"),
    negative: ("holds negative labels", "number labels from 0"),
    complex_numbers: ("holds complex128 values", "save integer labels"),
    colours: ("holds colours", "keep one channel"),
    pickled_npz: ("holds pickled Python objects", "numpy.save"),
    pickled_npy: ("holds pickled Python objects", "numpy.save"),
    cut_tiff: ("is cut", "copy or export it again"),
    text_as_png: ("is damaged or no PNG|cannot be read", "export it again"),
    nothing: ("is empty", "copy it again"),
    bomb_tif: ("promises 10000000000 voxels", "crop it, or allow more"),
    bomb_png: ("promises 10000000000 voxels", "crop it, or allow more"),
    bomb_npy: ("promises 10000000000 voxels", "crop it, or allow more"),
}


@pytest.mark.parametrize("make", BAD_FILES, ids=lambda f: f.__name__)
def test_bad_file_is_one_line_and_what_was_computed_stays(make, evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)), b=(square(8), square(8)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("old")
    (tmp_path / "p" / "b.npy").unlink()
    make(tmp_path / "p" / "b")
    (bad,) = (tmp_path / "p").glob("b.*")
    refused(evaluate(), re.escape(str(bad)), *BAD_FILES[make])
    assert [e["case"] for e in journal(tmp_path)] == ["a"]
    assert sorted(os.listdir(tmp_path / "out")) == ["cases.jsonl", "report.html"]
    assert (tmp_path / "out" / "report.html").read_text() == "old"


def test_bad_reference_is_named_too(evaluate, pairs, tmp_path):
    pairs(a=(square(8).astype(float) / 2, square(8)))
    refused(evaluate(), re.escape(str(tmp_path / "r" / "a.npy")), "threshold it")


def test_mended_file_needs_no_second_scoring_of_the_others(evaluate, pairs, tmp_path):
    pairs(**four() | {"c": (square(4), square(12) * -1.0)})
    refused(evaluate(), "c.npy", "negative")
    pairs(**four())
    assert "3 from the earlier run" in evaluate("--resume").out
    assert scores(tmp_path, "dice") == FOUR


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "b\udcff"])
@needs_posix
def test_error_is_one_harmless_line_whatever_the_file_is_called(name, evaluate, pairs):
    pairs(**{name: (square(8), square(8).astype(float) / 2)})
    result = evaluate()
    refused(result, "holds fractions")
    assert "\x1b" not in result.err


# Bad input: folders


def test_empty_folder_is_refused(evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    (tmp_path / "p" / "a.npy").unlink()
    refused(evaluate(), re.escape(str(tmp_path / "p")), "holds no label maps", "put files in it")


def test_folders_without_a_common_name_are_refused(evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    (tmp_path / "p" / "a.npy").rename(tmp_path / "p" / "z.npy")
    refused(evaluate(), re.escape(str(tmp_path / "p")), "'z' here, 'a' there", "the same name")


def test_duplicate_stems_are_refused(evaluate, pairs):
    pairs(a=(square(8), square(8)))
    pairs(suffix=".png", a=(square(8), square(8)))
    refused(evaluate(), "a.npy and a.png have the same name|a.png and a.npy", "keep one of them")


def test_file_against_folder_is_refused(segjax, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    refused(
        segjax("evaluate", tmp_path / "r" / "a.npy", tmp_path / "p"), "two files or two folders"
    )


def test_folder_that_is_not_there_is_refused(segjax, tmp_path):
    refused(
        segjax("evaluate", tmp_path / "no", tmp_path), "/no: there is no such", "check the path"
    )


def test_images_that_are_no_folder_are_refused_before_scoring(evaluate, pairs, tmp_path):
    pairs(**four())
    refused(evaluate("--images", tmp_path / "nowhere"), "nowhere: is no folder", "--images")
    assert not (tmp_path / "out").exists()


# Bad input: options


@pytest.mark.parametrize(
    ("option", "value", "patterns"),
    [
        ("--spacing", "1,1,1", ["a.npy: spacing has 3 numbers", "2 axes", "one number per"]),
        ("--spacing", "0,1", ["--spacing must be positive"]),
        ("--spacing", "1,-1", ["--spacing must be positive"]),
        ("--spacing", "nan,1", ["--spacing must be positive"]),
        ("--spacing", "1;1", ["--spacing takes numbers"]),
        ("--labels", "-1", ["--labels takes different integers from 0 up, got -1"]),
        ("--labels", "1,1", ["--labels takes different integers"]),
        ("--labels", "x", ["--labels takes integers", "foreground", "'x'"]),
        ("--labels", "", ["--labels takes integers"]),
        ("--ignore", "x", ["--ignore", "not a valid integer", "segjax evaluate --help"]),
        ("--metrics", "dcie", ["unknown metric 'dcie'", "did you mean dice"]),
        ("--metrics", "f_beta(gamma=2)", ["no option 'gamma'", "it has beta"]),
        ("--fail-under", "dice", ["--fail-under takes METRIC=VALUE"]),
        ("--fail-under", "dice=high", ["--fail-under takes METRIC=VALUE"]),
        ("--fail-under", "dcie=1", ["unknown metric 'dcie'"]),
        ("--undefined", "zero", ["--undefined", "omit", "segjax evaluate --help"]),
        ("--max-voxels", "0", ["--max-voxels"]),
        ("--max-voxels", "9", ["a.npy", "30 voxels, more than the limit of 9"]),
        ("--label-names", "no.json", ["no.json", "check the path"]),
        ("--bogus", "1", ["No such option", "segjax evaluate --help"]),
    ],
)
def test_bad_option_is_one_line(option, value, patterns, evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    refused(evaluate(option, value), *patterns)
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_missing_argument_is_one_line(segjax):
    refused(segjax("evaluate", "x"), "PREDICTION", "segjax evaluate --help")


def test_resume_needs_an_output(evaluate, pairs):
    pairs(**four())
    refused(evaluate("--resume", output=False), "pass --output")


@pytest.mark.parametrize("side", ["r", "p"])
@pytest.mark.parametrize("place", ["option", "dataset.json"])
def test_label_without_a_name_is_refused(side, place, evaluate, pairs, tmp_path):
    pairs(a=(square(8, of=3 if side == "r" else 1), square(8, of=3 if side == "p" else 1)))
    names = files.dataset(
        tmp_path if place == "option" else tmp_path / "r", labels={"background": 0, "liver": 1}
    )
    options = ["--label-names", names] if place == "option" else []
    bad = re.escape(str(tmp_path / side / "a.npy"))
    refused(evaluate(*options), bad, r"has label 3, which is not among .*\(1\)", "name it, or")
    assert evaluate(*options, "--labels", "1").status == 0


# Bad input: where the output goes


def test_output_below_a_file_is_refused(segjax, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    (tmp_path / "file").touch()
    for output in (tmp_path / "file" / "out", tmp_path / "file"):
        refused(segjax("evaluate", tmp_path / "r", tmp_path / "p", "-o", output), str(output))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_output_where_nothing_can_be_made_is_refused(segjax, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    result = segjax("evaluate", tmp_path / "r", tmp_path / "p", "-o", "/proc/out")
    refused(result, "/proc/out: cannot be made", "choose another --output")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_read_only_output_is_refused(evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    (tmp_path / "out").mkdir(mode=0o555)
    refused(evaluate(), re.escape(str(tmp_path / "out")), "cannot be written", "another place")


@pytest.mark.parametrize("name", ["cases.jsonl", "scores.csv", "report.html"])
def test_output_file_that_cannot_be_replaced_is_refused(name, evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)))
    (tmp_path / "out" / name).mkdir(parents=True)
    refused(evaluate(), f"out/{name}: cannot be written")
    assert not list((tmp_path / "out").glob(".*"))


def limited(size):
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"


@needs_posix
def test_disk_that_fills_up_while_scoring_keeps_what_was_computed(evaluate, pairs, tmp_path):
    pairs(**four())
    whole = evaluate()
    assert whole.status == 0
    expected = (tmp_path / "out" / "scores.csv").read_bytes()
    size = 2 * len(json.dumps(journal(tmp_path)[0])) + 100
    process = in_another_process(
        *("evaluate", tmp_path / "r", tmp_path / "p", "-o", tmp_path / "new", *QUICK),
        before=limited(size),
        env=os.environ | {"SEGJAX_CACHE": str(tmp_path / "cache")},
    )
    refused(finish(process), "new/cases.jsonl: cannot be written", "free some space")
    assert os.listdir(tmp_path / "new") == ["cases.jsonl"]
    (tmp_path / "out").rename(tmp_path / "whole")
    (tmp_path / "new").rename(tmp_path / "out")
    assert len(journal(tmp_path)) == 2
    assert "2 from the earlier run" in evaluate("--resume").out
    assert (tmp_path / "out" / "scores.csv").read_bytes() == expected


@needs_posix
def test_disk_that_fills_up_while_writing_keeps_the_old_report(evaluate, pairs, tmp_path):
    pairs(**four())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("old")
    process = in_another_process(
        *("evaluate", tmp_path / "r", tmp_path / "p", "-o", tmp_path / "out", *QUICK),
        before=limited(3500),
        env=os.environ | {"SEGJAX_CACHE": str(tmp_path / "cache")},
    )
    refused(finish(process), r"(summary.json|report.html): cannot be written", "free some space")
    assert (tmp_path / "out" / "report.html").read_text() == "old"
    assert not list((tmp_path / "out").glob(".*"))
    assert "4 from the earlier run" in evaluate("--resume").out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "segjax", "metrics"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.returncode == 2
    assert process.stderr.startswith("segjax: No space left on device")
    assert "Traceback" not in process.stderr


@needs_posix
def test_interrupted_run_is_finished_by_resume(segjax, tmp_path, rng):
    cases = 150
    for side in "rp":
        (tmp_path / side).mkdir()
        first = tmp_path / side / "0.npy"
        np.save(first, (rng.random((256, 256)) < 0.5).astype(np.uint8))
        for i in range(1, cases):
            os.link(first, tmp_path / side / f"{i}.npy")
    arguments = ["evaluate", tmp_path / "r", tmp_path / "p", "-m", "dice,vi", *QUICK, "-o"]
    process = in_another_process(
        *arguments,
        tmp_path / "out",
        # A shell that starts things in the background lets them ignore interrupts.
        before="import signal; signal.signal(signal.SIGINT, signal.default_int_handler)",
    )
    lines = tmp_path / "out" / "cases.jsonl"
    while not (lines.exists() and lines.read_bytes().count(b"\n") > 2):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    refused(result, f"stopped after [0-9]+ of {cases} cases; run again with --resume to finish")
    done = int(re.findall(r"after ([0-9]+)", result.err)[0])
    assert 2 < len(journal(tmp_path)) < cases
    assert done <= len(journal(tmp_path)) <= done + 1  # a line may be in before it is counted
    assert os.listdir(tmp_path / "out") == ["cases.jsonl"]
    done = len(journal(tmp_path))
    resumed = segjax(*arguments, tmp_path / "out", "--resume")
    assert f"{cases} cases (flat), {done} from the earlier run" in resumed.out
    assert len(journal(tmp_path)) == cases
    assert segjax(*arguments, tmp_path / "whole").status == 0
    whole = (tmp_path / "whole" / "scores.csv").read_bytes()
    assert (tmp_path / "out" / "scores.csv").read_bytes() == whole


def test_interrupt_without_an_output_says_that_nothing_was_kept(segjax, pairs, tmp_path):
    from segjax import folder

    pairs(**four())
    patch = pytest.MonkeyPatch()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with patch.context() as context:
        context.setattr(folder.scoring, "_score", interrupt)
        result = segjax("evaluate", tmp_path / "r", tmp_path / "p")
    refused(result, "stopped after 0 of 4 cases; pass --output to keep them")
    with patch.context() as context:
        context.setattr(folder, "summarise", interrupt)
        result = segjax("evaluate", tmp_path / "r", tmp_path / "p")
    refused(result, "stopped; run again")


# What is written


def test_two_folders_give_a_table_a_summary_and_a_page(evaluate, pairs, tmp_path):
    pairs(**four())
    result = evaluate()
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("4 cases (flat)\n")
    for name in ("scores.csv", "summary.json", "report.html"):
        assert str(tmp_path / "out" / name) in result.out
    assert sorted(os.listdir(tmp_path / "out")) == [
        *("cases.jsonl", "report.html", "scores.csv", "summary.json")
    ]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")
    found = rows(tmp_path)
    assert list(found[0]) == ["case", "label", "name", "metric", "score", "status"]
    metrics = [*("dice", "iou", "sensitivity", "specificity", "precision", "volumetric_similarity")]
    assert [(r["case"], r["metric"]) for r in found] == [(c, m) for c in "abcd" for m in metrics]
    assert {(r["label"], r["name"], r["status"]) for r in found} == {("1", "foreground", "scored")}
    assert scores(tmp_path, "dice") == FOUR


def test_summary_says_what_there_is_to_say(evaluate, pairs, tmp_path):
    pairs(**four())
    evaluate("-m", "DSC")
    found = summary(tmp_path)
    one = entry(found, "dice")
    assert one["n"] == 4
    assert one["n_undefined"] == one["n_missed"] == 0
    np.testing.assert_allclose(one["mean"], 0.675)  # (1 + 0.8 + 0.5 + 0.4) / 4
    np.testing.assert_allclose(one["median"], 0.65)
    np.testing.assert_allclose(one["sd"], np.std(FOUR, ddof=1))
    np.testing.assert_allclose(one["pooled"], 2 * 25 / (40 + 37))  # min of the sizes: 8 8 4 5
    for q, value in one["quantiles"].items():
        np.testing.assert_allclose(value, np.quantile(FOUR, float(q)))
    interval = one["interval"]
    assert 0.4 <= interval["low"] < one["mean"] < interval["high"] <= 1
    assert interval["replicates"] == 99
    assert found["cases"] == 4
    assert found["options"]["metrics"] == ["dice"]
    assert {"python", "jax", "numpy"} <= found["versions"].keys()
    assert found["segjax"] == found["options"]["segjax"]
    first = found["inputs"][0]
    for side in ("reference", "prediction"):
        path = tmp_path / side[0] / "a.npy"
        assert first[side]["path"] == str(path)
        assert first[side]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert first["shape"] == list(SHAPE)
    assert found["command"].startswith(f"segjax evaluate {tmp_path}/r {tmp_path}/p")


@pytest.mark.parametrize("output", [True, False])
def test_json_is_all_there_is_on_standard_output(output, evaluate, pairs, tmp_path):
    pairs(**four() | {"e": (square(0), square(0))})
    save(tmp_path / "r" / "alone.npy", square(1))
    result = evaluate("--json", output=output)
    found = json.loads(result.out, parse_constant=pytest.fail)
    assert entry(found, "dice")["n_undefined"] == 1
    assert found["unpaired"] == {"reference": ["alone"], "prediction": []}
    if output:
        assert found == summary(tmp_path)


def test_two_files_are_one_case(segjax, pairs, tmp_path):
    pairs(**four())
    result = segjax("evaluate", tmp_path / "r" / "c.npy", tmp_path / "p" / "c.npy", "-m", "dice")
    assert result.status == 0
    assert re.search(r"^1 case \(files\)$", result.out, re.M)
    assert re.search(r"^dice +0\.5000", result.out, re.M)


def test_metrics_have_options_with_commas(evaluate, pairs, tmp_path):
    pairs(**four())
    name = "vi_split(ignore_background=True)"
    assert evaluate("-m", f"DSC, f_beta(beta=2),{name},IoU").status == 0
    assert summary(tmp_path)["options"]["metrics"] == ["dice", "f_beta(beta=2)", name, "iou"]


def test_labels_are_scored_one_by_one_in_the_order_asked_for(evaluate, pairs, tmp_path):
    both = square(10) + square(4)  # label 2 four times, label 1 six times
    pairs(a=(both, square(10)))
    assert evaluate("-m", "dice", "--labels", "2,1").status == 0
    assert [(r["label"], float(r["score"])) for r in rows(tmp_path)] == [("2", 0), ("1", 0.75)]
    evaluate("-m", "dice", "--labels", "foreground")
    assert [(r["label"], float(r["score"])) for r in rows(tmp_path)] == [("1", 1)]


def test_label_names_are_used(evaluate, pairs, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text("label,name\n0,background\n1,liver\n2,tumour [/b]\x1b[31m\n")
    pairs(a=(square(10) + square(4), square(10) + square(4)))
    result = evaluate("-m", "dice", "--label-names", names)
    assert [(r["label"], r["name"]) for r in rows(tmp_path)] == [
        ("1", "liver"),
        ("2", "tumour [/b]\x1b[31m"),
    ]
    assert "liver" in result.out
    assert "tumour [/b]" in result.out
    assert "\x1b[31m" not in result.out


def test_spacing_scales_volumes(evaluate, pairs, tmp_path):
    pairs(a=(square(4), square(10)))
    evaluate("-m", "absolute_volume_difference", "--spacing", "2,3")
    assert [float(r["score"]) for r in rows(tmp_path)] == [36.0]  # (10 - 4) voxels of 6
    assert summary(tmp_path)["inputs"][0]["spacing"] == [2.0, 3.0]


def test_ignored_voxels_are_not_counted(evaluate, pairs, tmp_path):
    reference = square(10)
    reference.flat[4:8] = 255
    pairs(a=(reference, square(6)))
    evaluate("-m", "dice,tn", "--ignore", "255")
    # Counted: reference 0-3 and 8-9, prediction 0-3.
    assert scores(tmp_path, "dice") == [0.8]
    assert scores(tmp_path, "tn") == [20.0]


def nifti_pair(tmp_path, units):
    mask = np.zeros((8, 9, 7), np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    for side, moved in (("r", 0), ("p", 1)):
        (tmp_path / side).mkdir(exist_ok=True)
        array = np.roll(mask, moved, axis=0)
        files.nifti(tmp_path / side / "a.nii.gz", array, zooms=(2, 1, 1), units=units)


@pytest.mark.parametrize("surface", ["voxel", "surfel", "mesh"])
def test_boundary_metrics_print_their_unit(surface, evaluate, tmp_path):
    nifti_pair(tmp_path, "mm")
    names = "hd95,assd,nsd@1mm,boundary_iou,assd(unmatched=omit),unmatched_objects"
    done = evaluate("-m", names, "--surface", surface)
    assert done.status == 0
    for text in ("assd [mm]", "hausdorff(percentile=95) [mm]", "unmatched_objects [objects]"):
        assert text in done.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Distances between surfaces" in page
    assert "farthest apart: 2.00 mm" in page


def test_lengths_of_metrics_must_be_in_the_unit_of_the_images(evaluate, tmp_path):
    nifti_pair(tmp_path, "micron")
    done = evaluate("-m", "nsd@2mm")
    assert done.status == 2
    assert "nsd@2mm: the images are in um; write the length in that, 1 mm being 1000 um" in done.err
    done = evaluate("-m", "nsd@2px")
    assert done.status == 2
    assert "a pixel measures 2 x 1 x 1" in done.err
    assert evaluate("-m", "nsd@2um,nsd@2").status == 0


def test_lengths_in_a_unit_that_images_do_not_tell_are_noted(evaluate, pairs):
    pairs(a=(square(4), square(10)))
    done = evaluate("-m", "nsd@2mm")
    assert done.status == 0
    assert "note: nsd@2mm: taken in the unit of the spacing" in done.err
    assert evaluate("-m", "nsd@2px").status == 0
    assert "a pixel measures 0.5" in evaluate("-m", "nsd@2px", "--spacing", "0.5,0.5").err


def test_spacings_in_headers_must_agree(segjax, tmp_path):
    for side, spacing in (("r", (1.0, 1.0)), ("p", (1.0, 2.0))):
        pytest.importorskip("SimpleITK")
        (tmp_path / side).mkdir()
        files.itk(tmp_path / side / "a.mha", square(8), spacing=spacing)
    arguments = ["evaluate", tmp_path / "r", tmp_path / "p", "-m", "dice"]
    refused(segjax(*arguments), "p/a.mha: lies on another grid", "--allow-spacing-mismatch")
    assert segjax(*arguments, "--allow-spacing-mismatch").status == 0
    assert segjax(*arguments, "--spacing", "1,1").status == 0


def test_cases_without_a_partner_are_listed(evaluate, pairs, tmp_path):
    pairs(**four())
    save(tmp_path / "r" / "e.npy", square(1))
    save(tmp_path / "p" / "f\x1b[31m.npy", square(1))
    result = evaluate()
    assert result.status == 0
    assert "1 references without a prediction, not scored: e\n" in result.err
    assert "1 predictions without a reference, not scored: f\\x1b[31m\n" in result.err
    assert summary(tmp_path)["unpaired"]["reference"] == ["e"]
    assert summary(tmp_path)["cases"] == 4


def test_whole_numbers_stored_as_floats_are_scored_with_a_note(evaluate, pairs, tmp_path):
    pairs(a=(square(8, dtype=np.float32), square(8)), b=(square(8, dtype=float), square(8)))
    result = evaluate()
    assert result.status == 0
    assert re.fullmatch(r"note: .*a\.npy: labels stored as float32 .*1 more files?\)\n", result.err)
    assert len(summary(tmp_path)["notes"]) == 1


# Names from outside


HOSTILE = ["<b>x", 'a"b', "a,b", "[red]c", "=1+1", "d e", "ü", "-o"]


def test_hostile_names_survive(evaluate, pairs, tmp_path):
    pairs(**dict.fromkeys(HOSTILE, (square(8), square(8))))
    result = evaluate("-m", "dice")
    assert result.status == 0
    assert {r["case"] for r in rows(tmp_path)} == set(HOSTILE)
    assert {i["case"] for i in summary(tmp_path)["inputs"]} == set(HOSTILE)
    assert "<b>x" not in (tmp_path / "out" / "report.html").read_text("utf-8")


@needs_posix
def test_names_that_no_encoding_holds_survive(evaluate, pairs, tmp_path):
    pairs(**{"a\nb": (square(8), square(8)), "c\udcff": (square(8), square(8))})
    result = evaluate("-m", "dice", "--json")
    assert result.status == 0
    assert [i["case"] for i in json.loads(result.out)["inputs"]] == ["a\nb", "c\udcff"]
    assert [r["case"] for r in rows(tmp_path)] == ["a\nb", "c\\udcff"]


@needs_posix
def test_links_are_followed_and_broken_ones_are_listed(evaluate, pairs, tmp_path):
    pairs(**four())
    (tmp_path / "r" / "link.npy").symlink_to(tmp_path / "r" / "a.npy")
    (tmp_path / "p" / "link.npy").symlink_to(tmp_path / "p" / "b.npy")
    save(tmp_path / "r" / "broken.npy", square(1))
    (tmp_path / "p" / "broken.npy").symlink_to(tmp_path / "nowhere.npy")
    result = evaluate("-m", "dice")
    assert scores(tmp_path, "dice") == [*FOUR, 0.8]
    assert "1 references without a prediction, not scored: broken" in result.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_without_the_letters_of_a_name_is_no_hindrance(encoding, pairs, tmp_path):
    names = tmp_path / "names.json"
    names.write_text('{"1": "肝"}', "utf-8")
    pairs(**four())
    process = in_another_process(
        *("evaluate", tmp_path / "r", tmp_path / "p", "--label-names", names, "--json", *QUICK),
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    result = finish(process)
    assert (result.status, result.err) == (0, "")
    assert entry(json.loads(result.out), "dice")["name"] == "肝"
    process = in_another_process(
        *("evaluate", tmp_path / "r", tmp_path / "p", "--label-names", names, "-m", "dice", *QUICK),
        *("--labels", "1,2"),
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    result = finish(process)
    assert (result.status, result.err) == (0, "")
    assert "肝" in result.out or "\\u809d" in result.out


# Undefined and missed


def test_class_absent_from_both_is_undefined_and_never_0(evaluate, pairs, tmp_path):
    pairs(a=(square(10) + square(4), square(10) + square(4)), b=(square(10), square(10)))
    evaluate("-m", "dice,precision")
    found = {(r["case"], r["label"], r["metric"]): r for r in rows(tmp_path)}
    absent = found["b", "2", "dice"]
    assert (absent["score"], absent["status"]) == ("nan", "undefined")
    one = entry(summary(tmp_path), "dice", 2)
    assert (one["mean"], one["n"], one["n_undefined"], one["n_missed"]) == (1.0, 1, 1, 0)


@pytest.mark.parametrize(
    ("policy", "mean", "n"), [("omit", 1, 1), ("best", 1, 2), ("worst", 0.5, 2)]
)
def test_policy_for_undefined_scores(policy, mean, n, evaluate, pairs, tmp_path):
    pairs(a=(square(8), square(8)), b=(square(0), square(0)))
    assert evaluate("-m", "dice", "--undefined", policy).status == 0
    one = entry(summary(tmp_path), "dice")
    assert (one["mean"], one["n"], one["n_undefined"]) == (mean, n, 1)


def test_undefined_may_be_an_error(evaluate, pairs):
    pairs(a=(square(8), square(8)), b=(square(0), square(0)))
    refused(evaluate("-m", "dice", "--undefined", "fail"), "dice is undefined")


@pytest.mark.parametrize(
    ("policy", "mean", "n"), [(None, 0.5, 2), ("worst", 0.5, 2), ("omit", 1, 1)]
)
def test_precision_of_an_empty_prediction_is_missed_and_counts_as_0(
    policy, mean, n, evaluate, pairs, tmp_path
):
    pairs(a=(square(8), square(8)), b=(square(8), square(0)))
    assert evaluate("-m", "precision", *(["--missing", policy] if policy else [])).status == 0
    assert [(r["score"], r["status"]) for r in rows(tmp_path)] == [
        ("1.0", "scored"),
        ("nan", "missed"),
    ]
    one = entry(summary(tmp_path), "precision")
    assert (one["mean"], one["n"], one["n_undefined"], one["n_missed"]) == (mean, n, 0, 1)


def test_missed_may_be_an_error_that_names_the_case(evaluate, pairs):
    pairs(a=(square(8), square(8)), b=(square(8), square(0)))
    refused(evaluate("-m", "precision", "--missing", "fail"), "b: nothing was predicted")


# Masks and objects


@pytest.mark.parametrize("empty", [False, True])
def test_masks_stored_as_255_against_1_are_refused_and_mended(empty, evaluate, pairs, tmp_path):
    maps = {name: (r * 255, p) for name, (r, p) in four().items()}
    pairs(**maps | ({"0": (square(0), square(0))} if empty else {}))
    refused(evaluate(), "r/.*only label 255", "only label 1", "--labels foreground")
    assert not (tmp_path / "out" / "scores.csv").exists()
    assert evaluate("--labels", "foreground").status == 0
    assert scores(tmp_path, "dice")[-4:] == FOUR


def test_empty_case_among_masks_of_255_adds_no_label(evaluate, pairs, tmp_path):
    pairs(**four(of=255) | {"e": (square(0), square(0))})
    assert evaluate("-m", "dice").status == 0
    assert [k["value"] for k in summary(tmp_path)["labels"]] == [255]
    assert scores(tmp_path, "dice", "255")[:4] == FOUR
    assert rows(tmp_path)[4]["status"] == "undefined"


def test_only_empty_cases_are_all_undefined(evaluate, pairs, tmp_path):
    pairs(a=(square(0), square(0)), b=(square(0), square(0)))
    result = evaluate("-m", "dice")
    assert (result.status, result.err) == (0, "")
    assert {r["status"] for r in rows(tmp_path)} == {"undefined"}
    one = entry(summary(tmp_path), "dice")
    assert (one["mean"], one["n"], one["n_undefined"], one["interval"]) == (None, 0, 2, None)


def objects(count, first=1):
    """Objects of one voxel each, in an image that has room for background."""
    image = np.zeros((10, 10), np.uint16)
    image.flat[:count] = np.arange(first, first + count)
    return image


def test_more_than_32_labels_are_objects(evaluate, pairs, tmp_path):
    pairs(a=(objects(40), objects(40, first=7)))
    result = evaluate()
    assert "note: a has 40 labels, taken as objects" in result.err
    assert {r["label"] for r in rows(tmp_path)} == {"", "1"}
    assert scores(tmp_path, "dice") == [1.0]
    assert scores(tmp_path, "seg", "") == [1.0]


def test_objects_are_listed_by_case(evaluate, pairs, tmp_path):
    reference = np.zeros((8, 8), np.uint16)
    reference[1:3, 1:7], reference[4:7, 1:4] = 300, 2
    prediction = np.where(reference == 2, 0, reference)
    prediction[1:3, 4:] = 9  # half of it: 300 is split
    pairs(**dict.fromkeys(HOSTILE, (reference, prediction)))
    result = evaluate("-m", "SEG", "--labels", "foreground")
    assert result.status == 0
    assert f"objects  {tmp_path / 'out' / 'objects.csv'}\n" in result.out
    with (tmp_path / "out" / "objects.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert {x["case"] for x in lines} == set(HOSTILE)
    kinds = [(x["side"], x["label"], x["kind"]) for x in lines if x["case"] == "=1+1"]
    assert kinds == [
        ("reference", "2", "missed"),
        ("reference", "300", "split"),
        ("prediction", "9", "split"),
        ("prediction", "300", "split"),
    ]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<b>x" not in page
    assert "0 accurate, 1 missed, 0 merged, 1 split, 0 spurious" in page
    (tmp_path / "out" / "objects.csv").unlink()
    (tmp_path / "out" / "objects.csv").mkdir()
    again = evaluate("-m", "SEG", "--labels", "foreground", "--resume")
    refused(again, "out/objects.csv: cannot be written")


@pytest.mark.parametrize("side", ["r", "p"])
def test_objects_after_a_case_of_few_are_not_taken_as_classes(side, evaluate, pairs, tmp_path):
    many = (objects(40), objects(3)) if side == "r" else (objects(3), objects(40))
    pairs(a=(objects(3), objects(3)), b=many)
    refused(evaluate(), f"{side}/b.npy: has 40 labels", "--labels foreground if they are objects")
    assert evaluate("--labels", "foreground").status == 0
    listed = ",".join(map(str, range(1, 41)))
    assert evaluate("--labels", listed).status == 0
    assert len(summary(tmp_path)["labels"]) == 40


# Layouts


def test_nnunet_names_and_ignored_label_are_read(evaluate, pairs, tmp_path):
    reference = square(10) + square(4)
    reference.flat[20:] = 3
    files.dataset(tmp_path, labels={"background": 0, "liver": 1, "tumour": 2, "ignore": 3})
    (tmp_path / "dataset.json").rename(tmp_path / "keep.json")
    pairs(suffix=".tif", a=(reference, square(30)))
    (tmp_path / "keep.json").rename(tmp_path / "r" / "dataset.json")
    result = evaluate("-m", "dice,tp,fp")
    assert result.out.startswith("1 case (nnunet)")
    assert summary(tmp_path)["options"]["ignore"] == 3
    named = {(r["name"], r["metric"]): float(r["score"]) for r in rows(tmp_path)}
    assert (named["liver", "tp"], named["liver", "fp"]) == (6, 14)  # of 20 voxels that count
    assert named["tumour", "dice"] == 0


def test_cell_tracking_folders_are_recognised(segjax, tmp_path):
    truth, result_folder = tmp_path / "01_GT" / "SEG", tmp_path / "01_RES"
    for folder in (truth, result_folder):
        folder.mkdir(parents=True)
    for frame in (0, 2, 3):
        tifffile.imwrite(truth / f"man_seg{frame:03}.tif", objects(4))
    for frame in (0, 1, 2):
        tifffile.imwrite(result_folder / f"mask{frame:03}.tif", objects(3, first=9))
    result = segjax("evaluate", truth.parent, result_folder, *QUICK, "-o", tmp_path / "out")
    assert result.status == 0
    assert "3 cases (ctc)" in result.out
    assert "taken as objects" in result.err
    assert "1 references without a prediction, counted as empty: t003" in result.err
    assert {r["case"] for r in rows(tmp_path)} == {"t000", "t002", "t003"}
    assert scores(tmp_path, "seg", "") == [0.75, 0.75, 0.0]  # three of four, each whole; none
    pooled = {e["metric"]: e["pooled"] for e in summary(tmp_path)["scores"]}
    assert pooled["seg"] == 6 / 12
    page = (tmp_path / "out" / "report.html").read_text()
    assert "count as if nothing had been found in them" in page


# Gates


@pytest.mark.parametrize(
    ("gate", "status", "said"),
    [
        ("dice=0.67", 0, ""),
        ("DSC=0.675", 0, ""),  # though the mean in floating point is a little less
        ("dice=0.99", 1, "gate failed: mean dice: 0.675 < 0.99"),
        ("dice.low=0.3", 0, ""),
        ("dice.low=0.67", 1, "gate failed: low dice: "),
        ("dice.median=0.66", 1, "gate failed: median dice: 0.65 < 0.66"),
        ("dice.min=0.4", 0, ""),
        ("vi=5", 0, ""),  # lower is better, and not among the metrics that were asked for
        ("vi=0.01", 1, "gate failed: mean variation_of_information: .* > 0.01"),
        ("vi.low=0.01", 1, "gate failed: low variation_of_information: .* > 0.01"),
        ("f_beta(beta=2)=0.9", 1, r"gate failed: mean f_beta\(beta=2\): "),
    ],
)
@pytest.mark.parametrize("metrics", [(), ("-m", "iou")])
def test_gate(gate, status, said, metrics, evaluate, pairs):
    pairs(**four())
    result = evaluate(*metrics, "--fail-under", gate, output=False)
    assert result.status == status
    assert re.match(f"segjax: {said}" if said else "$", result.err)
    assert result.err.count("\n") == bool(said)
    assert result.out.startswith("4 cases")


def test_every_gate_has_its_say(evaluate, pairs):
    pairs(**four())
    gates = ("--fail-under", "dice=0.9", "--fail-under", "iou=0.1", "--fail-under", "vi=0")
    result = evaluate(*gates, "--json", output=False)
    assert result.status == 1
    assert result.err.count("gate failed") == 2
    assert json.loads(result.out)["cases"] == 4


@pytest.mark.parametrize("gate", ["dice=0", "dice.low=0", "vi.low=9", "dice=nan"])
def test_gate_without_a_value_fails(gate, evaluate, pairs):
    pairs(a=(square(0), square(0)))  # dice is undefined, and one case has no interval
    result = evaluate("--fail-under", gate, output=False)
    assert result.status == 1
    assert "no value" in result.err


def test_gate_is_judged_even_if_nobody_reads_the_output(pairs, tmp_path):
    pairs(**four())
    process = in_another_process(
        *("evaluate", tmp_path / "r", tmp_path / "p", "--fail-under", "dice=0.9", *QUICK)
    )
    process.stdout.close()
    process.stdout = None
    result = finish(process)
    assert result.status == 1
    assert re.fullmatch("segjax: gate failed.*\n", result.err)


# Resume


def test_resume_scores_only_what_changed(evaluate, pairs, tmp_path):
    pairs(**four())
    evaluate()
    pairs(b=(square(8), square(8)))
    assert "3 from the earlier run" in evaluate("--resume").out
    assert scores(tmp_path, "dice") == [1.0, 1.0, 0.5, 0.4]
    assert "4 from the earlier run" in evaluate("--resume").out


def test_resume_follows_folders_that_moved(evaluate, segjax, pairs, tmp_path):
    pairs(**four())
    evaluate()
    for side in "rp":
        (tmp_path / side).rename(tmp_path / f"{side}{side}")
    arguments = ["evaluate", tmp_path / "rr", tmp_path / "pp", *QUICK, "-o", tmp_path / "out"]
    assert "4 from the earlier run" in segjax(*arguments, "--resume").out
    assert summary(tmp_path)["inputs"][0]["reference"]["path"] == str(tmp_path / "rr" / "a.npy")


@pytest.mark.parametrize(
    "other", [("-m", "iou"), ("--labels", "1"), ("--spacing", "2"), ("--ignore", "9")]
)
def test_resume_with_other_options_is_refused_and_forgets_nothing(other, evaluate, pairs, tmp_path):
    pairs(**four())
    evaluate()
    before = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    refused(evaluate("--resume", *other), "cases.jsonl: the earlier run had other options")
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert "4 from the earlier run" in evaluate("--resume").out


def test_resume_may_change_the_policy(evaluate, pairs):
    pairs(**four())
    evaluate()
    assert "4 from the earlier run" in evaluate("--resume", "--undefined", "worst").out


@pytest.mark.parametrize("content", [b"{}\n", b"[]\n[]\n", b"hello\nyou\n"])
def test_resume_from_what_is_no_journal_is_refused(content, evaluate, pairs, tmp_path):
    pairs(**four())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cases.jsonl").write_bytes(content)
    refused(evaluate("--resume"), "cases.jsonl", "choose another --output|without resuming")
    assert (tmp_path / "out" / "cases.jsonl").read_bytes() == content


def test_torn_last_line_of_a_journal_is_scored_again(evaluate, pairs, tmp_path):
    pairs(**four())
    evaluate()
    lines = tmp_path / "out" / "cases.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    assert "3 from the earlier run" in evaluate("--resume").out
    assert scores(tmp_path, "dice") == FOUR


# The other commands


def test_metrics_are_listed(segjax):
    from segjax.metrics import METRICS

    lines = segjax("metrics").out.splitlines()
    assert [line.split()[0] for line in lines] == [m.name for m in METRICS]


def test_metric_is_explained_by_any_of_its_names(segjax):
    result = segjax("metrics", "dsc")
    assert result.status == 0
    for words in ("dice ", "2 TP / (2 TP + FP + FN)", "1 is best", "also called        DSC"):
        assert words in result.out


def test_unknown_metric_suggests_the_nearest(segjax):
    refused(segjax("metrics", "hausdorf_dice"), "unknown metric 'hausdorf_dice'")
    refused(segjax("metrics", "presicion"), "did you mean precision")


def test_unknown_command_is_one_line(segjax):
    refused(segjax("evalute"), "No such command 'evalute'", "segjax --help")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("evaluate", "-h"), ("--version",)])
def test_help_is_no_error(arguments, segjax):
    result = segjax(*arguments)
    assert (result.status, result.err) == (0, "")
    assert "segjax" in result.out


@pytest.mark.parametrize(
    "code",
    [
        "import segjax",
        "import segjax; segjax.__version__, segjax.InputError",
        "from segjax.cli import main; main(['--help']); main(['evaluate', '--help'])",
        "from segjax.cli import main; main(['evaluate', 'x', 'y', '--labels', 'x'])",
    ],
)
def test_help_and_import_load_nothing_heavy(code):
    heavy = "{'jax', 'numpy', 'scipy', 'PIL', 'tifffile', 'rich', 'flax'}"
    check = f"{code}\nimport sys; sys.exit(' '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_python_m_segjax_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "segjax", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert {"evaluate", "demo", "metrics"} <= set(done.stdout.split())


def test_reader_of_a_pipe_may_leave_early():
    process = in_another_process("metrics")
    process.stdout.close()
    process.stdout = None
    assert finish(process) == Result(0, None, "")


@needs_posix
def test_cold_process_scores_a_pair_without_a_cache_or_a_home(pairs, tmp_path):
    pairs(**four())
    process = in_another_process(
        *("evaluate", tmp_path / "r" / "b.npy", tmp_path / "p" / "b.npy", *QUICK),
        env=os.environ | {"SEGJAX_CACHE": str(tmp_path / "r" / "b.npy" / "cache")},
    )
    result = finish(process)
    assert (result.status, result.err) == (0, "")
    assert re.search(r"^dice +0\.8000", result.out, re.M)


def test_few_programs_are_compiled_for_many_shapes(tmp_path, pairs, rng):
    maps = {}
    for i in range(40):
        shape = tuple(rng.integers(20, 200, 2))
        maps[f"{i}"] = tuple((rng.random(shape) < 0.5).astype(np.uint8) for _ in "rp")
    pairs(**maps)
    process = in_another_process("evaluate", tmp_path / "r", tmp_path / "p", "--json", *QUICK)
    found = json.load(io.StringIO(finish(process).out))
    assert found["cases"] == 40
    assert found["compilations"]["programs"] <= 12
