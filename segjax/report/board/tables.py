"""The tables of a board as CSV, Markdown and LaTeX."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segjax.report._text import clean, number, percent
from segjax.report.board._content import Board, Outcome
from segjax.table import csv_text


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_FIELDS = (
    *("measure", "better", "unit", "model", "version", "rank", "tier", "excluded"),
    *("n", "n_filled", "estimate", "low", "high", "method", "percentile_low", "percentile_high"),
    *("mean", "median", "sd", "min", "max", "failures", "failures_of", "failure_rate_upper"),
    *("p_best", "mean_rank", "rank_low", "rank_high", "set_low", "set_high"),
)
_MARKDOWN = (
    {c: f"\\{c}" for c in "\\`*_[]|~$!#"}
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    | {"@": "&#64;"}
)
_LATEX = (
    {c: f"\\{c}" for c in "{}$&#%_"}
    | {c: f"{{{c}}}" for c in "[]*"}  # after a line break, these would belong to it
    | {
        "\\": "\\textbackslash{}",
        "^": "\\textasciicircum{}",
        "~": "\\textasciitilde{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "|": "\\textbar{}",
        '"': "\\symbol{34}",
        "'": "\\symbol{39}",
        "`": "\\symbol{96}",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "\N{INFINITY}": "$\\infty$",
    }
)


def to_csv(document: Mapping[str, Any]) -> str:
    """The standings as comma-separated values: one row per measure and model.

    Numbers have 12 significant digits; what is undefined is empty. Text that a
    spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        document: a board.
    """
    board = Board(document)
    versions = {m["name"]: m.get("version") for m in board.models}
    rows = (
        [_cell(value) for value in _values(outcome, row, versions)]
        for outcome in board.outcomes
        for row in outcome.rows
    )
    return csv_text(_FIELDS, rows)


def _values(outcome: Outcome, row: Mapping[str, Any], versions: Mapping[str, Any]) -> Iterator[Any]:
    interval, percentile, failures = (
        row.get(key) or {} for key in ("interval", "percentile", "failures")
    )
    apart = {
        "measure": outcome.name,
        "better": outcome.measure.get("better"),
        "unit": outcome.unit,
        "version": versions.get(row["model"]),
        "low": interval.get("low"),
        "high": interval.get("high"),
        "method": interval.get("method"),
        "percentile_low": percentile.get("low"),
        "percentile_high": percentile.get("high"),
        "failures": failures.get("n"),
        "failures_of": failures.get("of"),
        "failure_rate_upper": failures.get("upper"),
    }
    return (apart[field] if field in apart else row.get(field) for field in _FIELDS)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.12g}"
    if value is None or isinstance(value, int):
        return value
    return plain_cell(str(value))


def plain_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Example:
        >>> plain_cell("=1+1"), plain_cell("-5"), plain_cell("nnU-Net")
        ("'=1+1", '-5', 'nnU-Net')
    """
    text = clean(text)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def to_markdown(document: Mapping[str, Any]) -> str:
    """The standings as Markdown, one table per measure; the first tier is in bold.

    Args:
        document: a board.
    """
    board = Board(document)
    return "\n".join(markdown_table(board, outcome) for outcome in board.outcomes)


def to_latex(document: Mapping[str, Any]) -> str:
    r"""The standings as LaTeX, one `tabular` per measure; the first tier is in bold.

    Needs `\usepackage{booktabs}`, and UTF-8 where names are not ASCII.

    Args:
        document: a board.
    """
    board = Board(document)
    return "\n".join(latex_table(board, outcome) for outcome in board.outcomes)


def markdown_table(board: Board, outcome: Outcome) -> str:
    """One measure as Markdown."""
    title = _escaped(_title(outcome), _MARKDOWN)
    lines = [
        f"**{title}**",
        "",
        _line([_escaped(h, _MARKDOWN) for h in _heads(board)]),
        "|---:|---:|:---|---:|---:|---:|---:|",
    ]
    for row in outcome.rows:
        cells = [_escaped(c, _MARKDOWN) for c in _cells(outcome, row)]
        lines.append(_line([f"**{c}**" if _first(row, i) else c for i, c in enumerate(cells)]))
    return "\n".join(lines) + "\n"


def latex_table(board: Board, outcome: Outcome) -> str:
    """One measure as LaTeX."""
    heads = " & ".join(_escaped(h, _LATEX) for h in _heads(board))
    lines = [
        r"\begin{tabular}{rrlrrrr}",
        r"\toprule",
        rf"\multicolumn{{7}}{{l}}{{{_escaped(_title(outcome), _LATEX)}}} \\",
        r"\midrule",
        rf"{heads} \\",
        r"\midrule",
    ]
    for row in outcome.rows:
        cells = [_escaped(c, _LATEX) for c in _cells(outcome, row)]
        bold = [rf"\textbf{{{c}}}" if _first(row, i) else c for i, c in enumerate(cells)]
        lines.append(rf"{' & '.join(bold)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _title(outcome: Outcome) -> str:
    unit = f" in {outcome.unit}" if outcome.unit else ""
    return f"{outcome.name}{unit} ({'higher' if outcome.higher else 'lower'} is better)"


def _heads(board: Board) -> list[str]:
    interval = f"{board.level} interval"
    return ["Rank", "Tier", "Model", board.statistic.capitalize(), interval, "n", "P(rank 1)"]


def _first(row: Mapping[str, Any], column: int) -> bool:
    """Whether a cell is bold: name and estimate of what is not separable from the best."""
    return row.get("tier") == 1 and column in (2, 3)


def _cells(outcome: Outcome, row: Mapping[str, Any]) -> list[str]:
    interval, filled = row.get("interval"), row.get("n_filled") or 0
    ends = [outcome.printed(interval.get(k)) for k in ("low", "high")] if interval else []
    excluded = f" ({row['excluded']})" if row.get("excluded") else ""
    return [
        whole(row.get("rank")),
        whole(row.get("tier")),
        f"{row['model']}{excluded}",
        outcome.printed(row.get("estimate")),
        " to ".join(ends) or number(None),
        f"{row.get('n') or 0:,}" + (f" ({filled:,} filled)" if filled else ""),
        percent(row.get("p_best")),
    ]


def whole(value: float | int | None) -> str:
    """A rank: a half only where there is one.

    Example:
        >>> whole(2.0), whole(1.5), whole(None)
        ('2', '1.5', '–')
    """
    return number(None) if value is None else f"{value:g}"


def _escaped(text: str, table: Mapping[str, str]) -> str:
    """Text in one line, every character that means something replaced."""
    found = "".join(table.get(c, c) for c in " ".join(clean(text).split()))
    if table is not _MARKDOWN:
        return found
    return found.replace("://", "&#58;//").replace("www.", "www&#46;")
