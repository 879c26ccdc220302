import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from segjax.report.charts import distribution_chart, interval_chart, scatter_chart
from segjax.report.charts._axes import Scale, decades, span, ticks


SVG = "{http://www.w3.org/2000/svg}"
MIXED = np.array([0.2, 0.5, np.nan, 0.9, np.inf, 0.9, -np.inf])
EMPTY = np.zeros(0)
UNIT = (0.0, 1.0)
HOSTILE = '"><script>&\x00'


def scatter(scores, sizes=None, **more):
    n = len(scores)
    sizes = np.arange(n) + 1.0 if sizes is None else sizes
    marked = more.pop("marked", np.zeros(n, bool))
    names = [HOSTILE] * n
    words = {"x_title": HOSTILE, "y_title": HOSTILE, "title": HOSTILE}
    return scatter_chart(sizes, scores, names=names, marked=marked, axis=UNIT, **words)


CHARTS = {
    "distribution": distribution_chart(MIXED, axis=UNIT, title=HOSTILE),
    "empty distribution": distribution_chart(EMPTY, axis=UNIT, title=HOSTILE),
    "one score": distribution_chart(np.array([1.0]), axis=UNIT, title=HOSTILE),
    "interval": interval_chart(0.5, (0.4, 0.6), axis=UNIT, cases=(0.1, 0.9), title=HOSTILE),
    "no interval": interval_chart(None, axis=UNIT, title=HOSTILE),
    "infinite": interval_chart(np.inf, (0.0, np.inf), axis=UNIT, title=HOSTILE),
    "scatter": scatter(MIXED, marked=np.arange(7) > 4),
    "empty scatter": scatter(EMPTY),
    "nothing there": scatter(np.array([0.5]), np.array([0.0])),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS.keys())
def test_chart_is_well_formed_and_says_what_it_is(chart):
    root = ElementTree.fromstring(chart)
    assert root.tag == f"{SVG}svg"
    assert root.attrib["role"] == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == HOSTILE.replace("\x00", "\ufffd")
    assert not re.search(r"\b(nan|inf)\b", chart)
    assert "script" not in {e.tag.removeprefix(SVG) for e in root.iter()}


@pytest.mark.parametrize("kind", ["distribution", "scatter"])
def test_what_cannot_be_drawn_is_counted(kind):
    assert "not drawn: 1 undefined, 2 infinite" in CHARTS[kind]


def test_objects_without_a_size_are_counted():
    assert "1 with nothing in the reference" in CHARTS["nothing there"]


def test_strip_has_a_dot_for_every_finite_score():
    (dots,) = re.findall(r'class="dots" d="(.*?)"', CHARTS["distribution"])
    assert dots.count("h0") == 4
    assert "dots" not in distribution_chart(MIXED, axis=UNIT, title="x", strip=False)


def test_box_spans_the_quartiles():
    # 0, 0.1, ..., 1: quartiles 0.25 and 0.75 of an axis from x = 30 to 326.
    chart = distribution_chart(np.linspace(0, 1, 11), axis=UNIT, title="x")
    (box,) = re.findall(r'class="box" d="M(.*?),.*?H(.*?)v', chart)
    assert [float(x) for x in box] == [30 + 0.25 * 296, 30 + 0.75 * 296]


def test_histogram_counts_every_finite_score():
    assert sum(map(int, re.findall(r"<title>(\d+) cases?<", CHARTS["distribution"]))) == 4


def test_interval_lies_where_its_ends_are():
    # The axis runs from x = 32 to 180.
    (ends,) = re.findall(r'class="interval" d="M(.*?),13H(.*?)"', CHARTS["interval"])
    assert [float(x) for x in ends] == [round(32 + 0.4 * 148, 1), round(32 + 0.6 * 148, 1)]
    assert "interval" not in CHARTS["no interval"]


def test_misses_are_crosses():
    assert CHARTS["scatter"].count('class="cross"') == 1
    assert CHARTS["scatter"].count('class="dot"') == 3


@pytest.mark.parametrize("low", [0.0, -1.0, 3e-7, 12.0])
@pytest.mark.parametrize("wide", [1e-6, 0.02, 1.0, 37.0, 2e9])
def test_ticks_are_few_and_inside(low, wide):
    values = ticks(low, low + wide)
    assert 2 <= len(values) <= 11
    assert min(values) >= low - 1e-6 * wide
    assert max(values) <= low + wide * (1 + 1e-6)


def test_decades_are_inside():
    assert decades(8.0, 120.0) == [10, 20, 50, 100]
    assert decades(0.5, 2e6) == [1, 10, 100, 1000, 10000, 100000, 1000000]


@pytest.mark.parametrize(
    "scores", [[0.2, 0.9], [0.991, 0.998], [1.0, 1.0], [5.0], [-3.0, 40.0], []]
)
@pytest.mark.parametrize("full", [None, UNIT])
def test_axis_holds_all_scores(scores, full):
    low, high = span(np.array(scores), full)
    assert low < high
    assert all(low <= x <= high for x in scores)


def test_logarithmic_scale_maps_the_geometric_mean_to_the_middle():
    assert Scale(1.0, 100.0, 0.0, 10.0, log=True)(10.0) == 5


def test_charts_and_pictures_never_import_jax():
    code = (
        "import sys, segjax.report.charts, segjax.report.overlay, segjax.report.theme;"
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
