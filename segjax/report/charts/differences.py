"""Differences of two runs, case by case, from the greatest loss to the greatest gain."""

from collections.abc import Sequence

import numpy as np

from segjax.report._text import escape, number
from segjax.report.charts._axes import Scale, rounded, svg, tick_texts, ticks


_WIDTH, _HEIGHT = 680.0, 240.0
_LEFT, _RIGHT, _TOP, _FLOOR = 64.0, 664.0, 12.0, 214.0
_NAMED = 2000  # above this many cases, bars have no names: the page would grow too large


def difference_chart(
    differences: np.ndarray,
    *,
    names: Sequence[str],
    higher: bool,
    interval: tuple[float, float] | None,
    title: str,
    y_title: str,
) -> str:
    """Draw one bar per case, and the mean with its interval as a band across.

    Args:
        differences: of a run less another, finite.
        names: of the cases; shown by a pointer that rests on a bar.
        higher: whether a positive difference is a gain.
        interval: of the mean.
        title: what a screen reader says.
        y_title: what differs, with its unit.
    """
    order = np.argsort(differences if higher else -differences, kind="stable")
    low, high = float(differences.min(initial=0)), float(differences.max(initial=0))
    tall = Scale(*rounded(min(low, 0.0), max(high, 0.0)), _FLOOR, _TOP)
    step = (_RIGHT - _LEFT) / max(len(order), 1)
    bars = "".join(
        _bar(float(differences[i]), names[int(i)], place, step, tall, higher, len(order) <= _NAMED)
        for place, i in enumerate(order)
    )
    band = "" if interval is None else _band(tall, interval)
    mean = tall(float(differences.mean())) if differences.size else tall(0.0)
    body = (
        f"{_grid(tall)}{band}{bars}"
        f'<path class="axis" d="M{_LEFT:g},{tall(0.0)}H{_RIGHT:g}"/>'
        f'<path class="mean-line" d="M{_LEFT:g},{mean}H{_RIGHT:g}"/>'
        f'<text class="name" transform="translate(13 {(_TOP + _FLOOR) / 2:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text>'
        f'<text x="{_LEFT:g}" y="{_HEIGHT - 8:g}">greatest loss</text>'
        f'<text x="{_RIGHT:g}" y="{_HEIGHT - 8:g}" text-anchor="end">greatest gain</text>'
    )
    return svg("differences", _WIDTH, _HEIGHT, title, body)


def _bar(
    value: float, name: str, place: int, step: float, tall: Scale, higher: bool, named: bool
) -> str:
    if value == 0:
        return ""
    kind = "gain" if (value > 0) == higher else "loss"
    wide = max(0.6 * step, min(step, 1.0))
    x = _LEFT + place * step + (step - wide) / 2
    words = f"<title>{escape(name)}: {escape(number(value, 4))}</title>" if named else ""
    ends = f"M{x:.2f},{tall(0.0)}V{tall(value)}H{x + wide:.2f}V{tall(0.0)}z"
    return f'<path class="{kind}" d="{ends}">{words}</path>'


def _band(tall: Scale, interval: tuple[float, float]) -> str:
    top, bottom = (tall(min(max(v, tall.low), tall.high)) for v in reversed(interval))
    return f'<path class="band" d="M{_LEFT:g},{top}H{_RIGHT:g}V{bottom}H{_LEFT:g}z"/>'


def _grid(tall: Scale) -> str:
    values = ticks(tall.low, tall.high)
    return "".join(
        f'<path class="grid" d="M{_LEFT:g},{tall(v)}H{_RIGHT:g}"/>'
        f'<text x="{_LEFT - 8:g}" y="{tall(v) + 4:g}" text-anchor="end">{text}</text>'
        for v, text in zip(values, tick_texts(values), strict=True)
    )
