"""Soft erosion and dilation: extremes over neighbours, taken one by one."""

import math
from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

from segjax.losses import _morphology
from segjax.losses.topology import soft_skeleton


def extreme(x, near, best, outside):
    """Of every place the extreme of those whose offset is `near`, `outside` beyond the image."""
    out = np.empty_like(x)
    reach = [range(-n, n + 1) for n in x.shape]
    offsets = [o for o in product(*reach) if near(np.array(o))]
    for place in np.ndindex(x.shape):
        there = [tuple(np.add(place, o)) for o in offsets]
        inside = [all(0 <= i < n for i, n in zip(t, x.shape, strict=True)) for t in there]
        out[place] = best([x[t] if k else outside for t, k in zip(there, inside, strict=True)])
    return out


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5)])
def test_neighbours_are_those_across_faces_and_all_around(rng, shape):
    x = rng.random(shape).astype(np.float32)
    faces, around = lambda o: abs(o).sum() <= 1, lambda o: abs(o).max() <= 1
    dims = len(shape)
    for outside in (0.0, math.inf):
        found = _morphology.eroded(jnp.asarray(x), dims, outside)
        np.testing.assert_array_equal(found, extreme(x, faces, min, outside))
    found = _morphology.dilated(jnp.asarray(x), dims)
    np.testing.assert_array_equal(found, extreme(x, around, max, -math.inf))


@pytest.mark.parametrize("radius", [0.0, 1.0, 1.5, 3.1])
@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 1.0), (1.3, 0.6), (2.0, 1.0, 0.7)])
def test_a_ball_reaches_as_far_as_its_radius(rng, radius, spacing):
    x = rng.random((9, 6, 5)[: len(spacing)]).astype(np.float32)
    near = lambda o: ((o * spacing) ** 2).sum() <= radius**2
    found = _morphology.dilated_by(jnp.asarray(x), radius, spacing)
    np.testing.assert_array_equal(found, extreme(x, near, max, 0.0))


def test_the_skeleton_of_a_bar_is_its_middle():
    bar = np.zeros((7, 12), np.float32)
    bar[2:5, 1:11] = 1
    thin = np.asarray(soft_skeleton(jnp.asarray(bar), 2, 2))
    assert thin[3, 3:9].all()
    assert not thin[[2, 4], 3:9].any()
