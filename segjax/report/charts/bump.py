"""Whether an order survives another way of ranking: one line per model over all of them."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from segjax.report._text import clean, escape
from segjax.report.charts._axes import name_text, svg, width_of


_NAMES = 150.0
_STEP, _TOP = 92.0, 62.0
_FEW = 20  # models above which lines lie close
_COLOURED = 3
_SAID = 12  # schemes that fit where a pointer rests


_Height = Callable[[float], float]


class Ranks(NamedTuple):
    """Ranks by one scheme, per model; None where a model has none, and no ends for no band."""

    group: str
    scheme: str
    ranks: Sequence[float | None]
    low: Sequence[float | None] | None
    high: Sequence[float | None] | None


def bump_chart(names: Sequence[str], columns: Sequence[Ranks], title: str) -> str:
    """Draw ranks against schemes, the first three models in colours of their own.

    Dots and bands are drawn for all of a few models, and else for those three.

    Args:
        names: of the models, the leading ones first.
        columns: the schemes in the order of drawing; a change of `group` leaves a gap.
        title: what a screen reader says.
    """
    few = len(names) <= _FEW
    row = 26.0 if few else 15.0
    room = min(_NAMES, max(width_of(name) for name in names)) + 8
    places, x = [], room + 44
    for k, column in enumerate(columns):
        x += 0 if k == 0 else _STEP + (30 if column.group != columns[k - 1].group else 0)
        places.append(x)
    y = lambda rank: _TOP + (rank - 0.5) * row
    floor = _TOP + len(names) * row
    body = _heads(columns, places)
    body += "".join(f'<path class="grid" d="M{p:g},{_TOP:g}V{floor:g}"/>' for p in places)
    for i in reversed(range(len(names))):
        body += _model(names[i], i, columns, places, y, few or i < _COLOURED)
    body += _ends(names, columns[0], room, room + 28, "end", y)
    body += _ends(names, columns[-1], x + 44, x + 16, "start", y)
    return svg("bump", x + room + 52, floor + 6, title, body)


def _heads(columns: Sequence[Ranks], places: Sequence[float]) -> str:
    body = ""
    for k, (column, x) in enumerate(zip(columns, places, strict=True)):
        if k == 0 or column.group != columns[k - 1].group:
            last = max(j for j, c in enumerate(columns) if c.group == column.group)
            body += name_text(x - 36, 13.0, column.group, places[last] - x + _STEP - 8)
        lines = textwrap.wrap(clean(column.scheme), 14)[:2] or [""]
        for j, line in enumerate(lines):
            at = f'x="{x:g}" y="{50 - 13 * (len(lines) - 1 - j):g}"'
            body += f'<text {at} text-anchor="middle">{escape(line)}</text>'
    return body


def _model(
    name: str,
    i: int,
    columns: Sequence[Ranks],
    places: Sequence[float],
    y: _Height,
    full: bool,
) -> str:
    line, dots, bands, before = "", "", "", None
    for column, x in zip(columns, places, strict=True):
        rank = column.ranks[i]
        if rank is None or not math.isfinite(rank):
            before = None
            continue
        line += f"{'L' if before == column.group else 'M'}{x:g},{y(rank):g}"
        before = column.group
        dots += f"M{x:g},{y(rank):g}h0" if full else ""
        low = column.low[i] if column.low else None
        high = column.high[i] if column.high else None
        if full and low is not None and high is not None and high > low:
            bands += f"M{x:g},{y(low):g}V{y(high):g}"
    band = f'<path class="band" d="{bands}"/>' if bands else ""
    knots = f'<path class="knots" d="{dots}"/>' if dots else ""
    own = f" m{i + 1}" if i < _COLOURED else ""
    said = [name]
    if len(known := [c for c in columns if c.ranks[i] is not None]) <= _SAID:
        said += [f"{c.group}, {c.scheme}: {c.ranks[i]:g}" for c in known]
    title = escape("\n".join(said))
    return (
        f'<g class="model{own}"><title>{title}</title>{band}'
        f'<path class="line" d="{line}"/>{knots}</g>'
    )


def _ends(
    names: Sequence[str], column: Ranks, x: float, number: float, anchor: str, y: _Height
) -> str:
    """Ranks and names beside a column; equal ranks are written under one another."""
    known = [(r, i) for i, r in enumerate(column.ranks) if r is not None and math.isfinite(r)]
    return "".join(
        name_text(x, y(place) + 4, names[i], _NAMES, anchor)
        + f'<text x="{number:g}" y="{y(place) + 4:g}" text-anchor="{anchor}">{rank:g}</text>'
        for place, (rank, i) in enumerate(sorted(known), 1)
    )
