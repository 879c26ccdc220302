"""Sections of a comparison over data sets: every class in every data set, metric by metric."""

from collections.abc import Mapping
from typing import Any

from segjax.report._text import escape, number, plural
from segjax.report.charts.forest import Estimate, forest_axis, forest_line, forest_range


_MEANS = {"iou": "mIoU, mean over classes", "dice": "mean Dice over classes"}


def of_datasets(document: Mapping[str, Any]) -> str:
    """An overview, then each metric."""
    return _overview(document) + "".join(_metric(document, m) for m in document["metrics"])


def _overview(document: Mapping[str, Any]) -> str:
    """The means over classes: a row per data set, a column per metric."""
    metrics = document["metrics"]
    heads = "".join(f'<th scope="col"><bdi>{escape(_short(m))}</bdi></th>' for m in metrics)
    rows = "".join(
        f'<tr><th scope="row"><bdi>{escape(run)}</bdi></th><td>{cases:,}</td>'
        + "".join(f"<td>{number(_mean(m, place), _digits(m))}</td>" for m in metrics)
        + "</tr>"
        for place, (run, cases) in enumerate(zip(document["runs"], document["cases"], strict=True))
    )
    return (
        "<section><h2>All classes</h2>"
        '<p class="muted small">Means over the cases and classes of each data set. What a data set '
        "lacks has no say in its mean, so that means over other classes differ for that alone.</p>"
        f'<div class="scroll"><table><thead><tr><th scope="col">Data set</th>'
        f'<th scope="col">Cases</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</section>"
    )


def _short(metric: Mapping[str, Any]) -> str:
    name = str(metric["metric"])
    return {"iou": "mIoU", "dice": "mean Dice"}.get(name, name)


def _mean(metric: Mapping[str, Any], place: int) -> float | None:
    """Over all classes; of a data set with one class, that one's."""
    rows = {c["name"]: c["rows"][place] for c in metric["classes"] if c["rows"][place]}
    chosen = rows.get("") or (next(iter(rows.values())) if len(rows) == 1 else None)
    return None if chosen is None else chosen["mean"]


def _digits(metric: Mapping[str, Any]) -> int:
    means = [abs(r["mean"]) for c in metric["classes"] for r in c["rows"] if r and r["mean"]]
    return 3 if max(means, default=0.0) <= 1 else 2


def _metric(document: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    """A group of rows per class, a row per data set."""
    d = _digits(metric)
    estimates = [_estimate(row) for c in metric["classes"] for row in c["rows"] if row]
    axis = forest_range(estimates)
    head = (
        '<thead><tr><th scope="col">Class and data set</th><th scope="col">Mean</th>'
        '<th scope="col">95 % interval of it</th>'
        f'<th scope="col" class="figure">{forest_axis(axis, metric["metric"])}</th>'
        '<th scope="col">Pooled</th><th scope="col">Cases</th><th scope="col">Undefined</th>'
        '<th scope="col">Missed</th></tr></thead>'
    )
    body = "".join(_class(document, metric, one, axis, d) for one in metric["classes"])
    way = {"higher": "Higher is better.", "lower": "Lower is better."}.get(
        metric["better"] or "", ""
    )
    return (
        f"<section><h2><bdi>{escape(metric['metric'])}</bdi></h2>"
        f'<p class="muted small"><bdi>{escape(metric["title"])}</bdi>. {way}</p>'
        f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div></section>'
    )


def _class(
    document: Mapping[str, Any],
    metric: Mapping[str, Any],
    one: Mapping[str, Any],
    axis: tuple[float, float],
    d: int,
) -> str:
    name = one["name"] or _MEANS.get(metric["metric"], "whole image, or mean over classes")
    there = sum(row is not None for row in one["rows"])
    rows = "".join(
        _row(run, row, axis, d) for run, row in zip(document["runs"], one["rows"], strict=True)
    )
    return (
        f'<tr class="group"><th scope="rowgroup" colspan="8"><bdi>{escape(name)}</bdi>'
        f'<span class="muted small"> in {plural(there, "data set")}</span></th></tr>{rows}'
    )


def _row(run: str, row: Mapping[str, Any] | None, axis: tuple[float, float], d: int) -> str:
    head = f'<tr><th scope="row"><bdi>{escape(run)}</bdi></th>'
    if row is None:
        return f'{head}<td colspan="7" class="zero">has no such class</td></tr>'
    ends = row["interval"]
    text = (
        number(None) if ends is None else f"{number(ends['low'], d)} to {number(ends['high'], d)}"
    )
    counts = "".join(f"<td>{row[k]}</td>" for k in ("n", "n_undefined", "n_missed"))
    return (
        f"{head}<td>{number(row['mean'], d)}</td><td>{text}</td>"
        f'<td class="figure">{forest_line(_estimate(row), axis=axis, guide=None)}</td>'
        f"<td>{number(row['pooled'], d)}</td>{counts}</tr>"
    )


def _estimate(row: Mapping[str, Any]) -> Estimate:
    ends = row["interval"] or {}
    return Estimate("", row["mean"], ends.get("low"), ends.get("high"))
