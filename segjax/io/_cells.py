"""What stands in one cell of a table of scores, or in one place of a JSON file."""

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from segjax._errors import InputError
from segjax.io._problem import problem
from segjax.io.sheet import Row, Status
from segjax.metrics import get_metric


_LONGEST = 300
_NONE = frozenset(("", "nan", "null", "none", "na", "n/a", "-"))
_STATUS = {s.name.casefold(): s for s in Status}


def read_score(
    path: Path, where: str, column: str, cell: Any, *, comma: bool = False
) -> tuple[float, Status | None]:
    """The number in a cell, NaN for none, and what the cell says of why there is none."""
    word = cell.strip().casefold() if isinstance(cell, str) else cell
    if word is None or (isinstance(word, str) and word in _NONE):
        return math.nan, None
    if word == "undefined":
        return math.nan, Status.UNDEFINED
    number = as_number(cell, comma=comma)
    if number is None:
        got = repr(cell.strip()[:40]) if isinstance(cell, str) else f"a {type(cell).__name__}"
        what = f"{where}, column {column[:60]!r}, holds {got}, which is no number"
        raise problem(path, what, "write a number, or leave it empty for no score")
    return number, None


def as_number(cell: Any, *, comma: bool = False) -> float | None:
    """A cell as a number, None if it is none; `comma` allows 0,5."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    if isinstance(cell, str):
        if "_" in cell or not cell.isascii():  # Python takes 1_000, and digits of any script
            return None
        cell = cell.replace(",", ".", 1) if comma else cell
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def read_status(path: Path, where: str, cell: Any) -> Status | None:
    """What a cell states; None if nothing."""
    word = cell.strip().casefold() if isinstance(cell, str) else cell
    if word is None or word in _NONE:
        return None
    if word not in _STATUS:
        what = f"{where} has status {str(word)[:40]!r}"
        raise problem(path, what, f"write one of {', '.join(_STATUS)}, or nothing")
    return _STATUS[word]


def status_of(score: float, stated: Status | None) -> Status:
    """A number is a score, unless the source says that it stands for a miss."""
    if stated is Status.MISSED:
        return stated
    if not math.isnan(score):
        return Status.SCORED
    return Status.UNDEFINED if stated is Status.UNDEFINED else Status.ABSENT


def read_name(path: Path, where: str, what: str, cell: Any) -> str:
    """The name in a cell; numbers are names too."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        cell = str(cell)
    name = cell.strip() if isinstance(cell, str) else ""
    if not name:
        raise problem(path, f"{where} names no {what}", f"give every row the name of its {what}")
    if len(name) > _LONGEST or any("\ud800" <= c <= "\udfff" for c in name):
        said = f"{where} has a name of its {what} that is too long or no text ({name[:40]!r})"
        raise problem(path, said, f"give names of at most {_LONGEST} characters")
    return name


def shortened(text: str) -> str:
    """Text that is only shown: any, but in bounds."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def plain(name: str) -> str:
    """A name without case and punctuation, by which columns are found."""
    return "".join(c for c in name.casefold() if c.isalnum())


def canonical(name: str) -> str:
    """The canonical name of a metric; the name itself if it is unknown."""
    return known_metric(name) or name


@lru_cache(maxsize=4096)
def known_metric(name: str) -> str | None:
    """The canonical name of a metric; None if it is unknown."""
    if len(name) > _LONGEST:
        return None
    try:
        return get_metric(name).name
    except InputError:
        return None


def twice(path: Path, where: str, row: Row) -> InputError:
    """The error to raise about a score that is there already."""
    of = f", label {row.label[:60]!r}" if row.label else ""
    what = f"{where} scores {row.metric[:60]} of model {row.model[:60]!r}, case {row.case[:60]!r}"
    return problem(path, f"{what}{of} a second time", "keep one of them")


class Place(NamedTuple):
    """A table within a JSON file, and where it is."""

    path: Path
    found: Mapping[str, Any]
    where: str = ""

    def table(self, key: str) -> "Place":
        """The table under a name; empty if it is not there."""
        return self._of(key, self.found.get(key, {}))

    def tables(self, key: str) -> list["Place"]:
        """The tables of the list under a name."""
        values = self.found.get(key, [])
        if not isinstance(values, list):
            raise problem(self.path, f"{self._at(key)} is no list", "correct it")
        return [self._of(f"{key}[{i}]", value) for i, value in enumerate(values)]

    def name(self, key: str) -> str:
        """The name under a name, which has to be there."""
        return read_name(self.path, self.where, key, self.found.get(key))

    def text(self, key: str) -> str:
        """The text under a name; empty if there is none."""
        value = self.found.get(key)
        return shortened(value) if isinstance(value, str) else ""

    def _of(self, key: str, value: Any) -> "Place":
        if not isinstance(value, Mapping):
            raise problem(self.path, f"{self._at(key)} is no table", "correct it")
        return Place(self.path, value, self._at(key))

    def _at(self, key: str) -> str:
        return f"{self.where}.{key[:60]}".lstrip(".")
