"""Small images that bite: shapes are few, so that programs are shared between tests."""

import numpy as np


SHAPES = [(7,), (6, 5), (4, 3, 5)]


def masks(rng, shape):
    """A pair of overlapping random masks."""
    reference = rng.random(shape) < 0.4
    return reference, reference ^ (rng.random(shape) < 0.3)


def label_maps(rng, shape, labels=(0, 1, 2, 5)):
    """A pair of label maps that agree in part; labels have gaps."""
    reference = rng.choice(labels, shape)
    prediction = np.where(rng.random(shape) < 0.6, reference, rng.choice(labels, shape))
    return reference, prediction


def corner_cases(shape=(6, 5)):
    """Pairs of masks where formulas break: (name, reference, prediction)."""
    empty, full = np.zeros(shape, bool), np.ones(shape, bool)
    single, border = empty.copy(), empty.copy()
    single[2, 2] = True
    border[0], border[-1] = True, True
    return [
        ("both empty", empty, empty),
        ("reference empty", empty, border),
        ("prediction empty", border, empty),
        ("both full", full, full),
        ("reference full", full, border),
        ("prediction full", border, full),
        ("single voxel", single, single),
        ("disjoint", single, border),
        ("complement", border, ~border),
    ]
