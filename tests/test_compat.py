import numpy as np
import pytest
from skimage.measure import find_contours

from segjax.compat import miseval, segmentation_game as game
from segjax.metrics import get_metric
from tests.images import label_maps, masks
from tests.reference import overlap as definition


# What miseval 1.3.0 returns: both empty, prediction empty, reference empty, both full, two
# equal masks, reference full, prediction full, and two that overlap.
H = np.zeros((8, 8), int)
H[2:5, 2:6] = 1
EMPTY, FULL = H * 0, H * 0 + 1
PAIRS = [
    (EMPTY, EMPTY),
    (H, EMPTY),
    (EMPTY, H),
    (FULL, FULL),
    (H, H),
    (FULL, H),
    (H, FULL),
    (H, np.roll(H, 1, axis=0)),
]
MISEVAL = {
    "DSC": [1, 0, 0, 1, 1, 0.3158, 0.3158, 0.6667],
    "IoU": [0, 0, 0, 1, 1, 0.1875, 0.1875, 0.5],
    "ACC": [1, 0.8125, 0.8125, 1, 1, 0.1875, 0.1875, 0.875],
    "RI": [1, 0.8125, 0.8125, 1, 1, 0.1875, 0.1875, 0.875],
    "BACC": [1, 0.5, 0.8125, 1, 1, 0.1875, 0.5, 0.7949],
    "ARI": [1, 0, 0, 1, 1, 0, 0, 0.4801],
    "AUC": [1, 0.5, 0.9062, 1, 1, 0.5938, 0.5, 0.7949],
    "KAP": [0, 0, 0, 0, 1, 0, 0, 0.5897],
    "SENS": [0, 0, 0, 1, 1, 0.1875, 1, 0.6667],
    "SPEC": [1, 1, 0.8125, 0, 1, 0, 0, 0.9231],
    "PREC": [0, 0, 0, 1, 1, 1, 0.1875, 0.6667],
    "VS": [1, 0, 0, 1, 1, 0.3158, 0.3158, 1],
    "MCC": [0, 0, 0, 0, 1, 0, 0, 0.5897],
    "nMCC": [0.5, 0.5, 0.5, 0.5, 1, 0.5, 0.5, 0.7949],
    "aMCC": [0, 0, 0, 0, 1, 0, 0, 0.5897],
    "TP": [0, 0, 0, 64, 12, 12, 12, 8],
    "TN": [64, 52, 52, 0, 52, 0, 0, 48],
    "FP": [0, 0, 12, 0, 0, 0, 52, 4],
    "FN": [0, 12, 0, 0, 0, 52, 0, 4],
    "BD": [*[np.nan] * 4, 2.5263, *[np.nan] * 2, 2.7219],
}


@pytest.mark.parametrize("label", MISEVAL)
def test_scores_are_those_of_miseval(label):
    scores = [miseval.evaluate(truth, pred, metric=label) for truth, pred in PAIRS]
    np.testing.assert_allclose(scores, MISEVAL[label], atol=5e-5)


def test_distances_are_right_where_those_of_miseval_are_not():
    # Shifted by one row: the average is that of the voxels that stick out, 4 of 12, by 1.
    truth, pred = PAIRS[-1]
    assert miseval.evaluate(truth, pred, "HD") == 1
    assert miseval.evaluate(truth, pred, "AHD") == pytest.approx(4 / 12)
    assert miseval.evaluate(EMPTY, EMPTY, "HD") == miseval.evaluate(EMPTY, EMPTY, "AHD") == 0
    assert miseval.evaluate(H, EMPTY, "AHD") == np.inf


def pairs_of_contour_points(truth, pred):
    """Differences of all points of the contours of two masks, by scikit-image."""
    a, b = (np.concatenate(find_contours(mask)) for mask in (truth, pred))
    return (a[:, None] - b).reshape(-1, 2)


@pytest.mark.parametrize(
    ("distance", "of"),
    [
        ("euclidean", lambda d: np.hypot(*d.T)),
        ("manhattan", lambda d: abs(d).sum(1)),
        ("chebyshev", lambda d: abs(d).max(1)),
        ("mae", lambda d: abs(d).mean(1)),
        ("mse", lambda d: (d**2).mean(1)),
        ("squared_variation", lambda d: (d**2).sum(1)),
    ],
)
def test_boundary_distance_pools_all_pairs_of_contour_points(distance, of, rng):
    for share in (0.1, 0.5, 0.9):  # islands, saddles, holes; contours cut by the border
        for shape in [(9, 14), (12, 5)]:
            truth, pred = rng.random((2, *shape)) < share
            pairs = of(pairs_of_contour_points(truth, pred))
            for pooling, pool in (("mean", np.mean), ("sum", np.sum), ("amin", np.min)):
                score = miseval.evaluate(truth, pred, "BD", distance=distance, pooling=pooling)
                np.testing.assert_allclose(score, pool(pairs), rtol=1e-12)


def test_boundary_distance_prefers_a_small_mask_to_an_equal_one():
    inner = H * 0
    inner[3, 3:5] = 1
    assert miseval.evaluate(H, inner, "BD") < miseval.evaluate(H, H, "BD")


def test_every_label_is_called_as_miseval_calls_it():
    truth, pred = PAIRS[-1]
    for label in miseval.metric_dict:
        score = miseval.evaluate(truth, pred, metric=label)
        assert np.ndim(score) == 0
        assert miseval.evaluate(truth, pred, metric=label.upper()) == score


def test_several_classes_give_one_score_each(rng):
    truth, pred = label_maps(rng, (6, 5), labels=(0, 1, 2))
    scores = miseval.evaluate(truth, pred, metric="DSC", multi_class=True, n_classes=3)
    expected = [definition.dice(definition.counts(truth == c, pred == c)) for c in range(3)]
    np.testing.assert_allclose(scores, np.array(expected, float))
    implied = miseval.evaluate(truth, pred, metric="DSC", n_classes=3)
    np.testing.assert_array_equal(scores, implied)


def test_custom_metrics_are_called_with_the_class(rng):
    truth, pred = masks(rng, (6, 5))
    found = miseval.evaluate(
        truth, pred, metric=lambda t, p, c, weight: weight * c, multi_class=True, weight=3
    )
    assert found.tolist() == [0, 3]
    assert miseval.evaluate(truth, pred, miseval.calc_DSC) == miseval.evaluate(truth, pred, "DSC")


def test_probabilities_have_their_classes_last(rng):
    truth = rng.integers(0, 3, (6, 5))
    prob = rng.dirichlet(np.ones(3), (6, 5))
    sign, p = np.where(truth == 2, 1, -1), prob[..., 2]
    assert miseval.calc_Hinge(truth, prob, c=2) == pytest.approx(np.maximum(1 - sign * p, 0).mean())
    likelihood = np.log(p[truth == 2] + np.finfo(np.float32).eps)
    assert miseval.calc_CrossEntropy(truth, prob, c=2, pooling="sum") == pytest.approx(
        -likelihood.sum()
    )


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: miseval.evaluate(H, H, "DICEE"), KeyError, "did you mean"),
        (lambda: miseval.evaluate(H, H, 3), TypeError, "labels or a function"),
        (
            lambda: miseval.evaluate(H * 2 + np.eye(8, dtype=int), H, "DSC"),
            ValueError,
            "more than 2",
        ),
        (lambda: miseval.evaluate(H, H[:, :1], "DSC"), ValueError, "same shape"),
        (lambda: miseval.evaluate(H, H, "DSC", poling="sum"), TypeError, "poling"),
        (lambda: miseval.evaluate(H[None], H[None], "BD"), ValueError, "two 2-D images"),
        (lambda: miseval.evaluate(H, H, "BD", distance="cosine"), ValueError, "distance must be"),
        (lambda: miseval.evaluate(H, EMPTY, "BD", pooling="std"), ValueError, "pooling must be"),
        (lambda: miseval.calc_Hinge(H, np.ones((3, 8))), ValueError, "classes go on a last axis"),
        (lambda: miseval.calc_Hinge(H, H, pooling="median"), ValueError, "pooling must be"),
    ],
)
def test_mistakes_are_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_channel_axis_of_one_is_allowed():
    truth, pred = PAIRS[-1]
    expected = miseval.evaluate(truth, pred, "DSC")
    assert miseval.evaluate(truth[..., None], pred[..., None], "DSC") == expected
    assert miseval.evaluate(truth[..., None], pred, "DSC") == expected


# The Segmentation Game.

ROC = {
    "roc_f1score_binary": "dice",
    "roc_accuracy_binary": "accuracy",
    "roc_balanced_accuracy_binary": "balanced_accuracy",
    "roc_true_positive_rate_binary": "sensitivity",
    "roc_true_negative_rate_binary": "specificity",
    "roc_positive_predictive_value_binary": "precision",
    "roc_threat_score_binary": "iou",
    "jaccard_index_binary": "iou",
}


@pytest.mark.parametrize("name", ROC)
def test_scores_of_foregrounds_are_those_of_the_game(name, rng):
    reference, test = label_maps(rng, (6, 5))
    expected = getattr(definition, ROC[name])(definition.counts(reference > 0, test > 0))
    assert getattr(game, name)(reference, test) == pytest.approx(float(expected))
    assert get_metric(ROC[name])


def test_counts_come_in_the_order_of_the_game(rng):
    reference, test = masks(rng, (6, 5))
    tp, fp, fn, tn = definition.counts(reference, test)
    assert game.compute_tp_tn_fp_fn(reference, test) == (tp, tn, fp, fn)


def test_sparse_overlap_is_that_of_the_game():
    # Two reference labels; the best IoUs are 2 / 3 and 1 / 4.
    reference = np.array([[1, 1, 0, 2, 2, 2, 2]])
    test = np.array([[1, 1, 1, 0, 0, 0, 2]])
    assert game.jaccard_index_sparse(reference, test) == pytest.approx((2 / 3 + 1 / 4) / 2)


def test_the_game_counts_unknown_voxels_as_negative():
    reference = np.array([[5, 0, 5, 5]])
    annotation = np.array([[2, 1, 0, 2]])
    # positive where the annotation is 2; the third voxel is unknown, and so wrong
    assert game.jaccard_index_binary_sparse(reference, annotation) == pytest.approx(2 / 3)
