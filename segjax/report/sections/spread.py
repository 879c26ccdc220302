"""How scores spread over the cases, and whether they follow the size of the object."""

from typing import Any

import numpy as np

from segjax.metrics import Metric
from segjax.report import ranks
from segjax.report._text import escape, plural
from segjax.report.charts import distribution_chart, scatter_chart
from segjax.report.charts._axes import span
from segjax.report.sections._content import Content, full_range, label_choice, named, short


_DOTS = 60_000  # on the whole page; beyond, histograms and boxes alone keep it light


def spread(content: Content) -> str:
    """Two sections: distributions, and the scatter of the main metric."""
    if not len(content.table) or not content.views:
        return ""
    return _distributions(content) + _sizes(content)


def _distributions(content: Content) -> str:
    strip = len(content.table) * len(content.metrics) * len(content.views) <= _DOTS
    axes = {m.name: _axis(content, m) for m in content.metrics}
    parts = "".join(
        _of_label(
            content, view, "".join(_figure(content, m, view, axes, strip) for m in content.metrics)
        )
        for view, _ in content.views
    )
    dots = " and a dot for every case" if strip else ""
    return (
        "<section><h2>Distributions</h2>"
        f'<p class="muted small">Histogram of the cases, box of quartiles and median{dots}. '
        "Mind the ends of the axes: where all scores lie close together, only that part is "
        f"drawn.</p>{label_choice(content)}{parts}</section>"
    )


def _of_label(content: Content, view: int | str, figures: str) -> str:
    if len(content.views) < 2:
        return f'<div class="grid">{figures}</div>'
    name = dict(content.views)[view]
    return (
        f'<div data-label="{escape(view)}"><h3>{escape(named(view, name))}</h3>'
        f'<div class="grid">{figures}</div></div>'
    )


def _axis(content: Content, metric: Metric) -> tuple[float, float]:
    """The same for all labels, so that they can be compared."""
    scores = [
        ranks.scores_in(content.table, metric.name, view, **content.policy)
        for view, _ in content.views
    ]
    return span(np.concatenate(scores), full_range(metric))


def _figure(
    content: Content,
    metric: Metric,
    view: int | str,
    axes: dict[str, tuple[float, float]],
    strip: bool,
) -> str:
    scores = ranks.scores_in(content.table, metric.name, view, **content.policy)
    chart = distribution_chart(
        scores,
        axis=axes[metric.name],
        title=f"Distribution of {short(metric)} over {plural(len(scores), 'case')}",
        strip=strip,
    )
    unit = f'<span class="muted">, {escape(content.unit(metric))}</span>' if metric.unit else ""
    return f"<figure><h3>{escape(short(metric))} {_code(metric)}{unit}</h3>{chart}</figure>"


def _code(metric: Metric) -> str:
    return f'<code class="muted">{escape(metric.name)}</code>'


def _sizes(content: Content) -> str:
    metric = content.main
    if metric is None:
        return ""
    volumes, x_title = _voxel_volumes(content)
    axis = _axis(content, metric)
    parts = []
    for view, name in content.views:
        missed = ranks.missed_in(content.table, metric.name, view)
        chart = scatter_chart(
            ranks.sizes_in(content.table, view) * volumes,
            ranks.scores_in(content.table, metric.name, view, **content.policy),
            names=content.table.cases,
            marked=missed,
            axis=axis,
            x_title=x_title,
            y_title=short(metric),
            title=f"{short(metric)} against {x_title}: {name}",
        )
        label = f' data-label="{escape(view)}"' if len(content.views) > 1 else ""
        heading = f"<h3>{escape(named(view, name))}</h3>" if label else ""
        crossed = "<figcaption>Cross: missed.</figcaption>" if missed.any() else ""
        drawn = f'<div class="scroll">{chart}</div>'
        parts.append(f"<figure{label}>{heading}{drawn}{crossed}</figure>")
    return (
        f"<section><h2>{escape(short(metric))} and the size of the object</h2>"
        '<p class="muted small">Overlap is harsh on small objects: a rim one voxel wide costs '
        f"them more. Every dot is a case.</p>{label_choice(content)}{''.join(parts)}</section>"
    )


def _voxel_volumes(content: Content) -> tuple[Any, str]:
    """Content of a voxel of each case and the title of the axis; voxels if it is not known."""
    inputs = {i.get("case"): i for i in content.summary.get("inputs") or []}
    spacings = [(inputs.get(case) or {}).get("spacing") or () for case in content.table.cases]
    if not content.length_unit or not all(spacings):
        return 1.0, "voxels in the reference"
    unit = f"{content.length_unit}{content.power}"
    return np.array([float(np.prod(s)) for s in spacings]), f"size in the reference, {unit}"
