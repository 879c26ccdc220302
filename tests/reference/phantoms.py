"""Phantoms by the definition: voxel by voxel, body by body."""

import math

import numpy as np


def labels(shape, scale, bodies, flatness):
    """The body that a voxel is the least share of the way out of, if it lies within one."""
    found = np.zeros(shape, int)
    for voxel in np.ndindex(*shape):
        shares = [_share(voxel, scale, body, flatness) for body in bodies]
        nearest = int(np.argmin(shares))
        found[voxel] = nearest + 1 if shares[nearest] < 1 else 0
    return found


def _share(voxel, scale, body, flatness):
    away = [v * s - c for v, s, c in zip(voxel, scale, body["centre"], strict=True)]
    along = away[-1] * math.cos(body["angle"]) + away[-2] * math.sin(body["angle"])
    across = away[-2] * math.cos(body["angle"]) - away[-1] * math.sin(body["angle"])
    long, short = body["radius"] * body["stretch"], body["radius"] / body["stretch"]
    height = body["radius"] * flatness
    square = (along / long) ** 2 + (across / short) ** 2
    return math.sqrt(square + (away[0] / height) ** 2 if len(away) == 3 else square)
