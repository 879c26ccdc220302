"""Tables of scores, long or wide, whether of text or of objects."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from segjax.io._cells import (
    as_number,
    canonical,
    known_metric,
    plain,
    read_name,
    read_score,
    read_status,
    shortened,
    status_of,
    twice,
)
from segjax.io._problem import problem, reason, shown
from segjax.io.sheet import Facts, Row, Sheet, Value


LONGER = "split it by model"
MAX_SCORES = 2_000_000
MAX_COLUMNS = 1000
_MODEL = ("model", "method", "algorithm")
CASE = ("case", "caseid", "id", "image", "subject")
_LABEL = ("label", "organ", "class", "region")
_SCORE = ("score", "value")
_OF_A_SCORE = ("low", "high", "flags")  # its interval, and reasons to doubt it


class Table(NamedTuple):
    """Named columns, and rows that are read as they are asked for."""

    columns: list[str]
    rows: Iterator[tuple[str, Sequence[Any]]]  # where the row is, and its cells
    comma: bool  # whether a decimal comma is one


class _Roles(NamedTuple):
    """Which columns say what; the others are metadata."""

    case: int
    model: int | None
    labels: tuple[int, ...]  # the first that is not empty counts
    metric: int | None
    status: int | None
    measured: Mapping[int, str]  # columns of scores, and of which metric if they say so
    about: tuple[int | None, ...] = ()  # what is said of a score is no metadata of its case

    @property
    def columns(self) -> set[int]:
        named = (self.case, self.model, *self.labels, self.metric, self.status)
        return {i for i in (*named, *self.measured, *self.about) if i is not None}


def _roles(path: Path, columns: Sequence[str], declared: frozenset[str]) -> _Roles:
    case = find(columns, CASE)
    if case is None:
        what = f"has no column for the case (its columns are {_listed(columns)})"
        raise problem(path, what, "call one case, beside metric and score or a column per metric")
    metric, score = find(columns, ("metric",)), find(columns, _SCORE)
    model, label, name = (find(columns, names) for names in (_MODEL, _LABEL, ("name",)))
    labels = () if label is None else (label,)
    if metric is not None and score is not None:
        if label is not None and name is not None and plain(columns[label]) == "label":
            labels, name = (name, label), None  # what the label is called, as segjax writes it
        model = name if model is None else model
        about = tuple(find(columns, (name,)) for name in _OF_A_SCORE)
        return _Roles(case, model, labels, metric, find(columns, ("status",)), {score: ""}, about)
    roles = _Roles(case, name if model is None else model, labels, None, None, {})
    rest = {i: column for i, column in enumerate(columns) if i not in roles.columns}
    measured = {i: canonical(c) for i, c in rest.items() if _is_metric(c, declared)}
    if not measured:
        what = f"has no column of scores (no metric is called {_listed(rest.values())})"
        raise problem(path, what, "give columns metric and score, or declare the metric")
    return roles._replace(measured=measured)


def _label(path: Path, where: str, cell: Any) -> str:
    empty = cell is None or (isinstance(cell, str) and not cell.strip())
    return "" if empty else read_name(path, where, "label", cell)


def _listed(columns: Iterable[str]) -> str:
    names = [column[:20] for column in islice(columns, 9)]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "anything"


def tabulated(path: Path, table: Table, declared: frozenset[str], default: str) -> Sheet:
    """The scores of a table, whichever its layout.

    Args:
        path: of the file, for messages.
        table: its cells.
        declared: columns that are metrics besides those that are known, without punctuation.
        default: name of the model, if no column names it.

    Raises:
        InputError: if columns are missing, a cell is no number, or a score is there twice.
    """
    roles = _roles(path, table.columns, declared)
    facts = Metadata(path, table, roles.columns)
    rows: dict[tuple[str, ...], Row] = {}
    for where, cells in table.rows:
        model = default
        if roles.model is not None:
            model = read_name(path, where, "model", cells[roles.model])
        case = read_name(path, where, "case", cells[roles.case])
        names = (_label(path, where, cells[i]) for i in roles.labels)
        label = next(filter(None, names), "")
        facts.add(case, cells)
        stated = None if roles.status is None else read_status(path, where, cells[roles.status])
        for i, metric in roles.measured.items():
            if roles.metric is not None:
                metric = canonical(read_name(path, where, "metric", cells[roles.metric]))
            score, status = read_score(path, where, table.columns[i], cells[i], comma=table.comma)
            row = Row(model, case, label, metric, score, status_of(score, stated or status))
            if rows.setdefault(row[:4], row) is not row:
                raise twice(path, where, row)
        if len(rows) > MAX_SCORES:
            raise problem(path, f"has more than {MAX_SCORES} scores", LONGER)
    return Sheet(
        rows=list(rows.values()),
        metadata=facts.typed(),
        facts={name: Facts() for name in dict.fromkeys(row.model for row in rows.values())},
        notes=facts.notes(),
    )


class Metadata:
    """Metadata of the cases, gathered row by row: what is constant within each case."""

    def __init__(self, path: Path, table: Table, known: set[int]) -> None:
        self._path, self._comma = path, table.comma
        self._columns = {i: c for i, c in enumerate(table.columns) if c and i not in known}
        self._found: dict[str, dict[int, Any]] = {}
        self._varying: dict[int, None] = {}

    def add(self, case: str, cells: Sequence[Any]) -> list[str]:
        """Take a row; returns the columns that say something else of the case than before."""
        known = self._found.setdefault(case, {})
        differing = []
        for i, column in self._columns.items():
            cell = cells[i].strip() if isinstance(cells[i], str) else cells[i]
            if cell == "" or not isinstance(cell, str | int | float):
                continue
            if known.setdefault(i, cell) != cell:
                self._varying[i] = None
                differing.append(column[:60])
        return differing

    def notes(self) -> tuple[str, ...]:
        names = [repr(self._columns[i][:60]) for i in self._varying]
        if not names:
            return ()
        what = f"{', '.join(names[:5])} differ within a case and are no metadata of it"
        return (f"{shown(self._path)}: {shown(what)}",)

    def typed(self) -> dict[str, dict[str, Value]]:
        """Numbers where a column holds nothing else."""
        table: dict[str, dict[str, Value]] = {case: {} for case in self._found}
        for i, column in self._columns.items():
            if i in self._varying:
                continue
            cells = {case: row[i] for case, row in self._found.items() if i in row}
            numbers = {case: _quantity(cell, self._comma) for case, cell in cells.items()}
            text = None in numbers.values()
            for case, cell in cells.items():
                table[case][column] = shortened(str(cell)) if text else numbers[case]
        return table


_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")


def _quantity(cell: Any, comma: bool) -> float | int | None:
    """The number of a cell; 007 is a name."""
    if isinstance(cell, str) and _LEADING_ZERO.match(cell):
        return None
    number = as_number(cell, comma=comma)
    if number is None or not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def find(columns: Sequence[str], names: Sequence[str]) -> int | None:
    """The first column that has one of the names, the first name that is there going first."""
    called = [plain(column) for column in columns]
    return next((called.index(name) for name in names if name in called), None)


def _is_metric(column: str, declared: frozenset[str]) -> bool:
    return bool(column) and (plain(column) in declared or known_metric(column) is not None)


def of_text(path: Path, text: str) -> Table:
    """The table in a text, whether commas, semicolons or tabs separate its cells."""
    heading = re.split(r"[\r\n]+", text[: 2**20].lstrip("\r\n \ufeff"), maxsplit=1)[0]
    if not any(c.isalnum() for c in heading[:1000]):
        raise problem(path, "has no heading", "name the columns in the first line")
    if max(map(heading.count, ",;\t")) >= MAX_COLUMNS or len(heading) > 2**18:
        raise problem(path, f"has more than {MAX_COLUMNS} columns", "keep those of scores")
    delimiter = max(",;\t", key=lambda d: (_finds_case(heading, d), heading.count(d)))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = next([c.strip() for c in line] for line in lines if any(map(str.strip, line)))
    except (csv.Error, StopIteration) as error:
        raise problem(path, f"is no table ({reason(error)})", "correct its first line") from error
    _check_columns(path, [column for column in columns if column])
    return Table(columns, _lines(path, lines, len(columns)), delimiter != ",")


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise problem(path, f"has more than {MAX_COLUMNS} columns", "keep those of scores")
    names = Counter(map(str.casefold, columns))
    if twice := [column for column in columns if names[column.casefold()] > 1]:
        raise problem(path, f"has two columns called {twice[0][:60]!r}", "rename one of them")


def _finds_case(heading: str, delimiter: str) -> bool:
    try:
        return find(next(csv.reader([heading], delimiter=delimiter)), CASE) is not None
    except (csv.Error, StopIteration):
        return False


def _lines(path: Path, lines: Any, width: int) -> Iterator[tuple[str, Sequence[str]]]:
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as error:
            raise problem(path, f"line {lines.line_num}: {error}", "correct it") from error
        if cells is None:
            return
        if not any(map(str.strip, cells)):
            continue
        if len(cells) != width:
            what = f"line {lines.line_num} has {len(cells)} cells where {width} columns are named"
            raise problem(path, what, "write as many as the first line has, and quote separators")
        yield f"line {lines.line_num}", cells


def of_objects(path: Path, rows: Any) -> Table:
    """The table of objects, one per row; what an object lacks is None."""
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise problem(path, "holds no rows", "write a list of objects, one per row")
    columns = list(islice(dict.fromkeys(key for row in rows for key in row), MAX_COLUMNS + 1))
    _check_columns(path, columns)
    cells = ((f"row {i}", [row.get(c) for c in columns]) for i, row in enumerate(rows, 1))
    return Table(columns, cells, comma=False)
