"""A board as CSV, Markdown or LaTeX.

The page offers the same tables to a reader, so they are written where it is.
"""

from segjax.report.board.tables import to_csv, to_latex, to_markdown


__all__ = ["to_csv", "to_latex", "to_markdown"]
