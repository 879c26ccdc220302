"""How a cost grows with a size, for several tools."""

import math
from collections.abc import Mapping, Sequence

from segjax.report._text import escape, number
from segjax.report.charts._axes import Scale, decades, svg, tick_text, x_axis


_WIDTH = 720.0
_LEFT, _RIGHT, _TOP = 66.0, 470.0, 14.0
_LINE = 15.0  # from one name to the next

Points = Sequence[tuple[float, float]]


def growth_chart(
    curves: Mapping[str, Points],
    *,
    first: str,
    guide: Points,
    guide_name: str,
    x_title: str,
    y_title: str,
    title: str,
) -> str:
    """Draw one line per tool, both axes logarithmic, names beside their ends.

    Args:
        curves: points (size, cost) of each tool, sizes rising; costs above 0.
        first: the tool that is drawn in front.
        guide: a dashed line to compare with; may be empty.
        guide_name: its name.
        x_title: what is counted.
        y_title: what it costs, with its unit.
        title: what a screen reader says.
    """
    drawn = {k: [(x, y) for x, y in v if x > 0 and y > 0] for k, v in curves.items()}
    drawn = {k: v for k, v in drawn.items() if v}
    every = [point for points in drawn.values() for point in points]
    if not every:
        return svg("growth", _WIDTH, 40.0, title, '<text x="8" y="24">nothing to draw</text>')
    floor = _TOP + max(210.0, _LINE * (len(drawn) + 2))
    xs, ys = zip(*every, strict=True)
    wide = Scale(min(xs) / 1.15, max(xs) * 1.15, _LEFT, _RIGHT, log=True)
    tall = Scale(min(ys) / 1.6, max(ys) * 1.6, floor, _TOP, log=True)
    body = "".join(
        f'<path class="grid" d="M{_LEFT:g},{tall(v)}H{_RIGHT:g}"/>'
        f'<text x="{_LEFT - 8:g}" y="{tall(v) + 4:g}" text-anchor="end">{tick_text(v)}</text>'
        for v in decades(tall.low, tall.high)
    ) + x_axis(wide, floor, sorted(set(xs)))
    ends = {name: (wide(points[-1][0]), tall(points[-1][1])) for name, points in drawn.items()}
    inside = [(x, y) for x, y in guide if tall.low <= y <= tall.high]
    if len(inside) > 1:
        body += f'<path class="guide" d="M{_path(inside, wide, tall)}"/>'
        ends[guide_name] = (wide(inside[-1][0]), tall(inside[-1][1]))
    for name in sorted(drawn, key=lambda name: name == first):
        points, own = drawn[name], name == first
        marks = "".join(
            f'<circle cx="{wide(x)}" cy="{tall(y)}" r="{4 if own else 3}">'
            f"<title>{escape(f'{name}, {x:,g}: {number(y, 2)}')}</title></circle>"
            for x, y in points
        )
        kind = "own" if own else "other"
        body += f'<g class="{kind}"><path d="M{_path(points, wide, tall)}"/>{marks}</g>'
    body += _names(ends, first, floor)
    middle = (_TOP + floor) / 2
    body += (
        f'<text class="name" x="{(_LEFT + _RIGHT) / 2:g}" y="{floor + 36:g}" '
        f'text-anchor="middle">{escape(x_title)}</text>'
        f'<text class="name" transform="translate(13 {middle:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text>'
    )
    return svg("growth", _WIDTH, floor + 48, title, body)


def _path(points: Points, wide: Scale, tall: Scale) -> str:
    return "L".join(f"{wide(x)},{tall(y)}" for x, y in points)


def _names(ends: Mapping[str, tuple[float, float]], first: str, floor: float) -> str:
    """Names in a column, in the order of the ends they are tied to, none upon another."""
    names = sorted(ends, key=lambda name: ends[name][1])
    places: list[float] = []
    for name in names:
        above = places[-1] + _LINE if places else -math.inf
        places.append(max(ends[name][1], above, _TOP + 4))
    spare = max(0.0, places[-1] - floor)
    for i in range(len(places) - 1, -1, -1):  # pushed up again where they ran over the floor
        low = floor if i == len(places) - 1 else places[i + 1] - _LINE
        places[i] = min(places[i], low) if spare else places[i]
    return "".join(
        f'<path class="tie" d="M{ends[name][0] + 6:g},{ends[name][1]}L{_RIGHT + 14:g},{y:g}"/>'
        f'<text class="{"name strong" if name == first else "name"}" x="{_RIGHT + 18:g}" '
        f'y="{y + 4:g}">{escape(name)}</text>'
        for name, y in zip(names, places, strict=True)
    )
