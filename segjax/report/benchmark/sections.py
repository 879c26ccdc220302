"""What a benchmark says beside its workloads: starts, the roofline, and a large CT."""

from collections.abc import Mapping, Sequence
from typing import Any

from segjax.report._text import escape, number, percent
from segjax.report.benchmark.rows import OURS
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


def ceilings(document: Mapping[str, Any]) -> str:
    """How close workloads and programs come to what the machine allows."""
    machine = document["machine"]
    return (
        f"<section><h2>Roofline</h2><p>This machine reads memory at {machine['read_gb_s']:g} GB/s "
        f"and multiplies at {machine['gflop_s']:g} GFLOP/s, as measured here.</p>"
        f"{_reading(document)}{_programs(document.get('roofline') or ())}</section>"
    )


def _reading(document: Mapping[str, Any]) -> str:
    """Each workload at its largest size, against reading its input once."""
    own = {r["workload"]: r for r in document["rows"] if r["tool"] == OURS}  # the last stays
    lines = []
    for about in document["workloads"]:
        row = own.get(about["name"])
        if row is None or row["input_bytes"] < 2**20:  # which no memory is read for
            continue
        least = 1e3 * row["input_bytes"] / (1e9 * document["machine"]["read_gb_s"])
        lines.append(
            (
                escape(about["title"]),
                f"{row['size']:,}",
                number(row["input_bytes"] / 1e6, 1),
                number(row["wall_ms"], 2),
                number(least, 2),
                percent(least / row["wall_ms"]),
            )
        )
    head = ("workload", "size", "input, MB", "ms", "reading it once, ms", "share")
    return table(head, lines) if lines else ""


def _programs(rows: Sequence[Mapping[str, Any]]) -> str:
    """What XLA makes of the parts that count on the device."""
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
        "<p>Programs that count on a device; on a CPU, NumPy and bit tricks stand in for them. "
        "Bytes and operations are those of XLA's analysis of the compiled program; the least time "
        "is what they need at the rates above. What stays in a cache is counted as if it did not, "
        f"so that more than 100 % can be found.</p>{table(head, lines, text=(0, 6))}"
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
