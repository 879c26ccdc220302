"""Boards against plain NumPy: `tests/reference/board.py` draws its own resamples."""

from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from segjax import InputError
from segjax.io.sheet import Facts, Row, Sheet, Status
from segjax.leaderboard import board, from_arrays, gather_scores
from segjax.leaderboard.policy import Suspect
from tests.reference import board as reference, separability


QUICK = {"replicates": 500, "permutations": 500}
MODELS = ("A", "B", "C", "D")


def made_up(rng, models=4, cases=30):
    """Dice and a distance, some models close to each other, none the same everywhere."""
    hard = rng.normal(size=cases)
    shift = np.array([0.0, 0.25, 0.3, 1.0])[:models, None]
    logit = 2 - hard - shift + rng.normal(size=(models, cases)) / 2
    distance = np.exp(1 + 0.5 * hard + shift[::-1] + rng.normal(size=(models, cases)) / 3)
    return 1 / (1 + np.exp(-logit)), distance


def gathered(contaminated=(), suspect=frozenset(), metadata=None, **values):
    """Scores of models A, B, ... by metric."""
    rows, models = [], {}
    for metric, table in values.items():
        for model, row in zip(MODELS, table, strict=False):
            models[model] = Facts(contaminated=model in contaminated)
            for case, score in enumerate(row):
                status = Status.ABSENT if np.isnan(score) else Status.SCORED
                rows.append(Row(model, f"c{case:02d}", "", metric, float(score), status))
    return gather_scores([Sheet(rows=rows, facts=models, suspect=suspect)], metadata=metadata)


def columns(**values):
    """Metadata by case."""
    length = len(next(iter(values.values())))
    return {f"c{i:02d}": {k: v[i] for k, v in values.items()} for i in range(length)}


def rows(found, measure=None):
    return {row["model"]: row for row in found.result(measure)["table"]}


def pairs(found, measure=None):
    return {(pair["a"], pair["b"]): pair for pair in found.result(measure)["pairs"]}


def quantile_between(drawn, q, count):
    """Where a quantile of `count` other draws lies, but once in a million times.

    The share of the draws below it has a standard error of sqrt(q (1 - q) / n) on each side.
    """
    slack = 5 * np.sqrt(q * (1 - q) * (1 / count + 1 / len(drawn)))
    return np.quantile(drawn, [max(q - slack, 0), min(q + slack, 1)])


# 4 models, 30 cases, 100,000 resamples on both sides.

B = 100_000
P = 10_000


@pytest.fixture(scope="module")
def scores():
    return dict(zip(("dice", "assd"), made_up(np.random.default_rng(1)), strict=True))


@pytest.fixture(scope="module")
def found(scores):
    return board(gathered(**scores), replicates=B, permutations=P)


@pytest.fixture(scope="module")
def drawn(scores):
    rng = np.random.default_rng(2)
    return {name: reference.independent(rng, x, B) for name, x in scores.items()}


@pytest.mark.parametrize("measure", ["dice", "assd"])
def test_estimates_and_spread(found, scores, measure):
    for model, x in zip(MODELS, scores[measure], strict=True):
        row = rows(found, measure)[model]
        expected = {"estimate": x.mean(), "mean": x.mean(), "median": np.median(x)}
        expected |= {"sd": x.std(ddof=1), "min": x.min(), "max": x.max(), "n": 30}
        for key, value in expected.items():
            assert row[key] == pytest.approx(value, rel=1e-12), key


@pytest.mark.parametrize("measure", ["dice", "assd"])
def test_percentile_ends(found, drawn, measure):
    for model, means in zip(MODELS, drawn[measure][0].T, strict=True):
        interval = rows(found, measure)[model]["percentile"]
        for q, key in ((0.025, "low"), (0.975, "high")):
            low, high = quantile_between(means, q, B)
            assert low <= interval[key] <= high


@pytest.mark.parametrize("measure", ["dice", "assd"])
def test_studentized_ends(found, scores, drawn, measure):
    means, errors = drawn[measure]
    for i, model in enumerate(MODELS):
        x = scores[measure][i]
        se = x.std(ddof=1) / np.sqrt(30)
        t = (means[:, i] - x.mean()) / errors[:, i]
        interval = rows(found, measure)[model]["interval"]
        assert interval["method"] == "studentized"
        for q, key in ((0.975, "low"), (0.025, "high")):
            high, low = x.mean() - quantile_between(t, q, B) * se
            assert low <= interval[key] <= high


@pytest.mark.parametrize(("measure", "higher"), [("dice", True), ("assd", False)])
def test_ranks(found, drawn, measure, higher):
    credit, ranks = reference.rank_probability(drawn[measure][0], higher)
    ranking = found.result(measure)["ranking"]
    for model, probabilities in zip(ranking["models"], ranking["probability"], strict=True):
        i = MODELS.index(model)
        row = rows(found, measure)[model]
        error = np.sqrt(2 * credit[i] * (1 - credit[i]) / B)
        assert np.all(np.abs(probabilities - credit[i]) <= 5 * error + 1e-4)
        assert row["p_best"] == probabilities[0]
        error = ranks[:, i].std() * np.sqrt(2 / B)
        assert row["mean_rank"] == pytest.approx(ranks[:, i].mean(), abs=5 * error + 1e-4)
        for q, key in ((0.025, "rank_low"), (0.975, "rank_high")):
            low, high = quantile_between(ranks[:, i], q, B)
            assert low <= row[key] <= high


@pytest.mark.parametrize(("measure", "sign"), [("dice", 1), ("assd", -1)])
def test_order_is_that_of_the_estimates(found, scores, measure, sign):
    means = sign * scores[measure].mean(1)
    expected = [MODELS[i] for i in np.argsort(-means)]
    table = found.result(measure)["table"]
    assert [row["model"] for row in table] == expected
    assert [row["rank"] for row in table] == [1, 2, 3, 4]


def test_pairs(found, scores):
    largest = reference.largest_t(np.random.default_rng(3), list(scores.values()), 4000)
    critical = quantile_between(largest, 0.95, P)
    separated = 0
    for measure, sign in (("dice", 1), ("assd", -1)):
        of = dict(zip(MODELS, scores[measure], strict=True))
        assert len(pairs(found, measure)) == 6
        for (a, b), pair in pairs(found, measure).items():
            d = of[a] - of[b]
            se = d.std(ddof=1) / np.sqrt(30)
            # In the measure's own unit; a is ranked before b.
            assert pair["difference"] == pytest.approx(d.mean(), rel=1e-9)
            assert sign * pair["difference"] > 0
            assert pair["superiority"] == pytest.approx((sign * d > 0).mean())
            half = (pair["high"] - pair["low"]) / 2
            assert (pair["high"] + pair["low"]) / 2 == pytest.approx(d.mean(), rel=1e-9)
            assert critical[0] <= half / se <= critical[1]
            p = (largest >= abs(d.mean() / se)).mean()
            error = np.sqrt(p * (1 - p) * (1 / P + 1 / 4000))
            assert pair["p"] == pytest.approx(p, abs=5 * error + 1 / 4000)
            assert pair["separable"] == (pair["p"] <= 0.05)
            assert pair["separable"] == (pair["low"] > 0 or pair["high"] < 0)
            assert pair["better"] == (a if pair["separable"] else None)
            separated += pair["separable"]
    assert 0 < separated < 12


@pytest.mark.parametrize("statistic", ["median", "q0.1"])
def test_quantiles_are_ranked_and_resampled(statistic, rng):
    dice, _ = made_up(rng)
    found = board(gathered(dice=dice), statistic=statistic, replicates=20_000, permutations=99)
    q = 0.5 if statistic == "median" else 0.1
    drawn = reference.statistics(dice, reference.resamples(rng, np.arange(30), 3000), q)
    order = [MODELS[i] for i in np.argsort(-np.quantile(dice, q, axis=1))]
    assert [row["model"] for row in found.result()["table"]] == order
    credit, _ = reference.rank_probability(drawn, True)
    for i, model in enumerate(MODELS):
        row = rows(found)[model]
        assert row["estimate"] == pytest.approx(np.quantile(dice[i], q), rel=1e-12)
        error = np.sqrt(credit[i, 0] * (1 - credit[i, 0]) * (1 / 3000 + 1 / 20_000))
        assert row["p_best"] == pytest.approx(credit[i, 0], abs=5 * error + 1e-3)
        for tail, key in ((0.025, "low"), (0.975, "high")):
            low, high = quantile_between(drawn[:, i], tail, 20_000)
            assert low - 1e-12 <= row["interval"][key] <= high + 1e-12
            assert row["interval"]["method"] == "percentile"
    assert any("mean of their paired differences" in note for note in found.document["notes"])


PLANS = {
    "clusters": {"clusters": "patient"},
    "strata": {"strata": "site"},
    "clusters in strata": {"clusters": "patient", "strata": "site"},
    "cases within clusters": {"clusters": "patient", "within": True},
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_what_is_resampled(plan, rng):
    dice, _ = made_up(rng)
    patient = np.repeat(np.arange(11), [1, 2, 3, 4, 2, 3, 3, 3, 3, 3, 3])
    site = (patient > 5).astype(int)
    dice = np.clip(dice + 0.05 * rng.normal(size=11)[patient], 0, 1)
    metadata = columns(patient=patient.tolist(), site=site.tolist())
    found = board(
        gathered(dice=dice, metadata=metadata), replicates=20_000, permutations=99, **plan
    )
    units = patient if "clusters" in plan else np.arange(30)
    strata = site if "strata" in plan else None
    places = reference.resamples(rng, units, 4000, strata=strata, within="within" in plan)
    drawn = reference.statistics(dice, places)
    count = len(np.unique(units))
    assert found.result()["units"] == found.document["options"]["plan"]["units"] == count
    credit, _ = reference.rank_probability(drawn, True)
    for i, model in enumerate(MODELS):
        row = rows(found)[model]
        error = np.sqrt(credit[i, 0] * (1 - credit[i, 0]) * (1 / 4000 + 1 / 20_000))
        assert row["p_best"] == pytest.approx(credit[i, 0], abs=5 * error + 1e-3)
        for q, key in ((0.025, "low"), (0.975, "high")):
            low, high = quantile_between(drawn[:, i], q, 20_000)
            assert low <= row["percentile"][key] <= high
        if "clusters" in plan:  # few of them: Student's interval from their residuals
            away = dice[i] - dice[i].mean()
            sums = np.array([away[patient == u].sum() for u in range(11)])
            half = scipy.stats.t.isf(0.025, 10) * np.sqrt(11 / 10 * (sums**2).sum()) / 30
            assert row["interval"]["method"] == "t"
            assert row["interval"]["low"] == pytest.approx(dice[i].mean() - half, rel=1e-9)
    if "clusters" in plan:
        critical = []
        board_of = separability.by_unit(dice.tolist(), units.tolist())
        for (a, b), pair in pairs(found).items():
            i, j = MODELS.index(a), MODELS.index(b)
            d = [[x - y for x, y in zip(u[i], u[j], strict=True)] for u in board_of.values()]
            t = separability.t_statistic(d)
            assert pair["difference"] == pytest.approx(np.mean(dice[i] - dice[j]))
            error = pair["difference"] / t
            critical.append((pair["high"] - pair["low"]) / 2 / error)
            assert pair["separable"] == (abs(t) > critical[-1])
        np.testing.assert_allclose(critical, critical[0], rtol=1e-9)
        names = {str(u) for u in range(11)}
        assert set(found.result()["ranking"]["leave_one_out"]["order"]) <= names


@pytest.mark.parametrize("verdict", ["sign_flip", "wilcoxon"])
def test_tests_of_each_pair_are_adjusted_over_the_page(verdict, rng):
    dice, assd = made_up(rng, models=3, cases=9)
    found = board(gathered(dice=dice, assd=assd), verdict=verdict, **QUICK)
    raw = (
        np.ravel(separability.sign_flip([dice, -assd], [list(range(9))] * 2))
        if verdict == "sign_flip"
        else [
            scipy.stats.wilcoxon(x[i] - x[j]).pvalue
            for x in (dice, assd)
            for i, j in combinations(range(3), 2)
        ]
    )
    expected = separability.holm(list(raw))
    share = scipy.stats.t.isf(0.025 / 6, 8)
    at = 0
    for measure, x in (("dice", dice), ("assd", assd)):
        of = pairs(found, measure)
        assert found.result(measure)["comparisons"] == 6
        for i, j in combinations(range(3), 2):
            a, b = MODELS[i], MODELS[j]
            pair, sign = (of[a, b], 1) if (a, b) in of else (of[b, a], -1)
            assert pair["p"] == pytest.approx(expected[at], rel=1e-9)
            assert pair["separable"] == (expected[at] <= 0.05)
            d = sign * (x[i] - x[j])
            assert pair["low"] == pytest.approx(d.mean() - share * scipy.stats.sem(d), rel=1e-9)
            at += 1


def test_bonferroni_is_of_percentiles_within_the_measure(rng):
    dice, assd = made_up(rng, models=3)
    found = board(gathered(dice=dice, assd=assd), verdict="bonferroni", replicates=20_000)
    for measure, x, higher in (("dice", dice, True), ("assd", assd, False)):
        means, _ = reference.independent(rng, x, 20_000)
        assert found.result(measure)["comparisons"] == 3
        for (a, b), pair in pairs(found, measure).items():
            d = means[:, MODELS.index(a)] - means[:, MODELS.index(b)]
            assert pair["p"] is None
            for q, key in ((0.025 / 3, "low"), (1 - 0.025 / 3, "high")):
                low, high = quantile_between(d, q, 20_000)
                assert low <= pair[key] <= high
            assert pair["separable"] == (pair["low"] > 0 or pair["high"] < 0)
            if pair["separable"]:
                assert pair["better"] == a
                assert (pair["low"] > 0) == higher


def test_nobody_judges_medians_by_percentiles_of_means(rng):
    with pytest.raises(InputError, match="bonferroni is a verdict on means"):
        board(gathered(dice=rng.random((2, 9))), statistic="median", verdict="bonferroni")


# Models that are not ranked.


def without(result, *models):
    """A result less what it says of models."""
    kept = [row for row in result["table"] if row["model"] not in models]
    return result | {"table": kept}


def same(a, b, place=""):
    """Equal but for rounding."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            same(a[key], b[key], f"{place}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), place
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{place}[{i}]")
    elif isinstance(a, float):
        assert b == pytest.approx(a, rel=1e-12, abs=1e-12), place
    else:
        assert a == b, place


@pytest.mark.parametrize(
    "options",
    [{}, {"interval": "t"}, {"statistic": "median"}, {"verdict": "bonferroni"}],
    ids=str,
)
@pytest.mark.parametrize("lacking", [0, 11, 12])
def test_a_model_trained_on_the_cases_changes_nothing(options, lacking, rng):
    dice, assd = made_up(rng, cases=12)
    assd[3, :lacking] = np.nan  # no diagonal is known: nothing can take the place of a miss
    alone = board(gathered(dice=dice[:3], assd=assd[:3]), **QUICK, **options)
    both = board(gathered(dice=dice, assd=assd, contaminated="D"), **QUICK, **options)
    for one, two in zip(alone.document["results"], both.document["results"], strict=True):
        same(one, without(two, "D"))
        assert two["table"][-1]["model"] == "D"
        assert two["table"][-1]["excluded"] == "contaminated"
        assert two["table"][-1]["rank"] is None
    row = rows(both, "dice")["D"]
    assert row["estimate"] == pytest.approx(
        np.median(dice[3]) if "statistic" in options else dice[3].mean()
    )
    assert row["interval"] is not None
    row = rows(both, "assd")["D"] if lacking == 12 else None
    assert row is None or (row["estimate"], row["interval"], row["n"]) == (None, None, 0)
    same(alone.document["schemes"], both.document["schemes"])


def test_no_model_may_be_left_to_rank(rng):
    dice, _ = made_up(rng, models=2)
    found = board(gathered(dice=dice, contaminated="AB"), calibrate=True, **QUICK)
    assert [row["excluded"] for row in found.result()["table"]] == ["contaminated"] * 2
    assert rows(found)["A"]["interval"]["low"] < dice[0].mean()
    assert found.result()["pairs"] == found.document["schemes"] == []
    assert found.result()["ranking"]["models"] == []
    assert any("no model can be ranked" in note for note in found.document["notes"])
    assert "<html" in found.to_html()


def test_a_model_may_be_suspect_in_one_label_alone(rng):
    scores = {label: {m: rng.random(12) for m in "ABC"} for label in ("kidney", "spleen")}
    sheet = Sheet(
        rows=[
            Row(model, f"c{i}", label, "dice", float(x), Status.SCORED)
            for label, of in scores.items()
            for model, values in of.items()
            for i, x in enumerate(values)
        ],
        suspect=frozenset({("B", "spleen")}),
    )
    found = board(gather_scores([sheet]), **QUICK)
    assert {r["model"]: r["excluded"] for r in found.result("dice, kidney")["table"]} == {
        "A": None,
        "B": None,
        "C": None,
    }
    assert rows(found, "dice, spleen")["B"]["excluded"] == "suspect"
    assert len(pairs(found, "dice, kidney")) == 3
    assert len(pairs(found, "dice, spleen")) == 1
    # Two families of different models share the error: p of each is doubled.
    assert {r["comparisons"] for r in found.document["results"]} == {4}
    d = scores["spleen"]["A"] - scores["spleen"]["C"]
    t = abs(scipy.stats.ttest_1samp(d, 0).statistic)
    signs = rng.choice([-1, 1], (20_000, 12))
    mixed = signs * d
    p = (np.abs(scipy.stats.ttest_1samp(mixed, 0, axis=1).statistic) >= t - 1e-9).mean()
    (pair,) = pairs(found, "dice, spleen").values()
    error = np.sqrt(p * (1 - p) / 500)
    assert pair["p"] == pytest.approx(min(1, 2 * p), abs=2 * 5 * error + 0.01)


# Degenerate boards.


def test_one_model_is_first():
    found = board({"A": [0.5, 0.6, 0.9]}, **QUICK)
    (row,) = found.result()["table"]
    assert (row["rank"], row["tier"], row["p_best"], row["mean_rank"]) == (1, 1, 1, 1)
    assert (row["set_low"], row["set_high"]) == (1, 1)
    assert found.result()["pairs"] == []
    assert found.result()["comparisons"] == 0


def test_one_case_has_no_interval_and_separates_nothing():
    found = board({"A": [0.5], "B": [0.9]}, **QUICK)
    assert [row["model"] for row in found.result()["table"]] == ["B", "A"]
    assert all(r["interval"] is r["percentile"] is r["sd"] is None for r in rows(found).values())
    (pair,) = found.result()["pairs"]
    assert not pair["separable"]
    assert pair["low"] is pair["high"] is None
    assert any("single case" in note for note in found.document["notes"])


def test_two_cases_separate_nothing():
    found = board({"A": [0.5, 0.6], "B": [0.9, 0.95]}, **QUICK)
    (pair,) = found.result()["pairs"]
    assert pair["difference"] == pytest.approx(0.375)
    assert (pair["separable"], pair["p"]) == (False, 0.5)  # two arrangements, up to names
    assert all(r["interval"]["low"] <= r["interval"]["high"] for r in rows(found).values())


@pytest.mark.parametrize("verdict", ["max_t", "sign_flip", "wilcoxon", "bonferroni"])
def test_models_that_are_equal_share_everything(verdict, rng):
    x = rng.random(15)
    found = board({"A": x, "B": x - 0.001, "C": x}, verdict=verdict, **QUICK)
    of = rows(found)
    assert (of["A"]["rank"], of["C"]["rank"], of["B"]["rank"]) == (1.5, 1.5, 3)
    assert of["A"]["p_best"] == of["C"]["p_best"] == 0.5
    assert of["A"]["mean_rank"] == of["A"]["rank_low"] == of["A"]["rank_high"] == 1.5
    pair = pairs(found)["A", "C"]
    assert (pair["difference"], pair["low"], pair["high"]) == (0, 0, 0)
    assert (pair["separable"], pair["better"], pair["superiority"]) == (False, None, 0.5)
    assert pairs(found)["A", "B"]["better"] == "A"


def test_scores_that_are_all_equal():
    found = board({"A": [0.5] * 9, "B": [0.5] * 9}, **QUICK)
    for row in found.result()["table"]:
        assert (row["rank"], row["p_best"], row["sd"]) == (1.5, 0.5, 0)
        assert (row["interval"]["low"], row["interval"]["high"]) == (0.5, 0.5)
    assert not found.result()["pairs"][0]["separable"]
    assert found.result()["gap"] == []


def test_a_model_without_scores_is_last(rng):
    found = board({"A": [np.nan] * 9, "B": rng.random(9)}, **QUICK)
    row = rows(found)["A"]
    assert (row["rank"], row["estimate"], row["n_filled"]) == (2, 0, 9)
    assert row["failures"]["n"] == row["failures"]["of"] == 9
    assert any("'A' has no score" in note for note in found.document["notes"])
    with pytest.raises(InputError, match="no model has a score of 'dice'"):
        board({"A": [np.nan] * 9, "B": [np.nan] * 9}, **QUICK)


# Options.


def test_values_of_measures_that_are_not_there_are_refused(rng):
    values = rng.random((2, 9))
    scores = from_arrays(values, metric="hd95")
    for option in ("worst", "failure"):
        with pytest.raises(InputError, match=rf"{option}: no measure 'hd59'; did you mean 'haus"):
            board(scores, **{option: {"hd59": 100.0}}, **QUICK)
    for name in ("hd95", "HD 95", "hausdorff(percentile=95)"):
        found = board(scores, failure={name: 0.5}, **QUICK)
        failures = {m: r["failures"]["n"] for m, r in rows(found).items()}
        assert failures == {m: int((x >= 0.5).sum()) for m, x in zip("AB", values, strict=True)}
    with pytest.raises(InputError, match="suspect: no measure 'dice'; did you mean"):
        board(scores, suspect=Suspect("dice", 0.1), **QUICK)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"verdict": "t"}, "verdict must be one of max_t, .*, got 't'"),
        ({"interval": "exact"}, "interval must be one of percentile, "),
        ({"compat": "challenger"}, "compat must be one of segauge"),
        ({"missing": "omit"}, "missing must be one of worst, drop-case, fail"),
        ({"undefined": "omit"}, "undefined must be one of best, worst"),
        ({"statistic": "x0.5"}, "statistic must be mean, median or a quantile"),
        ({"statistic": "q0.0"}, "statistic must be"),
        ({"statistic": "q1"}, "statistic must be"),
        ({"statistic": "median", "interval": "t"}, "interval is one of means"),
        ({"level": 1.0}, "level must be between 0 and 1"),
        ({"level": float("nan")}, "level must be between 0 and 1"),
        ({"replicates": 0}, "replicates must be a number from 1"),
        ({"replicates": 2**31}, "replicates must be a number from 1"),
        ({"permutations": 0}, "permutations must be"),
        ({"minimum_n": 0}, "minimum_n must be"),
        ({"seed": -1}, "seed must be a number from 0"),
        ({"within": True}, "to which cluster"),
        ({"clusters": "x", "within": True, "interval": "studentized"}, "choose t, percentile"),
        ({"compat": "segauge", "clusters": "x"}, "segauge knows means of independent cases"),
        ({"clusters": "x"}, "clusters: no column 'x' of the cases; there are none"),
        ({"strata": "x"}, "strata: no column 'x'"),
        ({"slices": ("x",)}, "slices: no column 'x'"),
        ({"colour": 1}, "board has no option 'colour'"),
    ],
    ids=str,
)
def test_options_are_refused_by_name(option, words):
    with pytest.raises(InputError, match=words):
        board({"A": [0.5, 0.6]}, **{"replicates": 9, "permutations": 9} | option)


def test_a_seed_makes_the_board(rng):
    x = {"A": rng.random(12), "B": rng.random(12)}
    one, two, other = (board(x, seed=s, **QUICK).document["results"] for s in (3, 3, 4))
    assert one == two
    assert one != other
