import itertools

import numpy as np
import pytest

from segjax import InputError
from segjax.report import picture
from segjax.report.theme import OVERLAY
from segjax.statistics import matching
from tests.report.seeing import BLINDNESS, lab, pixels


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_kinds_can_be_told_apart(blindness):
    seen = lambda name: lab(OVERLAY[name], blindness)
    kinds = ("background", "agreement", "missed", "extra", "merged", "split")
    for a, b in itertools.combinations(kinds, 2):
        assert np.linalg.norm(seen(a) - seen(b)) > 20  # CIE76; 2.3 is just noticeable


def bands():
    """Columns 0-2 background, 3-5 reference alone, 6-8 both, 9-11 prediction alone."""
    columns = np.arange(12)
    reference = np.tile((columns >= 3) & (columns < 9), (12, 1))
    prediction = np.tile(columns >= 6, (12, 1))
    return reference, prediction


def test_each_kind_has_its_colour():
    drawn = pixels(picture(*bands(), size=240))  # 20 pixels per voxel
    assert drawn.shape == (240, 240, 3)
    for column, kind in ((1, "background"), (4, "missed"), (7, "agreement"), (10, "extra")):
        assert tuple(drawn[110, 20 * column + 10]) == OVERLAY[kind]


def test_outline_of_the_reference_is_inside_it():
    drawn = pixels(picture(*bands(), size=240))
    assert tuple(drawn[110, 60]) == OVERLAY["outline"]
    assert tuple(drawn[110, 59]) == OVERLAY["background"]
    assert tuple(drawn[110, 179]) == OVERLAY["outline"]
    assert tuple(drawn[110, 180]) == OVERLAY["extra"]


def test_another_label_is_a_miss_for_classes_only():
    ones = np.ones((8, 8), int)
    middle = lambda **more: tuple(pixels(picture(ones, 2 * ones, size=8, **more))[4, 4])
    assert middle() == OVERLAY["missed"]
    assert middle(classes=False) == OVERLAY["agreement"]


def test_objects_have_the_colour_of_their_kind():
    kinds = {0: "background", matching.ACCURATE: "agreement", matching.MISSED: "missed"}
    kinds |= {matching.SPURIOUS: "extra", matching.MERGED: "merged", matching.SPLIT: "split"}
    errors = np.tile(np.repeat(list(kinds), 2), (12, 1))
    nothing = np.zeros(errors.shape, int)
    nothing[0, 0] = nothing[-1, -1] = 1  # so that nothing is cropped
    drawn = pixels(picture(nothing, nothing, errors=errors, size=240))
    for i, name in enumerate(kinds.values()):
        assert tuple(drawn[110, 40 * i + 20]) == OVERLAY[name]


def test_objects_in_error_are_outlined_and_shine_through():
    reference, prediction = bands()
    errors = np.where(reference | prediction, matching.MERGED, 0)
    image = np.zeros((12, 12))
    image[6:] = 1000.0
    options = {"errors": errors, "size": 240}
    drawn = pixels(picture(reference, prediction, **options))
    assert tuple(drawn[110, 60]) == OVERLAY["outline"]
    drawn = pixels(picture(reference, prediction, image=image, **options)).astype(int)
    assert tuple(drawn[50, 30]) == (0, 0, 0)
    assert (drawn[200, 210] > drawn[50, 210]).all()


def test_ignored_voxels_have_no_kind():
    reference = np.full((8, 8), 255)
    reference[:, 4:] = 1
    errors = np.full((8, 8), matching.SPLIT)
    drawn = pixels(picture(reference, reference, errors=errors, ignore=255, size=80))
    assert tuple(drawn[45, 15]) == OVERLAY["ignored"]
    assert tuple(drawn[45, 65]) == OVERLAY["split"]


def test_slice_is_the_one_with_most_of_objects_in_error():
    reference, prediction = volume()  # differ most in slice 4
    errors = np.where(reference, matching.ACCURATE, 0)
    seen = picture(reference, prediction, errors=errors)
    assert "where the reference is largest" in seen.caption
    errors[1, 2, 2:6] = matching.MERGED
    errors[2, 2, 2:4] = matching.MISSED
    seen = picture(reference, prediction, errors=errors)
    assert seen.caption.startswith("slice 2 of 5, where most is of objects in error")


def test_ignored_voxels_are_not_judged():
    reference = np.zeros((8, 8), int)
    reference[2:6, 2:6] = 255
    drawn = pixels(picture(reference, np.zeros_like(reference), ignore=255, size=8))
    assert tuple(drawn[4, 4]) == OVERLAY["ignored"]
    assert OVERLAY["missed"] not in {tuple(x) for x in drawn.reshape(-1, 3)}


def volume():
    reference = np.zeros((5, 8, 8), bool)
    reference[:, 2:6, 2:6] = True
    prediction = reference.copy()
    prediction[1, 2] = False
    prediction[3, 2:5] = False
    return reference, prediction


def test_slice_is_the_one_that_differs_most():
    assert picture(*volume()).caption.startswith("slice 4 of 5, where they differ most")


def test_without_a_difference_the_slice_has_the_largest_reference():
    reference, _ = volume()
    reference[2, 6] = True
    seen = picture(reference, reference)
    assert seen.caption.startswith("slice 3 of 5, where the reference is largest")


def test_ignored_voxels_do_not_choose_the_slice():
    reference, prediction = (x.astype(int) for x in volume())
    reference[3] = 9
    assert picture(reference, prediction, ignore=9).caption.startswith("slice 2 of 5")


def test_leading_axes_are_entered_at_their_first_index():
    reference, prediction = volume()
    seen = picture(np.stack([reference, reference]), np.stack([prediction, reference]))
    assert "slice 4 of 5" in seen.caption
    assert "leading" in seen.caption


@pytest.mark.parametrize(
    ("spacing", "size"),
    [((1.0, 1.0), (240, 120)), ((1.0, 2.0), (120, 120)), ((2.0, 1.0), (240, 60))],
)
def test_picture_is_true_to_the_spacing(spacing, size):
    mask = np.ones((12, 6), bool)
    seen = picture(mask, mask, spacing=spacing, size=240)
    ratio = 12 * spacing[0] / (6 * spacing[1])
    assert seen.height / seen.width == pytest.approx(ratio)
    assert max(seen.height, seen.width) <= 240
    assert pixels(seen).shape[:2] == (seen.height, seen.width)
    assert size[0] / size[1] == pytest.approx(ratio)


def test_small_objects_are_cropped_with_a_margin():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    seen = picture(mask, mask, size=240)
    assert seen.caption == "cropped"
    assert (seen.height, seen.width) == (240, 240)  # 20 voxels and 2 on each side, 10-fold
    assert tuple(pixels(seen)[0, 0]) == OVERLAY["background"]


def test_large_images_are_made_smaller():
    mask = np.zeros((1000, 500), bool)
    mask[:, 100:400] = True
    seen = picture(mask, ~mask)
    assert (seen.height, seen.width) == (240, 120)


@pytest.mark.parametrize("shape", [(7,), (200,), (1, 1), (3, 1, 5), (2, 2, 3, 4, 5), (1, 3000)])
@pytest.mark.parametrize("fill", [0, 1])
def test_any_shape_gives_a_picture(shape, fill):
    labels = np.full(shape, fill)
    seen = picture(labels, labels)
    assert pixels(seen).shape == (seen.height, seen.width, 3)
    assert 1 <= min(seen.height, seen.width) <= max(seen.height, seen.width) <= 240


@pytest.mark.parametrize("channels", [(), (3,)])
def test_image_shines_through(channels):
    reference, prediction = bands()
    image = np.zeros((12, 12, *channels))
    image[6:] = 1000.0
    drawn = pixels(picture(reference, prediction, image=image, size=240)).astype(int)
    assert tuple(drawn[50, 30]) == (0, 0, 0)
    assert tuple(drawn[200, 30]) == (255, 255, 255)
    for column in (4, 7, 10):
        assert (drawn[200, 20 * column + 10] > drawn[50, 20 * column + 10]).all()


@pytest.mark.parametrize("fill", [np.nan, np.inf, 3.0])
def test_image_without_contrast_is_no_error(fill):
    picture(*bands(), image=np.full((12, 12), fill))


def test_pictures_are_small():
    key = np.random.default_rng(5)
    reference = np.zeros((256, 256), bool)
    reference[30:220, 40:200] = True
    prediction = np.roll(reference, 9, axis=0)
    smooth = np.add.outer(np.arange(256), np.arange(256)) + key.normal(0, 4, (256, 256))
    assert len(picture(reference, prediction).uri) < 4_000
    assert len(picture(reference, prediction, image=smooth).uri) < 24_000


def test_shapes_must_agree():
    with pytest.raises(InputError, match="one shape"):
        picture(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(InputError, match="the image has shape"):
        picture(np.ones((2, 3)), np.ones((2, 3)), image=np.ones((5, 5)))
    with pytest.raises(InputError, match="the errors have shape"):
        picture(np.ones((2, 3)), np.ones((2, 3)), errors=np.ones((5, 5)))
