"""The ranked models of a measure, best first."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from segjax.leaderboard.ranking import RankDistribution


@dataclass(frozen=True)
class Standing:
    """The ranked models of one measure, best first.

    Attributes:
        order: places of the models.
        scores: of the kept cases, oriented: higher is better.
        units: of the kept cases.
        estimates: oriented.
        replicates: of the estimates, oriented.
        ranks: of the estimates.
        distribution: of the ranks, over resamples.
    """

    order: Int[np.ndarray, "ranked"]
    scores: Float[np.ndarray, "ranked kept"]
    units: Int[np.ndarray, "kept"]
    estimates: Float[np.ndarray, "ranked"]
    replicates: Float[np.ndarray, "replicate ranked"]
    ranks: Float[np.ndarray, "ranked"]
    distribution: RankDistribution


def nobody(scores: Float[np.ndarray, "0 kept"], units: Int[np.ndarray, "kept"]) -> Standing:
    """Of a measure by which no model is ranked."""
    none, undefined = np.zeros(0), np.array(np.nan)
    spread = RankDistribution(np.zeros((0, 0)), none, none, none, *[undefined] * 3)
    return Standing(np.zeros(0, int), scores, units, none, np.zeros((0, 0)), none, spread)
