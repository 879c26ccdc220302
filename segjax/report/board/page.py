"""The page of a board, in the order a reader asks questions."""

from collections.abc import Mapping
from typing import Any

from segjax.report._shell import date, facts, html_page
from segjax.report._text import escape
from segjax.report.board._content import Board, Outcome
from segjax.report.board.calibration import calibration
from segjax.report.board.cases import cases
from segjax.report.board.pairs import pairs
from segjax.report.board.planning import planning
from segjax.report.board.ranking import ranking
from segjax.report.board.schemes import schemes
from segjax.report.board.script import SCRIPT
from segjax.report.board.slices import slices
from segjax.report.board.stamp import notes, stamp
from segjax.report.board.standings import standings
from segjax.report.board.style import STYLE
from segjax.report.board.verdict import verdict
from segjax.report.theme import css


_OF_A_MEASURE = (standings, ranking, pairs, planning, slices)
_OF_THE_BOARD = (cases, schemes, calibration, notes, stamp)


def render_board(document: Mapping[str, Any]) -> str:
    """Write the page of a board.

    Charts of models are SVG in the page. Scores of cases are data, drawn by the script: as
    numbers of five digits where they are few, else packed in two bytes each, so that 50 models,
    1,000 cases and 4 measures stay below a megabyte.

    Args:
        document: what `leaderboard.json` holds; what it lacks is left out.

    Returns:
        HTML that opens without a network; every text from outside is inert.
    """
    board = Board(document)
    measures = "".join(_measure(board, outcome) for outcome in board.outcomes)
    body = (
        _header(board)
        + _verdicts(board)
        + _chooser(board)
        + measures
        + "".join(part(board) for part in _OF_THE_BOARD)
    )
    title = f"{_title(board)}: leaderboard"
    return html_page(title, body, style=css() + STYLE, script=SCRIPT)


def _title(board: Board) -> str:
    dataset = board.document.get("dataset") or {}
    return str(board.document.get("title") or dataset.get("name") or "Segmentation")


def _header(board: Board) -> str:
    dataset = board.document.get("dataset") or {}
    ranked = sum(bool(m.get("ranked", True)) for m in board.models)
    apart = len(board.models) - ranked
    plan = board.options.get("plan") or {}
    several = str(plan.get("kind") or "iid").startswith("clusters")
    known = {
        "Data set": dataset.get("name"),
        "Cases": f"{len(board.document.get('cases') or []):,}",
        str(plan.get("column")).capitalize(): f"{plan.get('units') or 0:,}" if several else None,
        "Models": f"{len(board.models):,}" + (f", {apart} of them not ranked" if apart else ""),
        "Measures": f"{len(board.outcomes):,}",
        "Date": date(board.document.get("created")),
    }
    return (
        '<header><p class="eyebrow">Segmentation leaderboard</p>'
        f"<h1><bdi>{escape(_title(board))}</bdi></h1>"
        f"{facts({name: value for name, value in known.items() if value})}</header>"
    )


def _verdicts(board: Board) -> str:
    lines = "".join(
        f"<div><dt><bdi>{escape(o.name)}</bdi></dt><dd>{verdict(board, o)}</dd></div>"
        for o in board.outcomes
    )
    return f'<dl class="verdicts">{lines}</dl>' if lines else "<p>This board has no measure.</p>"


def _chooser(board: Board) -> str:
    if len(board.outcomes) < 2:
        return ""
    options = "".join(
        f'<option value="{i}">{escape(o.name)}</option>' for i, o in enumerate(board.outcomes)
    )
    return (
        '<p class="controls needs-script chooser"><label>Measure '
        f'<select class="measure-choice">{options}</select></label></p>'
    )


def _measure(board: Board, outcome: Outcome) -> str:
    title = outcome.measure.get("title")
    about = [
        f"<bdi>{escape(title)}</bdi>" if title else "",
        "Higher is better" if outcome.higher else "Lower is better",
        f"in {escape(outcome.unit)}" if outcome.unit else "",
    ]
    words = ". ".join(filter(None, (about[0], ", ".join(filter(None, about[1:])))))
    place = board.outcomes.index(outcome)
    return (
        f'<div data-measure="{place}"><section><h2><bdi>{escape(outcome.name)}</bdi></h2>'
        f'<p class="muted">{words}.</p>{"".join(part(board, outcome) for part in _OF_A_MEASURE)}'
        "</section></div>"
    )
