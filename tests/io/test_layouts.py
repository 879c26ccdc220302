import os

import pytest
from hypothesis import given, strategies as st

from segjax._errors import InputError
from segjax.io import Pair, pair
from segjax.io.layouts import ADDED, match_names
from tests.io.files import dataset, touch


def names(pairing):
    return [(p.name, p.reference.name, p.prediction.name) for p in pairing.pairs]


def folders(tmp_path, references, predictions):
    return touch(tmp_path / "truth", *references), touch(tmp_path / "guess", *predictions)


# Two files


def test_two_files_are_one_pair_named_after_the_reference(tmp_path):
    touch(tmp_path, "case.nii.gz", "other.png")
    found = pair(tmp_path / "case.nii.gz", str(tmp_path / "other.png"))
    assert found.layout == "files"
    assert found.pairs == (Pair("case", tmp_path / "case.nii.gz", tmp_path / "other.png"),)


def test_two_zarr_stores_are_files(tmp_path):
    touch(tmp_path / "a.ome.zarr", "zarr.json")
    touch(tmp_path / "b.zarr", ".zgroup")
    assert pair(tmp_path / "a.ome.zarr", tmp_path / "b.zarr").pairs[0].name == "a"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("a.png", "folder", "folder.*two files or two folders"),
        ("folder", "a.png", "folder.*two files or two folders"),
        ("a.png", "missing.png", "missing.png: there is no such"),
        ("missing", "folder", "missing: there is no such"),
        ("a.png", "a.txt", "a.txt: is of no format"),
    ],
)
def test_unlike_or_missing_paths_are_refused(tmp_path, first, second, words):
    touch(tmp_path, "a.png", "a.txt")
    touch(tmp_path / "folder", "a.png")
    with pytest.raises(InputError, match=words):
        pair(tmp_path / first, tmp_path / second)


# Flat folders


def test_equal_names_are_paired_in_natural_order_whatever_the_format(tmp_path):
    found = pair(
        *folders(tmp_path, ["c10.nii.gz", "c9.nii.gz", "d.tif"], ["c9.mha", "c10.png", "e.tif"])
    )
    assert found.layout == "flat"
    assert names(found) == [("c9", "c9.nii.gz", "c9.mha"), ("c10", "c10.nii.gz", "c10.png")]
    assert (found.only_reference, found.only_prediction) == (("d",), ("e",))


def test_what_tools_add_to_names_is_looked_through_only_for_what_is_left(tmp_path):
    found = pair(
        *folders(
            tmp_path,
            ["a.tif", "a_seg.tif", "b_gt.tif", "c.tif"],
            ["a.tif", "a_seg.tif", "b_cp_masks.png", "c_0000_Pred.tif"],
        )
    )
    assert [(n, p) for n, _, p in names(found)] == [
        ("a", "a.tif"),
        ("a_seg", "a_seg.tif"),
        ("b_gt", "b_cp_masks.png"),
        ("c", "c_0000_Pred.tif"),
    ]


def test_choice_between_two_is_left_open(tmp_path):
    found = pair(*folders(tmp_path, ["a.tif", "b.tif"], ["a.tif", "b_seg.tif", "b_mask.tif"]))
    assert found.only_reference == ("b",)
    assert found.only_prediction == ("b_mask", "b_seg")


def test_what_is_no_label_map_is_skipped_quietly(tmp_path):
    clutter = [".hidden.tif", "notes.txt", "README.md", "s.json", "t.csv", "u.yaml", "v.pkl"]
    reference, prediction = folders(tmp_path, ["a.nii.gz", *clutter], ["a.nii.gz", "a.npz"])
    touch(reference / "older", "z.tif")
    found = pair(reference, prediction)
    assert names(found) == [("a", "a.nii.gz", "a.nii.gz")]
    assert (found.only_reference, found.only_prediction) == ((), ())


def test_cellpose_pickles_beside_masks_are_skipped(tmp_path):
    found = pair(*folders(tmp_path, ["a.tif"], ["a_cp_masks.png", "a_seg.npy"]))
    assert names(found) == [("a", "a.tif", "a_cp_masks.png")]


def test_links_are_followed(tmp_path):
    reference, prediction = folders(tmp_path, ["a.tif"], [])
    os.symlink(reference / "a.tif", prediction / "a.tif")
    assert names(pair(reference, prediction)) == [("a", "a.tif", "a.tif")]


@pytest.mark.parametrize(
    ("references", "predictions", "words"),
    [
        (["a.png", "a.tif"], ["a.tif"], "truth: a.png and a.tif have the same name"),
        (["a.png"], ["a.nii", "a.nii.gz"], "guess: a.nii and a.nii.gz have the same name"),
        (["a.png"], [], "guess: holds no label maps"),
        (["a.txt"], ["a.png"], "truth: holds no label maps"),
        (["left1.png"], ["right1.png"], "'right1' here, 'left1' there"),
    ],
)
def test_folders_that_cannot_be_paired_are_refused(tmp_path, references, predictions, words):
    with pytest.raises(InputError, match=words):
        pair(*folders(tmp_path, references, predictions))


stems = st.lists(
    st.tuples(st.text("ab01_", min_size=1, max_size=4), st.sampled_from(["", *ADDED])).map("".join),
    max_size=6,
)


@given(stems, stems)
def test_pairing_is_one_to_one_symmetric_and_never_breaks_equal_names(references, predictions):
    found = match_names(references, predictions)
    first, second = [r for r, _ in found], [p for _, p in found]
    assert len(set(first)) == len(first)
    assert len(set(second)) == len(second)
    assert set(first) <= set(references)
    assert set(second) <= set(predictions)
    assert {(n, n) for n in set(references) & set(predictions)} <= set(found)
    assert {(p, r) for r, p in found} == set(match_names(predictions, references))
    assert match_names(reversed(references), reversed(predictions)) == found


@given(st.lists(st.text("abc123", min_size=1), unique=True), st.sampled_from(ADDED))
def test_one_ending_on_every_prediction_pairs_all(bare, ending):
    assert len(match_names(bare, [name + ending for name in bare])) == len(bare)


# nnU-Net


@pytest.mark.parametrize("place", ["truth", ".", "guess"])
def test_nnunet_dataset_gives_names_and_the_ignored_label(tmp_path, place):
    reference, prediction = folders(tmp_path, ["a.nii.gz"], ["a.nii.gz", "a.npz", "a.pkl"])
    labels = {"background": 0, "whole": [1, 2], "liver": 1, "core": [2], "ignore": 3}
    dataset(tmp_path / place, labels=labels)
    found = pair(reference, prediction)
    assert found.layout == "nnunet"
    assert found.label_names == {0: "background", 1: "liver", 2: "core"}
    assert found.regions == {"whole": (1, 2)}
    assert found.ignore == 3
    assert names(found) == [("a", "a.nii.gz", "a.nii.gz")]


def test_nnunet_version_1_names_ids_the_other_way_round(tmp_path):
    reference, prediction = folders(tmp_path, ["a.nii"], ["a.nii"])
    dataset(reference, labels={"0": "background", "1": "liver"})
    found = pair(reference, prediction)
    assert found.label_names == {0: "background", 1: "liver"}
    assert found.ignore is None


def test_other_dataset_descriptions_change_nothing(tmp_path):
    reference, prediction = folders(tmp_path, ["a.nii"], ["a.nii"])
    dataset(tmp_path, images=["a.jpg"])
    assert pair(reference, prediction).layout == "flat"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1, 2]",
        '{"labels": 3}',
        '{"labels": ["a"]}',
        '{"labels": {"liver": true}}',
        '{"labels": {"liver": -1}}',
        '{"labels": {"liver": {"id": 1}}}',
        '{"labels": {"a": 1, "b": 1}}',
        '{"labels": {"a": 1e400}}',
        '{"labels": {"": 1}}',
        "[" * 100_000,
        '{"labels": ' + "9" * 5000 + "}",
        "\xff",
        " " * (4 * 2**20 + 1),
    ],
    ids=range(14),
)
def test_malformed_dataset_is_refused(tmp_path, text):
    reference, prediction = folders(tmp_path, ["a.nii"], ["a.nii"])
    (reference / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"dataset\.json") as caught:
        pair(reference, prediction)
    assert len(str(caught.value)) < 600


# Cell Tracking Challenge


def tracking(tmp_path, truth, results):
    touch(tmp_path / "01_GT" / "SEG", *truth)
    touch(tmp_path / "01_GT" / "TRA", "man_track000.tif")
    return tmp_path / "01_GT", touch(tmp_path / "01_RES", "res_track.txt", *results)


def test_frames_are_paired_by_number_though_truth_starts_late_and_has_gaps(tmp_path):
    results = [f"mask{t:03d}.tif" for t in range(120)]
    truth = ["man_seg012.tif", "man_seg007.tif", "man_seg101.tif"]
    found = pair(*tracking(tmp_path, truth, results))
    assert found.layout == "ctc"
    assert names(found) == [
        ("t007", "man_seg007.tif", "mask007.tif"),
        ("t012", "man_seg012.tif", "mask012.tif"),
        ("t101", "man_seg101.tif", "mask101.tif"),
    ]
    assert (found.only_reference, found.only_prediction) == ((), ())


def test_frame_without_a_mask_stays_a_case_without_a_prediction(tmp_path):
    found = pair(*tracking(tmp_path, ["man_seg003.tif", "man_seg004.tif"], ["mask004.tif"]))
    assert [(p.name, p.prediction is None) for p in found.pairs] == [
        ("t003", True),
        ("t004", False),
    ]
    assert found.only_reference == ("t000", "t003")  # of TRA, and of SEG


def test_markers_of_all_frames_come_beside_the_outlines_of_some(tmp_path):
    reference, prediction = tracking(
        tmp_path, ["man_seg000.tif"], ["mask000.tif", "mask001.tif", "mask010.tif"]
    )
    touch(reference / "TRA", "man_track.txt", "man_track010.tif", "man_track001.tif")
    found = pair(reference, prediction)
    assert names(found) == [("t000", "man_seg000.tif", "mask000.tif")]
    assert [(p.name, p.frame, p.reference.name) for p in found.markers] == [
        ("t000", 0, "man_track000.tif"),
        ("t001", 1, "man_track001.tif"),
        ("t010", 10, "man_track010.tif"),
    ]
    assert found.outlined


@pytest.mark.parametrize("inside", ["", "TRA"])
def test_markers_alone_are_the_cases(tmp_path, inside):
    truth = touch(tmp_path / "01_GT" / "TRA", "man_track000.tif", "man_track001.tif")
    result = touch(tmp_path / "01_RES", "mask000.tif", "mask001.tif")
    found = pair(truth if inside else truth.parent, result)
    assert [p.name for p in found.pairs] == ["t000", "t001"]
    assert not found.outlined
    assert found.markers == ()


def test_results_in_the_place_of_truth_are_told_apart(tmp_path):
    reference, prediction = tracking(tmp_path, ["man_seg000.tif"], ["mask000.tif"])
    words = r"01_RES: holds results \(mask000.tif\), and .*01_GT the truth; give the truth first"
    with pytest.raises(InputError, match=words):
        pair(prediction, reference)


def test_single_planes_of_a_frame_name_their_slice(tmp_path):
    truth = ["man_seg_000_015.tif", "man_seg_000_002.tif", "man_seg0001_007.tif", "man_seg2.tif"]
    found = pair(*tracking(tmp_path, truth, ["mask000.tif", "mask0001.tif", "mask002.tif"]))
    assert [(p.name, p.slice, p.prediction.name) for p in found.pairs] == [
        ("t000_z002", 2, "mask000.tif"),
        ("t000_z015", 15, "mask000.tif"),
        ("t0001_z007", 7, "mask0001.tif"),
        ("t2", None, "mask002.tif"),
    ]


def test_seg_folder_itself_will_do(tmp_path):
    reference, prediction = tracking(tmp_path, ["man_seg000.tif"], ["mask000.tif"])
    assert pair(reference / "SEG", prediction).layout == "ctc"


def test_the_same_truth_names_on_both_sides_are_a_flat_layout(tmp_path):
    found = pair(*folders(tmp_path, ["man_seg000.tif"], ["man_seg000.tif"]))
    assert found.layout == "flat"


@pytest.mark.parametrize(
    ("truth", "results", "words"),
    [
        (["man_seg000.tif"], ["mask001.tif"], "no mask of the 1 annotated frames.*t000"),
        (["man_seg000.tif"], [], "no mask"),
        (["man_seg0.tif"], ["mask000.tif", "mask0000.tif"], "01_RES: .*same frame"),
        (["man_seg_1_2.tif", "man_seg001_002.tif"], ["mask001.tif"], "SEG: .*same frame"),
        (["man_seg_1_2.tif", "man_seg001.tif"], ["mask001.tif"], "the whole frame of man_seg_1_2"),
    ],
)
def test_frames_that_cannot_be_paired_are_refused(tmp_path, truth, results, words):
    with pytest.raises(InputError, match=words):
        pair(*tracking(tmp_path, truth, results))
