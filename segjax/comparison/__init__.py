"""Runs side by side: of the same cases, pair by pair; of several data sets, class by class."""

from segjax.comparison.cases import compare_cases as compare_cases
from segjax.comparison.datasets import compare_datasets as compare_datasets
from segjax.comparison.runs import Run as Run, read_runs as read_runs, share_cases as share_cases
from segjax.comparison.writing import to_csv as to_csv, write as write
