"""The scores that networks learn, of one pair, as one writes them with NumPy and SciPy."""

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree


def measure(reference: np.ndarray, evaluated: np.ndarray) -> dict[str, float]:
    """SEG, Dice, PQ and neMHD; each object is compared in boxes around it."""
    sizes, others = np.bincount(reference.ravel()), np.bincount(evaluated.ravel())
    pairs = reference.ravel() * others.size + evaluated.ravel()
    table = np.bincount(pairs, minlength=sizes.size * others.size)
    table = table.reshape(sizes.size, others.size)
    union = sizes[:, None] + others - table
    iou = np.where(table > 0, table / np.maximum(union, 1), 0.0)[1:, 1:]
    there = sizes[1:] > 0
    number, found = there.sum(), (others[1:] > 0).sum()
    covered = 2 * table[1:, 1:] > sizes[1:, None]
    matched = iou > 0.5
    both, foreground = table[1:, 1:].sum(), sizes[1:].sum() + others[1:].sum()
    return {
        "SEG": (iou * covered).sum() / number if number else np.nan,
        "Dice": 2 * both / foreground if foreground else np.nan,
        "PQ": 2 * iou[matched].sum() / (number + found) if number + found else np.nan,
        "neMHD": _closeness(reference, evaluated, covered) / number if number else np.nan,
    }


def _closeness(reference: np.ndarray, evaluated: np.ndarray, covered: np.ndarray) -> float:
    boxes, others = ndimage.find_objects(reference), ndimage.find_objects(evaluated)
    total = 0.0
    for i, j in np.argwhere(covered):
        a = _outline(reference[boxes[i]] == i + 1, boxes[i])
        b = _outline(evaluated[others[j]] == j + 1, others[j])
        there, back = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
        total += np.exp(-max(there.mean(), back.mean()) / 10)
    return total


def _outline(mask: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """Voxels with a face neighbour outside of the object; those of its box's border are such."""
    inner = np.asarray(ndimage.binary_erosion(mask), bool)
    return np.argwhere(mask & ~inner) + [s.start for s in box]
