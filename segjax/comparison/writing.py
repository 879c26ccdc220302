"""What a comparison leaves behind: a page, the numbers, and the differences of all cases."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segjax import io
from segjax.report.comparison import render_comparison
from segjax.table import csv_text


def write(output: Path, document: Mapping[str, Any]) -> dict[str, Path]:
    """Write all there is into a folder.

    Raises:
        InputError: if that is not possible.
    """
    contents = {
        "comparison.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        "comparison.csv": to_csv(document),
        "comparison.html": render_comparison(document),
    }
    io.output_folder(output)
    for name, content in contents.items():
        io.write_atomic(output / name, content)
    return {Path(name).suffix[1:]: output / name for name in contents}


def to_csv(document: Mapping[str, Any]) -> str:
    """One line per measure and case, or per metric, class and data set."""
    if document["kind"] == "datasets":
        return csv_text(
            ("metric", "class", "dataset", "n", "mean", "low", "high", "pooled"), _classes(document)
        )
    others = document["runs"][1:]
    first = document["runs"][0]
    heads = ("measure", "case", *document["runs"], *(f"{other} - {first}" for other in others))
    return csv_text(heads, _cases(document))


def _cases(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for measure in document["measures"]:
        for i, case in enumerate(measure["cases"]):
            values = (row[i] for row in measure["values"])
            yield (measure["name"], case, *values, *(p["differences"][i] for p in measure["pairs"]))


def _classes(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for metric in document["metrics"]:
        for one in metric["classes"]:
            for run, row in zip(document["runs"], one["rows"], strict=True):
                if row is None:
                    continue
                ends = row["interval"] or {}
                name = one["name"] or "all"
                numbers = row["mean"], ends.get("low"), ends.get("high"), row["pooled"]
                yield metric["metric"], name, run, row["n"], *numbers
