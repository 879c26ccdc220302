from dataclasses import replace
from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import interpolate, ndimage

from segjax import InputError
from segjax.simulation import _fields, perturbations
from segjax.simulation._label_tools import morphed
from segjax.simulation.pairs import Pairs, make_pair
from segjax.simulation.perturbations import (
    PAPER,
    PAPER_VOLUME,
    WIDE,
    Follow,
    Morphology,
    Perturbations,
    Warp,
    most_labels,
    perturb,
)
from segjax.simulation.phantoms import VOLUME, Nuclei, simulate


OBJECTS = 8
NUCLEI = Nuclei(shape=(64, 64), objects=OBJECTS, count=(2.0, 8.0))
BLOCK = np.ones((3, 3), bool)


@pytest.fixture(scope="module")
def phantoms():
    keys = jax.random.split(jax.random.key(1), 12)
    return jax.jit(jax.vmap(partial(simulate, nuclei=NUCLEI)))(keys)


@partial(jax.jit, static_argnames="how")
def perturb_all(keys, labels, images, how):
    apply = partial(perturb, how=how, objects=OBJECTS)
    return jax.vmap(apply)(keys, labels, images)


def over(step, labels, images, amount, most=OBJECTS, seed=3):
    keys = jax.random.split(jax.random.key(seed), len(labels))
    return jax.jit(jax.vmap(lambda k, l, i: step(k, l, i, amount, most=most)))(keys, labels, images)


def keys_of(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def test_labels_stay_in_range_and_in_one_piece(phantoms):
    how = replace(WIDE, untouched=0.0)
    for seed in range(3):
        made = np.asarray(perturb_all(keys_of(12, seed), phantoms.labels, phantoms.image, how))
        assert made.dtype == np.int32
        assert made.min() >= 0
        assert made.max() <= most_labels(OBJECTS)
        for labels in made:
            for label in np.unique(labels[labels > 0]):
                assert ndimage.label(labels == label, BLOCK)[1] == 1


def test_the_same_key_gives_the_same_labels_alone_and_in_a_batch(phantoms):
    together = perturb_all(keys_of(12), phantoms.labels, phantoms.image, WIDE)
    alone = perturb_all(keys_of(12)[4:5], phantoms.labels[4:5], phantoms.image[4:5], WIDE)
    np.testing.assert_array_equal(together[4], alone[0])
    other = perturb_all(keys_of(12, 9), phantoms.labels, phantoms.image, WIDE)
    assert np.any(together != other)


def test_untouched_is_the_truth(phantoms):
    how = replace(WIDE, untouched=1.0)
    made = perturb_all(keys_of(12), phantoms.labels, phantoms.image, how)
    np.testing.assert_array_equal(made, phantoms.labels)


def test_nothing_is_made_of_an_empty_image():
    nothing = jnp.zeros((12, 64, 64), jnp.int32)
    how = replace(WIDE, spurious=0.0, follows_image=0.0)
    made = perturb_all(keys_of(12), nothing, nothing.astype(jnp.float32), how)
    assert not np.any(made)


@pytest.mark.parametrize(
    ("phases", "twin"),
    [
        ((0, 0), lambda m, b: m),
        ((-1, 0), lambda m, b: ndimage.binary_erosion(m, b, border_value=1)),
        ((1, 0), ndimage.binary_dilation),
        ((-1, 1), lambda m, b: ndimage.binary_dilation(
            ndimage.binary_erosion(m, b, border_value=1), b)),
        ((1, -1), lambda m, b: ndimage.binary_erosion(
            ndimage.binary_dilation(m, b), b, border_value=1)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("radius", [1, 3])
def test_morphology_equals_scipy(phantoms, phases, twin, radius):
    table = lambda value: jnp.full(OBJECTS + 1, value)
    apply = jax.jit(partial(morphed, steps=4))
    for labels in np.asarray(phantoms.labels[:4]):
        for label in np.unique(labels[labels > 0])[:2]:
            mask = labels == label
            made = apply(
                jnp.asarray(mask * label, jnp.uint8), tuple(map(table, phases)), table(radius)
            )
            expected = twin(mask, np.ones((2 * radius + 1,) * 2, bool))
            np.testing.assert_array_equal(made, expected * label)


def test_growing_objects_do_not_eat_others(phantoms):
    all_ = lambda value: jnp.full(OBJECTS + 1, value)
    grown = jax.jit(jax.vmap(lambda x: morphed(x, (all_(1), all_(0)), all_(3), steps=3)))
    before = np.asarray(phantoms.labels)
    made = np.asarray(grown(phantoms.labels))
    np.testing.assert_array_equal(made[before > 0], before[before > 0])
    assert np.all((made > 0)[ndimage.binary_dilation(before > 0, np.ones((1, 7, 7), bool))])


def test_only_some_objects_change_if_they_change_one_by_one(phantoms):
    made = over(perturbations.morph, phantoms.labels, phantoms.image, Morphology(6.0, False, 6))
    share = lambda made: np.mean(
        [
            np.array_equal(new == label, old == label)
            for old, new in zip(np.asarray(phantoms.labels), np.asarray(made), strict=True)
            for label in np.unique(old[old > 0])
        ]
    )
    assert 0.05 < share(made) < 0.6  # one state in five is the identity
    none = over(perturbations.morph, phantoms.labels, phantoms.image, Morphology(0.0, False, 6))
    assert share(none) == 1


@pytest.mark.parametrize(("rms", "width"), [(0.0, 6.0), (1.1, 6.0), (2.2, 19.0)])
def test_warp_moves_by_the_root_mean_square_asked_for(rms, width):
    place = np.broadcast_to(np.arange(64, dtype=np.int32), (200, 64, 64))
    made = over(perturbations.warp, place, place.astype(np.float32), Warp(rms, width, 6.0))
    moved = np.asarray(made - place)[:, 16:-16, 16:-16].astype(float)
    # Rounding to whole voxels adds the variance of an even error, but for no warp at all.
    expected = np.sqrt(rms**2 + (1 / 12 if rms else 0.0))
    assert np.sqrt((moved**2).mean()) == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("shape", [(40, 50), (12, 40, 40)])
def test_bending_follows_a_cubic_spline(shape):
    key = jax.random.key(2)
    far = (1.0, 4.0, 4.0)[-len(shape) :]
    for axis, place in enumerate(np.indices(shape, np.int32)):
        place = jnp.asarray(place)
        bend = lambda amount, place=place: perturbations.bend(
            key, place, place.astype(float), amount, most=50
        )
        np.testing.assert_array_equal(bend(0.0), place)
        moved = np.abs(np.asarray(bend(4.0) - place))
        # A spline stays within its control points.
        assert 0.3 * far[axis] < moved.max() <= far[axis] + 0.5
    control = np.asarray(jax.random.uniform(key, (len(shape), *(8,) * len(shape)), minval=-1.0))[0]
    spline = interpolate.BSpline(np.arange(-3.0, 9.0), np.eye(8), 3)
    for axis, n in enumerate(shape):
        basis = spline(np.linspace(0, 5, n))
        control = np.moveaxis(np.tensordot(basis, control, (1, axis)), 0, axis)
    field = _fields.spline_field(key, shape, 8)[0]
    np.testing.assert_allclose(field, control, atol=1e-5)


def test_merging_joins_what_touches_and_nothing_else(phantoms):
    before = np.asarray(phantoms.labels)
    made = np.asarray(over(perturbations.merge, phantoms.labels, phantoms.image, 1.0))
    np.testing.assert_array_equal(
        over(perturbations.merge, phantoms.labels, phantoms.image, 0.0), before
    )
    merged = 0
    for old, new in zip(before, made, strict=True):
        assert np.all((new > 0) | (old == 0))
        # Pixels between two objects are filled only if these are one now.
        groups = [set(np.unique(old[new == n])) - {0} for n in np.unique(new[new > 0])]
        assert sorted(x for g in groups for x in g) == sorted(set(np.unique(old)) - {0})
        merged += sum(len(g) > 1 for g in groups)
        for group in groups:
            near = ndimage.binary_dilation(np.isin(old, list(group)), BLOCK, iterations=1)
            assert len(group) == 1 or ndimage.label(near, BLOCK)[1] == 1
    assert merged > 3


def test_splitting_cuts_each_object_in_two(phantoms):
    before = np.asarray(phantoms.labels)
    made = np.asarray(over(perturbations.split, phantoms.labels, phantoms.image, 1.0))
    assert made.max() <= 2 * OBJECTS
    cut = 0
    for old, new in zip(before, made, strict=True):
        origin = np.where(new > OBJECTS, new - OBJECTS, new)
        assert np.all((origin == old) | (new == 0))
        assert (new == 0).sum() - (old == 0).sum() <= 0.5 * (old > 0).sum()
        cut += len(np.unique(new[new > OBJECTS]))
    assert cut >= 0.8 * sum(len(np.unique(old)) - 1 for old in before)
    np.testing.assert_array_equal(
        over(perturbations.split, phantoms.labels, phantoms.image, 0.0), before
    )


def test_fragments_fall_to_the_nearest_of_the_seeds(phantoms):
    before = np.asarray(phantoms.labels)
    broken = lambda share, seeds: np.asarray(
        over(
            perturbations.fragment,
            phantoms.labels,
            phantoms.image,
            perturbations.Fragments(share, seeds),
        )
    )
    made = broken(1.0, 64.0)
    np.testing.assert_array_equal(made % (OBJECTS + 1), before)
    seed = made // (OBJECTS + 1)
    assert seed[before == 0].max() == 0
    # What is nearest to a seed is convex: between two voxels of a piece of a row are none else.
    pieces = 0
    for old, new in zip(before, seed, strict=True):
        for row, near in zip(old, new, strict=True):
            runs = near[row > 0]
            assert (np.diff(runs) != 0).sum() == len(np.unique(runs)) - (runs.size > 0)
        pieces += len(np.unique(new[old > 0]))
    assert pieces > 10 * len(before)
    assert len(np.unique(broken(1.0, 4.0))) < len(np.unique(made))
    np.testing.assert_array_equal(broken(0.0, 64.0), before)
    some = broken(0.5, 64.0)
    assert 0.2 < ((some == before) & (before > 0)).sum() / (before > 0).sum() < 0.8


def test_removal_misses_the_share_asked_for():
    one_each = np.broadcast_to(np.arange(65).reshape(5, 13), (300, 5, 13))
    made = over(perturbations.remove, one_each, one_each.astype(float), 0.3, most=64)
    assert (np.asarray(made) > 0).mean() == pytest.approx(0.7 * 64 / 65, abs=0.015)


def test_dim_objects_are_missed_first(phantoms):
    made = np.asarray(over(perturbations.miss_dim, phantoms.labels, phantoms.image, 0.5))
    missed = 0
    for old, new, image in zip(phantoms.labels, made, phantoms.image, strict=True):
        old, image = np.asarray(old), np.asarray(image)
        mean = {label: image[old == label].mean() for label in np.unique(old[old > 0])}
        kept = [m for label, m in mean.items() if np.any(new == label)]
        gone = [m for label, m in mean.items() if not np.any(new == label)]
        missed += len(gone)
        assert not mean or max(mean.values()) in kept
        assert not gone or max(gone) < min(kept)
    assert missed > 5


def test_a_shift_is_to_one_side():
    labels = np.zeros((1, 40, 40), np.int32)
    labels[0, 15:25, 15:25] = 1
    made = np.asarray(over(perturbations.shift, labels, labels.astype(float), 4.0))[0]
    corner = np.argwhere(made)[0]
    assert np.any(corner != 15)
    np.testing.assert_array_equal(np.argwhere(made) - corner, np.argwhere(labels[0]) - 15)


def test_spurious_objects_are_where_there_is_none(phantoms):
    made = np.asarray(over(perturbations.add_spurious, phantoms.labels, phantoms.image, 1.0))
    before = np.asarray(phantoms.labels)
    added = made > OBJECTS
    np.testing.assert_array_equal(made[~added], before[~added])
    assert np.all(before[added] == 0)
    assert set(np.unique(made[added])) == set(range(OBJECTS + 1, OBJECTS + 5))


def discs():
    """Three bright discs, two of which touch, in noise."""
    y, x = np.mgrid[:64, :64]
    labels = np.zeros((64, 64), np.int32)
    for i, (row, column) in enumerate([(16, 16), (16, 37), (45, 45)]):
        labels[(y - row) ** 2 + (x - column) ** 2 <= 100] = i + 1
    noise = np.random.default_rng(0).normal(0, 0.02, labels.shape)
    return labels[None], ((labels > 0) + noise)[None].astype(np.float32)


def test_thresholds_follow_the_image():
    labels, image = discs()
    follow = lambda **o: np.asarray(
        over(
            perturbations.follow_image,
            labels,
            image,
            Follow(**{
                "level": 0.5, "own": False, "local": 0.0, "smoothing": 0.5, "fused": False,
                "unseeded": 0.0, "jitter": 0.0, **o,
            }),
        )
    )[0]  # fmt: skip
    truth = labels[0]
    right = follow()
    assert (right == truth).mean() > 0.99
    assert (follow(smoothing=3.0, level=0.1) > 0).sum() > 1.3 * (truth > 0).sum()
    assert (follow(smoothing=3.0, level=0.9) > 0).sum() < 0.9 * (truth > 0).sum()
    np.testing.assert_array_equal(follow(fused=True), right > 0)
    one_seed = follow(unseeded=1.0)
    assert len(np.unique(one_seed[one_seed > 0])) == 1
    np.testing.assert_array_equal(one_seed > 0, right > 0)


def test_pieces_are_numbered_and_small_ones_dropped():
    labels = np.array([[1, 0, 2, 2], [0, 0, 0, 2], [1, 1, 0, 0], [1, 1, 0, 1]], np.int32)
    made = np.asarray(perturbations.relabel(jnp.asarray(labels), 3.0, most=8))
    np.testing.assert_array_equal(made, [[0, 0, 1, 1], [0, 0, 0, 1], [2, 2, 0, 0], [2, 2, 0, 0]])
    made = np.asarray(perturbations.relabel(jnp.asarray(labels), 1.0, most=2))
    assert made.max() == 2
    assert (made > 0).sum() == 4


@partial(jax.jit, static_argnames="pairs")
def scores_of(keys, pairs):
    made = jax.vmap(partial(make_pair, pairs=pairs))(keys)
    return made.scores[:, 0], made.counted[:, 0]


def test_scores_of_wide_perturbations_cover_everything():
    pairs = Pairs(Nuclei(shape=(64, 64), objects=OBJECTS, count=(1.0, 8.0)), WIDE, ("SEG",))
    scores, counted = scores_of(keys_of(1000), pairs)
    scores = np.asarray(scores)[np.asarray(counted)]
    shares = np.histogram(scores, 10, (0, 1))[0] / scores.size
    assert scores.size > 900
    assert shares.min() > 0.03
    assert 0.02 < (scores > 0.9999).mean() < 0.1
    mild = replace(WIDE, severity=(0.0, 0.2))
    better, counted = scores_of(keys_of(200), replace(pairs, perturbations=mild))
    assert np.asarray(better)[np.asarray(counted)].mean() > scores.mean() + 0.05


def test_the_papers_stages_keep_every_object_near_its_place(phantoms):
    made = np.asarray(perturb_all(keys_of(12), phantoms.labels, phantoms.image, PAPER))
    truth = np.asarray(phantoms.labels)
    # Morphology of radius 4 and a warp of 1.1 px cannot reach farther than this.
    for old, new in zip(truth, made, strict=True):
        assert not np.any(new[ndimage.distance_transform_edt(old == 0) > 12])
    assert np.any(made != truth)


def test_volumes():
    nuclei = replace(VOLUME, shape=(8, 32, 32), objects=4, count=(1.0, 4.0))
    pairs = Pairs(nuclei, PAPER_VOLUME, ("SEG", "Dice"))
    made = jax.jit(jax.vmap(partial(make_pair, pairs=pairs)))(keys_of(6))
    assert made.evaluated.shape == (6, 8, 32, 32)
    assert np.asarray(made.evaluated).max() <= most_labels(4)
    assert np.any(np.asarray(made.evaluated) != np.asarray(made.reference))


def test_lowers_for_accelerators():
    apply = jax.jit(partial(perturb, how=WIDE, objects=4))
    labels = jax.ShapeDtypeStruct((16, 16), jnp.int32)
    image = jax.ShapeDtypeStruct((16, 16), jnp.float32)
    exported = jax.export.export(apply, platforms=("cuda", "tpu"))(jax.random.key(0), labels, image)
    assert exported.platforms == ("cuda", "tpu")


@pytest.mark.parametrize("wrong", [{"split": 1.5}, {"untouched": -0.1}, {"radius": -1}])
def test_impossible_chances_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Perturbations(**wrong)


def test_shapes_must_agree():
    with pytest.raises(InputError, match="differ in shape"):
        perturb(jax.random.key(0), jnp.zeros((4, 4), int), jnp.zeros((4, 5)), WIDE, objects=2)
