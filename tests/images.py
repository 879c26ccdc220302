"""Small images that bite: shapes are few, so that programs are shared between tests."""

import numpy as np
from scipy import ndimage


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


def blobs(rng, shape, width=0.0, share=0.4):
    """Blobs as wide as `width`; noise if that is 0."""
    image = ndimage.gaussian_filter(rng.random(shape), width)
    return image > np.quantile(image, 1 - share)


def several(rng, shape):
    return [blobs(rng, shape, w, s) for w in (0, 0.7, 1.5) for s in (0.1, 0.4, 0.7, 0.9)]


def distance_to(shape, radius):
    """Distance of every voxel to a circle in the first plane (radius 0: to a point)."""
    z, y, x = (np.indices(shape).T - (np.array(shape) - 1) / 2).T
    return np.hypot(np.hypot(y, x) - radius, z)


def solids():
    """Masks in space with their Betti numbers."""
    ball, torus = distance_to((15, 15, 15), 0), distance_to((9, 21, 21), 7)
    frame = np.ones((3, 3, 3), bool)
    frame[1, 1, :] = frame[1, :, 1] = frame[:, 1, 1] = False
    corners = np.zeros((4, 4, 4), bool)
    corners[:2, :2, :2] = corners[2:, 2:, 2:] = True
    return {
        "nothing": (np.zeros((4, 4, 4), bool), [0, 0, 0]),
        "voxel": (np.pad(np.ones((1, 1, 1), bool), 2), [1, 0, 0]),
        "full": (np.ones((5, 4, 6), bool), [1, 0, 0]),
        "plane": (np.ones((1, 6, 7), bool), [1, 0, 0]),
        "line": (np.ones((1, 1, 7), bool), [1, 0, 0]),
        "ball": (ball < 6.3, [1, 0, 0]),
        "hollow ball": ((ball < 6.3) & (ball > 3), [1, 0, 1]),
        "ball in a shell": ((ball < 6.3) & ~((ball < 5) & (ball > 3)), [2, 0, 1]),
        "torus": (torus < 3, [1, 1, 0]),
        "hollow torus": ((torus < 3) & (torus > 1.4), [1, 2, 1]),
        "frame": (frame, [1, 5, 0]),  # a cube's 12 edges: 12 - 8 + 1 rings
        "cubes at a corner": (corners, [1, 0, 0]),
    }
