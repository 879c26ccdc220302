"""What is asked of the rows of a benchmark: one per workload, size and tool."""

from collections.abc import Mapping, Sequence
from typing import Any


OURS = "segjax"

Document = Mapping[str, Any]
Row = Mapping[str, Any]


def clock_of(document: Document) -> str:
    """Which time counts: of the processors, or, where another device works, that on the wall."""
    return "cpu" if document["machine"]["backend"] == "cpu" else "wall"


def quickest(rows: Sequence[Row], own: Row, clock: str) -> Row | None:
    """Of the peers that did what a row of ours is about, the closest or quicker one."""
    peers = [
        row
        for row in rows
        if (row["workload"], row["size"]) == (own["workload"], own["size"])
        and f"{clock}_ratio" in row
    ]
    return max(peers, key=lambda row: row[f"{clock}_ratio"], default=None)


def quicker(rows: Sequence[Row], clock: str) -> list[Row]:
    """Rows of peers that take less time than segjax, by the median of the ratios."""
    return [row for row in rows if row.get(f"{clock}_ratio", 0) > 1]
