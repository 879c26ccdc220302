"""A board document as its sections read it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from segjax.report._text import escape, number


@dataclass(frozen=True)
class Outcome:
    """One measure and its results."""

    measure: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.measure.get("name") or self.result.get("measure") or "")

    @property
    def higher(self) -> bool:
        return self.measure.get("better") != "lower"

    @property
    def unit(self) -> str:
        return str(self.measure.get("unit") or "")

    @property
    def n(self) -> int:
        return int(self.result.get("n") or 0)

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        return list(self.result.get("table") or [])

    @cached_property
    def ranked(self) -> list[Mapping[str, Any]]:
        """Rows of the models that have a rank, best first."""
        return [r for r in self.rows if r.get("rank") is not None and not r.get("excluded")]

    @cached_property
    def order(self) -> list[str]:
        return [str(r["model"]) for r in self.ranked]

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Pairs of ranked models, the better rank first, in the order of ranks."""
        place = {name: i for i, name in enumerate(self.order)}
        known = [p for p in self.result.get("pairs") or [] if {p["a"], p["b"]} <= set(place)]
        ordered = sorted(known, key=lambda p: (place[p["a"]], place[p["b"]]))
        return {(p["a"], p["b"]): p for p in ordered if place[p["a"]] < place[p["b"]]}

    @cached_property
    def digits(self) -> int:
        """Decimals of an estimate: two significant digits of its uncertainty, or more.

        There are at least three of what lies between 0 and 1, and two of what is below 100.
        """
        estimates = [abs(x) for r in self.rows if (x := finite(r.get("estimate"))) is not None]
        halves = [h for r in self.ranked if (h := _half(r.get("interval"))) is not None]
        top = max(estimates, default=0.0)
        plain = 3 if top <= 1 else 2 if top < 100 else 1 if top < 10_000 else 0
        if not halves:
            return plain
        return min(5, max(plain, 1 - math.floor(math.log10(float(np.median(halves))))))

    def printed(self, value: float | int | None, more: int = 0) -> str:
        """A score as this page prints it, with `more` decimals."""
        return number(value, self.digits + more)

    @property
    def gap_now(self) -> float | None:
        """The smallest difference that as many cases as there are can be expected to find."""
        units = self.result.get("units") or self.n
        curve = [(n, d) for n, d in self.result.get("gap") or [] if d and n > 0]
        if not curve or not curve[0][0] <= units <= curve[-1][0]:
            return None
        sizes, gaps = np.log(np.array(curve, float)).T
        return float(np.exp(np.interp(math.log(units), sizes, gaps)))


def finite(value: Any) -> float | None:
    """The number, unless there is none or it is infinite."""
    return None if value is None or not math.isfinite(value) else float(value)


def _half(interval: Mapping[str, Any] | None) -> float | None:
    ends = [finite((interval or {}).get(k)) for k in ("low", "high")]
    if ends[0] is None or ends[1] is None or ends[1] <= ends[0]:
        return None
    return (ends[1] - ends[0]) / 2


@dataclass(frozen=True)
class Board:
    """A whole document."""

    document: Mapping[str, Any]

    @cached_property
    def options(self) -> Mapping[str, Any]:
        return self.document.get("options") or {}

    @cached_property
    def level(self) -> str:
        """Level of the intervals, in percent."""
        return f"{100 * float(self.options.get('level') or 0.95):g} %"

    @property
    def alpha(self) -> float:
        return float(self.options.get("alpha") or 0.05)

    @cached_property
    def models(self) -> list[Mapping[str, Any]]:
        return list(self.document.get("models") or [])

    @cached_property
    def outcomes(self) -> list[Outcome]:
        measures = {m["name"]: m for m in self.document.get("measures") or []}
        return [
            Outcome(measures.get(r["measure"], {"name": r["measure"]}), r)
            for r in self.document.get("results") or []
        ]

    @cached_property
    def colours(self) -> dict[str, int]:
        """The first three models of the first measure have colours of their own, all over."""
        first = self.outcomes[0].order if self.outcomes else []
        return {name: i + 1 for i, name in enumerate(first[:3])}

    @property
    def statistic(self) -> str:
        """What an estimate is, in words."""
        statistic = str(self.options.get("statistic") or "mean")
        if statistic.startswith("q"):
            share = finite_text(statistic[1:])
            return f"quantile {statistic[1:]}" if share is None else f"{100 * share:g}th percentile"
        return statistic

    @property
    def unit_word(self) -> str:
        """What is resampled."""
        plan = self.options.get("plan") or {}
        if str(plan.get("kind") or "iid").startswith("clusters"):
            return str(plan.get("column") or "cluster")
        return "case"


def finite_text(text: str) -> float | None:
    """The number that a text says, if it says one."""
    try:
        return finite(float(text))
    except ValueError:
        return None


def bdi(name: object, tag: str = "bdi") -> str:
    """A name that keeps its direction of writing to itself."""
    return f"<{tag}>{escape(name)}</{tag}>"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["A", "B", "C"])
        '<bdi>A</bdi>, <bdi>B</bdi> and <bdi>C</bdi>'
        >>> listed(["A", "B", "C", "D"], most=2)
        '<bdi>A</bdi> and 3 others'
    """
    if len(names) > most:
        return ", ".join(map(bdi, names[: most - 1])) + f" and {len(names) - most + 1} others"
    shown = [bdi(name) for name in names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""


def sorted_head(heads: Sequence[tuple[str, str]]) -> str:
    """The head of a table whose columns can be sorted: each a text and what it means."""
    return "".join(
        f'<th scope="col"{f" title={chr(34)}{escape(why)}{chr(34)}" if why else ""}>'
        f'<button type="button">{escape(text)}</button></th>'
        for text, why in heads
    )
