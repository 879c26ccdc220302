"""Whether the intervals and verdicts can be believed."""

from collections.abc import Mapping
from typing import Any

from segjax.report._text import escape
from segjax.report.board._content import Board
from segjax.report.charts.coverage import Share, coverage_chart


_MOST = 40  # lines drawn


def calibration(board: Board) -> str:
    """Simulated coverage and false separations, or that there was no simulation."""
    found = board.document.get("calibration")
    if not found:
        return (
            "<section><h2>Can the intervals be believed?</h2><p>Not checked: this board was made "
            "without a simulation on its own scores. Run the command again with "
            "<code>--calibrate</code> to see how often its intervals hold what they promise.</p>"
            "</section>"
        )
    words = "".join(f"<li>{escape(w)}</li>" for w in found.get("words") or [])
    boards = f"{found['boards']:,} boards" if found.get("boards") else "boards"
    return (
        "<section><h2>Can the intervals be believed?</h2>"
        f'<p class="muted small">{boards} were simulated from the scores of this one, where the '
        "truth is known. Vertical line: what was promised; dot: what was found; bar: twice its "
        "simulation error. The dot is orange where the two differ by more than chance and more "
        f"than a percentage point.</p><ul>{words}</ul>{_coverage(found)}{_family(found)}</section>"
    )


def _coverage(found: Mapping[str, Any]) -> str:
    lines = [
        Share(
            ", ".join(filter(None, (c["method"], c.get("measure"), c.get("model")))),
            float(c["nominal"]),
            float(c["coverage"]),
            float(c.get("error") or 0.0),
        )
        for c in found.get("coverage") or []
        if None not in (c.get("coverage"), c.get("nominal"))
    ]
    if not lines:
        return ""
    cut = (
        f'<p class="muted small">The {_MOST} farthest from their promise, of {len(lines)}.</p>'
        if len(lines) > _MOST
        else ""
    )
    if cut:
        lines = sorted(lines, key=lambda s: -abs(s.found - s.nominal))[:_MOST]
    chart = coverage_chart(lines, "Coverage of intervals, promised and simulated")
    return f'<h3>Intervals that hold the truth</h3>{cut}<div class="scroll">{chart}</div>'


def _family(found: Mapping[str, Any]) -> str:
    family = found.get("family_wise")
    if not family or None in (family.get("found"), family.get("nominal")):
        return ""
    share = Share(
        "boards without a difference",
        float(family["nominal"]),
        float(family["found"]),
        float(family.get("error") or 0.0),
    )
    chart = coverage_chart([share], "Boards with a false separation, promised and simulated")
    return f'<h3>Boards that separate what does not differ</h3><div class="scroll">{chart}</div>'
