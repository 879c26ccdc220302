"""Surfels: sizes by hand and by law, codes and distances by definition."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from segjax.ops import distance, morphology, surfaces
from segjax.ops.surfels import codes_at, element_sizes


FOLDER = Path(__file__).parent / "goldens"
ARRAYS = np.load(FOLDER / "goldens.npz")
SURFELS = [
    case
    for case in json.loads((FOLDER / "goldens.json").read_text())["cases"]
    if case["kind"] == "binary"
    and any("@surfel" in e["metric"] and not e.get("informative") for e in case["expected"])
]
SPACINGS = [(1.0, 1.0), (2.0, 0.7), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (2.0, 0.7, 1.1)]
spacings = pytest.mark.parametrize("spacing", SPACINGS, ids=str)


@pytest.fixture(params=["look-ups", "otherwise"])
def by(request, monkeypatch):
    """Both ways to measure: as if on a CPU, whose budget never or always runs out."""
    monkeypatch.setattr(surfaces, "counts_on_host", lambda: True)
    monkeypatch.setattr(surfaces, "_LEAST_BUDGET", 0)
    monkeypatch.setattr(surfaces, "_PATIENCE", np.inf if request.param == "look-ups" else 0.0)
    used, finish = [], surfaces._finish
    monkeypatch.setattr(surfaces, "_finish", lambda *x: used.append(1) or finish(*x))
    yield
    assert bool(used) == (request.param == "otherwise")


def surfel_distances(first, second, spacing):
    [sides] = surfaces.measure([surfaces.Pair(first, second)], spacing, "surfel")
    return sides


def voxels_of(code, dims):
    """The corners that a code has inside: bits from the left are corners in array order."""
    corners = itertools.product((0, 1), repeat=dims)
    return {c for c, bit in zip(corners, f"{code:0{2**dims}b}", strict=True) if bit == "1"}


def code_of(inside, dims):
    bits = ("01"[c in inside] for c in itertools.product((0, 1), repeat=dims))
    return int("".join(bits), 2)


def elements_by_definition(mask, spacing):
    """Positions and weights of the surfels of a mask, point by point."""
    inside = set(map(tuple, np.argwhere(mask).tolist()))
    positions, weights = [], []
    for point in itertools.product(*(range(n + 1) for n in mask.shape)):
        around = itertools.product(*((i - 1, i) for i in point))
        code = int("".join("01"[voxel in inside] for voxel in around), 2)
        if 0 < code < 2**2**mask.ndim - 1:
            positions.append(np.multiply(point, spacing))
            weights.append(element_sizes(spacing)[code])
    return np.reshape(positions, (-1, mask.ndim)), np.array(weights)


def assert_measures(first, second, spacing):
    elements = [elements_by_definition(x, spacing) for x in (first, second)]
    found = surfel_distances(first, second, spacing)
    for (distances, weights), one, other in zip(found, elements, elements[::-1], strict=True):
        expected = cKDTree(other[0]).query(one[0])[0] if len(other[0]) else np.inf
        assert distances.dtype == weights.dtype == np.float64
        assert distances.shape == weights.shape == one[1].shape
        np.testing.assert_allclose(distances, expected, rtol=1e-6)
        np.testing.assert_array_equal(weights, one[1])


def test_lengths_are_those_drawn_by_hand():
    # 3 down, 4 across. A corner is cut from (1.5, 0) to (0, 2): length 2.5.
    lengths = element_sizes((3.0, 4.0))
    assert lengths[0b0000] == lengths[0b1111] == 0
    assert lengths[0b0011] == lengths[0b1100] == 4  # inside below: a line across
    assert lengths[0b0101] == lengths[0b1010] == 3  # inside on the right: a line down
    assert lengths[0b0001] == lengths[0b1011] == 2.5
    assert lengths[0b0110] == lengths[0b1001] == 5  # two corners


def test_areas_are_those_drawn_by_hand():
    areas = element_sizes((2.0, 3.0, 6.0))
    # Flat: the whole cross-section, across the first, second and last axis.
    assert areas[0b00001111] == pytest.approx(3 * 6)
    assert areas[0b00110011] == pytest.approx(2 * 6)
    assert areas[0b01010101] == pytest.approx(2 * 3)
    # A corner: the triangle (1, 0, 0), (0, 1.5, 0), (0, 0, 3); twice its area is
    # |(1.5 * 3, 1 * 3, 1 * 1.5)|.
    triangle = math.hypot(4.5, 3, 1.5) / 2
    assert areas[0b00000001] == pytest.approx(triangle)
    assert areas[0b00011000] == pytest.approx(2 * triangle)  # opposite corners do not meet
    assert areas[0b01101001] == pytest.approx(4 * triangle)
    # An edge along the last axis: a rectangle of 6 by |(1, 1.5)|.
    assert areas[0b00000011] == pytest.approx(6 * math.hypot(1, 1.5))
    # Three corners about one: the regular hexagon, its vertices at a distance of sqrt(1/2).
    assert element_sizes((1.0, 1.0, 1.0))[0b11101000] == pytest.approx(0.75 * math.sqrt(3))


def test_an_l_of_three_corners_has_a_pentagon_of_largest_area():
    # Half of the flat cross-section, and beyond its diagonal half of the hexagon above.
    expected = 0.5 + 0.75 * math.sqrt(3) / 2
    assert element_sizes((1.0, 1.0, 1.0))[0b00000111] == pytest.approx(expected)


def test_an_isolated_pixel_is_a_diamond():
    (_, lengths), _ = surfel_distances(*[np.ones((1, 1), bool)] * 2, (3.0, 4.0))
    np.testing.assert_allclose(lengths, [2.5] * 4)


def test_an_isolated_voxel_is_an_octahedron():
    # Semi-axes 1, 1.5 and 3: eight triangles as above.
    (_, areas), _ = surfel_distances(*[np.ones((1, 1, 1), bool)] * 2, (2.0, 3.0, 6.0))
    np.testing.assert_allclose(areas, [math.hypot(4.5, 3, 1.5) / 2] * 8)


def test_a_box_has_flat_faces_bevelled_edges_and_cut_corners():
    n, (a, b, c) = np.array([3, 4, 5]), (2.0, 3.0, 6.0)
    sides = n - 1
    faces = 2 * (
        sides[1] * sides[2] * b * c + sides[0] * sides[2] * a * c + sides[0] * sides[1] * a * b
    )
    edges = 4 * (
        sides[0] * a * math.hypot(b, c) / 2
        + sides[1] * b * math.hypot(a, c) / 2
        + sides[2] * c * math.hypot(a, b) / 2
    )
    corners = 8 * math.hypot(b * c, a * c, a * b) / 8
    (_, areas), _ = surfel_distances(*[np.ones(n, bool)] * 2, (a, b, c))
    assert areas.sum() == pytest.approx(faces + edges + corners)


@spacings
def test_a_code_and_its_complement_have_the_same_size(spacing):
    sizes = element_sizes(spacing)
    np.testing.assert_allclose(sizes, sizes[::-1], rtol=1e-12)
    assert (sizes[1:-1] > 0).all()
    assert sizes[0] == sizes[-1] == 0


@spacings
def test_sizes_scale_with_spacing(spacing):
    scaled = element_sizes(tuple(3 * s for s in spacing))
    expected = element_sizes(spacing) * 3 ** (len(spacing) - 1)
    np.testing.assert_allclose(scaled, expected, rtol=1e-12)


@spacings
def test_sizes_turn_with_the_cell(spacing):
    dims = len(spacing)
    for order, flip in itertools.product(
        itertools.permutations(range(dims)), itertools.product((0, 1), repeat=dims)
    ):
        turned = element_sizes(tuple(spacing[i] for i in order))
        for code, size in enumerate(element_sizes(spacing)):
            moved = {tuple(c[i] ^ flip[i] for i in order) for c in voxels_of(code, dims)}
            assert turned[code_of(moved, dims)] == pytest.approx(size, rel=1e-12)


def test_a_cell_far_thinner_than_wide_is_seen_from_its_flat_side():
    # As one axis shrinks, areas tend to those of the shadow along it.
    sizes = element_sizes((1e-9, 1.0, 1.0))
    assert sizes[0b00001111] == pytest.approx(1)
    assert sizes[0b00000001] == pytest.approx(1 / 8)
    assert sizes[0b00110011] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("shape", [(6, 5), (3, 40), (4, 3, 5), (2, 6, 33)], ids=str)
@pytest.mark.parametrize("isotropic", [True, False])
def test_elements_and_distances_follow_the_definition(shape, isotropic, by, rng):
    for density in (0.05, 0.4, 0.9):
        first, second = rng.random((2, *shape)) < density
        spacing = (0.3,) * len(shape) if isotropic else (2.5, 0.7, 1.3)[: len(shape)]
        assert_measures(first, second, spacing)


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5)], ids=str)
def test_masks_that_bite_follow_the_definition(shape, by):
    full, empty = np.ones(shape, bool), np.zeros(shape, bool)
    first_voxel, last_voxel, thin, shell = (empty.copy() for _ in range(4))
    first_voxel.flat[0], last_voxel.flat[-1] = True, True
    thin[1], thin[:, 1] = True, True
    shell[0], shell[-1], shell[..., 0], shell[..., -1] = True, True, True, True
    masks = full, empty, first_voxel, last_voxel, thin, shell
    for first, second in itertools.product(masks, masks):
        assert_measures(first, second, (1.5, 1.0, 0.8)[: len(shape)])


@pytest.mark.parametrize("width", [30, 31, 32, 33, 63, 64])
def test_words_end_anywhere(width, by, rng):
    assert_measures(*rng.random((2, 3, width)) < 0.5, (1.0, 1.0))


def test_masks_may_be_views(rng):
    first, second = rng.random((2, 5, 7, 6)) < 0.5
    assert_measures(first.T, second.T, (1.0, 2.0, 3.0))
    assert_measures(first[::2, ::-1], second[::2, ::-1], (1.0, 2.0, 3.0))


def test_a_plane_of_a_volume_has_two_sides():
    plane = np.ones((1, 4, 4), bool)
    (_, areas), _ = surfel_distances(plane, plane, (1.0, 1.0, 1.0))
    assert areas.size == 2 * 5 * 5
    (_, lengths), _ = surfel_distances(plane[0], plane[0], (1.0, 1.0))
    assert lengths.size == 16


def test_where_masks_lie_in_the_image_does_not_matter(rng):
    first, second = rng.random((2, 6, 5)) < 0.5
    inner = surfel_distances(first, second, (1.0, 2.0))
    outer = surfel_distances(np.pad(first, 9), np.pad(second, 9), (1.0, 2.0))
    np.testing.assert_array_equal(inner[0], outer[0])
    np.testing.assert_array_equal(inner[1], outer[1])


def test_both_empty_have_no_elements():
    empty = np.zeros((6, 5), bool)
    for distances, weights in surfel_distances(empty, empty, (1.0, 1.0)):
        assert distances.size == weights.size == 0


def test_codes_follow_the_order_of_bits():
    # The first point has the only pixel as its last neighbour.
    for dims in (2, 3):
        words = np.zeros((2, 2, 1), np.uint32)
        words[0, 0, 0] = 1
        around = morphology.corners(words if dims == 3 else words[:1], dims)
        points = distance.points_on_host(morphology.mixed(around))
        np.testing.assert_array_equal(codes_at(around, points), 1 << np.arange(2**dims))


def test_an_object_longer_than_the_engine_says_so():
    line = np.ones((1, 16383), bool)
    assert surfel_distances(line, line, (1.0, 1.0))[0][0].size == 2 * 16384
    longer = np.ones((1, 16384), bool)
    with pytest.raises(ValueError, match="score the image in tiles"):
        surfel_distances(longer, longer, (1.0, 1.0))


def percentile(distances, weights, percent):
    """The smallest distance whose cumulated weight reaches the percentile."""
    order = np.argsort(distances)
    share = np.cumsum(weights[order]) / weights.sum()
    return distances[order][min(np.searchsorted(share, percent / 100), order.size - 1)]


def scores(reference, prediction, spacing, tolerance):
    (r, area_r), (p, area_p) = surfel_distances(reference, prediction, spacing)
    near_r, near_p = (d <= tolerance * (1 + 1e-6) for d in (r, p))
    means = (area_r @ r / area_r.sum(), area_p @ p / area_p.sum())
    area = area_r.sum() + area_p.sum()
    return {
        "hd@surfel": max(percentile(r, area_r, 100), percentile(p, area_p, 100)),
        "hd95@surfel": max(percentile(r, area_r, 95), percentile(p, area_p, 95)),
        "assd@surfel": (area_r @ r + area_p @ p) / area,
        "masd@surfel": sum(means) / 2,
        "asd_pred_to_gt@surfel": means[1],
        "nsd@surfel": (area_r @ near_r + area_p @ near_p) / area,
    }


@pytest.mark.parametrize("case", SURFELS, ids=lambda c: c["id"])
def test_scores_are_those_of_deepmind(case):
    masks = (ARRAYS[case["inputs"][k]] != 0 for k in ("gt", "pred"))
    spacing = tuple(map(float, case["params"]["spacing"]))
    found = scores(*masks, spacing, case["params"]["tau"])
    checked = 0
    for expected in case["expected"]:
        if expected["metric"] in found and not expected.get("informative"):
            np.testing.assert_allclose(
                found[expected["metric"]],
                float(expected["value"]),
                rtol=expected["rtol"],
                atol=expected["atol"],
                err_msg=expected["metric"],
            )
            checked += 1
    assert checked == len(found)
