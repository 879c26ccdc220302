"""Objects of several images judged together, as if they lay in one image."""

import json

import numpy as np
import pytest

import segjax
from segjax import folder
from segjax._errors import InputError
from segjax.case import make_case
from segjax.io import read_journal
from segjax.metrics import METRICS, get_metric
from segjax.statistics import Listing, find_segments, join_listings
from segjax.table import Column
from tests.images import label_maps
from tests.io import files
from tests.reference import instance as reference_instance


SHAPE = (6, 5)
OF_OBJECTS = [m for m in METRICS if m.of_objects]
SLOW = ("aji_plus", "dsb_score")  # that the slow definitions try every assignment for


@pytest.fixture
def pairs(rng):
    """Images with few objects, one of them without any in the prediction."""
    found = [label_maps(rng, SHAPE, labels=(0, 0, 2, 7)) for _ in range(2)]
    return [*found, (found[0][0], np.zeros(SHAPE, int))]


def one_image(pairs):
    """The images in one, their objects numbered anew."""
    sides = zip(*pairs, strict=True)
    return [
        np.concatenate([np.where(x, x + 10 * i, 0) for i, x in enumerate(side)]) for side in sides
    ]


@pytest.mark.parametrize("metric", OF_OBJECTS, ids=lambda m: m.name)
def test_pooled_score_is_that_of_one_image_with_all_objects(metric, pairs):
    references, predictions = map(np.stack, zip(*pairs, strict=True))
    table = segjax.evaluate_batch(
        references=references, predictions=predictions, metrics=[metric.name]
    )
    pooled = table.pooled(Column(metric.name, None))
    r, p = one_image(pairs)
    alone = segjax.evaluate(reference=r, prediction=p, metrics=[metric.name])[metric.name]
    assert pooled == pytest.approx(float(alone), abs=1e-12)
    if metric.name not in SLOW:
        expected = getattr(reference_instance, metric.name)(r, p)
        assert pooled == pytest.approx(float(expected), abs=1e-12)


def test_pooled_score_is_not_the_mean_where_images_differ_in_number_of_objects():
    many, few = np.zeros((2, 4, 6), int)
    many[:, ::2] = [1, 2, 3]
    few[0, 0] = 1
    table = segjax.evaluate_batch(
        references=[many, few], predictions=[many, 0 * few], metrics=["seg"]
    )
    assert table.column("seg").tolist() == [1, 0]
    assert table.pooled(Column("seg", None)) == 3 / 4  # three of four objects, each whole


def test_lists_of_cases_that_differ_in_shape_are_pooled(pairs):
    longer = [tuple(np.concatenate([x, 0 * x]) for x in pair) for pair in pairs[:1]] + pairs[1:]
    score = lambda these: segjax.evaluate_batch(
        references=[r for r, _ in these], predictions=[p for _, p in these], metrics=["seg", "det"]
    )
    for name in ("seg", "det"):
        column = Column(name, None)
        assert score(longer).pooled(column) == score(pairs).pooled(column)


def test_options_of_objects_hold_for_the_pooled_score(pairs):
    name = get_metric("seg(min_size=4)").name
    table = segjax.evaluate_batch(
        references=[r for r, _ in pairs], predictions=[p for _, p in pairs], metrics=[name]
    )
    r, p = one_image(pairs)
    assert (
        table.pooled(Column(name, None))
        == segjax.evaluate(reference=r, prediction=p, metrics=[name])[name]
    )


def test_without_objects_the_pooled_score_is_undefined():
    nothing = np.zeros((2, *SHAPE), int)
    table = segjax.evaluate_batch(references=nothing, predictions=nothing, metrics=["seg"])
    assert np.isnan(table.pooled(Column("seg", None)))


# Listings


def test_listing_is_plain_and_holds_objects_alone():
    reference, prediction = np.zeros((2, 1, 8), np.uint16)
    reference[0] = [0, 9, 9, 9, 0, 4, 4, 0]
    prediction[0] = [0, 0, 3, 3, 3, 0, 0, 8]
    listing = find_segments(make_case(reference=reference, prediction=prediction)).listed
    assert listing == ([[4, 9], [2, 3]], [[3, 8], [3, 1]], [[9], [3], [2]])
    assert Listing(*json.loads(json.dumps(listing))) == listing


def test_parts_of_an_image_make_the_whole(rng):
    r, p = (x.astype(np.uint64) for x in label_maps(rng, (4, *SHAPE)))
    r[r == 5] = 2**64 - 1  # beyond what floats and signed integers tell apart
    p[p == 5] = 2**64 - 2
    listed = lambda r, p: find_segments(make_case(reference=r, prediction=p)).listed
    whole = join_listings([listed(*planes) for planes in zip(r, p, strict=True)])
    assert whole.listed == listed(r, p)
    assert whole.reference_labels[-1] == 2**64 - 1


def test_nothing_makes_nothing():
    assert join_listings([]).listed == ([[], []], [[], []], [[], [], []])


# Folders


@pytest.fixture
def folders(tmp_path, pairs):
    for i, side in enumerate("rp"):
        (tmp_path / side).mkdir()
        for name, pair in zip("abc", pairs, strict=True):
            np.save(tmp_path / side / f"{name}.npy", pair[i])
    return tmp_path / "r", tmp_path / "p"


def run(folders, **options):
    output, resume = options.pop("output", None), options.pop("resume", False)
    chosen = folder.Options(replicates=99, labels="foreground", **options)
    return folder.run(*folders, chosen, output=output, resume=resume)


def test_folder_pools_as_arrays_do_and_says_so_in_the_summary(folders, pairs):
    names = ("seg", "det", "pq", "f1(threshold=0.3)", "adapted_rand_error")
    report = run(folders, metrics=names)
    table = segjax.evaluate_batch(
        references=[r for r, _ in pairs], predictions=[p for _, p in pairs], metrics=names
    )
    for entry in report.summary["scores"]:
        assert entry["pooled"] == table.pooled(Column(entry["metric"], None))
    assert report.summary["scores"][-1]["pooled"] is None


def test_resumed_run_pools_what_the_journal_holds(folders, tmp_path):
    metrics, output = ("seg", "pq"), tmp_path / "out"
    whole = run(folders, metrics=metrics, output=output)
    lines = (output / "cases.jsonl").read_text().splitlines(keepends=True)
    (output / "cases.jsonl").write_text("".join(lines[:2]))
    resumed = run(folders, metrics=metrics, output=output, resume=True)
    assert resumed.reused == 2
    assert resumed.summary["scores"] == whole.summary["scores"]
    assert resumed.summary["scores"][0]["pooled"] is not None


def test_journal_without_overlaps_is_of_another_run(folders, tmp_path):
    run(folders, metrics=("seg",), output=tmp_path / "out")
    journal = tmp_path / "out" / "cases.jsonl"
    entries = read_journal(journal)
    for entry in entries:
        del entry["overlaps"]
    files.rewrite(journal, entries)
    with pytest.raises(InputError, match=r"cases\.jsonl: the earlier run had other options"):
        run(folders, metrics=("seg",), output=tmp_path / "out", resume=True)


def test_journal_of_classes_keeps_no_overlaps(folders, tmp_path):
    run(folders, metrics=("dice",), output=tmp_path / "out")
    lines = (tmp_path / "out" / "cases.jsonl").read_text().splitlines()
    assert [json.loads(line)["overlaps"] for line in lines] == [None] * 3
