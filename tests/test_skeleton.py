"""Skeletons: thin, and of the topology of the mask."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.morphology import skeletonize

from segjax import InputError
from segjax.ops import packing, skeleton as thinning
from segjax.ops.skeleton import skeleton
from segjax.ops.topology import betti_numbers
from tests.images import blobs, distance_to, several, solids


SHAPES = [(13,), (9, 11), (5, 7, 6)]
traced_skeleton = jax.jit(skeleton)


def check_skeleton(mask):
    thin = skeleton(mask)
    assert thin.dtype == bool
    assert not (thin & ~mask).any()
    assert betti_numbers(thin).tolist() == betti_numbers(mask).tolist()
    # Each component keeps a piece, and each piece of the background grows.
    parts, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    assert np.unique(parts[thin]).tolist() == list(range(1, count + 1))
    np.testing.assert_array_equal(skeleton(thin), thin)
    return thin


@given(mask=arrays(bool, (9, 11)))
def test_skeletons_of_noise_in_the_plane_keep_its_topology(mask):
    check_skeleton(mask)


@given(mask=arrays(bool, (5, 7, 6)))
def test_skeletons_of_noise_in_space_keep_its_topology(mask):
    check_skeleton(mask)


@pytest.mark.parametrize("shape", SHAPES)
def test_skeletons_of_blobs_keep_their_topology(shape, rng):
    for mask in several(rng, [2 * n for n in shape]):
        check_skeleton(mask)


@pytest.mark.parametrize("mask", [mask for mask, _ in solids().values()], ids=solids())
def test_skeletons_of_solids_keep_their_topology(mask):
    check_skeleton(mask)


def test_every_mask_of_4_by_4_keeps_its_topology():
    codes = np.arange(2**16).reshape(256, 256)
    bits = codes[..., None] >> np.arange(16) & 1
    tiles = np.pad(bits.reshape(256, 256, 4, 4) > 0, [(0, 0), (0, 0), (0, 1), (0, 1)])
    mask = tiles.transpose(0, 2, 1, 3).reshape(256 * 5, 256 * 5)
    thin = skeleton(mask)
    assert not (thin & ~mask).any()
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    assert np.unique(parts[thin]).tolist() == list(range(1, count + 1))
    # Every hole has a pixel of the first background, so that equal numbers mean the same holes.
    assert betti_numbers(thin).tolist() == betti_numbers(mask).tolist()


@pytest.mark.parametrize("width", [0, 0.7, 1.5, 3, 6])
def test_skeletons_in_the_plane_are_those_of_scikit_image(width, rng):
    for share in (0.05, 0.2, 0.5, 0.8, 0.99):
        mask = blobs(rng, (61, 83), width, share)
        np.testing.assert_array_equal(skeleton(mask), skeletonize(mask))


@pytest.mark.parametrize("side", range(1, 11))
def test_cubes_have_skeletons(side):
    # Of those with an even side scikit-image leaves nothing.
    mask = np.pad(np.ones((side,) * 3, bool), 1)
    where = np.argwhere(skeleton(mask))
    assert 1 <= len(where) <= 2
    assert np.abs(where - (side + 1) / 2).max() <= 1.5


def test_the_skeleton_of_a_tube_is_its_middle_line():
    mask = np.zeros((13, 13, 40), bool)
    y, x = np.indices((13, 13)) - 6
    mask[:, :, 2:38] = (np.hypot(y, x) <= 4.2)[:, :, None]
    where = np.argwhere(skeleton(mask))
    assert np.abs(where[:, :2] - 6).max() <= 1
    assert 36 - 2 * 5 <= len(where) <= 36  # a voxel a plane, less a radius at the ends
    assert (np.diff(np.sort(where[:, 2])) == 1).all()


def test_the_skeleton_of_a_torus_is_a_closed_line():
    mask, _ = solids()["torus"]
    thin = check_skeleton(mask)
    around = ndimage.convolve(thin.astype(int), np.ones((3, 3, 3), int), mode="constant") - 1
    assert (around[thin] == 2).all()
    assert distance_to(mask.shape, 7)[thin].max() <= 1.5


def test_lines_and_shells_are_their_own_skeletons():
    line = np.zeros((6, 9, 9), bool)
    line[2, range(1, 8), range(1, 8)] = True
    shell = np.ones((5, 5, 5), bool)
    shell[1:-1, 1:-1, 1:-1] = False
    np.testing.assert_array_equal(skeleton(line), line)
    assert betti_numbers(skeleton(shell)).tolist() == [1, 0, 1]
    row = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)
    np.testing.assert_array_equal(skeleton(row), row)


@pytest.mark.parametrize("shape", [(20, 24), (12, 13, 14)])
def test_moving_a_mask_moves_its_skeleton(shape, rng):
    mask = blobs(rng, shape, 1.5, 0.5)
    thin = skeleton(mask)
    for step in range(1, 4):
        room = [(step, 4 - step), (4 - step, step), (2 * step, 8 - 2 * step)][: len(shape)]
        moved = np.pad(mask, room)
        np.testing.assert_array_equal(skeleton(moved), np.pad(thin, room))
        np.testing.assert_array_equal(traced_skeleton(moved), np.pad(thin, room))


@pytest.mark.parametrize("shape", [(41, 41), (25, 25, 25)])
def test_there_are_as_many_sweeps_as_the_radius(shape):
    radius = shape[0] // 2
    inside = ((np.indices(shape).T - radius) ** 2).sum(-1).T <= radius**2
    fields = thinning._fields(jnp.asarray(inside)) if len(shape) == 3 else None
    sweep = thinning._sweep_plane if fields is None else thinning._sweep_space
    step = jax.jit(lambda words: sweep(words, *([] if fields is None else [fields])))
    words, sweeps = packing.pack_rows(jnp.asarray(inside)), 0
    while ((fewer := step(words)) != words).any():
        words, sweeps = fewer, sweeps + 1
    assert radius / 4 <= sweeps <= radius + 2
    np.testing.assert_array_equal(packing.unpack_rows(words, shape[-1]), skeleton(inside))


@pytest.mark.parametrize("shape", [*SHAPES, (4, 3, 67)])
def test_skeletons_under_jit_and_vmap_are_those_of_the_host(shape, rng):
    masks = np.stack([*several(rng, shape), np.zeros(shape, bool), np.ones(shape, bool)])
    batched = jax.jit(jax.vmap(skeleton))(masks)
    for mask, found in zip(masks, batched, strict=True):
        np.testing.assert_array_equal(found, skeleton(mask))
        np.testing.assert_array_equal(traced_skeleton(mask), found)


@pytest.mark.parametrize("shape", [(60, 70), (20, 20, 40)])
def test_words_are_looked_at_in_blocks_of_any_size(shape, rng, monkeypatch):
    mask = blobs(rng, shape, 2.0, 0.5)
    whole = skeleton(mask)
    np.testing.assert_array_equal(traced_skeleton(mask), whole)
    for size in (1, 7):
        monkeypatch.setattr(thinning, "_BLOCK", size)
        np.testing.assert_array_equal(skeleton(mask), whole)


@pytest.mark.parametrize("shape", [(5, 33), (3, 4, 64), (70,)])
def test_rows_of_packed_words_read_back(shape, rng):
    mask = rng.random(shape) < 0.5
    for one in (mask, jnp.asarray(mask)):
        words = packing.pack_rows(one)
        assert words.dtype == np.uint32
        assert packing.count_bits(words) == mask.sum()
        np.testing.assert_array_equal(packing.unpack_rows(words, shape[-1]), mask)
    np.testing.assert_array_equal(packing.pack_rows(jnp.asarray(mask)), packing.pack_rows(mask))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_no_voxels_have_no_skeleton(shape):
    for xp in (np, jnp):
        assert skeleton(xp.zeros(shape, bool)).shape == shape


@pytest.mark.parametrize("shape", [(), (2, 2, 2, 2)])
def test_says_what_is_wrong_with_a_mask(shape):
    with pytest.raises(InputError, match="of masks of 1 to 3 axes, got shape"):
        skeleton(np.zeros(shape, bool))
