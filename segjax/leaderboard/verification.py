"""Recompute a published board from the scores in it."""

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from segjax._errors import InputError
from segjax.io._problem import problem
from segjax.io._text import decode, is_folder, parse_json, read_bytes
from segjax.io.sheet import Facts, Status, Value
from segjax.leaderboard.boards import board
from segjax.leaderboard.document import SCHEMA
from segjax.leaderboard.measures import HUGE, Measure
from segjax.leaderboard.options import Options
from segjax.leaderboard.scores import Scores, scores_sha256


TOLERANCE = 1e-9
_COMPARED = ("options", "models", "measures", "results", "schemes", "slices", "calibration")
_MOST = 500 * 2**20


def read_document(path: str | Path) -> dict[str, Any]:
    """Read a `leaderboard.json`, or that of a folder.

    Raises:
        InputError: if it is none.
    """
    path = Path(path)
    path = path / "leaderboard.json" if is_folder(path) else path
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
    except (KeyError, TypeError, ValueError) as error:
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
    measures = _read(tuple[Measure, ...], document["measures"])
    names = [m.name for m in measures]
    models = [dict(model) for model in document["models"]]
    cases = _read(tuple[str, ...], document["cases"])
    shape = len(measures), len(models), len(cases)

    def table(key: str, hint: Any, kind: type, shape: tuple[int, ...]) -> np.ndarray:
        found = np.array([_read(hint, document[key][name]) for name in names], kind)
        if found.shape != shape:
            raise ValueError(f"{key} are not as many as measures, models and cases")
        return found

    values = table("scores", tuple[tuple[float | None, ...], ...], float, shape)
    status = table("status", tuple[tuple[Status, ...], ...], np.int8, shape)
    metadata = _read(Mapping[str, tuple[Value, ...]], document["metadata"])
    of_models = [model.pop("name") for model in models]
    for unique in (names, of_models, cases):
        if not unique or len(set(_read(tuple[str, ...], list(unique)))) < len(unique):
            raise ValueError("a name is there twice, or none")
    if np.isnan(values[status == Status.SCORED]).any():
        raise ValueError("a case is scored without a score")
    if any(m.better not in ("higher", "lower") for m in measures):
        raise ValueError("better is higher or lower")
    if any(len(column) != len(cases) for column in metadata.values()):
        raise ValueError("metadata are not of as many cases")
    return Scores(
        models=tuple(of_models),
        cases=cases,
        measures=measures,
        values=values,
        status=status,
        limits=table("limits", tuple[float | None, ...], float, (shape[0], shape[2])),
        suspect=table("suspect", tuple[bool, ...], bool, shape[:2]),
        facts=tuple(
            _read(Facts, {k: v for k, v in model.items() if k != "ranked"}) for model in models
        ),
        metadata=metadata,
        dataset=_read(Mapping[str, str], document["dataset"]),
    )


def _options(found: Mapping[str, Any]) -> Options:
    return _read(Options, {k: v for k, v in found.items() if k not in ("alpha", "plan")})


def _read(hint: Any, value: Any) -> Any:
    """A plain value as one of this type; TypeError if it is none."""
    origin, of = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for one in of:
            with suppress(TypeError):
                return _read(one, value)
    elif origin is tuple and isinstance(value, list):
        return tuple(_read(of[0], item) for item in value)
    elif origin is Mapping and isinstance(value, dict):
        return {_read(of[0], key): _read(of[1], item) for key, item in value.items()}
    elif hint is float and type(value) in (int, float) and abs(value) < HUGE:
        return value
    elif hint is Status and type(value) is int:
        return Status(value)
    elif hint in (int, str, bool, type(None)) and type(value) is hint:
        return value
    elif isinstance(hint, type) and isinstance(value, dict) and hasattr(hint, "__annotations__"):
        hints = get_type_hints(hint)
        if hints.keys() == value.keys():
            return hint(**{key: _read(hints[key], item) for key, item in value.items()})
    raise TypeError(f"{_short(value)} is no {getattr(hint, '__name__', hint)}")


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
    if numbers and not any(abs(x) > 1e300 for x in (a, b)):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(a) is type(b) and a == b


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
