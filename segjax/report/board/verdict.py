"""What a measure says, in a sentence or two."""

import html
import re
from collections.abc import Mapping
from typing import Any

from segjax.report._text import escape, plural
from segjax.report.board._content import Board, Outcome, bdi, listed


def verdict(board: Board, outcome: Outcome) -> str:
    """Who leads, from whom that can be told, and what as many cases cannot tell."""
    ranked = outcome.ranked
    if not ranked:
        return "No model is ranked."
    first = min(float(r["rank"]) for r in ranked)
    leaders = [str(r["model"]) for r in ranked if float(r["rank"]) == first]
    unit = f" {escape(outcome.unit)}" if outcome.unit else ""
    value = f"{outcome.printed(ranked[0].get('estimate'))}{unit}"
    if len(ranked) == 1:
        return f"{bdi(leaders[0], 'strong')} is the only ranked model, with {value}."
    lead = (
        f"{bdi(leaders[0], 'strong')} leads with {value}"
        if len(leaders) == 1
        else f"{listed(leaders)} share the first place with {value}"
    )
    return f"{lead}{_apart(outcome, leaders)}{_limit(board, outcome)}"


def _apart(outcome: Outcome, leaders: list[str]) -> str:
    others = [name for name in outcome.order if name not in leaders]
    if not outcome.pairs or not others:
        return "."
    open_ = [name for name in others if not all(_beats(outcome, x, name) for x in leaders)]
    it = "it is" if len(leaders) == 1 else "they are"
    if not open_:
        return f"; {it} separable from {_all(others)}."
    if len(open_) == len(others):
        return f"; {it} not separable from {_any(others)}."
    rest = [name for name in others if name not in open_]
    return f"; {it} separable from {listed(rest)}, and not from {listed(open_)}."


def _beats(outcome: Outcome, a: str, b: str) -> bool:
    pair = outcome.pairs.get((a, b)) or {}
    return bool(pair.get("separable")) and pair.get("better") == a


def _all(others: list[str]) -> str:
    return listed(others) if len(others) <= 2 else f"all {len(others)} others"


def _any(others: list[str]) -> str:
    return listed(others) if len(others) <= 2 else f"any of the {len(others)} others"


def _limit(board: Board, outcome: Outcome) -> str:
    gap = outcome.gap_now
    if gap is None or all(p.get("separable") for p in outcome.pairs.values()):
        return ""
    units = int(outcome.result.get("units") or outcome.n)
    kind = "case" if units == outcome.n else board.unit_word
    unit = f" {escape(outcome.unit)}" if outcome.unit else ""
    return (
        f" {escape(plural(units, kind))} cannot be counted on to separate differences below "
        f"{outcome.printed(gap)}{unit} (80 % power)."
    )


def spoken_verdicts(document: Mapping[str, Any]) -> dict[str, str]:
    """By measure, what the page says of it, as plain text."""
    board = Board(document)
    return {
        outcome.name: html.unescape(re.sub("<[^>]*>", "", verdict(board, outcome)))
        for outcome in board.outcomes
    }
