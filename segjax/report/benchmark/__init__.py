"""The page of a benchmark."""

from segjax.report.benchmark.page import render_benchmark as render_benchmark
