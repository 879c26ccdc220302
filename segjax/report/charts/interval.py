"""One line of a forest chart: the mean, its interval, and the spread of the cases."""

import math

from segjax.report.charts._axes import Scale, svg, tick_text


_WIDTH, _HEIGHT = 214.0, 26.0
_LEFT, _RIGHT, _MIDDLE = 32.0, 180.0, 13.0


def interval_chart(
    mean: float | None,
    interval: tuple[float, float] | None = None,
    *,
    axis: tuple[float, float],
    cases: tuple[float, float] | None = None,
    title: str,
) -> str:
    """Draw a mean on an axis whose ends are written beside it.

    Args:
        mean: the dot; None or not finite leaves the axis empty.
        interval: the thick line, of the mean.
        axis: both ends.
        cases: the thin line, where most cases lie.
        title: what a screen reader says.
    """
    scale = Scale(*axis, _LEFT, _RIGHT)
    clip = lambda v: scale(min(max(v, axis[0]), axis[1]))
    body = f'<path class="axis" d="M{_LEFT:g},{_MIDDLE - 4:g}v8m0,-4H{_RIGHT:g}m0,-4v8"/>'
    body += _end(_LEFT - 9, "end", axis[0]) + _end(_RIGHT + 9, "start", axis[1])
    for kind, ends in (("spread", cases), ("interval", interval)):
        if ends is not None and all(map(math.isfinite, ends)):
            body += f'<path class="{kind}" d="M{clip(ends[0])},{_MIDDLE:g}H{clip(ends[1])}"/>'
    if mean is not None and math.isfinite(mean):
        body += f'<circle class="mean" cx="{clip(mean)}" cy="{_MIDDLE:g}" r="4.5"/>'
    return svg("forest", _WIDTH, _HEIGHT, title, body)


def _end(x: float, anchor: str, value: float) -> str:
    y = _MIDDLE + 4
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{tick_text(value)}</text>'
