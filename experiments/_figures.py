"""Figures of the experiments: square panels of points or lines over 0 to 1, as SVG."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segjax.report._text import escape
from segjax.report.charts._axes import Scale, rounded, svg, tick_texts, ticks, x_axis
from segjax.report.theme import LIGHT


class Panel(NamedTuple):
    """One square.

    Attributes:
        title: above it.
        x: name of the horizontal axis.
        y: name of the vertical one.
        points: rows of (x, y), drawn as dots beside the diagonal; may be none.
        lines: rows of (x, y) by name, drawn as lines.
    """

    title: str
    x: str
    y: str
    points: np.ndarray = np.zeros((0, 2))
    lines: Mapping[str, np.ndarray] = {}


def figure(title: str, panels: Sequence[Panel], columns: int = 3) -> str:
    """Panels in rows."""
    columns = min(columns, len(panels))
    body = "".join(
        f'<g transform="translate({i % columns * _SIDE:g},{i // columns * _SIDE:g})">'
        f"{_drawn(panel)}</g>"
        for i, panel in enumerate(panels)
    )
    width, height = columns * _SIDE, -(-len(panels) // columns) * _SIDE
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{LIGHT["paper"]}" stroke="none"/>'
    return svg("study", width, height, title, f"<style>{_STYLE}</style>{paper}{body}") + "\n"


_SIDE, _LEFT, _TOP, _PLOT = 300.0, 52.0, 34.0, 220.0
_COLOURS = (LIGHT["accent"], LIGHT["alert"], LIGHT["ink"], LIGHT["muted"])
_STYLE = (
    f"text{{font:12px system-ui,sans-serif;fill:{LIGHT['ink']};stroke:none}}"
    f".title{{font-weight:600}}.axis,.tick{{stroke:{LIGHT['muted']}}}"
    f".same{{stroke:{LIGHT['muted']};stroke-dasharray:4 4}}"
    f"circle{{fill:{_COLOURS[0]};fill-opacity:.35;stroke:none}}.line{{stroke-width:1.8}}"
)


def _drawn(panel: Panel) -> str:
    every = np.concatenate([panel.points, *panel.lines.values()])
    high = rounded(0.0, max(float(every.max()), 1e-6))[1]
    if panel.points.size:
        x = y = (0.0, high)
    else:
        x, y = (0.0, float(every[:, 0].max())), (0.0, 1.0)
    across = Scale(*x, _LEFT, _LEFT + _PLOT)
    up = Scale(*y, _TOP + _PLOT, _TOP)
    values = ticks(*y)
    marks = "".join(
        f'<path class="tick" d="M{_LEFT - 4:g},{up(v)}h4"/>'
        f'<text x="{_LEFT - 8:g}" y="{up(v) + 4:g}" text-anchor="end">{text}</text>'
        for v, text in zip(values, tick_texts(values), strict=True)
    )
    middle = _TOP + _PLOT / 2
    names = (
        f'<text class="title" x="{_LEFT:g}" y="20">{escape(panel.title)}</text>'
        f'<text x="{_LEFT + _PLOT / 2:g}" y="{_TOP + _PLOT + 32:g}" text-anchor="middle">'
        f"{escape(panel.x)}</text>"
        f'<text transform="rotate(-90)" x="{-middle:g}" y="14" text-anchor="middle">'
        f"{escape(panel.y)}</text>"
    )
    axes = x_axis(across, _TOP + _PLOT, ticks(*x)) + marks
    axes += f'<path class="axis" d="M{_LEFT:g},{_TOP:g}v{_PLOT:g}"/>'
    dots = "".join(f'<circle cx="{across(a)}" cy="{up(b)}" r="2.2"/>' for a, b in panel.points)
    if panel.points.size:
        ends = f"M{across(0)},{up(0)}L{across(high)},{up(high)}"
        dots = f'<path class="same" d="{ends}"/>{dots}'
    return names + axes + dots + _lines(panel.lines, across, up)


def _lines(lines: Mapping[str, np.ndarray], across: Scale, up: Scale) -> str:
    drawn = ""
    for i, (name, line) in enumerate(lines.items()):
        path = "L".join(f"{across(a)},{up(b)}" for a, b in line)
        colour = _COLOURS[i % len(_COLOURS)]
        drawn += f'<path class="line" stroke="{colour}" d="M{path}"/>'
        at = _TOP + _PLOT - 14 - 16 * (len(lines) - 1 - i)
        drawn += (
            f'<text x="{_LEFT + _PLOT - 6:g}" y="{at:g}" text-anchor="end" '
            f'style="fill:{colour}">{escape(name)}</text>'
        )
    return drawn
