"""What does an honest leaderboard cost, next to NumPy, SciPy and segauge?

The same job for all: a percentile interval of every model's mean, ranks over the resamples, and
an interval of every pair's difference. segauge 0.2, which ranks, is not on PyPI: its intervals
are those of the segauge that is installed, its ranks are made resample by resample as it makes
them. Then what only segjax does: a slice from weights that were drawn before, a million
resamples, and a first board from a cold process (2 minutes on two CPU cores).

    python -m experiments.leaderboard_speed
    python -m experiments.leaderboard_speed --rounds 3 --million 0   # a quick look
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy.stats

from experiments._contest import COLUMNS, Build, Entry, Rows, contest, most_held, timed
from segjax.leaderboard.intervals import Evidence, interval_ends, standard_errors
from segjax.leaderboard.ranking import average_ranks, rank_distribution
from segjax.leaderboard.resampling import (
    Plan,
    make_plan,
    poisson_weights,
    replicates,
    reweighted,
)
from segjax.leaderboard.separability import bonferroni_percentile


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
        scores = draw(config.seed, *size[:2])
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


def draw(seed: int, models: int, cases: int) -> np.ndarray:
    """Scores of models that have their difficult cases in common."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(18, 2, cases) + rng.normal(0, 0.03, (models, cases)), 0, 1)


def whole_board(scores: np.ndarray, count: int) -> tuple[Any, ...]:
    """Intervals, ranks and pairs, from resamples that all share."""
    return judged(scores, whole_means(scores, count))


def whole_means(scores: np.ndarray, count: int) -> np.ndarray:
    """Means of resamples."""
    return replicates(jax.random.key(0), make_plan(scores.shape[1]), scores, count=count)[0]


def judged(scores: np.ndarray, means: np.ndarray) -> tuple[Any, ...]:
    """What is said of the means of resamples."""
    evidence = Evidence(estimates=scores.mean(1), replicates=means, units=scores.shape[1])
    ends = interval_ends(evidence, "percentile")
    return ends, rank_distribution(means, evidence.estimates), bonferroni_percentile(means)


def peers(scores: np.ndarray, count: int, *, large: bool) -> Mapping[str, Build]:
    """Others that do the same, or the intervals of it."""
    return {
        "numpy, counts x scores": lambda: Entry(
            lambda: judged(scores, by_counts(scores, count)),
            bar=1.0 if large else None,
            alike=False,
        ),
        "scipy.stats.bootstrap (intervals alone)": lambda: Entry(
            lambda: by_scipy(scores, count), alike=False, slow=large
        ),
        "segauge": lambda: segauge(scores, count, large=large),
    }


def by_counts(scores: np.ndarray, count: int) -> np.ndarray:
    """Means of resamples as a NumPy user would write them, at their quickest."""
    rng, n = np.random.default_rng(0), scores.shape[1]
    means, block = [], max(1, 2**20 // n)
    for start in range(0, count, block):
        size = min(block, count - start)
        cells = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(cells.reshape(-1), minlength=size * n).reshape(size, n)
        means.append(counts @ scores.T / n)
    return np.concatenate(means)


def by_scipy(scores: np.ndarray, count: int) -> Any:
    """All models in one call, so that it can share the resamples."""
    return scipy.stats.bootstrap(
        (scores,), np.mean, axis=1, n_resamples=count, method="percentile", batch=100, rng=0
    )


def segauge(scores: np.ndarray, count: int, *, large: bool) -> Entry:
    """The board of segauge-benchmark: an interval per model and pair, ranks in a loop."""
    bootstrap_ci = importlib.import_module("segauge.stats").bootstrap_ci

    def work() -> Any:
        intervals = [bootstrap_ci(row, n_resamples=count) for row in scores]
        rng, n = np.random.default_rng(0), scores.shape[1]
        ranks = np.empty((count, len(scores)))
        for i in range(count):
            ranks[i] = scipy.stats.rankdata(-scores[:, rng.integers(0, n, n)].mean(1))
        level = 1 - 0.05 / (len(scores) * (len(scores) - 1) / 2)
        pairs = [
            bootstrap_ci(a - b, n_resamples=count, confidence=level)
            for i, a in enumerate(scores)
            for b in scores[i + 1 :]
        ]
        return intervals, np.quantile(ranks, [0.025, 0.975], axis=0), pairs

    return Entry(work, bar=0.02 if large else None, alike=False, slow=large)


def reslice(config: Config) -> Rows:
    """Means, intervals and ranks of a slice, from weights that are there."""
    models, cases, count = config.large
    scores = draw(config.seed, models, cases)
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
    scores = draw(config.seed, models, cases)
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
    scores = draw(config.seed, models, cases)
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
