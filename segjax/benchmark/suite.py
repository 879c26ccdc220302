"""Run workloads size by size, all taking turns, and say how the cost grows."""

import gc
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segjax._compiling import counting_compilations
from segjax._errors import InputError
from segjax.benchmark.timing import (
    Build,
    Entry,
    Rows,
    check_agreement,
    most_held,
    take_turns,
    timed,
)
from segjax.benchmark.workloads import WORKLOADS, Workload, n_log_n
from segjax.report.benchmark import OURS


_TURN = 0.01  # seconds of a turn at least: what takes less is called several times
_SHORT = 0.05  # seconds of a call that is tried again before it is said how often it is called
_TAIL = 3  # of the sizes, to which a power is fitted: smaller ones cost what a call costs


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may be varied.

    Attributes:
        workloads: names of those that run; empty for all.
        quick: small sizes, for a look.
        rounds: most turns of each at each size.
        seconds: about how long each may take at each size; slow ones have fewer turns.
        limit: a peer is left out where a call would take longer than these seconds.
        memory: ... or would hold more than these bytes.
        peers: whether others take part.
        seed: of what is drawn.
    """

    workloads: Sequence[str] = ()
    quick: bool = False
    rounds: int = 15
    seconds: float = 1.0
    limit: float = 10.0
    memory: int = 6 * 2**30
    peers: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        known = [w.name for w in WORKLOADS]
        for name in self.workloads:
            if name not in known:
                raise InputError(f"no workload {name!r}; there are {', '.join(known)}")


_Left = dict[str, str]  # peers that take no part any more, and why
Progress = Callable[[str, int], None]


def run(options: Options, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """Rows of all workloads, as they are measured: one per workload, size and tool.

    A peer that is left out has the reason in place of times: it is not installed, fails, gives
    other scores than segjax, or would take too long or hold too much.
    """
    for workload in WORKLOADS:
        if options.workloads and workload.name not in options.workloads:
            continue
        left: _Left = {}
        sizes = workload.quick if options.quick else workload.sizes
        for size, larger in zip(sizes, (*sizes[1:], None), strict=True):
            if progress is not None:
                progress(workload.name, size)
            rows = _measure(workload, size, options, left)
            yield from rows
            if larger is not None:
                growth = workload.elements(larger) / workload.elements(size)
                # Of objects, many make tables of all pairs.
                _leave_out(left, rows, growth if workload.grows else growth**2, options)
            gc.collect()


def _measure(workload: Workload, size: int, options: Options, left: _Left) -> Rows:
    drawn = workload.draw(options.seed, size)
    ours = workload.ours(*drawn)
    with counting_compilations() as compiled:
        wall = timed(ours.work)[1]
    entries = {OURS: ours}
    about = {"workload": workload.name, "size": size, "elements": workload.elements(size)}
    for name, build in workload.peers(*drawn).items() if options.peers else ():
        entry = None if name in left else _built(name, build, left)
        if entry is not None:
            entries[name] = entry
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers, about themselves
        walls = _tried(f"{workload.name} {size}", entries, left)
        rounds = {
            name: max(
                1 if w > options.seconds else 3, min(options.rounds, int(options.seconds / w))
            )
            for name, w in walls.items()
        }
        calls = {name: max(1, int(_TURN / walls[name])) for name in entries}
        times = take_turns({name: e.work for name, e in entries.items()}, rounds, calls)
        held = {name: most_held(e.work) for name, e in entries.items()}
    rows = [
        about | {"tool": name} | _spent(times[name], times[OURS]) | _megabytes(held[name])
        for name in entries
    ]
    rows[0]["input_bytes"] = sum(x.nbytes for x in drawn if isinstance(x, np.ndarray))
    rows[0] |= {"first_call_s": round(wall, 3), "compiled": compiled["programs"]}
    rows[0] |= {"compile_s": round(compiled["seconds"], 3), "from_cache": compiled["from_cache"]}
    return rows + [about | {"tool": name, "left_out": why} for name, why in left.items()]


def _built(name: str, build: Build, left: _Left) -> Entry | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return build()
    except ImportError:
        left[name] = "not installed"
    except Exception as error:  # of others, which is no reason to lose what was measured
        left[name] = _failed(error)
    return None


def _failed(error: Exception) -> str:
    return f"fails: {type(error).__name__}: {error}".split("\n")[0]


def _tried(task: str, entries: dict[str, Entry], left: _Left) -> dict[str, float]:
    """Seconds of a call of each that says the same as segjax; others are taken out."""
    walls: dict[str, float] = {}
    said: dict[str, np.ndarray] = {}
    for name, entry in list(entries.items()):
        begun = time.perf_counter()
        try:
            result = entry.work()
            walls[name] = time.perf_counter() - begun
            if walls[name] < _SHORT:  # of which the first call is mostly a cold cache
                walls[name] = min(timed(entry.work)[1] for _ in range(3))
            if entry.alike:
                said[name] = entry.scores(result)
                check_agreement(task, {k: said[k] for k in (OURS, name) if k in said})
        except AssertionError:
            left[name] = "gives other scores"
        except Exception as error:
            if name == OURS:
                raise
            left[name] = _failed(error)
        if name in left:
            del entries[name]
            walls.pop(name, None)
        result = None  # not held while the next one works
    return {name: max(wall, 1e-6) for name, wall in walls.items()}


def _spent(times: Sequence[tuple[float, float]], ours: Sequence[tuple[float, float]]) -> dict:
    """Medians and quartiles of both clocks, in milliseconds, and of the ratios of rounds."""
    row: dict[str, Any] = {"rounds": len(times)}
    for i, clock in enumerate(("cpu", "wall")):
        row[f"{clock}_ms"] = _median([1e3 * t[i] for t in times])
        row[f"{clock}_ms_quartiles"] = _quartiles([1e3 * t[i] for t in times])
        ratios = [a[i] / b[i] for a, b in zip(ours, times, strict=False) if b[i]]
        if ratios and times is not ours:
            row[f"{clock}_ratio"] = _median(ratios)
            row[f"{clock}_ratio_quartiles"] = _quartiles(ratios)
    return row


def _median(values: Sequence[float]) -> float:
    return float(f"{np.median(values):.4g}")


def _quartiles(values: Sequence[float]) -> list[float]:
    return [float(f"{q:.4g}") for q in np.quantile(values, (0.25, 0.75))]


def _megabytes(held: float | None) -> dict[str, float]:
    return {} if held is None else {"peak_mb": round(held, 1)}


def _leave_out(left: _Left, rows: Rows, growth: float, options: Options) -> None:
    """Peers that would take too long at the next size, or hold too much."""
    for row in rows:
        if row["tool"] == OURS or "wall_ms" not in row:
            continue
        seconds = growth * row["wall_ms"] / 1e3
        held = growth * row.get("peak_mb", 0) * 2**20
        if seconds > options.limit:
            left[row["tool"]] = f"a call would take some {seconds:.0f} s"
        elif held > options.memory:
            left[row["tool"]] = f"a call would hold some {held / 2**30:.0f} GiB"


def growths(rows: Rows) -> Rows:
    """By which power of N the cost of segjax grows, over the largest sizes of each workload.

    Returns:
        Per workload that grows: "exponent" of CPU time, "exponent_wall", the sizes "from" and
        "to" it was fitted over, and "n_log_n", the power of N log N between those.
    """
    found = []
    for workload in WORKLOADS:
        own = [r for r in rows if r["workload"] == workload.name and r["tool"] == OURS]
        tail = own[-_TAIL:]
        if not workload.grows or len(tail) < 2:
            continue
        n = [r["elements"] for r in tail]
        slope = lambda clock, tail=tail, n=n: round(
            float(np.polyfit(np.log(n), np.log([max(r[clock], 1e-3) for r in tail]), 1)[0]), 2
        )
        found.append(
            {
                "workload": workload.name,
                "from": tail[0]["size"],
                "to": tail[-1]["size"],
                "exponent": slope("cpu_ms"),
                "exponent_wall": slope("wall_ms"),
                "n_log_n": round(n_log_n(n[0], n[-1]), 2),
            }
        )
    return found
