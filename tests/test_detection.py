"""Average precision of ranked objects, against its definition and pycocotools."""

import contextlib
import io
from fractions import Fraction

import numpy as np
import pytest

import segjax
from segjax import InputError
from tests.images import cells, label_maps
from tests.reference import detection as definition


GRID = [Fraction(k, 20) for k in range(10, 20)]


def scored(rng, prediction, ties):
    labels = sorted(set(prediction.ravel().tolist()) - {0})
    draw = lambda: float(rng.integers(0, 4)) if ties else float(rng.random())
    return {k: draw() for k in labels}


def data(rng, images, ties=True):
    maps = [cells(rng, (20, 24), int(rng.integers(1, 9))) for _ in range(images)]
    maps[-1] = (maps[-1][0], 0 * maps[-1][1]) if images % 3 == 0 else maps[-1]
    return *(list(x) for x in zip(*maps, strict=True)), [scored(rng, p, ties) for _, p in maps]


def score(references, predictions, scores, **options):
    return segjax.coco_ap(references=references, predictions=predictions, scores=scores, **options)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_matches_the_definition(ties, rng):
    for images in (1, 2, 4, 4):
        sets = data(rng, images, ties)
        for thresholds in (GRID, GRID[:1], [Fraction(1, 5), Fraction(1, 3), Fraction(1)]):
            for most in (100, 3):
                got = score(*sets, thresholds=list(map(float, thresholds)), max_detections=most)
                expected = definition.coco_ap(*sets, thresholds, most)
                np.testing.assert_allclose(got, expected, rtol=1e-12)


def pycocotools(references, predictions, scores, most, nudge):
    """AP of pycocotools, whose recalls are lowered by so much."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools import mask as rle
    from pycocotools.cocoeval import COCOeval

    def listed(maps):
        for i, image in enumerate(maps):
            for k in sorted(set(image.ravel().tolist()) - {0}):
                yield i, k, rle.encode(np.asfortranarray(image == k, np.uint8))

    truth, found = coco.COCO(), coco.COCO()
    shared = {
        "images": [
            {"id": i, "height": len(x), "width": len(x.T)} for i, x in enumerate(references)
        ],
        "categories": [{"id": 1}],
    }
    entry = lambda n, i, code: {
        "id": n, "image_id": i, "category_id": 1, "iscrowd": 0,
        "area": float(rle.area(code)), "segmentation": code,
    }  # fmt: skip
    drawn = [entry(n, i, code) for n, (i, _, code) in enumerate(listed(references), start=1)]
    guessed = [
        entry(n, i, code) | {"score": scores[i][k]}
        for n, (i, k, code) in enumerate(listed(predictions), start=1)
    ]
    truth.dataset, found.dataset = ({"annotations": x} | shared for x in (drawn, guessed))
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found.createIndex()
        run = COCOeval(truth, found, "segm")
        run.params.maxDets = [most]
        run.params.recThrs = run.params.recThrs - nudge
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"]
    return precision[precision > -1].mean()


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_that_of_pycocotools(ties, rng):
    for images in (1, 3, 12, 12):
        sets = data(rng, images, ties)
        sets[0][0][0, 0] = 99  # a reference object at least
        for most in (100, 4):
            # Lowered, lest one in floating point miss what is equal to it.
            expected = pycocotools(*sets, most, nudge=1e-9)
            np.testing.assert_allclose(score(*sets, max_detections=most), expected, rtol=1e-12)


def test_pycocotools_agrees_as_it_is_where_no_recall_is_a_hundredth(rng):
    # 41 objects: no recall but 0 and 1 is a hundredth.
    reference, prediction = np.zeros((2, 41, 802), int)
    for k in range(1, 42):
        reference[k - 1, 200:601] = k
        shift = int(rng.integers(0, 150))
        prediction[k - 1, 200 + shift : 601 + shift] = k
    sets = [reference], [prediction], [scored(rng, prediction, False)]
    np.testing.assert_allclose(score(*sets), pycocotools(*sets, 100, nudge=0), rtol=1e-12)


def test_a_curve_by_hand():
    # Hit, miss, hit of 4 objects: precision 1 at recall 1/4, then 2/3 at 1/2.
    reference, prediction = np.array([[1, 2, 3, 4, 0]]), np.array([[1, 2, 0, 0, 3]])
    own = {1: 0.9, 3: 0.8, 2: 0.7}
    assert score([reference], [prediction], [own]) == pytest.approx((26 + 25 * 2 / 3) / 101)
    by_index = [np.array([0, 0.9, 0.7, 0.8])]
    assert score([reference], [prediction], by_index) == score([reference], [prediction], [own])
    assert score([reference], [prediction], [own], max_detections=1) == pytest.approx(26 / 101)


def test_of_equal_overlaps_the_last_is_taken(rng):
    # Object 1 could have either half of itself; object 2, of lower score, only the first.
    reference = np.array([[1, 1, 1, 2, 2, 2, 0, 0]])
    prediction = np.array([[0, 0, 5, 5, 0, 0, 0, 0]])
    options = {"thresholds": [0.2]}
    assert score([reference], [prediction], [{5: 1}], **options) == pytest.approx(51 / 101)
    later = np.where(prediction == 0, np.array([[0, 0, 0, 0, 6, 0, 0, 0]]), prediction)
    # 5 takes 2 (IoU 1/4, as with 1), so that 6 (IoU 1/3 with 2) finds it taken.
    assert score([reference], [later], [{5: 1, 6: 0}], **options) == pytest.approx(51 / 101)


def test_without_objects():
    nothing, something = np.zeros((2, 3), int), np.ones((2, 3), int)
    assert np.isnan(score([], [], []))
    assert np.isnan(score([nothing], [something], [{1: 0.5}]))
    assert score([something], [nothing], [{}]) == 0
    assert score([something, nothing], [something] * 2, [{1: 0.5}, {1: 0.9}]) == 0.5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scores": [{1: 0.5}]}, "image 0: the predicted object 2 has no score"),
        ({"scores": [[0.0, 0.5]]}, "image 0: the predicted object 2 has no score"),
        ({"scores": [{1: 0.5, 2: np.nan}]}, "object 2 has the score nan"),
        ({"scores": []}, "1 references, 1 predictions and scores of 0 images"),
        ({"thresholds": [0.0]}, r"thresholds must be in \(0, 1\]"),
        ({"thresholds": []}, "thresholds must be"),
        ({"max_detections": 0}, "at least 1"),
        ({"references": [np.ones((2, 2), int)]}, "image 0: .* same shape"),
    ],
)
def test_what_cannot_be_scored_says_why(change, says):
    image = np.array([[1, 2, 0]])
    known = {"references": [image], "predictions": [image], "scores": [{1: 0.5, 2: 0.1}]}
    with pytest.raises(InputError, match=says):
        segjax.coco_ap(**known | change)


def test_numbers_of_objects_say_nothing(rng):
    reference, prediction = label_maps(rng, (9, 8))
    own = {1: 0.1, 2: 0.7, 5: 0.4}
    large = {2**50 - k: v for k, v in own.items()}
    renamed = np.where(prediction > 0, 2**50 - prediction.astype(np.int64), 0)
    options = {"thresholds": [0.3, 0.6]}
    assert score([reference], [renamed], [large], **options) == score(
        [reference], [prediction], [own], **options
    )
