"""`segjax leaderboard`: from files to a board and back, and one line where there is none."""

import csv
import io
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from segjax.cli import main


QUICK = ("--replicates", "300", "--permutations", "300")
FILES = ("index.html", "leaderboard.csv", "leaderboard.json", "leaderboard.md", "leaderboard.tex")
A = [0.9, 0.8, 0.7, 0.95, 0.6, 0.85]
B = [0.8, 0.75, 0.65, 0.9, 0.5, 0.8]


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def leaderboard(capsys, tmp_path, monkeypatch):
    """Run the command in this process, in the temporary folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, quick=True):
        status = main(["leaderboard", *map(str, arguments), *(QUICK if quick else ())])
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def board(leaderboard):
    """The document that `--json` prints."""

    def run(*arguments):
        result = leaderboard(*arguments, "--json")
        assert result.status == 0, result.err
        return json.loads(result.out)

    return run


def wide(path, **models):
    """A table with a column for the metric."""
    lines = ["model,case,patient,dice"]
    for model, scores in models.items():
        lines += [f"{model},c{i},p{i // 2},{s}" for i, s in enumerate(scores)]
    path.write_text("\n".join(lines))
    return path


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def means(document):
    return {row["model"]: row["estimate"] for row in document["results"][0]["table"]}


EXPECTED = {"A": np.mean(A), "B": np.mean(B)}


def refused(result, *patterns):
    """Status 2, and one line that says all of this."""
    assert result.status == 2, (result.out, result.err)
    assert result.out == ""
    assert result.err.count("\n") == 1, result.err
    assert result.err.isprintable() or result.err[:-1].isprintable()
    assert result.err.startswith("segjax: ")
    assert len(result.err) < 600
    for pattern in patterns:
        assert re.search(pattern, result.err), result.err


# What can be given.


def test_wide_table(board, tmp_path):
    document = board(wide(tmp_path / "scores.csv", A=A, B=B))
    assert means(document) == pytest.approx(EXPECTED)
    assert document["metadata"] == {"patient": ["p0", "p0", "p1", "p1", "p2", "p2"]}
    assert document["command"] == (
        f"segjax leaderboard {tmp_path}/scores.csv --json --replicates 300 --permutations 300"
    )


def test_long_table(board, tmp_path):
    rows = [
        f"{m};c{i};{k};{str(v).replace('.', ',')}"
        for m, scores in (("A", A), ("B", B))
        for i, s in enumerate(scores)
        for k, v in (("Dice", s), ("HD95", 10 * s))
    ]
    (tmp_path / "long.csv").write_text("\n".join(["method;case;metric;value", *rows]))
    document = board("long.csv", "-m", "hd95,dice")
    names = [result["measure"] for result in document["results"]]
    assert names == ["hausdorff(percentile=95)", "dice"]
    assert [row["model"] for row in document["results"][0]["table"]] == ["B", "A"]
    document = board("long.csv", "-m", "dice")
    assert means(document) == pytest.approx(EXPECTED)


def test_a_folder_of_tables_named_by_their_files(board, leaderboard, tmp_path):
    (tmp_path / "all").mkdir()
    for name, scores in (("A", A), ("B", B)):
        lines = [f"c{i},{s}" for i, s in enumerate(scores)]
        (tmp_path / "all" / f"{name}.csv").write_text("\n".join(["case,dice", *lines]))
    assert means(board("all/A.csv", "all/B.csv")) == pytest.approx(EXPECTED)
    assert set(means(board("x=all/A.csv", "all/B.csv"))) == {"x", "B"}
    refused(leaderboard("all"), r"all: holds no scores.csv; .*give all/\*\.csv")
    refused(leaderboard("=all/A.csv"), "give NAME=PATH")
    refused(leaderboard("x="), "give NAME=PATH")
    refused(leaderboard("x=all/A.csv", "x=all/B.csv"), "'x' is in two sources")


def test_runs_of_evaluate(board, leaderboard, tmp_path, capsys):
    rng = np.random.default_rng(2)
    (tmp_path / "r").mkdir()
    for name in "ab":
        (tmp_path / name).mkdir()
    for case in range(3):
        reference = np.zeros((9, 8), np.uint8)
        reference[2:6, 2 : 5 + case] = 1
        np.save(tmp_path / "r" / f"{case}.npy", reference)
        for name, share in (("a", 0.05), ("b", 0.3)):
            noisy = np.where(rng.random((9, 8)) < share, 1 - reference, reference)
            np.save(tmp_path / name / f"{case}.npy", noisy)
    for name in "ab":
        arguments = [str(tmp_path / "r"), str(tmp_path / name), "-o", str(tmp_path / "runs" / name)]
        assert main(["evaluate", *arguments, "-q", "--replicates", "99", "-m", "dice,hd95"]) == 0
    capsys.readouterr()
    document = board("runs/a", "better=runs/b")
    for model, run in (("a", "a"), ("better", "b")):
        summary = json.loads((tmp_path / "runs" / run / "summary.json").read_text())
        (entry,) = [e for e in summary["scores"] if e["metric"] == "dice"]
        assert means(document)[model] == pytest.approx(entry["mean"], rel=1e-9)
    diagonal = np.hypot(9, 8)
    (limits,) = [x for m, x in document["limits"].items() if m.startswith("hausdorff")]
    assert limits == pytest.approx([diagonal] * 3)
    refused(leaderboard("runs"), r"runs: holds no scores.csv; .*give runs/\*")


def test_configuration_and_options_that_override_it(board, tmp_path):
    wide(tmp_path / "scores.csv", A=A, B=B)
    (tmp_path / "board.yaml").write_text(
        "title: mine\nscores: scores.csv\nmetrics: [dice]\nreplicates: 200\nseed: 3\n"
        "clusters: patient\nlevel: 0.9\nmodels:\n  B: {contaminated: true, license: MIT}\n"
    )
    document = board("board.yaml")
    options = document["options"]
    assert (options["replicates"], options["permutations"]) == (300, 300)  # by option
    assert (options["seed"], options["level"], options["clusters"]) == (3, 0.9, "patient")
    assert document["title"] == "mine"
    assert document["results"][0]["units"] == 3
    assert [m["contaminated"] for m in document["models"]] == [False, True]
    document = board("board.yaml", "--seed", "4", "--level", "0.8", "--title", "yours")
    assert document["options"]["seed"] == 4
    assert document["options"]["level"] == 0.8
    assert document["title"] == "yours"


def test_contaminated_models_keep_their_place(board, tmp_path):
    for name in "xyz":
        lines = [f"c{i},{s}" for i, s in enumerate(A)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["case,dice", *lines]))
    document = board("first=x.csv", "y.csv", "z.csv", "--contaminated", "y")
    assert [m["name"] for m in document["models"]] == ["first", "y", "z"]
    assert [m["ranked"] for m in document["models"]] == [True, False, True]


# What comes of it.


def test_five_files_that_parse(leaderboard, tmp_path):
    wide(tmp_path / "scores.csv", A=A, B=B)
    result = leaderboard("scores.csv", "-o", "out/board", "--slice", "patient")
    assert result.status == 0
    folder = tmp_path / "out" / "board"
    assert tuple(sorted(os.listdir(folder))) == FILES
    for name in FILES:
        assert str(folder.relative_to(tmp_path) / name) in result.out
    document = json.loads((folder / "leaderboard.json").read_text("utf-8"))
    table = rows_of(folder / "leaderboard.csv")
    assert {row["model"]: float(row["estimate"]) for row in table} == pytest.approx(EXPECTED)
    assert means(document) == pytest.approx(EXPECTED)
    assert "| **A** | **0.800** |" in (folder / "leaderboard.md").read_text("utf-8")
    assert r"\begin{tabular}" in (folder / "leaderboard.tex").read_text("utf-8")
    page = (folder / "index.html").read_text("utf-8")
    assert page.casefold().startswith("<!doctype html>")
    assert document["sources"][0]["path"] == "scores.csv"


def test_the_table_says_who_leads(leaderboard, tmp_path):
    wide(tmp_path / "scores.csv", A=A, B=B)
    result = leaderboard("scores.csv", "--contaminated", "B")
    lines = result.out.splitlines()
    assert lines[0].split()[:4] == ["dice", "rank", "tier", "mean"]
    assert lines[1].split()[:4] == ["A", "1", "1", "0.8000"]
    assert "contaminated" in lines[2]
    assert "A is the only ranked model" in result.out


NAMES = (
    "<script>alert(1)</script>",
    "[bold red]x[/]",
    "=1+1",
    "\x1b[31mred\x1b[0m\x07",
    "a:smile:b",
    "50% & $x_1$ \\input{x}",
    "| a | b |",
    "\u202egnp.exe",
)


def test_names_steer_nothing(leaderboard, tmp_path):
    rows = [
        {"model": name, "case": f"<b>{i}", "dice": s - 0.01 * k, "site": "[i]\x1b[2J"}
        for k, name in enumerate(NAMES)
        for i, s in enumerate(A)
    ]
    (tmp_path / "scores.json").write_text(json.dumps(rows))
    result = leaderboard("scores.json", "-o", "out", "--slice", "site", "--title", "<i>t\x1b")
    assert result.status == 0, result.err
    assert "\x1b" not in result.out + result.err
    assert "\u202e" not in result.out
    for name in ("<script>alert(1)</script>", "[bold red]x[/]", "a:smile:b", "=1+1"):
        assert name in result.out
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "<script>alert(1)" not in page
    assert "<i>t" not in page
    table = rows_of(tmp_path / "out" / "leaderboard.csv")
    assert "'=1+1" in {row["model"] for row in table}
    verified = leaderboard("verify", "out/leaderboard.json", quick=False)
    assert verified.status == 0, verified.err


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no Unicode")
def test_paths_that_are_no_text(leaderboard, tmp_path):
    path = os.fsdecode(b"sc\xffres.csv")
    wide(tmp_path / path, A=A, B=B)
    assert leaderboard(path, "-o", "out").status == 0
    assert leaderboard("verify", "out", quick=False).status == 0


def test_few_or_equal_cases_are_no_reason_to_fail(leaderboard, tmp_path):
    for scores in ({"A": [0.5], "B": [0.6]}, {"A": [0.5] * 4, "B": [0.5] * 4}, {"A": [0.5]}):
        wide(tmp_path / "few.csv", **scores)
        result = leaderboard("few.csv", "-o", "few")
        assert result.status == 0, result.err
        assert leaderboard("verify", "few/leaderboard.json", quick=False).status == 0


# Back again.


def test_verify_says_what_differs(leaderboard, tmp_path):
    wide(tmp_path / "scores.csv", A=A, B=B)
    leaderboard("scores.csv", "-o", "out")
    path = tmp_path / "out" / "leaderboard.json"
    good = leaderboard("verify", path, quick=False)
    assert (good.status, good.err) == (0, "")
    assert "2 models and 1 measure follow from the scores" in good.out
    assert leaderboard("verify", tmp_path / "out", quick=False).status == 0
    document = json.loads(path.read_text())
    document["results"][0]["table"][0]["estimate"] += 0.1
    path.write_text(json.dumps(document))
    bad = leaderboard("verify", path, quick=False)
    assert (bad.status, bad.out) == (1, "")
    assert re.match(r"results\[0\]\.table\[0\]\.estimate: 0\.9\d* in the file, 0\.8\d* by", bad.err)
    document["results"] = []
    document["options"]["seed"] = 5
    path.write_text(json.dumps(document))
    assert leaderboard("verify", path, quick=False).status == 1


def test_verify_refuses_what_is_no_board(leaderboard, tmp_path):
    wide(tmp_path / "scores.csv", A=A)
    (tmp_path / "other.json").write_text('{"schema": "segjax-leaderboard/1"}')
    refused(leaderboard("verify", "scores.csv", quick=False), "is no valid JSON")
    refused(leaderboard("verify", "nowhere.json", quick=False), "cannot be read")
    refused(leaderboard("verify", tmp_path, quick=False), "leaderboard.json: cannot be read")
    refused(leaderboard("verify", "other.json", quick=False), "lacks or garbles")
    refused(leaderboard("verify", quick=False), "Missing argument")


# What cannot be judged.


TABLES = {
    "a case that is there twice": ("model,case,dice\nA,1,0.5\nA,1,0.6", "line 3 .* second time"),
    "no case in common": ("model,case,dice\nA,1,0.5\nB,2,0.6", "have no case .* in common"),
    "no number": ("model,case,dice\nA,1,0.5\nB,1,good", "line 3, column 'dice', holds 'good'"),
    "percentages": ("model,case,dice\nA,1,50\nB,1,60", "divide percentages by 100"),
    "no rows": ("model,case,dice\n", "holds no scores"),
    "nothing": ("", "has no heading"),
    "no case": ("model,dice\nA,0.5", "has no column for the case"),
    "no metric": ("model,case,colour\nA,1,red", "has no column of scores"),
    "no score at all": ("model,case,dice\nA,1,\nB,1,nan", "no model has a score of 'dice'"),
    "beyond numbers": ("model,case,assd\nA,1,1e300\nB,1,1", "1e\\+300, beyond possible"),
    "ragged": ("model,case,dice\nA,1,0.5,7\nB,1,0.5", "line 2 has 4 cells"),
    "no worst": ("model,case,hd95\nA,1,3\nA,2,4\nB,1,", "give worst: {hausdorff"),
}


@pytest.mark.parametrize(("text", "words"), TABLES.values(), ids=TABLES.keys())
def test_tables_that_are_refused(leaderboard, tmp_path, text, words):
    (tmp_path / "scores.csv").write_text(text)
    refused(leaderboard("scores.csv", "-o", "out"), words)
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_junk_is_refused(leaderboard, tmp_path):
    noise = random.Random(1)
    (tmp_path / "bytes.csv").write_bytes(noise.randbytes(10**7))
    (tmp_path / "one_line.csv").write_bytes(b"x" * 10**7)
    (tmp_path / "deep.json").write_bytes(b"[" * 10**7)
    (tmp_path / "commas.csv").write_bytes(b"," * 10**7)
    for name in ("bytes.csv", "one_line.csv", "deep.json", "commas.csv"):
        refused(leaderboard(name, "-o", "out"), name)
        assert not (tmp_path / "out").exists()


OPTIONS = {
    "unknown metric": (("-m", "hd59"), "no model has scores of 'hd59'; metrics are 'dice'"),
    "no metric": (("-m", " , "), "--metrics names none"),
    "unknown label": (("-l", "liver"), "the scores are of no label"),
    "unknown slice": (("--slice", "site"), "slices: no column 'site' .* there are patient"),
    "a text in bins": (("--slice", "patient:2"), "'p0' is no number"),
    "unknown clusters": (("--clusters", "site"), "clusters: no column 'site'"),
    "unknown strata": (("--strata", "site"), "strata: no column 'site'"),
    "within what": (("--within",), "to which cluster"),
    "unknown verdict": (("--verdict", "t-test"), "verdict must be one of max_t"),
    "unknown interval": (("--interval", "exact"), "interval must be one of percentile"),
    "unknown statistic": (("--statistic", "mode"), "statistic must be mean, median"),
    "unknown policy": (("--missing", "omit"), "missing must be one of worst"),
    "another policy": (("--undefined", "omit"), "undefined must be one of best"),
    "unknown twin": (("--compat", "challenger"), "compat must be one of segauge"),
    "a level in percent": (("--level", "95"), "level must be between 0 and 1"),
    "no level": (("--level", "high"), "'high' is not a valid float"),
    "a worst of nothing": (("--worst", "dics=0"), "worst: no measure 'dics'; .* 'dice'"),
    "a failure of nothing": (("--failure", "dics=0"), "failure: no measure 'dics'; .* 'dice'"),
    "a worst without value": (("--worst", "dice"), "--worst takes METRIC=VALUE"),
    "a worst that is none": (("--worst", "dice=nan"), "worst of 'dice' must be finite"),
    "a worst that is not": (("--worst", "dice=0.8"), "worse than the worst score"),
    "an unknown model": (("--contaminated", "C"), "no scores of model 'C'; did you mean"),
    "no resamples": (("--replicates", "0"), "replicates must be a number from 1"),
    "far too many": (("--replicates", "9" * 30), "replicates must be a number from 1"),
    "a seed below 0": (("--seed", "-1"), "seed must be a number from 0"),
    "metadata that are not there": (("--metadata", "no.csv"), "no.csv: cannot be read"),
    "two configurations": (("board.yaml",), "a configuration says all"),
    "a file in the way": (("-o", "scores.csv"), "is a file"),
    "a file in the way of it": (("-o", "scores.csv/out"), "no folder that can be written to"),
    "no such option": (("--colour", "red"), "No such option"),
}


@pytest.mark.parametrize(("arguments", "words"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_that_are_refused(leaderboard, tmp_path, arguments, words):
    wide(tmp_path / "scores.csv", A=A, B=B)
    where = () if "-o" in arguments else ("-o", "out")
    refused(leaderboard(*QUICK, "scores.csv", *where, *arguments, quick=False), words)
    assert os.listdir(tmp_path) == ["scores.csv"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder nobody can write to")
def test_output_that_cannot_be_written(leaderboard, tmp_path):
    wide(tmp_path / "scores.csv", A=A, B=B)
    refused(leaderboard("scores.csv", "-o", "/proc/self/board"), "choose another --output")


def test_a_configuration_is_refused_with_its_place(leaderboard, tmp_path):
    (tmp_path / "board.yaml").write_text("scores: scores.csv\nclusterz: patient\n")
    refused(leaderboard("board.yaml"), "unknown key 'clusterz'; did you mean clusters")
    refused(leaderboard("other.yaml"), "other.yaml: cannot be read")


def test_columns_that_are_no_known_metric_are_named(leaderboard, tmp_path):
    (tmp_path / "scores.csv").write_text("model,case,tp,mine\nA,1,3,0.5\nA,2,4,0.6\n")
    refused(leaderboard("scores.csv"), "tp is left out: it has no direction.*better: higher")


# Around it.


def test_help_needs_no_jax():
    code = (
        "import sys\nfrom segjax.cli import main\n"
        "assert main(['leaderboard', '--help']) == 0\n"
        "assert main(['leaderboard', 'verify', '--help']) == 0\n"
        "assert not {'jax', 'scipy', 'rich'} & sys.modules.keys(), 'slow'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "segjax leaderboard scores.csv" in done.stdout
    assert "segjax leaderboard verify board/leaderboard.json" in done.stdout


def test_demo_makes_a_board_that_holds(leaderboard, tmp_path, capsys):
    assert main(["demo", "leaderboard", "-o", "demo"]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "demo" / "leaderboard"
    assert tuple(sorted(os.listdir(folder))) == FILES
    assert "made by  segjax leaderboard demo/board.yaml -o demo/leaderboard" in out
    document = json.loads((folder / "leaderboard.json").read_text("utf-8"))
    scores = rows_of(tmp_path / "demo" / "scores.csv")
    for model, estimate in means(document).items():
        dice = [float(row["dice"]) for row in scores if row["model"] == model]
        assert estimate == pytest.approx(np.mean(dice), rel=1e-12)
    assert leaderboard("verify", folder / "leaderboard.json", quick=False).status == 0


def test_exports_are_there():
    import segjax.leaderboard as package

    found = package.board({"A": A, "B": B}, replicates=300, permutations=300)
    assert isinstance(found, package.Board)
    assert package.verify(found.document) == []
    assert {"board", "verify", "write", "from_tables", "Slice"} <= set(dir(package))
    for name in package._HOMES:
        assert getattr(package, name).__module__.startswith("segjax.leaderboard")
    with pytest.raises(AttributeError, match="has no attribute 'colour'"):
        _ = package.colour
