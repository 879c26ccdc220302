"""How the models do in subgroups of the cases."""

from collections.abc import Mapping, Sequence
from typing import Any

from segjax.report._text import escape, plural, probability
from segjax.report.board._content import Board, Outcome, bdi, finite, listed
from segjax.report.charts.forest import Estimate, forest_chart, forest_range


_MODELS = 8  # drawn in a group


def slices(board: Board, outcome: Outcome) -> str:
    """A small forest per group of each column."""
    own = [s for s in board.document.get("slices") or [] if s.get("measure") == outcome.name]
    parts = "".join(_column(board, outcome, s) for s in own)
    if not parts:
        return ""
    fewest = board.options.get("minimum_n")
    less = f" Groups of fewer than {fewest} cases are grey: too few to say." if fewest else ""
    first = f" The first {_MODELS} models are drawn." if len(outcome.order) > _MODELS else ""
    return (
        "<h3>Where does it differ?</h3>"
        f'<p class="muted small">Estimates within a group, with {board.level} intervals.{less}'
        f"{first} All groups of a column share the axis.</p>{parts}"
    )


def _column(board: Board, outcome: Outcome, found: Mapping[str, Any]) -> str:
    groups = [g for g in found.get("groups") or [] if g.get("models")]
    if not groups:
        return ""
    drawn = [_estimates(outcome, g) for g in groups]
    axis = forest_range([e for estimates in drawn for e in estimates])
    figures = "".join(
        _figure(outcome, found, g, estimates, axis)
        for g, estimates in zip(groups, drawn, strict=True)
    )
    return (
        f"<h4>By <bdi>{escape(found['column'])}</bdi></h4>"
        f'<p>{_tests(board, found)}</p><div class="grid groups">{figures}</div>'
    )


def _estimates(outcome: Outcome, group: Mapping[str, Any]) -> list[Estimate]:
    known = {str(m["model"]): m for m in group["models"]}
    return [
        Estimate(name, *(finite(known[name].get(k)) for k in ("estimate", "low", "high")))
        for name in outcome.order[:_MODELS]
        if name in known
    ]


def _figure(
    outcome: Outcome,
    found: Mapping[str, Any],
    group: Mapping[str, Any],
    estimates: Sequence[Estimate],
    axis: tuple[float, float],
) -> str:
    shown = bool(group.get("shown", True))
    title = f"{outcome.name} where {found['column']} is {group['value']}"
    few = "" if shown else ', too few</span><span class="sr"> to say'
    return (
        f"<figure{'' if shown else ' class=few'}><p><strong>{bdi(group['value'])}</strong> "
        f'<span class="muted small">{plural(int(group.get("n") or 0), "case")}{few}</span></p>'
        f"{forest_chart(estimates, axis=axis, title=title)}</figure>"
    )


def _tests(board: Board, found: Mapping[str, Any]) -> str:
    """The tests between groups, in words."""
    tests = found.get("tests") or []
    column = bdi(found["column"])
    if not tests:
        return "The groups were not compared."
    differ = [t for t in tests if t.get("differs")]
    if not differ:
        return (
            f"For no model was a difference between the values of {column} found "
            f"(adjusted p above {board.alpha:g})."
        )
    said = ", ".join(
        f"{bdi(t['model'])} (adjusted p {escape(probability(t.get('p')))})" for t in differ[:6]
    )
    more = f" and {len(differ) - 6} others" if len(differ) > 6 else ""
    left = [str(t["model"]) for t in tests if not t.get("differs")]
    rest = f"; not for {listed(left)}" if left else ""
    return f"Scores differ between the values of {column} for {said}{more}{rest}."
