"""Where the surfaces of the worst cases part, and how far."""

import math

from segjax.metrics import Metric
from segjax.report import ranks
from segjax.report._text import escape, number
from segjax.report.charts import colour_bar
from segjax.report.sections._content import Content, digits
from segjax.report.surfaces import SurfacePicture


_LEGEND = {
    "prediction": "contour of the prediction, in the colour of its distance to the reference",
    "reference": "contour of the reference: white, and inside that its distance to the prediction",
    "farthest": "the greatest distance, with a line to the nearest point if that is in the picture",
    "facing": "surface seen face on, where the object ends in this slice",
    "alone": "no distance: the other one has nothing",
    "ignored": "ignored",
}
_ALWAYS = ("prediction", "reference", "farthest")


def surfaces(content: Content) -> str:
    """Pictures of surfaces with the scale of their colours; nothing without a boundary metric."""
    shown = content.surfaces
    metric = ranks.boundary_metric(m.name for m in content.metrics)
    if shown is None or not shown.pictures or metric is None:
        return ""
    pictures = shown.pictures.values()
    beyond = any(seen.farthest > shown.limit for seen in pictures)
    marks = {*_ALWAYS, *(mark for seen in pictures for mark in seen.marks)}
    legend = "".join(
        f'<li><span class="swatch line {mark}"></span>{words}</li>'
        for mark, words in _LEGEND.items()
        if mark in marks
    )
    scores = ranks.scores_in(
        content.table, metric.name, content.views[0][0], undefined="omit", missing="omit"
    )
    score = dict(zip(content.table.cases, scores.tolist(), strict=True))
    figures = "".join(
        _figure(content, seen, case, _scored(content, metric, score.get(case, math.nan)))
        for case, seen in shown.pictures.items()
    )
    return (
        f"<h3>Distances between surfaces, worst first by <code>{escape(metric.name)}</code></h3>"
        "<p>Each element of a contour has the colour of its distance to the other surface, "
        "measured in the whole case and not in the picture. All pictures share the scale."
        f"{_limits(content, shown.limit, beyond)}</p>"
        f"{colour_bar(shown.limit, content.length_words, beyond=beyond)}"
        f'<ul class="legend small">{legend}</ul><div class="samples surfaces">{figures}</div>'
    )


def _limits(content: Content, limit: float, beyond: bool) -> str:
    words = ""
    if beyond:
        words += f" Colours end at {limit:g} {escape(content.length_words)}."
    if (content.summary.get("options") or {}).get("surface") == "surfel":
        words += " The scores are of surfels, the pictures of voxels."
    return words


def _scored(content: Content, metric: Metric, score: float) -> str:
    if math.isnan(score):
        return "No distance"
    unit = f" {content.length_words}" if metric.unit else ""
    return f"{number(score, digits(metric))}{unit}"


def _figure(content: Content, seen: SurfacePicture, case: str, head: str) -> str:
    apart = f": {number(seen.farthest, 2)} {content.length_words}" if seen.farthest > 0 else ""
    caption = "; ".join(x for x in (seen.caption + apart, *seen.remarks) if x)
    return (
        f"<figure><h3>{escape(head)}</h3>"
        f'<img src="{escape(seen.uri)}" width="{seen.width}" height="{seen.height}" '
        f'alt="surfaces of {escape(case)}">'
        f"<figcaption><code>{escape(case)}</code><br>{escape(caption)}</figcaption></figure>"
    )
