"""Recompute a published board from the scores in it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segjax._errors import InputError
from segjax.io._problem import problem
from segjax.io._text import decode, parse_json, read_bytes
from segjax.io.sheet import Facts
from segjax.leaderboard.boards import board
from segjax.leaderboard.document import SCHEMA
from segjax.leaderboard.measures import Measure
from segjax.leaderboard.options import Options
from segjax.leaderboard.policy import Suspect
from segjax.leaderboard.scores import Scores, scores_sha256
from segjax.leaderboard.slices import Slice


TOLERANCE = 1e-9
_COMPARED = ("options", "models", "measures", "results", "schemes", "slices", "calibration")
_MOST = 500 * 2**20


def read_document(path: Path) -> dict[str, Any]:
    """Read a `leaderboard.json`.

    Raises:
        InputError: if it is none.
    """
    document = parse_json(path, decode(path, read_bytes(path, _MOST, "make a smaller board")))
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise problem(path, f"is no board of schema {SCHEMA}", "give the leaderboard.json of one")
    return document


def verify(document: Mapping[str, Any]) -> list[str]:
    """Recompute everything from the scores in a document.

    Returns:
        What differs by more than 1e-9, by its place; nothing if all is as it should be. Hashes of
        the scores are among what is compared; time, versions and notes are not.

    Raises:
        InputError: if the document lacks what it takes.
    """
    try:
        scores, options = _scores(document), _options(document["options"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the board lacks or garbles what it takes to recompute it ({error!r:.100}); "
            "make it again"
        ) from None
    found = board(scores, options).document
    wrong = []
    if scores_sha256(scores) != document.get("scores_sha256"):
        wrong.append("scores_sha256: these are not the scores that were hashed")
    for key in _COMPARED:
        _compare(found[key], document.get(key), key, wrong)
    return wrong


def _scores(document: Mapping[str, Any]) -> Scores:
    measures = tuple(Measure(**entry) for entry in document["measures"])
    names = [m.name for m in measures]
    table = lambda key, kind: np.array([document[key][name] for name in names], kind)
    models = document["models"]
    shape = len(measures), len(models), len(document["cases"])
    values, status = table("scores", float), table("status", np.int8)
    if values.shape != shape or status.shape != shape:
        raise InputError("the board has not one score per measure, model and case; make it again")
    return Scores(
        models=tuple(m["name"] for m in models),
        cases=tuple(document["cases"]),
        measures=measures,
        values=values,
        status=status,
        limits=table("limits", float),
        suspect=table("suspect", bool),
        facts=tuple(
            Facts(
                version=m["version"],
                license=m["license"],
                url=m["url"],
                contaminated=bool(m["contaminated"]),
                contaminated_on=tuple(m["contaminated_on"]),
            )
            for m in models
        ),
        metadata={k: tuple(v) for k, v in document["metadata"].items()},
        dataset=document["dataset"],
    )


def _options(found: Mapping[str, Any]) -> Options:
    plain: dict[str, Any] = {
        k: v for k, v in found.items() if k not in ("alpha", "plan", "suspect", "slices")
    }
    fixed = lambda value: tuple(value) if isinstance(value, list) else value
    plain["seed"] = fixed(found["seed"])
    return Options(
        **plain,
        suspect=None if found["suspect"] is None else Suspect(**found["suspect"]),
        slices=tuple(Slice(s["column"], fixed(s["bins"])) for s in found["slices"]),
    )


def _compare(expected: Any, got: Any, place: str, wrong: list[str]) -> None:
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in [*expected, *(k for k in got if k not in expected)]:
            _compare(expected.get(key), got.get(key), f"{place}.{key}", wrong)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for i, pair in enumerate(zip(expected, got, strict=True)):
            _compare(*pair, f"{place}[{i}]", wrong)
    elif not _same(expected, got):
        wrong.append(f"{place}: {_short(got)} in the file, {_short(expected)} by its scores")


def _same(a: Any, b: Any) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    if numbers:
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(a) is type(b) and a == b


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
