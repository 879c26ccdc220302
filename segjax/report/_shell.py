"""What all pages share: the frame, the policy that forbids the network, facts and dates."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from segjax.report._text import escape


POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def html_page(title: str, body: str, *, style: str, script: str) -> str:
    """One file that opens without a network; `title` is text, the rest is trusted."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>{style}</style></head><body><main>{body}</main>"
        f"<script>{script}</script></body></html>\n"
    )


def facts(values: Mapping[str, Any], kind: str = "facts") -> str:
    """Names and values side by side.

    Example:
        >>> facts({"Cases": 20})
        '<dl class="facts"><div><dt>Cases</dt><dd>20</dd></div></dl>'
    """
    items = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(_value(v))}</dd></div>" for k, v in values.items()
    )
    return f'<dl class="{kind}">{items}</dl>'


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def date(created: Any) -> str:
    """A day in words; what is no date is printed as it is."""
    try:
        day = datetime.fromisoformat(str(created))
    except ValueError:
        return str(created or "")
    zone = f" {day.tzname()}" if day.tzinfo else ""
    return f"{day.day} {day:%B %Y, %H:%M}{zone}"
