"""The book builds without a warning, and says what the code says."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import segjax


ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location(
        "generated_pages", ROOT / "notebooks" / "generated_pages.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_book_builds_and_no_link_in_it_is_broken(tmp_path):
    for name in (
        "notebooks",
        "experiments",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "CITATION.cff",
    ):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    command = [sys.executable, "-m", "sphinx", "-qW", "--keep-going"]
    command += ["-D", "nb_execution_mode=off", "notebooks", "book"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "book" / "generated" / "metrics.html").read_text()
    assert all(f'id="{m.name.replace("_", "-")}"' in page for m in segjax.METRICS)
    api = (tmp_path / "book" / "generated" / "api.html").read_text()
    for name in ("segjax.evaluation.evaluate", "segjax.losses.overlap.dice"):
        assert f'id="{name}"' in api


def test_the_table_of_metrics_in_the_readme_is_that_of_the_catalogue(pages):
    text = (ROOT / "README.md").read_text()
    assert pages.renewed(text) == text
    assert all(f"| `{m.name}` |" in text for m in segjax.METRICS)


def test_no_cell_of_a_table_is_markup(pages):
    row = pages.table(("a", "b"), [("|R| * P_k", "`x | y`")]).splitlines()[-1]
    assert row == r"| \|R\| \* P\_k | `x \| y` |"


def test_every_metric_that_is_recommended_exists():
    text = (ROOT / "notebooks" / "which_metric.md").read_text()
    quoted = re.findall(r"`([a-z_0-9@]+(?:\([^`]*\))?)`", text)
    assert len(quoted) > 40
    for name in quoted:
        segjax.get_metric(name.replace("...", "5"))
