"""Frozen values of the most trusted peers, and which metric of ours each of them is."""

import json
from pathlib import Path
from typing import Any

import numpy as np


FOLDER = Path(__file__).parent
CASES = json.loads((FOLDER / "goldens.json").read_text())["cases"]
ARRAYS = np.load(FOLDER / "goldens.npz")

BINARY = {
    "dice": "dice",
    "iou": "iou",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "npv": "npv",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f2": "f_beta(beta=2)",
    "f05": "f_beta(beta=0.5)",
    "mcc": "mcc",
    "kappa": "kappa",
    "ari": "adjusted_rand_index",
    "auc_trapezoid": "auc_trapezoid",
    "vs": "volumetric_similarity",
    "vi": "variation_of_information",
    "mi": "mutual_information",
    "rand_index": "rand_index",
    "rvd": "volume_difference",
    "fowlkes_mallows_index": "fowlkes_mallows",
    "informedness": "informedness",
    "markedness": "markedness",
    "prevalence_threshold": "prevalence_threshold",
    "fall_out": "fpr",
    "miss_rate": "fnr",
    "false_discovery_rate": "fdr",
    "false_omission_rate": "false_omission_rate",
}
VOXEL_SURFACES = {
    "hd": "hausdorff",
    "hd95": "hausdorff(percentile=95)",
    "hd95_pooled": "hausdorff(percentile=95, pooled=True)",
    "assd": "assd",
    "masd": "masd",
    "asd_pred_to_gt": "asd",
    "mhd": "mhd",
    "nsd": "nsd(tolerance={tau})",
}
VOXEL_BANDS = {
    "boundary_iou@chebyshev1": "boundary_iou(width=1)",
    "boundary_iou@chebyshev3": "boundary_iou(width=3)",
    "boundary_iou@edt1": "boundary_iou_euclidean(width=1)",
    "boundary_iou@edt2": "boundary_iou_euclidean(width=2)",
}
SEGMENTS = {
    "ari": ["adjusted_rand_index"],
    "adapted_rand_error": ["adapted_rand_error(ignore_background=True)"],
    # scikit-image returns them under each other's name
    "are_precision_recall_skimage_order": [
        "adapted_rand_recall(ignore_background=True)",
        "adapted_rand_precision(ignore_background=True)",
    ],
    "vi_split_merge": ["vi_split", "vi_merge"],
}
GRID = [f"threshold={k / 20:g}" for k in range(10, 20)]
OBJECTS = {
    "f1_grid": [f"f1({t})" for t in GRID],
    "ap_grid": [f"average_precision({t})" for t in GRID],
    "pq_ge": ["pq(strict=False)"],
    "mean_matched_iou_ge": ["mean_matched_score"],
    "mean_true_score_ge": ["mean_true_score"],
    "ap50": ["average_precision"],
    "pq": ["pq"],
    "sq": ["sq"],
    "rq": ["rq"],
    "ctc_seg": ["seg"],
    "ctc_det": ["det"],
    "ctc_NS": ["ctc_ns"],
    "ctc_FN": ["ctc_fn"],
    "ctc_FP": ["ctc_fp"],
    "aji": ["aji"],
    "aji_plus": ["aji_plus"],
    "dice2": ["dice2"],
}
CLASSES = {
    "dice_per_class": "dice",
    "iou_per_class": "iou",
    "dice_macro": "dice(average=macro)",
    "dice_micro": "dice(average=micro)",
    "dice_weighted": "dice(average=weighted)",
    "generalized_dice_square": "generalized_dice",
    "mcc_multiclass": "multiclass_mcc",
    "kappa": "multiclass_kappa",
    "balanced_accuracy": "sensitivity(average=macro)",
}
# Of masks that are empty.
EMPTY = {
    "dice": "dice",
    "iou": "iou",
    "sens": "sensitivity",
    "spec": "specificity",
    "prec": "precision",
}
# MONAI's bins are (l, r], though it says [l, r).
PROBABILITIES = {
    "brier": "brier",
    "nll": "nll",
    "auroc": "auroc",
    "average_precision": "auprc",
    "ece_l1_10_confidence": "ece(bins=10)",
    "ece_10_monai": "ece(bins=10, closed=right)",
    "mce_10_monai": "mce(bins=10, closed=right)",
    "ace_10_monai": "average_calibration_error(bins=10, closed=right)",
    "ece_l1_15_confidence": "ece",
    "ece_15_monai": "ece(closed=right)",
    "mce_15_monai": "mce(closed=right)",
    "ace_15_monai": "average_calibration_error(closed=right)",
    "ece_10_metrics_reloaded": "ece(bins=10, closed=right)",
}


def images(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """The two images of a case, by the keywords of `segjax.evaluate`."""
    return {
        "reference": ARRAYS[case["inputs"]["gt"]],
        "prediction": ARRAYS[case["inputs"]["pred"]],
    }
