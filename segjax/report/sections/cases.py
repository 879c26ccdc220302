"""The cases themselves: samples chosen by rank, then every case, worst first."""

import math
from typing import Any

import numpy as np

from segjax.metrics import Metric
from segjax.report import ranks
from segjax.report._text import clean, escape, number, script_json
from segjax.report.overlay import Picture
from segjax.report.sections._content import Content, digits, label_choice, short
from segjax.report.sections.objects import SWATCHES, counted
from segjax.report.sections.surfaces import surfaces


_WITHOUT_SCRIPT = 50  # rows
_BYTES = 1_500_000  # of thumbnails
_WORDS = {
    "u": ("undefined", "0/0: there was nothing to score"),
    "m": ("missed", "nothing was predicted although the reference has it"),
}
_OUTLINE = ("outline", "outline of the reference")
_LEGEND = (
    ("agreement", "agreement"),
    ("missed", "missed: in the reference alone, or under another label"),
    ("extra", "extra: in the prediction alone"),
    _OUTLINE,
)
_OBJECT_LEGEND = (
    *((swatch, kind) for kind, swatch in SWATCHES.items()),
    _OUTLINE,
)


def cases(content: Content) -> str:
    """Sample pictures and the table of all cases, with its data for the script."""
    order = ranks.worst_first_indices(content.table, **content.policy)
    by = f", worst first by {escape(short(content.main))}" if content.main else ""
    thumbnails = _thumbnails(content, order)
    return (
        f"<section><h2>Cases</h2>{_samples(content)}{surfaces(content)}"
        f"<h3>All cases{by}</h3>"
        '<div class="controls needs-script"><label>Find a case <input id="find" type="search">'
        f'</label>{label_choice(content)}<span id="found" class="muted small" role="status"></span>'
        '</div><div class="scroll"><table class="cases"><thead><tr>'
        f"{_heads(content, bool(thumbnails))}</tr></thead><tbody></tbody></table></div>"
        f"{_noscript(content, order)}{_note(content, thumbnails)}</section>"
        f'<script type="application/json" id="scores">'
        f"{script_json(_data(content, order, thumbnails))}</script>"
    )


def _samples(content: Content) -> str:
    chosen = ranks.sample_indices(content.table, **content.policy)
    metric = content.main
    if metric is None or not chosen:
        return "<p>No case has a score by which to choose samples.</p>"
    scores = ranks.scores_in(content.table, metric.name, content.views[0][0], **content.policy)
    figures = "".join(
        _sample(content, place, content.table.cases[i], number(float(scores[i]), digits(metric)))
        for place, i in chosen.items()
    )
    legend = "".join(
        f'<li><span class="swatch {kind}"></span>{words}</li>'
        for kind, words in (_OBJECT_LEGEND if content.objects else _LEGEND)
    )
    shown = f'<ul class="legend small">{legend}</ul>' if content.pictures else ""
    return (
        f"<p>Samples are chosen by rank of {escape(short(metric))}, not by hand; "
        f"ties keep the order of the cases.</p>{shown}"
        f'<div class="samples">{figures}</div>'
    )


def _sample(content: Content, place: str, case: str, score: str) -> str:
    seen = content.pictures.get(case)
    drawn = '<div class="none muted small">no picture</div>' if seen is None else _image(seen, case)
    lines = [f"<code>{escape(case)}</code>"]
    if case in content.objects:
        lines.append(counted(content.objects[case]))
    if seen is not None and seen.caption:
        lines.append(escape(seen.caption))
    return (
        f"<figure><h3>{place.capitalize()}: {score}</h3>{drawn}"
        f"<figcaption>{'<br>'.join(lines)}</figcaption></figure>"
    )


def _image(seen: Picture, case: str) -> str:
    return (
        f'<img src="{escape(seen.uri)}" width="{seen.width}" height="{seen.height}" '
        f'alt="overlay of {escape(case)}">'
    )


def _thumbnails(content: Content, order: list[int]) -> dict[str, str]:
    """URIs by place in the table, worst cases first until the page would grow too large."""
    chosen, total = {}, 0
    for place, i in enumerate(order):
        seen = content.pictures.get(content.table.cases[i])
        if seen is not None and total + len(seen.uri) <= _BYTES:
            chosen[str(place)] = seen.uri
            total += len(seen.uri)
    return chosen


def _heads(content: Content, pictured: bool) -> str:
    button = lambda key, text: f'<button type="button" data-key="{escape(key)}">{text}</button>'
    columns = "".join(
        f'<th scope="col" title="{escape(m.title)}">{button(m.name, _breakable(m.name))}</th>'
        for m in content.metrics
    )
    return (
        f'<th scope="col">{button("case", "Case")}</th>'
        + ('<th scope="col" class="figure">Picture</th>' if pictured else "")
        + columns
        + f'<th scope="col" title="in the reference">{button("size", "Voxels")}</th>'
    )


def _breakable(name: str) -> str:
    return escape(name).replace("_", "_<wbr>")


def _data(content: Content, order: list[int], thumbnails: dict[str, str]) -> dict[str, Any]:
    """What the script needs, cases in the order of the table on the page."""
    table = content.table
    scores = {}
    for m in content.metrics:
        whole = any(c.metric == m.name and c.label is None for c in table.columns)
        for view, _ in content.views:
            cells = _cells(content, m, view)
            scores[f"{m.name}|{'' if whole else view}"] = [cells[i] for i in order]
    return {
        "main": content.main.name if content.main else None,
        "views": [str(view) for view, _ in content.views],
        "cases": [clean(table.cases[i]) for i in order],
        "sizes": {str(v): ranks.sizes_in(table, v)[order].tolist() for v, _ in content.views},
        "metrics": [{"name": m.name, "way": _way(m), "digits": digits(m)} for m in content.metrics],
        "scores": scores,
        "pictures": thumbnails,
        "pictured": bool(thumbnails),
        "words": _WORDS,
    }


def _way(metric: Metric) -> int | None:
    if metric.signed:
        return 0
    return {True: 1, False: -1, None: None}[metric.higher_is_better]


def _cells(content: Content, metric: Metric, view: int | str) -> list[float | str]:
    """Scores as the table shows them: a miss or a 0/0 is not disguised as its worth."""
    table = content.table
    policy = content.policy if view == ranks.MEAN else {"undefined": "omit", "missing": "omit"}
    scores = ranks.scores_in(table, metric.name, view, **policy)
    missed = ranks.missed_in(table, metric.name, view)
    return [_cell(x, m) for x, m in zip(scores.tolist(), missed.tolist(), strict=True)]


def _cell(score: float, missed: bool) -> float | str:
    if math.isnan(score):
        return "m" if missed else "u"
    if math.isinf(score):
        return "inf" if score > 0 else "-inf"
    return float(f"{score:.6g}") + 0.0  # never minus zero


def _noscript(content: Content, order: list[int]) -> str:
    shown = order[:_WITHOUT_SCRIPT]
    if not content.views:
        return ""
    view, name = content.views[0]
    columns = [_cells(content, m, view) for m in content.metrics]
    sizes = np.asarray(ranks.sizes_in(content.table, view))
    rows = "".join(
        f'<tr><th scope="row">{escape(content.table.cases[i])}</th>'
        + "".join(
            f"<td>{_printed(cells[i], digits(m))}</td>"
            for m, cells in zip(content.metrics, columns, strict=True)
        )
        + f"<td>{int(sizes[i]):,}</td></tr>"
        for i in shown
    )
    heads = "".join(f'<th scope="col">{escape(m.name)}</th>' for m in content.metrics)
    return (
        f'<noscript><p class="small">Without scripts: the first {len(shown)} of {len(order)} '
        f'cases ({escape(name)}).</p><div class="scroll"><table><thead><tr>'
        f'<th scope="col">Case</th>{heads}<th scope="col">Voxels</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></noscript>"
    )


def _printed(cell: float | str, d: int) -> str:
    if isinstance(cell, float):
        return number(cell, d)
    if cell in _WORDS:
        word, why = _WORDS[cell]
        return f'<span class="flag" title="{why}">{word}</span>'
    return number(float(cell), d)


def _note(content: Content, thumbnails: dict[str, str]) -> str:
    words = "Voxels: size in the reference."
    if thumbnails and len(thumbnails) < len(content.table):
        words += f" {len(thumbnails)} of {len(content.table)} cases have a picture here."
    return f'<p class="muted small">{words}</p>'
