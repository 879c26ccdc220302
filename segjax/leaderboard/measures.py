"""What the scores are of: metrics that are known or declared, and the labels they are of."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from segjax._errors import InputError
from segjax.io._cells import canonical, known_metric, plain
from segjax.io._problem import shown
from segjax.io.sheet import Row
from segjax.metrics import Metric, get_metric


ROUNDING = 1e-6  # scores may have been written with six digits
HUGE = 1e100  # no score is as large: squares of such overflow
PREDICTED = "predicted "  # what `segjax assess` puts before the name of a metric


class Declared(TypedDict, total=False):
    """What is said of a metric: of one that is unknown, at least which scores are better."""

    better: str
    best: float | None
    worst: float | None
    unit: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric of one label.

    Attributes:
        name: "dice", or "dice, kidney".
        metric: canonical name.
        label: empty for the whole image.
        better: "higher" or "lower".
        best: score of a perfect prediction; None if there is none.
        worst: the worst score there can be; None if there is none.
        unit: of the scores; empty for ratios.
        title: one line on the metric; empty for those declared by the user.
    """

    name: str
    metric: str
    label: str
    better: str
    best: float | None
    worst: float | None
    unit: str = ""
    title: str = ""

    @property
    def sign(self) -> int:
        """1 if higher scores are better, else -1: what makes them so."""
        return 1 if self.better == "higher" else -1


def find_metric(name: str, among: Iterable[str]) -> str | None:
    """The one of some metrics that is called so; "nsd" may be the only nsd at any tolerance."""
    asked, names = canonical(name), list(among)
    if asked in names:
        return asked
    close = [other for other in names if plain(other) == plain(name)]
    if not close and (metric := known_metric(name)) and "(" not in name:
        function = get_metric(metric).function
        known = [other for other in names if known_metric(other)]
        close = [other for other in known if get_metric(other).function is function]
    return close[0] if len(close) == 1 else None


def kinds_of(
    found: Iterable[str], asked: Iterable[str] | None, declared: Mapping[str, Declared]
) -> tuple[dict[str, Measure], list[str]]:
    """What the metrics are, by the name they have in the rows, and which were left out."""
    names = list(found)
    said: dict[str, Declared] = {}
    for name, entry in declared.items():
        said[find_metric(name, names) or canonical(name)] = entry
    if asked is None:
        kinds = {name: _kind(name, said.get(name, {})) for name in names}
        aside = [name for name, kind in kinds.items() if kind is None]
        notes = [f"{name} is left out: it has no direction to rank by" for name in aside]
        return {name: kind for name, kind in kinds.items() if kind is not None}, notes
    chosen: dict[str, Measure] = {}
    for wanted in asked:
        name = find_metric(wanted, names)
        if name is None:
            have = ", ".join(map(quoted, names[:8]))
            raise InputError(f"no model has scores of {quoted(wanted)}; metrics are {have}")
        kind = _kind(name, said.get(name, {}))
        if kind is None:
            raise InputError(
                f"{name} has no direction to rank by; declare {{better: lower}} if it has one "
                "here, or choose another metric"
            )
        chosen[name] = kind
    return chosen, []


def _kind(name: str, said: Declared) -> Measure | None:
    """What a metric is, as a measure of no label yet; None if it has no direction."""
    if unknown := sorted(said.keys() - Declared.__annotations__.keys()):
        have = ", ".join(Declared.__annotations__)
        raise InputError(f"metric {quoted(name)} declares {unknown[0]!r}; it may declare {have}")
    metric = _known(name, said)
    if metric is not None and (metric.signed or metric.best is None) and "better" not in said:
        return None
    better = said.get("better", "higher" if metric and metric.higher_is_better else "lower")
    if better not in ("higher", "lower"):
        raise InputError(f"better of {quoted(name)} must be higher or lower, got {better!r}")
    best, worst = (
        _bound(name, key, said.get(key, None if metric is None else getattr(metric, key)))
        for key in ("best", "worst")
    )
    if best is not None and worst is not None and (best <= worst) == (better == "higher"):
        raise InputError(
            f"the best {quoted(name)} is {best:g} and the worst {worst:g}, but {better} is better; "
            "declare them the other way round"
        )
    return Measure(
        name=name,
        metric=name,
        label="",
        better=better,
        best=best,
        worst=worst,
        unit=said.get("unit", "" if metric is None else metric.unit),
        title="" if metric is None else _title(name, metric),
    )


def _title(name: str, metric: Metric) -> str:
    guessed = "; predicted by a network, without a reference" if PREDICTED in name else ""
    return metric.title + guessed


def _known(name: str, said: Declared) -> Metric | None:
    try:
        return get_metric(name.removeprefix(PREDICTED))
    except InputError as error:
        if "better" in said:
            return None
        raise InputError(
            f"{shown(error)}; declare an own metric with {{better: higher}} or {{better: lower}}"
        ) from None


def _bound(name: str, key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InputError(f"{key} of {quoted(name)} must be a number, got {quoted(value)}")
    return float(value) if math.isfinite(value) else None


def measures_of(
    rows: Sequence[Row],
    kinds: Mapping[str, Measure],
    labels: Iterable[str] | None,
    units: set[str],
) -> tuple[Measure, ...]:
    """Every metric of every label that has scores of it."""
    there = dict.fromkeys((row.metric, row.label) for row in rows)
    found = list(dict.fromkeys(label for _, label in there))
    wanted = found if labels is None else list(dict.fromkeys(labels))
    if not wanted:
        raise InputError("labels names none; leave it out for all of them")
    for label in wanted:
        if found == [""] != wanted:
            raise InputError(f"the scores are of no label; leave out labels ({quoted(label)})")
        if label not in found:
            meant = nearest(label, found)
            raise InputError(f"no model has scores of label {quoted(label)}; did you mean {meant}?")
    unit = units.pop() if len(units) == 1 else ""
    plainly = set(wanted) <= {"", "foreground"}
    return tuple(
        replace(
            kind,
            name=metric if plainly or not label else f"{metric}, {label}",
            label=label,
            unit=unit if kind.unit == "length" else kind.unit,
        )
        for metric, kind in kinds.items()
        for label in wanted
        if (metric, label) in there
    )


def values_of(
    given: Mapping[str, float], measures: Sequence[Measure], what: str
) -> list[float | None]:
    """The value given for each measure, by name of its metric or, which goes before, its own.

    Raises:
        InputError: if a name is none of them, or a value not finite; `what` is the option.
    """
    metrics = dict.fromkeys(m.metric for m in measures)
    names = [m.name for m in measures]
    of_metric: dict[str | None, float] = {}
    for name, value in given.items():
        metric = find_metric(name, metrics)
        if metric is None and name not in names:
            meant = nearest(name, [*metrics, *names])
            raise InputError(f"{what}: no measure {quoted(name)}; did you mean {meant}?")
        if not abs(value) < HUGE:
            raise InputError(f"{what} of {quoted(name)} must be finite; give a number")
        if metric is not None:
            of_metric[metric] = value
    return [given.get(m.name, of_metric.get(m.metric)) for m in measures]


def is_length(measure: Measure) -> bool:
    """Whether the image's diagonal is the worst score."""
    known = known_metric(measure.metric)
    return known is not None and get_metric(known).unit == "length"


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, as it is printed."""
    return quoted(difflib.get_close_matches(name, list(names), n=1, cutoff=0)[0])


def quoted(text: object) -> str:
    """A name from outside, short and on one line."""
    return repr(shown(str(text)[:60]))
