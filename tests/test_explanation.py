"""`segjax explain`: complete for every metric, and what it claims of others is so."""

import json
import re

import pytest

import segjax
from segjax import InputError
from segjax.cli import main
from segjax.explanation import EMPTY, explain, families
from segjax.losses import LOSSES
from segjax.metrics import METRICS, get_metric
from segjax.statistics import BoundaryBands, SurfaceDistances
from tests.goldens import agreement


every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)


@every_metric
def test_no_field_is_empty(metric):
    found = explain(metric.name)
    for heading, texts in found.sections().items():
        assert texts, heading
        assert all(text.strip(" .-") for text in texts), heading
    told = found.as_dict()
    optional = {"aliases", "losses", "peers", "peers_on_empty", "options", "best", "worst"}
    assert all(told[field] for field in told.keys() - optional)
    assert set(found.empty) == set(EMPTY)
    assert set(found.options) == set(metric.option_names)


@every_metric
def test_formula_is_one(metric):
    assert re.search(r"[-+/|(]|\bsum\b|\bmax over\b", explain(metric.name).formula)


@every_metric
def test_source_has_a_year_and_points_nowhere_else(metric):
    source = explain(metric.name).source
    assert re.search(r"\((19|20)\d\d\)|network", source)
    assert "see `" not in source


@every_metric
def test_boundary_and_percentile_rules_are_told_where_there_are_any(metric):
    found = explain(metric.name)
    drawn = issubclass(metric.statistic, SurfaceDistances | BoundaryBands)
    assert drawn != found.boundary_rule.startswith("none")
    assert ("percentile" in metric.option_names) != found.percentile_rule.startswith("none")


@every_metric
def test_what_is_said_of_empty_masks_has_been_measured(metric, measured):
    values = [float(v) for v in measured["empty"][metric.name]]
    for text, value in zip(explain(metric.name).empty.values(), values, strict=True):
        kind = "undefined" if value != value else "infinite" if value == float("inf") else "number"
        assert text.startswith(kind) or (kind == "number" and re.search(r"\d", text))


@pytest.fixture(scope="module")
def measured():
    return agreement.contents()


def test_frozen_values_are_those_of_today(measured):
    frozen = json.loads(agreement.PATH.read_text("utf-8"))
    assert frozen["empty"] == measured["empty"]
    assert frozen["peers_on_empty"] == measured["peers_on_empty"]
    assert len(frozen["peers"]) == len(measured["peers"])
    for old, new in zip(frozen["peers"], measured["peers"], strict=True):
        for key in old:
            if key in ("largest", "nearest_largest"):
                assert new[key] == pytest.approx(old[key], rel=0.01, abs=1e-5), old
            else:
                assert new[key] == old[key], old


def test_what_agrees_differs_nowhere_and_what_differs_says_by_how_much():
    peers = [p for m in METRICS for p in explain(m.name).peers]
    assert all(p.largest < 1e-4 for p in peers if p.agrees)
    assert all(p.largest > 0 for p in peers if not p.agrees)


def test_hd95_says_who_pools():
    found = explain("HD95")
    assert found.name == "hausdorff(percentile=95)"
    assert {p.name for p in found.peers if p.agrees} == {"Metrics Reloaded", "MONAI"}
    pooled = next(p for p in found.peers if p.name == "medpy" and "@" not in p.quantity)
    assert pooled.nearest == "hausdorff(percentile=95, pooled=True)"
    assert (pooled.nearest_largest, pooled.largest > 0.1) == (0, True)
    assert "HD95" in found.aliases
    assert "here percentile=95" in found.percentile_rule


def test_every_loss_is_told_by_its_metric():
    told = {name for m in METRICS for name in explain(m.name).losses}
    assert told == {f"segjax.losses.{loss.name}" for loss in LOSSES}


def test_a_metric_without_peers_says_so():
    found = explain("nemhd")
    assert found.peers == ()
    assert "no value of another tool" in found.sections()["tools that agree"][0]


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean precision"):
        segjax.explain("presicion")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ece", {"bins": "15", "closed": "left"}),
        ("HD95", {"percentile": "95", "pooled": "False", "unmatched": None}),
        ("dice(average=macro)", {"average": "macro"}),
        ("seg", {"min_size": None, "max_size": None}),
        ("auroc", {}),
    ],
)
def test_options_are_told_with_their_values(name, values):
    found = explain(name).options
    assert found.keys() == values.keys()
    for option, value in values.items():
        assert ("Here" in found[option]) == (value is not None)
        assert value is None or found[option].endswith(f"Here {value}.")


def test_families_hold_every_metric_once():
    assert [m for members in families().values() for m in members] == list(METRICS)


# The command


@pytest.fixture
def segjax_(capsys):
    def run(*arguments):
        status = main(["explain", *arguments])
        return status, *capsys.readouterr()

    return run


def test_command_prints_every_section(segjax_):
    status, out, _ = segjax_("dsc", "nsd@2mm")
    assert status == 0
    assert out.startswith("dice  (overlap)\n")
    assert "\nnsd(tolerance=2)  (boundary)\n" in out
    for heading in explain("dice").sections():
        assert len(re.findall(rf"^{heading} ", out, re.M)) == 2
    assert max(map(len, out.splitlines())) <= 110


def test_command_without_metrics_lists_them_by_family(segjax_):
    _, out, _ = segjax_()
    listed = [line.split()[0] for line in out.splitlines()]
    assert listed[0] == "overlap"
    assert set(listed) == set(families()) | {m.name for m in METRICS}


def test_json_is_one_record_or_a_list(segjax_):
    one = json.loads(segjax_("hd95", "--json")[1])
    assert (one["name"], one["worst"]) == ("hausdorff(percentile=95)", "inf")
    assert [r["name"] for r in json.loads(segjax_("dice", "iou", "--json")[1])] == ["dice", "iou"]
    assert len(json.loads(segjax_("--json")[1])) == len(METRICS)


def test_unknown_metric_is_one_line_and_status_2(segjax_):
    status, out, err = segjax_("dise")
    assert (status, out) == (2, "")
    assert re.fullmatch("segjax: unknown metric 'dise'; did you mean dice.*\n", err)


def test_metrics_command_says_the_same(capsys):
    assert main(["metrics", "mcc"]) == 0
    assert get_metric("mcc").formula.split(" / ")[0] in capsys.readouterr().out
