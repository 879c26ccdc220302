"""What is compared: folders that `segjax evaluate` wrote, or files of scores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segjax._errors import InputError
from segjax.io import read_summary
from segjax.io.scores import read_scores
from segjax.io.sheet import Sheet


@dataclass(frozen=True)
class Run:
    """The scores of one run.

    Attributes:
        name: of the run.
        path: where it was read from.
        sheet: its scores.
        summary: its `summary.json`; empty where there is none.
    """

    name: str
    path: Path
    sheet: Sheet
    summary: Mapping[str, Any]

    @property
    def cases(self) -> set[str]:
        return {row.case for row in self.sheet.rows}

    @property
    def references(self) -> dict[str, str]:
        """SHA-256 of each case's reference, as far as known."""
        found = {}
        inputs = self.summary.get("inputs")
        for entry in inputs if isinstance(inputs, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("reference"), Mapping):
                found[str(entry.get("case"))] = str(entry["reference"].get("sha256"))
        return found


def read_runs(sources: Sequence[str | Path]) -> list[Run]:
    """Read runs from NAME=PATH, or paths after which they are named.

    Raises:
        InputError: if there are fewer than two, two of one name, or one cannot be read.
    """
    if len(sources) < 2:
        raise InputError("give two runs or more, e.g. before=out1/ after=out2/")
    named = [_named(str(source)) for source in sources]
    names = _distinct(named)
    return [_read(name, path) for name, (_, path) in zip(names, named, strict=True)]


def share_cases(runs: Iterable[Run]) -> bool:
    """Whether all runs scored some cases of the same name.

    Raises:
        InputError: if cases of one name have other references, so that they are not the same.
    """
    runs = list(runs)
    common = set.intersection(*(run.cases for run in runs))
    first = runs[0].references
    for run in runs[1:]:
        known = run.references
        both = [case for case in common if case in first and case in known]
        if both and all(first[case] != known[case] for case in both):
            raise InputError(
                f"{run.path}: has cases of the same names as {runs[0].path} and other references; "
                "pass --datasets if these are several data sets, else score all against the same"
            )
    return bool(common)


def _named(source: str) -> tuple[str | None, Path]:
    name, equals, path = source.partition("=")
    if equals and not Path(source).exists():
        if not (name.strip() and path):
            raise InputError(f"{source}: names no run or no file; give NAME=PATH")
        return name.strip(), Path(path)
    return None, Path(source)


def _distinct(named: Sequence[tuple[str | None, Path]]) -> list[str]:
    """Names that tell runs apart: those given, else of folders, with their parents if need be."""
    file = lambda path: path.suffix.lower() in (".csv", ".json")
    plain = [name or (path.stem if file(path) else path.absolute().name) for name, path in named]
    longer = [name or "/".join(path.absolute().parts[-2:]) for name, path in named]
    for names in (plain, longer):
        if len(set(names)) == len(names):
            return names
    twice = next(name for name in plain if plain.count(name) > 1)
    raise InputError(f"two runs are called {twice!r}; name them, as in before=PATH after=PATH")


def _read(name: str, path: Path) -> Run:
    sheet = read_scores(path, model=name)
    summary = path / "summary.json" if path.is_dir() else None
    known = summary is not None and summary.is_file()
    return Run(name, path, sheet, read_summary(path) if known else {})
