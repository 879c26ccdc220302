"""Which models differ: paired differences, permutation tests over whole boards, cases needed.

Scores are oriented: higher is better. What is permuted or flipped is the unit: a case, or all
cases of one patient, centre or sequence together.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, Shaped

from segjax import _devices
from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace
from segjax.ops import packing


# Above this many models, all their permutations are too many to tabulate (6! = 720).
_FEW = 6
_AT_ONCE = 2**19  # numbers gathered at a time: a few arrays of 4 MB, or of one arrangement
# Exact ties differ by rounding from one machine to the next. Sums of scores are taken as zero
# below this share of the largest score, and statistics as equal within _TIE.
_ZERO = 1e-12
_TIE = 1e-9
# Two models' sum of squared differences, taken from a Gram matrix, is rounding below this share.
_CANCELLED = 1e-13


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Differences:
    """Paired differences a - b of every pair of models; see `differences`."""

    mean: Float[AnyArray, "*board pair"]
    sd: Float[AnyArray, "*board pair"]
    se: Float[AnyArray, "*board pair"]
    t: Float[AnyArray, "*board pair"]
    effect: Float[AnyArray, "*board pair"]
    superiority: Float[AnyArray, "*board pair"]
    n: int = field(metadata={"static": True})
    units: int = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MaxT:
    """Adjusted p-values of every pair in every measure; see `max_t`.

    `p` <= 1 - level exactly where |t| > `critical`.
    """

    p: Float[AnyArray, "*board measure pair"]
    t: Float[AnyArray, "*board measure pair"]
    critical: Float[AnyArray, "*board"]
    arrangements: int = field(metadata={"static": True})
    exact: bool = field(metadata={"static": True})


def pairs(models: int) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Indices a < b of the K (K - 1) / 2 pairs of models: (0, 1), (0, 2), ... (1, 2), ..."""
    return np.triu_indices(models, 1)


def differences(
    scores: Float[np.ndarray, "*board model case"],
    units: Int[np.ndarray, " case"] | None = None,
) -> Differences:
    """Mean paired difference of every pair of models, with its standard error.

    d = a - b per case; mean = sum d / N; sd is that of d (N - 1 below). With U units of
    residual sums e_u = sum over the unit's cases of (d - mean),

        se = sqrt(U / (U - 1) sum e_u^2) / N,

    which is sd / sqrt(N) where every case is a unit of its own, and else does not ask what
    the cases of a unit have in common. t = mean / se; effect = mean / sd, the standardised
    mean difference of paired data (d_z); superiority is the share of cases where a is
    better, ties half.

    A ratio 0 / 0, as between models that score the same everywhere, is 0, and infinite where
    a difference other than 0 is the same in all cases. With one case there is no sd, with one
    unit no se: NaN.

    Args:
        scores: complete and finite; leading axes (boards) are kept.
        units: the unit of each case; None: every case is one.

    Raises:
        InputError: if there is no case, or a score is not finite.

    References:
        Cohen, J. (1988). Statistical Power Analysis for the Behavioral Sciences, section 2.3.5.
        Liang, K.-Y. & Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
        models. Biometrika 73(1), 13-22. doi:10.1093/biomet/73.1.13
    """
    _check(scores)
    a, b = pairs(scores.shape[-2])
    n = scores.shape[-1]
    labels, position = np.unique(np.arange(n) if units is None else units, return_inverse=True)
    d = scores[..., a, :] - scores[..., b, :]
    scale = np.abs(scores).max((-2, -1), initial=0)[..., None]
    zeroed = lambda x: np.where(np.abs(x) <= _ZERO * scale, 0, x)
    mean = zeroed(d.mean(-1))
    residual = d - mean[..., None]
    of_units = _unit_sums(residual, position, labels.size)
    sd = zeroed(np.sqrt(_over(np.square(residual).sum(-1), n - 1)))
    se = zeroed(np.sqrt(_over(labels.size * np.square(of_units).sum(-1), labels.size - 1)) / n)
    superiority = (d > 0).mean(-1) + (d == 0).mean(-1) / 2
    return Differences(
        mean, sd, se, _quotient(mean, se), _quotient(mean, sd), superiority, n, labels.size
    )


def simultaneous(
    d: Differences, critical: float | Float[AnyArray, "*board"]
) -> tuple[Float[np.ndarray, "*board pair"], Float[np.ndarray, "*board pair"]]:
    """Intervals mean +- critical x se that hold for all pairs at once.

    Unbounded where there is no se, and where no |t| would be enough (critical is infinite).

    Args:
        d: of one measure.
        critical: of the family the measure is in; see `max_t`.

    Returns:
        Low and high ends. 0 is outside exactly where `p` <= 1 - level.
    """
    factor = np.asarray(critical)[..., None]
    unbounded = np.isnan(d.se) | np.isinf(factor)
    margin = np.where(unbounded, np.inf, np.where(unbounded, 1, factor) * d.se)
    return d.mean - margin, d.mean + margin


def max_t(
    key: PRNGKeyArray,
    family: Sequence[Float[np.ndarray, "*board model _"]],
    *,
    units: Sequence[Int[np.ndarray, " _"]] | None = None,
    permutations: int = 10_000,
    level: float = 0.95,
) -> MaxT:
    """Single-step max-|t| permutation test of all pairs in all measures at once.

    Where models do not differ, their names may be exchanged within a unit. Each arrangement
    permutes the models of every unit, in the same way for all its cases and all measures, and
    yields the largest |t| of any pair in any measure. The adjusted

        p = #{arrangements whose max|t*| >= |t|} / #{arrangements},

    the arrangement observed being one of them. t is that of `differences`.

    What it controls: the probability of calling any pair separable when no model differs from
    another (the family-wise error in the weak sense), exactly, whatever the distribution of
    scores and however the measures depend on each other. When some models do differ, the
    others' pairs are judged against arrangements that mix all models, and nothing is promised:
    with one of 20 models far worse than the rest, a pair of the rest was called separable on up
    to 27 % of simulated boards. `guarded_max_t` is what holds then, too.

    Any subgroup of the permutations gives an exact test. Up to 6 models all K! are used; for
    more, each unit has a cyclic group of K, conjugated by a random permutation (drawn once),
    so that an arrangement is one row of a table per unit. All arrangements are enumerated
    where they are no more than `permutations` (up to a common renaming, which does not change
    the largest |t|), else that many are drawn.

    Time goes with permutations x measures x units x K^2: 30 s on two CPU cores for 10,000, 4
    measures, 1000 units and 50 models. Memory is that of the table, 8 bytes x measures x units
    x K x (the order of a unit's group), there 80 MB, and some 20 MB for what is gathered at a
    time.

    Args:
        key: makes the result reproducible.
        family: one matrix of scores per measure, same models; leading axes are boards, each
            tested by itself.
        units: the unit of each case, one array per measure, which may keep different cases;
            None: every case is a unit, and all measures keep the same.
        permutations: arrangements drawn where there are more.
        level: 1 - the family-wise error of `critical`.

    Returns:
        p, t, and the critical |t|, which is infinite where `permutations` or the units are too
        few for any p to be as small as 1 - level. A measure of less than 2 units has p = 1.

    Raises:
        InputError: if measures disagree on models, boards or cases, a score is not finite,
            `permutations` is not positive or `level` not between 0 and 1.

    References:
        Westfall, P. H. & Young, S. S. (1993). Resampling-Based Multiple Testing, section 2.3.
        Hemerik, J. & Goeman, J. (2018). Exact testing with random permutations. TEST 27(4),
        811-825. doi:10.1007/s11749-017-0571-1
    """
    t, sums, sizes = _observed(family, units, level)
    *boards, _, models, _ = sums.shape
    few = models <= _FEW
    plan = _plan(
        sizes,
        order=math.factorial(models) if few else models,
        fixed=int(few),
        permutations=permutations,
        width=sums[(0,) * len(boards)].size,
    )
    return _adjusted(t, _arranged(_largest, key, sums, sizes, plan), plan, level)


def flip_max_t(
    key: PRNGKeyArray,
    family: Sequence[Float[np.ndarray, "*board model case"]],
    *,
    units: Sequence[Int[np.ndarray, " case"]] | None = None,
    permutations: int = 10_000,
    level: float = 0.95,
) -> MaxT:
    """Single-step max-|t| test of all pairs in all measures by flips of the units' signs.

    As `max_t`, but an arrangement gives the differences of each unit, those of all pairs and
    measures together, one sign. What a flip makes of a pair depends on no other model, so that
    pairs that do not differ are judged alike whether others do or not (subset pivotality).

    What it controls: the family-wise error whichever models differ, if a unit's differences are
    as likely with the opposite signs. For each pair alone that follows from two models that do
    not differ; for all pairs together it is an assumption, from which skew scores depart: in
    simulations of up to 20 models the error was as near to its level as that of `max_t`.

    Args:
        key: makes the result reproducible.
        family: see `max_t`.
        units: see `max_t`.
        permutations: flips drawn where there are more than 2^(units - 1).
        level: see `max_t`.

    Raises:
        InputError: see `max_t`.

    References:
        Westfall, P. H. & Young, S. S. (1993). Resampling-Based Multiple Testing, section 2.3.
        Romano, J. P. & Wolf, M. (2005). Exact and approximate stepdown methods for multiple
        hypothesis testing. JASA 100(469), 94-108. doi:10.1198/016214504000000539
    """
    t, sums, sizes = _observed(family, units, level)
    *_, measures, models, size = sums.shape
    plan = _plan(
        sizes, order=2, fixed=1, permutations=permutations, width=size + measures * models**2
    )
    return _adjusted(t, _arranged(_largest_flipped, key, sums, sizes, plan), plan, level)


def guarded_max_t(
    key: PRNGKeyArray,
    family: Sequence[Float[np.ndarray, "*board model case"]],
    *,
    units: Sequence[Int[np.ndarray, " case"]] | None = None,
    permutations: int = 10_000,
    level: float = 0.95,
) -> MaxT:
    """Pairs that differ by `max_t` and by `flip_max_t`: the larger p of the two.

    Exact where no model differs, as the former; and where one model is far worse than the
    others, which makes the former call those separable in up to 27 % of boards of 20 models,
    held by the latter. With fewer than six units nothing is separable.

    Args:
        key: makes the result reproducible.
        family: see `max_t`.
        units: see `max_t`.
        permutations: see `max_t`.
        level: see `max_t`.

    Raises:
        InputError: see `max_t`.
    """
    naming, flipping = jax.random.split(key)
    options = {"units": units, "permutations": permutations, "level": level}
    a, b = max_t(naming, family, **options), flip_max_t(flipping, family, **options)
    return MaxT(
        np.maximum(a.p, b.p),
        a.t,
        np.maximum(a.critical, b.critical),
        min(a.arrangements, b.arrangements),
        a.exact and b.exact,
    )


def _observed(
    family: Sequence[np.ndarray], units: Sequence[np.ndarray] | None, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The t of every measure and pair, and what is rearranged: see `_by_unit`."""
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}")
    sums, sizes = _by_unit(family, units)
    columns = [None] * len(family) if units is None else units
    t = np.stack([differences(*one).t for one in zip(family, columns, strict=True)], axis=-2)
    return np.where(np.isnan(t), 0, t), sums, sizes


def _arranged(
    kernel: Callable[..., Array],
    key: PRNGKeyArray,
    sums: Float[np.ndarray, "*board measure model unit"],
    sizes: Float[np.ndarray, "measure unit"],
    plan: "_Plan",
) -> Float[np.ndarray, "*board arrangement"]:
    """Largest |t| of the arrangements of every board."""
    boards = sums.shape[:-3]
    of_boards = sums.reshape(math.prod(boards), *sums.shape[-3:])
    drawn = _in_chunks(kernel, key, plan, of_boards, sizes, plan.strides)
    return drawn.swapaxes(0, 1).reshape(*boards, -1)


def _adjusted(
    t: Float[np.ndarray, "*board measure pair"],
    drawn: Float[np.ndarray, "*board arrangement"],
    plan: "_Plan",
    level: float,
) -> MaxT:
    """p-values from the largest |t| of arrangements, of which the observed one is another."""
    boards, drawn = t.shape[:-2], drawn[..., : plan.draws]
    observed = np.abs(t).max((-2, -1), initial=0)
    largest = np.concatenate([observed[..., None], drawn], axis=-1)
    largest = np.sort(largest * (1 + _TIE) + _TIE, axis=-1)
    total = plan.draws + 1
    p = np.empty(t.shape)
    for i in np.ndindex(*boards):
        p[i] = (total - np.searchsorted(largest[i], np.abs(t[i]))) / total
    # |t| is beyond all but `rejected` arrangements exactly where p <= 1 - level.
    rejected = math.floor((1 - level) * total + _TIE)
    critical = largest[..., -1 - rejected] if rejected else np.full(boards, np.inf)
    return MaxT(p, t, critical, total, plan.exact)


def sign_flip(
    key: PRNGKeyArray,
    family: Sequence[Float[np.ndarray, "*board model _"]],
    *,
    units: Sequence[Int[np.ndarray, " _"]] | None = None,
    permutations: int = 10_000,
) -> Float[np.ndarray, "*board measure pair"]:
    """Sign-flip test of each pair in each measure by itself.

    Where two models do not differ, each unit's difference is as likely to have either sign.
    p = #{flips whose |mean*| >= |mean|} / #{flips}, the differences observed being one of
    them; all 2^(U - 1) are enumerated where they are no more than `permutations` (flipping
    all units changes nothing). Other models have no say, so that `holm` of the result controls
    the family-wise error whichever models differ. As no p is below 2^(1 - U) or 1 / (1 +
    permutations), nothing is found if these exceed alpha / (pairs in the family): 20 models
    need 13 units, and 3800 permutations.

    Not studentised, because flips keep the sum of squares: where every case is a unit, |t| is
    a growing function of |mean|, and the test is the same. It is exact for any units.

    Args:
        key: makes the result reproducible.
        family: see `max_t`.
        units: see `max_t`.
        permutations: flips drawn where there are more.

    Returns:
        p-values, not adjusted.

    Raises:
        InputError: see `max_t`.

    References:
        Fisher, R. A. (1935). The Design of Experiments, section 21.
    """
    sums, sizes = _by_unit(family, units)
    *boards, measures, models, size = sums.shape
    a, b = pairs(models)
    d = sums[..., a, :] - sums[..., b, :]
    d = np.where(np.abs(d) <= _ZERO * sizes[:, None], 0, d)
    plan = _plan(sizes, order=2, fixed=1, permutations=permutations, width=size + measures * a.size)
    of_boards = d.reshape(math.prod(boards), measures * a.size, size)
    draws = np.asarray(plan.draws)
    larger = _in_chunks(_as_large, key, plan, of_boards, plan.strides, draws).sum(0)
    larger = larger.astype(float).reshape(*boards, measures, a.size)
    return (1 + larger) / (1 + plan.draws)


def wilcoxon(
    family: Sequence[Float[np.ndarray, "model _"]],
    *,
    units: Sequence[Int[np.ndarray, " _"]] | None = None,
) -> Float[np.ndarray, "measure pair"]:
    """Wilcoxon signed-rank test of each pair in each measure, by `scipy.stats.wilcoxon`.

    On differences per case, or of the means of units; differences of 0 are left out, and p = 1
    where nothing is left. It tests symmetry about 0 and not the mean: `sign_flip` does that.

    Args:
        family: see `max_t`.
        units: see `max_t`.

    Returns:
        p-values, not adjusted; see `holm`.

    Raises:
        InputError: see `max_t`.

    References:
        Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biometrics Bulletin
        1(6), 80-83. doi:10.2307/3001968
    """
    import scipy.stats  # slow to import

    sums, sizes = _by_unit(family, units)
    a, b = pairs(sums.shape[1])
    p = np.ones((len(sums), a.size))
    for i, (x, size) in enumerate(zip(sums, sizes, strict=True)):
        # Rounded, so that ties are ties; with 12 digits left nothing else becomes one.
        means = x[:, size > 0] / size[size > 0]
        d = np.round(means[a] - means[b], 12)
        for j in np.flatnonzero(d.any(1)):
            result: Any = scipy.stats.wilcoxon(d[j])  # scipy has no types
            p[i, j] = result.pvalue
    return p


def holm(p: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Holm's step-down adjustment: max over j <= i of min(1, (m - j + 1) p_(j)).

    Args:
        p: the p-values of one family, of any shape.

    References:
        Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian
        Journal of Statistics 6(2), 65-70. jstor:4615733
    """
    flat = p.ravel()
    order = np.argsort(flat, kind="stable")
    steps = np.arange(flat.size, 0, -1) * flat[order]
    adjusted = np.empty_like(flat)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.reshape(p.shape)


def bonferroni_percentile(
    replicates: Float[np.ndarray, "replicate model"], level: float = 0.95
) -> tuple[
    Float[np.ndarray, " pair"], Float[np.ndarray, " pair"], Bool[np.ndarray, " pair"]
]:  # fmt: skip
    """Percentile intervals of every pair's difference, widened by Bonferroni.

    Each of the m pairs at level 1 - (1 - level) / m, as segauge does. For few cases they do
    not hold what they promise: where no model differs, a board of 20 cases has a separable
    pair in 10-15 % instead of 5 %. `max_t` holds it.

    Args:
        replicates: means of resampled cases, shared by all models.
        level: of all intervals together.

    Returns:
        Low and high ends, and whether 0 is outside.
    """
    a, b = pairs(replicates.shape[1])
    columns = np.ascontiguousarray(replicates.T)
    tail = (1 - level) / 2 / max(a.size, 1)
    ends = np.empty((2, a.size))
    for i, j in enumerate(zip(a, b, strict=True)):
        ends[:, i] = np.quantile(np.subtract(*columns[list(j)]), [tail, 1 - tail])
    low, high = ends
    return low, high, (low > 0) | (high < 0)


def units_needed(
    effect: float | Float[AnyArray, "*pair"],
    comparisons: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> Float[AnyArray, "*pair"]:
    """How many units it takes to find a difference of this size, by normal theory.

    ((z_(1 - alpha / (2 comparisons)) + z_power) / effect)^2, rounded up; at least 2, and
    infinite where the effect is 0. Normal theory is optimistic below some 20 units.

    Args:
        effect: mean difference over its standard deviation between units: t / sqrt(units),
            which is `Differences.effect` where every case is a unit.
        comparisons: how many pairs share `alpha` (Bonferroni).
        power: probability of finding it.
        alpha: family-wise error, two-sided.
    """
    with np.errstate(divide="ignore"):
        needed = (_quantiles(comparisons, power, alpha) / np.abs(effect)) ** 2
    return np.maximum(np.ceil(needed), 2)


def detectable(
    sd: float | Float[AnyArray, "#*pair"],
    n: int | Int[AnyArray, "#*pair"],
    comparisons: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> Float[AnyArray, "*pair"]:
    """Smallest true difference that n units find with this power, by normal theory.

    (z_(1 - alpha / (2 comparisons)) + z_power) sd / sqrt(n): the inverse of `units_needed`.

    Args:
        sd: standard deviation of the difference between units: se x sqrt(units).
        n: how many units; broadcast against `sd`.
        comparisons: how many pairs share `alpha` (Bonferroni).
        power: probability of finding it.
        alpha: family-wise error, two-sided.
    """
    return _quantiles(comparisons, power, alpha) * np.asarray(sd) / np.sqrt(n)


class _Plan(NamedTuple):
    """Which arrangements: all, or so many draws; none of them counts the one observed."""

    order: int  # of the group that acts on each unit
    exact: bool
    draws: int
    strides: Int[np.ndarray, " unit"]  # arrangement i has the element i // stride % order; 0: none
    chunk: int
    chunks: int


def _plan(
    sizes: Float[np.ndarray, "measure unit"],
    *,
    order: int,
    fixed: int,
    permutations: int,
    width: int,
) -> _Plan:
    """Enumerate the elements of a group per unit, the first `fixed` units aside, or draw them."""
    if permutations < 1:
        raise InputError(f"permutations must be positive, got {permutations}")
    free = np.flatnonzero(sizes.any(0))[fixed:]
    exact = order**free.size <= permutations
    draws = order**free.size - 1 if exact else permutations
    strides = np.zeros(sizes.shape[1], np.int64)
    if exact:
        strides[free] = order ** np.arange(free.size)
    chunk = max(1, min(_AT_ONCE // width, draws))
    return _Plan(order, exact, draws, strides, chunk, max(1, -(-draws // chunk)))


def _in_chunks(
    kernel: Callable[..., Array],
    key: PRNGKeyArray,
    plan: _Plan,
    of_boards: Float[np.ndarray, "board ..."],
    *data: np.ndarray,
) -> Shaped[np.ndarray, "chunk board _"]:
    """What a kernel says of each chunk of arrangements, over this host's devices.

    Each board has a key of its own; what is drawn does not depend on the number of devices.
    """
    devices = _devices.own_devices()
    size = _devices.even(plan.chunks, devices)
    numbers = np.minimum(np.arange(size), plan.chunks - 1)  # the last again for those left over
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        keys = np.asarray(jax.random.key_data(jax.random.split(key, len(of_boards))))
        program = _program(kernel, plan.order, plan.exact, plan.chunk, plan.chunks, devices)
        found = program(numbers, keys, (of_boards, *data))
    return np.asarray(found)[: plan.chunks]


@lru_cache(maxsize=64)
def _program(
    kernel: Callable[..., Array],
    order: int,
    exact: bool,
    chunk: int,
    chunks: int,
    devices: _devices.Devices,
) -> _devices.Spread:
    options = {"order": order, "exact": exact, "chunk": chunk, "chunks": chunks}

    def arranged(numbers: Any, keys: Any, data: Any) -> Any:
        found = kernel(numbers, jax.random.wrap_key_data(keys), *data, **options)
        return found.swapaxes(0, 1)

    return _devices.Spread(arranged, (True, False, False), devices)


def _elements(
    key: PRNGKeyArray,
    arrangements: Int[Array, " arrangement"],
    strides: Int[AnyArray, " unit"],
    order: int,
    exact: bool,
) -> Int[Array, "arrangement unit"]:
    """Which element of its group acts on each unit; 0 is the identity."""
    if exact:
        digits = arrangements[:, None] // jnp.maximum(strides, 1) % order
        return jnp.where(strides > 0, digits, 0)
    # Modulo favours some elements by less than 2e-7 (720 / 2^32).
    bits = jax.random.bits(key, (arrangements.size, strides.size), jnp.uint32)
    return (bits % order).astype(jnp.int32)


def _group(
    key: PRNGKeyArray, units: int, models: int
) -> Int[AnyArray, "#unit element model"]:  # fmt: skip
    """Permutations of the models that act on each unit: all, or a conjugated cyclic group."""
    if models <= _FEW:
        return np.array([list(itertools.permutations(range(models)))])
    cycle = jnp.argsort(jax.random.bits(key, (units, models), jnp.uint32), axis=-1)
    place = jnp.argsort(cycle, axis=-1)
    shifted = (place[:, None] + jnp.arange(models)[:, None]) % models
    return jnp.take_along_axis(cycle[:, None], shifted, axis=-1)


def _largest(
    numbers: Int[Array, " chunk"],
    keys: Key[Array, " board"],
    sums: Float[AnyArray, "board measure model unit"],
    sizes: Float[AnyArray, "measure unit"],
    strides: Int[AnyArray, " unit"],
    *,
    order: int,
    chunk: int,
    chunks: int,
    exact: bool,
) -> Float[Array, "board chunk arrangement"]:
    """Largest |t| of any pair in any measure, per arrangement of the chunks of these numbers."""
    units, models = sizes.shape[1], sums.shape[2]
    n = jnp.maximum(sizes.sum(1), 1)[:, None, None]
    there = (sizes > 0).sum(1)[:, None, None, None]
    usable = there > 1  # a measure of a single unit has no t
    inflated = there / jnp.maximum(there - 1, 1) / jnp.square(n)[..., None]

    def one_chunk(
        table: Float[Array, "measure unit element model"], first: Int[Array, ""], key: PRNGKeyArray
    ) -> Float[Array, " arrangement"]:
        g = _elements(key, first + jnp.arange(chunk), strides, order, exact)
        x = table[:, jnp.arange(units), g]
        mean = x.sum(2) / n
        residual = x - mean[:, :, None] * sizes[:, None, :, None]
        difference = mean[..., :, None] - mean[..., None, :]
        if models <= _FEW:
            squares = jnp.square(residual[..., :, None] - residual[..., None, :]).sum(2)
        else:
            gram = jnp.einsum("mcua,mcub->mcab", residual, residual, precision="highest")
            own = jnp.diagonal(gram, axis1=-2, axis2=-1)
            both = own[..., :, None] + own[..., None, :]
            squares = both - 2 * gram
            squares = jnp.where(squares <= _CANCELLED * both, 0, squares)
        zeroed = lambda squared: jnp.where(squared <= _ZERO**2, 0, squared)
        t_squared = _quotient(zeroed(usable * jnp.square(difference)), zeroed(inflated * squares))
        return jnp.sqrt(t_squared.max((0, 2, 3)))

    def one_board(board: tuple[PRNGKeyArray, Array]) -> Float[Array, "chunk arrangement"]:
        key, sums = board
        chosen, *rest = jax.random.split(key, 1 + chunks)
        acting = _group(chosen, units, models)
        table = jnp.take_along_axis(sums.swapaxes(1, 2)[:, :, None], acting[None], axis=-1)
        step = lambda each: one_chunk(table, *each)
        return jax.lax.map(step, (1 + chunk * numbers, jnp.stack(rest)[numbers]))

    return jax.lax.map(one_board, (keys, sums))


def _largest_flipped(
    numbers: Int[Array, " chunk"],
    keys: Key[Array, " board"],
    sums: Float[AnyArray, "board measure model unit"],
    sizes: Float[AnyArray, "measure unit"],
    strides: Int[AnyArray, " unit"],
    *,
    order: int,
    chunk: int,
    chunks: int,
    exact: bool,
) -> Float[Array, "board chunk arrangement"]:
    """As `_largest`, of flips: squares of differences stay, and sums are sums of models."""
    n = jnp.maximum(sizes.sum(1), 1)[:, None, None]
    there = (sizes > 0).sum(1)[:, None, None]
    inflated = there / jnp.maximum(there - 1, 1) / n**2
    of_sizes = jnp.square(sizes).sum(1)[:, None, None]
    between = lambda x: x[..., :, None] - x[..., None, :]

    def one_board(board: tuple[PRNGKeyArray, Array]) -> Float[Array, "chunk arrangement"]:
        key, sums = board
        to_others = lambda row: jnp.square(row[:, None] - sums).sum(-1)
        squares = jax.lax.map(to_others, sums.swapaxes(0, 1)).swapaxes(0, 1)
        weighted = sums * sizes[:, None]

        def one_chunk(each: tuple[Int[Array, ""], PRNGKeyArray]) -> Float[Array, " arrangement"]:
            first, key = each
            signs = 1.0 - 2 * _elements(key, first + jnp.arange(chunk), strides, order, exact)
            flipped = lambda x: jnp.einsum("cu,mku->cmk", signs, x, precision="highest")
            mean = between(flipped(sums)) / n
            mixed = between(flipped(weighted))
            spread = squares - 2 * mean * mixed + mean**2 * of_sizes
            spread = jnp.where(spread <= _CANCELLED * squares, 0, spread)
            zeroed = lambda squared: jnp.where(squared <= _ZERO**2, 0, squared)
            usable = there > 1
            t_squared = _quotient(zeroed(usable * mean**2), zeroed(inflated * spread))
            return jnp.sqrt(t_squared.max((1, 2, 3)))

        own = jax.random.split(key, chunks)[numbers]
        return jax.lax.map(one_chunk, (1 + chunk * numbers, own))

    return jax.lax.map(one_board, (keys, sums))


def _as_large(
    numbers: Int[Array, " chunk"],
    keys: Key[Array, " board"],
    d: Float[AnyArray, "board column unit"],
    strides: Int[AnyArray, " unit"],
    draws: Int[AnyArray, ""],
    *,
    order: int,
    chunk: int,
    chunks: int,
    exact: bool,
) -> Int[Array, "board chunk column"]:
    """How many flips of signs make a column's sum as large as it is."""

    def one_board(board: tuple[PRNGKeyArray, Array]) -> Int[Array, "chunk column"]:
        key, d = board
        enough = jnp.abs(d.sum(-1)) - _ZERO * jnp.abs(d).sum(-1)

        def one_chunk(each: tuple[Int[Array, ""], PRNGKeyArray]) -> Int[Array, " column"]:
            first, key = each
            flips = first + jnp.arange(chunk)
            signs = 1.0 - 2 * _elements(key, flips, strides, order, exact)
            sums = jnp.matmul(signs, d.T, precision="highest")
            return ((jnp.abs(sums) >= enough) & (flips <= draws)[:, None]).sum(0)

        own = jax.random.split(key, chunks)[numbers]
        return jax.lax.map(one_chunk, (1 + chunk * numbers, own))

    return jax.lax.map(one_board, (keys, d))


def _by_unit(
    family: Sequence[Float[np.ndarray, "*board model _"]],
    units: Sequence[Int[np.ndarray, " _"]] | None,
) -> tuple[Float[np.ndarray, "*board measure model unit"], Float[np.ndarray, "measure unit"]]:
    """Sums over each unit's cases, per measure, and their sizes, padded with units of none.

    Scores are divided by the largest of their measure, which leaves every test as it is, and
    lose the mean of their case over all models, which no permutation changes.
    """
    if len({scores.shape[:-1] for scores in family}) != 1:
        raise InputError(
            "measures of one family need the same models: "
            f"got scores of shapes {[scores.shape for scores in family]}"
        )
    if units is None:
        units = [np.arange(scores.shape[-1]) for scores in family]
        if len({u.size for u in units}) != 1:
            raise InputError("measures keep different cases: say the units of each")
    labels, position = np.unique(np.concatenate(units), return_inverse=True)
    positions = np.split(position, np.cumsum([u.size for u in units])[:-1])
    size = packing.bucket(labels.size, smallest=8, steps=8)
    sums = []
    for scores, where in zip(family, positions, strict=True):
        _check(scores)
        scale = np.abs(scores).max((-2, -1), keepdims=True, initial=0)
        centred = (scores - scores.mean(-2, keepdims=True)) / np.where(scale > 0, scale, 1)
        sums.append(_unit_sums(centred, where, size))
    sizes = np.stack([np.bincount(where, minlength=size) for where in positions])
    return np.stack(sums, axis=-3), sizes.astype(float)


def _unit_sums(
    values: Float[np.ndarray, "*any case"], position: Int[np.ndarray, " case"], units: int
) -> Float[np.ndarray, "*any unit"]:
    """Sums of the cases at each position 0 ... units - 1."""
    order = np.argsort(position, kind="stable")
    present, first = np.unique(position[order], return_index=True)
    sums = np.zeros((*values.shape[:-1], units))
    sums[..., present] = np.add.reduceat(values[..., order], first, axis=-1)
    return sums


def _check(scores: Float[np.ndarray, "*board model case"]) -> None:
    if scores.shape[-1] == 0:
        raise InputError("no case to compare models on")
    if not np.isfinite(scores).all():
        raise InputError("models can be compared on finite scores alone: choose how to fill others")


def _over(numerator: Float[np.ndarray, "*any"], denominator: int) -> Float[np.ndarray, "*any"]:
    return numerator / denominator if denominator else np.full_like(numerator, np.nan)


def _quotient(mean: Float[AnyArray, "*any"], spread: Float[AnyArray, "*any"]) -> Any:
    """Ratio of a mean to its spread, where 0 / 0 is 0."""
    xp = namespace(mean, spread)
    constant = spread == 0
    beyond = xp.where(mean == 0, 0, xp.copysign(xp.inf, mean))
    return xp.where(constant, beyond, mean / xp.where(constant, 1, spread))


def _quantiles(comparisons: int, power: float, alpha: float) -> float:
    return float(scipy.special.ndtri(1 - alpha / (2 * comparisons)) + scipy.special.ndtri(power))
