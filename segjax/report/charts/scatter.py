"""Scores against the size of what was to be found: are small objects judged fairly?"""

from collections.abc import Sequence

import numpy as np

from segjax.report._text import escape, number
from segjax.report.charts._axes import Scale, decades, left_out, svg, tick_text, ticks, x_axis


_WIDTH, _HEIGHT = 680.0, 340.0
_LEFT, _RIGHT, _TOP, _FLOOR = 56.0, 664.0, 14.0, 270.0
_NAMED = 2000  # above this many cases, dots have no names: the page would grow too large


def scatter_chart(
    sizes: np.ndarray,
    scores: np.ndarray,
    *,
    names: Sequence[str],
    marked: np.ndarray,
    axis: tuple[float, float],
    x_title: str,
    y_title: str,
    title: str,
) -> str:
    """Draw one dot per case, over a logarithmic axis.

    Args:
        sizes: what is not positive has no place on the axis and is counted below.
        scores: NaN and infinite ones are counted below.
        names: of the cases; shown by a pointer that rests on a dot.
        marked: cases drawn with a cross, for misses.
        axis: both ends of the scores.
        x_title: what `sizes` are, with their unit.
        y_title: what `scores` are.
        title: what a screen reader says.
    """
    drawn = np.isfinite(scores) & (sizes > 0)
    tall = Scale(*axis, _FLOOR, _TOP)
    if drawn.any():
        wide = Scale(*_reach(sizes[drawn]), _LEFT, _RIGHT, log=True)
        body = x_axis(wide, _FLOOR + 8, decades(wide.low, wide.high))
    else:
        wide, body = Scale(1.0, 10.0, _LEFT, _RIGHT, log=True), ""
    body = _grid(tall) + body + _titles(x_title, y_title)
    named = int(drawn.sum()) <= _NAMED
    for i in np.flatnonzero(drawn).tolist():
        words = f"{names[i]}: {number(float(scores[i]))}" if named else ""
        body += _mark(wide(float(sizes[i])), tall(float(scores[i])), bool(marked[i]), words)
    note = _note(sizes, scores)
    if note:
        body += f'<text class="note" x="{_LEFT:g}" y="{_HEIGHT - 4:g}">{note}</text>'
    return svg("scatter", _WIDTH, _HEIGHT, title, body)


def _reach(sizes: np.ndarray) -> tuple[float, float]:
    low, high = float(sizes.min()), float(sizes.max())
    return (low / 1.2, high * 1.2) if high > 2 * low else (low / 2, high * 2)


def _mark(x: float, y: float, crossed: bool, words: str) -> str:
    title = f"<title>{escape(words)}</title>" if words else ""
    if crossed:
        return f'<path class="cross" d="M{x - 4:g},{y - 4:g}l8,8m0,-8l-8,8">{title}</path>'
    return f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="4">{title}</circle>'


def _grid(tall: Scale) -> str:
    return "".join(
        f'<path class="grid" d="M{_LEFT:g},{tall(v)}H{_RIGHT:g}"/>'
        f'<text x="{_LEFT - 8:g}" y="{tall(v) + 4:g}" text-anchor="end">{tick_text(v)}</text>'
        for v in ticks(tall.low, tall.high)
    )


def _titles(x_title: str, y_title: str) -> str:
    middle = (_TOP + _FLOOR) / 2
    return (
        f'<text class="name" x="{(_LEFT + _RIGHT) / 2:g}" y="{_FLOOR + 44:g}" '
        f'text-anchor="middle">{escape(x_title)}</text>'
        f'<text class="name" transform="translate(13 {middle:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_title)}</text>'
    )


def _note(sizes: np.ndarray, scores: np.ndarray) -> str:
    absent = int((np.isfinite(scores) & ~(sizes > 0)).sum())
    words = [left_out(scores)] if left_out(scores) else []
    if absent:
        words.append(f"{'' if words else 'not drawn: '}{absent:,} with nothing in the reference")
    return ", ".join(words)
