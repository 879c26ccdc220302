"""Estimates and their intervals under one another, on one axis."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from segjax.report.charts._axes import (
    Scale,
    name_text,
    rounded,
    svg,
    tick_texts,
    ticks,
    width_of,
    x_axis,
)


_WIDTH, _LEFT, _RIGHT = 240.0, 12.0, 228.0
_ROW = 30.0
_NAMES = 130.0  # the widest column of names
_LINE = 19.0


class Estimate(NamedTuple):
    """A line of a forest: what is None is not drawn."""

    name: str
    value: float | None
    low: float | None
    high: float | None


def forest_range(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Round ends of an axis that holds all values and intervals."""
    ends = [x for e in estimates for x in e[1:] if x is not None and math.isfinite(x)]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    around = 0.1 * abs(low) if low == high else 0.0
    return rounded(low - around, high + around)


def forest_axis(axis: tuple[float, float], title: str) -> str:
    """The axis for the head of a column of `forest_line`."""
    scale = Scale(*axis, _LEFT, _RIGHT)
    few = next(t for about in (3, 6) if len(t := ticks(*axis, about)) > 1)
    body = "".join(
        f'<path class="tick" d="M{scale(v)},18v5"/>'
        f'<text x="{scale(v)}" y="12" text-anchor="middle">{text}</text>'
        for v, text in zip(few, tick_texts(few), strict=True)
    )
    frame = f'<path class="axis" d="M{_LEFT:g},23H{_RIGHT:g}"/>'
    return svg("forest", _WIDTH, 24.0, title, frame + body)


def forest_line(estimate: Estimate, *, axis: tuple[float, float], guide: float | None) -> str:
    """One line of a forest, for a table that has the name and the numbers beside it.

    It is hidden from screen readers, which read those.

    Args:
        estimate: what to draw; clipped to the axis.
        axis: both ends.
        guide: a value marked by a faint line across, the same in all lines.
    """
    scale = Scale(*axis, _LEFT, _RIGHT)
    body = ""
    if guide is not None and math.isfinite(guide):
        body = f'<path class="grid" d="M{scale(guide)},0V{_ROW:g}"/>'
    body += _mark(estimate, scale, _ROW / 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart line" aria-hidden="true" '
        f'viewBox="0 0 {_WIDTH:g} {_ROW:g}">{body}</svg>'
    )


def forest_chart(
    estimates: Sequence[Estimate], *, axis: tuple[float, float], title: str, width: float = 330.0
) -> str:
    """A small forest with its names on the left and its axis below."""
    left = 16 + min(_NAMES, max((width_of(e.name) for e in estimates), default=0.0))
    scale = Scale(*axis, left, width - 18)
    floor = _LINE * len(estimates) + 4
    body = "".join(
        f'<path class="grid" d="M{scale(v)},0V{floor:g}"/>' for v in ticks(*axis, 4)
    ) + x_axis(scale, floor, ticks(*axis, 4))
    for i, e in enumerate(estimates):
        y = _LINE * (i + 0.5)
        body += name_text(left - 12, y + 4, e.name, _NAMES, "end") + _mark(e, scale, y)
    return svg("group", width, floor + 20, title, body)


def _mark(estimate: Estimate, scale: Scale, y: float) -> str:
    at = lambda v: scale(min(max(v, scale.low), scale.high))
    low, high, value = estimate.low, estimate.high, estimate.value
    body = ""
    if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
        body = f'<path class="interval" d="M{at(low)},{y:g}H{at(high)}"/>'
    if value is not None and math.isfinite(value):
        body += f'<circle class="mean" cx="{at(value)}" cy="{y:g}" r="4"/>'
    return body
