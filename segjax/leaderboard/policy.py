"""What is made of scores that are not there: from scores to complete rows that can be ranked.

A miss is never worth more than any score: turning a score into a miss lowers the model's
estimate, or leaves it, and so its rank. Therefore the worst score has to be known for every
case with a miss, and no score may be beyond it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from segjax._errors import InputError
from segjax.io._problem import shown
from segjax.io.sheet import Status
from segjax.leaderboard.measures import (
    ROUNDING,
    Measure,
    find_metric,
    is_length,
    nearest,
    quoted,
    values_of,
)
from segjax.leaderboard.scores import Scores


MISSING = ("worst", "drop-case", "fail")
UNDEFINED = ("best", "worst", "drop-case", "fail")


class Suspect(NamedTuple):
    """Models whose mean `metric` of a label is worse than `below` are not ranked for the label."""

    metric: str
    below: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The scores of one measure, complete.

    Attributes:
        values: raw scores, one row per model; NaN only in rows of models that are not ranked,
            where no policy could tell.
        cases: places of the cases kept.
        filled: which scores a policy put in.
        dropped: names of the cases that a policy left out.
        excluded: per model None if it is ranked, else "contaminated" or "suspect".
        notes: what a reader should know.
    """

    values: Float[np.ndarray, "model kept"]
    cases: Int[np.ndarray, " kept"]
    filled: Bool[np.ndarray, "model kept"]
    dropped: tuple[str, ...]
    excluded: tuple[str | None, ...]
    notes: tuple[str, ...] = ()

    @property
    def ranked(self) -> Bool[np.ndarray, " model"]:
        """Which models are ranked."""
        return np.array([reason is None for reason in self.excluded], bool)


def complete(
    scores: Scores,
    measure_index: int,
    *,
    missing: str = "worst",
    undefined: str = "best",
    worst: Mapping[str, float] | None = None,
    suspect: Suspect | None = None,
) -> Panel:
    """Fill or leave out what has no score.

    A score is missing if there is none, if it is infinitely bad, or if its source says that the
    case was missed. It is undefined (0/0) if its source says so. Models that are not ranked
    (trained on the cases, or suspect) have no say in which cases are kept.

    Args:
        scores: of all measures.
        measure_index: which of them.
        missing: "worst" counts it as the worst score there can be: of the metric, or for a
            length the diagonal of the image. "drop-case" leaves the case out for all models, by
            which a miss may well improve an estimate. "fail" raises.
        undefined: a case that is undefined for all is left out; if it is for some, the others
            found something where nothing was. "best" counts it as a perfect score (without one,
            the case is left out), "worst" as the worst, and there are "drop-case" and "fail".
        worst: by name of a metric, or of a measure, what is worse than any score; goes before
            what is known.
        suspect: which models are not to be trusted, besides those that their source flags.

    Raises:
        InputError: if the worst score is needed and not known, a score is worse than it, a policy
            is "fail" and applies, a name is that of no measure, or no case is left.
    """
    for name, given, known in (
        ("missing", missing, MISSING),
        ("undefined", undefined, UNDEFINED),
    ):
        if given not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, got {quoted(given)}")
    measure = scores.measures[measure_index]
    excluded = exclusions(scores, measure_index, suspect)
    limit = _limit(scores, measure_index, worst or {})
    status = scores.status[measure_index]
    lacking, empty = status >= Status.MISSED, status == Status.UNDEFINED
    ranked = np.array([reason is None for reason in excluded])
    voters = ranked if ranked.any() else np.ones_like(ranked)
    _check_fail(scores, measure, "missing", missing, lacking & voters[:, None])
    _check_fail(scores, measure, "undefined", undefined, empty & voters[:, None])
    without_best = undefined == "best" and measure.best is None
    if (status[voters] == Status.ABSENT).all():
        raise InputError(f"no model has a score of {quoted(measure.name)}; leave it out")
    keep = ~empty[voters].all(0)
    if undefined == "drop-case" or without_best:
        keep &= ~empty[voters].any(0)
    if missing == "drop-case":
        keep &= ~lacking[voters].any(0)
    if not keep.any():
        raise InputError(
            f"no case of {quoted(measure.name)} has scores that can be compared; "
            "choose another policy for what is missing or undefined, or fewer models"
        )
    fill = np.where(empty & (undefined == "best"), measure.best or 0.0, limit)
    fill = np.where(empty & without_best, np.nan, fill)
    filled = (lacking | empty) & keep
    values = np.where(filled, fill, _within(scores, measure_index, limit))
    unknown = filled & np.isnan(values) & ranked[:, None]
    if unknown.any():
        raise _no_worst(scores, measure, unknown)
    cases = np.flatnonzero(keep)
    return Panel(
        values=values[:, cases],
        cases=cases,
        filled=filled[:, cases] & ~np.isnan(values[:, cases]),
        dropped=tuple(case for case, kept in zip(scores.cases, keep, strict=True) if not kept),
        excluded=excluded,
        notes=_notes(scores, measure, lacking, ranked),
    )


def exclusions(
    scores: Scores, measure_index: int, suspect: Suspect | None = None
) -> tuple[str | None, ...]:
    """Per model, why it is not ranked; None if it is."""
    flagged = scores.suspect[measure_index]
    if suspect is not None:
        flagged = flagged | _poor(scores, scores.measures[measure_index].label, suspect)
    return tuple(
        "contaminated" if trained else "suspect" if poor else None
        for trained, poor in zip(scores.contaminated, flagged, strict=True)
    )


def _poor(scores: Scores, label: str, suspect: Suspect) -> Bool[np.ndarray, " model"]:
    """Models whose mean is bad; a miss counts as the worst score, or nothing would be gained."""
    index = scores.place(suspect.metric, label)
    metrics = dict.fromkeys(m.metric for m in scores.measures)
    if find_metric(suspect.metric, metrics) is None:
        raise InputError(
            f"suspect: no measure {quoted(suspect.metric)}; did you mean "
            f"{nearest(suspect.metric, metrics)}?"
        )
    if index is None:
        return np.zeros(len(scores.models), bool)
    measure, status = scores.measures[index], scores.status[index]
    if measure.worst is None:
        raise InputError(
            f"suspect needs a metric with a worst score, not {quoted(measure.name)}; name dice, say"
        )
    values = np.where(status >= Status.MISSED, measure.worst, scores.values[index])
    defined = status != Status.UNDEFINED
    mean = np.where(defined, values, 0).sum(1) / np.maximum(defined.sum(1), 1)
    return defined.any(1) & (measure.sign * (mean - suspect.below) < 0)


def _limit(scores: Scores, index: int, worst: Mapping[str, float]) -> Float[np.ndarray, " case"]:
    """The worst score of each case; NaN where it is not known."""
    given = values_of(worst, scores.measures, "worst")[index]
    limit = scores.limits[index]
    return limit if given is None else np.full_like(limit, given)


def _within(
    scores: Scores, index: int, limit: Float[np.ndarray, " case"]
) -> Float[np.ndarray, "model case"]:
    """Scores, of which none is beyond the limit; what rounding took there is put back."""
    measure, values = scores.measures[index], scores.values[index]
    scored = scores.status[index] == Status.SCORED
    beyond = np.where(scored, measure.sign * (limit - np.where(scored, values, 0)), 0)
    slack = ROUNDING * np.maximum(1, np.abs(limit))
    if (beyond > slack).any():
        model, case = np.argwhere(beyond > slack)[0]
        raise InputError(
            f"{quoted(measure.name)} of model {quoted(scores.models[model])}, case "
            f"{quoted(scores.cases[case])} is {values[model, case]:g}, worse than the worst score "
            f"({limit[case]:g}); give a worst: {shown(measure.metric[:60])} that no score is beyond"
        )
    return np.where(beyond > 0, limit, values)


def _check_fail(
    scores: Scores,
    measure: Measure,
    name: str,
    policy: str,
    where: Bool[np.ndarray, "model case"],
) -> None:
    if policy == "fail" and where.any():
        model, case = np.argwhere(where)[0]
        raise InputError(
            f"{quoted(measure.name)} of model {quoted(scores.models[model])}, case "
            f"{quoted(scores.cases[case])} is {name}, and {name} is 'fail'"
        )


def _no_worst(
    scores: Scores, measure: Measure, where: Bool[np.ndarray, "model case"]
) -> InputError:
    model, case = np.argwhere(where)[0]
    example = "250, e.g. the diagonal of the image" if is_length(measure) else "a number"
    return InputError(
        f"{quoted(measure.name)} of model {quoted(scores.models[model])}, case "
        f"{quoted(scores.cases[case])} is missing, and the worst score is not known; give "
        f"worst: {{{shown(measure.metric[:60])}: {example}}}, or missing: drop-case"
    )


def _notes(
    scores: Scores,
    measure: Measure,
    lacking: Bool[np.ndarray, "model case"],
    ranked: Bool[np.ndarray, " model"],
) -> tuple[str, ...]:
    never = [m for m, row in zip(scores.models, lacking, strict=True) if row.all()]
    of = quoted(measure.name)
    notes = [f"{quoted(m)} has no score of {of}: it counts as missing everywhere" for m in never]
    if not ranked.any():
        notes.append(f"no model can be ranked by {of}: all are excluded")
    return tuple(notes)
