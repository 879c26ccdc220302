import math
from dataclasses import replace

import numpy as np
import pytest

from segjax import InputError, report
from segjax.evaluation import evaluate
from segjax.folder import evaluate_folder
from segjax.report import contours, gallery, render
from segjax.report.theme import SURFACE, shade
from tests.report import scores
from tests.report.seeing import BLINDNESS, lab, pixels
from tests.report.test_page import HOSTILE, Outline


def shifted(columns=3):
    """A square of 6 x 6 voxels in columns 5-10, and the same some columns farther."""
    reference = np.zeros((16, 24), bool)
    reference[5:11, 5:11] = True
    return reference, np.roll(reference, columns, axis=1)


def test_contour_has_the_colour_of_its_distance():
    # 13 x 10 voxels are seen, 24 pixels each. The last column of the prediction, 13, is 3
    # voxels from that of the reference, 10; its first, 8, is 2 before it.
    seen = contours(*shifted())
    assert seen.distance.shape == (240, 312)
    far, near = 24 * (14 - 3) - 2, 24 * (8 - 3) + 1
    assert seen.distance[120, far] == 3
    assert seen.distance[120, near] == 2
    drawn = pixels(seen.drawn(3.0))
    assert tuple(drawn[120, far]) == shade(1.0)
    np.testing.assert_allclose(drawn[120, near], shade(2 / 3), atol=4)  # one of 48 shades
    assert tuple(pixels(seen.drawn(2.0))[120, far]) == shade(1.0)  # beyond the scale


def test_missed_parts_of_the_reference_are_coloured_inside_its_white_outline():
    seen = contours(*shifted())
    left = 24 * (5 - 3)  # the first column of the reference is 3 before that of the prediction
    drawn = pixels(seen.drawn(3.0))
    assert tuple(drawn[120, left]) == SURFACE["outline"]
    assert tuple(drawn[120, left + 1]) == shade(1.0)
    assert tuple(drawn[120, left + 10]) == SURFACE["inside"]


def test_without_a_difference_the_line_is_that_of_distance_0():
    reference, _ = shifted()
    seen = contours(reference, reference)
    assert seen.farthest == 0
    assert set(seen.distance[np.isfinite(seen.distance)]) == {0.0}
    assert (seen.caption, seen.remarks) == ("", ("the surfaces are the same",))


def test_distances_are_in_the_unit_of_spacing():
    assert contours(*shifted(), spacing=(1, 2.5)).farthest == 7.5


@pytest.mark.parametrize("labels", [None, "foreground"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_farthest_is_the_hausdorff_distance(labels, order, rng):
    r, p = (np.asarray(x, order=order) for x in rng.integers(0, 3, (2, 5, 7, 6)))
    spacing = (2.5, 1.0, 0.7)
    case = {"reference": r, "prediction": p, "spacing": spacing, "labels": labels}
    score = evaluate(**case, metrics=["hausdorff"])["hausdorff"]
    seen = contours(r, p, spacing=spacing, labels=labels)
    assert seen.farthest == pytest.approx(np.max(score))
    assert seen.distance.max() == pytest.approx(seen.farthest)  # the slice is the one that has it


def volume():
    """Slices 1 to 3 of a square; the prediction is 4 columns too far in slice 2."""
    reference = np.zeros((5, 12, 16), bool)
    reference[1:4, 3:8, 3:8] = True
    prediction = reference.copy()
    prediction[2] = np.roll(reference[2], 4, axis=1)
    return reference, prediction


def test_slice_is_the_one_where_the_surfaces_are_farthest_apart():
    seen = contours(*volume(), spacing=(9, 1, 1))
    assert seen.farthest == 4
    assert seen.caption == "slice 3 of 5, where the surfaces are farthest apart"
    assert seen.remarks == ()


def test_distances_are_not_those_within_the_slice():
    # In slice 2 the prediction is 4 columns off, but the reference of slices 1 and 3 is 1.5
    # away and at most 1 column aside from it; in slices 4 and 5 it is alone, 3 above the last.
    reference, prediction = (np.pad(x, ((0, 1), (0, 0), (0, 0))) for x in volume())
    prediction[2], prediction[4:] = np.roll(reference[2], 1, axis=1), reference[3]
    seen = contours(reference, prediction, spacing=(1.5, 1, 1))
    assert seen.farthest == 3
    assert seen.caption == "slice 6 of 6, where the surfaces are farthest apart"
    assert seen.remarks == ("the other surface is nearest in slice 4",)
    assert not seen.inside.any()
    assert set(seen.distance[np.isfinite(seen.distance)]) == {3.0}
    assert seen.facing  # all of the square is surface, and most of it no contour
    assert seen.drawn(3.0).marks == ("facing",)


def test_objects_in_one_slice_are_surface_throughout():
    # As in `metrics.boundary`: above and below a voxel of a single slice is background.
    reference = np.zeros((5, 12, 16), bool)
    reference[2, 2:10, 2:14] = True
    prediction = reference.copy()
    prediction[2, :, :6] = False
    seen = contours(reference, prediction)
    assert seen.farthest == 4  # from column 2 to column 6
    assert seen.facing


def test_farthest_element_is_ringed_and_joined_to_the_other_surface():
    seen = contours(*shifted(7))
    drawn = pixels(seen.drawn(7.0))
    zoom = seen.distance.shape[0] // 10
    y, x = zoom * (5 - 3) + zoom / 2 - 0.5, zoom * (5 - 3) + zoom / 2 - 0.5  # voxel (5, 5)
    for dy, dx in ((8, 0), (-8, 0), (0, 8), (0, -8)):
        assert tuple(drawn[round(y + dy), round(x + dx)]) == SURFACE["outline"]
    assert tuple(drawn[round(y), round(x + 3.5 * zoom)]) == SURFACE["outline"]


def test_labels_do_not_mix():
    reference = np.zeros((8, 20), int)
    reference[2:6, 2:6], reference[2:6, 12:16] = 1, 2
    prediction = np.choose(reference, [0, 2, 1])
    assert contours(reference, prediction, labels="foreground").farthest == 0
    assert contours(reference, prediction).farthest == 10
    assert contours(reference, prediction, labels=[2]).farthest == 10


def test_labels_that_were_not_asked_for_are_not_drawn():
    reference = np.zeros((8, 20), int)
    reference[2:6, 2:6], reference[2:6, 12:16] = 1, 2
    seen = contours(reference, np.where(reference == 1, 1, 0), labels=[1])
    assert seen.remarks == ("the surfaces are the same",)
    assert seen.drawn(1.0).marks == ()


def test_label_without_a_counterpart_has_no_distance():
    reference = np.zeros((8, 20), int)
    reference[2:6, 2:6], reference[2:6, 12:16] = 1, 2
    seen = contours(reference, np.where(reference == 1, 1, 0))
    assert seen.farthest == 0
    assert seen.remarks[0] == "the prediction lacks label 2"
    assert seen.drawn(1.0).marks == ("alone",)


@pytest.mark.parametrize("shape", [(16, 24), (3, 16, 24)])
@pytest.mark.parametrize("empty", ["reference", "prediction"])
def test_empty_map_is_told_and_the_other_drawn_without_a_distance(empty, shape):
    mask = np.broadcast_to(shifted()[0], shape)
    maps = {"reference": mask, "prediction": mask, empty: np.zeros(shape, bool)}
    seen = contours(**maps)
    assert math.isnan(seen.farthest)
    assert seen.remarks == (f"the {empty} is empty", "there is no distance to measure")
    drawn = {tuple(x) for x in pixels(seen.drawn(1.0)).reshape(-1, 3)}
    assert SURFACE["alone"] in drawn
    assert not drawn & {shade(i / 47) for i in range(48)}


@pytest.mark.parametrize("shape", [(16, 24), (3, 16, 24)])
def test_two_empty_maps_give_a_picture_of_nothing(shape):
    nothing = np.zeros(shape, bool)
    seen = contours(nothing, nothing)
    assert seen.remarks == ("both are empty",)
    colours = {tuple(x) for x in pixels(gallery({"a": seen}).pictures["a"]).reshape(-1, 3)}
    assert colours == {SURFACE["background"]}


def test_ignored_elements_have_no_colour_and_do_not_count():
    reference, prediction = (x.astype(int) for x in shifted())
    reference[:, 12:] = 255
    seen = contours(reference, prediction, ignore=255)
    # Without the columns from 12 on: the first column of the reference, 3 before the other's.
    assert seen.farthest == 3
    reference[:, :8] = 255
    seen = contours(reference, prediction, ignore=255)
    assert seen.drawn(3.0).marks == ("ignored",)
    last = np.flatnonzero((seen.distance != -np.inf).any(0))[-1]
    assert set(seen.distance[:, last]) == {-1.0, -np.inf}
    drawn = pixels(seen.drawn(3.0))
    assert SURFACE["ignored"] in {tuple(x) for x in drawn.reshape(-1, 3)}


def test_planes_of_many_voxels_are_cut_to_the_surroundings_of_the_farthest():
    reference = np.zeros((900, 700), bool)
    reference[20:880, 20:680] = True
    prediction = reference.copy()
    prediction[400:404, 680:690] = True
    seen = contours(reference, prediction)
    assert seen.farthest == 10
    assert seen.remarks == ("only a detail is shown",)
    assert max(seen.distance.shape) <= 320
    assert seen.distance.max() == 10


@pytest.mark.parametrize("shape", [(1, 1), (3, 1, 5), (2, 2, 2), (1, 3000), (1, 9, 9), (700, 3)])
@pytest.mark.parametrize("fill", [(0, 0), (0, 1), (1, 1)])
def test_any_shape_gives_a_picture(shape, fill):
    seen = contours(*(np.full(shape, x) for x in fill)).drawn(1.0)
    assert pixels(seen).shape == (seen.height, seen.width, 3)
    assert 1 <= min(seen.height, seen.width) <= max(seen.height, seen.width) <= 320


@pytest.mark.parametrize("spacing", [(1, 1), (1, 3), (3, 1)])
def test_picture_is_true_to_the_spacing(spacing):
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    seen = contours(mask, mask, spacing=spacing)
    height, width = seen.inside.any(1).sum(), seen.inside.any(0).sum()
    assert height / width == pytest.approx(spacing[0] / spacing[1], rel=0.05)


def test_image_shines_through():
    reference, prediction = shifted()
    image = np.zeros((16, 24))
    image[8:] = 1000.0
    drawn = pixels(contours(reference, prediction, image=image).drawn(3.0))
    assert tuple(drawn[24 * 4, 24 * 5 - 4]) == (0, 0, 0)
    assert tuple(drawn[24 * 6, 24 * 5 - 4]) == (255, 255, 255)


def test_pictures_are_small(rng):
    reference, prediction = np.zeros((2, 300, 300), bool)
    reference[30:250, 40:270] = True
    prediction[39:259, 40:270] = True
    smooth = np.add.outer(np.arange(300), np.arange(300)) + rng.normal(0, 4, (300, 300))
    assert len(contours(reference, prediction).drawn(9.0).uri) < 8_000
    assert len(contours(reference, prediction, image=smooth).drawn(9.0).uri) < 16_000


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ((np.ones((2, 3)) > 0, np.ones((3, 2)) > 0), "same shape"),
        ((np.ones(4, int), np.ones(4, int)), "2-D and 3-D"),
        ((np.ones((0, 4), int), np.ones((0, 4), int)), "have voxels"),
    ],
)
def test_maps_must_agree_and_be_images(maps, words):
    with pytest.raises(InputError, match=words):
        contours(*maps)


def test_image_must_have_the_shape_of_the_maps():
    with pytest.raises(InputError, match="the image has shape"):
        contours(*shifted(), image=np.ones((5, 5)))


# Colours


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_farther_is_lighter_for_every_eye(blindness):
    lightness = [lab(shade(x), blindness)[0] for x in np.linspace(0, 1, 21)]
    assert min(np.diff(lightness)) > 0.5
    assert lightness[-1] - lightness[0] > 50


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_what_has_no_distance_is_told_from_all_that_has(blindness):
    others = [SURFACE["background"], SURFACE["outline"], *(shade(x) for x in np.linspace(0, 1, 48))]
    alone = lab(SURFACE["alone"], blindness)
    assert min(np.linalg.norm(alone - lab(c, blindness)) for c in others) > 20


def test_a_colour_is_the_same_distance_in_all_pictures():
    seen = {"near": contours(*shifted(2)), "far": contours(*shifted(4))}
    shown = gallery(seen)
    assert shown.limit == 4
    for case, contour in seen.items():
        assert shown.pictures[case] == contour.drawn(4.0)


def test_one_stray_object_does_not_darken_the_other_cases():
    reference, prediction = shifted(2)
    far = np.pad(reference, ((0, 0), (0, 100)))
    stray = far.copy()
    stray[8, 120] = True
    seen = {str(i): contours(reference, prediction) for i in range(4)} | {"x": contours(far, stray)}
    assert seen["x"].farthest == 110
    assert gallery(seen).limit == 4  # twice what is usual: 2


# The page


def shown(cases, **options):
    return gallery({case: contours(*shifted(), **options) for case in cases})


@pytest.fixture(scope="module")
def table():
    return scores.table(metrics=("dice", "hausdorff", "assd"))


def test_page_shows_the_pictures_their_scale_and_its_unit(table):
    page = render(table, scores.summary(table), {}, shown(table.cases[:2], spacing=0.5))
    outline = Outline(page)
    assert outline.open == []
    text = " ".join(outline.text)
    assert "worst first by hausdorff" in " ".join(text.split())
    assert "surfaces farthest apart: 1.50 mm" in text
    assert page.count('alt="surfaces of ') == 2
    assert "colours of distances from 0 to 1.6 mm" in text
    assert all(v.startswith("data:") for t, n, v in outline.attributes if n == "src")


def test_page_tells_what_its_colours_leave_out(table):
    seen = shown(table.cases[:1])
    page = lambda gallery, **more: render(table, scores.summary(table, **more), {}, gallery)
    assert "Colours end at" not in page(seen)
    assert "Colours end at 2 mm" in page(replace(seen, limit=2.0))
    assert "The scores are of surfels" not in page(seen)
    assert "The scores are of surfels" in page(seen, options={"surface": "surfel"})


def test_lengths_without_a_unit_are_voxels_if_spacing_says_nothing(table):
    inputs = [{"case": c, "spacing": [1.0, 1.0], "unit": None} for c in table.cases]
    page = render(table, scores.summary(table, inputs=inputs), {}, shown(table.cases[:1]))
    assert "surfaces farthest apart: 3.00 voxels" in page


def test_case_that_misses_an_object_has_no_distance(table):
    # Case 2 has an empty prediction.
    reference, _ = shifted()
    seen = gallery({"case 002": contours(reference, np.zeros_like(reference))})
    page = render(table, scores.summary(table), {}, seen)
    assert "<h3>No distance</h3>" in page
    assert "the prediction is empty; there is no distance to measure" in page


def test_hostile_names_are_inert(table):
    hostile = replace(table, cases=HOSTILE)
    found = Outline(render(hostile, scores.summary(hostile), {}, shown(HOSTILE)))
    honest = Outline(render(table, scores.summary(table), {}, shown(table.cases)))
    for tag in ("script", "img", "svg", "style", "b", "noscript"):
        assert found.tags.count(tag) == honest.tags.count(tag)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]


@pytest.fixture
def folders(tmp_path):
    for folder, mask in zip(("r", "p"), shifted(), strict=True):
        (tmp_path / folder).mkdir()
        for case in "ab":
            np.save(tmp_path / folder / f"{case}.npy", mask.astype(np.uint8))
    return tmp_path


def page_of(folders, metrics, **options):
    evaluate_folder(
        folders / "r", folders / "p", metrics=metrics, output=folders / "out", **options
    )
    return (folders / "out" / "report.html").read_text("utf-8")


def test_run_with_a_boundary_metric_shows_surfaces(folders):
    page = page_of(folders, ["dice", "assd"], spacing=2.0)
    assert page.count('alt="surfaces of ') == 2
    assert "surfaces farthest apart: 6.00 units of spacing" in page
    assert "worst first by <code>assd</code>" in page


def test_run_without_a_boundary_metric_measures_and_shows_none(folders, monkeypatch):
    def measure(*_, **__):
        raise AssertionError("measured")

    monkeypatch.setattr(report.surfaces, "contours", measure)
    page = page_of(folders, ["dice", "average_hausdorff"])
    assert "surfaces of" not in page
    assert "<h3>Distances between surfaces" not in page
