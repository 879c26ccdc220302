"""Scores of whole images: put together right, always the same, and refused where they must be."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError, _devices
from segjax.quality import running
from segjax.quality.instances import score_objects
from segjax.quality.predict import assess, weighted
from segjax.quality.preparing import normalised
from segjax.quality.scaling import resize_image
from segjax.quality.tiling import cut, starts
from segjax.simulation.coding import normalise
from tests.quality import toy
from tests.reference import tiles as reference


def test_score_is_the_mean_over_patches_weighted_by_objects(rng):
    image, labels = toy.scene(rng)
    found = assess(image, labels, ("SEG", "Dice"), weights=toy.toy(), diameter=8.0, averaging=1)
    first = starts(image.shape, (20, 20), 1 / 6)
    parts = cut(normalised(image, (1.0, 99.8)), first, (20, 20)), cut(labels, first, (20, 20))
    said = running.run(toy.toy(), *parts)
    for i, metric in enumerate(("SEG", "Dice")):
        expected = reference.mean_over_patches(said.scores[:, i].tolist(), said.counts.tolist())
        assert found.raw[metric] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(found.tiles.first, first)
    assert (found.segmented, found.diameter, found.diameter_from) == (12, 8.0, "given")


def test_mean_of_patches_without_objects_is_plain():
    scores = np.array([[0.2], [0.6]])
    np.testing.assert_allclose(weighted(scores, np.zeros(2)), [0.4])
    np.testing.assert_allclose(weighted(scores, np.array([3.0, 1.0])), [0.3])


def test_the_same_image_gets_the_same_score(rng):
    image, labels = toy.scene(rng)
    one, two = (assess(image, labels, weights=toy.calibrated_toy()) for _ in range(2))
    assert one.scores == two.scores
    low, high = one.interval
    assert 0 <= low <= one.score <= high <= 1


def test_intensities_and_ids_do_not_matter(rng):
    image, labels = toy.scene(rng)
    given = assess(image, labels, weights=toy.toy())
    ids = np.append(0, 2**40 + rng.permutation(labels.max()))
    for other in ((image * 37 + 1000, labels), (image, ids[labels])):
        np.testing.assert_allclose(
            assess(*other, weights=toy.toy()).raw["SEG"], given.raw["SEG"], atol=1e-4
        )


def test_averaging_over_views_makes_turned_images_equal(rng):
    image, labels = toy.patches(rng, 1)
    both = [running.run(toy.toy(), image, labels, averaging=8)]
    for turn in (np.fliplr, np.flipud, np.rot90, lambda x: np.rot90(np.fliplr(x))):
        x, y = np.ascontiguousarray(turn(image[0])), np.ascontiguousarray(turn(labels[0]))
        both.append(running.run(toy.toy(), x[None], y[None], averaging=8))
        np.testing.assert_allclose(both[-1].scores, both[0].scores, atol=1e-5)
        turned = np.stack([turn(m) for m in np.moveaxis(both[0].maps[0], -1, 0)], -1)
        np.testing.assert_allclose(both[-1].maps[0], turned, atol=1e-5)


def test_few_programs_serve_any_number_of_patches(rng):
    image, labels = toy.patches(rng, 41)
    whole = running.run(toy.toy(), image, labels)
    for n in (1, 3, 4, 5, 33):
        part = running.run(toy.toy(), image[:n], labels[:n])
        np.testing.assert_allclose(part.scores, whole.scores[:n], atol=1e-5)
    assert whole.scores.shape == (41, 2)
    devices = _devices.own_devices()
    assert running._program(toy.FLAT, "trinary", None, 1, devices).program._cache_size() == 2


def test_a_network_that_counts_no_objects_counts_those_segmented(rng):
    volume = toy.toy(toy.DEEP)
    image, labels = toy.patches(rng, 2, (8, 16, 16))
    said = running.run(volume, image, labels)
    expected = [len(np.unique(x[x > 0])) + 1 for x in labels]
    np.testing.assert_array_equal(said.counts, expected)


def test_volumes_of_other_spacing_are_brought_to_that_of_the_network(rng):
    image, labels = toy.scene(rng, (12, 24, 24))
    volume = toy.toy(toy.DEEP)
    found = assess(image, labels, weights=volume, diameter=8.0, spacing=(4.0, 1.0, 1.0))
    assert found.tiles.extent == pytest.approx((4.0, 16.0, 16.0))  # 8 planes, two for each
    assert assess(image, labels, weights=volume, diameter=8.0).tiles.extent == (8.0, 16.0, 16.0)


def test_scale_is_taken_from_the_objects(rng):
    image, labels = (x.repeat(3, 0).repeat(3, 1) for x in toy.scene(rng))
    found = assess(image, labels, weights=toy.toy())
    assert found.diameter_from == "labels"
    assert found.diameter == pytest.approx(24, rel=0.06)
    assert found.voxel == pytest.approx((8 / found.diameter,) * 2)
    assert found.tiles.extent[0] == pytest.approx(60, rel=0.06)


def test_error_map_has_the_shape_of_the_image_and_is_a_share(rng):
    image, labels = toy.scene(rng)
    found = assess(image, labels, weights=toy.toy(), diameter=11.0, error_map=True)
    assert set(found.error_map) == {"false_negative", "false_positive"}
    for share in found.error_map.values():
        assert share.shape == image.shape
        assert 0 <= share.min() <= share.max() <= 1


def test_objects_are_scored_by_leaving_each_out(rng):
    image, labels = toy.scene(rng)
    found = assess(image, labels, weights=toy.toy(), diameter=8.0, per_object=True).per_object
    assert found.labels.tolist() == list(range(1, 13))
    np.testing.assert_allclose(found.centres[0], [6, 6])
    np.testing.assert_allclose(found.diameters, 8, rtol=0.06)
    window = np.s_[20:40, 8:28]  # around object 8 at (30, 18)
    seen, whole = normalised(image, (1.0, 99.8))[window], labels[window]
    pair = np.stack([whole, np.where(whole == 8, 0, whole)])
    one, other = running.run(toy.toy(), np.stack([seen] * 2), pair).scores[:, 0]
    assert found.around[7, 0] == pytest.approx(one, abs=1e-5)
    assert found.drops[7, 0] == pytest.approx(one - other, abs=1e-5)
    assert len(next(found.rows())) == len(found.columns)


def test_too_many_objects_are_not_scored_one_by_one():
    labels = np.arange(1, 10_002).reshape(73, 137)
    with pytest.raises(InputError, match="10001 objects are too many"):
        score_objects(toy.toy(), labels / 1.0, labels, np.arange(10_001), ("SEG",), (1.0, 1.0))


def test_ten_thousand_objects_are_assessed(rng):
    labels = np.zeros((220, 220), int)
    labels[::2, ::2] = np.arange(1, 110 * 110 + 1).reshape(110, 110)
    found = assess(rng.random(labels.shape), labels, weights=toy.toy(), diameter=8.0, averaging=1)
    assert found.segmented == 12_100
    assert np.isfinite(found.score)


def test_images_smaller_than_a_patch_are_assessed(rng):
    for shape in ((5, 7), (1, 1), (1, 40)):
        image = rng.random(shape)
        labels = np.zeros(shape, int)
        labels[0, 0] = 1
        if image.size > 1:
            assert np.isfinite(assess(image, labels, weights=toy.toy(), diameter=8.0).score)


def test_a_constant_image_has_no_score_and_a_flag(rng):
    _, labels = toy.scene(rng)
    found = assess(np.full(labels.shape, 3), labels, weights=toy.calibrated_toy())
    assert np.isnan(found.score)
    assert found.interval == (0.0, 1.0)
    assert "constant image" in found.flags


def test_no_objects_is_a_flag_and_the_score_the_network_s(rng):
    image, labels = toy.scene(rng)
    found = assess(image, np.zeros_like(labels), weights=toy.toy())
    assert "no objects" in found.flags
    assert np.isfinite(found.score)
    assert (found.diameter, found.diameter_from) == (8.0, "card")


def test_a_mask_is_its_pieces_and_a_label_in_pieces_is_doubted(rng):
    image, labels = toy.scene(rng)
    assert assess(image, labels > 0, weights=toy.toy()).segmented == 12
    mask = (labels > 0).astype(np.uint8) * 255
    assert any("12 pieces" in f for f in assess(image, mask, weights=toy.toy()).flags)
    assert assess(image, mask, weights=toy.toy(), relabel=True).segmented == 12


def test_foreign_images_are_flagged(rng):
    image, labels = toy.patches(rng, 1, (60, 60))
    usual = assess(image[0], labels[0], weights=toy.calibrated_toy(), diameter=8.0)
    stripes = np.indices((60, 60))[0] % 2 * 1000.0
    foreign = assess(stripes, labels[0], weights=toy.calibrated_toy(), diameter=8.0)
    assert "unlike the training images" not in usual.flags
    assert "unlike the training images" in foreign.flags


def test_dim_images_are_flagged_at_any_scale(rng):
    _, labels = toy.scene(rng)
    for times in (1, 3):  # of 3 pixels each, the image is shrunk
        large = labels.repeat(times, 0).repeat(times, 1)
        image = 0.2 * (large > 0) + rng.normal(size=large.shape) * times
        for diameter in (8.0 * times, 3.0 * times):
            found = assess(image, large, weights=toy.calibrated_toy(), diameter=diameter)
            assert any("very dim" in flag for flag in found.flags)


def test_noise_that_interpolation_hides_counts(rng):
    _, labels = toy.scene(rng)
    image = 3.0 * (labels > 0) + rng.normal(size=labels.shape)
    for diameter in (8.0, 9.0):
        found = assess(image, labels, weights=toy.calibrated_toy(), diameter=diameter)
        assert any("very dim" in flag for flag in found.flags)


def test_without_a_calibration_the_interval_is_all_there_can_be(rng):
    found = assess(*toy.scene(rng), weights=toy.toy())
    assert found.interval == (0.0, 1.0)


def test_colours_are_chosen_or_averaged(rng):
    image, labels = toy.scene(rng)
    colours = np.stack([image, np.zeros_like(image), image], -1)
    grey = assess(image, labels, weights=toy.toy()).raw
    assert assess(colours, labels, weights=toy.toy(), channel=2).raw == grey
    mean = assess(colours, labels, weights=toy.toy(), channel="mean").raw
    assert mean["SEG"] == pytest.approx(grey["SEG"], abs=1e-4)


def test_whole_images_are_normalised_as_patches_are(rng):
    image = rng.gamma(2.0, 100.0, (50, 41)).astype(np.float32)
    np.testing.assert_allclose(
        normalised(image, (1.0, 99.8)), normalise(jnp.asarray(image)), atol=1e-6
    )


def test_metrics_are_found_by_any_of_their_names(rng):
    image, labels = toy.scene(rng)
    assert list(assess(image, labels, ["dsc", "seg"], weights=toy.toy()).scores) == ["Dice", "SEG"]


def test_segjax_offers_it():
    assert segjax.assess is assess


SQUARE = np.zeros((30, 30), int)


@pytest.mark.parametrize(
    ("image", "labels", "options", "said"),
    [
        (np.ones((30, 31)), SQUARE, {}, r"shape \(30, 31\), the labels \(30, 30\)"),
        (np.ones((30, 30, 3)), SQUARE, {}, "3 colours.*channel"),
        (np.ones((30, 30, 3)), SQUARE, {"channel": 3}, "channel must be 0 to 2"),
        (np.ones((30, 30)), SQUARE, {"channel": 0}, "no colours"),
        (np.where(np.eye(30), np.nan, 1.0), SQUARE, {}, "30 pixels that are NaN"),
        (np.full((30, 30), np.inf), SQUARE, {}, "900 pixels"),
        (np.ones((30, 30), complex), SQUARE, {}, "complex"),
        (np.ones((4, 30, 30)), np.zeros((4, 30, 30), int), {}, "2-D.*3 axes.*planes"),
        (np.ones((0, 30)), np.zeros((0, 30), int), {}, "no pixels"),
        (np.ones((30, 30)), SQUARE - 1, {}, "negative label -1"),
        (np.ones((30, 30)), SQUARE + 0.5, {}, "no label"),
        (np.ones((30, 30)), SQUARE, {"metric": "PQ"}, "'PQ' is not among.*SEG, Dice"),
        (np.ones((30, 30)), SQUARE, {"metric": "nonsense"}, "'nonsense' is not among"),
        (np.ones((30, 30)), SQUARE, {"metric": []}, "no metric"),
        (np.ones((30, 30)), SQUARE, {"diameter": 0.0}, "diameter"),
        (np.ones((30, 30)), SQUARE, {"diameter": float("nan")}, "diameter"),
        (np.ones((30, 30)), SQUARE, {"coverage": 1.0}, "coverage"),
        (np.ones((30, 30)), SQUARE, {"averaging": 3}, "averaging"),
        (np.ones((30, 30)), SQUARE, {"overlap": 1.0}, "overlap"),
        (np.ones((30, 30)), SQUARE, {"spacing": (1.0, 2.0, 3.0)}, "spacing"),
    ],
)
def test_what_cannot_be_assessed_is_refused(image, labels, options, said):
    with pytest.raises(InputError, match=said):
        assess(image, labels, **({"weights": toy.toy()} | options))


def test_without_weights_for_it_a_volume_is_refused():
    stack = np.zeros((4, 30, 30, 2), int)
    with pytest.raises(InputError, match="no weights for 4 axes"):
        assess(stack, stack)


def test_a_network_without_maps_gives_no_error_map(rng):
    image, labels = toy.scene(rng, (12, 24, 24))
    with pytest.raises(InputError, match="no error map"):
        assess(image, labels, weights=toy.toy(toy.DEEP), error_map=True)


def test_resized_maps_stay_shares(rng):
    share = rng.random((13, 9)).astype(np.float32)
    large = resize_image(share, (50, 4))
    assert share.min() - 1e-6 <= large.min() <= large.max() <= share.max() + 1e-6


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_program_lowers_for_accelerators(platform):
    devices = _devices.own_devices()
    program = running._program(toy.FLAT, "trinary", (1.0, 99.8), 8, devices).program
    image, labels = jnp.zeros((4, 20, 20)), jnp.zeros((4, 20, 20), jnp.int32)
    exported = jax.export.export(program, platforms=[platform])(toy.toy().weights, image, labels)
    assert exported.platforms == (platform,)
