"""Gates: what a run must reach, or keep of an earlier one. What has no value fails."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segjax._errors import InputError
from segjax.cli._text import shown


# Ends of the interval have two names each: our own, and that of other tools.
_STATISTICS = {name: name for name in ("mean", "median", "low", "high", "min", "max", "pooled")}
_STATISTICS |= {"ci_low": "low", "ci_high": "high"}


class Gate(NamedTuple):
    """A bound of a statistic of a metric; of a drop, how much worse than before it may be."""

    metric: str
    statistic: str
    bound: float


def gate(text: str, option: str) -> Gate:
    """Read METRIC=VALUE or METRIC.STATISTIC=VALUE.

    Raises:
        InputError: if it is neither; the message names the option.
    """
    name, equals, value = text.rpartition("=")
    metric, dot, statistic = name.rpartition(".")
    if not dot or statistic not in _STATISTICS:
        metric, statistic = name, "mean"
    try:
        if not equals or not metric:
            raise ValueError
        return Gate(metric, _STATISTICS[statistic], float(value))
    except ValueError:
        raise InputError(f"{option} takes METRIC=VALUE, e.g. dice=0.8; got {text!r}") from None


def drop(text: str) -> Gate:
    """Read how much worse than before a statistic may be.

    Raises:
        InputError: if it is not written so, or negative.
    """
    found = gate(text, "--max-drop")
    if not found.bound >= 0:
        raise InputError(f"--max-drop takes how much worse, 0 or more, got {text!r}")
    return found


def failures(
    gates: Sequence[Gate],
    drops: Sequence[Gate],
    summary: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
) -> Iterator[str]:
    """Say of each gate that is not passed why."""
    for one in gates:
        yield from _under(one, summary)
    for one in drops:
        yield from _dropped(one, summary, baseline or {})
    if (gates or drops) and (missing := summary["unpaired"]["reference"]):
        yield f"{len(missing)} references have no prediction, {shown(missing[0])} the first"


def on_baseline(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[str]:
    """What makes a drop hard to read: another set of cases."""
    now, before = (_cases(s.get("inputs")) for s in (summary, baseline))
    if before and now != before:
        yield (
            f"the baseline has other cases: {len(now - before)} are new and {len(before - now)} "
            "are gone, so that means differ for that, too"
        )


def _cases(inputs: Any) -> set[str]:
    entries = inputs if isinstance(inputs, list) else []
    return {str(e.get("case")) for e in entries if isinstance(e, Mapping)}


def read_baseline(path: Path) -> Mapping[str, Any]:
    """The summary of an earlier run, from its folder or its `summary.json`.

    Raises:
        InputError: if it cannot be read, or is something else.
    """
    from segjax.io import read_summary

    return read_summary(path)


def _under(one: Gate, summary: Mapping[str, Any]) -> Iterator[str]:
    name, higher = _named(one)
    value = _value(one, summary)
    slack = 1e-9 * max(1.0, abs(one.bound))  # a mean of 0.8 may come out as 0.7999999999999999
    if value is not None and (value >= one.bound - slack if higher else value <= one.bound + slack):
        return
    sign = "<" if higher else ">"
    got = "no value" if value is None else f"{value:.6g} {sign} {one.bound:g}"
    yield f"{one.statistic} {name}: {got}"


def _dropped(one: Gate, summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[str]:
    name, higher = _named(one)
    now, before = _value(one, summary), _value(one, baseline)
    if now is None or before is None:
        yield f"{one.statistic} {name}: no value {'now' if now is None else 'in the baseline'}"
        return
    worse = before - now if higher else now - before
    if not worse <= one.bound + 1e-9 * max(1.0, abs(before)):
        said = f"{before:.6g} before, {now:.6g} now"
        yield f"{one.statistic} {name}: worse by {worse:.6g} > {one.bound:g} ({said})"


def _named(one: Gate) -> tuple[str, bool]:
    """The metric's canonical name, and whether higher is better."""
    from segjax.metrics import get_metric

    metric = get_metric(one.metric)
    return metric.name, metric.higher_is_better is not False


def _value(one: Gate, summary: Mapping[str, Any]) -> float | None:
    """A statistic of the metric over all labels; None where it has no value."""
    from segjax.metrics import get_metric

    metric = get_metric(one.metric)
    entry = next((e for e in summary.get("scores", ()) if e.get("metric") == metric.name), {})
    found = entry.get("interval") if one.statistic in ("low", "high") else entry
    value = found.get(one.statistic) if isinstance(found, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return abs(value) if metric.signed else float(value)
