"""What a benchmark says beside its workloads: starts, the roofline, and a large CT."""

from collections.abc import Mapping, Sequence
from typing import Any

from segjax.report._text import escape, number, percent
from segjax.report.benchmark.tables import table


def starts(rows: Sequence[Mapping[str, Any]]) -> str:
    """How long a new process takes."""
    if not rows:
        return ""
    lines = [
        (
            escape(row["start"]),
            number(row["process_wall_ms"] / 1e3, 2),
            number(row["process_cpu_ms"] / 1e3, 2),
            str(row.get("compiled", "")),
            str(row.get("from_cache", "")),
            number(row["compile_s"], 2) if "compile_s" in row else "",
            f"{row['bar_seconds']:g}" if "bar_seconds" in row else "",
        )
        for row in rows
    ]
    head = ("command", "s", "CPU s", "compiled", "from disk", "compiling, s", "at most, s")
    return (
        "<section><h2>From a cold start</h2><p>A new process each time, to the last line of its "
        "output, for a pair of images of 512 x 512: warm with compiled programs on disk, cold "
        f"without. Medians.</p>{table(head, lines)}</section>"
    )


def ceilings(rows: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> str:
    """How close programs come to what the machine allows."""
    if not rows:
        return ""
    lines = [
        (
            escape(row["program"]),
            number(row["input_bytes"] / 1e6, 1),
            number(row["bytes"] / 1e6, 1),
            number(row["flops"] / 1e6, 0),
            number(row["wall_ms"], 2),
            number(row["bound_ms"], 2),
            escape(row["bound"]),
            percent(row["share"]),
        )
        for row in rows
    ]
    head = ("program", "input, MB", "moved, MB", "Mflop", "ms", "least, ms", "bound by", "share")
    return (
        "<section><h2>Roofline</h2><p>Programs that count on the device. Bytes and operations are "
        "those of XLA's analysis of the compiled program; the least time is what they need at the "
        f"{machine['read_gb_s']:g} GB/s and {machine['gflop_s']:g} GFLOP/s measured here. "
        "What stays in a cache is counted as if it did not, so that more than 100 % can be found. "
        "On a CPU segjax counts arrays of the host by NumPy and bit tricks instead of these."
        f"</p>{table(head, lines, text=(0, 6))}</section>"
    )


def large_ct(found: Mapping[str, Any] | None, machine: Mapping[str, Any]) -> str:
    """The task by which tools for GPUs are compared."""
    if not found:
        return ""
    shape, spacing = (" x ".join(f"{n:g}" for n in found[k]) for k in ("shape", "spacing"))
    device = ", ".join(sorted(set(machine["devices"])))
    lines = [
        (f"segjax, on {escape(device)}", f"{number(found['wall_ms'], 1)} ms", "measured here"),
        *(
            (escape(tool), escape(value), "as DisTorch's authors report it, on a GPU")
            for tool, value in found["reported"].items()
        ),
    ]
    return (
        f"<section><h2>HD of a large CT</h2><p>One organ in {shape} voxels of {spacing} mm, wall "
        f"time per case, masks on the device; the first call takes {found['first_call_s']:g} s. "
        "The others were measured on other images and machines: an order of magnitude, no contest."
        f"</p>{table(('tool', 'per case', ''), lines, text=(0, 2))}</section>"
    )
