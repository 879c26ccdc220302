"""The page of predicted scores: what to look at first, then every image, worst first."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from segjax.report._canvas import Picture
from segjax.report._shell import date, facts, html_page
from segjax.report._text import escape, number, percent, plural
from segjax.report.charts._axes import span
from segjax.report.charts.interval import interval_chart
from segjax.report.theme import css
from segjax.report.triage.style import SCRIPT, STYLE


MOST_ROWS = 2000
_FACTS = "facts small"

Result = Mapping[str, Any]


def render_triage(document: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    """Write the page.

    Args:
        document: what `summary.json` of `segjax assess` holds, its results worst first; what it
            lacks is left out.
        pictures: by case, of as many as are to have one.

    Returns:
        HTML that opens without a network and is read without a script; every text from outside
        is inert.
    """
    body = (
        _header(document)
        + _lead(document)
        + _notes(document)
        + _cases(document, pictures)
        + _reading(document)
        + _stamp(document)
    )
    title = f"{_method(document)}: predicted segmentation quality"
    return html_page(title, body, style=css() + STYLE, script=SCRIPT)


def _method(document: Mapping[str, Any]) -> str:
    return str(document.get("method") or "segmentation")


def _header(document: Mapping[str, Any]) -> str:
    weights = document.get("weights") or {}
    known = {
        "Images": f"{len(_results(document)):,}",
        "Predicted": ", ".join(str(m["name"]) for m in _metrics(document)),
        "Weights": weights.get("name"),
        "Date": date(document.get("created")),
    }
    return (
        '<header><p class="eyebrow">Predicted segmentation quality, no ground truth</p>'
        f"<h1>{escape(_method(document))}: what to look at first</h1>"
        f"{facts({name: value for name, value in known.items() if value})}</header>"
    )


def _lead(document: Mapping[str, Any]) -> str:
    """The mean of the first score, and how many images are flagged."""
    metrics, results = _metrics(document), _results(document)
    if not metrics or not results:
        return '<p class="note">There is nothing to look at: no image was assessed.</p>'
    name = str(metrics[0]["name"])
    values = [v for r in results if (v := _value(r, name)) is not None]
    mean = sum(values) / len(values) if values else None
    flagged = sum(bool(r.get("flags")) for r in results)
    said = f"mean predicted {name} of {plural(len(values), 'image')}"
    if flagged:
        said += f"; {plural(flagged, 'image')} flagged, whose scores are worth less"
    return f'<p class="lead"><strong>{number(mean)}</strong><span>{escape(said)}</span></p>'


def _notes(document: Mapping[str, Any]) -> str:
    notes = [str(note) for note in document.get("notes") or ()]
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _cases(document: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    metrics, results = _metrics(document), _results(document)
    if not metrics or not results:
        return ""
    name = str(metrics[0]["name"])
    shown = results[:MOST_ROWS]
    axis = _axis(metrics[0], shown)
    rows = "".join(_row(r, metrics, axis, pictures.get(str(r.get("case")))) for r in shown)
    more = ""
    if len(shown) < len(results):
        rest = f"{len(results) - len(shown)} more, predicted to be better, are in scores.csv."
        more = f'<p class="small muted">{rest}</p>'
    coverage = (document.get("options") or {}).get("coverage")
    interval = f", with its {percent(coverage).replace('.0', '')} interval" if coverage else ""
    return (
        f"<section><h2>Images, worst first</h2><p>Ordered by predicted {escape(name)}{interval}. "
        "Open an image to see where it is probably wrong: contours are those of the segmentation "
        f"that was given.</p>{_legend() if pictures else ''}"
        '<div class="controls needs-script"><label>Find an image <input id="find" type="search">'
        '</label><label><input id="flagged" type="checkbox"> flagged only</label>'
        '<button type="button" id="open">Open all with a picture</button>'
        '<span id="found" class="muted small" role="status"></span></div>'
        f'<div class="triage">{rows}</div>{more}</section>'
    )


def _legend() -> str:
    entries = (
        ("agreement", "contour of the segmentation"),
        ("missed", "something is probably missed here"),
        ("extra", "something is probably too much here"),
    )
    items = "".join(f'<li><span class="swatch {k}"></span>{words}</li>' for k, words in entries)
    return f'<ul class="legend small">{items}</ul>'


def _row(
    result: Result,
    metrics: list[Mapping[str, Any]],
    axis: tuple[float, float],
    picture: Picture | None,
) -> str:
    case, flags = str(result.get("case")), [str(f) for f in result.get("flags") or ()]
    name = str(metrics[0]["name"])
    value, low, high = (_value(result, name, end) for end in ("value", "low", "high"))
    ends = None if low is None or high is None else (low, high)
    chart = interval_chart(value, ends, axis=axis, title=_spoken(name, value, ends))
    marks = "".join(f'<span class="mark">{escape(flag)}</span>' for flag in flags)
    summary = (
        f'<span class="score">{number(value)}</span>{chart}'
        f'<span class="case">{escape(case)}</span><span class="marks">{marks}</span>'
    )
    drawn = '<p class="muted small">No picture was drawn of this image.</p>'
    if picture is not None:
        drawn = (
            f'<figure><img src="{escape(picture.uri)}" width="{picture.width}" '
            f'height="{picture.height}" loading="lazy" alt="{escape(case)} with contours and '
            f'probable errors"><figcaption>{escape(picture.caption)}</figcaption></figure>'
        )
    state = f' data-case="{escape(case.lower())}"' + (' data-flagged=""' if flags else "")
    pictured = ' data-pictured=""' if picture is not None else ""
    return (
        f"<details{state}{pictured}><summary>{summary}</summary>"
        f'<div class="more">{drawn}<div>{_table(result, metrics)}{_facts(result)}</div></div>'
        "</details>"
    )


def _spoken(name: str, value: float | None, ends: tuple[float, float] | None) -> str:
    if value is None:
        return f"no {name}"
    return f"{name} {number(value)}" + (
        f", from {number(ends[0])} to {number(ends[1])}" if ends else ""
    )


def _table(result: Result, metrics: list[Mapping[str, Any]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(m["name"])}</th>'
        + "".join(
            f"<td>{number(_value(result, str(m['name']), end))}</td>"
            for end in ("value", "low", "high")
        )
        + "</tr>"
        for m in metrics
    )
    return (
        '<table><thead><tr><th scope="col">Predicted</th><th scope="col">score</th>'
        f'<th scope="col">low</th><th scope="col">high</th></tr></thead><tbody>{rows}</tbody>'
        "</table>"
    )


_SOURCES = {
    "given": "as given",
    "labels": "median of the segmentation",
    "card": "of the weights; nothing to measure",
}


def _facts(result: Result) -> str:
    diameter = _finite(result.get("diameter"))
    source = _SOURCES.get(str(result.get("diameter_from")), "")
    known = {
        "Objects segmented": result.get("segmented"),
        "Objects seen by the network": number(_finite(result.get("objects")), 1),
        "Object diameter": f"{number(diameter, 1)} px ({source})",
    }
    return facts(known, _FACTS)


def _reading(document: Mapping[str, Any]) -> str:
    weights = document.get("weights") or {}
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in weights.get("limits") or ())
    trained = f"<p>Trained on: {escape(weights['data'])}</p>" if weights.get("data") else ""
    return (
        "<section><h2>How to read this page</h2><p>A network that has seen many images with known "
        "segmentation errors looks at each image and its segmentation, and predicts the score "
        "that a comparison with the truth would give. It is a guess, to decide what to look at "
        "first, and no measurement. A score is the mean over patches, weighted by the objects "
        "that the network sees. The thick line is the interval, the dot the score, corrected by "
        "the mean error of the calibration.</p><p>A flag says why the network may be wrong: an "
        "image unlike those it was trained on, too dim to see the truth in, objects of another "
        f"size than it knows, or nothing segmented.</p>{trained}"
        + (f"<p>Known limits:</p><ul>{limits}</ul>" if limits else "")
        + "</section>"
    )


def _stamp(document: Mapping[str, Any]) -> str:
    unpaired = document.get("unpaired") or {}
    alone = [
        f"{plural(len(names), side)} without a counterpart: {', '.join(map(str, names[:10]))}"
        + (", ..." if len(names) > 10 else "")
        for side, names in unpaired.items()
        if names
    ]
    weights = document.get("weights") or {}
    options = {
        "segjax": document.get("segjax"),
        "weights": weights.get("fingerprint"),
        **(document.get("options") or {}),
    }
    return (
        "<section><h2>To compute it again</h2>"
        f"<pre>{escape(document.get('command') or '')}</pre>{facts(options, _FACTS)}"
        + "".join(f'<p class="small">{escape(line)}</p>' for line in alone)
        + "</section>"
    )


def _axis(metric: Mapping[str, Any], results: list[Result]) -> tuple[float, float]:
    """All of the metric's range if it has ends, else what the scores and intervals fill."""
    ends = [_finite(metric.get(key)) for key in ("least", "most")]
    if ends[0] is not None and ends[1] is not None:
        return ends[0], ends[1]
    name = str(metric["name"])
    values = [_value(r, name, end) for r in results for end in ("value", "low", "high")]
    return span(np.array([v for v in values if v is not None]))


def _value(result: Result, metric: str, key: str = "value") -> float | None:
    return _finite(((result.get("scores") or {}).get(metric) or {}).get(key))


def _finite(value: Any) -> float | None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if sound else None


def _metrics(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(document.get("metrics") or ())


def _results(document: Mapping[str, Any]) -> list[Result]:
    return list(document.get("results") or ())
