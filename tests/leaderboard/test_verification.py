"""What is published can be computed again; and what was changed by hand is found."""

import copy
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segjax import InputError
from segjax.io.sheet import Facts, Row, Sheet, Status
from segjax.leaderboard import board, from_arrays, gather_scores, read_document, verify
from segjax.leaderboard.policy import Suspect
from segjax.leaderboard.slices import Slice
from tests.devices import run_on


QUICK = {"replicates": 300, "permutations": 300}


def made_up():
    """Two metrics of 5 models, one of them trained on the cases, one poor; misses, 0/0, sites."""
    rng = np.random.default_rng(5)
    rows, metadata = [], {}
    for c in range(24):
        case = f"c{c:02d}"
        metadata[case] = {"patient": f"p{c // 2}", "site": "ab"[c // 4 % 2], "size": c * 1.5}
        for i, model in enumerate("ABCDE"):
            dice = float(rng.beta(9, 2 + i)) / (20 if model == "E" else 1)
            status = Status.MISSED if (i, c) == (1, 3) else Status.SCORED
            status = Status.UNDEFINED if (i, c) == (2, 4) else status
            number = dice if status is Status.SCORED else np.nan
            rows.append(Row(model, case, "", "dice", number, status))
            number = 10 * (1 - dice) if status is Status.SCORED else np.nan
            rows.append(Row(model, case, "", "hausdorff(percentile=95)", number, status))
    facts = {m: Facts(version="1", contaminated=m == "D") for m in "ABCDE"}
    sheet = Sheet(rows=rows, facts=facts, metadata=metadata, dataset={"name": "made up"})
    return gather_scores([sheet])


BOARDS = {
    "plain": {},
    "slices": {"slices": (Slice("site"), Slice("size", 3), Slice("size", (10.0, 20.0)))},
    "clusters": {"clusters": "patient", "strata": "site", "calibrate": True},
    "within": {"clusters": "patient", "within": True},
    "median": {"statistic": "median", "interval": "bca", "verdict": "sign_flip"},
    "suspect": {"suspect": Suspect("dice", 0.3), "failure": {"dice": 0.5}, "minimum_n": 3},
    "dropped": {"missing": "drop-case", "undefined": "drop-case", "verdict": "wilcoxon"},
    "segauge": {"compat": "segauge"},
}


def made(**options):
    return board(made_up(), worst={"hd95": 50.0}, **QUICK | options).document


@pytest.mark.parametrize("options", BOARDS.values(), ids=BOARDS.keys())
def test_what_is_fresh_holds(options):
    document = made(**options)
    assert verify(document) == []
    assert verify(json.loads(json.dumps(document))) == []


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(made(slices=("site",), suspect=Suspect("dice", 0.3))))


def number(document, *path):
    """A number of the document, and how to set it."""
    *way, last = path
    for key in way:
        document = document[key]
    return document, last


def changed(document, *path, to=None, by=None):
    copied = copy.deepcopy(document)
    where, key = number(copied, *path)
    where[key] = to if by is None else where[key] + by
    return copied


ROW = ("results", 0, "table", 0)
TAMPERED = {
    "a score": (("scores", "dice", 0, 3), {"by": 1e-3}, "scores_sha256"),
    "a score, hardly": (("scores", "dice", 0, 3), {"by": 1e-12}, "scores_sha256"),
    "a status": (("status", "dice", 1, 3), {"to": 1}, "scores_sha256"),
    "the hash": (("scores_sha256",), {"to": "0" * 64}, "scores_sha256"),
    "no hash": (("scores_sha256",), {"to": None}, "scores_sha256"),
    "an end": ((*ROW, "interval", "low"), {"by": 1e-8}, r"results\[0\].table\[0\].interval.low"),
    "an end of the percentiles": ((*ROW, "percentile", "high"), {"by": 1e-8}, "percentile.high"),
    "an estimate": ((*ROW, "estimate"), {"by": -1e-8}, "estimate"),
    "a rank": ((*ROW, "rank"), {"to": 2}, "rank: 2 in the file, 1.0 by its scores"),
    "a tier": ((*ROW, "tier"), {"to": 2}, "tier"),
    "a share of first ranks": ((*ROW, "p_best"), {"by": 1e-8}, "p_best"),
    "a rank set": ((*ROW, "set_high"), {"by": -1}, "set_high"),
    "an excuse": (("results", 0, "table", -1, "excluded"), {"to": None}, "excluded"),
    "the order": (("results", 0, "ranking", "models"), {"to": ["C", "B", "A"]}, "models"),
    "a p-value": (("results", 0, "pairs", 0, "p"), {"by": 0.001}, r"pairs\[0\].p"),
    "a verdict": (("results", 1, "pairs", 0, "separable"), {"to": "yes"}, "separable"),
    "no pairs": (("results", 1, "pairs"), {"to": []}, r"results\[1\].pairs"),
    "a slice": (("slices", 0, "groups", 0, "models", 0, "high"), {"by": 1e-8}, "slices"),
    "a scheme": (("schemes", 0, "ranks", 0), {"by": 1.0}, "schemes"),
    "a seed": (("options", "seed"), {"to": 1}, "results"),
    "a number of resamples": (("options", "replicates"), {"by": 1}, "results"),
    "a level": (("options", "level"), {"to": 0.9}, "results"),
    "the error of the level": (("options", "alpha"), {"to": 0.01}, "options.alpha"),
    "the plan": (("options", "plan", "units"), {"to": 99}, "options.plan.units"),
    "a worst score": (("options", "worst", "hd95"), {"to": 60.0}, "results"),
    "contamination": (("models", 3, "contaminated"), {"to": False}, "results"),
    "whether it is ranked": (("models", 3, "ranked"), {"to": True}, r"models\[3\].ranked"),
    "a flag": (("suspect", "dice", 0), {"to": True}, "results"),
    "a direction": (("measures", 0, "title"), {"to": 1.0}, None),
    "a place of a case": (("metadata", "site", 0), {"to": "b"}, "slices"),
    "calibration": (("calibration",), {"to": {"words": ["all is well"]}}, "calibration"),
    "no results": (("results",), {"to": None}, "results"),
    "a number beyond all": ((*ROW, "estimate"), {"to": 10**400}, "estimate"),
    "no number": ((*ROW, "estimate"), {"to": float("nan")}, "estimate"),
}


@pytest.mark.parametrize(("path", "change", "words"), TAMPERED.values(), ids=TAMPERED.keys())
def test_what_was_changed_is_found(document, path, change, words):
    tampered = changed(document, *path, **change)
    if words is None:
        with pytest.raises(InputError, match="garbles"):
            verify(tampered)
        return
    found = verify(tampered)
    assert any(np.char.find(line, words.replace("\\", "")) >= 0 for line in found), found


def test_what_differs_by_rounding_holds(document):
    assert verify(changed(document, *ROW, "estimate", by=1e-12)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("options", "seed"), [0] * 50),
        (("options", "seed"), [0, 2**40]),
        (("scores", "dice", 0), [0.5]),
        (("scores", "dice", 0, 0), "0.5"),
        (("scores", "dice", 0, 0), None),
        (("scores", "dice", 0, 0), True),
        (("scores", "dice"), None),
        (("status", "dice", 0, 0), 7),
        (("limits", "dice"), [1.0]),
        (("suspect", "dice"), []),
        (("models",), []),
        (("models", 0, "name"), "B"),
        (("models", 0, "name"), 3),
        (("models", 0, "contaminated_on"), "all"),
        (("measures", 0, "better"), "sideways"),
        (("measures", 1, "name"), "dice"),
        (("measures",), []),
        (("cases",), []),
        (("cases", 0), "c01"),
        (("metadata", "site"), ["a"]),
        (("dataset",), [1]),
        (("options",), None),
        (("options", "level"), "0.95"),
        (("options", "statistic"), 5),
        (("options", "verdict"), ["max_t"]),
        (("options", "replicates"), 10**30),
        (("options", "replicates"), 10**9),
        (("options", "worst"), {"hd95": 10**400}),
        (("options", "worst"), {"colour": 1.0}),
        (("options", "clusters"), "colour"),
        (("options", "slices"), [{"column": "site", "bins": "many"}]),
        (("options", "slices"), ["site"]),
        (("options", "colour"), 1),
    ],
    ids=str,
)
def test_what_cannot_be_computed_again_is_refused(document, path, value):
    with pytest.raises(InputError) as caught:
        verify(changed(document, *path, to=value))
    assert "\n" not in str(caught.value)


def test_a_document_that_is_none_is_refused(tmp_path):
    path = tmp_path / "board.json"
    for text in ("", "[]", "{}", "null", '{"schema": "other/1"}', "{" * 10_000, "\x00"):
        path.write_text(text)
        with pytest.raises(InputError):
            read_document(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_document(path)


SMALL = json.loads(
    json.dumps(
        board(
            from_arrays(
                [[0.5, 0.7, 0.9, np.nan], [0.6, 0.8, 0.7, 0.4]],
                metric="dice",
                metadata={str(i): {"site": "ab"[i % 2]} for i in range(1, 5)},
            ),
            slices=("site",),
            minimum_n=1,
            replicates=20,
            permutations=20,
        ).document
    )
)


def places(value, path=()):
    """Paths of everything in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


INPUTS = ("scores", "status", "limits", "suspect", "measures", "cases", "metadata", "dataset")
STRANGE = (
    *(None, True, -1, 0, 1, 7, 0.5, -1e300, 10**400, float("nan"), float("inf")),
    *("", "dice", "1", "\ud800", "x" * 500, "<b>\n\x1b[2J"),
    *([], {}, [[]], [None], {"a": 1}, [1, "a"]),
)


@settings(max_examples=150)
@given(st.data())
def test_no_document_does_more_than_being_refused(data):
    document = copy.deepcopy(SMALL)
    inputs = [p for p in places(document) if p[0] in (*INPUTS, "models", "options")]
    for _ in range(data.draw(st.integers(1, 2))):
        everything = inputs if data.draw(st.integers(0, 4)) else list(places(document))
        path = data.draw(st.sampled_from(everything))
        try:
            where, key = number(document, *path)
            if data.draw(st.booleans()):
                where[key] = data.draw(st.sampled_from(STRANGE))
            else:
                del where[key]
        except (KeyError, IndexError, TypeError):
            continue  # what was there has gone before
    with suppress(InputError):
        verify(document)


def test_numbers_do_not_depend_on_how_many_devices_there_are(tmp_path, document):
    path = tmp_path / "leaderboard.json"
    path.write_text(json.dumps(document))
    code = (
        "import jax, sys\n"
        "from segjax.leaderboard import read_document, verify\n"
        "print(len(jax.devices()), verify(read_document(sys.argv[1])))"
    )
    done = run_on(8, code, str(path))
    assert done.stdout == "8 []\n", done.stderr
