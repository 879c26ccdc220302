"""What intervals promise against what they kept in simulation."""

from collections.abc import Sequence
from typing import NamedTuple

from segjax.report._text import escape, percent
from segjax.report.charts._axes import Scale, name_text, svg, ticks, width_of, x_axis


_NAMES, _LINE = 320.0, 22.0


class Share(NamedTuple):
    """A simulated share with its standard error, and what was promised."""

    name: str
    nominal: float
    found: float
    error: float


def coverage_chart(shares: Sequence[Share], title: str) -> str:
    """Draw simulated shares as dots with two standard errors, and the promise as a line.

    Args:
        shares: one per line, from top to bottom.
        title: what a screen reader says.
    """
    reach = [x for s in shares for x in (s.nominal, s.found - 2 * s.error, s.found + 2 * s.error)]
    low, high = max(0.0, min(reach) - 0.02), min(1.0, max(reach) + 0.02)
    left = 12 + min(_NAMES, max(width_of(s.name) for s in shares))
    scale = Scale(low, high, left, left + 360)
    axis = Scale(100 * low, 100 * high, left, left + 360)
    floor = _LINE * len(shares) + 4
    body = ""
    for i, s in enumerate(shares):
        y = _LINE * (i + 0.5)
        x, wide = scale(s.found), 2 * s.error
        off = " off" if abs(s.found - s.nominal) > max(wide, 0.01) else ""
        said = f"{s.name}: {percent(s.found)} found, {percent(s.nominal)} promised"
        ends = scale(max(low, s.found - wide)), scale(min(high, s.found + wide))
        body += name_text(left - 12, y + 4, s.name, _NAMES, "end")
        body += (
            f'<path class="nominal" d="M{scale(s.nominal)},{y - _LINE / 2:g}v{_LINE:g}"/>'
            f'<g class="found{off}"><title>{escape(said)}</title>'
            f'<path d="M{ends[0]},{y:g}H{ends[1]}"/><circle cx="{x}" cy="{y:g}" r="4"/></g>'
            f'<text x="{left + 372:g}" y="{y + 4:g}">{escape(percent(s.found))}</text>'
        )
    body += x_axis(axis, floor, ticks(axis.low, axis.high, 4))
    body += f'<text x="{left + 372:g}" y="{floor + 15:g}">%</text>'
    return svg("coverage", left + 430, floor + 22, title, body)
