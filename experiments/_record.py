"""Read an experiment's options; write a result next to what is needed to obtain it again."""

import argparse
import dataclasses
import inspect
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from segjax.benchmark.machine import processor, versions


RESULTS = Path(__file__).parent / "results"


def options(kind: type[Any], arguments: Sequence[str] | None = None) -> Any:
    """A `Config` from the command line: one option per field, its default the field's.

    Fields are numbers, strings, or tuples of one of them.
    """
    about = inspect.getdoc(inspect.getmodule(kind))
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in dataclasses.fields(kind):
        default: Any = field.default
        many = isinstance(default, tuple)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(default[0] if many else default),
            nargs="+" if many else None,
            default=default,
            help=f"default: {' '.join(map(str, default)) if many else default}",
        )
    given = vars(parser.parse_args(arguments))
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


def save(
    name: str,
    config: Any,
    rows: Sequence[Mapping[str, Any]],
    seconds: float,
    *,
    packages: Iterable[str] = (),
) -> Path:
    """Store rows, configuration and provenance as `results/<name>.json`.

    Args:
        name: of the experiment.
        config: what it was run with.
        rows: what it found.
        seconds: how long it took.
        packages: distributions whose versions matter, besides those segjax computes with.
    """
    record = {
        "config": dataclasses.asdict(config),
        "provenance": {
            "commit": _commit(),
            "date": time.strftime("%Y-%m-%d"),
            "device": jax.devices()[0].device_kind,
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "versions": versions(("segjax", "jax", "jaxlib", "numpy", *packages)),
            "seconds": round(seconds, 1),
        },
        "rows": [dict(row) for row in rows],
    }
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Some columns of the rows as text; a cell that a row does not have stays empty."""
    cells = [list(columns), *([_cell(row.get(c)) for c in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )
    return "\n".join(lines)


def show_contest(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows of a contest as a table, and below it those that were measured without a peer."""
    against = [row for row in rows if "peer" in row and not row.get("absent")]
    alone = [row for row in rows if "peer" not in row]
    names = dict.fromkeys(key for row in alone for key in row)
    return "".join(f"{table}\n\n" for table in (show(against, columns), show(alone, tuple(names))))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=RESULTS.parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # an unpacked archive
    return done.stdout.strip()
