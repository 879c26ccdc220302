"""How well predicted scores agree with true ones."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Agreement(NamedTuple):
    """Agreement of predicted with true scores.

    Attributes:
        auc: area under the hit rate over tolerances from 0 to 1 (see `hit_rate`). For errors of
            at most 1 it is 1 - `mae`: the mean over t of [|error| <= t] is 1 - |error|.
        r: Pearson's correlation; NaN where either is constant.
        rho: Spearman's.
        mae: mean absolute error.
        rmse: root of the mean squared error.
        bias: mean of predicted - true.
        pairs: how many were compared.
    """

    auc: float
    r: float
    rho: float
    mae: float
    rmse: float
    bias: float
    pairs: int


def agreement(predicted: Float[np.ndarray, " pair"], true: Float[np.ndarray, " pair"]) -> Agreement:
    """All measures of agreement; NaN of nothing."""
    if not true.size:
        return Agreement(*(math.nan,) * 6, pairs=0)
    error = np.asarray(predicted, float) - true
    auc = np.clip(1 - np.abs(error), 0, 1).mean()
    return Agreement(
        float(auc),
        correlation(predicted, true),
        correlation(_ranks(predicted), _ranks(true)),
        float(np.abs(error).mean()),
        float(np.sqrt((error**2).mean())),
        float(error.mean()),
        true.size,
    )


def hit_rate(
    predicted: Float[np.ndarray, " pair"],
    true: Float[np.ndarray, " pair"],
    tolerances: Float[np.ndarray, " tolerance"],
) -> Float[np.ndarray, " tolerance"]:
    """Share of the predictions within each tolerance of the truth."""
    errors = np.sort(np.abs(predicted - true))
    return np.searchsorted(errors, tolerances, side="right") / max(errors.size, 1)


def correlation(x: Float[np.ndarray, " pair"], y: Float[np.ndarray, " pair"]) -> float:
    """Pearson's correlation; NaN where either is constant or there are fewer than two."""
    x, y = (np.asarray(v, float) - np.mean(v) for v in (x, y))
    scale = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / scale) if scale > 0 else float("nan")


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties at their mean."""
    ordered = np.sort(x)
    return (np.searchsorted(ordered, x) + np.searchsorted(ordered, x, side="right") + 1) / 2
