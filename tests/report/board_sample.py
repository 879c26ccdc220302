"""Documents of a leaderboard in every shape, for the tests of its page and its exports.

Random scores and a plain bootstrap of them: every field of the schema is there, and what is
said of a model follows from its scores. The verdicts are rough and are nobody's reference.
"""

from typing import Any

import numpy as np


MEASURES = ("dice", "hd95, kidney", "nsd", "volume_difference")
_DISTANCE = {"hd95, kidney"}


def document(
    models: int = 3,
    n: int = 20,
    measures: int = 2,
    *,
    excluded: int = 0,
    replicates: int = 200,
    seed: int = 0,
    extras: bool = True,
    spread: float = 0.02,
    **more: Any,
) -> dict[str, Any]:
    """A board of `models` models, of which the last `excluded` are not ranked."""
    rng = np.random.default_rng(seed)
    names = [f"model {i + 1:02d}" for i in range(models)]
    cases = [f"case {i:04d}" for i in range(n)]
    named = [MEASURES[i] if i < len(MEASURES) else f"dice, organ {i}" for i in range(measures)]
    scanner = [("north", "south", "east", "west")[min(3, i % 5)] for i in range(n)]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=replicates)
    scores = {name: _scores(rng, models, n, name in _DISTANCE, spread) for name in named}
    ranked = models - excluded
    results = [_result(name, scores[name], weights, names, cases, ranked, n) for name in named]
    raw = {name: [[float(x) for x in row] for row in scores[name]] for name in named}
    status = {name: [[0] * n for _ in range(models)] for name in named}
    if n > 3:
        for name in named:
            raw[name][-1][1], status[name][-1][1] = None, 2
            raw[name][-1][2], status[name][-1][2] = None, 3
            raw[name][0][3], status[name][0][3] = None, 1
    made = {
        "schema": "segjax-leaderboard/1",
        "title": "Kidney tumours, 2026",
        "created": "2026-11-22T20:00:00+00:00",
        "segjax": "0.1.0",
        "versions": {"python": "3.11", "jax": "0.10.2", "numpy": "2.4.6"},
        "command": "segjax leaderboard scores.csv --output board",
        "seconds": 4.2,
        "dataset": {
            "name": "KiTS23",
            "url": "https://kits-challenge.org",
            "license": "CC BY-NC-SA 4.0",
            "citation": "Heller et al. (2023)",
        },
        "options": {
            "statistic": "mean",
            "level": 0.95,
            "alpha": 0.05,
            "interval": "studentized",
            "verdict": "max_t",
            "replicates": 100_000,
            "permutations": 20_000,
            "seed": 0,
            "missing": "worst",
            "undefined": "omit",
            "minimum_n": 10,
            "plan": {"kind": "iid", "column": None, "units": n},
            "compat": None,
        },
        "sources": [{"path": "scores.csv", "sha256": "ab" * 32}],
        "scores_sha256": "cd" * 32,
        "models": [
            {
                "name": name,
                "version": f"v{i + 1}.0" if i % 2 else None,
                "license": "Apache-2.0",
                "url": None,
                "contaminated": i >= ranked and i % 2 == 0,
                "contaminated_on": ["KiTS21"] if i >= ranked and i % 2 == 0 else [],
                "ranked": i < ranked,
            }
            for i, name in enumerate(names)
        ],
        "measures": [_measure(name) for name in named],
        "cases": cases,
        "metadata": {"scanner": scanner, "age": [40 + i % 30 for i in range(n)]},
        "scores": raw,
        "status": status,
        "results": results,
        "schemes": [],
        "slices": [],
        "calibration": None,
        "notes": [],
    }
    if extras:
        made["schemes"] = [x for m in named for x in _schemes(m, scores[m], names[:ranked])]
        made["slices"] = [_slice(m, scores[m], scanner, names[:ranked]) for m in named]
        made["calibration"] = _calibration(named, names[:ranked])
        made["notes"] = ["Two models share a training set.", "hd95 was filled with the diagonal."]
    return made | more


def _scores(
    rng: np.random.Generator, models: int, n: int, distance: bool, spread: float
) -> np.ndarray:
    hard = rng.gamma(2.0, 0.05, n)
    skill = 0.6 + spread * np.arange(models)[:, None] + 0.3 * rng.random((models, n))
    lost = np.clip(hard * skill + 0.03 * rng.random((models, n)), 0, 1)
    return 60 * lost if distance else 1 - lost


def _measure(name: str) -> dict[str, Any]:
    distance = name in _DISTANCE
    metric, _, label = name.partition(", ")
    return {
        "name": name,
        "metric": metric,
        "label": label or None,
        "better": "lower" if distance else "higher",
        "best": 0.0 if distance else 1.0,
        "worst": None if distance else 0.0,
        "unit": "mm" if distance else "",
        "title": "95th percentile of the distances between surfaces"
        if distance
        else "Dice similarity coefficient: 2 TP / (2 TP + FP + FN)",
    }


def _ends(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2]).tolist()
    return low, high


def _result(
    measure: str,
    scores: np.ndarray,
    weights: np.ndarray,
    names: list[str],
    cases: list[str],
    ranked: int,
    n: int,
) -> dict[str, Any]:
    sign = -1 if measure in _DISTANCE else 1
    means, drawn = scores.mean(1), weights @ scores.T / n
    order = sorted(range(ranked), key=lambda i: -sign * means[i])
    places = 1 + (sign * drawn[:, None, order] > sign * drawn[:, order, None]).sum(-1)
    pairs = _pairs(scores, names, order, sign, n)
    found = {(p["a"], p["b"]): p["separable"] for p in pairs}
    tiers, head = {}, None
    for i in order:
        if head is None or found[names[head], names[i]]:
            head, tier = i, len(set(tiers.values())) + 1
        tiers[i] = tier
    rows = []
    for i in [*order, *range(ranked, len(names))]:
        place = order.index(i) if i < ranked else None
        low, high = _ends(drawn[:, i])
        wide = 0.2 * (high - low)
        seen = None if place is None else places[:, place]
        better = sum(found.get((names[j], names[i]), False) for j in order)
        worse = sum(found.get((names[i], names[j]), False) for j in order)
        rows.append(
            {
                "model": names[i],
                "rank": None if place is None else float(place + 1),
                "tier": tiers.get(i),
                "excluded": None if i < ranked else ("suspect", "contaminated")[i % 2 == 0],
                "n": n,
                "n_filled": int(i == len(names) - 1) * min(2, n - 1),
                "estimate": float(means[i]),
                "interval": None
                if n == 1
                else {"low": low - wide, "high": high + wide, "method": "studentized"},
                "percentile": None
                if n == 1
                else {"low": low, "high": high, "method": "percentile"},
                "mean": float(means[i]),
                "median": float(np.median(scores[i])),
                "sd": None if n == 1 else float(scores[i].std(ddof=1)),
                "min": float(scores[i].min()),
                "max": float(scores[i].max()),
                "failures": {
                    "n": 0,
                    "of": n,
                    "upper": 1 - 0.05 ** (1 / n),
                    "below": 50.0 if sign < 0 else 0.1,
                },
                "p_best": None if seen is None else float((seen == 1).mean()),
                "mean_rank": None if seen is None else float(seen.mean()),
                "rank_low": None if seen is None else _ends(seen)[0],
                "rank_high": None if seen is None else _ends(seen)[1],
                "set_low": None if seen is None else 1 + better,
                "set_high": None if seen is None else ranked - worse,
            }
        )
    at = sorted({5, 10, 20, 50, 100, 200, 500, 1000, max(2, n)})
    return {
        "measure": measure,
        "n": n,
        "units": n,
        "dropped": [],
        "table": rows,
        "ranking": {
            "models": [names[i] for i in order],
            "probability": [
                [float((places[:, k] == r + 1).mean()) for r in range(ranked)]
                for k in range(ranked)
            ],
            "tau": {"mean": 0.81, "low": 0.33, "high": 1.0},
            "leave_one_out": {"winner": [], "order": cases[:1]},
            "upset": {"cases": cases[:2], "winner": names[order[1]]} if ranked > 1 else None,
        },
        "pairs": pairs,
        "gap": [[k, (3.0 if sign < 0 else 0.12) / k**0.5] for k in at] if ranked > 1 else [],
    }


def _pairs(
    scores: np.ndarray, names: list[str], order: list[int], sign: int, n: int
) -> list[dict[str, Any]]:
    pairs = []
    for x, i in enumerate(order):
        for j in order[x + 1 :]:
            d = scores[i] - scores[j]
            mean, sd = float(d.mean()), float(d.std(ddof=1)) if n > 1 else 0.0
            reach = 3 * sd / n**0.5
            separable = n > 1 and abs(mean) > reach
            pairs.append(
                {
                    "a": names[i],
                    "b": names[j],
                    "difference": mean,
                    "low": mean - reach,
                    "high": mean + reach,
                    "p": float(np.clip(0.05 * (reach / max(abs(mean), 1e-9)) ** 4, 5e-5, 1)),
                    "separable": separable,
                    "better": names[i] if separable else None,
                    "effect": sign * mean / sd if sd else None,
                    "superiority": float((sign * d > 0).mean() + 0.5 * (d == 0).mean()),
                    "units_needed": None
                    if abs(mean) < 1e-3 * sd or not sd
                    else int(np.ceil(8 * (sd / mean) ** 2)),
                }
            )
    return pairs


def _schemes(measure: str, scores: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    own = (-scores if measure in _DISTANCE else scores)[: len(names)]
    place = lambda values: (1 + (values[:, None] < values[None]).sum(1)).astype(float)
    by_case = 1.0 + (own[:, None] < own[None]).sum(1)
    ranks = {
        "mean then rank": place(own.mean(1)),
        "median then rank": place(np.median(own, axis=1)),
        "rank then mean": place(-by_case.mean(1)),
        "test-based": place(own.mean(1)),
    }
    top = len(names)
    return [
        {
            "measure": measure,
            "scheme": scheme,
            "models": names,
            "ranks": r.tolist(),
            "low": None if scheme == "test-based" else np.maximum(r - 1, 1).tolist(),
            "high": None if scheme == "test-based" else np.minimum(r + 1, top).tolist(),
        }
        for scheme, r in ranks.items()
    ]


def _slice(measure: str, scores: np.ndarray, values: list[str], names: list[str]) -> dict[str, Any]:
    groups = []
    for value in sorted(set(values)):
        own = scores[: len(names), [v == value for v in values]]
        n, mean = own.shape[1], own.mean(1)
        reach = 2 * own.std(1) / n**0.5
        groups.append(
            {
                "value": value,
                "n": n,
                "shown": n >= 10,
                "models": [
                    {
                        "model": name,
                        "estimate": float(m),
                        "low": float(m - r) if n > 1 else None,
                        "high": float(m + r) if n > 1 else None,
                    }
                    for name, m, r in zip(names, mean, reach, strict=True)
                ],
            }
        )
    tests = [
        {"model": name, "p": 0.012 if i == 0 else 0.4, "differs": i == 0}
        for i, name in enumerate(names)
    ]
    return {"column": "scanner", "measure": measure, "groups": groups, "tests": tests}


def _calibration(measures: list[str], names: list[str]) -> dict[str, Any]:
    found = {"studentized": 0.943, "percentile": 0.889}
    return {
        "boards": 1000,
        "coverage": [
            {
                "measure": m,
                "model": None,
                "method": method,
                "nominal": 0.95,
                "coverage": c - 0.004 * i,
                "error": 0.007,
            }
            for i, m in enumerate(measures)
            for method, c in found.items()
        ],
        "family_wise": {"nominal": 0.05, "found": 0.044, "error": 0.0065},
        "words": ["A nominal 95 % studentized interval held the mean in 94 % of 1,000 boards."],
    }
