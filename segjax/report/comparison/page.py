"""One page that opens without a network: runs over the same cases, or over several data sets."""

from collections.abc import Mapping
from typing import Any

from segjax.report._shell import date, facts, html_page
from segjax.report._text import escape
from segjax.report.comparison.cases import of_cases
from segjax.report.comparison.datasets import of_datasets
from segjax.report.comparison.style import SCRIPT, STYLE
from segjax.report.theme import css


def render_comparison(document: Mapping[str, Any]) -> str:
    """Write the page of a comparison.

    Args:
        document: what `comparison.json` holds.

    Returns:
        HTML in which every text from outside is inert.
    """
    several = document["kind"] == "datasets"
    title = _title(document)
    body = (
        _header(document, title)
        + (of_datasets(document) if several else of_cases(document))
        + _notes(document)
        + _stamp(document)
    )
    return html_page(title, body, style=css() + STYLE, script=SCRIPT)


def _title(document: Mapping[str, Any]) -> str:
    runs = document["runs"]
    if document["kind"] == "datasets":
        return f"{len(runs)} data sets"
    others = runs[1] if len(runs) == 2 else f"{len(runs) - 1} runs"
    return f"{others} against {runs[0]}"


def _header(document: Mapping[str, Any], title: str) -> str:
    several = document["kind"] == "datasets"
    cases = document["cases"]
    known = {
        "Data sets" if several else "Runs": ", ".join(document["runs"]),
        "Cases": f"{sum(cases) if several else len(cases):,}",
        "Date": date(document.get("created")),
    }
    eyebrow = "Cross-dataset evaluation" if several else "Comparison of runs"
    return (
        f'<header><p class="eyebrow">{eyebrow}</p><h1><bdi>{escape(title)}</bdi></h1>'
        f"{facts(known)}</header>"
    )


def _notes(document: Mapping[str, Any]) -> str:
    lines = "".join(f"<li><bdi>{escape(note)}</bdi></li>" for note in document.get("notes") or ())
    return f"<section><h2>Notes</h2><ul>{lines}</ul></section>" if lines else ""


def _stamp(document: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><bdi>{escape(s["run"])}</bdi></th><td>{escape(s["path"])}</td>'
        f"<td><code>{escape(s['sha256'])}</code></td></tr>"
        for s in document.get("sources") or ()
    )
    options = dict(document.get("options") or {}) | {"segjax": document.get("segjax")}
    return (
        f"<section><h2>How to get it again</h2><pre>{escape(document.get('command') or '')}</pre>"
        f"{facts(options, 'facts small')}"
        f'<div class="scroll"><table class="files"><thead><tr><th scope="col">Run</th>'
        '<th scope="col">File</th><th scope="col">SHA-256</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )
