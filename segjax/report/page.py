"""The page: one HTML file that needs no network, in the order a reader asks questions."""

from collections.abc import Mapping
from typing import Any

from segjax.report._shell import date, facts, html_page
from segjax.report._text import escape, plural
from segjax.report.overlay import Picture
from segjax.report.sections import provenance
from segjax.report.sections._content import Content, named
from segjax.report.sections.cases import cases
from segjax.report.sections.headline import headline
from segjax.report.sections.objects import objects
from segjax.report.sections.spread import spread
from segjax.report.surfaces import Gallery
from segjax.report.theme import SCRIPT, css
from segjax.table import Table


def render(
    table: Table,
    summary: Mapping[str, Any],
    pictures: Mapping[str, Picture],
    surfaces: Gallery | None = None,
) -> str:
    """Write the page.

    Args:
        table: scores of all cases.
        summary: what `summary.json` holds; what it lacks is left out.
        pictures: overlays by case; `samples` and `worst_first` say for which cases.
        surfaces: pictures of the distances between surfaces, of cases in the order they are
            to be shown.

    Returns:
        HTML that opens without a network; every text from outside is inert.
    """
    content = Content(table, summary, pictures, surfaces)
    parts = (_header, headline, objects, spread, cases, *_PROVENANCE)
    body = "".join(part(content) for part in parts)
    title = f"{_method(content)}: segmentation quality"
    return html_page(title, body, style=css(), script=SCRIPT)


_PROVENANCE = (
    provenance.glossary,
    provenance.unpaired,
    provenance.guideline,
    provenance.stamp,
)


def _method(content: Content) -> str:
    return str(content.summary.get("method") or "prediction")


def _header(content: Content) -> str:
    known = {
        "Cases": f"{len(content.table):,}",
        "Labels": _labels(content.table),
        "Layout": content.summary.get("layout"),
        "Date": date(content.summary.get("created")),
    }
    return (
        '<header><p class="eyebrow">Segmentation quality</p>'
        f"<h1>{escape(_method(content))}, judged against the reference</h1>"
        f"{facts({name: value for name, value in known.items() if value})}</header>"
    )


def _labels(table: Table) -> str:
    if len(table.labels) > 12:
        return plural(len(table.labels), "label")
    return ", ".join(named(k.value, k.name) for k in table.labels)
