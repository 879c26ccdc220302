"""The result: every metric's mean, its interval, and how many cases are behind it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from segjax.metrics import Metric
from segjax.report import ranks
from segjax.report._text import escape, number, plural
from segjax.report.charts import interval_chart
from segjax.report.charts._axes import span
from segjax.report.sections._content import (
    Content,
    digits,
    direction,
    full_range,
    named,
    short,
)


_FEW = 50  # cases below which the percentile interval is known to be too narrow
_INTERVAL = "Interval of the mean"
_HEADS = (
    ("Mean of cases", "every case counts the same"),
    (_INTERVAL, "bootstrap over cases"),
    ("Median", ""),
    ("SD", "standard deviation between cases"),
    ("n", "cases behind the mean"),
    ("Undefined", "0/0: there was nothing to score"),
    ("Missed", "nothing was predicted although it was there, and the formula is 0/0"),
    (
        "Pooled",
        "the score of the voxels (of metrics of objects: of the objects) of all cases together: "
        "cases that have more of them count more",
    ),
)


def headline(content: Content) -> str:
    """The leading number, then a table of all."""
    entries = content.summary.get("scores") or []
    bodies = "".join(
        _group(content, m, [e for e in entries if e["metric"] == m.name]) for m in content.metrics
    )
    level = next((f" ({_level(e)})" for e in entries if e.get("interval")), "")
    heads = "".join(
        f'<th scope="col" title="{why}">{head}{level if head == _INTERVAL else ""}</th>'
        for head, why in _HEADS
    )
    return (
        f"{_lead(content, entries)}<section><h2>Summary</h2>"
        '<div class="scroll"><table class="summary"><thead><tr><th scope="col">Metric</th>'
        f'<th scope="col" class="figure">Mean and interval</th>{heads}</tr></thead>'
        f"{bodies}</table></div>{_legend()}{_on_intervals(content, entries)}"
        f"{_on_policy(content)}</section>"
    )


def _lead(content: Content, entries: list[Mapping[str, Any]]) -> str:
    metric = content.main
    entry = next((e for e in entries if metric is not None and e["metric"] == metric.name), None)
    if metric is None or entry is None:
        return ""
    several = ", each the mean of its labels" if entry["label"] == ranks.MEAN else ""
    words = [f"mean of {plural(entry['n'], 'case')}{several}" if entry["n"] else "no score"]
    if metric.of_objects and entry["pooled"] is not None:
        words.append(f"{number(entry['pooled'], digits(metric))} of all objects together")
    if entry.get("interval"):
        words.append(f"{_level(entry)} interval {_ends(entry, digits(metric))}")
    unit = f" {escape(content.unit(metric))}" if metric.unit else ""
    return (
        f'<p class="lead"><strong>{number(entry["mean"], digits(metric))}</strong>'
        f"<span>{escape(short(metric))}{unit}<br>"
        f'<span class="muted">{"; ".join(words)}</span></span></p>'
    )


def _group(content: Content, metric: Metric, entries: list[Mapping[str, Any]]) -> str:
    if not entries:
        return ""
    head = (
        f'{escape(short(metric))}<br><span class="muted small"><code>{escape(metric.name)}</code>, '
        f"{direction(metric)}{_in_unit(content, metric)}</span>"
    )
    axis = _axis(metric, entries)
    if len(entries) == 1:
        return f"<tbody>{_row(metric, entries[0], axis, head)}</tbody>"
    rows = "".join(_row(metric, e, axis, escape(named(e["label"], e["name"]))) for e in entries)
    span_all = len(_HEADS) + 2
    return (
        f'<tbody><tr class="group"><th colspan="{span_all}" scope="rowgroup">{head}</th></tr>'
        f"{rows}</tbody>"
    )


def _in_unit(content: Content, metric: Metric) -> str:
    return f", in {escape(content.unit(metric))}" if metric.unit else ""


def _row(metric: Metric, entry: Mapping[str, Any], axis: tuple[float, float], head: str) -> str:
    d = digits(metric) or 1  # means of counts are not whole
    interval, quantiles = entry.get("interval"), entry.get("quantiles")
    chart = interval_chart(
        None if entry["mean"] is None else float(entry["mean"]),
        (float(interval["low"]), float(interval["high"])) if interval else None,
        axis=axis,
        cases=_middle(quantiles),
        title=f"{short(metric)}, mean {number(entry['mean'], d)}",
    )
    cells = (
        f"<strong>{number(entry['mean'], d)}</strong>",
        _ends(entry, d) if interval else '<span class="zero">none</span>',
        number(entry["median"], d),
        number(entry["sd"], d),
        f"{entry['n']:,}",
        _count(entry["n_undefined"]),
        _count(entry["n_missed"]),
        number(entry["pooled"], digits(metric)),
    )
    row = "mean" if entry["label"] == ranks.MEAN else "label"
    return (
        f'<tr class="{row}"><th scope="row">{head}</th><td class="figure">{chart}</td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _middle(quantiles: Mapping[str, Any] | None) -> tuple[float, float] | None:
    ends = [(quantiles or {}).get(q) for q in ("0.05", "0.95")]
    return None if None in ends else (float(ends[0]), float(ends[1]))  # type: ignore[arg-type]


def _count(n: int) -> str:
    return f'<span class="zero">{n}</span>' if n == 0 else f'<span class="flag">{n:,}</span>'


def _level(entry: Mapping[str, Any]) -> str:
    return f"{100 * entry['interval']['level']:g} %"


def _ends(entry: Mapping[str, Any], d: int) -> str:
    ends = entry["interval"]
    return f"{number(ends['low'], d)} to {number(ends['high'], d)}"


def _axis(metric: Metric, entries: list[Mapping[str, Any]]) -> tuple[float, float]:
    """One axis for all labels of a metric: all possible scores, or all that are shown."""
    full = full_range(metric)
    if full is not None:
        return full
    shown = [e["mean"] for e in entries]
    shown += [x for e in entries for x in _middle(e.get("quantiles")) or ()]
    shown += [e["interval"][k] for e in entries if e.get("interval") for k in ("low", "high")]
    finite = [float(x) for x in shown if x is not None and math.isfinite(x)]
    if metric.signed and finite:
        far = span(np.abs(finite))[1]
        return -far, far
    return span(np.array(finite))


def _legend() -> str:
    return (
        '<p class="muted small">Circle: mean of cases. Thick line: interval of that mean. '
        "Thin line: from the 5th to the 95th percentile of the cases. "
        "Pooled: one score of the voxels of all cases together, or of their objects where objects "
        "are judged; for a mean over labels, the mean of the labels' pooled scores. "
        "Background is no label and enters no mean unless it was asked for.</p>"
    )


def _on_intervals(content: Content, entries: list[Mapping[str, Any]]) -> str:
    n = len(content.table)
    if n == 1:
        return '<p class="note">With one case there is no interval: nothing is known of others.</p>'
    intervals = [e["interval"] for e in entries if e.get("interval")]
    if not intervals:
        return ""
    replicates = max(i["replicates"] for i in intervals)
    words = (
        f"Intervals are {escape(intervals[0]['method'])} intervals of the mean over cases "
        f"({replicates:,} resamples)."
    )
    if n >= _FEW or "percentile" not in intervals[0]["method"]:
        return f'<p class="small">{words}</p>'
    return (
        f'<p class="note">{words} With {plural(n, "case")} they are too narrow: a percentile '
        f"interval is so below about {_FEW} cases (with 20, a nominal 95 % interval holds the "
        "true mean in 84 to 89 % of the time). Read it as the least that is uncertain.</p>"
    )


def _on_policy(content: Content) -> str:
    undefined = {
        "omit": "left out of the mean",
        "best": "counted as the best score",
        "worst": "counted as the worst score",
    }.get(content.policy["undefined"], content.policy["undefined"])
    missing = {
        "diagonal": "counted as the diagonal of the image if they are distances, else as the "
        "worst score (or as chance, where a metric has that)",
        "worst": "counted as the worst score (or as chance, where a metric has that)",
        "omit": "left out of the mean",
    }.get(content.policy["missing"], content.policy["missing"])
    return (
        f'<p class="small">Undefined scores (0/0, nothing there to be scored) are '
        f"{escape(undefined)}; missed ones (0/0 because nothing was predicted, or a distance with "
        "nothing to reach) are "
        f"{escape(missing)}.</p>"
    )
