"""Results of segauge-benchmark, which writes null where a distance is infinite."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segjax.io._cells import Place, as_number, canonical, read_name, read_score, shortened, twice
from segjax.io._problem import problem
from segjax.io.sheet import Facts, Row, Sheet, Status


def is_results(found: object) -> bool:
    """Whether the content of a JSON file is one of these."""
    return isinstance(found, Mapping) and isinstance(found.get("models"), list)


def read(path: Path, found: Mapping[str, Any]) -> Sheet:
    """A score of a case that was run and is null is a miss.

    Raises:
        InputError: if something is not as the benchmark writes it.
    """
    results = Place(path, found)
    tolerance = as_number(results.table("config").found.get("nsd_tolerance"))
    tolerant = {} if tolerance is None else {"nsd": canonical(f"nsd(tolerance={tolerance:g})")}
    rows: dict[tuple[str, ...], Row] = {}
    facts: dict[str, Facts] = {}
    suspect: set[tuple[str, str]] = set()
    for entry in results.tables("models"):
        model = entry.name("name")
        if model in facts:
            raise problem(path, f"{entry.where} is a second {model[:60]!r}", "rename one of them")
        facts[model] = _facts(entry)
        organs = entry.table("per_organ")
        for key in organs.found:
            organ, label = organs.table(key), read_name(path, organs.where, "organ", key)
            if organ.found.get("suspect") is True:
                suspect.add((model, label))
            for case in organ.tables("per_case"):
                for row in _scores(case, model, label, tolerant):
                    if rows.setdefault(row[:4], row) is not row:
                        raise twice(path, case.where, row)
    dataset = results.table("dataset")
    about = {key: dataset.text(key) for key in ("name", "url", "license", "citation")}
    return Sheet(
        rows=list(rows.values()),
        facts=facts,
        dataset={key: text for key, text in about.items() if text},
        suspect=frozenset(suspect),
        unit="mm",
    )


def _facts(entry: Place) -> Facts:
    trained = entry.found.get("contaminated_on")
    names = trained if isinstance(trained, list) else []
    return Facts(
        version=entry.text("version"),
        license=entry.text("license"),
        url=entry.text("url"),
        contaminated=entry.found.get("fair") is False,
        contaminated_on=tuple(shortened(name) for name in names if isinstance(name, str)),
    )


def _scores(case: Place, model: str, label: str, tolerant: Mapping[str, str]) -> Iterator[Row]:
    name = case.name("case_id")
    for key, cell in case.found.items():
        if key != "case_id":
            metric = tolerant.get(key) or canonical(read_name(case.path, case.where, "metric", key))
            score, _ = read_score(case.path, case.where, key, cell)
            status = Status.MISSED if math.isnan(score) else Status.SCORED
            yield Row(model, name, label, metric, score, status)
