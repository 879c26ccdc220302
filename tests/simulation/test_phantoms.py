"""Phantoms are what was asked for; each configuration is compiled once."""

from dataclasses import fields, replace
from functools import cache, partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from segjax._errors import InputError
from segjax.simulation._bodies import Bodies, paint
from segjax.simulation._camera import expose
from segjax.simulation._nuclei import between, ranges
from segjax.simulation.phantoms import SIM_PLUS, VOLUME, WIDE, Nuclei, simulate
from tests.reference import phantoms as reference


VARIED = replace(WIDE, shape=(40, 48), objects=5, count=(0.0, 5.0), bits=(8.0, 8.0))
# Round nuclei without texture or blur that do not touch, labelled 1.5 pixels too wide.
PLAIN = replace(
    SIM_PLUS,
    shape=(64, 65),
    objects=4,
    count=(4.0, 4.0),
    radius=(10.0, 10.0),
    size_spread=(0.0, 0.0),
    aspect=(1.0, 1.0),
    roughness=(0.0, 0.0),
    gap=(1.3, 1.3),
    brightness_spread=(0.0, 0.0),
    texture=(0.0, 0.0),
    nucleoli=(0.0, 0.0),
    chromocentres=(0.0, 0.0),
    dome=(0.0, 0.0),
    psf=(0.2, 0.2),
    halo=(0.0, 0.0),
    haze=(0.0, 0.0),
    illumination=(0.0, 0.0),
    annotation_offset=(2.1, 2.1),
    contrast_to_noise=(8.0, 8.0),
    poisson=(0.0, 0.0),
    dark=(0.05, 0.05),
)
SOLID = replace(VOLUME, shape=(6, 20, 22), objects=3, count=(0.0, 3.0))
NUMBER = 24


@cache
def _drawn(nuclei):
    keys = jax.random.split(jax.random.key(7), NUMBER)
    images, labels = jax.jit(jax.vmap(partial(simulate, nuclei=nuclei)))(keys)
    return np.asarray(images), np.asarray(labels)


every_kind = pytest.mark.parametrize(
    "nuclei", [VARIED, PLAIN, SOLID], ids=["varied", "plain", "solid"]
)


@every_kind
def test_images_are_counts_and_labels_lie_in_range(nuclei):
    images, labels = _drawn(nuclei)
    assert images.shape == labels.shape == (NUMBER, *nuclei.shape)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(images, np.round(images))
    assert images.min() >= 0
    assert images.max() <= 2 ** nuclei.bits[1] - 1
    assert labels.min() == 0
    assert 1 < labels.max() <= nuclei.objects


@every_kind
def test_images_may_be_empty_or_hold_any_number_of_nuclei(nuclei):
    numbers = [len(np.unique(x[x > 0])) for x in _drawn(nuclei)[1]]
    if nuclei is PLAIN:
        assert max(numbers) == 4
    else:
        assert set(numbers) >= {0, 1, 2}
    assert max(numbers) <= nuclei.objects


@every_kind
def test_no_label_is_smaller_than_asked(nuclei):
    for labels in _drawn(nuclei)[1]:
        sizes = np.bincount(labels.ravel())[1:]
        assert np.all(sizes[sizes > 0] >= nuclei.smallest)


def test_one_at_a_time_they_are_the_same():
    keys = jax.random.split(jax.random.key(7), NUMBER)
    one = jax.jit(simulate, static_argnames="nuclei")
    images, labels = _drawn(VARIED)
    for k in (0, 5):
        image, label = one(keys[k], nuclei=VARIED)
        # Rounding differs between the two programs, and a count may fall to either side.
        assert np.mean(np.asarray(label) != labels[k]) < 2e-3
        step = np.abs(np.asarray(image) - images[k])
        assert np.mean(step > 1) < 2e-3
        again, same = one(keys[k], nuclei=VARIED)
        np.testing.assert_array_equal(again, image)
        np.testing.assert_array_equal(same, label)
    assert not np.array_equal(images[0], images[1])


@pytest.mark.parametrize("nuclei", [VARIED, SOLID], ids=["varied", "solid"])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_lowers_for_accelerators(nuclei, platform):
    many = lambda keys: tuple(
        jax.vmap(partial(simulate, nuclei=nuclei))(jax.vmap(jax.random.key)(keys))
    )
    shape = jax.ShapeDtypeStruct((4,), jnp.uint32)
    exported = jax.export.export(jax.jit(many), platforms=[platform])(shape)
    assert exported.platforms == (platform,)
    assert "callback" not in exported.mlir_module()


def _within(labels):
    """Numbers of the nuclei that do not touch the border."""
    border = np.ones(labels.shape, bool)
    border[(slice(1, -1),) * labels.ndim] = False
    return set(np.unique(labels)) - set(np.unique(labels[border])) - {0}


def test_areas_are_those_of_the_radius():
    sizes = [np.sum(x == k) for x in _drawn(PLAIN)[1] for k in _within(x)]
    assert len(sizes) > 10
    np.testing.assert_allclose(sizes, np.pi * 10**2, rtol=0.03)


def test_contrast_to_noise_is_as_asked():
    images, labels = _drawn(PLAIN)
    inside = np.stack([ndimage.binary_erosion(x > 0, iterations=4) for x in labels])
    outside = np.stack([~ndimage.binary_dilation(x > 0, iterations=2) for x in labels])
    found = [
        (image[i].mean() - image[o].mean()) / image[o].std()
        for image, i, o in zip(images, inside, outside, strict=True)
        if i.sum() > 200 and o.sum() > 200
    ]
    assert len(found) > 10
    np.testing.assert_allclose(found, 8, rtol=0.15)
    assert np.mean(found) == pytest.approx(8, rel=0.03)


def test_annotations_reach_beyond_the_light_by_the_offset():
    # The light of a nucleus has a radius of 8.5 pixels, its label one of 10.
    lit = []
    for image, labels in zip(*_drawn(PLAIN), strict=True):
        dark, bright = np.median(image[labels == 0]), np.median(image[labels > 0])
        above = image > (dark + bright) / 2
        lit += [np.sum(above & (labels == k)) for k in _within(labels)]
    assert np.mean(lit) == pytest.approx(np.pi * 8.5**2, rel=0.03)


def test_ranges_lead_where_they_say():
    assert set(ranges(WIDE)) == {f.name for f in fields(Nuclei)} - {
        "shape",
        "objects",
        "smallest",
        "visible",
    }
    for name, ends in ranges(WIDE).items():
        assert between(name, ends, 0.0) == pytest.approx(ends[0])
        assert between(name, ends, 1.0) == pytest.approx(ends[1])
    assert between("radius", (4.0, 16.0), 0.5) == pytest.approx(8)  # half the way in the logarithm
    assert between("ghosts", (0.0, 1.0), 0.5) == pytest.approx(0.125)
    assert between("gap", (0.0, 1.0), 0.5) == 0.5


# Parts, by hand.


def _bodies(rows):
    one = lambda name: jnp.array([row[name] for row in rows], jnp.float32)
    angle, zero = one("angle"), jnp.zeros(len(rows))
    return Bodies(
        centre=one("centre"),
        radius=one("radius"),
        turn=jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1),
        stretch=one("stretch"),
        bend=zero,
        tilt=zero,
        rough=zero,
        soft=zero + 1,
        brightness=jnp.arange(1.0, len(rows) + 1),
    )


ROWS = (
    {"centre": (8.2, 9.1), "radius": 5.0, "stretch": 1.3, "angle": 0.4},
    {"centre": (13.0, 15.3), "radius": 4.0, "stretch": 1.0, "angle": 0.0},  # meets the first
    {"centre": (0.0, 20.5), "radius": 3.0, "stretch": 1.2, "angle": 2.0},  # cut by the border
    {"centre": (18.0, 3.0), "radius": 0.4, "stretch": 1.0, "angle": 0.0},  # one pixel
)


@pytest.mark.parametrize("shape", [(22, 24), (7, 22, 24)])
def test_labels_match_the_definition(shape):
    rows = [dict(row) for row in ROWS]
    if len(shape) == 3:
        rows = [
            {**row, "centre": (z, *row["centre"])}
            for row, z in zip(rows, (6, 8, 4, 9), strict=True)
        ]
    scene = SimpleNamespace(
        radius=jnp.float32(5),
        step=jnp.float32(3),
        flatness=jnp.float32(0.8),
        dome=0.5,
        annotation_offset=0.0,
        psf=1.0,
    )
    nuclei = replace(WIDE, shape=shape, objects=4)
    labels, light = paint(jax.random.key(0), scene, nuclei, _bodies(rows))
    expected = reference.labels(shape, (3, 1, 1)[-len(shape) :], rows, 0.8)
    assert set(np.unique(expected)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(labels, expected)
    # Half of the light is within a step or so of the labels' edge.
    far = ndimage.binary_dilation(expected > 0, iterations=2)
    assert float(jnp.max(jnp.where(far, 0, light))) == 0
    # Its mean is 1 for the first; at the centre it is 1 / (1 - 0.5 / 2) of that.
    deep = ndimage.binary_erosion(expected == 1)
    assert deep.sum()
    assert np.all((np.asarray(light)[deep] > 0.6) & (np.asarray(light)[deep] < 1.34))


def _counts(level, **changes):
    settings = {
        "background": 0.25,
        "poisson": 0.0,
        "contrast_to_noise": 5.0,
        "enlarged": 0.5,
        "bits": 16.0,
        "exposure": 0.2,
        "dark": 0.2,
    }
    scene = SimpleNamespace(**{k: jnp.float32(v) for k, v in (settings | changes).items()})
    return np.asarray(expose(jax.random.key(1), scene, jnp.full((60, 60), level)))


def test_noise_is_that_of_photons_and_of_reading():
    unit = 65535 * 0.2 / 1.25  # counts of a nucleus above the background
    assert _counts(1.25).mean() == pytest.approx(65535 * 0.4, rel=0.01)
    for poisson, level, variance in [
        (0.0, 0.25, 1.0),
        (1.0, 1.25, 1.0),
        (1.0, 0.25, 0.2),
        (0.5, 0.25, 0.6),
    ]:
        noise = _counts(level, poisson=poisson).std() / unit
        assert noise * 5 == pytest.approx(variance**0.5, rel=0.04)


def test_interpolated_noise_is_as_strong_and_joins_neighbours():
    for enlarged, joined in ((0.8, 0.0), (2.4, np.exp(-1 / (4 * 0.45**2 * (2.4**2 - 1))))):
        noise = _counts(1.0, enlarged=enlarged)
        noise = (noise - noise.mean()) / noise.std()
        assert (noise[1:] * noise[:-1]).mean() == pytest.approx(joined, abs=0.06)
        assert _counts(1.0, enlarged=enlarged).std() == pytest.approx(_counts(1.0).std(), rel=0.1)


def test_a_camera_of_few_bits_counts_coarsely_and_clips():
    coarse = _counts(1.25, bits=8.0)
    assert 3 < len(np.unique(coarse)) < 100
    assert np.all(_counts(20.0, bits=8.0) == 255)
    assert np.all(_counts(-20.0, bits=8.0) == 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gap": (1.2, 0.8)}, "swap"),
        ({"radius": (0.0, 8.0)}, "positive"),
        ({"shape": (96,)}, "two or three axes"),
        ({"objects": 0}, "1 object"),
    ],
)
def test_says_what_cannot_be_drawn(changes, message):
    with pytest.raises(InputError, match=message):
        simulate(jax.random.key(0), replace(WIDE, **changes))
