"""Whether the order is stable."""

from collections.abc import Mapping
from typing import Any

from segjax.report._text import number, plural
from segjax.report.board._content import Board, Outcome, bdi, listed
from segjax.report.charts.heatmap import FEW, rank_heatmap


_RARE = " Shares below 10 % have no number, below 1 % no colour."


def ranking(board: Board, outcome: Outcome) -> str:
    """The heat map of ranks, and what single cases do to the order."""
    found = outcome.result.get("ranking") or {}
    names = list(found.get("models") or [])
    if len(names) < 2 or not found.get("probability"):
        return ""
    probability = [[float(p or 0.0) for p in row] for row in found["probability"]]
    chart = rank_heatmap(
        names, probability, f"Share of resamples by model and rank, {outcome.name}"
    )
    return (
        "<h3>Is the order stable?</h3>"
        '<p class="muted small">Per cent of the resamples in which a model (row) takes a rank '
        "(column). P(rank 1) says how stable the order is, not how probable it is that a model "
        "is the best one: of few cases, a wrong order can be stable too."
        f"{_RARE if len(names) > FEW else ''}</p>"
        f'<div class="scroll">{chart}</div>{_robust(board, outcome, found)}'
    )


def _robust(board: Board, outcome: Outcome, found: Mapping[str, Any]) -> str:
    lines = [
        _tau(board, found.get("tau")),
        _left_out(board, outcome, found.get("leave_one_out")),
        _upset(board, found),
    ]
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines if line)}</ul>"


def _tau(board: Board, tau: Mapping[str, Any] | None) -> str:
    if not tau or tau.get("mean") is None:
        return ""
    ends = (
        f"; {board.level} of the resamples lie between {number(tau['low'], 2)} and "
        f"{number(tau['high'], 2)}"
        if tau.get("low") is not None
        else ""
    )
    return (
        "Agreement of a resample&rsquo;s order with this one (Kendall&rsquo;s tau; 1 is the same "
        f"order, 0 none): {number(tau['mean'], 2)} on the average{ends}."
    )


def _left_out(board: Board, outcome: Outcome, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    total = int(outcome.result.get("units") or outcome.n)
    one = board.unit_word
    say = lambda ids, what: (
        f"{what} for {len(ids):,} of {plural(total, one)} ({listed(ids)})"
        if ids
        else f"{what} for none of {plural(total, one)}"
    )
    winner, order = found.get("winner") or [], found.get("order") or []
    return (
        f"Leaving out a single {one} changes {say(winner, 'the winner')}, "
        f"and {say(order, 'the order')}."
    )


def _upset(board: Board, found: Mapping[str, Any]) -> str:
    if "upset" not in found:
        return ""
    upset = found["upset"]
    if not upset:
        return "No set of cases was found whose removal changes the winner."
    return (
        f"The smallest set of cases found whose removal changes the winner has "
        f"{plural(len(upset['cases']), 'case')} ({listed(upset['cases'])}); then "
        f"{bdi(upset['winner'])} leads."
    )
