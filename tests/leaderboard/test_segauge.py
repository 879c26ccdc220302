"""`compat="segauge"` against `tests/reference/segauge.py`, on results as its benchmark writes."""

import json

import numpy as np
import pytest

from segjax.cli import main
from segjax.io.scores import read_scores
from segjax.leaderboard import board, gather_scores
from tests.reference import segauge


ORGANS = ("KIDNEY", "SPLEEN")
METRICS = {"dice": True, "hd95": False, "nsd": True, "assd": False}
NAMES = {"dice": "dice", "hd95": "hausdorff(percentile=95)", "nsd": "nsd(tolerance=2)"}
MODELS = ("moose", "total", "foundation")


@pytest.fixture(scope="module")
def results():
    """Made-up scores of 3 models, 2 organs and 20 cases; some null, one case not run."""
    rng = np.random.default_rng(11)
    models = []
    for i, name in enumerate(MODELS):
        organs = {}
        for organ in ORGANS:
            cases = []
            for c in range(20):
                dice = float(rng.beta(18, 2 + i / 2))
                distance = float(rng.lognormal(1.5 + i / 8, 0.6))
                case = {
                    "case_id": f"case_{c:05d}",
                    "dice": dice,
                    "hd95": None if (organ, c % 7, i) == ("KIDNEY", 3, i % 2) else distance,
                    "nsd": min(1.0, dice + 0.02 * float(rng.random())),
                    "assd": distance / 5,
                }
                if (i, c) != (1, 5):  # it crashed
                    cases.append(case)
            cases[0]["dice"] = cases[0]["nsd"] = 1.0
            organs[organ] = {"per_case": cases, "suspect": False, "summary": {}}
        models.append({"name": name, "license": "MIT", "fair": True, "per_organ": organs})
    return {
        "benchmark": "made up",
        "dataset": {"name": "none", "n_cases": 20},
        "metrics": list(METRICS),
        "config": {"confidence": 0.95, "n_resamples": 2000, "seed": 0, "nsd_tolerance": 2.0},
        "models": models,
        "analysis": {},
    }


@pytest.fixture(scope="module")
def path(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("segauge") / "results.json"
    path.write_text(json.dumps(results))
    return path


@pytest.fixture(scope="module")
def expected(results):
    """What segauge says, by organ and metric."""
    return {
        (organ, metric): segauge.analyse(
            {
                model["name"]: {
                    case["case_id"]: case[metric] for case in model["per_organ"][organ]["per_case"]
                }
                for model in results["models"]
            },
            higher,
        )
        for organ in ORGANS
        for metric, higher in METRICS.items()
    }


def agree(document, expected):
    close = lambda value: pytest.approx(value, rel=1e-9, abs=1e-9)
    for organ in ORGANS:
        for metric in METRICS:
            want = expected[organ, metric]
            name = f"{NAMES.get(metric, metric)}, {organ}"
            (found,) = [r for r in document["results"] if r["measure"] == name]
            assert found["n"] == want["n"]
            assert [row["model"] for row in found["table"]] == want["order"]
            for row in found["table"]:
                value, low, high = want["table"][row["model"]]
                assert row["estimate"] == close(value)
                assert (row["interval"]["low"], row["interval"]["high"]) == close((low, high))
                stability = (row[k] for k in ("p_best", "mean_rank", "rank_low", "rank_high"))
                assert tuple(stability) == close(want["ranking"][row["model"]])
            for pair, (a, b, delta, low, high, separable) in zip(
                found["pairs"], want["pairs"], strict=True
            ):
                assert (pair["a"], pair["b"]) == (a, b)
                assert (pair["difference"], pair["low"], pair["high"]) == close((delta, low, high))
                assert pair["separable"] == separable
                assert pair["better"] == (a if separable else None)


def test_made_up_results_have_what_is_hard(expected):
    assert expected["KIDNEY", "dice"]["n"] == 19
    assert expected["KIDNEY", "hd95"]["n"] < 18
    separable = [pair[-1] for want in expected.values() for pair in want["pairs"]]
    assert 0 < sum(separable) < len(separable)


def test_numbers_are_those_of_segauge(expected, path):
    agree(board(gather_scores([read_scores(path)]), compat="segauge").document, expected)


def test_numbers_are_those_of_segauge_on_the_command_line(expected, path, capsys):
    assert main(["leaderboard", str(path), "--compat", "segauge", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    agree(document, expected)
    assert document["options"]["replicates"] == 2000
    (note,) = [note for note in document["notes"] if "segauge" in note]
    assert "do not hold what they promise" in note


def test_a_tie_is_shared_as_segauge_shares_it():
    x = [0.5, 0.75, 0.25, 1.0]
    found = board({"A": x, "B": x[::-1], "C": x}, compat="segauge").result()
    want = segauge.analyse(
        {m: dict(enumerate(v)) for m, v in {"A": x, "B": x[::-1], "C": x}.items()}, True
    )
    for row in found["table"]:
        assert row["p_best"] == pytest.approx(want["ranking"][row["model"]][0])


def test_the_level_of_the_intervals_may_be_another(results, path):
    one = gather_scores([read_scores(path)], metrics=["dice"], labels=["KIDNEY"])
    row = board(one, compat="segauge", level=0.9).result()["table"][0]
    value, low, high = segauge.interval(
        [
            case["dice"]
            for model in results["models"]
            if model["name"] == row["model"]
            for case in model["per_organ"]["KIDNEY"]["per_case"]
        ],
        0.9,
    )
    assert row["estimate"] == pytest.approx(value)
    assert (row["interval"]["low"], row["interval"]["high"]) == pytest.approx((low, high))
