"""Calibration: do intervals hold the truth, and verdicts their error, as often as they promise?

Coverage: data sets of n cases are drawn from populations whose means are known by formula, and
it is counted how many nominal 95 % intervals hold the mean; `width` is relative to that of the
percentile interval. Populations are mild where |skew| < 1.3, moderate below 2.5 and else heavy;
bounded scores have their intervals clipped, as on a board. Data sets of a block share their
resamples, each block has its own.

Clusters: cases of one centre have something in common, of the share `icc` of the variance.

Family-wise error: boards on which no model differs (the scores of a case can be exchanged), and
boards on which one is far worse and the others are equal, whose pairs alone count. What is
counted are boards on which a verdict separates any pair. `error` is everywhere the standard
error of the simulation.

    python -m experiments.bootstrap_study
    python -m experiments.bootstrap_study --sets 500 --boards 100 --many-boards 50   # a quick look
"""

import math
import multiprocessing
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import scipy.stats
from jaxtyping import PRNGKeyArray

from segjax.leaderboard.calibration import false_alarms
from segjax.leaderboard.intervals import METHODS, default_method, gather_evidence, interval_ends
from segjax.leaderboard.resampling import Plan, make_plan
from segjax.leaderboard.separability import guarded_max_t, holm, max_t, pairs, sign_flip
from segjax.report._text import escape
from segjax.report.charts._axes import Scale, svg, ticks, x_axis
from segjax.report.theme import LIGHT


PARTS = ("coverage", "clusters", "null", "partial null")


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    parts: tuple[str, ...] = PARTS
    cases: tuple[int, ...] = (5, 7, 10, 20, 50, 100)  # of a data set
    sets: int = 10_000  # data sets
    block: int = 250  # of them share resamples
    replicates: int = 2000
    models: tuple[int, ...] = (3, 20)
    board_cases: tuple[int, ...] = (10, 20, 50, 100)
    boards: int = 2000
    many_boards: int = 2000  # of more than ten models
    slow_boards: int = 100  # of more than ten, for verdicts that go pair by pair
    permutations: int = 499
    processes: int = 2
    seed: int = 0


SMOKE = Config(
    cases=(5, 20),
    sets=40,
    block=20,
    replicates=100,
    models=(3,),
    board_cases=(10,),
    boards=4,
    many_boards=4,
    slow_boards=4,
    permutations=99,
    processes=1,
)
LEVEL = 0.95
Rows = list[dict[str, Any]]


def run(config: Config) -> Rows:
    """One row per population, n and method; per board and verdict; and per bar."""
    return list(found(config))


def found(config: Config) -> Iterator[dict[str, Any]]:
    """The rows of `run`, as they come."""
    cells = [cell for part in config.parts for cell in _PARTS[part](config)]
    rows: Rows = []
    for some in _computed(cells, config.processes):
        rows += some
        yield from some
    yield from _bars(rows)


def _computed(cells: Sequence[Callable[[], Rows]], processes: int) -> Iterator[Rows]:
    if processes == 1:
        yield from map(_call, cells)
        return
    spawn = multiprocessing.get_context("spawn")  # JAX has threads, which do not survive a fork
    with ProcessPoolExecutor(processes, spawn) as pool:
        yield from pool.map(_call, cells)


def _call(cell: Callable[[], Rows]) -> Rows:
    return cell()


def _streams(config: Config, *cell: Any) -> tuple[np.random.Generator, PRNGKeyArray]:
    """A cell's own random numbers, whichever others are asked for."""
    seed = config.seed, zlib.crc32(repr(cell).encode())
    return np.random.default_rng(seed), jax.random.fold_in(jax.random.key(seed[0]), seed[1])


def _share(held: int, of: int) -> dict[str, float]:
    share = held / of
    return {"found": round(share, 5), "error": round(math.sqrt(share * (1 - share) / of), 5)}


# Intervals.


@dataclass(frozen=True)
class Population:
    """A mixture of distributions, and the least and greatest score there can be."""

    parts: tuple[tuple[float, Any], ...]
    bounds: tuple[float | None, float | None] = (None, None)

    @property
    def mean(self) -> float:
        return self._moment(1)

    @property
    def skew(self) -> float:
        one, two, three = map(self._moment, (1, 2, 3))
        return (three - 3 * one * two + 2 * one**3) / (two - one**2) ** 1.5

    @property
    def kind(self) -> str:
        skew = abs(self.skew)
        return "mild" if skew < 1.3 else "moderate" if skew < 2.5 else "heavy"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        part = rng.choice(len(self.parts), shape, p=[weight for weight, _ in self.parts])
        drawn = [one.rvs(size=shape, random_state=rng) for _, one in self.parts]
        return np.choose(part, drawn)

    def _moment(self, order: int) -> float:
        return sum(weight * float(one.moment(order)) for weight, one in self.parts)


_beta, _normal = scipy.stats.beta, scipy.stats.norm
_MISS = scipy.stats.rv_discrete(values=([0], [1]))
POPULATIONS: Mapping[str, Population] = {
    "normal": Population(((1, _normal(0, 1)),)),
    "Dice, Beta(18, 2)": Population(((1, _beta(18, 2)),), (0.0, 1.0)),
    "Dice, Beta(9, 1)": Population(((1, _beta(9, 1)),), (0.0, 1.0)),
    # As skew as the median of the organs and models of a public CT benchmark.
    "Dice, hard cases": Population(((0.7, _beta(27, 2.5)), (0.3, _beta(12, 3))), (0.0, 1.0)),
    "ASSD, lognormal": Population(((1, scipy.stats.lognorm(0.5, scale=1)),), (0.0, None)),
    # As skew as a kidney model that does badly on a few cases.
    "Dice, bad cases": Population(((0.905, _beta(45, 4)), (0.095, _beta(6, 4))), (0.0, 1.0)),
    "Dice, 5 % misses": Population(((0.95, _beta(40, 3)), (0.05, _MISS)), (0.0, 1.0)),
    "HD95, lognormal": Population(((1, scipy.stats.lognorm(0.81, scale=6)),), (0.0, None)),
    "difference, 5 % misses": Population(
        ((0.95, _normal(0, 0.03)), (0.05, _beta(1, 1.5))), (-1.0, 1.0)
    ),
}


def _coverage(config: Config) -> list[Callable[[], Rows]]:
    return [partial(_cover, config, name, n) for name in POPULATIONS for n in config.cases]


def _cover(config: Config, name: str, n: int) -> Rows:
    population, plan = POPULATIONS[name], make_plan(n)
    rng, key = _streams(config, "coverage", name, n)
    draw = lambda sets: population.draw(rng, (sets, n))
    about = {
        "part": "coverage",
        "population": name,
        "class": population.kind,
        "skew": round(population.skew, 2),
        "n": n,
    }
    truth, bounds = population.mean, population.bounds
    return [about | row for row in _count(config, key, plan, draw, tuple(METHODS), truth, bounds)]


CENTRES = ((4, 25, 0.1), (8, 12, 0.3), (20, 5, 0.1))  # centres, cases of each, ICC


def _clusters(config: Config) -> list[Callable[[], Rows]]:
    return [partial(_cover_clusters, config, *centres) for centres in CENTRES]


def _cover_clusters(config: Config, centres: int, cases: int, icc: float) -> Rows:
    rng, key = _streams(config, "clusters", centres, cases, icc)

    def draw(sets: int) -> np.ndarray:
        shared = rng.normal(0, math.sqrt(icc), (sets, centres, 1))
        own = rng.normal(0, math.sqrt(1 - icc), (sets, centres, cases))
        return (shared + own).reshape(sets, -1)

    iid = make_plan(centres * cases)
    plan = make_plan(centres * cases, clusters=np.repeat(np.arange(centres), cases))
    about = {"part": "clusters", "centres": centres, "cases": cases, "icc": icc}
    rows = []
    for drawn, chosen, methods in (
        ("cases", iid, ("percentile",)),
        ("centres", plan, ("percentile", "studentized", "t")),
    ):
        counted = _count(config, key, chosen, draw, methods, truth=0.0, bounds=(None, None))
        rows += [about | {"drawn": drawn} | row for row in counted]
    return rows


def _count(
    config: Config,
    key: PRNGKeyArray,
    plan: Plan,
    draw: Callable[[int], np.ndarray],
    methods: Sequence[str],
    truth: float,
    bounds: tuple[float | None, float | None],
) -> Rows:
    """How many intervals of each method hold the truth, and how wide they are."""
    held, width = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0.0)
    for start in range(0, config.sets, config.block):
        scores = draw(min(config.block, config.sets - start))
        evidence = gather_evidence(
            jax.random.fold_in(key, start),
            plan,
            scores,
            count=config.replicates,
            left_out="bca" in methods,
        )
        for method in methods:
            low, high = interval_ends(evidence, method, level=LEVEL, bounds=bounds)
            held[method] += int(((low <= truth) & (truth <= high)).sum())
            width[method] += float((high - low).sum())
    return [
        {
            "method": method,
            "default": method == default_method(plan),
            **_share(held[method], config.sets),
            "width": round(width[method] / width["percentile"], 3),
        }
        for method in methods
    ]


# Verdicts.


def _mild(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Dice of easy and less easy cases, and a noise of each model's own; reflected at 1."""
    boards, _, cases = shape
    return 1 - np.abs(1 - rng.beta(18, 2, (boards, 1, cases)) + rng.normal(0, 0.02, shape))


def _moderate(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Dice of which models miss the more, and the less alike, the harder the case is."""
    boards, _, cases = shape
    return 1 - np.clip((1 - rng.beta(9, 1, (boards, 1, cases))) * rng.gamma(4, 1 / 4, shape), 0, 1)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """HD95 as lognormal as that population above, two thirds of it due to the case."""
    boards, _, cases = shape
    case, own = rng.normal(size=(boards, 1, cases)), rng.normal(size=shape)
    return -6 * np.exp(0.81 * (math.sqrt(2 / 3) * case + math.sqrt(1 / 3) * own))


SCORES: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "mild": _mild,
    "moderate": _moderate,
    "heavy": _heavy,
}
VERDICTS = ("max_t", "permutation", "sign_flip", "wilcoxon", "bonferroni", "none")
SLOW = ("wilcoxon", "bonferroni", "none")
WORSE = 0.5  # how far below the others the worst model is


def _null(config: Config) -> list[Callable[[], Rows]]:
    sizes = [(models, n) for models in config.models for n in config.board_cases]
    return [partial(_alarms, config, name, *size) for name in SCORES for size in sizes]


def _alarms(config: Config, name: str, models: int, cases: int) -> Rows:
    rng, key = _streams(config, "null", name, models, cases)
    scores = SCORES[name](rng, (_boards(config, models), models, cases))
    rows = []
    for verdict in VERDICTS:
        some = scores[: config.slow_boards] if verdict in SLOW and models > 10 else scores
        # At as many times the level as there are pairs, Bonferroni corrects nothing.
        uncorrected = verdict == "none"
        alarms = false_alarms(
            key,
            [some],
            verdict="bonferroni" if uncorrected else verdict,
            alpha=(1 - LEVEL) * (math.comb(models, 2) if uncorrected else 1),
            permutations=_permutations(config, verdict, models),
            count=config.replicates,
        )
        rows.append(_alarm("null", name, models, cases, verdict, alarms))
    return rows


def _partial_null(config: Config) -> list[Callable[[], Rows]]:
    sizes = [(models, n) for models in config.models for n in config.board_cases]
    return [partial(_partial_alarms, config, name, *size) for name in SCORES for size in sizes]


def _partial_alarms(config: Config, name: str, models: int, cases: int) -> Rows:
    """As `_alarms`, with the last model worse by half of the mean score."""
    rng, key = _streams(config, "partial null", name, models, cases)
    scores = SCORES[name](rng, (_boards(config, models), models, cases))
    scores[:, -1] -= WORSE * np.abs(scores).mean()
    equal = pairs(models)[1] < models - 1
    p = {
        "max_t": guarded_max_t(key, [scores], permutations=config.permutations).p,
        "permutation": max_t(key, [scores], permutations=config.permutations).p,
        "sign_flip": sign_flip(
            key, [scores], permutations=_permutations(config, "sign_flip", models)
        ),
    }
    p["sign_flip"] = np.stack([holm(one) for one in p["sign_flip"]])
    return [
        _alarm("partial null", name, models, cases, verdict, (q <= 1 - LEVEL)[:, 0, equal].any(1))
        for verdict, q in p.items()
    ]


def _boards(config: Config, models: int) -> int:
    return config.many_boards if models > 10 else config.boards


def _permutations(config: Config, verdict: str, models: int) -> int:
    """Flips are so many that the least p-value can pass the first step of `holm`."""
    least = 50 * math.comb(models, 2) - 1 if verdict == "sign_flip" else 0
    return max(config.permutations, least)


def _alarm(
    part: str, name: str, models: int, cases: int, verdict: str, alarms: np.ndarray
) -> dict[str, Any]:
    about = {"part": part, "scores": name, "models": models, "n": cases, "verdict": verdict}
    return about | {"boards": alarms.size, **_share(int(alarms.sum()), alarms.size)}


_PARTS: Mapping[str, Callable[[Config], list[Callable[[], Rows]]]] = dict(
    zip(PARTS, (_coverage, _clusters, _null, _partial_null), strict=True)
)


# What must hold.


def _bars(rows: Rows) -> Rows:
    """What the defaults have to reach; no more than simulation explains may be missing."""
    bars = []
    for n, least in ((20, 0.94), (50, 0.945)):
        usual = [r for r in rows if r["part"] == "coverage" and r["n"] == n and r["default"]]
        usual = [row for row in usual if row["class"] != "heavy"]
        bars += _bar(f"coverage of the default at n = {n}, mild and moderate", usual, least)
    clusters = [r for r in rows if r["part"] == "clusters" and r["default"]]
    clusters = [r for r in clusters if r["drawn"] == "centres" and r["centres"] == 8]
    bars += _bar("coverage of the default with 8 centres, ICC 0.3", clusters, 0.93)
    null = [r for r in rows if r["part"] == "null" and r["verdict"] == "max_t"]
    for models in dict.fromkeys(row["models"] for row in null):
        some = [row for row in null if row["models"] == models]
        bars += _bar(f"family-wise error of max_t, {models} models", some, most=0.055)
    beside = [r for r in rows if r["part"] == "partial null" and r["verdict"] == "max_t"]
    bars += _bar("error of max_t beside one far worse model", beside, most=0.055)
    return bars


def _bar(bar: str, rows: Rows, least: float = 0.0, most: float = 1.0) -> Rows:
    """On the mean of rows; none if there is no row."""
    if not rows:
        return []
    mean = sum(row["found"] for row in rows) / len(rows)
    error = math.sqrt(sum(row["error"] ** 2 for row in rows)) / len(rows)
    ends = sorted(row["found"] for row in rows)
    line = {"part": "bar", "bar": bar, "found": round(mean, 5), "error": round(error, 5)}
    line |= {"least": ends[0], "most": ends[-1], "target": least or most}
    return [line | {"met": least <= mean <= most}]


# The figure.


def figure(rows: Rows) -> str:
    """Coverage and family-wise error against n, one line per method, as SVG."""
    coverage = [row for row in rows if row["part"] == "coverage"]
    panels = []
    for heavy, title in (
        (False, "Coverage of 95 % intervals, mild and moderate skew"),
        (True, "Coverage of 95 % intervals, heavy skew"),
    ):
        some = [row for row in coverage if (row["class"] == "heavy") == heavy]
        if some:
            panels.append((title, _lines(some, "method"), LEVEL))
    null = [row for row in rows if row["part"] == "null"]
    for models in dict.fromkeys(row["models"] for row in null):
        some = [row for row in null if row["models"] == models]
        title = f"False verdicts among {models} models that do not differ"
        panels.append((title, _lines(some, "verdict"), 1 - LEVEL))
    body = ""
    for i, (title, lines, target) in enumerate(panels):
        place = f"translate({i % 2 * _PANEL[0]:g},{i // 2 * _PANEL[1]:g})"
        body += f'<g transform="{place}">{_panel(title, lines, target)}</g>'
    width, height = 2 * _PANEL[0], -(-len(panels) // 2) * _PANEL[1]
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{LIGHT["paper"]}" stroke="none"/>'
    style = f"<style>{_STYLE}</style>"
    title = "Coverage of intervals and family-wise error of verdicts against the number of cases"
    return svg("study", width, height, title, style + paper + body) + "\n"


_PANEL, _LEFT, _TOP, _PLOT = (500.0, 270.0), 150.0, 42.0, (300.0, 176.0)
_STANDS_OUT = {"studentized": "ours", "max_t": "ours", "percentile": "usual", "bonferroni": "usual"}
_STYLE = (
    f"text{{font:11px system-ui,'Segoe UI',Roboto,Arial,sans-serif;fill:{LIGHT['muted']};"
    f"stroke:none}}.title{{font-size:13px;font-weight:600;fill:{LIGHT['ink']}}}"
    f".axis,.tick{{stroke:{LIGHT['muted']}}}.grid{{stroke:{LIGHT['line']}}}"
    f".target{{stroke:{LIGHT['ink']};stroke-dasharray:4 3}}"
    f".line{{stroke:{LIGHT['muted']};stroke-width:1.2}}.knots{{fill:{LIGHT['muted']};stroke:none}}"
    f".ours .line{{stroke:{LIGHT['accent']};stroke-width:2.4}}"
    f".ours .knots,.ours text{{fill:{LIGHT['accent']}}}.ours text{{font-weight:600}}"
    f".usual .line{{stroke:{LIGHT['alert']};stroke-width:1.8}}"
    f".usual .knots,.usual text{{fill:{LIGHT['alert']}}}"
)
Lines = dict[str, dict[int, float]]


def _lines(rows: Rows, by: str) -> Lines:
    """Means over the populations, per method and n."""
    found: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        found.setdefault(row[by], {}).setdefault(row["n"], []).append(100 * row["found"])
    return {name: {n: sum(x) / len(x) for n, x in line.items()} for name, line in found.items()}


def _panel(title: str, lines: Lines, target: float) -> str:
    """One chart; names stand on the left, where lines are farthest apart."""
    sizes = sorted({n for line in lines.values() for n in line})
    shown = [y for line in lines.values() for y in line.values()] + [100 * target]
    low, high = (0.0 if target < 0.5 else min(shown) - 1), max(shown) + 1
    x = Scale(float(sizes[0]), float(sizes[-1]), _LEFT, _LEFT + _PLOT[0], log=True)
    y = Scale(low, high, _TOP + _PLOT[1], _TOP)
    body = f'<text class="title" x="12" y="20">{escape(title)}</text>'
    for at in ticks(low, high, 6):
        body += f'<path class="grid" d="M{x.start:g},{y(at)}H{x.stop:g}"/>'
        body += f'<text x="{x.stop + 8:g}" y="{y(at) + 4:g}">{at:g} %</text>'
    body += f'<path class="target" d="M{x.start:g},{y(100 * target)}H{x.stop:g}"/>'
    starts = {name: y(line[sizes[0]]) for name, line in lines.items()}
    labels = _apart(starts, _TOP + 4, _TOP + _PLOT[1])
    for name in sorted(lines, key=lambda name: _STANDS_OUT.get(name, "") == "ours"):
        knots = [(x(float(n)), y(value)) for n, value in sorted(lines[name].items())]
        line = "L".join(f"{a},{b}" for a, b in knots)
        dots = "".join(f'<circle cx="{a}" cy="{b}" r="2.5"/>' for a, b in knots)
        leader = f"M{x.start - 5:g},{starts[name]}L{x.start - 17:g},{labels[name]:g}"
        body += (
            f'<g class="{_STANDS_OUT.get(name, "other")}">'
            f'<path class="line" d="M{line}"/><g class="knots">{dots}</g>'
            f'<path class="grid" d="{leader}"/>'
            f'<text x="{x.start - 20:g}" y="{labels[name] + 4:g}" text-anchor="end">'
            f"{escape(_named(name))}</text></g>"
        )
    floor = _TOP + _PLOT[1] + 4
    body += x_axis(x, floor, [float(n) for n in sizes])
    return body + f'<text x="{x.start - 20:g}" y="{floor + 15:g}" text-anchor="end">cases</text>'


def _named(name: str) -> str:
    return "uncorrected intervals" if name == "none" else name.replace("_", " ")


def _apart(ends: Mapping[str, float], top: float, bottom: float, gap: float = 14) -> dict:
    """Heights of labels, in the order of their lines, moved so that they do not overlap."""
    names = sorted(ends, key=lambda name: ends[name])
    heights: list[float] = []
    for name in names:
        heights.append(max(ends[name], heights[-1] + gap if heights else top))
    limit = bottom
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], limit)
        limit = heights[i] - gap
    return dict(zip(names, heights, strict=True))


def _wide(rows: Rows, keys: Sequence[str], across: str) -> Rows:
    """One row per `keys`, what was found as one column per value of `across`."""
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        line = table.setdefault(tuple(row[k] for k in keys), {k: row[k] for k in keys})
        line[str(row[across])] = 100 * row["found"]
    return list(table.values())


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows: Rows = []
    saved = start
    for row in found(config):
        rows.append(row)
        if time.perf_counter() - saved > 20:  # what is there is not lost if this is ended early
            saved = time.perf_counter()
            _record.save("bootstrap_study", config, rows, saved - start)
    of = lambda part: [row for row in rows if row["part"] == part]
    keys = ("population", "class", "skew", "n")
    print(_record.show(_wide(of("coverage"), keys, "method"), (*keys, *METHODS)), end="\n\n")
    columns = ("centres", "cases", "icc", "drawn", "method", "default", "found", "error")
    print(_record.show(of("clusters"), columns), end="\n\n")
    keys = ("part", "scores", "models", "n")
    verdicts = _wide(of("null") + of("partial null"), keys, "verdict")
    print(_record.show(verdicts, (*keys, *VERDICTS)), end="\n\n")
    print(_record.show(of("bar"), ("bar", "found", "error", "least", "most", "target", "met")))
    print(_record.save("bootstrap_study", config, rows, time.perf_counter() - start))
    (_record.RESULTS / "bootstrap_study.svg").write_text(figure(rows))
