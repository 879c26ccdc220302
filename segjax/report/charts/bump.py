"""Whether an order survives another way of ranking: one line per model over all of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from segjax.report._text import escape
from segjax.report.charts._axes import name_text, svg, width_of


_NAMES = 150.0
_STEP = 92.0


class Ranks(NamedTuple):
    """Ranks by one scheme, per model; None where a model has none, and no ends for no band."""

    group: str
    scheme: str
    ranks: Sequence[float | None]
    low: Sequence[float | None] | None
    high: Sequence[float | None] | None


def bump_chart(names: Sequence[str], columns: Sequence[Ranks], title: str) -> str:
    """Draw ranks against schemes, the first three models in colours of their own.

    Args:
        names: of the models, the leading ones first.
        columns: the schemes in the order of drawing; a change of `group` leaves a gap.
        title: what a screen reader says.
    """
    row = 26.0 if len(names) <= 20 else 15.0
    room = min(_NAMES, max(width_of(name) for name in names)) + 16
    places, x = [], room + 20
    for k, column in enumerate(columns):
        x += 0 if k == 0 else _STEP + (30 if column.group != columns[k - 1].group else 0)
        places.append(x)
    top = 46.0
    y = lambda rank: top + (rank - 0.5) * row
    floor = top + len(names) * row
    body = _heads(columns, places)
    body += "".join(f'<path class="grid" d="M{p:g},{top:g}V{floor:g}"/>' for p in places)
    for i in reversed(range(len(names))):
        body += _model(names[i], i, columns, places, y)
    for column, anchor, at in ((columns[0], "end", room), (columns[-1], "start", x + 22)):
        body += _ends(names, column, at, anchor, y)
    return svg("bump", x + room + 14, floor + 6, title, body)


def _heads(columns: Sequence[Ranks], places: Sequence[float]) -> str:
    body = ""
    for k, (column, x) in enumerate(zip(columns, places, strict=True)):
        if k == 0 or column.group != columns[k - 1].group:
            last = max(j for j, c in enumerate(columns) if c.group == column.group)
            body += name_text(x - 34, 13, column.group, places[last] - x + _STEP - 8)
        body += f'<text x="{x:g}" y="34" text-anchor="middle">{escape(column.scheme)}</text>'
    return body


def _model(name: str, i: int, columns: Sequence[Ranks], places: Sequence[float], y) -> str:
    line, dots, bands, before = "", "", "", None
    for column, x in zip(columns, places, strict=True):
        rank = column.ranks[i]
        if rank is None or not math.isfinite(rank):
            before = None
            continue
        line += f"{'L' if before == column.group else 'M'}{x:g},{y(rank):g}"
        before = column.group
        dots += f"M{x:g},{y(rank):g}h0"
        low = column.low[i] if column.low else None
        high = column.high[i] if column.high else None
        if low is not None and high is not None and high > low:
            bands += f"M{x:g},{y(low):g}V{y(high):g}"
    band = f'<path class="band" d="{bands}"/>' if bands else ""
    own = f" m{i + 1}" if i < 3 else ""
    said = "; ".join(
        f"{c.group}, {c.scheme}: {c.ranks[i]:g}" for c in columns if c.ranks[i] is not None
    )
    return (
        f'<g class="model{own}"><title>{escape(name)}. {escape(said)}</title>{band}'
        f'<path class="line" d="{line}"/><path class="knots" d="{dots}"/></g>'
    )


def _ends(names: Sequence[str], column: Ranks, x: float, anchor: str, y) -> str:
    """Names beside a column, by its ranks; equal ranks are written under one another."""
    known = [(r, i) for i, r in enumerate(column.ranks) if r is not None and math.isfinite(r)]
    body, places = "", {}
    for place, (_, i) in enumerate(sorted(known)):
        places[i] = place + 1
    for i, place in places.items():
        rank = column.ranks[i]
        lead = f"{rank:g}  " if rank is not None else ""
        text = f"{lead}{names[i]}" if anchor == "start" else f"{names[i]}  {lead.strip()}"
        body += name_text(x, y(place) + 4, text, _NAMES + 24, anchor)
    return body
