import contextlib
import csv
import hashlib
import io
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segjax import folder
from segjax._errors import InputError
from segjax.io import _tables, scores as score_files
from segjax.io.scores import read_metadata, read_scores
from segjax.io.sheet import Status


SCORED, UNDEFINED, MISSED, ABSENT = Status
WIDE = "model,case,centre,dice,HD95\nA,c1,x,0.9,2\nA,c2,y,0.8,\nB,c1,x,0.5,inf\nB,c2,y,0.4,3\n"


@pytest.fixture
def write(tmp_path):
    def to_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def found(sheet):
    """Scores by model, case, label and metric; None for no score."""
    return {r[:4]: None if math.isnan(r.score) else r.score for r in sheet.rows}


EXPECTED = {
    ("A", "c1", "", "dice"): 0.9,
    ("A", "c1", "", "hausdorff(percentile=95)"): 2.0,
    ("A", "c2", "", "dice"): 0.8,
    ("A", "c2", "", "hausdorff(percentile=95)"): None,
    ("B", "c1", "", "dice"): 0.5,
    ("B", "c1", "", "hausdorff(percentile=95)"): math.inf,
    ("B", "c2", "", "dice"): 0.4,
    ("B", "c2", "", "hausdorff(percentile=95)"): 3.0,
}


def long_rows():
    heading = ("algorithm", "case_id", "metric", "value", "centre")
    centre = {"c1": "x", "c2": "y"}
    rows = [
        (m, c, "DSC" if k == "dice" else "hd95", "n/a" if s is None else str(s), centre[c])
        for (m, c, _, k), s in EXPECTED.items()
    ]
    return heading, rows


def as_csv(heading, rows, delimiter=","):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([heading, *rows])
    return out.getvalue()


def test_a_wide_table(write):
    path = write("scores.csv", WIDE)
    sheet = read_scores(path)
    assert found(sheet) == EXPECTED
    assert sheet.metadata == {"c1": {"centre": "x"}, "c2": {"centre": "y"}}
    assert list(sheet.facts) == ["A", "B"]
    (source,) = sheet.sources
    assert source == (str(path), hashlib.sha256(WIDE.encode()).hexdigest())


def test_a_long_table(write):
    sheet = read_scores(write("a.csv", as_csv(*long_rows())))
    assert found(sheet) == EXPECTED
    assert sheet.metadata == {"c1": {"centre": "x"}, "c2": {"centre": "y"}}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_the_order_of_columns_and_rows_says_nothing(write, rng, layout, delimiter):
    heading, *rows = csv.reader(io.StringIO(WIDE)) if layout == "wide" else _flat(long_rows())
    order = rng.permutation(len(heading))
    rows = [[row[i] for i in order] for row in rng.permutation(rows)]
    text = "\ufeff" + as_csv([heading[i] for i in order], rows, delimiter)
    sheet = read_scores(write("a.csv", text))
    assert found(sheet) == EXPECTED
    assert sheet.metadata == {"c1": {"centre": "x"}, "c2": {"centre": "y"}}


def _flat(table):
    heading, rows = table
    return [heading, *rows]


def test_rows_of_json_wide_and_long(write):
    rows = list(csv.DictReader(io.StringIO(WIDE)))
    assert found(read_scores(write("a.json", rows))) == EXPECTED
    heading, rows = long_rows()
    rows = [dict(zip(heading, row, strict=True)) for row in rows]
    assert found(read_scores(write("b.json", rows))) == EXPECTED


def test_json_by_model_case_and_metric(write):
    nested = {"A": {"c1": {"dice": 0.9, "site": "x"}, "c2": {"dice": None}}}
    nested["B"] = {"c2": {"dice": 0.5}}
    sheet = read_scores(write("a.json", nested))
    assert found(sheet) == {
        ("A", "c1", "", "dice"): 0.9,
        ("A", "c2", "", "dice"): None,
        ("B", "c2", "", "dice"): 0.5,
    }
    assert sheet.metadata["c1"] == {"site": "x"}


def test_decimal_commas_between_semicolons(write):
    sheet = read_scores(write("A.csv", "case;dice;age\nc1;0,75;1,5\n"))
    assert found(sheet) == {("A", "c1", "", "dice"): 0.75}
    assert sheet.metadata == {"c1": {"age": 1.5}}


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "null", "None", "NA", "n/a", "-", " "])
def test_no_score_is_absent_whatever_it_is_called(write, cell):
    (row,) = read_scores(write("A.csv", f"case,dice\nc1,{cell}\n")).rows
    assert math.isnan(row.score)
    assert row.status == ABSENT


def test_only_who_says_so_has_undefined_or_missed_scores(write):
    text = "case,metric,score,status\na,dice,nan,undefined\nb,dice,0.4,missed\nc,dice,,missed\n"
    text += "d,dice,0.5,undefined\ne,dice,undefined,\n"
    rows = read_scores(write("A.csv", text)).rows
    assert [row.status for row in rows] == [UNDEFINED, MISSED, MISSED, SCORED, UNDEFINED]


def test_labels_by_whatever_their_column_is_called(write):
    for column in ("label", "organ", "class", "Region"):
        sheet = read_scores(write("A.csv", f"case,{column},dice\nc1,liver,0.5\nc1,,0.25\n"))
        assert found(sheet) == {("A", "c1", "liver", "dice"): 0.5, ("A", "c1", "", "dice"): 0.25}


def test_the_model_is_called_as_the_file_the_folder_or_as_asked(write):
    assert {r.model for r in read_scores(write("A.csv", "case,dice\nc1,1\n")).rows} == {"A"}
    path = write("run B/scores.csv", "case,dice\nc1,1\n")
    assert {r.model for r in read_scores(path).rows} == {"run B"}
    assert {r.model for r in read_scores(path, model="C").rows} == {"C"}
    with pytest.raises(InputError, match="holds 2 models"):
        read_scores(write("a.csv", WIDE), model="A")


def test_a_run_of_evaluate(tmp_path, rng):
    masks = rng.integers(0, 3, (2, 2, 6, 5)).astype(np.uint8)
    masks[1, 1] = 0  # a case in which nothing was predicted
    for i, side in enumerate(("reference", "prediction")):
        (tmp_path / side).mkdir()
        for k in range(2):
            np.save(tmp_path / side / f"case{k}.npy", masks[i, k])
    options = folder.Options(metrics=("dice", "hd95"), spacing=(0.5, 2.0))
    run = folder.run(
        tmp_path / "reference", tmp_path / "prediction", options, output=tmp_path / "out"
    )
    sheet = read_scores(tmp_path / "out")
    assert {r.model for r in sheet.rows} == {"prediction"}
    assert {r.label for r in sheet.rows} == {"1", "2"}
    expected = {(r.case, r.name, r.metric): (r.score, r.status) for r in run.table.rows()}
    got = {r[1:4]: (r.score, r.status.name.casefold()) for r in sheet.rows}
    assert got == expected
    assert {s for _, s in got.values()} == {"scored", "missed"}
    extent = math.hypot(6 * 0.5, 5 * 2.0)
    assert sheet.diagonals == pytest.approx({"case0": extent, "case1": extent})
    assert len(sheet.sources) == 2
    alone = read_scores(tmp_path / "out" / "scores.csv")
    assert [r[1:5] for r in alone.rows if r.status == 0] == [
        r[1:5] for r in sheet.rows if r.status == 0
    ]
    assert not alone.diagonals


SEGAUGE = {
    "benchmark": "b",
    "dataset": {"name": "kits23", "license": "CC", "organs": []},
    "config": {"nsd_tolerance": 2.0, "seed": 0},
    "models": [
        {
            "name": "M",
            "version": "1",
            "license": "MIT",
            "contaminated_on": ["kits19"],
            "fair": False,
            "per_organ": {
                "kidney": {
                    "summary": {},
                    "suspect": True,
                    "per_case": [
                        {"case_id": "c1", "dice": 0.5, "nsd": 0.25, "hd95": None},
                        {"case_id": "c2", "dice": 0.75, "nsd": 1, "hd95": 3.5},
                    ],
                }
            },
        },
        {"name": "T", "per_organ": {"kidney": {"per_case": [{"case_id": "c1", "dice": 1}]}}},
    ],
}


def test_results_of_segauge_benchmark(write):
    sheet = read_scores(write("kits.json", SEGAUGE))
    assert found(sheet) == {
        ("M", "c1", "kidney", "dice"): 0.5,
        ("M", "c1", "kidney", "nsd(tolerance=2)"): 0.25,
        ("M", "c1", "kidney", "hausdorff(percentile=95)"): None,
        ("M", "c2", "kidney", "dice"): 0.75,
        ("M", "c2", "kidney", "nsd(tolerance=2)"): 1.0,
        ("M", "c2", "kidney", "hausdorff(percentile=95)"): 3.5,
        ("T", "c1", "kidney", "dice"): 1.0,
    }
    assert sheet.rows[2].status == MISSED
    assert sheet.facts["M"].contaminated
    assert sheet.facts["M"].contaminated_on == ("kits19",)
    assert sheet.facts["M"].license == "MIT"
    assert not sheet.facts["T"].contaminated
    assert sheet.suspect == {("M", "kidney")}
    assert sheet.dataset == {"name": "kits23", "license": "CC"}


def test_columns_become_numbers_only_if_all_of_their_cells_are(write):
    text = "case,dice,age,id code,mixed\na,1,40,007,1\nb,1,41.5,010,x\nc,1,,011,2\n"
    metadata = read_scores(write("A.csv", text)).metadata
    assert metadata["a"] == {"age": 40, "id code": "007", "mixed": "1"}
    assert metadata["b"] == {"age": 41.5, "id code": "010", "mixed": "x"}
    assert metadata["c"] == {"id code": "011", "mixed": "2"}


def test_a_column_that_differs_within_a_case_is_no_metadata_of_it(write):
    text = "model,case,dice,fold,centre\nA,c,1,1,x\nB,c,1,2,x\n"
    sheet = read_scores(write("a.csv", text))
    assert sheet.metadata == {"c": {"centre": "x"}}
    assert "'fold'" in sheet.notes[0]


def test_a_declared_column_is_a_metric(write):
    path = write("A.csv", "case,My metric,age\nc,3,40\n")
    sheet = read_scores(path, metrics=["my_metric"])
    assert found(sheet) == {("A", "c", "", "My metric"): 3.0}
    assert sheet.metadata == {"c": {"age": 40}}
    with pytest.raises(InputError, match=r"no metric is called My metric, age.*declare"):
        read_scores(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "case,dice\nc1,0.5\nc2,0.9x\n", r"line 3, column 'dice', holds '0.9x'"),
        ("a.csv", "case,dice\nc1,1_0\n", "no number"),
        ("a.csv", 'case,dice\nc1,"0,5"\n', "no number"),
        ("a.csv", "case;dice\nc1;1.234,5\n", "no number"),
        ("a.csv", "case,dice\n,0.5\n", "line 2 names no case"),
        ("a.csv", "case,dice\nc1,0.5\nc1,0.5\n", "scores dice of model 'a', case 'c1' a second"),
        ("a.csv", "case,dice,DSC\nc1,0.5,0.5\n", "a second time"),
        ("a.csv", "case,dice,dice\nc1,0.5,0.5\n", "two columns called 'dice'"),
        ("a.csv", "case,dice\nc1,0.5,7\n", "line 2 has 3 cells where 2 columns are named"),
        ("a.csv", "patient,dice\nc1,0.5\n", "no column for the case.*patient, dice"),
        ("a.csv", "case,dice\n", "holds no scores"),
        ("a.csv", "", "no heading"),
        ("a.csv", "case,metric,score,status\nc1,dice,1,ok\n", "status 'ok'"),
        ("a.csv", b"case,dice\nc\xff,1\n", "UTF-8"),
        ("a.csv", "case,dice\nc1,\x1b[31m\n", r"holds '\\x1b\[31m'"),
        ("a.csv", "case,dice\n" + "c" * 400 + ",1\n", "too long"),
        ("a.json", "[1, 2]", "holds no rows"),
        ("a.json", '{"A": 3}', "'A' holds no cases"),
        ("a.json", '{"A": {"c": 3}}', "under 'c' is no table"),
        ("a.json", '{"A": {"c": {"dice": true}}}', "a bool, which is no number"),
        ("a.json", '{"A": {"c": {"dice": 1}}, "A": {}}', "'A' is there twice"),
        ("a.json", "[" * 100_000, "no valid JSON"),
        ("a.json", [{"case": "\ud800", "dice": 1}], "no text"),
        ("a.json", {"models": [3]}, r"models\[0\] is no table"),
        ("a.json", {"models": [{"name": "A"}, {"name": "A"}]}, r"models\[1\] is a second 'A'"),
        ("a.json", {"models": [{"name": "A", "per_organ": 3}]}, r"models\[0\].per_organ is no"),
    ],
)
def test_what_is_wrong_is_named(write, name, content, words):
    with pytest.raises(InputError, match=words) as raised:
        read_scores(write(name, content))
    message = str(raised.value)
    assert name in message
    assert message.isprintable()
    assert len(message) < 600


def test_a_missing_file_or_a_folder_of_no_run_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"holds no scores\.csv"):
        read_scores(tmp_path)


def test_sizes_are_bounded(write, monkeypatch):
    with pytest.raises(InputError, match="more than 10 bytes; split it by model"):
        read_scores(write("a.csv", WIDE), max_bytes=10)
    monkeypatch.setattr(_tables, "MAX_SCORES", 7)
    with pytest.raises(InputError, match="more than 7 scores"):
        read_scores(write("a.csv", WIDE))
    assert score_files.MAX_BYTES == 200e6


@pytest.mark.parametrize("filler", ["x", ",", "\n", '"', "case,", "a,b\n", "\x00", "[", '{"a":'])
@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_ten_megabytes_of_junk_are_refused_in_a_moment(write, name, filler):
    path = write(name, filler * (10_000_000 // len(filler)))
    start = time.process_time()
    with pytest.raises(InputError) as raised:
        read_scores(path)
    assert time.process_time() - start < 5
    assert len(str(raised.value)) < 600


def test_metadata_of_cases(write):
    expected = {"c1": {"centre": "x", "age": 40}, "c2": {"centre": "y", "age": 50}}
    assert read_metadata(write("a.csv", "age,case,centre\n40,c1,x\n50,c2,y\n")) == expected
    assert read_metadata(write("a.json", expected)) == expected
    rows = [{"case": case, **row} for case, row in expected.items()]
    assert read_metadata(write("b.json", rows)) == expected
    with pytest.raises(InputError, match="line 3 tells case 'c1' another 'age'"):
        read_metadata(write("a.csv", "case,age\nc1,40\nc1,41\n"))
    with pytest.raises(InputError, match="no column for the case"):
        read_metadata(write("a.csv", "who,age\nc1,40\n"))


ALPHABET = st.sampled_from(
    [*'case,;\t\n\r"metric score.dice01-_ []{}:', "case,dice\n", "model;", "nan", "\x00", "\ud7ff"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3)
            | st.sampled_from(
                ["models", "name", "per_organ", "per_case", "case_id", "dice", "case", "config"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def only_refuses(path):
    for read in (read_scores, read_metadata):
        with contextlib.suppress(InputError):
            read(path)


@settings(max_examples=300)
@given(data=st.binary(max_size=60) | st.lists(ALPHABET, max_size=40).map("".join))
def test_no_bytes_do_more_than_being_refused(scratch, data):
    content = data if isinstance(data, bytes) else data.encode()
    for name in ("a.csv", "a.json"):
        (scratch / name).write_bytes(content)
        only_refuses(scratch / name)


@settings(max_examples=300)
@given(found=JSON)
def test_no_json_does_more_than_being_refused(scratch, found):
    (scratch / "a.json").write_text(json.dumps(found))
    only_refuses(scratch / "a.json")
    folder = scratch / "run"
    folder.mkdir(exist_ok=True)
    (folder / "scores.csv").write_text("case,dice\nc,1\n")
    (folder / "summary.json").write_text(json.dumps({"inputs": found, "method": found}))
    only_refuses(folder)
