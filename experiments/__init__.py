"""Experiments: one file, one claim, one command; results are kept in `results/`."""
