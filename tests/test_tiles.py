"""Tile by tile, the scores of the whole."""

import numpy as np
import pytest
from scipy import ndimage

import segjax
from segjax import InputError, folder, io, tiles
from segjax.case import make_case
from segjax.cli import main
from segjax.folder import reading
from segjax.statistics import find_segments
from segjax.tiles import surfaces
from segjax.tiles.grid import make_grid
from segjax.tiles.pieces import count_pieces


COUNTED = ("dice", "iou", "mcc", "seg", "pq", "f1", "splits", "merges", "aji", "vi_split")
COUNTED += ("adapted_rand_error", "kappa", "jaccard_binary", "jaccard_sparse")
LENGTHS = ("hd", "hd95", "hausdorff(percentile=95,pooled=True)", "nsd@1", "nsd@3")
MEANS = ("assd", "masd", "asd", "nemhd")
SHAPES = {2: ((40, 37), 11), 3: ((13, 11, 12), (5, 4, 7))}


def blobs(rng, shape, count, coarse=2.0):
    """Labels that touch, lie in several pieces and cross the borders of every tile."""
    fields = ndimage.gaussian_filter(
        rng.normal(size=(count, *shape)), (0,) + (coarse,) * len(shape)
    )
    return np.where(fields.max(0) > fields.std(), 1 + fields.argmax(0), 0)


def pair(rng, shape, count=6):
    reference = blobs(rng, shape, count)
    prediction = np.where(rng.random(shape) < 0.05, blobs(rng, shape, count), reference)
    return reference, np.roll(prediction, 1, axis=0)


def both(reference, prediction, metrics, tile, **options):
    return tuple(
        score(reference=reference, prediction=prediction, metrics=metrics, **options, **more)
        for score, more in ((segjax.evaluate, {}), (segjax.evaluate_tiled, {"tile": tile}))
    )


# Counts: to the last bit


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("relabel", [False, True])
@pytest.mark.parametrize("labels", [None, "foreground", (3, 1), (0, 2)])
def test_counts_are_those_of_the_whole(dims, labels, relabel, rng):
    shape, tile = SHAPES[dims]
    whole, tiled = both(*pair(rng, shape), COUNTED, tile, labels=labels, relabel=relabel)
    for name, score in whole.items():
        np.testing.assert_array_equal(tiled[name], score, err_msg=name)


@pytest.mark.parametrize("relabel", [False, True])
def test_ignored_voxels_count_in_no_tile(relabel, rng):
    shape, tile = SHAPES[3]
    reference, prediction = pair(rng, shape)
    reference[rng.random(shape) < 0.1] = 255
    whole, tiled = both(reference, prediction, COUNTED, tile, ignore=255, relabel=relabel)
    for name, score in whole.items():
        np.testing.assert_array_equal(tiled[name], score, err_msg=name)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint64])
def test_labels_of_any_type_hold_for_the_whole_image(dtype, rng):
    reference, prediction = (x.astype(dtype) for x in pair(rng, SHAPES[2][0]))
    if dtype == np.uint64:  # where float64 has only even numbers
        reference, prediction = (
            np.where(x, x + 2**60, 0).astype(dtype) for x in (reference, prediction)
        )
    whole, tiled = both(reference, prediction, ("dice", "pq", "vi_split"), 7)
    for name, score in whole.items():
        np.testing.assert_array_equal(tiled[name], score, err_msg=name)


def test_scribbles_are_counted_in_tiles(rng):
    reference = rng.integers(0, 3, (9, 8)).astype(np.uint8)
    prediction = rng.integers(0, 2, (9, 8)).astype(np.uint8)
    whole, tiled = both(reference, prediction, ["jaccard_binary_sparse"], 4)
    assert whole == tiled
    with pytest.raises(InputError, match="annotation of 0"):
        segjax.evaluate_tiled(
            reference=2 * reference, prediction=prediction, metrics=["jaccard_binary_sparse"]
        )


def test_nothing_there_scores_as_in_the_whole():
    nothing = np.zeros((6, 5), np.uint8)
    for metrics in (("dice", "seg"), ("hd95", "nsd@1")):
        whole, tiled = both(nothing, nothing, metrics, 4)
        np.testing.assert_equal(tiled, whole)


@pytest.mark.parametrize("tile", [1, 2, 5, (3, 1, 4)])
@pytest.mark.parametrize("density", [0.2, 0.45])
def test_pieces_are_joined_across_faces_edges_and_corners(tile, density, rng):
    # Of noise, pieces wind through many tiles, and some hang together by corners alone.
    reference, prediction = ((rng.random((5, 6, 4)) < density) * 3 for _ in range(2))
    case = make_case(reference=reference, prediction=prediction, relabel=True)
    expected = find_segments(case)
    found = count_pieces(
        tiles.make_tiled_case(reference=reference, prediction=prediction, relabel=True, tile=tile)
    )
    for x, y in zip(found.contingency.pairs, expected.contingency.pairs, strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(found.contingency.counts, expected.contingency.counts)
    np.testing.assert_array_equal(found.reference_labels, expected.reference_labels)


# Distances: the same ones


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"labels": "foreground"},
        {"labels": (0, 5), "ignore": 255},
        {"surface": "surfel", "spacing": 0.5, "ignore": 255},
    ],
    ids=str,
)
def test_distances_are_those_of_the_whole(dims, options, rng, monkeypatch):
    monkeypatch.setattr(surfaces, "_HALO", 2)  # so that much is left over
    shape, tile = SHAPES[dims]
    reference, prediction = pair(rng, shape)
    if "ignore" in options:
        reference[rng.random(shape) < 0.1] = 255
    whole, tiled = both(reference, prediction, LENGTHS + MEANS, tile, **options)
    for name, score in whole.items():
        exact = name not in MEANS and not name.startswith("nsd")  # whose terms are added in turn
        np.testing.assert_allclose(tiled[name], score, rtol=0 if exact else 1e-12, err_msg=name)


def test_spacing_is_that_of_the_axes(rng):
    whole, tiled = both(*pair(rng, (9, 14, 12)), LENGTHS + MEANS, 5, spacing=(2, 0.7, 0.9))
    for name, score in whole.items():
        np.testing.assert_allclose(tiled[name], score, rtol=1e-6, err_msg=name)


def test_distances_reach_beyond_any_halo():
    reference, prediction = np.zeros((2, 90, 200), bool)
    reference[3, 4] = prediction[80, 190] = prediction[3, 7] = True
    # From (80, 190) to (3, 4): 77 down and 186 across.
    _, tiled = both(reference, prediction, ["hd", "asd"], 8)
    assert tiled["hausdorff"] == np.hypot(77, 186)
    assert tiled["asd"] == (np.hypot(77, 186) + 3) / 2


def test_a_surface_that_is_absent_is_infinitely_far():
    reference, prediction = np.zeros((2, 9, 9), bool)
    reference[2:5, 3:6] = True
    whole, tiled = both(reference, prediction, ("hd95", "assd", "nsd@1"), 4)
    np.testing.assert_equal(tiled, whole)


# Files


def stores(path, array):
    import tifffile
    import zarr

    np.save(path / "c.npy", array)
    np.save(path / "f.npy", np.asfortranarray(array))
    zarr.create_array(str(path / "a.zarr"), data=array, chunks=(4, 4, 4))
    tifffile.imwrite(path / "plain.tif", array, photometric="minisblack")
    tifffile.imwrite(path / "big.tif", array.astype(">u2"), byteorder=">")
    tifffile.imwrite(path / "pages.tif", array, compression="zlib", photometric="minisblack")
    tifffile.imwrite(path / "tiles.tif", array, compression="zlib", tile=(16, 16))
    group = zarr.open_group(str(path / "o.ome.zarr"), mode="w")
    group.create_array("0", data=array[None, None], chunks=(1, 1, 5, 5, 5))
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 2, 0.5, 0.5]}]
    group.attrs["multiscales"] = [
        {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]
    names = ("c.npy", "f.npy", "a.zarr", "plain.tif", "big.tif", "pages.tif", "tiles.tif")
    return [path / name for name in (*names, "o.ome.zarr")]


def opened(path):
    volume = io.open_labels(path)
    assert volume is not None
    return volume


def test_every_store_gives_the_boxes_of_its_array(tmp_path, rng):
    array = rng.integers(0, 300, (9, 8, 7)).astype(np.uint16)
    box = (slice(2, 9), slice(0, 3), slice(5, 7))
    for path in stores(tmp_path, array):
        volume, whole = opened(path), io.read_labels(path)
        np.testing.assert_array_equal(volume.array[box], whole.array[box], err_msg=path.name)
        assert volume.array.shape == whole.array.shape == array.shape
        assert (volume.spacing, volume.unit) == (whole.spacing, whole.unit)
        assert volume.array[box].dtype.isnative
        scores = segjax.evaluate_tiled(reference=path, prediction=array, tile=4, metrics=["pq"])
        assert scores["pq"] == 1


def test_what_cannot_be_read_in_parts_is_said(tmp_path):
    np.savez(tmp_path / "a.npz", labels=np.eye(3, dtype=np.uint8))
    assert io.open_labels(tmp_path / "a.npz") is None
    with pytest.raises(InputError, match=r"a\.npz: its format cannot be read in parts; save it"):
        segjax.evaluate_tiled(reference=tmp_path / "a.npz", prediction=np.eye(3, dtype=np.uint8))


def test_hostile_stores_are_refused(tmp_path):
    good = tmp_path / "good.npy"
    np.save(good, np.arange(12, dtype=np.int16).reshape(3, 4) - 4)
    with pytest.raises(InputError, match=r"good\.npy: holds negative labels"):
        opened(good).array[slice(0, 2), slice(0, 2)]
    (tmp_path / "cut.npy").write_bytes(good.read_bytes()[:-1])
    np.save(tmp_path / "float.npy", np.eye(3))
    np.save(tmp_path / "pickle.npy", np.array([{}, {}]), allow_pickle=True)
    for name, why in (("cut", "is cut"), ("float", "float64 values"), ("pickle", "pickle")):
        with pytest.raises(InputError, match=rf"{name}\.npy: .*{why}"):
            io.open_labels(tmp_path / f"{name}.npy")
    with pytest.raises(InputError, match="promises 12 voxels, more than the limit of 10"):
        io.open_labels(good, max_voxels=10)


# What is refused


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"metrics": ["cldice"]}, "cldice cannot be scored in tiles"),
        ({"metrics": ["hd95"], "surface": "mesh"}, "meshes cannot be measured in tiles"),
        ({"tile": 0}, "tile must be one number from 1 up"),
        ({"tile": (2, 2, 2)}, "tile must be one number from 1 up, or one for each of 2 axes"),
        ({"prediction": np.zeros((2, 2), int)}, "must have the same shape"),
        ({"prediction": [[0, 1]]}, "prediction must be a path, or an array"),
        ({"prediction": np.zeros((3, 3))}, "an image of integers or booleans, got float64"),
        ({"prediction": -np.eye(3, dtype=int)}, "prediction has the negative label -1"),
        ({"labels": "objects"}, "labels must be integers"),
        ({"spacing": (1, 2, 3)}, "spacing has 3 numbers"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(options, why):
    good = {"reference": np.eye(3, dtype=int), "prediction": np.eye(3, dtype=int)}
    with pytest.raises(InputError, match=why):
        segjax.evaluate_tiled(**(good | options))


def test_tiles_are_whole_chunks_and_few():
    assert make_grid((2048,) * 3, None, (128,) * 3).tile == (256,) * 3
    assert make_grid((500, 3000, 3000), None, (1, 3000, 3000)).tile == (1, 3000, 3000)
    assert make_grid((90, 80), None, None).tile == (90, 80)
    boxes = list(make_grid((5, 7), (2, 3), None).boxes())
    covered = np.zeros((5, 7), int)
    for box in boxes:
        covered[box] += 1
    assert (covered == 1).all()


# Folders


@pytest.fixture
def folders(tmp_path, rng):
    """Two cases of classes as .npy, and the options of a run that scores them."""
    for name in "ab":
        for side, array in zip("rp", pair(rng, (20, 18), 3), strict=True):
            (tmp_path / side).mkdir(exist_ok=True)
            np.save(tmp_path / side / f"{name}.npy", array.astype(np.uint8))
    return tmp_path


def run(folder_of, output, **options):
    metrics = ("dice", "hd95", "pq", "kappa")
    chosen = folder.Options(metrics=metrics, regions={"all": (1, 3)}, replicates=99, **options)
    return folder.run(folder_of / "r", folder_of / "p", chosen, output=folder_of / output)


@pytest.mark.parametrize("options", [{}, {"labels": "foreground"}, {"ignore": 2}], ids=str)
def test_folders_score_alike_in_tiles(folders, options):
    whole, tiled = run(folders, "whole", **options), run(folders, "tiled", tile=7, **options)
    assert (folders / "whole/scores.csv").read_text() == (folders / "tiled/scores.csv").read_text()
    assert tiled.summary["scores"] == whole.summary["scores"]
    assert "2 of 2 images were read in tiles" in tiled.summary["notes"][-1]
    assert "dice" in tiled.files["report"].read_text()


def test_missing_predictions_are_empty_in_tiles(folders):
    (folders / "p/b.npy").unlink()
    whole = run(folders, "whole", missing_as_empty=True)
    tiled = run(folders, "tiled", missing_as_empty=True, tile=7)
    assert tiled.summary["scores"] == whole.summary["scores"]


def test_large_images_are_read_in_tiles_unasked(folders, monkeypatch):
    monkeypatch.setattr(reading, "_SMALL", 0)
    monkeypatch.setattr(reading, "_LARGE", 360)
    assert "read in tiles" in str(run(folders, "out").summary["notes"])
    needs_all = folder.Options(metrics=("cldice",), labels=(1,), replicates=99)
    summary = folder.run(folders / "r", folders / "p", needs_all).summary
    assert "read in tiles" not in str(summary["notes"])


def test_the_command_says_what_cannot_be_tiled(folders, capsys):
    first, second = str(folders / "r/a.npy"), str(folders / "p/a.npy")
    wrong = [
        (["--tile", "8,x"], "--tile takes voxels along an axis"),
        (["--tile", "0"], "--tile takes voxels along an axis"),
        (["--tile", "8,8,8"], "one for each of 2 axes"),
        (["--tile", "8", "-m", "cldice"], "cldice cannot be scored in tiles"),
    ]
    for arguments, why in wrong:
        assert main(["evaluate", first, second, "-q", *arguments]) in (2, 3)
        assert why in capsys.readouterr().err
    assert main(["evaluate", first, second, "-q", "--tile", "8", "--json"]) == 0
