"""Which pairs of models differ, by how much, and how many cases it would take to tell."""

from collections.abc import Mapping
from typing import Any

from segjax.report._text import escape, number, percent, plural, probability
from segjax.report.board._content import Board, Outcome, bdi, sorted_head
from segjax.report.charts.pairs import FEW, PRINTED, Cell, pair_matrix


_VERDICTS = {
    "max_t": "permutation of the models within each {unit}, and flips of the differences of each "
    "{unit}, the larger p of both; largest |t| of the family",
    "permutation": "permutation of the models within each {unit}, largest |t| of the family",
    "sign_flip": "exact or drawn sign flips of the differences, Holm",
    "wilcoxon": "Wilcoxon signed ranks, Holm",
}


def pairs(board: Board, outcome: Outcome) -> str:
    """The triangle of all pairs, and a table of them."""
    if not outcome.pairs:
        return ""
    order, known = outcome.order, outcome.pairs
    cells = [
        [_cell(board, outcome, known.get((order[j], order[i]))) for j in range(i)]
        for i in range(len(order))
    ]
    separable = sum(bool(p.get("separable")) for p in known.values())
    chart = pair_matrix(order, cells, f"Pairs of models by {outcome.name}")
    rule = _VERDICTS.get(str(board.options.get("verdict")))
    judged = (
        "Separable: the percentile interval of the difference, at Bonferroni&rsquo;s level within "
        "the measure, leaves out 0."
        if rule is None
        else f"p is adjusted for all pairs of all measures on this page "
        f"({rule.format(unit=escape(board.unit_word))}); separable: p at most {board.alpha:g}."
    )
    return (
        "<h3>Which models differ?</h3>"
        f"<p>{separable:,} of {plural(len(known), 'pair')} "
        f"{'is' if separable == 1 else 'are'} separable.</p>"
        '<p class="muted small">A cell compares the model above its column with the model to the '
        f"right of its row{_printed(outcome)}. "
        f"{judged}</p>"
        f'<ul class="legend small">{_swatches(known)}</ul>'
        f'<div class="scroll" data-hover="pairs">{chart}</div>'
        '<p class="muted small hint needs-script" role="status"></p>'
        f"{_table(board, outcome)}"
    )


def _printed(outcome: Outcome) -> str:
    """What the number in a cell is, where there is one."""
    if len(outcome.order) > PRINTED:
        return ""
    unit = f", in {escape(outcome.unit)}" if outcome.unit else ""
    return f"; its number is the former minus the latter{unit}"


def kind(pair: Mapping[str, Any]) -> str:
    """Whether a pair is separable, and in whose favour."""
    if not pair.get("separable"):
        return "open"
    return "second" if pair.get("better") == pair["b"] else "first"


def _swatches(known: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    words = {
        "first": "separable: the model that ranks higher is better",
        "second": "separable: the model that ranks lower is better",
        "open": "not separable",
    }
    kinds = {kind(p) for p in known.values()} | {"first", "open"}
    return "".join(
        f'<li><span class="swatch pair {k}"></span>{said}</li>'
        for k, said in words.items()
        if k in kinds
    )


def _cell(board: Board, outcome: Outcome, pair: Mapping[str, Any] | None) -> Cell | None:
    if pair is None:
        return None
    p = probability(pair.get("p"))
    difference = _signed(outcome, pair.get("difference"))
    verdict = f"separable, {pair['better']} is better" if pair.get("separable") else "not separable"
    words = (
        f"{pair['a']} minus {pair['b']}: {difference} "
        f"(simultaneous {board.level} interval {_interval(outcome, pair)}), "
        f"adjusted p {p}: {verdict}"
    )
    return Cell(kind(pair), (difference, f"p {p}"), words)


def _signed(outcome: Outcome, value: float | int | None) -> str:
    text = outcome.printed(value, 1)
    return f"+{text}" if value is not None and value > 0 else text


def _interval(outcome: Outcome, pair: Mapping[str, Any]) -> str:
    if pair.get("low") is None and pair.get("high") is None:
        return "none"
    return f"{outcome.printed(pair.get('low'), 1)} to {outcome.printed(pair.get('high'), 1)}"


def _table(board: Board, outcome: Outcome) -> str:
    small = len(outcome.order) <= FEW
    rows = "".join(_row(outcome, p) for p in outcome.pairs.values()) if small else ""
    made = "" if small else f' data-pairs="{board.outcomes.index(outcome)}"'
    lacking = (
        ""
        if small
        else "<noscript><p>The table of pairs is made by a script; the pairs are also in "
        "leaderboard.json.</p></noscript>"
    )
    units = "Cases needed" if board.unit_word == "case" else f"{board.unit_word} needed"
    heads = [
        ("A", "the model that ranks higher"),
        ("B", "the model that ranks lower"),
        ("A \N{MINUS SIGN} B", "difference of the estimates"),
        (f"{board.level} interval", "simultaneous: all pairs on the page hold at once"),
        ("Adjusted p", "over all pairs of all measures"),
        ("Better", "the better model, where the pair is separable"),
        ("Effect size", "mean difference over its standard deviation; positive: A is better"),
        ("Superiority", "share of cases in which A is better; ties count half"),
        (units, "for 80 % power at this difference"),
    ]
    return (
        f"<details{made}><summary>All {plural(len(outcome.pairs), 'pair')} in numbers</summary>"
        f'{lacking}<div class="scroll"><table class="sortable pairs-table"><thead><tr>'
        f"{sorted_head(heads)}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _row(outcome: Outcome, pair: Mapping[str, Any]) -> str:
    needed = pair.get("units_needed")
    cells = (
        _signed(outcome, pair.get("difference")),
        _interval(outcome, pair),
        probability(pair.get("p")),
        bdi(pair["better"]) if pair.get("separable") else '<span class="zero">open</span>',
        number(pair.get("effect"), 2),
        percent(pair.get("superiority")),
        f"{needed:,}" if needed is not None else '<span class="zero">&gt; 10⁶ or never</span>',
    )
    return (
        f'<tr><th scope="row">{bdi(pair["a"])}</th><td>{bdi(pair["b"])}</td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )
