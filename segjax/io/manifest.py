"""Pairs of files from a list: a .csv with the columns `reference`, `prediction`, maybe `case`."""

import csv
from pathlib import Path

from segjax.io._problem import problem, reason
from segjax.io._text import read_text
from segjax.io.pairing import Pair, Pairing
from segjax.io.read import stem


_COLUMNS = "head its columns reference,prediction or case,reference,prediction"


def pair(path: Path) -> Pairing:
    """Read a list of pairs; relative paths start at its folder.

    A case without a prediction has none, as if its file were missing. Cases are named after
    their references where there is no column `case`.

    Raises:
        InputError: if it is no such list, or names a case twice.
    """
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise problem(path, "is no list of pairs", "give a .csv, or the predictions as well")
    text = read_text(path)
    rows = csv.DictReader(
        text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ","
    )
    try:
        columns = [name.strip().lower() for name in rows.fieldnames or ()]
        rows.fieldnames = columns
        lines = [*rows]
    except csv.Error as error:
        raise problem(path, f"is no table ({reason(error)})", "correct it") from error
    if not {"reference", "prediction"} <= set(columns):
        raise problem(path, f"has the columns {', '.join(columns)[:80] or 'none'}", _COLUMNS)
    found: dict[str, Pair] = {}
    for number, row in enumerate(lines, start=2):
        reference, prediction = ((row[key] or "").strip() for key in ("reference", "prediction"))
        if not reference:
            raise problem(path, f"line {number} names no reference", "give one, or drop the line")
        name = (row.get("case") or "").strip() or stem(reference)
        if name in found:
            raise problem(path, f"line {number} is a second case {name[:60]!r}", _TWICE)
        there = path.parent / prediction if prediction else None
        found[name] = Pair(name, path.parent / reference, there)
    pairs = tuple(pair for pair in found.values() if pair.prediction is not None)
    if not pairs:
        raise problem(path, "names no pair", _COLUMNS)
    missing = tuple(pair for pair in found.values() if pair.prediction is None)
    alone = tuple(pair.name for pair in missing)
    return Pairing("manifest", pairs, alone, unpredicted=missing)


_TWICE = "name each case once, in a column case where references are called the same"
