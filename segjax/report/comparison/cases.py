"""Sections of a comparison over the same cases: verdict, differences, and the cases themselves."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from segjax.report._text import escape, number, percent, plural, probability
from segjax.report.charts.differences import difference_chart
from segjax.report.charts.forest import Estimate, forest_axis, forest_line, forest_range


_ROWS = 300  # of the table of cases: the worst; all are in comparison.csv


def of_cases(document: Mapping[str, Any]) -> str:
    """All measures, one after another."""
    measures = document["measures"]
    if not measures:
        return "<p>The runs have no measure in common.</p>"
    return _how(document) + "".join(_measure(document, measure) for measure in measures)


def _how(document: Mapping[str, Any]) -> str:
    level = f"{100 * document['level']:g} %"
    first = escape(document["runs"][0])
    return (
        f'<p class="muted small">Differences are those of a run less <bdi>{first}</bdi>, case by '
        f"case. The {level} interval is of the mean difference, each on its own; p is adjusted for "
        f"the {plural(document['comparisons'], 'pair')} of all measures (permutation within cases "
        "and sign flips, largest |t|, the larger p of both). A miss counts as the worst score.</p>"
        '<ul class="legend small"><li><span class="swatch gain"></span>better</li>'
        '<li><span class="swatch loss"></span>worse</li>'
        '<li><span class="swatch band"></span>interval of the mean difference</li></ul>'
    )


def _measure(document: Mapping[str, Any], measure: Mapping[str, Any]) -> str:
    unit = f", in {escape(measure['unit'])}" if measure["unit"] else ""
    way = "Higher is better" if measure["better"] == "higher" else "Lower is better"
    title = f"<bdi>{escape(measure['title'])}</bdi>. " if measure["title"] else ""
    return (
        f"<section><h2><bdi>{escape(measure['name'])}</bdi></h2>"
        f'<p class="muted small">{title}{way}{unit}.</p>'
        f"{''.join(_said(document, measure, pair) for pair in measure['pairs'])}"
        f"{_table(document, measure)}{_charts(document, measure)}{_cases(document, measure)}"
        "</section>"
    )


def digits(measure: Mapping[str, Any]) -> int:
    """Decimals of a score of the measure."""
    top = max((abs(v) for v in measure["means"] if v is not None), default=0.0)
    return 3 if top <= 1 else 2 if top < 100 else 1


def _signed(value: float, decimals: int) -> str:
    return f"{'+' if value > 0 else ''}{number(value, decimals)}"


def _said(document: Mapping[str, Any], measure: Mapping[str, Any], pair: Mapping[str, Any]) -> str:
    """The verdict on a pair in one sentence."""
    name, first = escape(pair["run"]), escape(document["runs"][0])
    higher = measure["better"] == "higher"
    better = (pair["difference"] > 0) == higher
    amount = number(abs(pair["difference"]), digits(measure) + 1)
    if pair["separable"]:
        what = f"is {'better' if better else 'worse'} than <bdi>{first}</bdi> by {amount}"
    else:
        what = f"cannot be told from <bdi>{first}</bdi>"
    return (
        f'<p class="verdict"><bdi>{name}</bdi> {what} (p {probability(pair["p"])}): better in '
        f"{pair['better']}, worse in {pair['worse']} of {plural(measure['n'], 'case')}.</p>"
    )


def _table(document: Mapping[str, Any], measure: Mapping[str, Any]) -> str:
    d, first = digits(measure), document["runs"][0]
    estimates = [_estimate(pair) for pair in measure["pairs"]]
    low, high = forest_range([*estimates, Estimate("", 0.0, 0.0, 0.0)])
    head = (
        '<thead><tr><th scope="col">Run</th><th scope="col">Mean</th>'
        '<th scope="col">Difference</th>'
        f'<th scope="col">{100 * document["level"]:g} % interval of it</th>'
        f'<th scope="col" class="figure">{forest_axis((low, high), "difference")}</th>'
        '<th scope="col">Adjusted p</th><th scope="col">Better in</th>'
        '<th scope="col">Missing, filled in</th></tr></thead>'
    )
    filled = measure["filled"]
    rows = (
        f'<tr><th scope="row"><bdi>{escape(first)}</bdi></th><td>{number(measure["means"][0], d)}'
        f"</td>{'<td></td>' * 2}<td class='figure'></td>{'<td></td>' * 2}<td>{filled[0]}</td></tr>"
    )
    for place, (pair, estimate) in enumerate(
        zip(measure["pairs"], estimates, strict=True), start=1
    ):
        interval = pair["interval"]
        ends = number(None)
        if interval is not None:
            ends = f"{_signed(interval['low'], d + 1)} to {_signed(interval['high'], d + 1)}"
        share = percent(pair["better"] / measure["n"]) if measure["n"] else number(None)
        rows += (
            f'<tr><th scope="row"><bdi>{escape(pair["run"])}</bdi></th>'
            f"<td>{number(measure['means'][place], d)}</td>"
            f"<td>{_signed(pair['difference'], d + 1)}</td><td>{ends}</td>"
            f'<td class="figure">{forest_line(estimate, axis=(low, high), guide=0.0)}</td>'
            f"<td>{probability(pair['p'])}</td><td>{share}</td><td>{filled[place]}</td></tr>"
        )
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _estimate(pair: Mapping[str, Any]) -> Estimate:
    ends = pair["interval"] or {}
    return Estimate(pair["run"], pair["difference"], ends.get("low"), ends.get("high"))


def _charts(document: Mapping[str, Any], measure: Mapping[str, Any]) -> str:
    drawn = []
    for pair in measure["pairs"]:
        ends = pair["interval"]
        drawn.append(
            f"<figure><h3><bdi>{escape(pair['run'])}</bdi> less "
            f"<bdi>{escape(document['runs'][0])}</bdi>, case by case</h3>"
            + difference_chart(
                np.array(pair["differences"], float),
                names=measure["cases"],
                higher=measure["better"] == "higher",
                interval=None if ends is None else (ends["low"], ends["high"]),
                title=f"Differences of {measure['name']}, {pair['run']}",
                y_title=f"difference{' in ' + measure['unit'] if measure['unit'] else ''}",
            )
            + "</figure>"
        )
    return f'<div class="grid wide">{"".join(drawn)}</div>'


def _cases(document: Mapping[str, Any], measure: Mapping[str, Any]) -> str:
    """The cases that lost most, by the last run, with all scores."""
    d, sign = digits(measure), 1 if measure["better"] == "higher" else -1
    last = measure["pairs"][-1]
    order = np.argsort(sign * np.array(last["differences"], float), kind="stable")[:_ROWS]
    heads = [
        "Case",
        *document["runs"],
        *(f"{p['run']} less {document['runs'][0]}" for p in measure["pairs"]),
    ]
    head = "".join(
        f'<th scope="col"><button type="button"><bdi>{escape(h)}</bdi></button></th>' for h in heads
    )
    rows = "".join(_case(measure, i, d, sign) for i in order.tolist())
    shown = "" if len(order) == measure["n"] else f", the {len(order)} that lost most"
    return (
        f"<details><summary>{plural(measure['n'], 'case')}{shown}</summary>"
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _case(measure: Mapping[str, Any], i: int, d: int, sign: int) -> str:
    cells = "".join(
        _score(row[i], bool(flags[i]), d)
        for row, flags in zip(measure["values"], measure["is_filled"], strict=True)
    )
    differences = [pair["differences"][i] for pair in measure["pairs"]]
    cells += "".join(
        f'<td data-value="{value}"{" class=loss" * (sign * value < 0)}>{_signed(value, d + 1)}</td>'
        for value in differences
    )
    return f'<tr><th scope="row"><bdi>{escape(measure["cases"][i])}</bdi></th>{cells}</tr>'


def _score(value: float, filled: bool, d: int) -> str:
    flag = ' <span class="flag" title="missing or undefined: filled in by the policy">*</span>'
    return f'<td data-value="{value}">{number(value, d)}{flag if filled else ""}</td>'
