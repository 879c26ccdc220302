"""The benchmark times what it says, compares before it times, and says what it left out."""

import json
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import segjax
from segjax import InputError, benchmark
from segjax.benchmark import drawing, machine, processes, suite, timing
from segjax.benchmark.roofline import measure_roofline
from segjax.benchmark.suite import Options, growths
from segjax.benchmark.timing import Entry, check_agreement, take_turns
from segjax.benchmark.workloads import WORKLOADS, Workload
from segjax.cli import main
from segjax.report.benchmark import quicker, quickest, render_benchmark
from segjax.report.charts.growth import growth_chart


TINY = {"objects": (4, 9), "resamples": (20, 50), "batch": (1, 2)}
FAST = Options(rounds=1, seconds=1e-3)


@pytest.fixture(autouse=True)
def memory_at_once(monkeypatch):
    """Looking for the peak takes long in a process that has grown; once is enough."""
    monkeypatch.setattr(suite, "most_held", lambda work: 0.0)


def test_memory_that_is_held_on_the_way_is_seen():
    held = timing.most_held(lambda: np.ones(2**23).sum())
    assert held is None or 60 < held < 100


@pytest.fixture(scope="module")
def rows():
    """All workloads at two tiny sizes, against the peers that are there."""
    few = {"draw": lambda seed, number: drawing.cells(seed, 64, 2, number)}
    small = [
        replace(
            w,
            sizes=TINY.get(w.name, (24, 40) if "2d" in w.name else (16, 24)),
            **(few if w.name == "objects" else {}),
        )
        for w in WORKLOADS
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite, "WORKLOADS", small)
        patch.setattr(suite, "most_held", lambda work: 1.5)
        return list(suite.run(FAST))


@pytest.fixture(scope="module")
def document(rows):
    about = machine.describe_machine() | {"read_gb_s": 10.0, "gflop_s": 50.0}
    return {
        "created": "2026-11-29T00:00:00+00:00",
        "command": "segjax bench",
        "options": {},
        "machine": about,
        "workloads": [
            {"name": w.name, "title": w.title, "axis": w.axis, "grows": w.grows} for w in WORKLOADS
        ],
        "rows": rows,
        "growth": growths(rows),
    }


# What is drawn


@pytest.mark.parametrize("dims", [2, 3])
def test_balls_err_by_the_voxels_that_were_asked_for(dims):
    r, p = drawing.balls(0, 96, dims, error=2.0)
    found = segjax.evaluate(reference=r, prediction=p, metrics=["assd", "hd"])
    assert 0.7 < found["assd"] < 2.5
    assert found["hausdorff"] < 12
    assert 0.05 < r.mean() < 0.4
    again = drawing.balls(0, 96, dims, error=2.0)
    assert (again[0] == r).all()
    assert (again[1] == p).all()
    assert not (drawing.balls(1, 96, dims)[0] == r).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_cells_are_apart_and_as_many_as_asked_for(dims):
    number = 5**dims
    r, p = drawing.cells(3, 60, dims, number)
    assert np.unique(r).tolist() == list(range(number + 1))
    _, count = segjax.ops.components.components(r > 0, connectivity=dims)
    assert count == number
    found = segjax.evaluate(reference=r, prediction=p, metrics=["f1(threshold=0.5)", "seg"])
    assert 0.5 < found["seg"] < 0.99
    assert np.unique(p).size <= number


def test_layers_hold_every_class_in_like_amounts():
    r, p = drawing.layers(0, 32, 3, 8)
    shares = np.bincount(r.reshape(-1), minlength=9) / r.size
    assert shares.min() > 0.08
    assert (p == np.roll(r, 2, (0, 1, 2))).all()


@pytest.mark.parametrize(("dims", "side"), [(2, 256), (3, 64)])
def test_vessels_are_thin_and_torn(dims, side):
    r, p = drawing.vessels(0, side, dims)
    assert 0.01 < p.mean() < r.mean() < 0.25
    scores = segjax.evaluate(reference=r, prediction=p, metrics=["cldice", "betti_error"])
    assert 0.7 < scores["cldice"] < 1
    assert scores["betti_error"] > 0


# What is timed


def test_every_workload_meets_a_peer_that_is_always_there(rows):
    for workload in WORKLOADS:
        sizes = {row["size"] for row in rows if row["workload"] == workload.name}
        assert len(sizes) == 2
        for size in sizes:
            here = [r for r in rows if (r["workload"], r["size"]) == (workload.name, size)]
            ours = [r for r in here if r["tool"] == "segjax"]
            assert len(ours) == 1
            assert ours[0]["elements"] == workload.elements(size)
            peers = [r for r in here if "cpu_ratio" in r]
            assert any(
                word in r["tool"].lower() for r in peers for word in ("numpy", "scipy", "scikit")
            )


def test_rows_have_medians_spread_and_compilations(rows):
    for row in (r for r in rows if "cpu_ms" in r):
        low, high = row["wall_ms_quartiles"]
        assert 0 < low <= row["wall_ms"] <= high
        assert row["rounds"] >= 1
    ours = [r for r in rows if r["tool"] == "segjax"]
    assert all(r["first_call_s"] > 0 and r["compiled"] >= r["from_cache"] >= 0 for r in ours)
    assert "cpu_ratio" not in ours[0]


def test_scores_are_compared_before_anything_is_timed(monkeypatch):
    peers = lambda n: {"odd": lambda: Entry(lambda: 2.0), "even": lambda: Entry(lambda: 1.0)}
    monkeypatch.setattr(suite, "WORKLOADS", [workload(peers)])
    found = list(suite.run(FAST))
    assert [r.get("left_out") for r in found if r["tool"] == "odd"] == ["gives other scores"] * 3
    assert all("wall_ms" in r for r in found if r["tool"] == "even")


@pytest.mark.parametrize("when", ["built", "called"])
def test_a_peer_that_fails_is_left_out(monkeypatch, when):
    def fail(*_):
        raise ZeroDivisionError("of theirs\nat length")

    peers = lambda n: {"broken": fail if when == "built" else lambda: Entry(fail)}
    monkeypatch.setattr(suite, "WORKLOADS", [workload(peers)])
    found = [r for r in suite.run(FAST) if r["tool"] == "broken"]
    assert [r["left_out"] for r in found] == ["fails: ZeroDivisionError: of theirs"] * 3


def test_ours_may_not_fail(monkeypatch):
    own = replace(workload(lambda n: {}), ours=lambda n: Entry(lambda: 1 / 0))
    monkeypatch.setattr(suite, "WORKLOADS", [own])
    with pytest.raises(ZeroDivisionError):
        list(suite.run(FAST))


def test_what_a_peer_does_not_compute_is_not_compared():
    check_agreement("task", {"ours": np.array([1.0, 2.0]), "peer": np.array([np.nan, 2.0])})
    with pytest.raises(AssertionError, match="peer"):
        check_agreement("task", {"ours": np.array([1.0, 2.0]), "peer": np.array([np.nan, 2.1])})
    with pytest.raises(AssertionError, match="gives no score"):
        check_agreement("task", {"ours": np.array([1.0]), "peer": np.array([np.nan])})


def test_all_take_turns_in_reversed_order_every_other_round():
    said = []
    works = {name: (lambda name=name: said.append(name)) for name in "abc"}
    times = take_turns(works, {"a": 3, "b": 1, "c": 2})
    assert said == ["a", "b", "c", "c", "a", "a"]
    assert [len(times[name]) for name in "abc"] == [3, 1, 2]


def workload(peers, sizes=(1, 2, 3), **about):
    return Workload(
        name="w", title="What", axis="size", sizes=sizes, quick=sizes,
        elements=lambda n: 10**n, draw=lambda seed, n: (n,),
        ours=lambda n: Entry(lambda: 1.0), peers=peers, **about,
    )  # fmt: skip


def test_a_peer_is_left_out_before_it_takes_too_long(monkeypatch):
    calls = []
    peers = lambda n: {"slow": lambda: Entry(lambda: calls.append(n) or 1.0)}
    monkeypatch.setattr(suite, "WORKLOADS", [workload(peers)])
    monkeypatch.setattr(timing.time, "perf_counter", iter(np.arange(0, 1e6, 0.2)).__next__)
    found = [r for r in suite.run(Options(limit=1.0)) if r["tool"] == "slow"]
    assert "wall_ms" in found[0]
    assert [r["left_out"] for r in found[1:]] == ["a call would take some 2 s"] * 2
    assert set(calls) == {1}


def test_a_peer_is_left_out_before_it_holds_too_much(monkeypatch):
    peers = lambda n: {"large": lambda: Entry(lambda: 1.0)}
    monkeypatch.setattr(suite, "WORKLOADS", [workload(peers)])
    monkeypatch.setattr(suite, "most_held", lambda work: 300.0)
    found = [r for r in suite.run(Options(memory=2**31)) if r["tool"] == "large"]
    assert [r.get("left_out") for r in found] == [None, *["a call would hold some 3 GiB"] * 2]


def test_who_is_not_installed_is_said(monkeypatch):
    def absent():
        raise ImportError

    monkeypatch.setattr(suite, "WORKLOADS", [workload(lambda n: {"absent": absent})])
    found = [r for r in suite.run(FAST) if r["tool"] == "absent"]
    assert [r["left_out"] for r in found] == ["not installed"] * 3


def test_peers_may_stay_away(monkeypatch):
    monkeypatch.setattr(suite, "WORKLOADS", [workload(lambda n: {"p": lambda: Entry(int)})])
    assert {r["tool"] for r in suite.run(Options(peers=False))} == {"segjax"}


def test_unknown_workload_is_an_error():
    with pytest.raises(InputError, match="no workload 'overlap'; there are overlap-2d, "):
        Options(workloads=("overlap",))


# What follows


def made_rows(power):
    about = {"workload": "overlap-2d", "tool": "segjax"}
    return [
        about
        | {"size": s, "elements": s**2, "cpu_ms": 1 if s < 100 else s**power, "wall_ms": s**2.0}
        for s in (10, 50, 100, 200, 400)
    ]


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_growth_is_fitted_to_the_largest_sizes(power):
    (found,) = growths(made_rows(power))
    assert found["exponent"] == pytest.approx(power / 2, abs=0.01)
    assert found["exponent_wall"] == 1
    assert (found["from"], found["to"]) == (100, 400)
    assert 1 < found["n_log_n"] < 1.15


def test_quicker_peers_are_all_listed():
    of = lambda tool, **more: {"workload": "w", "size": 1, "tool": tool, **more}
    found = [of("segjax"), of("a", cpu_ratio=1.2), of("b", cpu_ratio=0.9), of("c", left_out="x")]
    assert [row["tool"] for row in quicker(found, "cpu")] == ["a"]
    assert quickest(found, found[0], "cpu")["tool"] == "a"
    assert quickest(found[:1], found[0], "cpu") is None


def test_programs_stand_below_a_roof():
    found = measure_roofline(1, quick=True)
    assert len(found) == 4
    for row in found:
        assert row["bytes"] >= 0.9 * row["input_bytes"]
        assert row["share"] == pytest.approx(row["bound_ms"] / row["wall_ms"], rel=0.05, abs=2e-3)
    assert found[-1]["flops"] >= 2 * 1024 * 1000 * 20


def test_cold_starts_know_what_was_compiled(monkeypatch):
    seen = []

    def run_process(arguments, *, cache=None, cwd=None):
        known = str(cache) in seen
        seen.append(str(cache))
        told = {"programs": 2, "from_cache": 2 * known, "seconds": 0.5}
        return processes.Finished((1.0, 6.0), 0.0, json.dumps({"compilations": told}))

    monkeypatch.setattr(processes, "run_process", run_process)
    found = {row["start"]: row for row in processes.cold_starts(2)}
    warm, cold = (found[f"segjax evaluate a b, {kind}"] for kind in ("warm", "cold"))
    assert (warm["compiled"], warm["from_cache"], warm["met"]) == (0, 2, False)
    assert (cold["compiled"], cold["from_cache"], cold["met"]) == (2, 0, True)
    assert "met" not in found["segjax --help"]


def test_a_process_that_fails_is_told(tmp_path):
    assert processes.run_process(["-c", "print(1)"]).printed == "1\n"
    with pytest.raises(RuntimeError, match="oh no"):
        processes.run_process(["-c", "raise SystemExit('oh no')"])


# The page


def test_page_names_every_workload_tool_and_reason(document):
    page = render_benchmark(document)
    for about in document["workloads"]:
        assert f'id="{about["name"]}"' in page
    for row in document["rows"]:
        assert row["tool"].replace("'", "&#x27;") in page
    assert "not installed" in page or all("left_out" not in r for r in document["rows"])
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_page_says_how_often_no_peer_is_quicker(document):
    rows = [
        {**r, "cpu_ratio": 2.0 if r["workload"] == "classes" else 0.5} if "cpu_ratio" in r else r
        for r in document["rows"]
    ]
    page = render_benchmark({**document, "rows": rows})
    assert f"{len(WORKLOADS) - 1} of {len(WORKLOADS)}" in page
    lost = sum("cpu_ratio" in r for r in rows if r["workload"] == "classes")
    compared = sum("cpu_ratio" in r for r in rows)
    assert f"In {lost} of {compared} comparisons" in page
    none = [{k: v for k, v in r.items() if k != "cpu_ratio"} for r in rows]
    assert "Where a peer is quicker" not in render_benchmark({**document, "rows": none})


def test_page_has_starts_roofline_and_ct_where_they_were_measured(document):
    start = {"start": "segjax", "process_wall_ms": 900.0, "process_cpu_ms": 800.0}
    place = measure_roofline(1, quick=True)[0]
    ct = {"shape": [4, 8, 8], "spacing": [2.5, 1.0, 1.0], "first_call_s": 1.5, "wall_ms": 12.34}
    more = {"starts": [start], "roofline": [place], "ct": ct | {"reported": {"cuCIM": "22 ms"}}}
    page = render_benchmark(document | more)
    for text in ("From a cold start", place["program"], "HD of a large CT", "12.3 ms", "4 x 8 x 8"):
        assert text in page
        assert text not in render_benchmark(document)


def test_page_sets_large_inputs_against_reading_them(document):
    rows = [
        {**r, "input_bytes": 5 * 10**7, "wall_ms": 20.0} if "input_bytes" in r else r
        for r in document["rows"]
    ]
    page = render_benchmark({**document, "rows": rows})
    assert "reading it once" in page
    assert page.count("<td>5.00</td><td>25.0 %</td>") == len(WORKLOADS)
    small = [{**r, "input_bytes": 100} if "input_bytes" in r else r for r in rows]
    assert "reading it once" not in render_benchmark({**document, "rows": small})


def test_page_is_inert(document):
    rows = [{**r, "tool": r["tool"].replace("NumPy", "<script>alert(1)")} for r in document["rows"]]
    assert "<script>alert" not in render_benchmark({**document, "rows": rows, "command": "<img>"})
    assert "<img>" not in render_benchmark({**document, "command": "<img>"})


def test_chart_puts_no_name_upon_another():
    curves = {f"tool {i}": [(10.0, 1.0), (100.0, 1.0 + i / 100)] for i in range(9)}
    drawn = ElementTree.fromstring(
        growth_chart(
            curves,
            first="tool 0",
            guide=[(10.0, 0.9), (100.0, 1.05)],
            guide_name="N log N",
            x_title="x",
            y_title="y",
            title="t",
        )
    )
    texts = [t for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    names = [t for t in texts if (t.text or "").startswith(("tool", "N log"))]
    heights = sorted(float(t.attrib["y"]) for t in names)
    assert len(names) == 10
    assert np.diff(heights).min() > 12
    assert 0 < heights[0]
    assert heights[-1] < float(drawn.attrib["height"])


def test_chart_of_nothing_says_so():
    empty = growth_chart(
        {"a": []}, first="a", guide=(), guide_name="", x_title="", y_title="", title="t"
    )
    assert "nothing to draw" in empty


# The command


def test_command_writes_a_page_and_what_is_on_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "WORKLOADS", [replace(WORKLOADS[0], quick=(16, 32))])
    out = tmp_path / "out"
    typed = ["bench", "--quick", "-w", "overlap-2d", "--rounds", "2", "-o", str(out)]
    assert main(typed) == 0
    said = capsys.readouterr()
    assert "overlap-2d" in said.out
    assert "grows as N^" in said.out
    assert str(out / "index.html") in said.out
    assert "overlap-2d, 32" in said.err
    stored = json.loads((out / "bench.json").read_text())
    assert {row["size"] for row in stored["rows"]} == {16, 32}
    assert stored["machine"]["versions"]["segjax"] == segjax.__version__
    assert "starts" not in stored
    assert (out / "index.html").read_text().endswith("</html>\n")
    assert {p.name for p in out.iterdir()} == {"bench.json", "index.html"}


def test_command_prints_json(capsys, monkeypatch):
    monkeypatch.setattr(suite, "WORKLOADS", [replace(WORKLOADS[0], quick=(16,))])
    assert main(["bench", "--quick", "-w", "overlap-2d", "--no-peers", "--json"]) == 0
    assert [r["tool"] for r in json.loads(capsys.readouterr().out)["rows"]] == ["segjax"]


def test_command_refuses_what_it_does_not_know(capsys):
    assert main(["bench", "-w", "speed"]) == 2
    assert "no workload 'speed'" in capsys.readouterr().err


def test_whole_run_measures_starts_roofline_and_ct(monkeypatch):
    monkeypatch.setattr(suite, "WORKLOADS", [replace(WORKLOADS[0], quick=(16,))])
    room = sys.modules["segjax.benchmark"]
    monkeypatch.setattr(room, "cold_starts", lambda rounds, seed: [{"start": rounds}])
    monkeypatch.setattr(room, "measure_roofline", lambda rounds, **_: [{"program": rounds}])
    *_, whole = benchmark.benchmark(Options(quick=True, peers=False))
    assert whole["starts"] == [{"start": 1}]
    assert whole["ct"]["shape"] == [24, 96, 96]
    assert whole["ct"]["wall_ms"] > 0
