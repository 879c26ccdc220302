"""Pairs by patterns and by lists, and references that nobody predicted."""

import pytest

from segjax import InputError
from segjax.io import pair
from tests.io.files import touch


def names(pairing):
    return [(p.name, p.reference.name, p.prediction and p.prediction.name) for p in pairing.pairs]


# Patterns


def test_files_are_paired_by_what_stands_at_the_id(tmp_path):
    touch(tmp_path / "gt" / "s1", "case1_mask.png", "case10_mask.png", "other.png")
    touch(tmp_path / "gt" / "s2", "case2_mask.png")
    touch(tmp_path / "out", "p-case10.npy", "p-case2.npy", "p-case3.npy")
    found = pair(f"{tmp_path}/gt/*/{{id}}_mask.png", f"{tmp_path}/out/p-{{id}}.npy")
    assert found.layout == "patterns"
    assert names(found) == [
        ("case2", "case2_mask.png", "p-case2.npy"),
        ("case10", "case10_mask.png", "p-case10.npy"),
    ]
    assert (found.only_reference, found.only_prediction) == (("case1",), ("case3",))


def test_the_id_may_be_a_folder_and_stand_twice(tmp_path):
    for case in ("a", "b"):
        touch(tmp_path / case, f"{case}_truth.npy", "guess.npy", "x_truth.npy")
    found = pair(f"{tmp_path}/{{id}}/{{id}}_truth.npy", f"{tmp_path}/{{id}}/guess.npy")
    assert [p.name for p in found.pairs] == ["a", "b"]


def test_any_depth_and_choices(tmp_path):
    touch(tmp_path / "r" / "x" / "y", "a1.png", "a3.png")
    touch(tmp_path / "p", "a1.png", "a3.png")
    found = pair(f"{tmp_path}/r/**/{{id}}[12].png", f"{tmp_path}/p/{{id}}1.png")
    assert names(found) == [("a", "a1.png", "a1.png")]


@pytest.mark.parametrize(
    ("reference", "prediction", "words"),
    [
        ("r/{id}.png", "p", "has no {id}"),
        ("r/{id}.jpg", "p/{id}.png", "matches no label map; check the pattern, and quote it"),
        ("r/*{id}.png", "p/{id}.png", None),
        ("r/{id}_*.png", "p/{id}.png", "second file of case a"),
        ("r/{id}_1.png", "p/a_{id}.png", "no two are equal"),
    ],
)
def test_patterns_that_leave_doubt_are_refused(tmp_path, monkeypatch, reference, prediction, words):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "r", "a_1.png", "a_2.png")
    touch(tmp_path / "p", "a_1.png", "a_2.png")
    if words is None:
        assert pair(reference, prediction).pairs
        return
    with pytest.raises(InputError, match=words):
        pair(reference, prediction)


# Lists


def written(tmp_path, text, name="pairs.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_list_names_pairs_from_its_own_folder(tmp_path):
    path = written(tmp_path, "prediction, Reference,case\np/1.png,r/a.png,first\n/x/2.png,b.png,\n")
    found = pair(path, None)
    assert found.layout == "manifest"
    assert [p.name for p in found.pairs] == ["first", "b"]
    assert found.pairs[0].reference == tmp_path / "r" / "a.png"
    assert str(found.pairs[1].prediction) == "/x/2.png"


def test_a_case_without_a_prediction_is_missing(tmp_path):
    found = pair(written(tmp_path, "reference\tprediction\na.png\tb.png\nc.png\t\n", "x.tsv"), None)
    assert ([p.name for p in found.pairs], found.only_reference) == (["a"], ("c",))
    assert [p.name for p in found.with_missing_as_empty().pairs] == ["a", "c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has the columns none; head its columns"),
        ("truth,prediction\na,b\n", "has the columns truth, prediction"),
        ("reference,prediction\na.png,b.png\nx/a.png,c.png\n", "line 3 is a second case 'a'"),
        ("reference,prediction\n,b.png\n", "line 2 names no reference"),
        ("reference,prediction\na.png,\n", "names no pair"),
        ("reference,prediction\na.png," + "x" * 200_000, "field larger than field limit"),
        ("reference," + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_lists_that_cannot_be_read_are_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        pair(written(tmp_path, text), None)


def test_a_folder_is_no_list(tmp_path):
    with pytest.raises(InputError, match=r"no list of pairs; give a \.csv, or the predictions"):
        pair(tmp_path, None)


# Missing predictions


def test_references_alone_may_count_as_empty(tmp_path):
    folders = touch(tmp_path / "r", "b.npy", "a.npy", "c.npy"), touch(tmp_path / "p", "b.npy")
    found = pair(*folders)
    assert [p.name for p in found.pairs] == ["b"]
    whole = found.with_missing_as_empty()
    assert names(whole) == [("a", "a.npy", None), ("b", "b.npy", "b.npy"), ("c", "c.npy", None)]
    assert whole.only_reference == ("a", "c")
