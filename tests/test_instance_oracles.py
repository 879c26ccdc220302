"""Hundreds of label maps, scored as those tools score them whose metrics these are."""

import numpy as np
import pytest
import tifffile

import segjax
from segjax.statistics import side_by_side
from tests.images import cells


GRID = [k / 20 for k in range(10, 20)]


def pairs(rng, count):
    for i in range(count):
        shape = (24, 30) if i % 3 else (6, 12, 14)
        yield cells(rng, shape, int(rng.integers(1, 14)))


def score(reference, prediction, *names):
    scores = segjax.evaluate(reference=reference, prediction=prediction, metrics=names)
    return [float(x) for x in scores.values()]


def test_seg_and_det_are_those_of_py_ctcmetrics(rng, tmp_path):
    representations = pytest.importorskip("ctc_metrics.utils.representations")
    from ctc_metrics.metrics import det, seg

    tables, labels, ious, operations = [], [], [], np.zeros(4, int)
    for reference, prediction in pairs(rng, 200):
        for name, image in (("r", reference), ("p", prediction)):
            tifffile.imwrite(tmp_path / f"{name}.tif", image.astype(np.uint16))
        theirs = representations.match(str(tmp_path / "r.tif"), str(tmp_path / "p.tif"))
        r, p, mapped_r, mapped_p, iou = theirs
        ns = sum(max(mapped_p.count(j) - 1, 0) for j in set(mapped_p))
        counts = [ns, len(r) - len(mapped_r), len(set(p) - set(mapped_p)), len(r)]
        names = ("seg", "det", "ctc_ns", "ctc_fn", "ctc_fp")
        ours = score(reference, prediction, *names)
        expected = [seg([r], [iou]), det(*counts), *counts[:3]]
        np.testing.assert_allclose(ours, expected, rtol=1e-9)
        labels.append(r)
        ious.append(iou)
        operations += counts
        case = segjax.case.make_case(reference=reference, prediction=prediction)
        tables.append(segjax.statistics.count_segments(case))
    whole = side_by_side(tables)
    np.testing.assert_allclose(float(segjax.metrics.instance.seg(whole)), seg(labels, ious))
    np.testing.assert_allclose(float(segjax.metrics.instance.det(whole)), det(*operations))


@pytest.mark.filterwarnings("ignore")  # of StarDist and what it imports, about themselves
def test_matches_at_any_threshold_are_those_of_stardist(rng):
    matching = pytest.importorskip("stardist.matching")
    for reference, prediction in pairs(rng, 150):
        for threshold in (*GRID, 0.1, 0.3):
            theirs = matching.matching(reference, prediction, thresh=threshold)
            option = f"(threshold={threshold:g})"
            ours = score(
                reference,
                prediction,
                f"f1{option}",
                f"average_precision{option}",
                f"object_precision{option}",
                f"object_recall{option}",
                f"mean_true_score{option}",
                f"mean_matched_score{option}",
                f"pq(threshold={threshold:g}, strict=False)",
            )
            names = ("f1", "accuracy", "precision", "recall")
            names += ("mean_true_score", "mean_matched_score", "panoptic_quality")
            expected = [getattr(theirs, name) for name in names]
            ours = np.nan_to_num(ours)
            exact = slice(None) if threshold >= 0.5 else slice(4)
            np.testing.assert_allclose(ours[exact], expected[exact], rtol=1e-6)
            # Below 0.5 StarDist lets pairs that do not match have a say in which ones do.
            assert (ours[4:] >= np.multiply(expected[4:], 1 - 1e-6)).all()


@pytest.mark.filterwarnings("ignore")
def test_whole_data_sets_pool_as_in_stardist(rng):
    matching = pytest.importorskip("stardist.matching")
    data = list(pairs(rng, 30))
    cases = [segjax.case.make_case(reference=r, prediction=p) for r, p in data]
    whole = side_by_side([segjax.statistics.count_segments(case) for case in cases])
    for threshold in (0.5, 0.75):
        theirs = matching.matching_dataset(
            *zip(*data, strict=True), thresh=threshold, show_progress=False
        )
        instance = segjax.metrics.instance
        ours = instance.pq(whole, threshold=threshold, strict=False)
        np.testing.assert_allclose(ours, theirs.panoptic_quality, rtol=1e-6)
        ours = instance.average_precision(whole, threshold=threshold)
        np.testing.assert_allclose(ours, theirs.accuracy, rtol=1e-6)


def test_agreement_is_that_of_scikit_image(rng):
    from skimage.metrics import adapted_rand_error, variation_of_information

    for reference, prediction in pairs(rng, 200):
        split, merge = variation_of_information(reference, prediction)
        ours = score(reference, prediction, "vi_split", "vi_merge")
        np.testing.assert_allclose(ours, [split, merge], rtol=1e-9, atol=1e-12)
        if (reference > 0).sum() < 2:
            continue
        error, recall, precision = adapted_rand_error(reference, prediction)
        names = ("error", "recall", "precision")  # returned as precision and recall
        option = "(ignore_background=True)"
        ours = score(reference, prediction, *(f"adapted_rand_{n}{option}" for n in names))
        np.testing.assert_allclose(ours, [error, recall, precision], rtol=1e-9, atol=1e-12)


# What those tools get wrong, on the inputs on which they do.


def near(labels, offset):
    return np.where(labels > 0, labels.astype(np.int64) + offset, 0)


@pytest.mark.parametrize("offset", [64_990, 2**31, 2**62])
def test_large_ids_score_as_small_ones(offset, rng):
    # py-ctcmetrics adds the ids of both maps in 16 bits: SEG and DET fall to 0.
    reference, prediction = cells(rng, (24, 30), 9)
    names = ("seg", "det", "pq", "aji", "object_dice", "missed")
    small = score(reference, prediction, *names)
    dtype = np.uint16 if offset < 2**16 else np.int64
    large = score(
        near(reference, offset).astype(dtype), near(prediction, offset).astype(dtype), *names
    )
    assert large == small
    assert small[0] > 0.1


def test_maps_without_background_lose_no_object():
    # py-ctcmetrics drops the first label there, and Cellpose's AP becomes infinite.
    reference = np.repeat([[1, 2]], 6, axis=0).repeat(5, axis=1)
    prediction = np.where(np.arange(10) < 6, 7, 3) * np.ones((6, 1), int)
    # IoU 30 / 36 and 24 / 30
    seg, det, pq, ap = score(reference, prediction, "seg", "det", "pq", "average_precision")
    assert seg == pq == pytest.approx((30 / 36 + 24 / 30) / 2)
    assert det == ap == 1


@pytest.mark.parametrize("k", range(10, 20))
def test_pairs_at_a_threshold_match_and_strictly_do_not(k):
    # Cellpose's grid has 0.6000000000000001: of ten ties it misses eight.
    reference = np.zeros((1, 40), int)
    reference[0, :20] = 1
    prediction = np.zeros((1, 40), int)
    prediction[0, :k] = 1  # IoU k / 20
    option = f"threshold={np.arange(0.5, 1, 0.05)[k - 10]}"
    assert score(reference, prediction, f"f1({option})") == [1]
    assert score(reference, prediction, f"f1({option}, strict=True)") == [0]


def test_three_meanings_of_aji_are_told_apart():
    split = np.array([[1, 1, 1, 1, 0, 0]])
    halves = np.array([[1, 1, 2, 2, 0, 0]])
    # The first half is the pair: 2 / (4 + 2 left over). Cellpose, taking both, says 0.5.
    assert score(split, halves, "aji", "aji_plus") == [2 / 6, 2 / 6]
    # Both cells take the one predicted object, 4 / (4 + 4); one-to-one, 2 / (4 + 2).
    assert score(halves, split, "aji", "aji_plus") == [4 / 8, 2 / 6]
