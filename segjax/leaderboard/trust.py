"""Whether the board at hand may be believed: its own scores, simulated."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from segjax.leaderboard.calibration import false_alarms, interval_coverage, null_boards
from segjax.leaderboard.judging import Judged
from segjax.leaderboard.options import Options
from segjax.leaderboard.resampling import Plan, make_plan


_BOARDS = 1000
_RESAMPLES = 1000
_PERMUTATIONS = 500
_WORK = 2e10  # multiplications per measure: some seconds on two cores
_SHORT = 0.02


def simulate(
    key: PRNGKeyArray, judged: Sequence[Judged], models: Sequence[str], options: Options
) -> dict[str, Any]:
    """Simulate boards from the scores of this one, and see how often they are right.

    Args:
        key: makes the result reproducible.
        judged: the measures.
        models: names of the models.
        options: of the board.

    Returns:
        "boards"; "coverage" of the intervals of each measure and model; "family_wise" error of the
        verdict where no model differs; and what that means in "words".
    """
    some = [one for one in judged if len(one.standing.order) and _plan(one, options).units > 1]
    boards = min((_affordable(one) for one in some), default=0)
    coverage = [
        entry
        for i, one in enumerate(some)
        if options.quantile is None
        for entry in _coverage(jax.random.fold_in(key, i), one, models, options, boards)
    ]
    family = _family_wise(jax.random.fold_in(key, len(some)), some, options, boards)
    return {
        "boards": boards,
        "coverage": coverage,
        "family_wise": family,
        "words": [*_on_coverage(coverage, options), *_on_family(family)],
    }


def _plan(one: Judged, options: Options) -> Plan:
    """Of the kept cases alone."""
    units = one.standing.units
    return make_plan(units.size, clusters=units if options.clusters else None)


def _affordable(one: Judged) -> int:
    models, cases = one.standing.scores.shape
    return int(np.clip(_WORK / (10 * _RESAMPLES * models * cases), 100, _BOARDS))


def _coverage(
    key: PRNGKeyArray, one: Judged, models: Sequence[str], options: Options, boards: int
) -> list[dict[str, Any]]:
    found = interval_coverage(
        key,
        _plan(one, options),
        one.measure.sign * one.standing.scores,
        methods=tuple(dict.fromkeys((*one.estimates.methods, "percentile"))),
        level=options.level,
        boards=boards,
        count=_RESAMPLES,
        bounds=one.bounds,
    )
    return [
        {
            "measure": one.measure.name,
            "model": models[model],
            "method": coverage.method,
            "nominal": options.level,
            "coverage": float(share),
            "error": float(np.sqrt(share * (1 - share) / boards)),
        }
        for coverage in found
        for model, share in zip(one.standing.order, coverage.found, strict=True)
    ]


def _family_wise(
    key: PRNGKeyArray, judged: Sequence[Judged], options: Options, boards: int
) -> dict[str, Any] | None:
    """Of measures that rank the same models, on the units that all of them keep."""
    rivals = [one for one in judged if len(one.standing.order) > 1]
    models = {tuple(sorted(one.standing.order.tolist())) for one in rivals}
    if not models:
        return None
    widest = max(models, key=len)
    alike = [one for one in rivals if tuple(sorted(one.standing.order.tolist())) == widest]
    common = sorted(set.intersection(*(set(one.standing.units.tolist()) for one in alike)))
    if len(common) < 2:
        return None
    family = []
    for one in alike:
        rows = one.standing.scores[np.argsort(one.standing.order)]
        means = [rows[:, one.standing.units == unit].mean(1) for unit in common]
        family.append(np.stack(means, axis=1))
    drawing, testing = jax.random.split(key)
    wrong = false_alarms(
        testing,
        null_boards(drawing, make_plan(len(common)), family, boards),
        verdict=options.verdict,
        alpha=options.alpha,
        permutations=min(_PERMUTATIONS, options.permutations),
        count=_RESAMPLES,
    )
    share = float(wrong.mean())
    error = float(np.sqrt(share * (1 - share) / boards))
    return {"nominal": options.alpha, "found": share, "error": error, "boards": boards}


def _on_coverage(coverage: Sequence[dict[str, Any]], options: Options) -> list[str]:
    words = []
    methods = dict.fromkeys((c["measure"], c["method"]) for c in coverage)
    for measure, method in methods:
        shares = [
            c["coverage"] for c in coverage if (c["measure"], c["method"]) == (measure, method)
        ]
        mean = float(np.mean(shares))
        text = (
            f"{measure}: {method} intervals that promise {100 * options.level:g} % held the truth "
            f"in {100 * mean:.1f} % of the simulated boards"
        )
        if mean < options.level - _SHORT:
            text += f", {100 * (options.level - mean):.0f} points short: read them as too narrow"
        words.append(text + ".")
    return words


def _on_family(family: dict[str, Any] | None) -> list[str]:
    if family is None:
        return []
    found, nominal = family["found"], family["nominal"]
    text = (
        f"Where no model differs, the verdict called some pair separable on {100 * found:.1f} % "
        f"of the simulated boards; it promises at most {100 * nominal:g} %"
    )
    if found - 2 * family["error"] > nominal:
        text += ": it finds differences that are not there"
    return [text + "."]
