"""Time segjax and its peers in turns, within one process, on the same data."""

import ctypes
import importlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np


Rows = list[dict[str, Any]]
COLUMNS = ("task", "segjax", "peer", "rounds", "segjax_cpu_ms", "peer_cpu_ms")
COLUMNS += ("ratio", "wall_ratio", "bar", "met")


@dataclass(frozen=True)
class Entry:
    """One way to do a task.

    Attributes:
        work: what is timed.
        scores: brings what `work` returned to the form in which entries are compared; NaN
            stands for what an entry does not compute.
        bar: how much of this peer's CPU time segjax may take at most.
        slow: takes part in fewer rounds.
        alike: means the same by its scores as segjax does, so that they are compared.
    """

    work: Callable[[], Any]
    scores: Callable[[Any], np.ndarray] = np.asarray
    bar: float | None = None
    slow: bool = False
    alike: bool = True


Build = Callable[[], Entry]  # brings the arrays to the peer's own type


def contest(
    task: str,
    ours: Mapping[str, Entry],
    peers: Mapping[str, Build],
    *,
    rounds: int,
    slow_rounds: int,
) -> Rows:
    """Let all take turns, and compare each of ours with each peer.

    Args:
        task: what is done.
        ours: entries of segjax, by name.
        peers: how to make those of others; one that is not installed is listed as absent.
        rounds: how often each has its turn.
        slow_rounds: how often those have that are slow.
    """
    entries, absent = dict(ours), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers, about themselves
        for name, build in peers.items():
            try:
                entries[name] = build()
            except ImportError:
                absent.append({"task": task, "peer": name, "absent": True})
        check_agreement(task, {name: e.scores(e.work()) for name, e in entries.items() if e.alike})
        times = take_turns(
            {name: e.work for name, e in entries.items()},
            {name: slow_rounds if e.slow else rounds for name, e in entries.items()},
        )
    rows = [
        compared(task, a, times[a], b, times[b], entry.bar)
        for b, entry in entries.items()
        if b not in ours
        for a in ours
    ]
    return rows + absent


def check_agreement(task: str, scores: Mapping[str, np.ndarray]) -> None:
    """Raise `AssertionError` unless all scores are those of the first, where they are not NaN."""
    for name, got in scores.items():
        expected = np.asarray(next(iter(scores.values())), float)
        there = ~np.isnan(np.asarray(got, float))
        if not there.any():
            raise AssertionError(f"{task}: {name} gives no score")
        wanted = np.where(there, expected, np.nan)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, err_msg=f"{task}: {name}")


def take_turns(
    works: Mapping[str, Callable[[], Any]],
    rounds: Mapping[str, int],
    calls: Mapping[str, int] | None = None,
) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall times of a call in seconds, by name, of as many rounds as each takes part in.

    All that take part in a round follow one another, in reversed order every other round, so
    that what disturbs the machine disturbs all.

    Args:
        works: what is timed.
        rounds: how many each takes part in.
        calls: how many make up a turn, whose mean is taken; one by default.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for i in range(max(rounds.values())):
        there = [name for name in works if i < rounds[name]]
        for name in reversed(there) if i % 2 else there:
            times[name].append(timed(works[name], 1 if calls is None else calls[name]))
    return times


def timed(work: Callable[[], Any], calls: int = 1) -> tuple[float, float]:
    """CPU and wall time of a call in seconds, the mean of several."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls - 1):
        work()
    result = work()
    taken = time.process_time() - cpu, time.perf_counter() - wall
    del result  # freeing the last is nobody's time
    return taken[0] / calls, taken[1] / calls


def compared(
    task: str,
    ours: str,
    our_times: Sequence[tuple[float, float]],
    peer: str,
    peer_times: Sequence[tuple[float, float]],
    bar: float | None,
) -> dict[str, Any]:
    """One row: times of both, and the median of their ratios."""
    rounds = list(zip(our_times, peer_times, strict=False))  # a slow peer has fewer
    ratio = median(a[0] / b[0] for a, b in rounds)
    return {
        "task": task,
        "segjax": ours,
        "peer": peer,
        "rounds": len(rounds),
        **spent("segjax", our_times),
        **spent("peer", peer_times),
        "ratio": round(ratio, 4),
        "wall_ratio": round(median(a[1] / b[1] for a, b in rounds), 4),
        "bar": bar,
        "met": None if bar is None else ratio <= bar,
    }


def spent(who: str, times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Median and least of both clocks, in milliseconds."""
    return {
        f"{who}_{clock}_ms{suffix}": round(1e3 * best([t[i] for t in times]), 3)
        for i, clock in enumerate(("cpu", "wall"))
        for suffix, best in (("", median), ("_min", min))
    }


def most_held(work: Callable[[], Any]) -> float | None:
    """Memory in MB that some work holds at most beside what was held before; None if unknown."""
    status, forget = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not forget.exists():
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # hands back what is free, so that it is seen to be taken again
    read = lambda key: next(
        int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if key in line
    )
    before = read("VmRSS")
    forget.write_text("5")  # the greatest size so far
    work()
    return read("VmHWM") - before


def torch_of_one_thread() -> Any:
    """PyTorch; raises `ImportError` where it is not installed."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)  # more threads cost more CPU time, and on a busy machine more of both
    return torch
