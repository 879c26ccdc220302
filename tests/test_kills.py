"""Commands that are killed at any moment, or find the disk full, lose nothing on resuming."""

import csv
import json
import resource
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

from segjax import InputError
from segjax.quality.log import Log
from segjax.quality.training import train
from tests.hosts import COMMAND, finish, start
from tests.quality.test_training import SMALL, losses_of
from tests.soak import FULL
from tests.test_hosts import PAIRS


# An evaluation is killed twice: while it runs, and while it resumes.
EVALUATIONS, BOARDS = (25, 30) if FULL else (1, 1)
TRAININGS = 20
CASES = 60
# A moment is counted from where the work begins, when its modules have been imported.
KILL = """
import atexit, os, signal, sys, threading, time
def kill():
    while {module!r} not in sys.modules:
        time.sleep(0.001)
    begun = time.monotonic()
    atexit.register(lambda: print(time.monotonic() - begun, file=sys.stderr))
    time.sleep({after})
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
"""


def killed(module, after, *arguments, code=COMMAND, cwd):
    """Run until a moment; whether that came before the end, and how long the work took."""
    before = KILL.format(module=module, after=after)
    status, _, err = finish(start(*arguments, before=before, code=code, cwd=cwd))
    assert status in (0, -signal.SIGKILL), err
    return (True, after) if status else (False, float(err.split()[-1]))


def moments(rng, count, seconds):
    """One in each of as many spans of the work."""
    return ((rng.permutation(count) + rng.random(count)) / count * seconds).tolist()


# Evaluations

EVALUATE = ("evaluate", "r", "p", "-q", "-m", "dice,hd95", "-o", "out")


@pytest.fixture
def folders(tmp_path, rng):
    for side in "rp":
        (tmp_path / side).mkdir()
    for i in range(CASES):
        reference = np.zeros((40, 50), np.uint8)
        reference[5:20, 4 + i % 9 : 30] = 1
        np.save(tmp_path / "r" / f"c{i:02}.npy", reference)
        np.save(tmp_path / "p" / f"c{i:02}.npy", reference * (rng.random(reference.shape) < 0.9))
    return tmp_path


def journalled(out):
    """Cases of the journal; its last line may be torn."""
    path = out / "cases.jsonl"
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line)["case"] for line in whole]


def test_an_evaluation_that_is_killed_goes_on(folders, rng):
    _, seconds = killed("segjax.folder", 999, *EVALUATE, cwd=folders)
    out, expected = folders / "out", (folders / "out" / "scores.csv").read_text()
    hits = 0
    for after in moments(rng, EVALUATIONS, seconds):
        shutil.rmtree(out)
        for moment in (after, rng.random() * seconds):  # also while it resumes
            before = journalled(out)
            hits += killed("segjax.folder", moment, *EVALUATE, "--resume", cwd=folders)[0]
            assert journalled(out)[: len(before)] == before
            if (out / "scores.csv").exists():
                assert (out / "scores.csv").read_text() == expected
            if (out / "summary.json").exists():
                assert json.loads((out / "summary.json").read_text())["cases"] == CASES
            if (out / "report.html").exists():
                assert (out / "report.html").read_text().endswith("</html>\n")
        there = len(journalled(out))
        status, said, err = finish(start(*EVALUATE, "--resume", cwd=folders))
        assert status == 0, err
        assert not there or f"{there} from the earlier run" in said
        assert (out / "scores.csv").read_text() == expected
        assert sorted(journalled(out)) == [f"c{i:02}" for i in range(CASES)]
    print(f"evaluate: killed {hits} times in {2 * EVALUATIONS} runs")


# Boards

BOARD = ("leaderboard", "scores.csv", "--replicates", "2000", "-o", "out")


def test_a_board_that_is_killed_is_whole_or_absent(tmp_path, rng):
    scores = rng.random((40, 3)) * 0.2 + [0.5, 0.6, 0.7]
    rows = [("model", "case", "metric", "label", "score")]
    rows += [(m, f"c{i}", "dice", 1, scores[i, k]) for i in range(40) for k, m in enumerate("abc")]
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    module, out = "segjax.leaderboard.writing", tmp_path / "out"
    _, seconds = killed(module, 999, *BOARD, cwd=tmp_path)
    names = {path.name for path in out.iterdir()}
    expected = (out / "leaderboard.csv").read_text()
    hits = 0
    for after in moments(rng, BOARDS, seconds):
        hits += killed(module, after, *BOARD, cwd=tmp_path)[0]
        assert names == {path.name for path in out.iterdir() if path.name[0] != "."}
        assert (out / "leaderboard.csv").read_text() == expected
        assert json.loads((out / "leaderboard.json").read_text())["results"]
        assert (out / "index.html").read_text().rstrip().endswith("</html>")
    if FULL:
        status, said, err = finish(start("leaderboard", "verify", out / "leaderboard.json"))
        assert (status, err) == (0, "")
        assert "follow from the scores" in said
    print(f"leaderboard: killed {hits} times in {BOARDS} runs")


# Trainings

TRAIN = f"""{PAIRS}
from tests.test_kills import TRAINED
rooms.make_pair = make_pair
rooms.train(TRAINED, output="run", resume=True)
"""
TRAINED = replace(SMALL, network=replace(SMALL.network, maps=()), steps=24, validate_every=2)


@pytest.mark.skipif(not FULL, reason="takes long: make soak")
def test_a_training_that_is_killed_goes_on_to_the_same_losses(tmp_path, rng):
    module, run, whole = "segjax.quality.training", tmp_path / "run", tmp_path / "whole"
    killed(module, 999, code=TRAIN, cwd=tmp_path)
    run.rename(whole)
    # Once more, for the time that it takes with all programs compiled.
    _, seconds = killed(module, 999, code=TRAIN, cwd=tmp_path)
    shutil.rmtree(run)
    hits = 0
    for after in moments(rng, TRAININGS, seconds):
        hit, _ = killed(module, after, code=TRAIN, cwd=tmp_path)
        hits += hit
        logged = losses_of(run) if (run / "log.csv").exists() else []
        assert logged == losses_of(whole)[: len(logged)]
        if not hit:
            shutil.rmtree(run)
    killed(module, 999, code=TRAIN, cwd=tmp_path)
    assert losses_of(run) == losses_of(whole)
    print(f"train: killed {hits} times in {TRAININGS} runs")


@pytest.mark.parametrize("full", ["4.npz", "log.csv"])
def test_a_training_on_a_full_disk_says_so_and_goes_on(tmp_path, monkeypatch, capfd, full):
    scope = {}
    exec(PAIRS, scope)
    monkeypatch.setattr("segjax.quality.training.make_pair", scope["make_pair"])
    short = replace(TRAINED, steps=6)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    write = Log.write

    def fill(log, step, values):
        if (step, full) == (4, "log.csv"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        write(log, step, values)
        if step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))

    monkeypatch.setattr(Log, "write", fill)
    try:
        with pytest.raises(InputError, match=rf"{full}:? cannot be written.*free some space"):
            train(short, output=tmp_path / "run")
    finally:
        monkeypatch.setattr(Log, "write", write)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capfd.readouterr() == ("", "")
    train(short, output=tmp_path / "run", resume=True)
    train(short, output=tmp_path / "whole")
    assert losses_of(tmp_path / "run") == losses_of(tmp_path / "whole")
