"""The table of a measure, with the intervals drawn beside the numbers."""

from collections.abc import Mapping
from typing import Any

from segjax.report._text import escape, number, percent, plural
from segjax.report.board._content import Board, Outcome, bdi, finite, listed, sorted_head
from segjax.report.board.tables import whole
from segjax.report.charts.forest import Estimate, forest_axis, forest_line, forest_range


def standings(board: Board, outcome: Outcome) -> str:
    """Rank, tier, estimate, interval and what else is known of each model."""
    if not outcome.rows:
        return "<p>No model has a score.</p>"
    lines = [_estimate(row) for row in outcome.rows]
    axis = forest_range(lines)
    about = {str(m["name"]): m for m in board.models}
    rows = "".join(
        _row(board, outcome, i, line, axis, about.get(str(outcome.rows[i]["model"]), {}))
        for i, line in enumerate(lines)
    )
    place = board.outcomes.index(outcome)
    return (
        '<div class="scroll"><table class="standings sortable"><thead><tr>'
        f"{sorted_head(_heads(board)[:3])}"
        f'<th scope="col" class="figure">{forest_axis(axis, f"axis of {outcome.name}")}</th>'
        f"{sorted_head(_heads(board)[3:])}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="controls needs-script save">'
        '<button type="button" data-save="board">Download all tables (CSV)</button>'
        f'<button type="button" data-copy="markdown" data-of="{place}">Copy Markdown</button>'
        f'<button type="button" data-copy="latex" data-of="{place}">Copy LaTeX</button>'
        '<span class="muted small" role="status"></span></p>'
        f"{_legend(board, outcome)}{_dropped(outcome)}"
    )


def _heads(board: Board) -> list[tuple[str, str]]:
    return [
        ("Rank", "by the estimate; equal estimates share their ranks"),
        ("Tier", "models of a tier are not separable from the first of it"),
        ("Model", ""),
        (board.statistic.capitalize(), "the estimate by which models are ranked"),
        (f"{board.level} interval", "below it, in grey: the percentile interval"),
        ("n", "cases behind the estimate"),
        ("P(rank 1)", "share of the resamples in which the model is first"),
        ("Mean rank", f"over the resamples; below it, where {board.level} of them lie"),
        ("Rank set", "ranks that the separable pairs leave open"),
        ("Failures", "cases beyond the threshold named below the table"),
    ]


def _estimate(row: Mapping[str, Any]) -> Estimate:
    interval = row.get("interval") or {}
    low, high = finite(interval.get("low")), finite(interval.get("high"))
    return Estimate(str(row["model"]), finite(row.get("estimate")), low, high)


def _row(
    board: Board,
    outcome: Outcome,
    i: int,
    line: Estimate,
    axis: tuple[float, float],
    about: Mapping[str, Any],
) -> str:
    row = outcome.rows[i]
    guide = finite(outcome.ranked[0].get("estimate")) if outcome.ranked else None
    chart = forest_line(line, axis=axis, guide=guide)
    weight = "strong" if row.get("tier") == 1 else "span"
    cells = (
        f"<{weight}>{outcome.printed(row.get('estimate'))}</{weight}>",
        _ends(outcome, row.get("interval"))
        + _under(_ends(outcome, row.get("percentile")) if row.get("percentile") else ""),
        f"{row.get('n') or 0:,}"
        + _under(f"{row['n_filled']:,} filled" if row.get("n_filled") else ""),
        percent(row.get("p_best")),
        number(row.get("mean_rank"), 2) + _under(_between(row, "rank_low", "rank_high")),
        _between(row, "set_low", "set_high") or number(None),
        _failures(row.get("failures")),
    )
    colour = board.colours.get(str(row["model"]))
    classes = " ".join(filter(None, (_tier(outcome, i), "excluded" if row.get("excluded") else "")))
    mark = f'<span class="mark m{colour}"></span>' if colour else ""
    details = _excluded(row, about) or escape(about.get("version") or "")
    return (
        f'<tr class="{classes}"><td>{whole(row.get("rank"))}</td>'
        f'<td class="tier">{whole(row.get("tier"))}</td>'
        f'<th scope="row">{mark}{bdi(row["model"])}{_under(details)}</th>'
        f'<td class="figure">{chart}</td>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )


def _tier(outcome: Outcome, i: int) -> str:
    """Where the row lies in the bracket of its tier."""
    tiers = [row.get("tier") for row in outcome.rows]
    if tiers[i] is None:
        return ""
    first = i == 0 or tiers[i - 1] != tiers[i]
    last = i == len(tiers) - 1 or tiers[i + 1] != tiers[i]
    best = " best" if tiers[i] == 1 else ""
    return f"tiered{best}{' first' if first else ''}{' last' if last else ''}"


def _excluded(row: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    if row.get("excluded") == "contaminated":
        seen = about.get("contaminated_on") or []
        return f"not ranked: trained on {listed(seen) if seen else 'these cases'}"
    if row.get("excluded") == "suspect":
        return "not ranked: suspect, its scores fail the check of plausibility"
    return f"not ranked: {escape(row['excluded'])}" if row.get("excluded") else ""


def _under(text: str) -> str:
    return f"<br><small>{text}</small>" if text else ""


def _ends(outcome: Outcome, interval: Mapping[str, Any] | None) -> str:
    if not interval:
        return '<span class="zero">none</span>'
    return f"{outcome.printed(interval.get('low'))} to {outcome.printed(interval.get('high'))}"


def _between(row: Mapping[str, Any], low: str, high: str) -> str:
    ends = [row.get(low), row.get(high)]
    if None in ends:
        return ""
    return whole(ends[0]) if ends[0] == ends[1] else f"{whole(ends[0])} to {whole(ends[1])}"


def _failures(failures: Mapping[str, Any] | None) -> str:
    if not failures:
        return number(None)
    count = f"{failures['n']:,} of {failures['of']:,}"
    shown = f'<span class="flag">{count}</span>' if failures["n"] else count
    return shown + _under(f"rate up to {percent(failures.get('upper'))}")


def _legend(board: Board, outcome: Outcome) -> str:
    methods = sorted(
        {str((r.get("interval") or {}).get("method") or "") for r in outcome.rows} - {""}
    )
    kind = f"{' and '.join(map(escape, methods))} " if methods else ""
    failed = next((r["failures"] for r in outcome.rows if r.get("failures")), None)
    words = [
        f"Circle: {escape(board.statistic)} over the cases; bar: its {kind}interval; thin line "
        "across: the leader.",
        "Bold: the first tier. Models of one tier (the bracket) are not separable from the first "
        "of it.",
        "Rank set: the ranks that the separable pairs leave open to a model.",
    ]
    if failed:
        limit = failed.get("below")
        worse = "" if limit is None else f", or scored {number(limit, 2)} or worse"
        words.append(
            f"Failures: cases that were missed{worse}; &ldquo;rate up to&rdquo; is the upper "
            f"{board.level} limit of the rate of failures, which no interval of a mean shows if "
            "the cases hold none."
        )
    if any(r.get("n_filled") for r in outcome.rows):
        words.append("Filled: scores that were missing and were given by the policy below.")
    return f'<p class="muted small">{" ".join(words)}</p>'


def _dropped(outcome: Outcome) -> str:
    dropped = outcome.result.get("dropped") or []
    if not dropped:
        return ""
    return (
        f'<p class="note">{plural(len(dropped), "case")} left out, for all models, because a '
        f"score is missing: {listed(dropped, 8)}.</p>"
    )
