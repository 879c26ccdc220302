"""Whether the order survives another way of ranking."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from segjax.report._text import escape
from segjax.report.board._content import Board, bdi
from segjax.report.charts.bump import Ranks, bump_chart


def schemes(board: Board) -> str:
    """One line per model over measures and schemes."""
    names = list(dict.fromkeys(name for o in board.outcomes for name in o.order))
    columns = [_column(s, names) for s in board.document.get("schemes") or [] if s.get("models")]
    if len(names) < 2 or not columns:
        return ""
    chart = bump_chart(names, columns, "Ranks of the models by measure and scheme")
    bands = any(c.low for c in columns)
    return (
        "<section><h2>Does the order survive the scheme?</h2>"
        f"<p>{_winners(columns, names)}</p>"
        '<p class="muted small">A scheme is a way from scores to ranks: rank the means, rank the '
        "medians, average the ranks within each case, or count the models that are separably "
        f"worse.{f' Bars: where {board.level} of the resamples lie.' if bands else ''}</p>"
        f'<div class="scroll">{chart}</div></section>'
    )


def _column(scheme: Mapping[str, Any], names: list[str]) -> Ranks:
    place = {name: i for i, name in enumerate(scheme["models"])}
    of = lambda values: [values[place[name]] if name in place else None for name in names]
    return Ranks(
        str(scheme["measure"]),
        str(scheme["scheme"]),
        of(scheme["ranks"]),
        of(scheme["low"]) if scheme.get("low") else None,
        of(scheme["high"]) if scheme.get("high") else None,
    )


def _winners(columns: list[Ranks], names: list[str]) -> str:
    """How often each model is first; shares of a first place count for each."""
    count: Counter[str] = Counter()
    for column in columns:
        known = [r for r in column.ranks if r is not None]
        best = min(known, default=None)
        count.update(n for n, r in zip(names, column.ranks, strict=True) if r == best)
    parts = [f"{bdi(name)} in {n}" for name, n in count.most_common(4)]
    more = f", {len(count) - 4} others" if len(count) > 4 else ""
    total = f"{len(columns)} {escape('rankings' if len(columns) > 1 else 'ranking')}"
    return f"First, of {total}: {', '.join(parts)}{more}."
