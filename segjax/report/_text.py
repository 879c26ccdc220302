"""Text and numbers on their way into HTML, SVG and JSON."""

import html
import json
import math
import re
from typing import Any


# Not allowed in XML, or (U+202A to U+2069) turns the text around it.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

_MINUS = "\N{MINUS SIGN}"


def clean(text: object) -> str:
    """Put a visible mark in place of what does not print, lone surrogates included."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text))


def escape(text: object) -> str:
    """Make text inert in HTML and XML, in quoted attributes too.

    Example:
        >>> escape('"><b>')
        '&quot;&gt;&lt;b&gt;'
    """
    return html.escape(clean(text), quote=True)


def script_json(value: Any) -> str:
    """JSON that stays data inside a `<script>` element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: no U+2028
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def number(value: float | int | None, digits: int = 3) -> str:
    """A number for a table; more digits where rounding would feign 0 or 1.

    Example:
        >>> number(0.8764), number(0.99987), number(1.0), number(None)
        ('0.876', '0.9999', '1.000', '–')
        >>> number(12345.0, 0), number(float("inf")), number(-0.5)
        ('12,345', '∞', '−0.500')
    """
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if 0 < abs(value) < 1e-6 or abs(value) >= 1e15:
        return f"{value:.2e}".replace("-", _MINUS)
    while digits < 6 and value not in (-1, 0, 1) and round(value, digits) in (-1, 0, 1):
        digits += 1
    return f"{value + 0.0:,.{digits}f}".replace("-", _MINUS)


def plural(n: int, one: str, many: str = "") -> str:
    """A number and its noun.

    Example:
        >>> plural(1, "case"), plural(0, "case"), plural(2, "miss", "misses")
        ('1 case', '0 cases', '2 misses')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(share: float | int | None) -> str:
    """A share in percent; never 0 or 100 by rounding.

    Example:
        >>> percent(0.636), percent(0.0004), percent(0.9999), percent(1.0), percent(None)
        ('63.6 %', '< 0.1 %', '> 99.9 %', '100 %', '–')
    """
    if share is None or math.isnan(share):
        return number(None)
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.{0 if share in (0, 1) else 1}f} %"


def probability(p: float | int | None) -> str:
    """A p value: three digits, and no more than can be known of it.

    Example:
        >>> probability(0.0412), probability(0.00002), probability(1.0)
        ('0.041', '< 0.001', '1.000')
    """
    return "< 0.001" if p is not None and p < 0.001 else number(p, 3) if p != 1 else "1.000"
