"""How small a difference can be found with how many cases."""

import math
from collections.abc import Sequence

from segjax.report._text import escape, number
from segjax.report.charts._axes import Scale, decades, svg, tick_text, x_axis


_WIDTH, _HEIGHT = 520.0, 250.0
_LEFT, _RIGHT, _TOP, _FLOOR = 64.0, 500.0, 18.0, 196.0


def gap_chart(
    curve: Sequence[tuple[float, float]],
    *,
    now: tuple[float, float] | None,
    observed: tuple[float, str] | None,
    x_title: str,
    y_title: str,
    title: str,
) -> str:
    """Draw the smallest difference that is found in 80 % of boards, both axes logarithmic.

    Args:
        curve: numbers of cases, rising, each with its difference.
        now: the point of this board.
        observed: a difference drawn as a line across, and its name.
        x_title: what is counted.
        y_title: what differs, with its unit.
        title: what a screen reader says.
    """
    points = [(n, d) for n, d in sorted(curve) if n > 0 and d > 0 and math.isfinite(d)]
    if not points:
        return svg("gap", _WIDTH, 40.0, title, '<text x="8" y="24">no difference to draw</text>')
    middle_gap = math.sqrt(points[0][1] * points[-1][1])
    levels = [d for _, d in points] + ([now[1]] if now else [])
    if observed is not None and observed[0] > 0:
        levels.append(observed[0])
    wide = Scale(points[0][0] / 1.1, points[-1][0] * 1.1, _LEFT, _RIGHT, log=True)
    tall = Scale(min(levels) / 1.3, max(levels) * 1.3, _FLOOR, _TOP, log=True)
    body = "".join(
        f'<path class="grid" d="M{_LEFT:g},{tall(v)}H{_RIGHT:g}"/>'
        f'<text x="{_LEFT - 8:g}" y="{tall(v) + 4:g}" text-anchor="end">{tick_text(v)}</text>'
        for v in decades(tall.low, tall.high)
    ) + x_axis(wide, _FLOOR, decades(wide.low, wide.high))
    line = "L".join(f"{wide(n)},{tall(d)}" for n, d in points)
    body += f'<path class="curve" d="M{line}"/>'
    if observed is not None and observed[0] > 0:
        y = tall(observed[0])
        # The curve falls from left to right: the free side is below it on the left.
        beside = (_LEFT + 6, "start") if observed[0] < middle_gap else (_RIGHT, "end")
        body += (
            f'<path class="observed" d="M{_LEFT:g},{y}H{_RIGHT:g}"/>'
            f'<text x="{beside[0]:g}" y="{y - 6:g}" text-anchor="{beside[1]}">'
            f"{escape(observed[1])}</text>"
        )
    if now is not None:
        said = f"n = {now[0]:g}: {number(now[1], 4)}"
        body += (
            f'<circle class="now" cx="{wide(now[0])}" cy="{tall(now[1])}" r="5">'
            f"<title>{escape(said)}</title></circle>"
            f'<text class="name" x="{wide(now[0]) + 9:g}" y="{tall(now[1]) - 8:g}">'
            f"{escape(said)}</text>"
        )
    middle = (_TOP + _FLOOR) / 2
    body += (
        f'<text class="name" x="{(_LEFT + _RIGHT) / 2:g}" y="{_FLOOR + 42:g}" '
        f'text-anchor="middle">{escape(x_title)}</text>'
        f'<text class="name" transform="translate(13 {middle:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text>'
    )
    return svg("gap", _WIDTH, _HEIGHT, title, body)
