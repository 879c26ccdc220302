"""Notebooks run from top to bottom, and are stored without what they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


FOLDER = Path(__file__).parents[1] / "notebooks"
every_notebook = pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem
)


def cells(path, kind):
    found = json.loads(path.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def test_there_are_notebooks():
    assert list(FOLDER.glob("*.ipynb"))


@every_notebook
def test_a_notebook_runs(path, tmp_path):
    # The last line of a cell is shown if it is an expression: here it is only evaluated.
    source = "\n\n".join("".join(cell["source"]) for cell in cells(path, "code"))
    assert not any(line.lstrip().startswith(("%", "!")) for line in source.splitlines())
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=tmp_path,
        env=os.environ | {"STEPS": "2"},  # of training, where there is any
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())  # what it writes is elsewhere


@every_notebook
def test_outputs_are_stripped(path):
    for cell in cells(path, "code"):
        assert not cell["outputs"]
        assert cell["execution_count"] is None


@every_notebook
def test_a_notebook_tells_a_story(path):
    words = sum(len("".join(cell["source"]).split()) for cell in cells(path, "markdown"))
    assert words > 100
