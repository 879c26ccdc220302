"""Components: as scikit-image and SciPy number them, and how many sweeps that takes."""

import math

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import measure

from segjax import InputError
from segjax.ops import component_kernel, components as module
from segjax.ops.components import components, find_components, pieces
from tests.reference import components as reference


SHAPES = [(11,), (1, 9), (9, 1), (8, 13), (5, 1, 6), (4, 5, 7)]
GRIDS = [(shape, k) for shape in SHAPES for k in range(1, len(shape) + 1)]
every_grid = pytest.mark.parametrize(("shape", "connectivity"), GRIDS, ids=str)


def maps(shape, rng):
    """Label maps with the cases that bite."""
    place = np.indices(shape)
    single, border = np.zeros(shape, bool), np.zeros(shape, bool)
    single[(-1,) * len(shape)] = True
    border[0], border[-1] = True, True
    drawn = [rng.random(shape) < share for share in (0.1, 0.3, 0.5, 0.7, 0.95)]
    several = [rng.choice(values, shape) for values in ((0, 1, 2), (0, 7, 7, 7), (3, 4), (1, 2, 9))]
    fixed = [
        np.zeros(shape, bool),
        np.ones(shape, bool),
        single,
        border,
        place.sum(axis=0) % 2 == 0,
    ]
    stripes = [place[axis] % 2 == 0 for axis in range(len(shape))]
    return [*fixed, *stripes, *drawn, *several, 5 * border + 3 * drawn[0]]


@pytest.fixture(params=["runs", "voxels"])
def masks_by(request, monkeypatch):
    """Label masks by runs, and by SciPy."""
    monkeypatch.setattr(module, "_NOISY", 0 if request.param == "runs" else math.inf)


def device_components(labels, connectivity):
    image, count = components(jnp.asarray(labels), connectivity=connectivity)
    return np.asarray(image), int(count)


# The same numbers as others, and as flooding.


@every_grid
def test_numbers_are_those_of_scikit_image_and_of_flooding(shape, connectivity, rng, masks_by):
    for labels in maps(shape, rng):
        image, count = components(labels, connectivity=connectivity)
        expected, number = reference.components(labels, connectivity)
        assert count == number
        assert image.dtype == np.int32
        np.testing.assert_array_equal(image, expected)
        if len(shape) > 1:  # 1-D raises in some versions
            peer = measure.label(labels, background=0, connectivity=connectivity)
            np.testing.assert_array_equal(image, peer)


@pytest.mark.parametrize(
    ("shape", "connectivity"), [g for g in GRIDS if 1 not in g[0][1:]], ids=str
)
def test_device_gives_the_numbers_of_flooding(shape, connectivity, rng):
    for labels in maps(shape, rng):
        image, count = components(jnp.asarray(labels, int), connectivity=connectivity)
        assert image.dtype == count.dtype == jnp.int32
        expected, number = reference.components(labels, connectivity)
        np.testing.assert_array_equal(image, expected)
        assert count == number


@pytest.mark.parametrize(
    ("shape", "connectivity"), [((40, 70), 1), ((40, 70), 2), ((9, 20, 31), 2)]
)
def test_numbers_of_scipy_label_by_label(shape, connectivity, rng):
    structure = ndimage.generate_binary_structure(len(shape), connectivity)
    for share in (0.2, 0.4, 0.6, 0.8):
        smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1)
        objects = np.digitize(smooth, np.quantile(smooth, (share, 0.9)))
        image, count = components(objects, connectivity=connectivity)
        for label in (1, 2):
            expected, number = ndimage.label(objects == label, structure)
            own = np.unique(image[objects == label])
            assert own.size == number
            rank = np.concatenate([[0], own])  # raster order holds within a label too
            np.testing.assert_array_equal(rank[expected], np.where(objects == label, image, 0))
        np.testing.assert_array_equal(np.unique(image), np.arange(count + 1))
        np.testing.assert_array_equal(device_components(objects, connectivity)[0], image)


def test_hundreds_of_random_maps(rng):
    jitted = jax.jit(lambda x: component_kernel.label_stack(x, connectivity=2))
    stack = np.stack([rng.choice(3, (8, 13), p=p) for p in rng.dirichlet((1, 1, 1), 200)])
    images, counts, _ = jitted(stack)
    for labels, image, count in zip(stack, images, counts, strict=True):
        expected = measure.label(labels, background=0, connectivity=2)
        np.testing.assert_array_equal(image, expected)
        assert count == expected.max()
        np.testing.assert_array_equal(components(labels)[0], expected)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_no_voxels_no_components(shape):
    for labels in (np.zeros(shape, int), np.zeros(shape, bool), jnp.zeros(shape, int)):
        image, count = components(labels)
        assert image.shape == shape
        assert count == 0
    assert pieces(np.zeros(shape, int))[0].size == 0


def test_all_connectivities_of_two_voxels():
    # Steps along one, two and three axes at once.
    for axes in (1, 2, 3):
        cube = np.zeros((2, 2, 2), bool)
        cube[0, 0, 0] = True
        cube[tuple(int(a < axes) for a in range(3))] = True
        counts = [components(cube, connectivity=k)[1] for k in (1, 2, 3)]
        assert counts == [1 if k >= axes else 2 for k in (1, 2, 3)]
        assert counts == [device_components(cube, k)[1] for k in (1, 2, 3)]
    assert components(cube)[1] == 1


# Kinds of input.


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int32", "uint64", ">i4"])
def test_kinds_of_labels(dtype, rng):
    labels = rng.choice(3, (8, 13)).astype(dtype)
    expected, count = reference.components(labels, 2)
    for given_ in (labels, np.asfortranarray(labels), labels[::-1][::-1]):
        image, number = components(given_)
        np.testing.assert_array_equal(image, expected)
        assert number == count


def test_labels_of_64_bits_are_told_apart():
    labels = np.array([[2**33 + 1, 1, 2**63], [2**33 + 1, 1, 2**63]], np.uint64)
    assert components(labels)[0].tolist() == [[1, 2, 3], [1, 2, 3]]
    found = find_components(labels)
    assert found.label.tolist() == [2**33 + 1, 1, 2**63]
    assert pieces(labels)[0].tolist() == [1, 2**33 + 1, 2**63]


@pytest.mark.parametrize("dtype", [bool, jnp.uint8, jnp.int16, jnp.uint32])
def test_kinds_of_labels_on_a_device(dtype, rng):
    labels = rng.choice(3, (8, 13))
    image, _ = components(jnp.asarray(labels, dtype))
    np.testing.assert_array_equal(image, reference.components(labels.astype(dtype), 2)[0])


def test_double_precision_changes_nothing(rng):
    labels = rng.choice(3, (8, 13))
    with jax.enable_x64(True):
        image, count = components(jnp.asarray(labels))
    assert image.dtype == count.dtype == jnp.int32
    np.testing.assert_array_equal(image, components(labels)[0])


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_says_what_is_wrong(array):
    with pytest.raises(InputError, match=r"1 to 3 axes, got an array of shape \(2, 2, 2, 2\)"):
        components(array(np.zeros((2, 2, 2, 2), int)))
    with pytest.raises(InputError, match="1 to 3 axes"):
        components(array(1))
    for connectivity in (0, 3, -1):
        with pytest.raises(InputError, match=r"connectivity must be in 1 \.\.\. 2"):
            components(array(np.zeros((2, 2), int)), connectivity=connectivity)
    with pytest.raises(InputError, match="must be integers or booleans, got float32"):
        components(array(np.zeros((2, 2), np.float32)))


def test_too_many_voxels_are_refused_before_anything_is_done():
    vast = np.broadcast_to(np.uint8(0), (2**16, 2**16))
    with pytest.raises(InputError, match="4294967296 voxels are too many"):
        components(vast)
    batch = jax.ShapeDtypeStruct((2**16, 2**8, 2**8), jnp.uint8)
    with pytest.raises(InputError, match="use smaller batches"):
        jax.eval_shape(jax.vmap(components), batch)


# Runs.


@every_grid
def test_sizes_and_labels_are_those_of_the_image(shape, connectivity, rng, masks_by):
    for labels in maps(shape, rng):
        found = find_components(labels, connectivity=connectivity)
        expected, count = reference.components(labels, connectivity)
        assert found.count == count
        np.testing.assert_array_equal(found.image(), expected)
        each = [expected == k + 1 for k in range(count)]
        assert found.size.tolist() == [e.sum() for e in each]
        assert found.label.tolist() == [labels[e][0] for e in each]


def test_runs_are_those_of_equal_labels_in_a_row(rng):
    labels = rng.choice(3, (8, 13))
    found = find_components(labels)
    rebuilt = np.zeros(labels.size, int)
    for start, length, number in zip(found.start, found.length, found.component, strict=True):
        assert not rebuilt[start : start + length].any()
        rebuilt[start : start + length] = found.label[number - 1]
        assert start // 13 == (start + length - 1) // 13
    np.testing.assert_array_equal(rebuilt.reshape(8, 13), labels)


@every_grid
def test_pieces_are_components_of_one_label(shape, connectivity, rng):
    for labels in maps(shape, rng):
        found, number = pieces(labels, connectivity=connectivity)
        expected = {
            int(k): reference.components(labels == k, connectivity)[1]
            for k in np.unique(labels)
            if k
        }
        assert dict(zip(found.tolist(), number.tolist(), strict=True)) == expected


def test_an_object_in_three_pieces():
    labels = np.array([[7, 7, 0, 7], [0, 0, 0, 0], [2, 7, 7, 2]])
    found, number = pieces(labels)
    assert (found.tolist(), number.tolist()) == ([2, 7], [2, 3])


# Transformations.


def test_jit_vmap_and_loop_agree(rng):
    batch = np.stack([np.zeros((8, 13), int), np.ones((8, 13), int), *rng.choice(3, (4, 8, 13))])
    one = lambda labels: components(labels, connectivity=1)
    looped = [one(labels) for labels in batch]
    images, counts = jax.jit(jax.vmap(one))(batch)
    np.testing.assert_array_equal(images, np.stack([image for image, _ in looped]))
    assert counts.tolist() == [count for _, count in looped]
    twice = jax.jit(jax.vmap(jax.vmap(one)))(batch.reshape(2, 3, 8, 13))
    np.testing.assert_array_equal(twice[0].reshape(batch.shape), images)
    np.testing.assert_array_equal(twice[1].reshape(-1), counts)
    last = jax.jit(jax.vmap(one, in_axes=-1, out_axes=-1))(np.moveaxis(batch, 0, -1))
    np.testing.assert_array_equal(np.moveaxis(last[0], -1, 0), images)


def test_gradient_is_zero(rng):
    score = lambda x: jnp.sum(x * (components(x > 0.5)[0] == 1))
    x = jnp.asarray(rng.random((8, 13)), jnp.float32)
    expected = components(np.asarray(x > 0.5))[0] == 1  # the mask is a constant weight
    for differentiate in (jax.grad, jax.jacfwd):
        np.testing.assert_array_equal(jax.jit(differentiate(score))(x), expected)


@pytest.mark.parametrize(("shape", "connectivity"), [((9, 11), 2), ((6, 9, 11), 3)])
def test_lowers_for_accelerators(shape, connectivity):
    batch = jax.ShapeDtypeStruct((2, *shape), jnp.int32)
    one = lambda labels: components(labels, connectivity=connectivity)
    exported = jax.export.export(jax.jit(jax.vmap(one)), platforms=("cpu", "cuda", "tpu"))(batch)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "custom_call" not in exported.mlir_module()


# How many sweeps.


def spiral(side):
    """One path, a voxel wide, that winds inwards a voxel apart."""
    mask, place, step = np.zeros((side, side), bool), np.array([0, 0]), np.array([0, 1])
    lengths = [side - 1] + [n for k in range(side - 1, 0, -2) for n in (k, k)]
    mask[0, 0] = True
    for length in lengths:
        for _ in range(length):
            place = place + step
            mask[tuple(place)] = True
        step = np.array([step[1], -step[0]])
    return mask


def snake(side):
    """One path that goes up and down: along the last axis it is all short runs."""
    mask = np.zeros((side, side), bool)
    mask[:, ::2] = True
    mask[-1, 1::4] = True
    mask[0, 3::4] = True
    return mask


def comb(side):
    """Teeth that meet only in the last row."""
    mask = np.zeros((side, side), bool)
    mask[:, ::2] = True
    mask[-1] = True
    return mask


def winding(side):
    """Edges of a random spanning tree of a grid: one component with long detours."""
    rng = np.random.default_rng(side)
    half = side // 2
    mask = np.zeros((2 * half - 1, 2 * half - 1), bool)
    mask[0, 0], path = True, [(0, 0)]
    while path:
        y, x = path[-1]
        ways = [
            (y + 2 * dy, x + 2 * dx, y + dy, x + dx)
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
            if 0 <= y + 2 * dy < len(mask)
            and 0 <= x + 2 * dx < len(mask)
            and not mask[y + 2 * dy, x + 2 * dx]
        ]
        if not ways:
            path.pop()
            continue
        y, x, between, beside = ways[rng.integers(len(ways))]
        mask[y, x] = mask[between, beside] = True
        path.append((y, x))
    return mask


def percolation(side):
    """Noise at the density where clusters are as ragged as they get with 4 neighbours."""
    return np.random.default_rng(side).random((side, side)) < 0.593


PATHS = [spiral, snake, comb, winding, percolation]


@pytest.mark.parametrize("draw", PATHS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("connectivity", [1, 2])
def test_sweeps_grow_with_the_logarithm_only(draw, connectivity):
    mask = draw(129)
    for labels in (mask, mask.T, mask[::-1, ::-1]):
        expected, count = ndimage.label(labels, ndimage.generate_binary_structure(2, connectivity))
        if draw is not percolation and connectivity == 1:
            assert count == 1  # the drawing is what it is meant to be
        labels = np.pad(labels, [(0, 129 - n) for n in labels.shape])  # one program
        expected = np.pad(expected, [(0, 129 - n) for n in expected.shape])
        images, counts, sweeps = sweep(labels[None], connectivity=connectivity)
        np.testing.assert_array_equal(images[0], expected)
        assert counts[0] == count
        runs = module._find_runs(np.ascontiguousarray(labels))
        bound = 2 * math.log2(runs.start.size) + 2
        assert sweeps <= bound
        root, on_host = module.join(runs.start.size, *module._touching(runs, connectivity))
        assert on_host <= bound
        assert np.unique(root).size == count


sweep = jax.jit(component_kernel.label_stack, static_argnames="connectivity")


def test_more_runs_than_are_visited_at_once(rng):
    labels = rng.random((2, 150, 140)) < 0.5
    assert module._find_runs(labels).start.size > component_kernel._TOGETHER
    images, counts, _ = sweep(labels, connectivity=1)
    for mask, image, count in zip(labels, images, counts, strict=True):
        expected, number = ndimage.label(mask)
        np.testing.assert_array_equal(image, expected)
        assert count == number


# Laws.


drawn_maps = arrays(np.int32, (6, 7), elements=st.integers(0, 3))


@given(labels=drawn_maps, seed=st.integers(0, 2**16))
def test_names_of_labels_do_not_matter(labels, seed):
    names = np.random.default_rng(seed).choice(2**31 - 1, 3, replace=False) + 1
    renamed = np.concatenate([[0], names])[labels]
    np.testing.assert_array_equal(components(renamed)[0], components(labels)[0])


@given(labels=drawn_maps)
def test_components_of_components_are_themselves(labels):
    image, count = components(labels)
    np.testing.assert_array_equal(components(image)[0], image)
    assert pieces(image)[1].tolist() == [1] * count


@given(labels=drawn_maps)
def test_axes_are_alike(labels):
    same = lambda x: x.astype(bool)[..., None, None] & (x[..., None, None] == x)
    for connectivity in (1, 2):
        image, turned = (components(x, connectivity=connectivity)[0] for x in (labels, labels.T))
        np.testing.assert_array_equal(same(image), same(turned.T))


@given(labels=drawn_maps)
def test_more_neighbours_join_more(labels):
    coarse, fine = (components(labels, connectivity=k)[0] for k in (2, 1))
    pairs = {(f, c) for f, c in zip(fine.flat, coarse.flat, strict=True)}
    assert len(pairs) == len({f for f, _ in pairs})


@given(labels=drawn_maps)
def test_device_and_host_agree(labels):
    image, count = device_components(labels, None)
    np.testing.assert_array_equal(image, components(labels)[0])
    assert count == components(labels)[1]
