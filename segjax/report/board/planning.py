"""Whether there are enough cases."""

from segjax.report._text import plural
from segjax.report.board._content import Board, Outcome, finite
from segjax.report.charts.gap import gap_chart


def planning(board: Board, outcome: Outcome) -> str:
    """The curve of the smallest difference that can be found."""
    curve = [(float(n), float(d)) for n, d in outcome.result.get("gap") or [] if d is not None]
    if not curve:
        return ""
    units = int(outcome.result.get("units") or outcome.n)
    gap, word = outcome.gap_now, board.unit_word
    unit = f", {outcome.unit}" if outcome.unit else ""
    chart = gap_chart(
        curve,
        now=None if gap is None else (float(units), gap),
        observed=_observed(outcome),
        x_title=f"independent units (each a {word})" if word != "case" else "cases",
        y_title=f"difference in {outcome.name}{unit}",
        title=f"Smallest difference found, by number of cases, {outcome.name}",
    )
    return (
        "<h3>Are there enough cases?</h3>"
        '<p class="muted small">The smallest difference between two models that is found in 80 % '
        "of boards of that many cases, for a pair whose differences vary as much as in the median "
        f"pair here. The dot is this board, with {plural(units, word)}; the broken line is the "
        f'difference between its first two models.</p><div class="scroll">{chart}</div>'
    )


def _observed(outcome: Outcome) -> tuple[float, str] | None:
    if len(outcome.order) < 2:
        return None
    pair = outcome.pairs.get((outcome.order[0], outcome.order[1])) or {}
    difference = finite(pair.get("difference"))
    if not difference:
        return None
    return abs(difference), f"first and second differ by {outcome.printed(abs(difference), 1)}"
