"""What does an honest leaderboard cost, next to NumPy, SciPy and segauge?

The same job for all: a percentile interval of every model's mean, ranks over the resamples, and
an interval of every pair's difference. segauge 0.2, which ranks, is not on PyPI: its intervals
are those of the segauge that is installed, its ranks are made resample by resample as it makes
them. Then what only segjax does: a slice from weights that were drawn before, a million
resamples, and a first board from a cold process (2 minutes on two CPU cores).

    python -m experiments.leaderboard_speed
    python -m experiments.leaderboard_speed --rounds 3 --million 0   # a quick look
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from segjax.benchmark import drawing
from segjax.benchmark.resamples import by_counts, peers, whole_board, whole_means
from segjax.benchmark.timing import COLUMNS, Entry, Rows, contest, most_held, timed
from segjax.leaderboard.intervals import Evidence, interval_ends, standard_errors
from segjax.leaderboard.ranking import average_ranks, rank_distribution
from segjax.leaderboard.resampling import (
    Plan,
    poisson_weights,
    reweighted,
)


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults make the published table."""

    small: tuple[int, ...] = (3, 20, 2_000)  # models, cases, resamples
    large: tuple[int, ...] = (20, 1_000, 10_000)
    million: tuple[int, ...] = (50, 1_000, 1_000_000)
    rounds: int = 7
    slow_rounds: int = 1
    cold: int = 3
    seed: int = 0


SMOKE = Config(
    small=(2, 6, 20), large=(2, 8, 30), million=(2, 8, 40), rounds=1, slow_rounds=1, cold=0
)


def run(config: Config) -> Rows:
    """One row per task and peer; then what has no peer."""
    rows: Rows = []
    for name in ("small", "large"):
        size = getattr(config, name)
        scores = drawing.scores(config.seed, *size[:2])
        whole_board(scores, size[2])  # compiles
        rows += contest(
            "{} models x {} cases x {:,}".format(*size),
            {"segjax": Entry(lambda s=scores, b=size[2]: whole_board(s, b), alike=False)},
            peers(scores, size[2], large=name == "large"),
            rounds=config.rounds,
            slow_rounds=config.slow_rounds,
        )
    rows += reslice(config)
    if config.million[0]:
        rows += million(config)
    if config.cold:
        rows += cold(config)
    return rows


def reslice(config: Config) -> Rows:
    """Means, intervals and ranks of a slice, from weights that are there."""
    models, cases, count = config.large
    scores = drawing.scores(config.seed, models, cases)
    weights = poisson_weights(jax.random.key(0), cases, count=count)
    rows: Rows = []
    for share in (1, 10):
        inside = np.arange(0, cases, share)
        few, own = weights[:, inside], scores[:, inside]
        plan = Plan(np.arange(inside.size), np.zeros(inside.size, int), np.full(inside.size, 1))

        def work(few: np.ndarray = few, own: np.ndarray = own, plan: Plan = plan) -> Any:
            studentized = own.shape[1] < cases
            found, errors = reweighted(few, own, errors=studentized)
            evidence = Evidence(
                estimates=own.mean(1),
                replicates=found,
                units=own.shape[1],
                errors=standard_errors(plan, own),
                replicate_errors=errors,
            )
            method = "studentized" if studentized else "percentile"
            return interval_ends(evidence, method), average_ranks(found).mean(0)

        work()
        times = [timed(work) for _ in range(config.rounds)]
        cpu, wall = (1e3 * float(np.median(each)) for each in zip(*times, strict=True))
        task = f"re-slice to {inside.size} of {cases} cases, {models} models x {count:,}"
        rows.append(
            {
                "task": task,
                "cpu_ms": round(cpu, 1),
                "wall_ms": round(wall, 1),
                "bar_ms": 50.0,
                "met": cpu <= 50,
            }
        )
    return rows


def million(config: Config) -> Rows:
    """A million resamples, in memory that is bounded."""
    models, cases, count = config.million
    scores = drawing.scores(config.seed, models, cases)
    spent: dict[str, float] = {}

    def work() -> None:
        cpu, wall = timed(lambda: ranks(scores, whole_means(scores, count)))
        spent.update(cpu_ms=round(1e3 * cpu, 1), wall_ms=round(1e3 * wall, 1))

    held = most_held(work)
    if not spent:
        work()
    cpu, _ = timed(lambda: ranks(scores, by_counts(scores, count)))
    task = f"{models} models x {cases} cases x {count:,}, intervals and ranks"
    peak = None if held is None else round(held)
    return [{"task": task, **spent, "numpy_cpu_ms": round(1e3 * cpu, 1), "peak_mb": peak}]


def ranks(scores: np.ndarray, means: np.ndarray) -> Any:
    """Intervals and ranks."""
    evidence = Evidence(estimates=scores.mean(1), replicates=means, units=scores.shape[1])
    return interval_ends(evidence, "percentile"), rank_distribution(means, evidence.estimates)


def cold(config: Config) -> Rows:
    """`segjax leaderboard` as a new process, its programs in the cache on disk."""
    models, cases, _ = config.small
    scores = drawing.scores(config.seed, models, cases)
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        lines = ["model,case,dice"]
        lines += [
            f"m{i},c{j},{s!r}" for i, row in enumerate(scores.tolist()) for j, s in enumerate(row)
        ]
        path.write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "segjax", "leaderboard", str(path), "-o", f"{folder}/out"]
        times = []
        for _ in range(config.cold + 1):  # the first fills the cache
            before, start = os.times(), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            after = os.times()
            cpu = after.children_user + after.children_system
            cpu -= before.children_user + before.children_system
            times.append((cpu, time.perf_counter() - start))
        held = json.loads((Path(folder) / "out" / "leaderboard.json").read_text())
        assert held["options"]["replicates"] == 100_000
        cpu, wall = (float(np.median(each)) for each in zip(*times[1:], strict=True))
        rows.append(
            {
                "task": f"segjax leaderboard, cold, {models} x {cases} x 100,000, all files",
                "cpu_ms": round(1e3 * cpu, 1),
                "wall_ms": round(1e3 * wall, 1),
                "bar_ms": 3000.0,
                "met": cpu <= 3,
            }
        )
    return rows


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show_contest(rows, COLUMNS), end="")
    packages = ("scipy", "segauge")
    seconds = time.perf_counter() - start
    print(_record.save("leaderboard_speed", config, rows, seconds, packages=packages))
