"""How the scores of the cases are spread: histogram, box, and every case as a dot."""

import numpy as np

from segjax.report._text import plural
from segjax.report.charts._axes import Scale, left_out, svg, ticks, x_axis


_WIDTH, _LEFT, _RIGHT = 340.0, 30.0, 326.0
_TOP, _FLOOR, _BOX, _STRIP, _AXIS = 8.0, 88.0, 104.0, 132.0, 152.0
_BINS = 20
_GOLDEN = 0.6180339887498949


def distribution_chart(
    scores: np.ndarray, *, axis: tuple[float, float], title: str, strip: bool = True
) -> str:
    """Draw a histogram over a box plot over a strip of all cases.

    The box spans the quartiles, the line in it is the median; whiskers reach the farthest
    case within 1.5 times the box's length (Tukey).

    Args:
        scores: NaN and infinite ones are counted below the chart, not drawn.
        axis: both ends.
        title: what a screen reader says.
        strip: draw every case.
    """
    finite = scores[np.isfinite(scores)]
    scale = Scale(*axis, _LEFT, _RIGHT)
    body = x_axis(scale, _AXIS, ticks(*axis))
    if finite.size:
        body = _histogram(finite, scale) + _box(finite, scale) + body
        body += _strip(finite, scale) if strip else ""
    missing = left_out(scores)
    if missing:
        body += f'<text class="note" x="{_LEFT:g}" y="{_AXIS + 32:g}">{missing}</text>'
    return svg("distribution", _WIDTH, _AXIS + (38 if missing else 22), title, body)


def _histogram(scores: np.ndarray, scale: Scale) -> str:
    heights, edges = np.histogram(
        np.clip(scores, scale.low, scale.high), _BINS, (scale.low, scale.high)
    )
    tall = Scale(0.0, float(heights.max()), _FLOOR, _TOP + 6)
    bars = [
        f'<path class="bar" d="M{scale(a) + 0.5:g},{_FLOOR:g}V{tall(float(n))}'
        f'H{scale(b) - 0.5:g}V{_FLOOR:g}z"><title>{plural(int(n), "case")}</title></path>'
        for n, a, b in zip(heights, edges, edges[1:], strict=False)
        if n
    ]
    top = f'<text x="{_LEFT - 6:g}" y="{_TOP + 10:g}" text-anchor="end">{heights.max()}</text>'
    return f'{top}<path class="axis" d="M{_LEFT:g},{_FLOOR:g}H{_RIGHT:g}"/>' + "".join(bars)


def _box(scores: np.ndarray, scale: Scale) -> str:
    low, median, high = np.quantile(scores, (0.25, 0.5, 0.75)).tolist()
    reach = 1.5 * (high - low)
    first = float(scores[scores >= low - reach].min())
    last = float(scores[scores <= high + reach].max())
    top, size = _BOX - 7, 14
    return (
        f'<path class="whisker" d="M{scale(first)},{_BOX:g}H{scale(low)}'
        f'M{scale(high)},{_BOX:g}H{scale(last)}"/>'
        f'<path class="box" d="M{scale(low)},{top:g}H{scale(high)}v{size}H{scale(low)}z"/>'
        f'<path class="median" d="M{scale(median)},{top:g}v{size}"/>'
    )


def _strip(scores: np.ndarray, scale: Scale) -> str:
    # One path for all dots, and multiples of the golden ratio instead of chance: the page
    # stays small, and the same scores always give the same picture.
    lift = np.round(_STRIP - 9 + 18 * (np.arange(1, scores.size + 1) * _GOLDEN % 1)).astype(int)
    at = zip(np.sort(scores).tolist(), lift.tolist(), strict=True)
    dots = "".join(f"M{scale(x):g},{y}h0" for x, y in at)
    crowd = " crowd" if scores.size > 100 else ""
    return f'<path class="dots{crowd}" d="{dots}"/>'
