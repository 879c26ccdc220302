"""The page of a benchmark."""

from segjax.report.benchmark.page import render_benchmark as render_benchmark
from segjax.report.benchmark.rows import (
    OURS as OURS,
    clock_of as clock_of,
    quicker as quicker,
    quickest as quickest,
)
