import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import segjax
from segjax import InputError
from segjax.case import make_case
from segjax.metrics import boundary
from segjax.ops import distance, surfaces
from segjax.ops.surfaces import Pair
from segjax.statistics import (
    PointDistances,
    Surface,
    SurfaceDistances,
    measure_surfaces,
    surface_distances,
)
from tests.images import corner_cases, label_maps, masks
from tests.reference import boundary as definition


SPACINGS = {2: [(1, 1), (2.0, 0.5), (0.3, 0.3)], 3: [(1, 1, 1), (3.0, 0.8, 1.1)]}
NAMES = (
    "hausdorff",
    "hausdorff(percentile=95)",
    "hausdorff(percentile=95, pooled=True)",
    "hausdorff(percentile=0)",
    "assd",
    "masd",
    "asd",
    "asd(direction=reference)",
    "mhd",
    "nemhd(tau=2)",
    "nsd",
    "nsd(tolerance=0)",
    "nsd(tolerance=2.5)",
)


def expected(name, r, p):
    metric = segjax.get_metric(name)
    return getattr(definition, metric.function.__name__)(r, p, **dict(metric.options))


def check(reference, prediction, spacing):
    scores = segjax.evaluate(
        reference=reference, prediction=prediction, spacing=spacing, metrics=NAMES
    )
    sides = definition.both(reference, prediction, np.array(spacing, float))
    for name, score in zip(NAMES, scores.values(), strict=True):
        np.testing.assert_allclose(score, expected(name, *sides), rtol=1e-6, err_msg=name)


def odd_masks(shape):
    """Masks whose surface is unlike that of a blob."""
    full = np.ones(shape, bool)
    hollow = full.copy()
    hollow[tuple(slice(1, -1) for _ in shape)] = False
    thin, corner, stripes = (np.zeros(shape, bool) for _ in range(3))
    thin[1] = True
    corner[(0,) * len(shape)] = corner[(-1,) * len(shape)] = True
    stripes[..., ::3] = True
    return [full, hollow, thin, corner, stripes]


@pytest.mark.parametrize("shape", [(9, 13), (6, 40), (5, 6, 7)])
def test_random_masks_match_the_definition(shape, rng):
    for spacing in SPACINGS[len(shape)]:
        for share in (0.02, 0.3, 0.9):
            reference, prediction = rng.random((2, *shape)) < share
            check(reference, prediction, spacing)


@pytest.mark.parametrize("shape", [(9, 13), (5, 6, 7)])
def test_odd_masks_match_the_definition(shape):
    odd = odd_masks(shape)
    for i, reference in enumerate(odd):
        check(reference, odd[(i + 1) % len(odd)], SPACINGS[len(shape)][1])


@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases())
def test_empty_and_full_masks_match_the_definition(name, reference, prediction):
    check(reference, prediction, (1.0, 1.0))


@pytest.mark.parametrize("shape", [(9, 13), (5, 6, 7)])
def test_average_hausdorff_looks_at_every_voxel(shape, rng):
    for spacing in SPACINGS[len(shape)]:
        for share in (0, 0.05, 0.5):
            reference, prediction = rng.random((2, *shape)) < (share, 0.3)[share > 0.2]
            score = segjax.average_hausdorff(
                reference=reference, prediction=prediction, spacing=spacing
            )
            wanted = definition.average_hausdorff(reference, prediction, spacing)
            np.testing.assert_allclose(score, wanted, rtol=1e-6)


def measured(reference, prediction, spacing):
    [(there, back)] = surfaces.measure([Pair(reference, prediction)], spacing, "voxel")
    return there.distance, back.distance


def by_scipy(reference, prediction, spacing):
    on_surface = [x & ~ndimage.binary_erosion(x) for x in (reference, prediction)]
    far = [ndimage.distance_transform_edt(~x, sampling=spacing) for x in on_surface]
    return far[1][on_surface[0]], far[0][on_surface[1]]


def blobs(rng, shape):
    return [ndimage.gaussian_filter(rng.normal(size=shape), 2) > 0.2 for _ in range(2)]


def assert_close(got, wanted, rtol=1e-12):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)


def test_squared_distances_are_exact_integers(rng):
    for shape in [(70, 300), (20, 30, 70)]:
        for unit in (1.0, 0.3):
            spacing = (unit,) * len(shape)
            reference, prediction = blobs(rng, shape)
            got = measured(reference, prediction, spacing)
            wanted = by_scipy(reference, prediction, spacing)
            for a, b in zip(got, wanted, strict=True):
                whole = np.rint((b / unit) ** 2)
                np.testing.assert_array_equal(a, unit * np.sqrt(whole))


@pytest.mark.parametrize("spacing", [(0.1, 5.0, 0.7), (5.0, 0.1, 3.3)])
def test_anisotropic_distances_are_those_of_float64(spacing, rng):
    reference, prediction = rng.random((2, 9, 11, 200)) < 0.01
    wanted = by_scipy(reference, prediction, spacing)
    assert_close(measured(reference, prediction, spacing), wanted, rtol=1e-6)


def test_a_volume_of_one_plane_is_all_surface():
    # Above and below it lies the outside of the image.
    reference, prediction = np.zeros((2, 3, 9, 9), bool)
    reference[1, 1:8, 1:8] = prediction[1, 3:6, 3:6] = True
    got = measured(reference, prediction, (1.0, 1.0, 1.0))
    assert [x.size for x in got] == [49, 9]
    assert_close(got, by_scipy(reference, prediction, (1.0, 1.0, 1.0)))


@pytest.mark.parametrize("kind", ["voxel", "surfel", "solid"])
def test_pairs_measured_together_do_not_see_each_other(kind, rng):
    for spacing in [(1.0, 1.0), (2.0, 0.5), (1.0, 1.0, 1.0), (3.0, 0.8, 1.1)]:
        pairs = []
        for n in (3, 7, 12, 20):
            shape = (n, *rng.integers(3, 40, len(spacing) - 1))
            pairs += [Pair(*rng.random((2, *shape)) < share) for share in (0.02, 0.5)]
            pairs.append(Pair(np.ones(shape, bool), np.zeros(shape, bool)))
        together = surfaces.measure(pairs, spacing, kind)
        alone = [surfaces.measure([pair], spacing, kind)[0] for pair in pairs]
        for one, other in zip(together, alone, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a.distance, b.distance)
                np.testing.assert_array_equal(a.weight, b.weight)


def test_lists_of_rows_grow_until_every_point_is_settled(rng, monkeypatch):
    monkeypatch.setattr(surfaces, "_FEWEST_ROWS", 16)
    monkeypatch.setattr(surfaces, "_MORE_ROWS", 2)
    for spacing in [(1.0, 1.0, 1.0), (3.0, 0.8, 1.1)]:
        reference, prediction = rng.random((2, 12, 30, 40)) < (0.3, 0.001)[rng.integers(2)]
        reference[:6], prediction[6:] = False, False
        got = measured(reference, prediction, spacing)
        assert_close(got, by_scipy(reference, prediction, spacing), rtol=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 0.7)])
@pytest.mark.parametrize("sites", [1, 60])
def test_many_points_far_away_are_measured_otherwise(spacing, sites, monkeypatch):
    reference, prediction = np.zeros((2, 90, 120), bool)
    reference[::3] = True
    prediction[0, :sites] = True
    used, finish = [], surfaces._finish
    monkeypatch.setattr(surfaces, "_finish", lambda *x: used.append(1) or finish(*x))
    monkeypatch.setattr(surfaces, "counts_on_host", lambda: True)
    monkeypatch.setattr(surfaces, "_PATIENCE", 0.0)
    monkeypatch.setattr(surfaces, "_LEAST_BUDGET", 0)
    got = measured(reference, prediction, spacing)
    assert used
    assert_close(got, by_scipy(reference, prediction, spacing), rtol=1e-6)


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0), (3.0, 0.5)])
@pytest.mark.parametrize("extent", [(1, 40), (9, 9), (3, 200), (60, 60)])
def test_lists_of_rows_are_complete_up_to_their_last_distance(spacing, extent):
    if spacing is not None and extent[0] == 1:
        spacing = (1.0, spacing[1])
    rows = distance.rows_by_distance(*extent, spacing, 256)
    scale = (1, 1) if spacing is None else spacing
    listed = [(z, y) for z, y in rows.offset.tolist() if z < 1 << 20]
    assert len(set(listed)) == len(listed)
    assert (rows.squared[1:] >= rows.squared[:-1]).all()
    for (z, y), squared in zip(rows.offset.tolist(), rows.squared, strict=False):
        if z < 1 << 20:
            assert squared == pytest.approx((z * scale[0]) ** 2 + (y * scale[1]) ** 2)
    for z in range(1 - extent[0], extent[0]):
        for y in range(1 - extent[1], extent[1]):
            near = (z * scale[0]) ** 2 + (y * scale[1]) ** 2 < rows.squared[-1] * (1 - 1e-6)
            assert (z, y) in listed or not near


def test_objects_too_long_for_the_tables_are_refused():
    longest = np.ones((1, distance.MOST_COLUMNS), bool)
    assert segjax.hausdorff(reference=longest, prediction=longest) == 0
    long = np.ones((2, distance.MOST_COLUMNS + 1), bool)
    with pytest.raises(InputError, match="score the image in tiles"):
        segjax.hausdorff(reference=long, prediction=long)


def test_images_of_one_or_four_axes_are_refused():
    for shape in [(5,), (2, 2, 2, 2)]:
        mask = np.ones(shape, bool)
        with pytest.raises(InputError, match="2-D or 3-D"):
            segjax.hausdorff(reference=mask, prediction=mask)


def test_a_cube_and_its_shift_by_hand():
    cube = np.zeros((9, 9), bool)
    cube[2:5, 2:5] = True
    moved = np.roll(cube, 2, axis=1)
    scores = segjax.evaluate(
        reference=cube, prediction=moved, spacing=(1, 3), metrics=["hd", "asd", "nsd@3mm"]
    )
    # Of the 8 surface voxels of a 3 x 3 square, shifted by 2 voxels of 3 mm: the far column is
    # 6 mm off, the next 3 (its middle is inside), the last lies on the surface.
    assert scores["hausdorff"] == 6
    assert scores["asd"] == pytest.approx((3 * 6 + 2 * 3 + 3 * 0) / 8)
    assert scores["nsd(tolerance=3)"] == pytest.approx(5 / 8)


def test_each_label_has_its_own_surfaces(rng):
    reference, prediction = label_maps(rng, (12, 14), labels=(0, 1, 4))
    scores = segjax.evaluate(
        reference=reference, prediction=prediction, metrics=["hd95", "dice"], labels=(4, 1, 9)
    )["hausdorff(percentile=95)"]
    for label, score in zip((4, 1, 9), scores, strict=True):
        alone = segjax.hausdorff(
            reference=reference == label, prediction=prediction == label, percentile=95
        )
        np.testing.assert_array_equal(score, alone)


def test_ignored_regions_drop_elements_and_invent_none():
    reference, prediction = np.zeros((2, 20, 30), np.uint8)
    reference[2:18, 2:28] = 1
    prediction[6:14, 6:24] = 1
    marked = reference.copy()
    marked[:, 10:20] = 255
    valid = marked != 255
    d = measure_surfaces(
        make_case(reference=reference, prediction=prediction, labels=[1], valid=valid)
    )
    kept = lambda s: s.distance[0][s.weight[0] > 0]
    assert kept(d.reference).min() == 4  # nothing is near: the stripe has made no boundary
    whole = measure_surfaces(make_case(reference=reference, prediction=prediction, labels=[1]))
    assert kept(d.reference).size < kept(whole.reference).size


def test_scaling_the_spacing_scales_distances_and_tolerances(rng):
    reference, prediction = masks(rng, (12, 14))
    score = lambda name, spacing: segjax.evaluate(
        reference=reference, prediction=prediction, metrics=[name], spacing=spacing
    )
    for name in ("hd95", "assd", "masd", "mhd"):
        (one,), (five,) = score(name, (1, 2)).values(), score(name, (5, 10)).values()
        assert five == pytest.approx(5 * one, rel=1e-6)
    (one,), (five,) = score("nsd@2", (1, 2)).values(), score("nsd@10", (5, 10)).values()
    assert one == five


def test_exchanging_the_images_changes_only_directed_scores(rng):
    reference, prediction = masks(rng, (12, 14))
    for name in ("hd", "hd95", "assd", "masd", "mhd", "nsd"):
        one = segjax.evaluate(reference=reference, prediction=prediction, metrics=[name])
        other = segjax.evaluate(reference=prediction, prediction=reference, metrics=[name])
        assert one == pytest.approx(other)


# Weights, and arrays under jit.


def random_distances(rng, n, weighted):
    sides = []
    for _ in range(2):
        weight = rng.random(n) if weighted else np.ones(n)
        weight[rng.random(n) < 0.3] = 0
        sides.append(Surface(rng.gamma(2, 3, n).astype(np.float32).astype(float), weight))
    return SurfaceDistances(*sides)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("percentile", [0.0, 50.0, 95.0, 97.5, 100.0])
def test_percentiles_under_jit_are_those_of_numpy(weighted, percentile, rng):
    for n in (1, 2, 7, 100):
        d = random_distances(rng, n, weighted)
        score = lambda d: boundary.hausdorff(d, percentile=percentile)
        on_device = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), d)
        np.testing.assert_allclose(jax.jit(score)(on_device), score(d), rtol=1e-5)


def test_weighted_percentile_is_the_first_to_reach_the_share():
    one = Surface(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.3, 0.2]))
    d = SurfaceDistances(one, one)
    scores = [float(boundary.hausdorff(d, percentile=q)) for q in (50.0, 51.0, 80.0, 81.0)]
    assert scores == [1, 2, 2, 3]


@pytest.mark.parametrize("shape", [(9, 40), (5, 6, 7)])
def test_masks_are_measured_under_jit_and_vmap(shape, rng):
    spacing = SPACINGS[len(shape)][1]
    references, predictions = rng.random((2, 3, *shape)) < 0.2
    references[2] = False

    @jax.jit
    @jax.vmap
    def score(r, p):
        d = surface_distances(reference=r, prediction=p, spacing=spacing)
        return boundary.hausdorff(d, percentile=95), boundary.assd(d), boundary.nsd(d)

    batched = score(references, predictions)
    names = ("hd95", "assd", "nsd")
    for i in range(3):
        host = segjax.evaluate(
            reference=references[i], prediction=predictions[i], metrics=names, spacing=spacing
        )
        for got, wanted in zip(batched, host.values(), strict=True):
            np.testing.assert_allclose(got[i], wanted, rtol=1e-5)


def test_too_small_a_capacity_is_never_silent(rng):
    reference, prediction = (jnp.asarray(x) for x in rng.random((2, 20, 20)) < 0.5)
    d = surface_distances(reference=reference, prediction=prediction, capacity=16)
    assert np.isnan(boundary.hausdorff(d))
    assert np.isnan(boundary.assd(d))


def test_gradients_of_distances_are_finite():
    d = random_distances(np.random.default_rng(0), 20, weighted=True)
    d = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), d)
    sides = (d.reference, d.prediction)
    for metric in (
        m for m in boundary.METRICS if m.statistic in (SurfaceDistances, PointDistances)
    ):
        for leaf in jax.tree.leaves(jax.grad(lambda d, m=metric: m(m.statistic(*d)).sum())(sides)):
            assert np.isfinite(leaf).all(), metric.name


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_the_engine_lowers_for_accelerators(platform):
    masks = jax.ShapeDtypeStruct((2, 64, 96), jnp.bool_)

    def score(r, p):
        one = lambda r, p: segjax.hausdorff(reference=r, prediction=p, percentile=95)
        return jax.vmap(one)(r, p)

    exported = jax.export.export(jax.jit(score), platforms=[platform])(masks, masks)
    assert exported.platforms == (platform,)


def test_lengths_may_follow_an_at_sign():
    for text in ("nsd@2mm", "NSD @ 2", "surface Dice@2.0 mm", "nsd(tolerance=2)"):
        assert segjax.get_metric(text).name == "nsd(tolerance=2)"
    with pytest.raises(InputError, match="has no option 'tolerance'"):
        segjax.get_metric("dice@2mm")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hausdorff(percentile=101)", "percentile must be"),
        ("nsd(tolerance=-1)", "tolerance must not be negative"),
        ("nemhd(tau=0)", "tau must be positive"),
        ("asd(direction=up)", "direction must be"),
    ],
)
def test_wrong_options_say_what_is_right(name, says):
    mask = np.ones((3, 3), bool)
    with pytest.raises(InputError, match=says):
        segjax.evaluate(reference=mask, prediction=mask, metrics=[name])


def test_missed_objects_cost_the_diagonal_of_the_image():
    reference, prediction = np.zeros((2, 2, 6, 8), bool)
    reference[:, 1:3, 1:3] = True
    prediction[0] = reference[0]
    table = segjax.evaluate_batch(
        references=reference, predictions=prediction, metrics=["hd95", "nsd"], spacing=(1.0, 1.0)
    )
    column = next(c for c in table.columns if c.metric.startswith("haus"))
    assert table.columns[column].tolist() == [0, np.inf]
    assert table.resolved(column).tolist() == [0, 10]  # sqrt(6^2 + 8^2)
    assert table.resolved(column, missing="worst").tolist() == [0, np.inf]
    assert np.isnan(table.resolved(column, missing="omit")[1])


def many_pairs(rng, dims):
    """Pairs of every kind: noise, blobs, hollow, thin, single voxels, touching the border."""
    for i in range(60):
        shape = tuple(rng.integers(1, 26 if dims == 2 else 11, dims).tolist())
        empty = np.zeros(shape, bool)
        voxel, rim, full, thin = (empty.copy() for _ in range(4))
        voxel[tuple(rng.integers(0, n) for n in shape)] = True
        rim[...], full[...] = True, True
        rim[tuple(slice(1, -1) for _ in shape)] = False
        thin[
            tuple(rng.integers(0, n) if a == i % dims else slice(None) for a, n in enumerate(shape))
        ] = True
        noise = rng.random(shape) < rng.choice([0.02, 0.2, 0.5, 0.9])
        blob = ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0.05
        kinds = [voxel, rim, full, thin, noise, blob]
        first, second = rng.choice(6, 2, replace=False)
        for a, b in ((kinds[first], kinds[second]), (noise, blob)):
            if a.any() and b.any():
                yield Pair(a, b)


@pytest.mark.parametrize("dims", [2, 3])
def test_hundreds_of_pairs_agree_with_comparing_all_with_all(dims, rng):
    pairs = list(many_pairs(rng, dims))
    assert len(pairs) > 90
    for spacing in [(1.0, 1.0, 1.0), (2.5, 0.7, 1.3), (0.1, 5.0, 0.4)]:
        sizes = np.array(spacing[:dims])
        for pair, found in zip(
            pairs, surfaces.measure(pairs, spacing[:dims], "voxel"), strict=True
        ):
            here, there = (
                np.argwhere(x & ~ndimage.binary_erosion(x)).astype(float) for x in pair[:2]
            )
            apart = (((here[:, None] - there[None]) * sizes) ** 2).sum(-1)
            for side, squared in zip(found, (apart.min(1), apart.min(0)), strict=True):
                if len(set(sizes)) == 1:
                    np.testing.assert_array_equal(np.rint(side.distance**2), squared)
                np.testing.assert_allclose(side.distance, np.sqrt(squared), rtol=1e-6)


def test_distances_across_large_anisotropic_images_are_those_of_float64(rng):
    from scipy.spatial import KDTree

    reference, prediction = rng.random((2, 40, 512, 512)) < 2e-5
    for spacing in [(0.1, 5.0, 0.7), (5.0, 0.31, 0.1)]:
        here, there = (np.argwhere(x) * spacing for x in (reference, prediction))
        wanted = KDTree(there).query(here)[0], KDTree(here).query(there)[0]
        assert_close(measured(reference, prediction, spacing), wanted, rtol=1e-6)


def test_gradients_reach_what_decides_and_nothing_else():
    side = lambda *d: Surface(jnp.array(d), jnp.ones(len(d)))
    d = SurfaceDistances(side(1.0, 4.0, 2.0), side(3.0, 0.5))
    slope = jax.grad(boundary.hausdorff)(d)
    assert slope.reference.distance.tolist() == [0, 1, 0]
    assert slope.prediction.distance.tolist() == [0, 0]
    slope = jax.grad(boundary.assd)(d)
    np.testing.assert_allclose(slope.reference.distance, 1 / 5)
    absent = SurfaceDistances(*[Surface(jnp.zeros(3), jnp.zeros(3))] * 2)
    for metric in (boundary.hausdorff, boundary.assd, boundary.masd, boundary.nsd, boundary.mhd):
        assert np.isnan(metric(absent))
        assert not any(np.any(x) for x in jax.tree.leaves(jax.grad(metric)(absent)))


@pytest.mark.parametrize("surface", ["voxel", "surfel", "mesh"])
def test_masks_of_thresholded_logits_have_zero_gradient(surface, rng):
    reference, logits = rng.random((9, 11)) < 0.4, rng.normal(size=(9, 11)).astype(np.float32)

    def loss(q):
        score = segjax.hausdorff(reference=reference, prediction=q > 0, surface=surface)
        return score + (q**2).sum()

    np.testing.assert_allclose(jax.grad(loss)(logits), 2 * logits, rtol=1e-6)


def test_the_search_of_the_host_lowers_for_accelerators():
    table = distance.make_table(np.ones((4, 8, 2), np.uint32))
    points = distance.Points(*np.zeros((2, 4096), np.int32))
    rows = distance.rows_by_distance(4, 8, (1.0, 2.0), 64)

    def leaves(table, points, squared):
        grid = distance.Grid(4, 8, 2)
        found = distance.search(
            distance.Table(*table), distance.Points(*points), 4096, squared, grid, rows,
            np.float32(1), 0, np.float32(np.inf), together=2**30,
        )  # fmt: skip
        return list(found)

    arguments = (tuple(table), tuple(points), np.zeros(4096, np.float32))
    for platform in ("cuda", "tpu"):
        exported = jax.export.export(jax.jit(leaves), platforms=[platform])(*arguments)
        assert exported.platforms == (platform,)
