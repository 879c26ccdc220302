"""The page of a leaderboard: from the plain document of a board to one HTML file.

`render_board` writes the page; `to_csv`, `to_markdown` and `to_latex` write its tables. None of
them computes a statistic, and none knows where the document comes from.
"""

from segjax.report.board.page import render_board
from segjax.report.board.tables import to_csv, to_latex, to_markdown
from segjax.report.board.verdict import spoken_verdicts


__all__ = ["render_board", "spoken_verdicts", "to_csv", "to_latex", "to_markdown"]
