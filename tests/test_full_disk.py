"""A disk that fills up at any write: one line says so, and every file is the old one or the new."""

import csv
import errno
import os

import numpy as np
import pytest

from segjax.cli import main


OPTIONS = ("--replicates", "200", "-o", "out")
COMMANDS = {
    "leaderboard": ("leaderboard", "a.csv", "b.csv", *OPTIONS),
    "compare": ("compare", "a.csv", "b.csv", *OPTIONS),
    "evaluate": ("evaluate", "r", "p", "-q", "-m", "dice", *OPTIONS),
}


@pytest.fixture
def place(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        with open(f"{name}.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["case", "dice"])
            rows.writerows((f"c{i}", rng.random()) for i in range(12))
    for side in "rp":
        (tmp_path / side).mkdir()
        for i in range(3):
            np.save(tmp_path / side / f"c{i}.npy", rng.integers(2, size=(8, 9), dtype=np.uint8))
    return tmp_path


@pytest.fixture
def fill(monkeypatch):
    """Let the disk be full at the n-th file that is to reach it."""
    sync = os.fsync

    def fill(n):
        count = iter(range(1, 99))

        def full(file):
            if next(count) == n:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(file)

        monkeypatch.setattr(os, "fsync", full)

    return fill


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("command", COMMANDS)
def test_disk_that_fills_up_while_writing(command, place, fill, capsys):
    out = place / "out"
    fill(0)
    assert main(COMMANDS[command]) == 0
    whole = files(out)
    written = len(whole) - ("cases.jsonl" in whole)
    for n in range(1, written + 1):
        for path in out.iterdir():
            if path.suffix != ".jsonl":
                path.write_text("old")
        capsys.readouterr()
        fill(n)
        assert main(COMMANDS[command]) == 2
        said = capsys.readouterr()
        assert "cannot be written (No space left on device); free some space" in said.err
        assert (said.out, said.err.count("\n")) == ("", 1)
        left = files(out)
        assert left.keys() == whole.keys()
        assert list(left.values()).count(b"old") == written - n + 1
    fill(0)
    assert main(COMMANDS[command]) == 0
    assert files(out).keys() == whole.keys()
    assert b"old" not in files(out).values()
