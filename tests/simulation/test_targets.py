import jax
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from experiments import _targets_numpy
from segjax import InputError
from segjax.simulation.targets import TARGETS, measure
from tests.images import cells
from tests.reference import instance, instances, overlap, panoptic


OBJECTS = (9, 18)
FLAT, DEEP = (40, 48), (8, 20, 24)
SPACING = {FLAT: (1.0, 1.0), DEEP: (2.5, 0.5, 1.0)}
NAMES = {
    "SEG": "seg",
    "PQ": "pq",
    "neMHD": "nemhd(tau=10, unmatched=diagonal)",
    "MHD": "mhd(unmatched=omit)",
    "MHD95": "hausdorff(percentile=95, unmatched=omit)",
    "ASD": "assd(unmatched=omit)",
}


def on_host(reference, evaluated, spacing):
    scores = segjax.evaluate(
        reference=reference, prediction=evaluated, metrics=NAMES.values(), spacing=spacing
    )
    dice = segjax.evaluate(reference=reference > 0, prediction=evaluated > 0, metrics=["dice"])
    found = dict(zip(NAMES, scores.values(), strict=True)) | {"Dice": dice["dice"]}
    return [float(found[name]) for name in TARGETS]


def by_definition(reference, evaluated, spacing):
    over = lambda name, unfit, **options: instances.mean_over_objects(
        name, options, reference, evaluated, spacing, unfit
    )
    share = lambda part, whole: part / whole if whole else np.nan
    pq = panoptic.panoptic_quality(reference, evaluated, 1000, None)
    iou, tp, fp, fn = pq.get(0, (0, 0, 0, 0))
    found = {
        "SEG": instance.seg(reference, evaluated),
        "Dice": float(overlap.dice(overlap.counts(reference > 0, evaluated > 0))),
        "PQ": share(iou, tp + (fp + fn) / 2),
        "neMHD": over("nemhd", 0.0, tau=10),
        "MHD": over("mhd", None),
        "MHD95": over("hausdorff", None, percentile=95),
        "ASD": over("assd", None),
    }
    return [float(found[name]) for name in TARGETS]


@pytest.fixture(scope="module", params=[FLAT, DEEP], ids=["2-D", "3-D"])
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def scored(shape):
    """One program for all pairs of a shape."""
    return jax.jit(
        jax.vmap(lambda r, e: measure(r, e, TARGETS, objects=OBJECTS, spacing=SPACING[shape]))
    )


def pairs(rng, shape, number=64):
    most = OBJECTS[0] if len(shape) == 2 else 5
    made = [cells(rng, shape, int(rng.integers(1, most + 1))) for _ in range(number)]
    return tuple(np.stack(x) for x in zip(*made, strict=True))


def check(scored, references, evaluated, wanted):
    found = scored(references, evaluated)
    wanted = np.array(wanted)
    np.testing.assert_array_equal(found.counted, np.isfinite(wanted))
    np.testing.assert_allclose(found.values, np.nan_to_num(wanted), rtol=2e-5, atol=2e-5)


def test_the_peer_of_the_benchmark_measures_the_same(rng):
    references, evaluated = pairs(rng, FLAT, 16)
    names = ("SEG", "Dice", "PQ", "neMHD")
    found = jax.vmap(lambda r, e: measure(r, e, names, objects=OBJECTS))(references, evaluated)
    told = [_targets_numpy.measure(r, e) for r, e in zip(references, evaluated, strict=True)]
    wanted = np.array([[one[name] for name in names] for one in told])
    np.testing.assert_array_equal(found.counted, np.isfinite(wanted))
    np.testing.assert_allclose(found.values, np.nan_to_num(wanted), rtol=2e-5, atol=2e-5)


def test_targets_are_those_of_evaluate(shape, scored, rng):
    for _ in range(2):
        references, evaluated = pairs(rng, shape)
        each = zip(references, evaluated, strict=True)
        check(scored, references, evaluated, [on_host(*pair, SPACING[shape]) for pair in each])


def corner_pairs(shape):
    """Pairs where formulas and loops break, as many as in a batch of `pairs`."""
    empty = np.zeros(shape, np.int32)
    middle = tuple(n // 2 for n in shape)
    block, corner, single, halves = (empty.copy() for _ in range(4))
    block[tuple(slice(m - 2, m + 2) for m in middle)] = 1
    corner[tuple(slice(0, 2) for _ in shape)] = OBJECTS[0]
    single[middle] = 3
    halves[block > 0] = 4
    halves[: middle[0]] *= 2
    last = np.where(corner > 0, OBJECTS[1], 0)
    moved = np.roll(single, 1, 1)
    scattered = np.where(np.indices(shape).sum(0) % 9 == 0, 1 + np.indices(shape)[1] % 4, 0)
    made = [
        (empty, empty),
        (empty, block),
        (block, empty),
        (block, block),
        (block, halves),
        (halves, block),
        (single, single),
        (single, moved),
        (single, block),
        (block, single),
        (corner, last),
        (corner, np.full(shape, OBJECTS[1])),
        (corner + block, np.where(corner + block > 0, 2, 0)),
        (scattered, block),
        (scattered, np.where(scattered > 0, 7, 0)),
        (scattered, np.where(scattered > 0, scattered % 4 + 5, 0)),
    ]
    return tuple(np.stack(x).astype(np.int32) for x in zip(*(made * 4), strict=True))


def test_targets_are_those_of_the_definitions(shape, scored, rng):
    references, evaluated = corner_pairs(shape)
    few = 16
    drawn = pairs(rng, shape, few)
    references[:few], evaluated[:few] = drawn
    each = zip(references[: 2 * few], evaluated[: 2 * few], strict=True)
    wanted = [by_definition(r, e, SPACING[shape]) for r, e in each]
    check(scored, references, evaluated, wanted + wanted[few:] * 2)


def test_a_perfect_segmentation_is_perfect(shape, scored, rng):
    references, _ = pairs(rng, shape)
    some = references.reshape(len(references), -1).any(1)
    found = scored(references, np.where(references > 0, OBJECTS[1] - references, 0))
    for name, values, counted in zip(TARGETS, found.values.T, found.counted.T, strict=True):
        best = 0 if name in ("MHD", "MHD95", "ASD") else 1
        np.testing.assert_allclose(values, best * some, rtol=1e-6)
        np.testing.assert_array_equal(counted, some)


# Fewer, so that they compile sooner.
PLAIN = ("neMHD", "SEG", "MHD", "Dice")


def score_plainly(reference, evaluated):
    return measure(reference, evaluated, PLAIN, objects=OBJECTS)


score_alone = jax.jit(score_plainly)


def plain(scores):
    return [scores[TARGETS.index(name)] for name in PLAIN]


def test_objects_run_together_are_each_measured_to_the_whole(rng):
    reference, _ = cells(rng, FLAT, OBJECTS[0], sloppy=False)
    evaluated = np.where(reference > 0, 1, 0)
    evaluated[::9] = 1
    found = score_alone(jnp.asarray(reference), jnp.asarray(evaluated))
    wanted = plain(by_definition(reference, evaluated, (1.0, 1.0)))
    assert wanted[PLAIN.index("MHD")] > 10
    np.testing.assert_allclose(found.values, wanted, rtol=1e-5)


def apart(*numbers):
    """Objects of so many voxels each, none of which has a neighbour: all are outlines."""
    places = np.argwhere(np.indices(FLAT).sum(0) % 2 == 0)
    labels = np.repeat(np.arange(1, len(numbers) + 1), numbers)
    image = np.zeros(FLAT, np.int32)
    image[tuple(places[: len(labels)].T)] = labels
    return image


def test_what_outlines_have_no_room_for_is_not_counted():
    # A map of 40 x 48 has room for 1920 / 3, in blocks of 128 voxels; an object for a quarter
    # of that in the reference and three quarters in the evaluated map.
    made = [
        (apart(20), apart(512, 128), True),
        (apart(20), apart(512, 129), False),
        (apart(20), apart(513), False),
        (apart(20), apart(20, 620), True),
        (apart(256, 256, 128), apart(256), True),
        (apart(256, 256, 129), apart(256), False),
        (apart(257), apart(256), False),
        (apart(257), apart(0, 10), False),
    ]
    references, evaluated, room = (np.stack(x) for x in zip(*made, strict=True))
    batches = (x.reshape(2, 4, *FLAT) for x in (references, evaluated))
    found = jax.jit(jax.vmap(jax.vmap(score_plainly)))(*batches)
    values, counted = (np.reshape(x, (8, len(PLAIN))) for x in found)
    np.testing.assert_array_equal(counted, np.stack([room, room | True] * 2, -1))
    for i in range(8):
        alone = score_alone(jnp.asarray(references[i]), jnp.asarray(evaluated[i]))
        np.testing.assert_allclose(values[i], alone.values, rtol=1e-6)
        wanted = plain(on_host(references[i], evaluated[i], (1.0, 1.0)))
        np.testing.assert_allclose(values[i], np.where(counted[i], wanted, 0), rtol=1e-5)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_targets_compile_for_other_devices(platform):
    batch = jax.ShapeDtypeStruct((4, *FLAT), jnp.int32)
    score = jax.vmap(lambda r, e: tuple(measure(r, e, TARGETS, objects=OBJECTS)))
    exported = jax.export.export(jax.jit(score), platforms=[platform])(batch, batch)
    assert exported.platforms == (platform,)
    assert "custom_call" not in exported.mlir_module()


def test_what_cannot_be_measured_is_refused():
    image = jnp.zeros((4, 5), jnp.int32)
    with pytest.raises(InputError, match=r"unknown target 'seg'; use one of SEG, Dice, PQ"):
        measure(image, image, ("seg",), objects=OBJECTS)
    with pytest.raises(InputError, match="fewer objects"):
        jax.eval_shape(lambda x: measure(x, x, ("ASD",), objects=(9, 2**28)), image)
