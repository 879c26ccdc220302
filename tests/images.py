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


def cells(rng, shape, number, *, sloppy=True):
    """Boxes and balls that touch; and what a careless segmentation makes of them.

    Objects are moved, dropped, cut in two, run together and added.
    """
    reference, prediction = np.zeros((2, *shape), np.int32)
    axes = np.indices(shape)
    for k in range(1, number + 1):
        centre = np.array([rng.integers(0, n) for n in shape])
        radius = rng.integers(1, 5)
        apart = np.abs(axes - centre.reshape(-1, *(1,) * len(shape)))
        far = apart.max(0) if rng.random() < 0.5 else np.sqrt((apart**2).sum(0))
        inside = far <= radius
        reference[inside] = k
        fate = rng.random() if sloppy else 1.0
        if fate < 0.1:
            continue
        moved = np.roll(inside, tuple(rng.integers(-1, 2, len(shape))), range(len(shape)))
        prediction[moved] = k
        if fate < 0.2:
            prediction[moved & (axes[0] < centre[0])] = number + k
        elif fate < 0.3 and k > 1:
            prediction[moved] = k - 1
    numbers = rng.permutation(2 * number) + 1
    return reference, np.where(prediction > 0, numbers[prediction - 1], 0).astype(np.int32)


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
