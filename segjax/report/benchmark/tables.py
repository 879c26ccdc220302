"""Tables of a benchmark."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from segjax.report._text import escape, number


def table(
    head: Sequence[str], lines: Sequence[Sequence[str]], *, text: Collection[int] = (0,)
) -> str:
    """A table whose cells are HTML already; columns of `text` stand left."""
    mark = lambda i: ' class="text"' if i in text else ""
    top = "".join(f'<th scope="col"{mark(i)}>{escape(name)}</th>' for i, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{mark(i)}>{cell}</td>" for i, cell in enumerate(line)) + "</tr>"
        for line in lines
    )
    whole = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{whole}</div>'


def of_workload(rows: Sequence[Mapping[str, Any]], clock: str) -> str:
    """All rows of a workload, with their spread."""
    head = (
        "size", "tool", "rounds", "CPU, ms", "quartiles", "wall, ms", "quartiles",
        "segjax / tool", "quartiles", "MB",
    )  # fmt: skip
    lines = [
        (
            f"{row['size']:,}",
            escape(row["tool"]),
            str(row["rounds"]),
            number(row["cpu_ms"], 2),
            _spread(row["cpu_ms_quartiles"]),
            number(row["wall_ms"], 2),
            _spread(row["wall_ms_quartiles"]),
            number(row[f"{clock}_ratio"], 3) if f"{clock}_ratio" in row else "",
            _spread(row.get(f"{clock}_ratio_quartiles")),
            number(row["peak_mb"], 1) if "peak_mb" in row else "",
        )
        for row in rows
        if "cpu_ms" in row
    ]
    return table(head, lines, text=(1,))


def _spread(quartiles: Sequence[float] | None) -> str:
    if quartiles is None:
        return ""
    low, high = (number(q, 2 if q >= 0.1 else 3) for q in quartiles)
    return f'<span class="muted">{low} to {high}</span>'


def left_out(rows: Sequence[Mapping[str, Any]]) -> str:
    """Who takes no part, from which size, and why."""
    first: dict[str, tuple[int, str]] = {}
    for row in rows:
        if "left_out" in row:
            first.setdefault(row["tool"], (row["size"], row["left_out"]))
    words = [
        f"{escape(tool)} ({escape(why)})"
        if why == "not installed"
        else f"{escape(tool)} from {size:,} on ({escape(why)})"
        for tool, (size, why) in first.items()
    ]
    return f'<p class="muted small">Left out: {"; ".join(words)}.</p>' if words else ""
