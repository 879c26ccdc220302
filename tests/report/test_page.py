import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import jax
import pytest

from segjax.metrics import METRICS as ALL
from segjax.report import render, samples, worst_first
from segjax.report._text import number, script_json
from segjax.report.sections._content import digits, short
from segjax.table import Column
from tests.report import scores


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><b>",
    "</title></style></noscript><svg onload=alert(1)>",
    "a\u2028b\x00\u202ec",
    "' onclick='alert(1)",
)
VOID = {"meta", "img", "input", "br", "wbr", "link"}


class Outline(HTMLParser):
    """Elements, attributes and text of a page; scripts apart."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.scripts, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = bool(self.open) and self.open[-1] == "script"
        (self.scripts if inside else self.text).append(data)


def data(page):
    return json.loads(Outline(page).scripts[0])


@pytest.fixture(scope="module")
def single():
    return scores.page(scores.table())


@pytest.fixture(scope="module")
def several():
    return scores.page(scores.table(labels=3))


@pytest.mark.parametrize("labels", [1, 3])
def test_page_is_one_well_nested_file_that_asks_for_nothing(labels):
    outline = Outline(scores.page(scores.table(labels=labels)))
    assert outline.open == []
    for tag, name, value in outline.attributes:
        assert name != "srcset"
        if name == "src":
            assert value.startswith("data:")
        if name == "href":
            assert tag == "a"
            assert value.startswith("https://doi.org/10.")
    assert not {"link", "iframe", "object", "base"} & set(outline.tags)


def test_page_forbids_the_network(single):
    (policy,) = [v for t, n, v in Outline(single).attributes if t == "meta" and "default" in str(v)]
    assert policy.startswith("default-src 'none'; img-src data:")
    style = single.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("labels", [1, 3])
def test_hostile_names_are_inert(labels):
    plain = scores.table(labels=labels)
    hostile = scores.named(plain, HOSTILE, HOSTILE[:labels])
    more = {
        "method": HOSTILE[0],
        "command": HOSTILE[1],
        "unpaired": {"reference": list(HOSTILE), "prediction": []},
        "versions": {HOSTILE[2]: HOSTILE[3]},
    }
    found = Outline(scores.page(hostile, **more))
    honest = Outline(
        scores.page(plain, **more | {"method": "m", "command": "c"} | {"versions": {"a": "b"}})
    )
    for tag in ("script", "img", "svg", "style", "b", "noscript"):
        assert found.tags.count(tag) == honest.tags.count(tag)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert HOSTILE[0] in "".join(found.text)


def test_names_survive_the_way_through_json():
    hostile = scores.named(scores.table(), HOSTILE, ["x"])
    cases = data(scores.page(hostile))["cases"]
    assert HOSTILE[0] in cases
    assert "a\u2028b\ufffd\ufffdc" in cases


def test_json_in_a_script_cannot_end_it():
    text = script_json({"a": "</script><!-- & \u2028\u2029 \ud800"})
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {"a": "</script><!-- & \u2028\u2029 \ud800"}


def test_page_can_be_encoded_whatever_the_names():
    broken = [f"\udcff{i}" for i in range(6)]  # how Python reads a name that is no UTF-8
    scores.page(scores.named(scores.table(), broken, ["\ud800"])).encode("utf-8")


def test_all_metrics_and_cases_appear(several):
    found = data(several)
    table = scores.table(labels=3)
    assert sorted(found["cases"]) == sorted(table.cases)
    assert {m["name"] for m in found["metrics"]} == set(table.metrics)
    text = "".join(Outline(several).text)
    for case in table.cases:
        assert case in text
    for metric in table.metrics:
        assert metric in text


def test_dice_leads_and_accuracy_does_not(single):
    body = single.partition("<main>")[2]
    assert body.index("Dice similarity coefficient") < body.index("Accuracy")
    assert data(single)["main"] == "dice"
    without = scores.page(scores.table(metrics=("accuracy", "iou")))
    assert data(without)["main"] == "iou"
    assert without.index("<code>iou") < without.index("<code>accuracy")


def test_metric_of_objects_leads_if_it_is_given_first():
    # Objects share 10, 9, 0, -, 6 and 5 voxels of 10; the last is not covered by more than half.
    first = scores.page(scores.table(metrics=("seg", "dice")))
    assert data(first)["main"] == "seg"
    lead = first.partition('class="lead"')[2].partition("</p>")[0]
    assert "0.500 of all objects together" in lead
    assert "leads, as objects are judged" in text_of(first)
    last = scores.page(scores.table(metrics=("dice", "seg")))
    assert data(last)["main"] == "dice"
    assert "of all objects together" not in last
    assert "Dice leads, with IoU" in text_of(last)


def test_a_page_of_accuracy_alone_has_no_lead():
    only = scores.page(scores.table(metrics=("accuracy",)))
    assert data(only)["main"] is None
    assert 'class="lead"' not in only


def test_undefined_and_missed_are_counted_and_not_shown_as_numbers(single):
    row = next(r for r in single.split("<tr") if "<code>precision</code>, higher" in r)
    cells = re.findall(r"<td>(.*?)</td>", row)
    n, undefined, missed = (re.sub("<.*?>", "", c) for c in cells[4:7])
    assert (n, undefined, missed) == ("5", "1", "1")
    found = data(single)
    precision = dict(zip(found["cases"], found["scores"]["precision|1"], strict=True))
    assert precision["case 002"] == "m"
    assert precision["case 003"] == "u"
    printed = single.partition("<noscript>")[2].partition("</noscript>")[0]
    assert ">missed</span>" in printed
    assert ">undefined</span>" in printed


def test_mean_of_cases_and_pooled_score_are_both_labelled(single):
    assert ">Mean of cases<" in single
    assert ">Pooled<" in single


def test_mean_over_labels_comes_before_each_label(several):
    found = data(several)
    assert found["views"] == ["mean", "1", "2", "3"]
    body = several.partition("<main>")[2]
    assert body.index(">mean over labels<") < body.index('<th scope="row">1<')


def test_cases_are_listed_worst_first():
    # The prediction of case i lacks i of 10 voxels, that of case 2 all: Dice falls with i.
    order = worst_first(scores.table())
    assert order == ("case 002", "case 005", "case 004", "case 001", "case 000", "case 003")
    assert samples(scores.table()) == {
        "best": "case 000",
        "median": "case 004",
        "worst": "case 002",
    }


def test_few_cases_are_warned_of(single):
    assert "too narrow" in single
    assert "too narrow" not in scores.page(scores.table(60))


def test_one_case_has_no_interval():
    alone = scores.page(scores.table(1))
    assert "With one case there is no interval" in alone
    assert ">Only: 1.000<" in alone


def test_page_of_nothing_opens():
    table = scores.table(1)
    empty = replace(
        table,
        cases=(),
        columns={c: x[:0] for c, x in table.columns.items()},
        counts=jax.tree.map(lambda x: x[:0], table.counts),
    )
    assert Outline(scores.page(empty)).open == []


def test_page_without_a_summary_opens():
    assert Outline(render(scores.table(), {}, {})).open == []


def test_infinite_scores_are_named_and_not_drawn():
    table = scores.table(metrics=("volume_difference",))
    columns = {c: x.copy() for c, x in table.columns.items()}
    before = data(scores.page(table))["scores"]["volume_difference|1"].count("m")
    columns[Column("volume_difference", 1)][:2] = math.inf
    page = scores.page(replace(table, columns=columns))
    assert "2 infinite" in page
    assert data(page)["scores"]["volume_difference|1"].count("m") == before + 2
    assert "missed" in page.partition("<noscript>")[2]


def test_scores_that_are_all_undefined_open():
    # Case 3 alone, which is empty in both.
    table = scores.table()
    columns = {c: x[3:4] for c, x in table.columns.items()}
    counts = jax.tree.map(lambda x: x[3:4], table.counts)
    page = scores.page(replace(table, cases=("empty",), columns=columns, counts=counts))
    assert "no score" in page
    assert Outline(page).open == []


def test_missing_files_and_hashes_are_told():
    page = scores.page(scores.table(), unpaired={"reference": ["lost.png"], "prediction": []})
    assert "1 reference" in page
    assert "lost.png" in page
    assert "ab" * 32 in page


def test_five_hundred_cases_stay_small():
    big = scores.table(500, labels=3)
    heavy = replace(scores.DOT, uri="data:image/png;base64," + "A" * 16_000)
    page = render(big, scores.summary(big), dict.fromkeys(big.cases, heavy))
    assert len(page.encode()) < 3_000_000
    assert len(data(page)["cases"]) == 500
    assert page.partition("<noscript>")[2].count('<th scope="row">case') >= 50


# Objects


def counts(table, **more):
    """Of case i: 10 objects, of which i % 4 are missed, merged, or split, in turn."""
    found = []
    for i, case in enumerate(table.cases):
        wrong = [i % 4 if i % 3 == k else 0 for k in range(3)]
        kinds = dict(zip(("missed", "merged", "split"), wrong, strict=True))
        kinds |= {"accurate": 10 - sum(wrong), "spurious": 2 * (i == 5)}
        found.append({"case": case, "reference": 10, "prediction": 12, **kinds, **more})
    return found


def text_of(page):
    return " ".join(" ".join(Outline(page).text).split())


def test_objects_are_told_by_kind():
    # Cases 0 to 5 have 0, 1, 2, 3, 0, 1 wrong: split 2 + 1, merged 1 + 0, missed 0 + 3.
    table = scores.table()
    page = scores.page(table, objects=counts(table))
    assert Outline(page).open == []
    text = text_of(page)
    assert "60 objects in the reference, 72 predicted." in text
    part = text.partition("Objects 60")[2].partition("Distributions")[0]
    for words in (
        "accurate 53 88.3 % of the reference",
        "missed 3 5.0 % of the reference",
        "merged 1 1.7 % of the reference",
        "split 3 5.0 % of the reference",
        "spurious 2 2.8 % of the prediction",
    ):
        assert words in text
    listed = part.partition("Cases with most errors")[2]
    # Case 3 misses 3; case 5 has 1 split and 2 spurious; then 2 and 1; 0 and 4 have none.
    assert re.findall(r"case \d+", listed) == ["case 003", "case 005", "case 002", "case 001"]
    assert "case 005 10 9 0 0 1 2" in listed
    assert "2 of 6 cases without missed, merged, split or spurious objects." in listed


def test_pictures_of_objects_have_a_legend_and_a_count():
    table = scores.table()
    page = scores.page(table, objects=counts(table))
    cases = page.partition("<h2>Cases</h2>")[2]
    legend = re.findall(r'<li><span class="swatch (\w+)"></span>([^<]+)</li>', cases)
    assert legend == [
        ("agreement", "accurate"),
        ("missed", "missed"),
        ("merged", "merged"),
        ("split", "split"),
        ("extra", "spurious"),
        ("outline", "outline of the reference"),
    ]
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert all(f".swatch.{swatch}" in style for swatch, _ in legend)
    # Samples are cases 0, 4 and 2.
    assert "10 accurate, 0 missed, 0 merged, 0 split, 0 spurious" in cases
    assert "8 accurate, 0 missed, 0 merged, 2 split, 0 spurious" in cases


def test_classes_are_not_told_by_kind(single):
    assert "<h2>Objects</h2>" not in single
    assert "agreement</li>" in single


def test_page_of_no_objects_opens():
    table = scores.table(1)
    nothing = [dict.fromkeys(one, 0) | {"case": one["case"]} for one in counts(table)]
    page = scores.page(table, objects=nothing)
    assert "0 objects in the reference, 0 predicted." in text_of(page)
    assert "Cases with most errors" not in page


def test_at_most_ten_cases_are_listed():
    table = scores.table(60)
    listed = scores.page(table, objects=counts(table)).partition("Cases with most errors")[2]
    assert listed.partition("</table>")[0].count('<th scope="row">') == 10


def test_hostile_names_of_cases_with_objects_are_inert():
    plain = scores.table()
    hostile = scores.named(plain, HOSTILE, ["x"])
    found, honest = (Outline(scores.page(t, objects=counts(t))) for t in (hostile, plain))
    for tag in ("script", "img", "svg", "style", "b", "noscript"):
        assert found.tags.count(tag) == honest.tags.count(tag)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert "".join(found.text).count(HOSTILE[1]) > "".join(honest.text).count(HOSTILE[1])


@pytest.mark.parametrize("metric", ALL, ids=lambda m: m.name)
def test_every_metric_has_a_short_name(metric):
    assert 5 < len(short(metric)) < 60
    assert digits(metric) in (0, 1, 2, 3)


@pytest.mark.parametrize("value", [0.99951, -0.99999, 0.0002, -0.0004])
def test_rounding_never_feigns_a_perfect_or_useless_score(value):
    assert float(number(value).replace("\N{MINUS SIGN}", "-")) not in (-1, 0, 1)
