"""What charts share: scales, ticks, the frame, and a word on what is not drawn."""

import math
import unicodedata
from dataclasses import dataclass

import numpy as np

from segjax.report._text import clean, escape


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to pixels from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        ends = (value, self.low, self.high)
        at, low, high = (math.log10(x) for x in ends) if self.log else ends
        share = (at - low) / (high - low)
        return round(self.start + share * (self.stop - self.start), 1)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from `low` to `high`.

    Example:
        >>> ticks(0.0, 1.0), ticks(0.0, 37.0)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 10.0, 20.0, 30.0])
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; with 2 and 5 between them where they are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if last - first > 3 else (1, 2, 5)
    values = [k * 10.0**i for i in range(first, last + 1) for k in steps]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def span(scores: np.ndarray, full: tuple[float, float] | None = None) -> tuple[float, float]:
    """Ends of an axis: all of `full` unless the finite scores fill only a small part of it.

    Example:
        >>> span(np.array([0.2, 0.9]), (0.0, 1.0)), span(np.array([0.991, 0.998]), (0.0, 1.0))
        ((0.0, 1.0), (0.991, 0.998))
        >>> span(np.array([3.0, 37.0, np.inf]))
        (0.0, 40.0)
    """
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return full or (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if full is not None:
        wide = full[1] - full[0]
        if not full[0] <= low <= high <= full[1]:
            full = None
        elif high - low >= 0.15 * wide or high == low:
            return full
    elif low >= 0:
        low = 0.0
    low, high = rounded(low, high)
    return (low, high) if full is None else (max(low, full[0]), min(high, full[1]))


def rounded(low: float, high: float) -> tuple[float, float]:
    """The nearest round ends of an axis that holds both values.

    Example:
        >>> rounded(0.878, 0.928), rounded(3.0, 3.0)
        ((0.87, 0.93), (2.4, 3.6))
    """
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    step = np.diff(ticks(low, high, 8)[:2])[0]
    first = float(f"{math.floor(low / step + 1e-6) * step:.12g}")
    return first, float(f"{math.ceil(high / step - 1e-6) * step:.12g}")


def tick_text(value: float) -> str:
    """A tick's label, short."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        mantissa, _, power = f"{value:.0e}".partition("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{'' if mantissa == '1' else mantissa + '·'}10{raised}"
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def tick_texts(values: list[float]) -> list[str]:
    """Labels of all ticks of an axis: those below 10 with the same number of decimals.

    Example:
        >>> tick_texts([0.85, 0.9, 1.0]), tick_texts([0.0, 20.0]), tick_texts([0.01, 100.0])
        (['0.85', '0.90', '1.00'], ['0', '20'], ['0.01', '100'])
    """
    texts = [tick_text(v) for v in values]
    if any(not 1e-4 <= abs(v) < 10 for v in values if v):
        return texts
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [
        f"{v:.{decimals}f}".replace("-", "\N{MINUS SIGN}") if v else text
        for v, text in zip(values, texts, strict=True)
    ]


def x_axis(scale: Scale, at: float, values: list[float]) -> str:
    """A horizontal axis with its ticks, at height `at`."""
    marks = "".join(
        f'<path class="tick" d="M{scale(v)},{at:g}v4"/>'
        f'<text x="{scale(v)}" y="{at + 15:g}" text-anchor="middle">{text}</text>'
        for v, text in zip(values, tick_texts(values), strict=True)
    )
    return f'<path class="axis" d="M{scale.start:g},{at:g}H{scale.stop:g}"/>{marks}'


def left_out(scores: np.ndarray) -> str:
    """Which of the scores a chart cannot draw, or nothing.

    Example:
        >>> left_out(np.array([0.5, np.nan, np.inf]))
        'not drawn: 1 undefined, 1 infinite'
    """
    undefined, infinite = int(np.isnan(scores).sum()), int(np.isinf(scores).sum())
    words = [f"{n:,} {what}" for n, what in ((undefined, "undefined"), (infinite, "infinite")) if n]
    return f"not drawn: {', '.join(words)}" if words else ""


_EM = 6.8  # pixels of a letter of a name, on the average


def width_of(name: str) -> float:
    """About how many pixels a name takes in a chart."""
    wide = sum(2.0 if unicodedata.east_asian_width(c) in "WF" else 1.0 for c in name)
    return _EM * wide


def name_text(x: float, y: float, name: str, room: float, anchor: str = "start") -> str:
    """A name in a chart, cut to its room; the whole of it where a pointer rests."""
    name, shown = clean(name), ""
    if width_of(name) > room:
        while width_of(name[: len(shown) + 1]) <= room - 2 * _EM:
            shown = name[: len(shown) + 1]
        shown += "…"
    title = f"<title>{escape(name)}</title>" if shown else ""
    return (
        f'<text class="name" x="{x:g}" y="{y:g}" text-anchor="{anchor}">'
        f"{title}{escape(shown or name)}</text>"
    )


def svg(kind: str, width: float, height: float, title: str, body: str) -> str:
    """The frame of a chart; it scales down to its container and not up."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart {kind}" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'fill="none" stroke="currentColor"><title>{escape(title)}</title>{body}</svg>'
    )
