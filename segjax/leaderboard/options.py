"""What may be chosen of a leaderboard, and what follows from the choice."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from segjax._errors import InputError
from segjax.leaderboard.intervals import METHODS
from segjax.leaderboard.measures import quoted
from segjax.leaderboard.policy import MISSING, UNDEFINED, Suspect
from segjax.leaderboard.slices import Slice


VERDICTS = ("max_t", "permutation", "sign_flip", "wilcoxon", "bonferroni")
REPLICATES = 100_000  # the third decimal of an end of an interval of Dice is then settled
_SEGAUGE = 2_000
_RANGES = {
    "replicates": (1, 10**7),
    "permutations": (1, 10**7),
    "minimum_n": (1, 10**9),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How scores are judged.

    Attributes:
        statistic: "mean", "median", or a quantile as in "q0.1".
        level: of the intervals; 1 - level is the family-wise error of the verdict.
        interval: one of `intervals.METHODS`; None for `intervals.default_method`.
        verdict: test that says which models differ: "max_t" (`separability.guarded_max_t`),
            "permutation" (`separability.max_t`), "sign_flip" or "wilcoxon" (each with Holm), or
            "bonferroni" (percentile intervals, as segauge's).
        missing: see `policy.complete`.
        undefined: likewise.
        worst: likewise.
        suspect: likewise.
        failure: by metric, the score at which a case has failed; by default its worst score.
        slices: columns to group cases by.
        minimum_n: groups of fewer cases are greyed, and not tested.
        clusters: column of what is independent, if cases are not (patients, centres).
        strata: column within whose values cases are resampled.
        within: whether cases are resampled within clusters, too.
        replicates: of the bootstrap; None for 100,000 (2,000 for segauge).
        permutations: of the tests.
        seed: makes the board reproducible: a number, or the words of a JAX key.
        calibrate: whether to simulate how often intervals and verdicts are right on scores like
            these.
        compat: None, or "segauge" for the numbers it would print.
    """

    statistic: str = "mean"
    level: float = 0.95
    interval: str | None = None
    verdict: str = "max_t"
    missing: str = "worst"
    undefined: str = "best"
    worst: Mapping[str, float] = field(default_factory=dict)
    suspect: Suspect | None = None
    failure: Mapping[str, float] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()
    minimum_n: int = 10
    clusters: str | None = None
    strata: str | None = None
    within: bool = False
    replicates: int | None = None
    permutations: int = 10_000
    seed: int | tuple[int, ...] = 0
    calibrate: bool = False
    compat: str | None = None

    @property
    def quantile(self) -> float | None:
        """Which quantile the statistic is; None for the mean."""
        if self.statistic == "mean":
            return None
        return 0.5 if self.statistic == "median" else float(self.statistic[1:])

    @property
    def alpha(self) -> float:
        """Family-wise error of the verdict."""
        return round(1 - self.level, 12)

    def settled(self) -> "Options":
        """These options with nothing left open, and none that contradicts another.

        Raises:
            InputError: for an unknown name, or a number out of its range.
        """
        for name, known in (
            ("verdict", VERDICTS),
            ("interval", (*METHODS, None)),
            ("compat", (None, "segauge")),
            ("missing", MISSING),
            ("undefined", UNDEFINED),
        ):
            if (value := getattr(self, name)) not in known:
                names = ", ".join(k for k in known if k)
                raise InputError(f"{name} must be one of {names}, got {quoted(value)}")
        if not re.fullmatch(r"mean|median|q0?\.\d{0,9}[1-9]\d{0,9}", self.statistic):
            raise InputError(
                "statistic must be mean, median or a quantile such as q0.1, got "
                f"{quoted(self.statistic)}"
            )
        if not 0 < self.level < 1:
            raise InputError(f"level must be between 0 and 1, as 0.95, got {self.level}")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, int) and not least <= value <= most:
                raise InputError(f"{name} must be a number from {least} to {most}, got {value}")
        words = self.seed if isinstance(self.seed, tuple) else (0, 0)
        if len(words) != 2 or not all(0 <= word < 2**32 for word in words):
            raise InputError(f"seed must be a number, or a key of two words, got {quoted(words)}")
        if self.within and self.interval == "studentized":
            raise InputError(
                "a studentized interval needs an error of each resample, and resampling within "
                "clusters has none; choose t, percentile or bca"
            )
        if self.quantile is not None and self.interval in ("studentized", "t"):
            raise InputError(
                f"a {self.interval} interval is one of means; for a {self.statistic} choose "
                "percentile, expanded percentile, basic or bca"
            )
        if self.quantile is not None and self.verdict == "bonferroni":
            raise InputError(
                f"bonferroni is a verdict on means; for a {self.statistic} choose max_t, "
                "sign_flip or wilcoxon"
            )
        if self.compat is None:
            return dataclasses.replace(self, replicates=self.replicates or REPLICATES)
        if self.quantile is not None or self.clusters or self.strata:
            raise InputError(
                "segauge knows means of independent cases alone; leave out compat, or the "
                "statistic, clusters and strata"
            )
        return dataclasses.replace(
            self,
            replicates=self.replicates or _SEGAUGE,
            missing="drop-case",
            undefined="drop-case",
            interval="percentile",
            verdict="bonferroni",
        )
