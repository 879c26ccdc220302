"""What the colours of distances mean."""

from segjax.report._text import escape
from segjax.report.charts._axes import Scale, svg, tick_text, ticks, x_axis
from segjax.report.theme import shade


_WIDTH, _HEIGHT = 340.0, 46.0
_LEFT, _RIGHT, _BAR = 8.0, 270.0, 14.0
_STEPS = 64


def colour_bar(limit: float, unit: str, *, beyond: bool = False) -> str:
    """Draw the scale of distances, from 0 on the left.

    Args:
        limit: the distance at which the colours end.
        unit: of distances.
        beyond: whether there are greater ones, in the last colour.
    """
    scale = Scale(0.0, limit, _LEFT, _RIGHT)
    wide = (_RIGHT - _LEFT) / _STEPS
    bar = "".join(
        f'<rect x="{_LEFT + i * wide:g}" y="0" width="{wide + 0.5:g}" height="{_BAR:g}" '
        f'fill="rgb{shade(i / (_STEPS - 1))}"/>'
        for i in range(_STEPS)
    )
    last = shade(1.0)
    if beyond:
        bar += f'<path fill="rgb{last}" d="M{_RIGHT:g},0l10,{_BAR / 2:g}l-10,{_BAR / 2:g}z"/>'
    words = f'<text x="{_RIGHT + 18:g}" y="{_BAR - 3:g}">{escape(unit)}</text>'
    end = f"{tick_text(limit)} {unit}"
    title = f"colours of distances from 0 to {end}{' and farther' if beyond else ''}"
    axis = x_axis(scale, _BAR + 3, ticks(0.0, limit, 8))
    return svg(
        "colours",
        _WIDTH,
        _HEIGHT,
        title,
        f'<g stroke="none" shape-rendering="crispEdges">{bar}{words}</g>{axis}',
    )
