"""All there is to know about a metric, from its documentation and from frozen measurements.

The words are those of docstrings and of the catalogue; what a metric gives for empty masks, and
how far other tools are from it, was measured once (`data/agreement.json`).
"""

import inspect
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from segjax.losses import LOSSES
from segjax.metrics import METRICS, Metric, get_metric, sentences
from segjax.statistics import BoundaryBands, SurfaceDistances


EMPTY = ("reference", "prediction", "both")  # which of the two masks is empty
_UNITS = {
    "": "none: a number without a unit",
    "length": "a length, in the unit of the spacing",
    "volume": "a volume (in 2-D an area), in the unit of the spacing to that power",
    "voxel": "voxels",
    "object": "objects",
    "bit": "bits",
    "nat": "nats",
}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """What another tool calculates, set against a metric over frozen cases.

    Attributes:
        name: of the tool.
        version: that was run.
        metric: what it was set against, by the name segjax has for it.
        quantity: name of its value in the frozen cases.
        convention: how it calculates, in short.
        cases: how many there are of both.
        differing: in how many of them the two differ by more than rounding.
        largest: the largest difference.
        nearest: what of segjax comes nearest; None if that is the metric itself.
        nearest_largest: the largest difference from that.
    """

    name: str
    version: str
    metric: str
    quantity: str
    convention: str
    cases: int
    differing: int
    largest: float
    nearest: str | None
    nearest_largest: float

    @property
    def agrees(self) -> bool:
        return self.differing == 0


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What `explain` returns; every text is a whole sentence or a list, without markup.

    Attributes:
        name: canonical, with the options that were asked for.
        family: file of the catalogue, e.g. "boundary".
        title: one line.
        definition: what is computed, and when it is undefined.
        formula: the same in one line.
        computed_from: the statistic it is a function of, and what that holds.
        percentile_rule: which percentile is taken, and how.
        boundary_rule: what counts as a boundary.
        empty: what happens if the "reference", the "prediction" or "both" are empty.
        peers_on_empty: what other tools give then, by their names, in the order of `empty`.
        best: value of a perfect prediction; None for counts.
        worst: value of a useless one.
        range: the two in words.
        unit: of the value.
        per: "label" or "image".
        options: their meaning by name, with the value each has.
        aliases: other names in use.
        peers: other tools, those that agree first.
        losses: losses that stand for the metric, and how.
        source: the paper.
    """

    name: str
    family: str
    title: str
    definition: str
    formula: str
    computed_from: str
    percentile_rule: str
    boundary_rule: str
    empty: Mapping[str, str]
    peers_on_empty: Mapping[str, tuple[float | str | None, ...]]
    best: float | None
    worst: float | None
    range: str
    unit: str
    per: str
    options: Mapping[str, str]
    aliases: tuple[str, ...]
    peers: tuple[Peer, ...]
    losses: Mapping[str, str]
    source: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: that is text."""
        found = asdict(self)
        for end in ("best", "worst"):
            if isinstance(found[end], float) and math.isinf(found[end]):
                found[end] = str(found[end])
        return found

    def sections(self) -> dict[str, tuple[str, ...]]:
        """Everything in words, by heading, to be printed; none is empty."""
        agreeing = tuple(_agreeing(p) for p in self.peers if p.agrees)
        differing = tuple(_differing(p) for p in self.peers if not p.agrees)
        frozen = "no value of another tool is frozen; tests check the definition, written twice"
        return {
            "title": (self.title,),
            "definition": tuple(_paragraphs(self.definition)[1:]) or (self.title,),
            "formula": (self.formula,),
            "computed from": (self.computed_from,),
            "percentile rule": (self.percentile_rule,),
            "boundary rule": (self.boundary_rule,),
            "if empty": tuple(f"{k}: {v}" for k, v in self.empty.items()),
            "range": (self.range,),
            "unit": (self.unit,),
            "one score per": (self.per,),
            "options": tuple(f"{k}: {v}" for k, v in self.options.items()) or ("none",),
            "also called": (", ".join(self.aliases) or "nothing else",),
            "tools that agree": agreeing
            or ((frozen,) if not differing else ("none of those tried",)),
            "tools that differ": (
                *(differing or (("none of those tried",) if agreeing else (frozen,))),
                *_empty_peers(self.peers_on_empty),
            ),
            "as a loss": tuple(f"{k}: {v}" for k, v in self.losses.items()) or ("none",),
            "source": (self.source,),
        }


def explain(name: str) -> Explanation:
    """Say all that is known about a metric.

    Args:
        name: of the metric, or an alias; options may stand in brackets.

    Raises:
        InputError: if no metric has that name; the message offers the nearest ones.

    Example:
        >>> explain("DSC").formula
        '2 TP / (2 TP + FP + FN)'
    """
    metric = get_metric(name)
    return Explanation(
        name=metric.name,
        family=family(metric),
        title=metric.title,
        definition=metric.definition,
        formula=metric.formula,
        computed_from=f"{metric.statistic.__name__}: {_first(metric.statistic)}",
        percentile_rule=_percentile_rule(metric),
        boundary_rule=_boundary_rule(metric),
        empty=_on_empty(metric),
        peers_on_empty=_peers_on_empty(metric),
        best=metric.best,
        worst=metric.worst,
        range=_range(metric),
        unit=_UNITS[metric.unit],
        per=metric.per,
        options=_options(metric),
        aliases=_aliases(metric),
        peers=_peers(metric),
        losses={
            f"segjax.losses.{loss.name}": loss.relation
            for loss in LOSSES
            if get_metric(loss.metric).function is metric.function
        },
        source=_source(metric),
    )


def family(metric: Metric) -> str:
    """File of the catalogue that a metric is in."""
    return metric.function.__module__.rpartition(".")[2]


def families() -> dict[str, tuple[Metric, ...]]:
    """The catalogue by family, in its order."""
    names = dict.fromkeys(family(m) for m in METRICS)
    return {name: tuple(m for m in METRICS if family(m) == name) for name in names}


@cache
def _frozen() -> dict[str, Any]:
    return json.loads((files("segjax") / "data" / "agreement.json").read_text("utf-8"))


def _peers_on_empty(metric: Metric) -> dict[str, tuple[Any, ...]]:
    """Of the metric as it was asked for, else of its function."""
    table = _frozen()["peers_on_empty"]
    found = table.get(metric.name, table.get(metric.function.__name__, {}))
    return {peer: tuple(values) for peer, values in found.items()}


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _body(kind: type) -> list[str]:
    """Paragraphs of a class's docstring, up to its sections."""
    return _paragraphs(re.split(r"\n\nAttributes:\n", inspect.getdoc(kind) or "")[0])


def _first(kind: type) -> str:
    return _body(kind)[0].rstrip(".")


def _percentile_rule(metric: Metric) -> str:
    if "percentile" not in metric.option_names:
        return "none: no percentile is taken"
    told = [s for s in sentences(metric.definition) if "percentile" in s]
    values = ", ".join(text for text in metric.option_texts if "=" in text)
    return f"{'. '.join(told)}; here {values}"


def _boundary_rule(metric: Metric) -> str:
    if not issubclass(metric.statistic, SurfaceDistances | BoundaryBands):
        return "none: no boundary is drawn"
    told: list[str] = []
    for kind in metric.statistic.__mro__[:-1]:
        told.extend(_body(kind))
        if not told[-1].startswith("Each is measured"):
            break
    return " ".join(told)


def _on_empty(metric: Metric) -> dict[str, str]:
    values = [float(v) for v in _frozen()["empty"][metric.function.__name__]]
    return {which: _fate(metric, value, which) for which, value in zip(EMPTY, values, strict=True)}


def _fate(metric: Metric, value: float, which: str) -> str:
    """A value for an empty mask in words, and what tables make of it."""
    if math.isinf(value):
        return (
            "infinite, and counted as missed; tables put the diagonal of the image "
            '(missing="diagonal"; also "worst", "omit", "fail")'
        )
    if math.isnan(value) and which == "prediction":
        if metric.unit == "length":
            return _fate(metric, math.inf, which).replace("infinite", "undefined (0/0)", 1)
        filled = "" if metric.missed is None else f"; tables put {metric.missed:g}"
        return f'undefined (0/0), and counted as missed{filled} (missing="omit" leaves it out)'
    if math.isnan(value):
        return (
            "undefined (0/0): left out of means, and counted "
            '(undefined="omit"; also "best", "worst", "fail")'
        )
    named = {metric.best: "the best value", metric.worst: "the worst value"}
    if value in named:
        return f"{value:g}, {named[value]}"
    return (
        "0" if value == 0 else f"as the formula says, e.g. {value:g} for a square of 9 in 36 pixels"
    )


def _range(metric: Metric) -> str:
    if metric.best is None or metric.worst is None:
        return "0 or more; a count, of which neither end is best"
    best, worst = (f"{v:g}".replace("inf", "infinity") for v in (metric.best, metric.worst))
    if metric.signed:
        return f"from -{worst} to {worst}; {best} is best, and the sign says which way it errs"
    low, high = (best, worst) if metric.best < metric.worst else (worst, best)
    chance = "" if metric.chance is None else f"; {metric.chance:g} if it knows nothing"
    better = "lower" if metric.best < metric.worst else "higher"
    return f"from {low} to {high}; {better} is better, {best} is best{chance}"


def _options(metric: Metric) -> dict[str, str]:
    own, shared = _arguments(metric.function), _paragraphs(inspect.getdoc(Metric.at) or "")
    found = {}
    for name, text in zip(metric.option_names, metric.option_texts, strict=True):
        told = own.get(name)
        if told is None:  # one of the options that `Metric.at` describes for all that have it
            head, _, told = next(p for p in shared if f"`{name}=" in p).partition(": ")
            choices = re.search(rf'`{name}=("[^`]+)`', head)
            told = f"{choices[1]}; {told}" if choices else told
        value = text.partition("=")[2]
        found[name] = f"{told} Here {value}." if value else told
    return found


def _arguments(function: Any) -> dict[str, str]:
    """Meaning of each argument, from the docstring's section of them."""
    _, _, section = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    section = section.split("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", section, re.M | re.S)
    return {name: " ".join(text.split()) for name, text in entries}


def _aliases(metric: Metric) -> tuple[str, ...]:
    from segjax.metrics.boundary import COMPOSED

    composed = tuple(name for name, text in COMPOSED.items() if get_metric(text) == metric)
    return composed or metric.aliases


def _peers(metric: Metric) -> tuple[Peer, ...]:
    rows = _frozen()["peers"]
    same = [row for row in rows if row["metric"] == metric.name]
    if not same or not metric.options:
        same = [row for row in rows if _same_function(row["metric"], metric)]
    found = [
        Peer(
            name=row["peer"],
            **{k: row[k] for k in ("version", "metric", "quantity", "convention", "cases")},
            differing=row["differing"],
            largest=row["largest"],
            nearest=row["nearest"] if row["nearest"] != row["metric"] else None,
            nearest_largest=row["nearest_largest"],
        )
        for row in same
    ]
    return tuple(sorted(found, key=lambda p: not p.agrees))


def _same_function(name: str, metric: Metric) -> bool:
    return get_metric(name).function is metric.function


def _agreeing(peer: Peer) -> str:
    by = f" ({peer.convention})" if peer.convention else ""
    return f"{peer.name} {peer.version}: {peer.metric} in all {peer.cases} cases{by}"


def _differing(peer: Peer) -> str:
    text = (
        f"{peer.name} {peer.version}: differs from {peer.metric} in {peer.differing} of "
        f"{peer.cases} cases, by up to {peer.largest:g} ({peer.convention})"
    )
    if peer.nearest is None:
        return text
    by = "the same" if peer.nearest_largest == 0 else f"within {peer.nearest_largest:g} of it"
    return f"{text}; {peer.nearest} is {by}"


def _empty_peers(peers: Mapping[str, tuple[Any, ...]]) -> tuple[str, ...]:
    if not peers:
        return ()
    told = (f"{name} {', '.join(map(_given, values))}" for name, values in peers.items())
    return (f"if the {EMPTY[0]}, the {EMPTY[1]} or {EMPTY[2]} are empty: {'; '.join(told)}",)


def _given(value: Any) -> str:
    return "?" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _source(metric: Metric) -> str:
    """The paper; where the docstring says "see `other`", that metric's."""
    pointed = re.search(r"see `(\w+)`\.?$", metric.source)
    return get_metric(pointed[1]).source if pointed else metric.source
