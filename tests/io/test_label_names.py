import pytest

from segjax._errors import InputError
from segjax.io import read_label_names, read_labelling


NAMES = {1: "liver", 2: "left kidney"}

ITK_SNAP = """\
################################################
# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "liver"
    2     0  255    0      0.5  1  1    "left kidney"
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"labels": {"liver": 1, "left kidney": 2, "both": [1, 2], "ignore": 3}}'),
        ("a.json", '{"1": "liver", "2": "left kidney"}'),
        ("a.json", '{"liver": 1, "left kidney": 2}'),
        ("a.yaml", "1: liver\n2: left kidney\n"),
        ("a.yml", "labels:\n  liver: 1\n  left kidney: 2\n"),
        ("a.csv", "1,liver\n2,left kidney\n"),
        ("a.csv", '\ufefflabel,name\r\n1,"liver"\r\n\r\n2,left kidney,red\r\n'),
        ("a.csv", "1;liver\n2;left kidney"),
        ("a.tsv", "id\tname\n1\tliver\n2\tleft kidney\n"),
        ("a.txt", "# ours\n1 liver\n2 left kidney\n"),
    ],
)
def test_names_are_read_from_any_usual_list(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_label_names(tmp_path / name) == NAMES


def test_lists_of_labels_are_regions_and_the_ignored_label_is_none(tmp_path):
    text = '{"labels": {"whole": [2, 1, 2], "liver": 1, "core": [2], "ignore": 3}}'
    (tmp_path / "a.json").write_text(text.replace("[2, 1, 2]", "[2, 1]"))
    found = read_labelling(tmp_path / "a.json")
    assert (found.names, found.regions, found.ignore) == (
        {1: "liver", 2: "core"},
        {"whole": (2, 1)},
        3,
    )
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(InputError, match="no label ids and name"):
        read_labelling(tmp_path / "b.json")


@pytest.mark.parametrize("value", ["[]", '["a"]', "[1, [2]]", "[-1, 2]", "[1.5, 2]", "[true, 2]"])
def test_regions_of_no_labels_are_refused(value, tmp_path):
    (tmp_path / "a.json").write_text(f'{{"labels": {{"whole": {value}}}}}')
    with pytest.raises(InputError, match="no label ids and name"):
        read_labelling(tmp_path / "a.json")


def test_itk_snap_label_descriptions_are_read(tmp_path):
    (tmp_path / "a.txt").write_text(ITK_SNAP)
    assert read_label_names(tmp_path / "a.txt") == {0: "Clear Label", **NAMES}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", "no valid JSON"),
        ("a.json", "[]", "no table"),
        ("a.json", "{}", "names no labels"),
        ("a.json", '{"liver": 1.5}', "no label id"),
        ("a.json", '{"1": "a", "01": "b"}', "label 1 twice"),
        ("a.yaml", "a: [", "no valid YAML"),
        ("a.yaml", "yes: 1", "no label id"),
        ("a.yaml", "!!python/object/apply:os.getcwd []", "no valid YAML"),
        ("a.csv", "name,id\nliver,1\n", "cannot be understood at 'liver,1'"),
        ("a.csv", "1,liver\n1,spleen\n", "label 1 twice"),
        ("a.csv", "", "names no labels"),
        ("a.csv", "id,name\n-1,liver\n", "cannot be understood"),
        ("a.csv", "1," + "x" * 200_000, "field larger than field limit"),
        ("a.yaml", "liver: 1\n" * 40_000, "has more than 262144 bytes"),
        ("a.doc", "1,liver", "no list of label names"),
    ],
)
def test_what_names_no_labels_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: .*{words}"):
        read_label_names(tmp_path / name)


def test_yaml_aliases_do_not_blow_up(tmp_path):
    rows = ["a: &a [x, x]"] + [
        f"{c}: &{c} [*{b}, *{b}]"
        for b, c in zip("abcdefghijklmnopqrstuvw", "bcdefghijklmnopqrstuvwx", strict=True)
    ]
    (tmp_path / "a.yaml").write_text("\n".join([*rows, "liver: {1: *x}"]))
    with pytest.raises(InputError, match="no label id"):
        read_label_names(tmp_path / "a.yaml")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.csv: cannot be read"):
        read_label_names(tmp_path / "a.csv")
