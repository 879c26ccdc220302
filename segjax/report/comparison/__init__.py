"""The page of a comparison of runs."""

from segjax.report.comparison.page import render_comparison as render_comparison
