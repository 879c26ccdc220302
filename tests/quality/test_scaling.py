"""Objects come to the size that a network knows; what is laid out is laid back."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from segjax import InputError
from segjax.quality import scaling, tiling
from tests.quality import toy
from tests.reference import tiles as reference


def disc(shape, centre, radius):
    axes = np.indices(shape)
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) <= radius**2


def test_diameters_are_those_of_discs():
    labels = np.zeros((60, 60), int)
    labels[disc(labels.shape, (15, 15), 5)] = 1
    labels[disc(labels.shape, (40, 40), 12)] = 2
    np.testing.assert_allclose(scaling.diameters(labels), [10, 24], rtol=0.05)


def test_diameter_of_a_volume_is_that_of_its_widest_plane():
    labels = np.zeros((3, 60, 60), int)
    labels[0, 20, 20] = 1
    labels[1][disc((60, 60), (20, 20), 8)] = 1
    assert scaling.diameters(labels)[0] == pytest.approx(16, rel=0.05)


def test_specks_do_not_hide_the_typical_object():
    labels = np.zeros((100, 100), int)
    for k, c in enumerate([(20, 20), (20, 70), (70, 20)], 1):
        labels[disc(labels.shape, c, 10)] = k
    for k in range(7):
        labels[95, 5 * k] = 4 + k
    assert scaling.typical_diameter(labels) == pytest.approx(20, rel=0.05)
    assert scaling.typical_diameter(np.zeros((5, 5), int)) is None
    assert scaling.typical_diameter(np.eye(1, dtype=int)) == pytest.approx(2 / np.sqrt(np.pi))


def test_volumes_get_the_ratio_of_spacings_that_the_network_knows():
    # Voxels 4 x 1 x 1 um with objects of 11 pixels, wanted 3 : 1 : 1 and 22: twice, and 4 / 3 more.
    found = scaling.factors(11.0, 22.0, (4.0, 1.0, 1.0), (3.0, 1.0, 1.0))
    np.testing.assert_allclose(found, [8 / 3, 2, 2])
    np.testing.assert_allclose(scaling.factors(11.0, 22.0, None, (3.0, 1.0, 1.0)), [2, 2, 2])
    # In micrometres or in pixels: only ratios matter.
    np.testing.assert_allclose(scaling.factors(11.0, 22.0, (0.8, 0.2, 0.2), (3.0, 1.0, 1.0)), found)


@pytest.mark.parametrize("new", [(7, 9), (30, 50), (15, 4), (1, 1)])
def test_resizing_keeps_what_is_constant_and_the_mean(rng, new):
    np.testing.assert_allclose(scaling.resize_image(np.full((15, 20), 3.0), new), 3.0, rtol=1e-6)
    ramp = np.add.outer(np.arange(15.0), np.arange(20.0))
    assert scaling.resize_image(ramp, new).mean() == pytest.approx(ramp.mean(), rel=0.03)


def test_shrinking_averages_and_does_not_pick(rng):
    noise = rng.normal(size=(64, 64))
    assert scaling.resize_image(noise, (16, 16)).std() < 0.4  # picked pixels would keep 1


def test_enlarging_interpolates_linearly():
    found = scaling.resize_image(np.array([[0.0, 1.0]]), (1, 4))
    np.testing.assert_allclose(found, [[0, 0.25, 0.75, 1]])


def test_labels_are_never_mixed(rng):
    labels = rng.choice([0, 3, 70], (9, 8))
    assert set(np.unique(scaling.resize_labels(labels, (20, 5)))) <= {0, 3, 70}
    np.testing.assert_array_equal(
        scaling.resize_labels(labels, (18, 16)), labels.repeat(2, 0).repeat(2, 1)
    )


def test_an_image_that_would_grow_too_large_is_refused():
    with pytest.raises(InputError, match="diameter"):
        scaling.scaled_shape((10_000, 10_000), (4.0, 4.0))


@given(st.integers(4, 90), st.integers(4, 30), st.sampled_from([0.0, 1 / 6, 0.5, 0.9]))
def test_patches_cover_an_image_and_overlap_enough(n, p, overlap):
    n = max(n, p)
    first = tiling.starts((n,), (p,), overlap)[:, 0]
    assert first[0] == 0
    assert first[-1] == n - p
    assert (np.diff(first) <= max(1, np.ceil(p * (1 - overlap)))).all()
    fewest = int(np.ceil((n - p) / max(1, int(p * (1 - overlap))))) + 1
    assert len(first) == fewest


def test_a_small_image_is_continued_by_its_mirror_image():
    found = tiling.padded(np.array([[1, 2, 3]]), (2, 5))
    np.testing.assert_array_equal(found, [[1, 2, 3, 3, 2]] * 2)


def test_maps_are_laid_over_the_image(rng):
    shape, patch = (9, 7), (4, 5)
    first = tiling.starts(shape, patch, 0.3)
    maps = rng.random((len(first), 2, 3)).astype(np.float32)
    found = tiling.laid_over(maps, first, patch, shape)
    np.testing.assert_allclose(found, reference.laid_over(maps, first, patch, shape), rtol=1e-5)


def test_scene_has_discs_of_the_size_that_the_toy_knows(rng):
    _, labels = toy.scene(rng)
    assert scaling.typical_diameter(labels) == pytest.approx(8, rel=0.06)
