import contextlib
import json
from dataclasses import fields

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from segjax import InputError
from segjax.io.sheet import Facts
from segjax.leaderboard.config import _KEYS, Config, Entry, Slice, read_all, read_config
from segjax.leaderboard.policy import Suspect


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="board.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return to_file


YAML = """\
title: Kidneys
dataset: {name: kits23, url: https://example.org, license: CC, citation: "Somebody, 2023"}
models:
  A: a.csv
  B: {scores: runs/b, version: 2.5, license: MIT, url: u, contaminated: false,
      contaminated_on: [kits23, other]}
metrics: {dice: , mine: {better: lower, best: 0, worst: 9.5, unit: mm}}
labels: [kidney]
metadata: cases.csv
slices: [centre, {column: age, bins: 3}, {column: size, bins: [10, 20.5]}]
clusters: {column: patient}
strata: centre
statistic: q0.1
level: 0.9
interval: percentile
verdict: sign_flip
missing: drop-case
undefined: worst
worst: {hd95: 250}
failure: {dice: 0.5}
within: true
replicates: 5000
permutations: 6000
seed: 7
calibrate: true
minimum_n: 5
suspect: {metric: dice, below: 0.1}
compat: segauge
"""

TOML = """\
title = "Kidneys"
labels = ["kidney"]
metadata = "cases.csv"
slices = ["centre", {column = "age", bins = 3}, {column = "size", bins = [10, 20.5]}]
clusters = {column = "patient"}
strata = "centre"
within = true
failure = {dice = 0.5}
statistic = "q0.1"
level = 0.9
interval = "percentile"
verdict = "sign_flip"
missing = "drop-case"
undefined = "worst"
worst = {hd95 = 250}
replicates = 5000
permutations = 6000
seed = 7
calibrate = true
minimum_n = 5
suspect = {metric = "dice", below = 0.1}
compat = "segauge"
[dataset]
name = "kits23"
url = "https://example.org"
license = "CC"
citation = "Somebody, 2023"
[models]
A = "a.csv"
[models.B]
scores = "runs/b"
version = "2.5"
license = "MIT"
url = "u"
contaminated = false
contaminated_on = ["kits23", "other"]
[metrics]
dice = {}
mine = {better = "lower", best = 0, worst = 9.5, unit = "mm"}
"""


def test_every_key_of_either_format_is_read(write, tmp_path):
    facts = Facts(version="2.5", license="MIT", url="u", contaminated_on=("kits23", "other"))
    expected = Config(
        title="Kidneys",
        dataset={
            "name": "kits23",
            "url": "https://example.org",
            "license": "CC",
            "citation": "Somebody, 2023",
        },
        models=(Entry("A", tmp_path / "a.csv"), Entry("B", tmp_path / "runs/b", facts)),
        metrics=("dice", "mine"),
        declared={"mine": {"better": "lower", "best": 0, "worst": 9.5, "unit": "mm"}},
        labels=("kidney",),
        metadata=tmp_path / "cases.csv",
        slices=(Slice("centre"), Slice("age", 3), Slice("size", (10.0, 20.5))),
        clusters="patient",
        strata="centre",
        statistic="q0.1",
        level=0.9,
        interval="percentile",
        verdict="sign_flip",
        missing="drop-case",
        undefined="worst",
        worst={"hd95": 250.0},
        failure={"dice": 0.5},
        within=True,
        suspect=Suspect("dice", 0.1),
        replicates=5000,
        permutations=6000,
        seed=7,
        calibrate=True,
        minimum_n=5,
        compat="segauge",
    )
    assert read_config(write(YAML)) == expected
    assert read_config(write(TOML, "board.toml")) == expected
    named = {f.name for f in fields(Config)} - {"scores", "declared"}
    assert set(yaml.safe_load(YAML)) == named  # no key goes untested
    assert set(_KEYS) == named | {"scores"}


def test_models_may_be_paths_or_come_with_the_scores(write, tmp_path):
    config = read_config(write("models: [a.csv, b.csv]\n"))
    assert config == Config(
        models=(Entry(None, tmp_path / "a.csv"), Entry(None, tmp_path / "b.csv"))
    )
    config = read_config(write("scores: all.csv\nmodels: {A: {license: MIT}}\nmetrics: [dice]\n"))
    assert config.scores == tmp_path / "all.csv"
    assert config.models == (Entry("A", None, Facts(license="MIT")),)
    assert config.metrics == ("dice",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scores: a.csv\nreplicate: 3", "unknown key 'replicate'; did you mean replicates"),
        ("scores: a.csv\n3: 3", "unknown key '3'"),
        ("models: {A: {scores: a, licence: MIT}}", "'licence' in models.A; did you mean license"),
        ("scores: a\ndataset: {title: x}", "'title' in dataset"),
        ("scores: a\nmetrics: {x: {beter: higher}}", "'beter' in metrics.x; did you mean better"),
        ("scores: a\nsuspect: {metric: dice, under: 1}", "'under' in suspect"),
        ("scores: a\nslices: [{column: a, bin: 3}]", r"'bin' in slices\[0\]; did you mean bins"),
        ("scores: a\nclusters: {col: a}", "'col' in clusters; did you mean column"),
        ("scores: a\nseed: x", "seed must be a whole number.* got 'x' .str"),
        ("scores: a\nseed: true", "got 'True' .bool"),
        ("scores: a\nlevel: 95", "level must be between 0 and 1, got '95'"),
        ("scores: a\nlevel: .nan", "level must be a finite number"),
        ("scores: a\nmissing: drop", "missing must be one of worst, drop-case, fail, got 'drop'"),
        ("scores: a\nstatistic: q1.5", "statistic must be mean, median, or a quantile"),
        ("scores: a\nslices: [{column: a, bins: [3, 2]}]", "edges that increase"),
        ("scores: a\nslices: [{bins: 3}]", "a table with column"),
        ("scores: a\nslices: centre", "slices must be a list"),
        ("scores: a\nlabels: [a, a]", "a list of different names"),
        ("scores: a\nworst: {hd95: far}", "worst.hd95 must be a number"),
        ("scores: a\ncalibrate: 3", "calibrate must be true or false"),
        ("scores: [a]", "scores must be the path of a file"),
        ("scores: a\ndataset: kits", "dataset must be a table"),
        ("models: {A: {contaminated: 3, scores: a}}", "models.A.contaminated must be true"),
        ("models: {A: {license: MIT}}", "'A' has no scores"),
        ("models: {A: a, A: b}", "'A' twice"),
        ("title: x", "names no scores"),
        ("- a", "no table of settings"),
        ("a: &a [1]\nb: *a", "alias"),
        ("a: [", "no valid YAML"),
        ("[" * 5000, "YAML"),
        ("!!int ''", "no valid YAML"),
        ("!!python/object/apply:os.system [ls]", "no valid YAML"),
        ("title: " + "x" * 5_000_000, "more than"),
        ("seed: 1\n" * 20_000, "'seed' twice"),
    ],
)
def test_what_is_wrong_is_named(write, text, words):
    with pytest.raises(InputError, match=words) as raised:
        read_config(write(text))
    assert "board.yaml" in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 600


def test_other_files_are_refused(write):
    with pytest.raises(InputError, match=r"give a \.yaml or \.toml"):
        read_config(write("{}", "board.json"))
    with pytest.raises(InputError, match="no valid TOML"):
        read_config(write("a = 1\na = 2\n", "board.toml"))


def test_all_that_a_configuration_names_is_read(write, tmp_path):
    (tmp_path / "a.csv").write_text("case,mine,dice\nc1,3,0.5\nc2,4,0.75\n")
    (tmp_path / "b.csv").write_text("case,mine,dice\nc2,5,0.5\nc1,6,0.25\n")
    (tmp_path / "cases.csv").write_text("case,centre\nc1,x\nc2,y\n")
    text = """
    dataset: {name: kits23}
    models: {A: a.csv, Second: {scores: b.csv, contaminated_on: [KiTS23]}}
    metrics: {mine: {better: lower}, DSC: }
    metadata: cases.csv
    """
    scores = read_all(read_config(write(text)))
    assert scores.models == ("A", "Second")
    assert [m.metric for m in scores.measures] == ["mine", "dice"]
    assert scores.values.tolist() == [[[3, 4], [6, 5]], [[0.5, 0.75], [0.25, 0.5]]]
    assert scores.metadata == {"centre": ("x", "y")}
    assert scores.contaminated.tolist() == [False, True]
    text = "scores: a.csv\nmodels: {a: {license: MIT}}\nmetrics: [dice]\n"
    assert read_all(read_config(write(text))).facts == (Facts(license="MIT"),)
    with pytest.raises(InputError, match="no scores of model 'B'; did you mean 'a'"):
        read_all(read_config(write("scores: a.csv\nmodels: {B: {license: MIT}}\n")))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["column", "bins", "scores", "better", "A"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(found=st.dictionaries(st.sampled_from(sorted(_KEYS)), VALUES, max_size=4))
def test_no_value_does_more_than_being_refused(scratch, found):
    path = scratch / "board.yaml"
    path.write_text(json.dumps(found))  # JSON is YAML
    with contextlib.suppress(InputError):
        assert isinstance(read_config(path), Config)


@settings(max_examples=200)
@given(data=st.binary(max_size=30) | st.text("ab:-[]{}!&*<|#'\"\n 0.", max_size=30))
def test_no_bytes_do_more_than_being_refused(scratch, data):
    for name in ("board.yaml", "board.toml"):
        (scratch / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        with contextlib.suppress(InputError):
            read_config(scratch / name)
