import copy
import csv
import io
import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from segjax.report._text import number, percent, probability
from segjax.report.board import render_board, to_csv
from segjax.report.board._content import Board
from segjax.report.board.cases import DIGITS, packed
from segjax.report.charts.bump import Ranks, bump_chart
from segjax.report.charts.coverage import Share, coverage_chart
from segjax.report.charts.forest import Estimate, forest_axis, forest_chart, forest_line
from segjax.report.charts.gap import gap_chart
from segjax.report.charts.heatmap import rank_heatmap
from segjax.report.charts.pairs import Cell, pair_matrix
from tests.report.board_sample import document
from tests.report.browser import CHROMIUM, Browser
from tests.report.test_page import HOSTILE, Outline


NAMES = (
    *HOSTILE,
    "=HYPERLINK('http://x.y')",
    "\u200f\u05de\u05d5\u05d3\u05dc\u202e 5",
    "model " * 200,
    "🧠🏽‍⚕️ nnU-Net",
    "",
)
SVG = re.compile(r"<svg.*?</svg>", re.S)


def data(page):
    return json.loads(Outline(page).scripts[0])


def text_of(page):
    return " ".join(" ".join(Outline(page).text).split())


def hostile(board):
    """The same board, every string that comes from outside replaced."""
    plain = [m["name"] for m in board["models"]]
    others = ["scanner", *(m["name"] for m in board["measures"]), *board["cases"]]
    new = {old: f"{NAMES[i % len(NAMES)]}{i}" for i, old in enumerate([*plain, *others])}

    def renamed(value):
        if isinstance(value, dict):
            return {renamed(k): renamed(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [renamed(v) for v in value]
        return new.get(value, value) if isinstance(value, str) else value

    outside = {
        "title": HOSTILE[0],
        "command": HOSTILE[1],
        "notes": list(HOSTILE),
        "dataset": {"name": HOSTILE[3], "url": "javascript:alert(1)"},
        "versions": {HOSTILE[2]: HOSTILE[4]},
        "sources": [{"path": HOSTILE[5], "sha256": HOSTILE[0]}],
    }
    made = renamed(board) | outside
    for model in made["models"]:
        model |= {"version": HOSTILE[2], "license": HOSTILE[1], "url": "javascript:alert(1)"}
        model["contaminated_on"] = [HOSTILE[0]]
    for measure in made["measures"]:
        measure |= {"unit": HOSTILE[0], "title": HOSTILE[3], "label": HOSTILE[2]}
    return made


SHAPES = {
    "three": document(3, 20, 2),
    "one model": document(1, 20, 1),
    "one case": document(3, 1, 1),
    "one of each": document(1, 1, 1),
    "none ranked": document(2, 12, 1, excluded=2),
    "some not ranked": document(6, 20, 2, excluded=2),
    "twelve": document(12, 30, 1),
    "thirty": document(30, 25, 1),
    "bare": document(4, 20, 2, extras=False),
    "nothing": {},
}


def emptied(value):
    """The same document with None wherever a result may be undefined."""
    keep = {"measure", "model", "models", "scheme", "column", "value", "a", "b", "n", "of"}
    if isinstance(value, dict):
        return {k: v if k in keep else emptied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [emptied(v) for v in value]
    return None if isinstance(value, float) else value


every_shape = pytest.mark.parametrize("board", SHAPES.values(), ids=SHAPES.keys())


@every_shape
def test_page_is_one_well_nested_file_that_asks_for_nothing(board):
    outline = Outline(render_board(board))
    assert outline.open == []
    assert not [v for _, name, v in outline.attributes if name in ("src", "srcset", "href")]
    assert not {"link", "iframe", "object", "base", "img"} & set(outline.tags)


def test_page_forbids_the_network():
    page = render_board(SHAPES["three"])
    (policy,) = [v for t, n, v in Outline(page).attributes if t == "meta" and "default" in str(v)]
    assert policy.startswith("default-src 'none'")
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("shape", ["three", "some not ranked", "thirty"])
def test_hostile_names_are_inert(shape):
    honest, found = (Outline(render_board(b)) for b in (SHAPES[shape], hostile(SHAPES[shape])))
    for tag in ("script", "img", "svg", "style", "b", "noscript", "a", "table"):
        assert found.tags.count(tag) == honest.tags.count(tag), tag
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert HOSTILE[0] in "".join(found.text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00]", "".join(found.text + found.scripts))


def test_names_keep_their_direction_to_themselves():
    page = render_board(hostile(SHAPES["three"]))
    for name in data(page)["models"]:
        assert name in "".join(Outline(page).text)
    rows = re.findall(r'<th scope="row">(?:<span class="mark m\d"></span>)?(<\w+>)', page)
    assert rows.count("<bdi>") >= 3 * 2


def test_page_can_be_encoded_whatever_the_names():
    broken = copy.deepcopy(SHAPES["three"])
    broken["title"] = broken["cases"][0] = "\udcff"
    render_board(broken).encode("utf-8")


@every_shape
@pytest.mark.parametrize("changed", [lambda b: b, emptied], ids=["full", "undefined"])
def test_every_picture_is_well_formed(board, changed):
    pictures = SVG.findall(render_board(changed(board)))
    for picture in pictures:
        ElementTree.fromstring(picture)
        assert not re.search(r"\b(nan|inf|None)\b", picture)
    assert bool(pictures) == bool(board)


def test_pictures_of_hostile_names_are_well_formed():
    for shape in ("some not ranked", "thirty"):
        for picture in SVG.findall(render_board(hostile(SHAPES[shape]))):
            ElementTree.fromstring(picture)


@pytest.mark.parametrize("spread", [0.02, 0.0005], ids=["apart", "close"])
def test_a_large_board_stays_below_a_megabyte(spread):
    page = render_board(document(50, 1000, 4, spread=spread, excluded=2))
    assert len(page.encode()) < 1_000_000
    found = data(page)
    assert [len(m["scores"]) for m in found["measures"]] == [50] * 4


def test_numbers_are_those_of_the_document():
    board = SHAPES["some not ranked"]
    page = render_board(board)
    for outcome in Board(board).outcomes:
        table = page.partition(f"<h2><bdi>{outcome.name}</bdi></h2>")[2].partition("</table>")[0]
        rows = table.partition("<tbody>")[2].split("<tr")[1:]
        assert len(rows) == 6
        for row, found in zip(outcome.result["table"], rows, strict=True):
            for words in (
                row["model"],
                outcome.printed(row["estimate"]),
                " to ".join(outcome.printed(row["interval"][k]) for k in ("low", "high")),
                " to ".join(outcome.printed(row["percentile"][k]) for k in ("low", "high")),
                percent(row["p_best"]),
                number(row["mean_rank"], 2),
                percent(row["failures"]["upper"]),
            ):
                assert words in found
    pair = board["results"][0]["pairs"][2]
    assert f">{probability(pair['p'])}<" in page
    assert f">{pair['units_needed']:,}<" in page


@pytest.mark.parametrize(
    ("half", "estimate", "digits"),
    [(0.025, 0.9, 3), (0.0012, 0.9, 4), (1.3, 7.2, 2), (30.0, 640.0, 1), (800.0, 64_000.0, 0)],
)
def test_decimals_follow_the_uncertainty(half, estimate, digits):
    board = document(1, 20, 1)
    row = board["results"][0]["table"][0]
    row["estimate"] = estimate
    row["interval"] |= {"low": estimate - half, "high": estimate + half}
    assert Board(board).outcomes[0].digits == digits


def told(board):
    return text_of(render_board(board)).partition("Measures")[2].partition("Download")[0]


def test_verdict_names_the_leader_and_whom_it_cannot_be_told_from():
    board = document(3, 20, 1)
    result = board["results"][0]
    first, second, third = result["ranking"]["models"]
    for pair, apart in zip(result["pairs"], (False, True, True), strict=True):
        pair |= {"separable": apart, "better": pair["a"] if apart else None}
    value = number(result["table"][0]["estimate"])
    words = told(board)
    assert f"{first} leads with {value}; it is separable from {third} , and not from {second}" in (
        words
    )
    # The curve is 0.12 / sqrt(n), and 0.12 / sqrt(20) = 0.0268.
    assert "20 cases cannot be counted on to separate differences below 0.027" in words


def test_verdict_of_a_shared_first_place():
    board = document(3, 20, 1)
    rows = board["results"][0]["table"]
    rows[0]["rank"] = rows[1]["rank"] = 1.5
    assert f"{rows[0]['model']} and {rows[1]['model']} share the first place" in told(board)


def test_verdict_when_all_are_separable_tells_no_limit():
    board = document(3, 20, 1)
    for pair in board["results"][0]["pairs"]:
        pair |= {"separable": True, "better": pair["a"]}
    words = told(board)
    assert "it is separable from" in words
    assert "cannot be counted on" not in words


def test_one_model_is_compared_with_nobody():
    page = text_of(render_board(SHAPES["one model"]))
    assert "is the only ranked model" in page
    assert "Which models differ?" not in page


def test_models_that_are_not_ranked_come_last_with_the_reason():
    page = render_board(SHAPES["some not ranked"])
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]
    assert ["excluded" in r.partition(">")[0] for r in rows] == [False] * 4 + [True] * 2
    assert "not ranked: trained on <bdi>KiTS21</bdi>" in rows[4]
    assert "not ranked: suspect" in rows[5]


def test_small_groups_are_grey_and_tests_are_told_in_words():
    board = document(3, 20, 1)
    page = render_board(board)
    small = sum(not g["shown"] for g in board["slices"][0]["groups"])
    assert page.count("<figure class=few>") == small == 4
    assert "Scores differ between the values of scanner for model 01 (adjusted p 0.012)" in (
        text_of(page).replace(" (", " (").replace("( ", "(")
    )


def test_a_board_without_calibration_says_how_to_get_it():
    assert "--calibrate" in text_of(render_board(SHAPES["bare"]))
    assert "--calibrate" not in text_of(render_board(SHAPES["three"]))


def test_winners_of_the_schemes_are_counted():
    board = document(2, 20, 1)
    names = [m["name"] for m in board["models"]]
    ranks = ([1.0, 2.0], [1.5, 1.5], [2.0, 1.0], [1.0, 2.0])
    for scheme, own in zip(board["schemes"], ranks, strict=True):
        scheme["ranks"] = own
    assert f"First, of 4 rankings: {names[0]} in 3, {names[1]} in 2." in text_of(
        render_board(board)
    )


def test_scores_of_a_small_board_have_five_digits_and_their_status():
    board = SHAPES["three"]
    found = data(render_board(board))["measures"]
    for measure in found:
        raw, status = board["scores"][measure["name"]], board["status"][measure["name"]]
        for i, row in enumerate(raw):
            for c, score in enumerate(row):
                seen = measure["scores"][i][c]
                assert (seen is None) == (score is None)
                assert seen is None or math.isclose(seen, score, rel_tol=5e-5)
        flags = [[i, c, s] for i, r in enumerate(status) for c, s in enumerate(r) if s]
        assert measure["flags"] == flags
        assert len(flags) == 3


@pytest.mark.parametrize("width", [1, 2, 3])
def test_packed_numbers_come_back_to_half_a_step(width):
    values = [0.25, None, -3.0, 7.5, 0.0, None]
    found = packed(values, width)
    codes = [
        sum(DIGITS.index(c) * len(DIGITS) ** k for k, c in enumerate(reversed(part)))
        for part in re.findall("." * width, found["text"])
    ]
    assert len(codes) == len(values)
    for value, code in zip(values, codes, strict=True):
        if value is None:
            assert code == len(DIGITS) ** width - 1
        else:
            back = found["low"] + code * found["step"]
            assert abs(back - value) <= 10.5 / len(DIGITS) ** width
    assert not re.search(r'["\\<>&]', DIGITS)


def test_the_page_saves_the_table_that_the_export_writes():
    board = SHAPES["some not ranked"]
    assert data(render_board(board))["csv"] == to_csv(board)


# Charts


def test_heat_map_prints_every_share_of_few_models_and_the_large_ones_of_many():
    few = rank_heatmap(["A", "B"], [[0.996, 0.004], [0.004, 0.996]], "x")
    assert re.findall(r'class="share[^>]*>([^<]*)<', few) == ["&gt;99", "&lt;1", "&lt;1", "&gt;99"]
    n = 25
    share = np.full((n, n), 0.6 / (n - 1)) + np.eye(n) * (0.4 - 0.6 / (n - 1))
    many = rank_heatmap([f"m{i}" for i in range(n)], share.tolist(), "x")
    assert re.findall(r"<tspan[^>]*>([^<]*)<", many) == ["40"] * n


@pytest.mark.parametrize("n", [2, 8, 12, 20])
def test_pair_matrix_has_a_cell_for_every_pair(n):
    cells = [[Cell("open", ("+0.1", "p 0.2"), f"{i},{j}") for j in range(i)] for i in range(n)]
    chart = pair_matrix([f"m{i}" for i in range(n)], cells, "x")
    if n <= 15:
        assert chart.count('class="pair open"') == n * (n - 1) // 2
        assert chart.count("<text") == n + (n * (n - 1) if n <= 8 else 0)
    else:
        # One bar for each row but the first, as all its cells are of one kind.
        assert re.findall(r'class="pair open" d="(.*?)"', chart)[0].count("M") == n - 1


def test_forest_line_lies_where_its_ends_are():
    # The axis runs from x = 12 to 228.
    line = forest_line(Estimate("A", 0.5, 0.25, 0.75), axis=(0.0, 1.0), guide=None)
    assert 'd="M66.0,15H174.0"' in line
    assert 'cx="120.0"' in line


def test_long_names_are_cut_and_kept_whole_where_a_pointer_rests():
    long = "a very long name of a model " * 4
    chart = forest_chart([Estimate(long, 0.5, 0.4, 0.6)], axis=(0.0, 1.0), title="x")
    assert f"<title>{long}</title>" in chart
    (shown,) = re.findall(r"</title>([^<]*)…</text>", chart)
    assert long.startswith(shown)
    assert len(shown) < 20


def test_gap_chart_marks_this_board_on_its_curve():
    curve = [(10.0, 0.1), (1000.0, 0.01)]
    chart = gap_chart(
        curve, now=(100.0, math.sqrt(0.001)), observed=None, x_title="", y_title="", title="x"
    )
    # Halfway on two logarithmic axes: the dot lies in the middle of the line.
    line = re.findall(r'class="curve" d="M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)"', chart)[0]
    x0, y0, x1, y1 = map(float, line)
    (x, y) = map(float, re.findall(r'class="now" cx="(.*?)" cy="(.*?)"', chart)[0])
    assert x == pytest.approx((x0 + x1) / 2, abs=0.1)
    assert y == pytest.approx((y0 + y1) / 2, abs=0.1)


@pytest.mark.parametrize("curve", [[], [(10.0, 0.0)], [(10.0, math.inf)], [(20.0, 0.1)]])
def test_gap_chart_of_too_little_is_drawn(curve):
    chart = gap_chart(curve, now=None, observed=None, x_title="x", y_title="y", title="t")
    ElementTree.fromstring(chart)


def test_coverage_that_misses_its_promise_stands_out():
    good = Share("good", 0.95, 0.943, 0.007)
    bad = Share("bad", 0.95, 0.889, 0.007)
    tiny = Share("within a point", 0.95, 0.942, 0.0001)
    chart = coverage_chart([good, bad, tiny], "x")
    assert re.findall(r'class="found( off)?"', chart) == ["", " off", ""]


def test_bump_chart_leaves_a_gap_between_groups_and_for_missing_ranks():
    column = lambda group, ranks: Ranks(group, "mean", ranks, None, None)
    chart = bump_chart(
        ["A", "B"], [column("dice", [1, 2]), column("dice", [2, None]), column("nsd", [1, 2])], "x"
    )
    lines = re.findall(r'class="line" d="(.*?)"', chart)
    assert [re.sub("[^ML]", "", d) for d in lines] == ["MM", "MLM"]  # the first on top


def test_axis_of_a_forest_has_even_decimals():
    texts = lambda axis: re.findall(r">(\d[\d.]*)</text>", forest_axis(axis, "x"))
    assert texts((0.85, 1.0)) == ["0.85", "0.90", "0.95", "1.00"]
    assert texts((0.87, 0.94)) == ["0.88", "0.90", "0.92", "0.94"]  # never a single tick


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    def opened(board, **how):
        file = tmp_path / "index.html"
        file.write_text(render_board(board), encoding="utf-8")
        browser.open(file, **how)
        return browser

    return opened


COLUMN = "[...document.querySelectorAll('.standings tbody tr')].slice(0, 6).map(r => r.cells[{}])"


def test_tables_sort_by_any_column(opened):
    page = opened(SHAPES["some not ranked"])
    names = COLUMN.format(2) + ".map(c => c.querySelector('bdi').textContent)"
    before = page.run(names)
    press = "document.querySelectorAll('.standings thead button')[{}].click()"
    page.run(press.format(3))
    means = page.run(COLUMN.format(4) + ".map(c => parseFloat(c.textContent))")
    assert means == sorted(means)
    page.run(press.format(3))
    means = page.run(COLUMN.format(4) + ".map(c => parseFloat(c.textContent))")
    assert means == sorted(means, reverse=True)
    page.run(press.format(2))
    assert page.run(names) == sorted(before)
    page.run(press.format(0))  # ranks rise, and who has none comes last
    assert page.run(names) == before
    assert page.complaints == []


def test_measure_chooser_shows_one_measure(opened):
    page = opened(SHAPES["three"])
    shown = (
        "[...document.querySelectorAll('[data-measure]')].filter(x => x.offsetParent)"
        ".map(x => x.dataset.measure)"
    )
    assert page.run(shown) == ["0"]
    page.run("(c => { c.value = '1'; c.onchange(); })(document.querySelector('.measure-choice'))")
    assert page.run(shown) == ["1"]
    choices = "[...document.querySelectorAll('.measure-choice')].map(x => x.value)"
    assert set(page.run(choices)) == {"1"}
    assert "hd95" in page.run("document.querySelector('#case-plot title').textContent")
    assert page.complaints == []


def test_without_scripts_all_measures_are_there(opened):
    page = opened(SHAPES["three"], script=False)
    tall = "[...document.querySelectorAll('[data-measure]')].map(x => x.offsetHeight > 300)"
    assert page.run(tall) == [True, True]
    assert page.run("document.querySelector('noscript table tbody').rows.length") == 20


def test_cases_are_filtered_and_their_means_follow(opened):
    board = SHAPES["three"]
    page = opened(board)
    page.run(
        "(f => { f.value = [...f.options].find(o => o.text === 'scanner: west').value;"
        " f.onchange(); })(document.getElementById('filter'))"
    )
    west = [i for i, v in enumerate(board["metadata"]["scanner"]) if v == "west"]
    shown = page.run("[...document.querySelectorAll('.case-row .name')].map(t => t.textContent)")
    assert sorted(shown) == [board["cases"][i] for i in west]
    rows = page.run(
        "[...document.querySelectorAll('#case-means tbody tr')]"
        ".map(r => [...r.cells].map(c => c.textContent))"
    )
    scores = dict(zip([m["name"] for m in board["models"]], board["scores"]["dice"], strict=True))
    assert len(rows) == 3
    for model, mean, count, _ in rows:
        known = [scores[model][i] for i in west if scores[model][i] is not None]
        assert int(count) == len(known)
        assert float(mean) == pytest.approx(sum(known) / len(known), abs=6e-4)
    assert f"{len(west)} of 20 cases shown" in page.run(
        "document.getElementById('found').textContent"
    )
    assert page.complaints == []


def test_worst_case_is_on_top_and_a_miss_is_a_cross(opened):
    page = opened(SHAPES["three"])
    first = "document.querySelector('.case-row')"
    # Of case 1, the last model has missed everything.
    assert page.run(first + ".querySelector('.name').textContent") == "case 0001"
    assert page.run(first + ".querySelectorAll('.case-miss').length") == 1
    assert "missed" in page.run(first + ".querySelector('title').textContent")


def test_pairs_of_many_models_are_listed_on_demand(opened):
    board = SHAPES["thirty"]
    page = opened(board)
    rows = "document.querySelector('.pairs-table tbody').rows"
    assert page.run(rows + ".length") == 0
    page.run("document.querySelector('[data-pairs]').open = true")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert page.run(rows + ".length") == 30 * 29 // 2
    cells = page.run(f"[...{rows}[0].cells].map(c => c.textContent)")
    pair = board["results"][0]["pairs"][0]
    assert cells[:2] == [pair["a"], pair["b"]]
    outcome = Board(board).outcomes[0]
    assert cells[2].lstrip("+") == outcome.printed(pair["difference"], 1)
    assert cells[4] == probability(pair["p"])
    assert page.complaints == []


@pytest.mark.parametrize("what", ["board", "scores"])
def test_tables_can_be_saved_under_the_policy(browser, opened, what):
    board = SHAPES["some not ranked"]
    browser.save_files()
    page = opened(board)
    page.run(f"document.querySelector('[data-save={what}]').click()")
    name = {"board": "leaderboard.csv", "scores": "scores.csv"}[what]
    text = browser.saved(name)
    assert page.complaints == []
    if what == "board":
        assert text == to_csv(board)
        return
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * 6 * 20
    raw = board["scores"][rows[5]["measure"]][0][5]
    assert float(rows[5]["score"]) == pytest.approx(raw, rel=5e-5)
    assert {r["status"] for r in rows} == {"scored", "undefined", "missed", "absent"}


def test_hostile_names_do_nothing_in_a_browser(opened):
    page = opened(hostile(SHAPES["thirty"]))
    page.run("document.querySelector('[data-pairs]').open = true")
    page.run("for (const b of document.querySelectorAll('.sortable button')) b.click()")
    assert page.run("document.querySelectorAll('img, main script:not([type])').length") == 0
    assert page.complaints == []


@pytest.mark.parametrize("shape", [*SHAPES, "hostile"])
@pytest.mark.parametrize("width", [400, 1240])
def test_no_page_is_wider_than_its_window(opened, shape, width):
    board = hostile(SHAPES["some not ranked"]) if shape == "hostile" else SHAPES[shape]
    page = opened(board, width=width)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
