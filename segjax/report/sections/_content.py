"""What all parts of the page are made from."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from segjax.metrics import Metric, get_metric
from segjax.report import ranks
from segjax.report._text import escape
from segjax.report.overlay import Picture
from segjax.report.surfaces import Gallery
from segjax.table import Table


@dataclass(frozen=True)
class Content:
    """Scores, what `summary.json` says of them, and pictures by case."""

    table: Table
    summary: Mapping[str, Any]
    pictures: Mapping[str, Picture]
    surfaces: Gallery | None = None

    @cached_property
    def policy(self) -> dict[str, str]:
        """What became of undefined and missed scores."""
        options = self.summary.get("options") or {}
        return {
            "undefined": options.get("undefined") or "omit",
            "missing": options.get("missing") or "diagonal",
        }

    @cached_property
    def metrics(self) -> list[Metric]:
        return [get_metric(name) for name in ranks.leading_order(self.table.metrics)]

    @cached_property
    def main(self) -> Metric | None:
        return ranks.main_metric(self.table.metrics)

    @cached_property
    def views(self) -> list[tuple[int | str, str]]:
        return ranks.views(self.table)

    @cached_property
    def objects(self) -> dict[str, dict[str, int]]:
        """Counts of objects by case, as `ObjectTable.counts` has them; none for classes."""
        entries = self.summary.get("objects") or []
        return {e["case"]: {k: n for k, n in e.items() if k != "case"} for e in entries}

    @cached_property
    def length_unit(self) -> str:
        """Unit of spacing, if all cases have one and the same."""
        inputs = self.summary.get("inputs") or []
        units = {i.get("unit") for i in inputs}
        return str(units.pop() or "") if len(units) == 1 else ""

    @cached_property
    def length_words(self) -> str:
        """Unit of a distance, in words."""
        inputs = self.summary.get("inputs") or []
        plain = all(x == 1 for i in inputs for x in i.get("spacing") or ())
        return self.length_unit or ("voxels" if plain else "units of spacing")

    def unit(self, metric: Metric) -> str:
        """Unit of a score, in words."""
        length = self.length_unit
        return {
            "voxel": "voxels",
            "bit": "bits",
            "nat": "nats",
            "object": "objects",
            "length": length or "unit of spacing",
            "volume": f"{length}{self.power}" if length else "unit of spacing, multiplied",
        }.get(metric.unit, metric.unit)

    @property
    def power(self) -> str:
        """Superscript that turns the unit of length into that of a voxel's content."""
        inputs = self.summary.get("inputs") or []
        axes = {len(i.get("spacing") or ()) for i in inputs}
        return {1: "", 2: "²", 3: "³"}.get(axes.pop() if len(axes) == 1 else 3, "³")


def short(metric: Metric) -> str:
    """The metric's name in words, without its formula.

    Example:
        >>> short(get_metric("dice")), short(get_metric("iou"))
        ('Dice similarity coefficient', 'Jaccard index')
    """
    return re.split(r"[:,]| \(| H\(", metric.title)[0]


def digits(metric: Metric) -> int:
    """Decimals to print."""
    return {"voxel": 0, "object": 0, "volume": 1, "length": 2}.get(metric.unit, 3)


def full_range(metric: Metric) -> tuple[float, float] | None:
    """From the smallest to the largest possible score, if there are such."""
    ends = (metric.best, metric.worst)
    if None in ends or not all(math.isfinite(x) for x in ends if x is not None):
        return None
    low, high = sorted(x for x in ends if x is not None)
    return low, high


def direction(metric: Metric) -> str:
    """How to read the score, in words."""
    if metric.signed:
        return "nearer to 0 is better"
    return {True: "higher is better", False: "lower is better", None: "a count"}[
        metric.higher_is_better
    ]


def label_choice(content: Content) -> str:
    """A selector of the label, where there are several; all of them move together."""
    if len(content.views) < 2:
        return ""
    options = "".join(
        f'<option value="{escape(view)}">{escape(named(view, name))}</option>'
        for view, name in content.views
    )
    return (
        '<p class="controls needs-script"><label>Label '
        f'<select class="label-choice">{options}</select></label></p>'
    )


def named(view: int | str, name: str) -> str:
    """A label's name, with its value where that says more; that of a region says nothing."""
    plain = str(view) == name or view == ranks.MEAN or str(view).startswith("-")
    return name if plain else f"{name} ({view})"
