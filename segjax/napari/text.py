"""Scores as a person reads them."""

import math

from segjax._errors import InputError
from segjax.metrics import Metric, get_metric
from segjax.napari.live import Mark


_WORDS = {"undefined": "0/0", "missed": "missed"}
_POWERS = {2: "²", 3: "³"}


def mark_text(metric: str, mark: Mark, unit: str = "", axes: int = 2) -> str:
    """A score with its unit, and the interval if it is a predicted one.

    Example:
        >>> mark_text("dice", Mark(0.8389, "scored")), mark_text("HD95", Mark(3.5, "scored"), "µm")
        ('0.839', '3.5 µm')
        >>> mark_text("dice", Mark(math.nan, "undefined"))
        '0/0'
    """
    if math.isnan(mark.value):
        return _WORDS.get(mark.status, "")
    text = _number(mark.value, metric)
    if mark.low <= mark.high:
        text += f" ({_number(mark.low, metric)}\N{EN DASH}{_number(mark.high, metric)})"
    kind = get_metric(metric).unit
    if kind == "length" and unit:
        return f"{text} {unit}"
    if kind == "volume" and unit:
        return f"{text} {unit}{_POWERS.get(axes, f'^{axes}')}"
    return text


def mark_hint(metric: str, mark: Mark) -> str:
    """What stands behind a score: the definition, and the scores of the classes."""
    known = get_metric(metric)
    lines = [known.title + "."]
    if mark.low <= mark.high:
        lines.append("Predicted from the image, with the interval that holds it in 90 %.")
    if mark.status == "undefined":
        lines.append("0/0: there is nothing to score.")
    if mark.status == "missed":
        lines.append("Nothing was predicted, or a distance has nothing to reach.")
    lines += [f"class {k}: {mark_text(metric, each)}" for k, each in mark.by_class.items()]
    return "\n".join(lines)


def size_text(size: float, unit: str, axes: int) -> str:
    """An area or a volume."""
    return f"{size:.4g} {unit}{_POWERS.get(axes, f'^{axes}')}" if unit else f"{size:.4g}"


def best_of(metric: str, values: dict[str, float]) -> set[str]:
    """The names whose score is the best of several; none if there is no direction."""
    known, kept = _known(metric), {k: v for k, v in values.items() if not math.isnan(v)}
    if len(values) < 2 or not kept or known is None or known.higher_is_better is None:
        return set()
    size = {k: abs(v) if known.signed else v for k, v in kept.items()}
    best = max(size.values()) if known.higher_is_better else min(size.values())
    return {k for k, v in size.items() if v == best}


def _known(metric: str) -> Metric | None:
    try:
        return get_metric(metric)
    except InputError:
        return None


def _number(value: float, metric: str) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.3f}" if not get_metric(metric).unit else f"{value:.3g}"
