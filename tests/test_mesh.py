"""The mesh: positions by definition, laws, and shapes whose truth is known."""

import itertools
import math

import jax
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.ops import mesh, surfaces
from segjax.ops.surfaces import Pair
from segjax.ops.surfels import element_sizes


SPACINGS = {2: [(1.0, 1.0), (2.0, 0.5)], 3: [(1.0, 1.0, 1.0), (3.0, 0.8, 1.1)]}
NAMES = ("hausdorff", "hausdorff(percentile=95)", "assd", "masd", "nsd(tolerance=1)")


def measured(first, second, spacing):
    [sides] = surfaces.measure([Pair(first, second)], spacing, "mesh")
    return sides


def gaussian(sigma):
    reach = max(1, round(3 * sigma))
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    return {k - reach: w / sum(weights) for k, w in enumerate(weights)}


def smoothed(values, spacing):
    """Voxel by voxel, of a dictionary; what is not in it is 0."""
    size = math.prod(spacing) ** (1 / len(spacing))
    for axis, length in enumerate(spacing):
        out = {}
        for place, value in values.items():
            for k, weight in gaussian(1.4 * size / length).items():
                there = (*place[:axis], place[axis] + k, *place[axis + 1 :])
                out[there] = out.get(there, 0) + weight * value
        values = out
    return values


def discs_by_definition(mask, spacing):
    """(centre, normal, radius, weight) of every element, from sums over voxels."""
    inside = {tuple(x) for x in np.argwhere(mask).tolist()}
    once = smoothed(dict.fromkeys(inside, 1.0), spacing)
    twice = smoothed(once, spacing)
    dims, discs = mask.ndim, []

    def contrast(voxel):
        strength = max(abs(2 * once.get(voxel, 0) - twice.get(voxel, 0) - 0.5), 0.05)
        return strength if voxel in inside else -strength

    for point in itertools.product(*(range(n + 1) for n in mask.shape)):
        around = list(itertools.product(*((i - 1, i) for i in point)))
        code = int("".join("01"[voxel in inside] for voxel in around), 2)
        if not 0 < code < 2 ** len(around) - 1:
            continue
        values = [contrast(voxel) for voxel in around]
        slope = np.zeros(dims)
        for voxel, value in zip(around, values, strict=True):
            slope += np.where(np.equal(voxel, point), value, -value)
        slope /= 2 ** (dims - 1) * np.array(spacing)
        moved = np.mean(values) * slope / (slope @ slope or 1) / spacing
        centre = (np.array(point) - 0.5 - np.clip(moved, -1, 1)) * spacing
        weight = element_sizes(spacing)[code]
        radius = weight / 2 if dims == 2 else math.sqrt(weight / math.pi)
        discs.append((centre, slope / (np.linalg.norm(slope) or 1), radius, weight))
    return discs


def distances_by_definition(discs, others):
    found = []
    for centre, *_ in discs:
        _, nearest = min((np.linalg.norm(centre - other[0]), k) for k, other in enumerate(others))
        there, normal, radius, _ = others[nearest]
        height = (centre - there) @ normal
        aside = math.sqrt(max(0, (centre - there) @ (centre - there) - height**2))
        found.append(math.hypot(height, max(0, aside - radius)))
    return np.array(found)


def shapes(shape, rng):
    grid = np.indices(shape) - np.reshape([n / 2 - 0.3 for n in shape], (-1, *[1] * len(shape)))
    ball = (grid**2).sum(0) < (min(shape) / 2.5) ** 2
    thin, noise, voxel = np.zeros(shape, bool), rng.random(shape) < 0.2, np.zeros(shape, bool)
    thin[1] = voxel[(1,) * len(shape)] = True
    return [ball, np.roll(ball, 1, 0), thin, noise, voxel, np.ones(shape, bool)]


@pytest.mark.parametrize("shape", [(9, 12), (6, 7, 5)], ids=str)
def test_elements_and_distances_follow_the_definition(shape, rng):
    for spacing in SPACINGS[len(shape)]:
        masks = shapes(shape, rng)
        discs = [discs_by_definition(mask, spacing) for mask in masks]
        for i, j in [(0, 1), (1, 2), (3, 0), (4, 3), (2, 5)]:
            found = measured(masks[i], masks[j], spacing)
            for side, one, other in zip(found, (i, j), (j, i), strict=True):
                np.testing.assert_allclose(side.weight, [d[3] for d in discs[one]])
                wanted = distances_by_definition(discs[one], discs[other])
                # Where two elements are equally near, rounding decides between them.
                off = ~np.isclose(side.distance, wanted, rtol=1e-4, atol=1e-4)
                assert off.mean() < 0.02


def test_equal_masks_are_at_no_distance(rng):
    for mask in [*shapes((9, 12), rng), *shapes((6, 7, 5), rng)]:
        there, back = measured(mask, mask, (1.0,) * mask.ndim)
        assert not there.distance.any()
        assert not back.distance.any()


def test_a_voxel_never_changes_sides(rng):
    for mask in shapes((6, 7, 5), rng):
        for spacing in SPACINGS[3]:
            contrast = mesh.contrast(mask, spacing)
            np.testing.assert_array_equal(contrast > 0, np.pad(mask, 1))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (2.0, 1.0, 1.0)], ids=str)
def test_concentric_spheres_are_as_far_apart_as_their_radii(spacing):
    size = math.prod(spacing) ** (1 / 3)
    grid = [s * (np.arange(round(34 * size / s)) - 17 * size / s + 0.2) for s in spacing]
    far = np.sqrt(sum(x**2 for x in np.meshgrid(*grid, indexing="ij")))
    scores = segjax.evaluate(
        reference=far < 12 * size,
        prediction=far < 14 * size,
        spacing=spacing,
        surface="mesh",
        metrics=["hd95", "assd", f"nsd@{1.75 * size}", f"nsd@{2.25 * size}"],
    )
    hd95, assd, below, beyond = scores.values()
    assert assd == pytest.approx(2 * size, abs=0.03 * size)
    assert hd95 == pytest.approx(2 * size, abs=0.3 * size)
    assert below < 0.03
    assert beyond > 0.95


@pytest.mark.parametrize("shape", [(9, 12), (6, 7, 5)], ids=str)
def test_masks_are_measured_under_jit_and_vmap_as_on_the_host(shape, rng):
    spacing = SPACINGS[len(shape)][1]
    masks = shapes(shape, rng)
    pairs = [(masks[0], masks[1]), (masks[1], masks[5]), (masks[2], masks[0] & False)]
    references, predictions = (np.stack(x) for x in zip(*pairs, strict=True))
    score = lambda r, p: segjax.evaluate(
        reference=r, prediction=p, metrics=NAMES, spacing=spacing, surface="mesh"
    )
    batched = jax.jit(jax.vmap(score))(references, predictions)
    for i, pair in enumerate(pairs):
        for name, wanted in score(*pair).items():
            np.testing.assert_allclose(batched[name][i], wanted, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("surface", ["voxel", "surfel", "mesh"])
def test_ignored_elements_weigh_nothing_under_jit_as_on_the_host(surface, rng):
    reference, prediction = np.zeros((2, 12, 30), bool)
    reference[2:10, 2:28], prediction[4:8, 6:24] = True, True
    valid = np.ones(reference.shape, bool)
    valid[:, 10:20] = False
    score = lambda r, p, v: segjax.evaluate(
        reference=r, prediction=p, valid=v, metrics=NAMES, surface=surface
    )
    host = score(reference, prediction, valid)
    for name, traced in jax.jit(score)(reference, prediction, valid).items():
        np.testing.assert_allclose(traced, host[name], rtol=1e-4, err_msg=name)
    whole = score(reference, prediction, None)
    assert host["assd"] != whole["assd"]
    # No boundary is invented at the stripe: all that is kept stays as far away as it was.
    assert host["hausdorff"] == pytest.approx(whole["hausdorff"])
    assert np.isnan(score(reference, prediction, valid & False)["assd"])


def test_scaling_the_spacing_scales_distances(rng):
    first, second = shapes((9, 12), rng)[:2]
    one, five = (measured(first, second, (u, 2 * u)) for u in (1.0, 5.0))
    for a, b in zip(one, five, strict=True):
        np.testing.assert_allclose(b.distance, 5 * a.distance, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("surface", ["surfel", "mesh"])
def test_every_surface_lowers_for_accelerators(platform, surface):
    masks = jax.ShapeDtypeStruct((2, 12, 20, 40), np.bool_)

    def score(r, p):
        one = lambda r, p: segjax.assd(reference=r, prediction=p, surface=surface)
        return jax.vmap(one)(r, p)

    exported = jax.export.export(jax.jit(score), platforms=[platform])(masks, masks)
    assert exported.platforms == (platform,)


def test_an_unknown_surface_is_refused_while_tracing_too():
    mask = np.ones((3, 3), bool)
    with pytest.raises(InputError, match="surface must be one of voxel, surfel, mesh"):
        segjax.assd(reference=mask, prediction=mask, surface="skin")
    with pytest.raises(InputError, match="surface must be one of voxel, surfel, mesh"):
        jax.jit(lambda r: segjax.assd(reference=r, prediction=r, surface="skin"))(mask)
