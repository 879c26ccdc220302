"""What is asked and answered, without a window."""

from types import SimpleNamespace

import numpy as np
import pytest

import segjax
from segjax._errors import InputError
from segjax.metrics import METRICS
from segjax.napari import triage
from segjax.napari.layers import question_of, unit_of
from segjax.napari.live import Mark, Options, Question, annotated_part, answer
from segjax.napari.pace import Pace
from segjax.napari.text import best_of, mark_hint, mark_text
from tests.napari.scenes import squares


def ask(reference, result, **options):
    spacing = options.pop("spacing", ())
    question = Question(
        reference=reference, results={"r": result}, spacing=spacing, options=Options(**options)
    )
    return answer(question).results["r"]


def test_scores_are_those_of_evaluate():
    r, p = squares()
    names = ("dice", "seg", "hausdorff(percentile=95)", "vi_split")
    found = ask(r, p, metrics=names, spacing=(0.5, 2.0))
    expected = segjax.evaluate(
        reference=r, prediction=p, metrics=names, labels="foreground", spacing=(0.5, 2.0)
    )
    assert {k: mark.value for k, mark in found.marks.items()} == pytest.approx(expected)


def test_every_metric_has_a_score_or_a_reason():
    r, p = squares()
    found = ask(r, p, metrics=tuple(m.name for m in METRICS))
    without = {m.name for m in METRICS} - found.marks.keys()
    assert without == {"jaccard_binary_sparse"}  # asks for an annotation of 0, 1 and 2
    assert "0 (unknown), 1 (negative) and 2" in found.notes[0]
    for name, mark in found.marks.items():
        assert mark_text(name, mark, "mm")
        assert mark_hint(name, mark)


def test_objects_of_squares_by_hand():
    r, p = squares()
    table = ask(r, p).objects
    kinds = dict(zip(table.label[table.in_reference].tolist(), table.kind, strict=False))
    assert kinds == {1: "accurate", 2: "missed", 3: "merged", 4: "merged"}
    rows = triage.worst_first(table)
    # Missed and spurious have IoU 0, the larger (16 to 9 voxels) first; merged have 1/2 each.
    assert table.label[rows].tolist() == [2, 9, 3, 4, 1]
    assert table.iou[rows].tolist() == pytest.approx([0, 0, 0.5, 0.5, 0.75])


def test_only_annotated_objects_count():
    r, p = squares()
    sparse = np.where(r == 1, r, 0)
    found = ask(sparse, p, annotated_only=True, metrics=("dice", "spurious", "jaccard_sparse"))
    # Of the result only object 7 meets the annotated one: 2 * 48 / (64 + 48).
    assert found.marks["dice"].value == pytest.approx(96 / 112)
    assert found.marks["spurious"].value == 0
    assert found.marks["jaccard_sparse"].value == pytest.approx(0.75)
    assert ask(sparse, p, metrics=("spurious",)).marks["spurious"].value == 2
    # The Game's index asks for no such mode: it is of the annotated objects anyway.
    assert ask(sparse, p, metrics=("jaccard_sparse",)).marks["jaccard_sparse"].value == 0.75


def test_annotated_part_is_the_union_of_objects_that_meet(rng):
    r, p = (rng.integers(0, 6, (8, 9)) for _ in range(2))
    r[r != 2] = 0
    met = {int(k) for k in p[r > 0]} - {0}
    expected = [
        [a > 0 or int(b) in met for a, b in zip(x, y, strict=True)]
        for x, y in zip(r, p, strict=True)
    ]
    np.testing.assert_array_equal(annotated_part(r, p), expected)


def test_classes_are_scored_one_by_one():
    r = np.array([[1, 1, 2, 2, 0, 3]])
    p = np.array([[1, 0, 2, 2, 4, 0]])
    mark = ask(r, p, labels="classes", metrics=("precision",)).marks["precision"]
    assert {k: each.status for k, each in mark.by_class.items()} == {
        1: "scored",
        2: "scored",
        3: "missed",
        4: "scored",
    }
    assert mark.value == pytest.approx((1 + 1 + 0) / 3)
    assert "class 3: missed" in mark_hint("precision", mark)
    many = np.arange(1, 101).reshape(10, 10)
    assert 'set "Labels are" to objects' in ask(many, many, labels="classes").problem


def test_a_result_that_does_not_fit_says_why_and_the_others_are_scored():
    r, p = squares()
    bad = {"small": p[:4], "negative": -p, "good": p}
    results = answer(Question(reference=r, results=bad)).results
    assert "same shape" in results["small"].problem
    assert "negative label" in results["negative"].problem
    assert not results["good"].problem
    assert results["good"].marks
    assert "no objects yet" in ask(0 * r, p).problem
    assert ask(r, 0 * p).marks["hausdorff(percentile=95)"].status == "missed"


def test_an_option_out_of_range_is_a_note():
    r, p = squares()
    found = ask(r, p, metrics=("hausdorff(percentile=150)", "dice"))
    assert list(found.marks) == ["dice"]
    assert "percentile" in found.notes[0]


def test_the_same_question_is_not_answered_twice():
    r, p = squares()
    question = Question(reference=r, results={"r": p})
    first = answer(question)
    assert answer(question, first) is first
    p[0, 0] = 5
    second = answer(question, first)
    assert second is not first
    assert second.results["r"].objects.counts["spurious"] == 2


def test_scores_are_predicted_without_a_reference():
    (image, _, _), (_, _, _), (labels, _, _), _ = sample()
    result = answer(Question(image=image, results={"r": labels})).results["r"]
    assert set(result.marks) == {"SEG", "Dice", "PQ", "neMHD"}
    expected = segjax.assess(image, labels)
    mark = result.marks["SEG"]
    assert (mark.value, mark.low, mark.high) == pytest.approx((expected.score, *expected.interval))
    assert result.objects is None
    assert "\N{EN DASH}" in mark_text("SEG", mark)


def sample():
    from segjax.napari import samples

    return [(data[:128, :128], *rest) for data, *rest in samples.nuclei()]


# Pace.


def test_a_change_is_scored_once_the_hand_rests():
    pace = Pace(rest=0.1, patience=0.5)
    assert pace.wait(0.0) is None
    pace.changed(1.0)
    assert pace.wait(1.0) == pytest.approx(0.1)
    pace.changed(1.05)
    assert pace.wait(1.1) == pytest.approx(0.05)
    assert pace.wait(1.2) == 0


def test_a_brush_that_never_rests_is_scored_at_last():
    pace = Pace(rest=0.1, patience=0.5)
    for i in range(100):
        pace.changed(i * 0.05)
        if pace.wait(i * 0.05) == 0:
            break
    assert i * 0.05 == pytest.approx(0.5)


def test_one_question_at_a_time_and_the_newest_after_it():
    pace = Pace(rest=0.1)
    pace.changed(0.0)
    pace.started()
    pace.changed(0.05)
    assert pace.wait(9.0) is None
    assert not pace.settled
    pace.finished()
    assert pace.wait(9.0) == 0
    pace.started()
    pace.finished()
    assert pace.settled


# Layers, colours, words.


def layer(data, name="x", **given):
    n = data.ndim
    base = {"scale": np.ones(n), "translate": np.zeros(n), "units": ("pixel",) * n}
    return SimpleNamespace(data=data, ndim=n, name=name, multiscale=False, **(base | given))


def test_layers_that_do_not_lie_on_each_other_are_refused():
    r, p = squares()
    reference, image = layer(r, "truth"), layer(r, "photo")
    with pytest.raises(InputError, match="no result is ticked"):
        question_of(reference, [])
    with pytest.raises(InputError, match="choose a reference"):
        question_of(None, [layer(p)])
    with pytest.raises(InputError, match="'truth' is the reference and a result at once"):
        question_of(reference, [reference])
    with pytest.raises(InputError, match=r"scale 1, 1 and 'x' 2, 1; set layer\.scale"):
        question_of(reference, [layer(p, scale=np.array([2.0, 1.0]))])
    with pytest.raises(InputError, match="moved"):
        question_of(reference, [layer(p, translate=np.array([0.0, 3.0]))])
    with pytest.raises(InputError, match="2 axes and 'x' 3"):
        question_of(reference, [layer(p[None])])
    assert question_of(None, [layer(p)], image).image is image.data
    assert question_of(reference, [layer(p)], image).image is None


def test_spacing_is_that_of_the_layer():
    r, p = squares()
    both = [layer(x, scale=np.array([0.5, 0.25]), units=("micrometer",) * 2) for x in (r, p)]
    question = question_of(both[0], both[1:])
    assert (question.spacing, question.unit) == ((0.5, 0.25), "µm")
    assert unit_of(SimpleNamespace(units=("micrometer", "second"))) == ""
    distance = answer(question).results["x"].marks["hausdorff(percentile=95)"]
    assert mark_text("HD95", distance, question.unit).endswith(" µm")


def test_colours_are_those_of_the_kinds_and_steps_of_iou():
    r, p = squares()
    table = ask(r, p).objects
    by_kind = triage.colours(table, "kind", reference=True)
    assert by_kind[2] == triage.KIND_COLOURS["missed"]
    assert by_kind[3] == by_kind[4] == triage.KIND_COLOURS["merged"]
    assert triage.colours(table, "kind", reference=False)[9] == triage.KIND_COLOURS["spurious"]
    by_iou = triage.colours(table, "iou", reference=True)
    brightness = {k: sum(colour) for k, colour in by_iou.items()}
    assert brightness[2] > brightness[3] == brightness[4] > brightness[1]
    assert len({triage.iou_colour(x) for x in np.linspace(0, 1, 500)}) <= 21


def test_the_best_of_several_has_the_right_direction():
    assert best_of("dice", {"a": 0.5, "b": 0.7}) == {"b"}
    assert best_of("HD95", {"a": 3.0, "b": 2.0, "c": np.nan}) == {"b"}
    assert best_of("volume_difference", {"a": -0.1, "b": 0.2}) == {"a"}
    assert best_of("tp", {"a": 1.0, "b": 2.0}) == set()
    assert best_of("dice", {"a": 0.5}) == set()
    assert mark_text("absolute_volume_difference", Mark(12.0, "scored"), "mm", 3) == "12 mm³"
