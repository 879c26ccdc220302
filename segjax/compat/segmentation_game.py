"""The Segmentation Game 0.2's functions, over segjax's metrics.

All take two label images and binarise them (0 = background), except the sparse index. Scores
are the Game's, with these exceptions: 0/0 is NaN without a warning, shapes must agree, and
`jaccard_index_sparse` allows gaps among the labels (the Game asks for none, and counts labels
that are missing from the reference as objects of overlap 0).
"""

from typing import Any

import numpy as np

from segjax.case import make_case
from segjax.evaluation import evaluate
from segjax.metrics import overlap
from segjax.statistics import Confusion, count_foreground


def compute_tp_tn_fp_fn(
    reference_label_image: Any, test_label_image: Any
) -> tuple[int, int, int, int]:
    """Voxels that are foreground in both, neither, the test alone, the reference alone."""
    c = _foreground(reference_label_image, test_label_image)
    return int(c.tp), int(c.tn), int(c.fp), int(c.fn)


def jaccard_index_sparse(reference_label_image: Any, test_label_image: Any) -> float:
    """Mean over the reference labels of the best IoU with any test label."""
    scores = evaluate(
        reference=reference_label_image, prediction=test_label_image, metrics=["jaccard_sparse"]
    )
    return float(scores["jaccard_sparse"])


def jaccard_index_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """IoU of the foregrounds."""
    return float(overlap.iou(_foreground(reference_label_image, test_label_image)))


def jaccard_index_binary_sparse(reference_label_image: Any, test_label_image: Any) -> float:
    """IoU of the reference's foreground with the test's highest value, as the Game codes it.

    The test image is the annotation (0 = unknown, 1 = negative, 2 = positive). Unknown
    voxels count as negative here, which makes every prediction there wrong;
    `segjax.jaccard_binary_sparse` leaves them out.
    """
    test = np.asarray(test_label_image)
    return jaccard_index_binary(reference_label_image, test == test.max(initial=0))


def roc_f1score_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """F1 score (Dice) of the foregrounds."""
    return float(overlap.dice(_foreground(reference_label_image, test_label_image)))


def roc_accuracy_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """Accuracy of the foregrounds."""
    return float(overlap.accuracy(_foreground(reference_label_image, test_label_image)))


def roc_balanced_accuracy_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """Balanced accuracy of the foregrounds."""
    return float(overlap.balanced_accuracy(_foreground(reference_label_image, test_label_image)))


def roc_true_positive_rate_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """Sensitivity of the foregrounds."""
    return float(overlap.sensitivity(_foreground(reference_label_image, test_label_image)))


def roc_true_negative_rate_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """Specificity of the foregrounds."""
    return float(overlap.specificity(_foreground(reference_label_image, test_label_image)))


def roc_positive_predictive_value_binary(
    reference_label_image: Any, test_label_image: Any
) -> float:
    """Precision of the foregrounds."""
    return float(overlap.precision(_foreground(reference_label_image, test_label_image)))


def roc_threat_score_binary(reference_label_image: Any, test_label_image: Any) -> float:
    """Threat score (IoU) of the foregrounds."""
    return jaccard_index_binary(reference_label_image, test_label_image)


def _foreground(reference: Any, test: Any) -> Confusion:
    return count_foreground(make_case(reference=reference, prediction=test))
