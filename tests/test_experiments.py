"""Experiments run, and their results can be taken elsewhere."""

import ast
import dataclasses
import importlib
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.stats

from experiments import _record


FOLDER = Path(_record.__file__).parent
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))
every_experiment = pytest.mark.parametrize("name", NAMES)


@every_experiment
def test_docstring_has_the_question_and_the_command(name):
    text = importlib.import_module(f"experiments.{name}").__doc__ or ""
    assert "?" in text
    assert f"python -m experiments.{name}" in text


@every_experiment
def test_config_is_frozen_and_documented(name):
    module = importlib.import_module(f"experiments.{name}")
    assert module.Config.__doc__
    assert isinstance(module.SMOKE, module.Config)
    field = dataclasses.fields(module.Config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(module.SMOKE, field, None)


@every_experiment
def test_command_line_has_every_option(name):
    kind = importlib.import_module(f"experiments.{name}").Config
    assert _record.options(kind, []) == kind()
    assert _record.options(kind, ["--seed", "7"]) == dataclasses.replace(kind(), seed=7)


@every_experiment
def test_no_experiment_imports_another(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    taken = {a.name for n in imports if n.module == "experiments" for a in n.names}
    taken |= {
        n.module.split(".")[1] for n in imports if (n.module or "").startswith("experiments.")
    }
    assert all(module.startswith("_") for module in taken)


@every_experiment
def test_smoke_run_gives_rows_that_can_be_stored(name, tmp_path, monkeypatch):
    module = importlib.import_module(f"experiments.{name}")
    monkeypatch.setattr(_record, "RESULTS", tmp_path)
    rows = module.run(module.SMOKE)
    assert rows
    assert all(isinstance(row, dict) for row in rows)
    stored = json.loads(_record.save(name, module.SMOKE, rows, 1.0).read_text())
    assert len(stored["rows"]) == len(rows)
    assert {"date", "device", "processor", "versions", "seconds"} <= set(stored["provenance"])


def test_populations_of_the_bootstrap_study_have_the_moments_they_say():
    from experiments.bootstrap_study import POPULATIONS

    rng = np.random.default_rng(0)
    for population in POPULATIONS.values():
        drawn = population.draw(rng, (100_000,))
        assert population.mean == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 100_000**0.5)
        assert population.skew == pytest.approx(scipy.stats.skew(drawn), rel=0.1, abs=0.05)


def test_figure_of_the_bootstrap_study_names_every_method():
    from experiments.bootstrap_study import figure

    about = {"part": "coverage", "class": "mild"}
    rows = [
        about | {"n": n, "method": method, "found": found}
        for n in (10, 20)
        for method, found in (("percentile", 0.91), ("studentized", 0.95))
    ]
    rows += [row | {"class": "heavy"} for row in rows]
    drawn = ElementTree.fromstring(figure(rows))
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("percentile") == texts.count("studentized") == 2


def test_table_leaves_cells_empty_that_a_row_does_not_have():
    text = _record.show([{"a": 1.25, "b": True}, {"a": 2}], ("a", "b"))
    assert [line.split() for line in text.splitlines()] == [["a", "b"], ["1.25", "yes"], ["2"]]


@pytest.mark.parametrize("path", sorted((FOLDER / "results").glob("*.json")), ids=lambda p: p.stem)
def test_results_name_no_path_of_a_machine(path):
    assert not re.search(r'"(/|[A-Za-z]:\\\\)', path.read_text())
