"""What the labels are called: nnU-Net's dataset.json, and plainer lists."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segjax.io._problem import problem, reason
from segjax.io._text import MAX_YAML, read_json, read_text


_MEND = "write one label a line, as in 1,liver"
_MOST_PARTS = 4096
_ITK_SNAP = re.compile(r'\s*([0-9]+)(?:\s+[0-9.]+){6}\s+"(.*)"\s*')


@dataclass(frozen=True)
class Labelling:
    """What a file says about labels.

    Attributes:
        names: by label id.
        ignore: label of voxels not to score.
        regions: labels that are scored as one, by the name of the region: a whole tumour, say,
            beside its parts.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    ignore: int | None = None
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_label_names(path: str | Path) -> dict[int, str]:
    """Names of labels by id, from a file that `read_labelling` reads.

    Raises:
        InputError: if the file cannot be read or names no labels.
    """
    return dict(read_labelling(path).names)


def read_labelling(path: str | Path) -> Labelling:
    """Read class names from a file.

    Args:
        path: .json (an nnU-Net dataset.json, or names by id or ids by name), .yaml (the
            same), .csv, .tsv or .txt (`1,liver` a line, a heading is allowed), or label
            descriptions of ITK-SNAP. In .json and .yaml a list of labels is a region.

    Raises:
        InputError: if the file cannot be read or names no labels.
    """
    path = Path(path)
    readers = {".json": read_json, ".yaml": _yaml, ".yml": _yaml}
    suffix = path.suffix.lower()
    if suffix in readers:
        found = readers[suffix](path)
        if isinstance(found, Mapping) and isinstance(found.get("labels"), Mapping):
            found = found["labels"]
        labelling = _labelling(path, found)
    elif suffix in (".csv", ".tsv", ".txt", ".label"):
        labelling = Labelling(_lines(path, read_text(path).splitlines()))
    else:
        raise problem(path, "is no list of label names", "give a .json, .yaml, .csv, .tsv or .txt")
    if not (labelling.names or labelling.regions):
        raise problem(path, "names no labels", _MEND)
    return labelling


def read_dataset(path: Path) -> Labelling | None:
    """What an nnU-Net dataset.json says about labels.

    Returns:
        None if there is no such file, or it does not speak of labels.

    Raises:
        InputError: if it is malformed.
    """
    if not path.is_file():
        return None
    found = read_json(path)
    if not isinstance(found, Mapping):
        raise problem(path, "is no nnU-Net data set description", "correct or remove it")
    return _labelling(path, found["labels"]) if "labels" in found else None


def _labelling(path: Path, labels: object) -> Labelling:
    """Both {"liver": 1} and {"1": "liver"}; a value that is a list is a region."""
    if not isinstance(labels, Mapping):
        raise problem(path, "its labels are no table of ids and names", "correct it")
    several = {name: value for name, value in labels.items() if isinstance(value, list)}
    regions = {str(name).strip(): _parts(path, name, value) for name, value in several.items()}
    rows = [_row(path, *item) for item in labels.items() if not isinstance(item[1], list)]
    rows += [(parts[0], name) for name, parts in regions.items() if len(parts) == 1]
    ignored = [i for i, name in rows if name == "ignore"]
    names = _unique(path, (row for row in rows if row[1] != "ignore"))
    regions = {name: parts for name, parts in regions.items() if len(parts) > 1}
    return Labelling(names, ignored[0] if ignored else None, regions)


def _parts(path: Path, name: object, value: list[Any]) -> tuple[int, ...]:
    """The labels of a region."""
    parts = [_label(part) for part in value[:_MOST_PARTS]]
    labels = tuple(dict.fromkeys(part for part in parts if part is not None))
    if not labels or len(labels) < len(value) or not str(name).strip():
        entry = f"region {str(name)[:40]!r} of {len(value)}"
        raise problem(path, f"an entry gives no label ids and name ({entry})", "correct it")
    return labels


def _row(path: Path, key: object, value: object) -> tuple[int, str]:
    for label, name in ((key, value), (value, key)):
        number = _label(label)
        if number is not None and isinstance(name, str) and name.strip():
            return number, name.strip()
    entry = f"{str(key)[:40]!r}: {type(value).__name__}"
    raise problem(path, f"an entry gives no label id and name ({entry})", "correct it")


def _label(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,19}\s*", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**63 else None


def _unique(path: Path, rows: Iterable[tuple[int, str]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for label, name in rows:
        if names.setdefault(label, name) != name:
            what = f"names label {label} twice ({names[label][:40]!r} and {name[:40]!r})"
            raise problem(path, what, "keep one of them")
    return names


def _lines(path: Path, lines: list[str]) -> dict[int, str]:
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    rows = []
    for number, line in enumerate(lines):
        snap = _ITK_SNAP.fullmatch(line)
        cells = list(snap.groups()) if snap else _cells(path, line)
        label = _label(cells[0])
        if label is not None and len(cells) > 1 and cells[1].strip():
            rows.append((label, cells[1].strip()))
        elif number > 0:  # The first line may be a heading.
            raise problem(path, f"cannot be understood at {line[:60]!r}", _MEND)
    return _unique(path, rows)


def _cells(path: Path, line: str) -> list[str]:
    for delimiter in "\t,;":
        if delimiter in line:
            try:
                return next(csv.reader([line], delimiter=delimiter))
            except csv.Error as error:
                raise problem(path, f"{error} at {line[:60]!r}", _MEND) from error
    return line.split(None, 1)


def _yaml(path: Path) -> Any:
    import yaml

    text = read_text(path, MAX_YAML)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise problem(path, f"is no valid YAML ({reason(error)})", "correct it") from error
