"""The triage page: worst first, safe, small, and read without a script."""

import numpy as np
import pytest

from segjax import InputError
from segjax.report.theme import OVERLAY
from segjax.report.triage import doubt_picture, render_triage
from tests.report.browser import CHROMIUM, Browser
from tests.report.seeing import pixels
from tests.report.test_page import HOSTILE, Outline


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def disc(shape=(40, 40)):
    y, x = np.indices(shape)
    return ((y - 20) ** 2 + (x - 20) ** 2 <= 81).astype(int)


def document(*names, **more):
    results = [
        {
            "case": name,
            "scores": {"SEG": {"value": 0.1 * i, "low": 0.0, "high": 0.1 * i + 0.1}},
            "flags": ["no objects"] if i == 0 else [],
            "objects": 3.2,
            "segmented": i,
            "diameter": 21.0,
            "diameter_from": "labels",
        }
        for i, name in enumerate(names)
    ]
    metrics = [{"name": "SEG", "better": "higher", "least": 0.0, "most": 1.0}]
    return {"method": "otsu", "metrics": metrics, "results": results} | more


def near(seen, colour, tolerance=2):
    return (np.abs(pixels(seen).astype(int) - colour).max(-1) <= tolerance).sum()


def test_picture_shows_contours_and_tints_where_errors_are_likely():
    labels, missed = disc(), np.zeros((40, 40))
    missed[:8, :8] = 1.0
    plain = doubt_picture(50 * labels, labels, size=40)
    tinted = doubt_picture(50 * labels, labels, missed=missed, extra=missed * 0, size=40)
    assert near(plain, OVERLAY["agreement"]) == near(tinted, OVERLAY["agreement"]) > 20
    changed = (pixels(plain) != pixels(tinted)).any(-1)
    np.testing.assert_array_equal(changed, missed > 0)
    over_black = 0.55 * np.array(OVERLAY["missed"])
    assert near(tinted, over_black) == 64


def test_small_shares_of_errors_are_not_tinted():
    labels = disc()
    doubt = np.full(labels.shape, 0.09)
    plain, seen = doubt_picture(labels, labels), doubt_picture(labels, labels, extra=doubt)
    assert seen.uri == plain.uri


def test_picture_of_a_volume_is_the_plane_with_most_errors():
    labels = np.stack([disc()] * 5)
    extra = np.zeros(labels.shape)
    extra[3, 5, 5] = 1
    assert doubt_picture(labels, labels, extra=extra).caption == "plane 4 of 5"
    assert doubt_picture(labels, labels).caption == "plane 1 of 5"


def test_pictures_are_bounded_and_their_shapes_checked(rng):
    seen = doubt_picture(rng.random((900, 700)), rng.integers(0, 50, (900, 700)))
    assert max(seen.width, seen.height) == 480
    with pytest.raises(InputError, match="shape"):
        doubt_picture(np.zeros((4, 5)), np.zeros((4, 4), int))
    with pytest.raises(InputError, match="axes"):
        doubt_picture(np.zeros(4), np.zeros(4, int))


def test_page_says_what_to_look_at_first():
    page = render_triage(document("a", "b", "c"), {"b": doubt_picture(disc(), disc())})
    outline = Outline(page)
    assert not outline.open
    assert outline.tags.count("details") == 3
    assert outline.tags.count("img") == 1
    text = " ".join(outline.text)
    assert "otsu: what to look at first" in text
    assert "mean predicted SEG of 3 images; 1 image flagged" in text
    assert "no objects" in text
    assert "0.100" in text  # the mean of 0, 0.1, 0.2
    assert "21.0 px (median of the segmentation)" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_inert(name):
    found = document(name, method=name, notes=[name], command=name)
    found["results"][0]["flags"] = [name]
    found["weights"] = {"name": name, "data": name, "limits": [name]}
    found["unpaired"] = {"image": [name]}
    page = Outline(render_triage(found, {name: doubt_picture(disc(), disc())}))
    plain = Outline(render_triage(document("x"), {"x": doubt_picture(disc(), disc())}))
    assert {t for t in page.tags} <= {*plain.tags, "ul", "li"}
    assert not any(key.startswith("on") for _, key, _ in page.attributes)
    assert not page.open


@pytest.mark.parametrize("lacking", ["metrics", "results", "everything", "scores", "numbers"])
def test_a_document_that_lacks_things_is_shown_without_them(lacking):
    found = document("a", "b")
    if lacking == "everything":
        found = {}
    elif lacking == "scores":
        found["results"] = [{"case": "a"}]
    elif lacking == "numbers":
        for key in ("value", "low", "high"):
            found["results"][0]["scores"]["SEG"][key] = None
    else:
        del found[lacking]
    assert not Outline(render_triage(found, {})).open


def test_distances_have_an_axis_of_their_own():
    found = document("a", "b")
    found["metrics"][0] |= {"better": "lower", "least": 0.0, "most": None}
    found["results"][0]["scores"]["SEG"] = {"value": 12.0, "low": 3.0, "high": None}
    assert ">20</text>" in render_triage(found, {}) or ">12</text>" in render_triage(found, {})


def test_a_long_list_is_cut_and_says_so():
    page = render_triage(document(*(f"case{i}" for i in range(2100))), {})
    assert page.count("<details") == 2000
    assert "100 more" in page
    assert len(page) < 4_000_000


@needs_chromium
def test_page_works_in_a_browser(tmp_path):
    seen = doubt_picture(disc(), disc())
    (tmp_path / "x.html").write_text(
        render_triage(document("Alpha", "beta", "gamma"), {"beta": seen})
    )
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(tmp_path / "x.html", dark=True)
        shown = "[...document.querySelectorAll('.triage details')].filter(d => !d.hidden).length"
        assert browser.run(shown) == 3
        browser.run("document.querySelector('#flagged').click()")
        assert browser.run(shown) == 1
        browser.run("document.querySelector('#flagged').click()")
        browser.run("{const f = document.querySelector('#find'); f.value = 'ALPH'; f.oninput()}")
        assert browser.run(shown) == 1
        browser.run("document.querySelector('#open').click()")
        assert browser.run("document.querySelectorAll('.triage details[open]').length") == 1
        browser.run("document.querySelector('summary').focus()")
        assert browser.run("document.activeElement.tagName") == "SUMMARY"
        dark = "getComputedStyle(document.body).backgroundColor"
        assert browser.run(dark) == "rgb(20, 23, 27)"
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.complaints == []
        browser.open(tmp_path / "x.html", width=360)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.close()
