"""What segjax costs on this machine, at growing sizes, next to every peer that is installed."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from segjax.benchmark.large_ct import measure_large_ct
from segjax.benchmark.machine import bandwidth, describe_machine, peak_flops
from segjax.benchmark.processes import cold_starts
from segjax.benchmark.roofline import measure_roofline
from segjax.benchmark.suite import Options as Options, growths, run as run
from segjax.benchmark.workloads import WORKLOADS as WORKLOADS
from segjax.io import output_folder, write_atomic
from segjax.report.benchmark import render_benchmark


def benchmark(
    options: Options,
    *,
    command: str = "",
    progress: Callable[[str, int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Measure, and say what is known after each workload: the last document is the whole one.

    Args:
        options: what to measure.
        command: how it was asked for.
        progress: called with the name of a workload and a size before that is measured.

    Yields:
        What `bench.json` holds: the machine, `rows` (one per workload, size and tool), `growth`
        (powers of the size), and, of a whole run, `starts`, `roofline` and `ct`.
    """
    document: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "options": dataclasses.asdict(options),
        "machine": describe_machine()
        | {"read_gb_s": round(bandwidth() / 1e9, 2), "gflop_s": round(peak_flops() / 1e9, 1)},
        "workloads": [
            {"name": w.name, "title": w.title, "axis": w.axis, "grows": w.grows} for w in WORKLOADS
        ],
        "rows": [],
        "growth": [],
    }
    if not options.workloads:
        rounds = 1 if options.quick else 5
        document["starts"] = cold_starts(rounds, options.seed)
        document["roofline"] = measure_roofline(rounds, quick=options.quick, seed=options.seed)
        document["ct"] = measure_large_ct(rounds, quick=options.quick, seed=options.seed)
    for _, rows in groupby(run(options, progress), lambda row: row["workload"]):
        document["rows"] += rows
        document["growth"] = growths(document["rows"])
        yield document


def write(folder: str | Path, document: dict[str, Any]) -> dict[str, Path]:
    """Write `bench.json` and the page, `index.html`, each whole or not at all.

    Returns:
        The files, by what they are.

    Raises:
        InputError: if the folder cannot be made, or a file not be written.
    """
    folder = output_folder(folder)
    texts = {
        "json": ("bench.json", json.dumps(document, indent=1) + "\n"),
        "page": ("index.html", render_benchmark(document)),
    }
    for name, text in texts.values():
        write_atomic(folder / name, text)
    return {kind: folder / name for kind, (name, _) in texts.items()}
