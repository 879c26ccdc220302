"""Files of scores: who scored what on which case, and what is known about them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segjax.case import diagonal
from segjax.io import segauge
from segjax.io._cells import Place, as_number, plain, read_name, shortened
from segjax.io._problem import problem
from segjax.io._tables import CASE, LONGER, Metadata, find, of_objects, of_text, tabulated
from segjax.io._text import decode, is_folder, parse_json, read_bytes
from segjax.io.sheet import Sheet, Source, Value


MAX_BYTES = 200 * 10**6


def read_scores(
    path: str | Path,
    *,
    model: str | None = None,
    metrics: Iterable[str] = (),
    max_bytes: int = MAX_BYTES,
) -> Sheet:
    """Read the scores of one model or of many.

    A table may be long (columns case, metric, score, and if need be model, label, status) or
    wide (case, if need be model and label, and one column per metric), its columns in any
    order. Every other column that is constant within each case is metadata of the cases. Empty
    cells, "nan", "null", "none", "NA", "n/a" and "-" are no score; "undefined" says that the
    score is 0/0.

    Args:
        path: a folder written by `segjax evaluate`, a .csv (separated by commas, semicolons or
            tabs; with the latter two, decimal commas are fine), or a .json: rows of such a table
            as objects, scores by model, case and metric, or results of segauge-benchmark.
        model: name of the model, for a source of one model; by default the source's own, or the
            name of the file.
        metrics: columns of a wide table that hold scores of metrics unknown to segjax.
        max_bytes: refuse longer files.

    Raises:
        InputError: if the file cannot be read or understood; the message names the place.
    """
    path = Path(path)
    declared = frozenset(map(plain, metrics))
    if is_folder(path):
        sheet = _read_run(path, declared, max_bytes)
    elif path.suffix.lower() == ".json":
        sheet = _read_json(path, declared, max_bytes)
    else:
        sheet = _read_csv(path, declared, max_bytes, default=_name_of(path))
    if not sheet.rows:
        raise problem(path, "holds no scores", "give a file with a row for each case")
    return sheet if model is None else _renamed(path, sheet, model)


def read_metadata(path: str | Path, *, max_bytes: int = MAX_BYTES) -> dict[str, dict[str, Value]]:
    """Read what is known of the cases, e.g. their centre: columns by case.

    Args:
        path: a .csv with a column for the case, or a .json: rows of it, or columns by case.
        max_bytes: refuse longer files.

    Raises:
        InputError: if the file cannot be read or understood, or tells a case two things.
    """
    path = Path(path)
    text = decode(path, read_bytes(path, max_bytes, LONGER))
    if path.suffix.lower() == ".json":
        found = parse_json(path, text, unique=True)
        if isinstance(found, Mapping):
            found = [_merged(path, row, case=case) for case, row in found.items()]
        table = of_objects(path, found)
    else:
        table = of_text(path, text)
    case = find(table.columns, CASE)
    if case is None:
        raise problem(path, "has no column for the case", "name one of its columns case")
    facts = Metadata(path, table, {case})
    for where, cells in table.rows:
        name = read_name(path, where, "case", cells[case])
        if differing := facts.add(name, cells):
            what = f"{where} tells case {name[:60]!r} another {differing[0]!r}"
            raise problem(path, what, "keep one of them")
    return facts.typed()


def _read_csv(path: Path, declared: frozenset[str], max_bytes: int, *, default: str) -> Sheet:
    data = read_bytes(path, max_bytes, LONGER)
    table = of_text(path, decode(path, data))
    sheet = tabulated(path, table, declared, default)
    return _from(path, data, sheet)


def _read_json(path: Path, declared: frozenset[str], max_bytes: int) -> Sheet:
    data = read_bytes(path, max_bytes, LONGER)
    found = parse_json(path, decode(path, data), unique=True)
    if segauge.is_results(found):
        sheet = segauge.read(path, found)
    else:
        if isinstance(found, Mapping):
            found = _nested(path, found)
        sheet = tabulated(path, of_objects(path, found), declared, _name_of(path))
    return _from(path, data, sheet)


def _nested(path: Path, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a wide table, from scores by model, case and metric."""
    rows = []
    for model, cases in found.items():
        if not isinstance(cases, Mapping):
            what = f"{model[:60]!r} holds no cases"
            raise problem(path, what, 'write {"model": {"case": {"metric": score}}}, or rows')
        rows += [_merged(path, row, model=model, case=case) for case, row in cases.items()]
    return rows


def _merged(path: Path, row: Any, **names: str) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        what = f"what is under {names['case'][:60]!r} is no table"
        raise problem(path, what, 'write {"name": value, ...}')
    return names | {k: v for k, v in row.items() if plain(k) not in names}


# Runs of `segjax evaluate`.


def read_summary(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The summary of a run, from its folder or its `summary.json`.

    Raises:
        InputError: if it cannot be read, or holds no scores of a run.
    """
    if is_folder(path):
        path = path / "summary.json"
    found = parse_json(path, decode(path, read_bytes(path, max_bytes, LONGER)))
    scores = found.get("scores") if isinstance(found, Mapping) else None
    if not isinstance(scores, list) or not all(isinstance(e, Mapping) for e in scores):
        raise problem(path, "is no summary of a run", "give a folder that segjax evaluate wrote")
    return dict(found)


def _read_run(folder: Path, declared: frozenset[str], max_bytes: int) -> Sheet:
    summary = folder / "summary.json"
    scores = folder / "scores.csv"
    if not scores.is_file():
        raise problem(folder, "holds no scores.csv", _instead(folder))
    if not summary.is_file():
        return _read_csv(scores, declared, max_bytes, default=_name_of(scores))
    data = read_bytes(summary, max_bytes, LONGER)
    found = parse_json(summary, decode(summary, data))
    at = Place(summary, found if isinstance(found, Mapping) else {})
    sheet = _read_csv(
        scores, declared, max_bytes, default=at.text("method").strip() or _name_of(scores)
    )
    diagonals = {}
    for entry in at.tables("inputs"):
        extent = _diagonal(entry.found.get("shape"), entry.found.get("spacing"))
        if extent is not None:
            diagonals[entry.name("case")] = extent
    unit = at.text("unit")
    return replace(
        sheet,
        diagonals=diagonals,
        unit=unit if unit in ("mm", "um", "nm", "px") else "",
        sources=(*sheet.sources, _source(summary, data)),
    )


def _instead(folder: Path) -> str:
    """What may have been meant by a folder that is none of a run."""
    if any(folder.glob("*.csv")):
        return f"for the files in it, give {folder}/*.csv"
    if any(folder.glob("*/scores.csv")):
        return f"for the runs in it, give {folder}/*"
    return "give a folder that segjax evaluate wrote"


def _diagonal(shape: Any, spacing: Any) -> float | None:
    both = shape, spacing
    if not all(isinstance(x, list) for x in both) or len(shape) != len(spacing) or not shape:
        return None
    numbers = [as_number(x) for x in (*shape, *spacing) if not isinstance(x, str)]
    if len(numbers) != 2 * len(shape) or not all(x is not None and 0 < x < 1e12 for x in numbers):
        return None
    return diagonal(shape, spacing)


def _name_of(path: Path) -> str:
    """A model is called as its file is, or as the folder of the file that every run writes."""
    name = path.absolute().parent.name if path.name == "scores.csv" else path.stem
    return shortened(name) or "model"


def _source(path: Path, data: bytes) -> Source:
    return Source(str(path), hashlib.sha256(data).hexdigest())


def _from(path: Path, data: bytes, sheet: Sheet) -> Sheet:
    return replace(sheet, sources=(_source(path, data),))


def _renamed(path: Path, sheet: Sheet, model: str) -> Sheet:
    names = list(dict.fromkeys(row.model for row in sheet.rows))
    if names == [model]:
        return sheet
    if len(names) > 1:
        what = f"holds {len(names)} models ({', '.join(n[:30] for n in names[:3])}, ...)"
        raise problem(path, what, f"give one with the scores of {model[:60]!r} alone")
    return replace(
        sheet,
        rows=[row._replace(model=model) for row in sheet.rows],
        facts=dict.fromkeys([model], sheet.facts[names[0]]),
        suspect=frozenset((model, label) for _, label in sheet.suspect),
    )
