import jax
import jax.numpy as jnp
import numpy as np
import pytest

from segjax import InputError, _devices
from segjax.leaderboard import resampling
from segjax.leaderboard.resampling import (
    _scaled,
    bootstrap_means,
    make_plan,
    poisson_weights,
    quantile_replicates,
    replicates,
    reweighted,
)


KEY = jax.random.key(7)
CLUSTERS = np.repeat(["a", "b", "c", "d", "e"], [3, 5, 1, 4, 7])
STRATA = np.repeat([1, 0, 1], [8, 5, 7])
PLANS = {
    "cases": make_plan(20),
    "strata": make_plan(20, strata=STRATA),
    "clusters": make_plan(20, clusters=CLUSTERS),
    "clusters in strata": make_plan(20, clusters=CLUSTERS, strata=CLUSTERS > "b"),
    "cases within clusters": make_plan(20, clusters=CLUSTERS, within=True),
}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


def counts_of(plan, key=KEY, count=400):
    """How often each case is drawn, read off from sums of ones."""
    cases = plan.unit.size
    padded = np.eye(cases)
    shares, _ = replicates(key, plan, padded, count=count)
    if plan.clustered:  # shares are of as many cases as the clusters that were drawn hold
        alone = plan.unit == np.argmin(np.bincount(plan.unit))  # a cluster of one case
        totals = shares / np.where(shares[:, alone] > 0, shares[:, alone], np.nan)
        return shares, totals
    return np.rint(shares * cases), None


def test_draws_are_scaled_exactly(rng):
    bits = rng.integers(0, 2**32, 1000, dtype=np.uint32)
    bits[:2] = 0, 2**32 - 1
    for n in (1, 2, 7, 1000, 65_537, 2**31):
        scaled = np.asarray(_scaled(jnp.asarray(bits), jnp.uint32(n)))
        np.testing.assert_array_equal(scaled, (bits.astype(object) * n) >> 32)


def test_as_many_cases_are_drawn_as_there_are():
    counts, _ = counts_of(PLANS["cases"])
    np.testing.assert_array_equal(counts.sum(1), 20)
    np.testing.assert_allclose(counts.mean(0), 1, atol=5 / np.sqrt(400))
    np.testing.assert_allclose(counts.var(0).mean(), 1 - 1 / 20, rtol=0.1)


def test_strata_keep_their_size():
    counts, _ = counts_of(PLANS["strata"])
    np.testing.assert_array_equal(counts[:, STRATA == 0].sum(1), 5)
    assert counts.var(0).min() > 0.5


def test_cases_of_a_cluster_stay_together():
    shares, _ = counts_of(PLANS["clusters"])
    for name in "abcde":
        of_cluster = shares[:, CLUSTERS == name]
        np.testing.assert_allclose(of_cluster - of_cluster[:, :1], 0, atol=1e-12)
    # Five clusters are drawn: their counts, from shares and sizes, add up to five.
    sizes = np.array([3, 5, 1, 4, 7])
    per_cluster = np.stack([shares[:, CLUSTERS == name][:, 0] for name in "abcde"], 1)
    scale = per_cluster.sum(1, keepdims=True)
    assert np.all((per_cluster * sizes).sum(1) == pytest.approx(1))
    counts = per_cluster / scale * 5
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)


def test_within_clusters_cases_are_drawn_anew():
    shares, _ = counts_of(PLANS["cases within clusters"])
    np.testing.assert_allclose(shares.sum(1), 1)
    of_cluster = shares[:, CLUSTERS == "e"]
    assert (of_cluster.std(1) > 0).mean() > 0.5
    plain, _ = counts_of(PLANS["clusters"])  # and the clusters are as often there
    for name in "abcde":
        np.testing.assert_allclose(
            shares[:, CLUSTERS == name].sum(1).mean(),
            plain[:, CLUSTERS == name].sum(1).mean(),
            atol=0.05,
        )


@every_plan
def test_ratios_and_errors_are_those_of_the_drawn_units(plan, rng):
    a, b = rng.random((2, 20)), rng.integers(0, 3, (2, 20)).astype(float)
    found, errors = replicates(KEY, plan, a * b, b, count=300, errors=True)
    shares, _ = replicates(KEY, plan, np.eye(20), count=300)
    np.testing.assert_allclose(found, (shares @ (a * b).T) / (shares @ b.T), rtol=1e-12)
    if plan.within:
        assert errors is None
        return
    unit_a, unit_b = plan.sums((a * b).T), plan.sums(b.T)
    first = np.array([np.argmax(plan.unit == u) for u in range(plan.units)])
    weight = shares[:, first] / shares[:, first].sum(1, keepdims=True) * plan.units
    np.testing.assert_allclose(weight, np.rint(weight), atol=1e-9)
    units = np.count_nonzero(unit_b, axis=0)
    for r in range(0, 300, 37):
        away = (unit_a - found[r] * unit_b) ** 2
        expected = np.sqrt(weight[r] @ away * units / (units - 1)) / (weight[r] @ unit_b)
        np.testing.assert_allclose(errors[r], expected, rtol=1e-9)


def test_a_mean_without_replacement_of_its_errors_is_textbook(rng):
    scores = rng.random((1, 50))
    _, errors = replicates(KEY, make_plan(50), scores, count=2000, errors=True)
    assert errors.mean() == pytest.approx(scores.std(ddof=1) / np.sqrt(50), rel=0.02)


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.5, 0.73, 1.0])
@every_plan
def test_quantiles_are_those_of_the_drawn_cases(plan, quantile, rng):
    scores = np.round(rng.random((3, 20)), 1)  # ties
    scores[1, 4:9] = np.nan
    found = quantile_replicates(KEY, plan, scores, quantile, count=120)
    shares, _ = replicates(KEY, plan, np.eye(20), count=120)
    smallest = np.where(shares > 1e-12, shares, np.inf).min(1, keepdims=True)
    for r in range(120):
        for factor in range(1, 9):  # the least share is that of 1, 2, ... draws
            counts = shares[r] / smallest[r] * factor
            if np.allclose(counts, np.rint(counts), atol=1e-6):
                break
        drawn = np.repeat(scores, np.rint(counts).astype(int), axis=1)
        for column in range(3):
            there = drawn[column][~np.isnan(drawn[column])]
            if factor == 1 and there.size:
                assert found[r, column] == pytest.approx(np.quantile(there, quantile), abs=1e-12)
            if not there.size:
                assert np.isnan(found[r, column])


@pytest.mark.parametrize("clusters", [1, 2, 4, 7, 9, 17, 35])
def test_quantiles_of_clusters_are_those_of_the_drawn_clusters(clusters, rng):
    plan = make_plan(2 * clusters, clusters=np.repeat(np.arange(clusters), 2))
    scores = rng.random((1, 2 * clusters))
    found = quantile_replicates(KEY, plan, scores, 0.3, count=60)
    shares, _ = replicates(KEY, plan, np.eye(2 * clusters), count=60)
    for r in range(60):
        times = np.rint(shares[r] * 2 * clusters).astype(int)
        drawn = np.repeat(scores[0], times)
        assert found[r, 0] == pytest.approx(np.quantile(drawn, 0.3), abs=1e-12)


def test_columns_share_their_resamples(rng):
    scores = rng.random((30, 1))
    means = bootstrap_means(KEY, np.hstack([scores, 1 - scores]), count=500)
    np.testing.assert_allclose(means.sum(1), 1, rtol=1e-12)


def test_what_is_left_out_of_one_column_stays_in_the_others(rng):
    scores = rng.random((25, 2))
    alone = bootstrap_means(KEY, scores[:, :1], count=200)
    scores[:20, 1] = np.nan
    both = bootstrap_means(KEY, scores, count=200)
    np.testing.assert_allclose(both[:, :1], alone, rtol=1e-12)
    assert np.nanmin(both[:, 1]) >= np.nanmin(scores[:, 1]) - 1e-12


def test_chunks_hold_the_same_numbers_of_resamples_and_all_of_them(rng, monkeypatch):
    monkeypatch.setattr(resampling, "_DRAWS", 2**10)
    scores = rng.random((40, 1))
    means = bootstrap_means(KEY, scores, count=333)
    assert means.shape == (333, 1)
    assert np.unique(means).size > 300
    error = scores.std() / np.sqrt(40)
    assert means.mean() == pytest.approx(scores.mean(), abs=5 * error / np.sqrt(333))


def test_poisson_weights_serve_any_slice(rng):
    weights = poisson_weights(KEY, 30, count=4000)
    assert weights.shape == (4000, 30)
    assert weights.mean() == pytest.approx(1, abs=0.02)
    assert weights.var() == pytest.approx(1, abs=0.03)
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.01)
    scores, chosen = rng.random((2, 30)), np.arange(0, 30, 3)
    found, errors = reweighted(weights[:, chosen], scores[:, chosen], errors=True)
    w = weights[:, chosen].astype(float)
    there = w.sum(1) > 0
    expected = (w @ scores[:, chosen].T)[there] / w.sum(1)[there, None]
    np.testing.assert_allclose(found[there], expected, rtol=1e-12)
    assert np.isnan(found[~there]).all()
    away = (scores[:, chosen] - found[0][:, None]) ** 2
    np.testing.assert_allclose(errors[0], np.sqrt(away @ w[0] * 10 / 9) / w[0].sum(), rtol=1e-9)
    spread = scores[:, chosen].std(1) / np.sqrt(10)
    np.testing.assert_allclose(np.nanstd(found, axis=0), spread, rtol=0.15)


def test_a_plan_refuses_what_it_cannot_draw():
    for arguments, words in (
        ({"cases": 0}, "no case to draw from"),
        ({"cases": 3, "within": True}, "to which cluster"),
        ({"cases": 3, "clusters": [1, 2]}, "one value for each of 3 cases"),
        ({"cases": 3, "clusters": [1, 1, 2], "strata": [1, 2, 2]}, "a stratum holds whole"),
    ):
        with pytest.raises(InputError, match=words):
            make_plan(**arguments)
    with pytest.raises(InputError, match="must be positive"):
        replicates(KEY, make_plan(3), np.zeros((1, 3)), count=0)


@pytest.mark.parametrize("kind", ["plain", "spread", "within"])
def test_the_engine_lowers_for_accelerators(kind):
    with jax.enable_x64(True):
        shape = jax.ShapeDtypeStruct
        slots = (shape((8,), jnp.uint32),) * 4
        if kind == "spread":
            estimate, table = resampling._quantiles, (3, 32)
            data = (
                shape(table, jnp.int32),
                shape(table, jnp.float64),
                shape(table, jnp.uint8),
                shape((), jnp.float64),
            )
        else:
            estimate, rows = resampling._ratios, 8 if kind == "plain" else 32
            data = shape((rows, 2), jnp.float64), shape((rows, 1), jnp.float64)
        size = 8 if kind == "plain" else 32
        devices = _devices.own_devices()
        program = resampling._program(kind, 16, size, 4, estimate, False, devices).program
        for platform in ("cuda", "tpu"):
            exported = jax.export.export(program, platforms=[platform])(
                shape((2, 2), jnp.uint32), slots, data
            )
            assert exported.platforms == (platform,)
