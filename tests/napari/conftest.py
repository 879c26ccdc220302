"""Widgets need no screen, and no test writes into the user's own scores."""

import os

import pytest


os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def scores_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGJAX_SCORES", str(tmp_path / "scores" / "high.csv"))
    return tmp_path / "scores" / "high.csv"
