"""Sequences of the Cell Tracking Challenge, scored as the challenge does, by the command."""

import json
import math
import warnings
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from segjax import folder
from segjax._errors import InputError
from segjax.cli import main
from segjax.folder.plan import DETECTION_METRICS, TRACKING_METRICS
from segjax.table import Column
from tests.reference import instance as reference_instance
from tests.test_cli import Result


SAMPLE = files("segjax") / "data" / "stardist_sample"
METHODS = ("otsu_cc", "li_under", "local_ws", "log_ws", "otsu_dtws", "otsu_over")
SHAPE = (6, 8)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, compression=None)


def markers(labels):
    """The inner voxels of objects; small ones have none."""
    size = (3,) * labels.ndim
    inner = ndimage.minimum_filter(labels, size) == ndimage.maximum_filter(labels, size)
    return np.where(inner, labels, 0).astype(labels.dtype)


class Sequence:
    """A sequence in memory, that writes itself as the challenge would have it."""

    def __init__(self, place, results, outlines=None, marked=None):
        self.truth, self.result = place / "01_GT", place / "01_RES"
        self.results, self.outlines, self.marked = results, outlines or {}, marked or {}
        for frame, labels in enumerate(results):
            if labels is not None:
                write(self.result / f"mask{frame:03}.tif", labels)
        for name, labels in self.outlines.items():
            write(self.truth / "SEG" / f"man_seg{name}.tif", labels)
        for frame, labels in self.marked.items():
            write(self.truth / "TRA" / f"man_track{frame:03}.tif", labels)

    def with_tracks(self):
        """With the tracks py-ctcmetrics wants: each label of a frame is one of its own."""
        tracks = lambda frames: "".join(
            f"{k} {t} {t} 0\n" for t, x in frames for k in np.unique(x) if k
        )
        (self.result / "res_track.txt").write_text(tracks(enumerate(self.results)))
        (self.truth / "TRA" / "man_track.txt").write_text(tracks(self.marked.items()))
        return self


def numbered(frames):
    """Frames whose labels are all different."""
    most = max(int(x.max()) for x in frames)
    return [np.where(x, x + t * (most + 1), 0).astype(np.uint16) for t, x in enumerate(frames)]


def flat(place):
    """Nuclei in 6 frames; outlines in three, of which the last lacks a third of them."""
    part = np.s_[100:300, 60:260]
    truth = tifffile.imread(str(SAMPLE / "mask2d.tif"))[part]
    results = [tifffile.imread(str(SAMPLE / "pred" / f"{m}.tif"))[part] for m in METHODS]
    truths = numbered([np.roll(truth, t, axis=0) for t in range(6)])
    results = numbered([np.roll(x, t, axis=0) for t, x in enumerate(results)])
    outlines = {f"{t:03}": truths[t] for t in (1, 2, 4)}
    outlines["004"] = np.where(truths[4] % 3, truths[4], 0)
    return Sequence(place, results, outlines, {t: markers(x) for t, x in enumerate(truths)})


def in_depth(place):
    """Nuclei in 3 stacks; two planes of each are outlined."""
    truth = tifffile.imread(str(SAMPLE / "mask3d.tif"))
    truths = numbered([truth, truth[:, ::-1], truth[:, :, ::-1]])
    shift = [(1, 0, 0), (0, 2, 1), (1, 1, 3)]
    results = [np.roll(x, s, (0, 1, 2)) // 2 for x, s in zip(truths, shift, strict=True)]
    outlines = {f"_{t:03}_{z:03}": x[z] for t, x in enumerate(truths) for z in (9 + t, 20 - t)}
    return Sequence(place, results, outlines, {t: markers(x) for t, x in enumerate(truths)})


@pytest.fixture(scope="module", params=[flat, in_depth])
def sequence(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("ctc")).with_tracks()


@pytest.fixture
def segjax(capsys):
    def run(*arguments):
        status = main(["evaluate", "--replicates", "99", "--quiet", *map(str, arguments)])
        return Result(status, *capsys.readouterr())

    return run


def score(sequence, truth=None, **options):
    output, resume = options.pop("output", None), options.pop("resume", False)
    chosen = folder.Options(replicates=99, **options)
    return folder.run(
        truth or sequence.truth, sequence.result, chosen, output=output, resume=resume
    )


def pooled(summary):
    return {e["metric"]: e["pooled"] for e in summary["scores"]}


def images(sequence):
    """Outlines and results by frame, the planes of a frame together."""
    frames = {}
    for name, labels in sequence.outlines.items():
        t, *plane = (int(x) for x in name.strip("_").split("_"))
        result = sequence.results[t][plane[0]] if plane else sequence.results[t]
        frames.setdefault(t, []).append((labels, result))
    return [[np.stack(x) for x in zip(*pairs, strict=True)] for pairs in frames.values()]


@cache
def costs(frame, sequence):
    """What it costs to mend the detections of a frame, and to make them anew."""
    r, p = reference_instance.both(sequence.marked[frame], sequence.results[frame])
    found = reference_instance.covering(r, p)
    covers = [found.count(j) for j in range(len(p))]
    splits = sum(n - 1 for n in covers if n > 1)
    return 5 * splits + 10 * found.count(None) + covers.count(0), 10 * len(r)


# The challenge's own numbers


def test_seg_and_det_are_those_of_py_ctcmetrics(sequence, segjax, capsys):
    pytest.importorskip("ctc_metrics")
    from ctc_metrics.scripts.evaluate import evaluate_sequence

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = evaluate_sequence(
            str(sequence.result), str(sequence.truth), ["Valid", "SEG", "DET", "TRA"], threads=1
        )
    assert expected["Valid"]
    capsys.readouterr()  # it prints
    result = segjax(sequence.truth, sequence.result, "--json", "-m", "SEG,DET,ctc_fn,ctc_fp,ctc_ns")
    found = pooled(json.loads(result.out))
    assert found["seg"] == pytest.approx(expected["SEG"], abs=1e-9)
    assert found["det"] == pytest.approx(expected["DET"], abs=1e-9)
    for kind in ("fn", "fp", "ns"):
        assert found[f"ctc_{kind}"] == expected[f"AOGM_{kind.upper()}"]
    assert 0.1 < found["seg"] < 0.95
    assert 0.1 < found["det"] < 0.99


def test_seg_and_det_are_those_of_the_definition(sequence):
    found = pooled(score(sequence).summary)
    total, objects = 0.0, 0
    for r, p in images(sequence):
        n = len(reference_instance.objects(r))
        total += n * reference_instance.seg(r, p)
        objects += n
    assert found["seg"] == pytest.approx(total / objects, abs=1e-12)
    cost, anew = np.sum([costs(t, sequence) for t in sequence.marked], axis=0)
    assert found["det"] == pytest.approx(1 - min(cost, anew) / anew, abs=1e-12)


def test_printed_digits_are_the_pooled_ones(sequence, segjax):
    result = segjax(sequence.truth, sequence.result)
    printed = {line.split()[0]: line.split()[-1] for line in result.out.splitlines()[2:]}
    found = pooled(score(sequence).summary)
    assert tuple(printed) == TRACKING_METRICS
    assert printed == {name: f"{value:.4f}" for name, value in found.items()}
    assert "its SEG and DET are the pooled scores" in result.err
    frames = len(sequence.marked)
    assert f"det: against the markers of TRA, pooled over all its {frames} frames" in result.err


def test_det_of_a_case_is_that_of_the_markers_of_its_frame(sequence):
    table = score(sequence).table
    for case, value in zip(table.cases, table.column("det"), strict=True):
        cost, anew = costs(int(case[1:4]), sequence)
        assert value == pytest.approx(1 - min(cost, anew) / anew, abs=1e-12)


def test_resumed_sequence_has_the_same_scores(sequence, tmp_path):
    output = tmp_path / "out"
    whole = score(sequence, output=output)
    journal = output / "cases.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == len(sequence.outlines) + len(sequence.marked)
    for kept in (2, len(lines) - 1):
        journal.write_text("".join(lines[:kept]))
        again = score(sequence, output=output, resume=True)
        assert again.reused == min(kept, len(sequence.outlines))
        assert again.summary["scores"] == whole.summary["scores"]
        assert journal.read_text() == "".join(lines)


def test_cells_that_are_not_outlined_are_told(tmp_path):
    sequence = flat(tmp_path)
    (note,) = [n for n in score(sequence).summary["notes"] if "fewer objects" in n]
    assert note.startswith("1 of 3 frames have fewer objects in SEG than in TRA")


# Which truth there is

SQUARES = np.zeros(SHAPE, np.uint16)
SQUARES[1:3, 1:3], SQUARES[1:3, 4:6], SQUARES[4:6, 1:7] = 1, 2, 3
HALF = np.where(SQUARES == 3, 0, SQUARES)


def test_without_markers_outlines_are_what_is_to_be_detected(tmp_path):
    report = score(Sequence(tmp_path, [SQUARES], {"000": HALF}))
    found = pooled(report.summary)
    assert found["seg"] == 1  # an object more costs nothing
    assert found["det"] == pytest.approx(1 - 1 / 20)  # one false positive for two objects
    assert any("det: against SEG, for there is no TRA" in n for n in report.summary["notes"])


def test_seg_folder_itself_is_taken_at_its_word(tmp_path):
    sequence = Sequence(tmp_path, [SQUARES], {"000": HALF}, {0: SQUARES})
    assert pooled(score(sequence).summary)["det"] == 1
    assert pooled(score(sequence, sequence.truth / "SEG").summary)["det"] == pytest.approx(
        1 - 1 / 20
    )


def test_markers_alone_are_a_truth_for_detection(tmp_path):
    report = score(Sequence(tmp_path, [SQUARES, HALF], marked={0: SQUARES, 1: SQUARES}))
    assert report.table.metrics == DETECTION_METRICS
    assert report.table.column("det").tolist() == [1, pytest.approx(1 - 10 / 30)]
    assert pooled(report.summary)["det"] == pytest.approx(1 - 10 / 60)
    assert any("the truth is TRA alone" in n for n in report.summary["notes"])


def test_markers_that_come_later_are_no_continuation(tmp_path):
    sequence = Sequence(tmp_path, [SQUARES], {"000": HALF})
    score(sequence, output=tmp_path / "out")
    write(sequence.truth / "TRA" / "man_track000.tif", SQUARES)
    with pytest.raises(InputError, match="the earlier run had other options"):
        score(sequence, output=tmp_path / "out", resume=True)


def test_markers_are_not_read_unless_they_are_asked_for(tmp_path):
    sequence = Sequence(tmp_path, [SQUARES], {"000": HALF})
    write(sequence.truth / "TRA" / "man_track000.tif", np.zeros((2, 2), np.uint8))
    assert pooled(score(sequence, metrics=("seg",)).summary)["seg"] == 1


def test_planes_of_a_frame_are_one_image(tmp_path):
    # Object 3 has 6 voxels in plane 0 and 6 in plane 1, of which 8 of 12 are found: one object,
    # more than half of which is covered. Plane by plane it is covered wholly, and by a third.
    stack = np.stack([SQUARES, np.where(SQUARES == 3, 3, 0).astype(np.uint16)])
    found = stack.copy()
    found[1, 4:6, 3:7] = 0
    sequence = Sequence(tmp_path, [found], {"_000_000": stack[0], "_000_001": stack[1]})
    report = score(sequence)
    assert report.table.cases == ("t000_z000", "t000_z001")
    assert report.table.column("seg").tolist() == [1, 0]
    assert pooled(report.summary)["seg"] == pytest.approx((1 + 1 + 16 / 24) / 3)


# Frames without a result


def test_frame_without_a_mask_is_missed_not_passed_over(tmp_path, segjax):
    truths = {f"{t:03}": SQUARES for t in range(3)}
    marked = {t: SQUARES for t in range(4)}
    lacking = Sequence(tmp_path / "a", [SQUARES, None, SQUARES, None], truths, marked)
    empty = Sequence(tmp_path / "b", [SQUARES, SQUARES * 0, SQUARES, SQUARES * 0], truths, marked)
    report = score(lacking)
    assert report.summary["scores"] == score(empty).summary["scores"]
    assert pooled(report.summary)["seg"] == pytest.approx(2 / 3)
    assert pooled(report.summary)["det"] == pytest.approx(1 - 2 / 4)
    assert report.table.column("seg").tolist() == [1, 0, 1]
    assert report.summary["unpaired"]["reference"] == ["t001", "t003"]
    assert report.summary["inputs"][1]["prediction"] == {"path": None, "sha256": None}
    result = segjax(lacking.truth, lacking.result)
    assert "2 references without a prediction, counted as empty: t001, t003" in result.err


def test_mask_that_comes_later_is_scored_on_resuming(tmp_path):
    sequence = Sequence(tmp_path, [SQUARES, None], {"000": SQUARES, "001": SQUARES})
    assert pooled(score(sequence, output=tmp_path / "out").summary)["seg"] == 0.5
    write(sequence.result / "mask001.tif", SQUARES)
    again = score(sequence, output=tmp_path / "out", resume=True)
    assert pooled(again.summary)["seg"] == 1
    assert again.reused == 1


def test_frame_without_objects_says_nothing_of_seg(tmp_path):
    sequence = Sequence(tmp_path, [SQUARES, SQUARES], {"000": SQUARES, "001": SQUARES * 0})
    report = score(sequence)
    np.testing.assert_array_equal(report.table.column("seg"), [1, math.nan])
    assert report.table.pooled(Column("seg", None)) == 1
    assert report.table.pooled(Column("det", None)) == pytest.approx(1 - 3 / 30)


# Bad and odd files


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("SEG", r"mask000.tif: has shape \(5, 8\), its reference .*man_seg000.tif has \(6, 8\)"),
        ("TRA", r"mask000.tif: has shape \(6, 8\), its reference .*man_track000.tif has \(5, 8\)"),
    ],
)
def test_shapes_that_differ_name_both_files(tmp_path, kind, words):
    short = SQUARES[1:]
    result, marked = (short, short) if kind == "SEG" else (SQUARES, short)
    with pytest.raises(InputError, match=words):
        score(Sequence(tmp_path, [result], {"000": SQUARES}, {0: marked}))


def test_plane_that_the_result_lacks_is_named(tmp_path):
    stack = np.stack([SQUARES] * 2)
    with pytest.raises(InputError, match=r"mask000.tif: has no plane 7, which man_seg_000_007"):
        score(Sequence(tmp_path, [stack], {"_000_007": SQUARES}))


def test_whole_floats_are_read_and_told(tmp_path):
    report = score(Sequence(tmp_path, [SQUARES.astype(np.float32)], {"000": SQUARES}))
    assert pooled(report.summary)["seg"] == 1
    assert any("mask000.tif: labels stored as float32" in n for n in report.summary["notes"])


@pytest.mark.parametrize("name", ["man_seg000.tif", "mask000.tif"])
def test_fractions_are_refused_by_the_name_of_their_file(tmp_path, name):
    half = SQUARES / np.float32(2)
    truth, result = (half, SQUARES) if name.startswith("man") else (SQUARES, half)
    with pytest.raises(InputError, match=f"{name}: holds fractions"):
        score(Sequence(tmp_path, [result], {"000": truth}))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.uint64])
def test_ids_at_the_end_of_their_type_are_objects_like_others(dtype, tmp_path):
    most = np.iinfo(dtype).max
    high = np.where(SQUARES, most - SQUARES.astype(dtype), 0).astype(dtype)
    low = SQUARES.astype(dtype)
    for i, (truth, result) in enumerate([(high, high), (high, low), (low, high)]):
        place = tmp_path / str(i)
        found = pooled(score(Sequence(place, [result], {"000": truth}, {0: truth})).summary)
        assert found["seg"] == found["det"] == found["pq"] == 1


def test_map_without_background_has_objects_all_the_same(tmp_path):
    full = np.ones(SHAPE, np.uint16)
    full[3:] = 2
    found = pooled(score(Sequence(tmp_path, [full], {"000": full}, {0: full})).summary)
    assert found["seg"] == found["det"] == 1


def test_swapped_folders_are_told_apart(tmp_path, segjax):
    sequence = Sequence(tmp_path, [SQUARES], {"000": SQUARES})
    result = segjax(sequence.result, sequence.truth)
    assert result.status == 2
    assert "01_RES: holds results (mask000.tif)" in result.err
    assert f"give the truth first: {sequence.truth} {sequence.result}" in result.err


@pytest.mark.parametrize("place", ["01_RES/mask0.tif", "01_GT/SEG/man_seg0.tif"])
def test_two_files_of_one_frame_are_refused(tmp_path, place):
    sequence = Sequence(tmp_path, [SQUARES], {"000": SQUARES})
    write(tmp_path / place, SQUARES)
    with pytest.raises(InputError, match="are the same frame; keep one of them"):
        score(sequence)


def test_two_markers_of_one_frame_are_refused(tmp_path):
    sequence = Sequence(tmp_path, [SQUARES], {"000": SQUARES}, {0: SQUARES})
    write(sequence.truth / "TRA" / "man_track0.tif", SQUARES)
    with pytest.raises(InputError, match=r"TRA: .* are the same frame"):
        score(sequence)


def test_image_in_the_place_of_labels_is_noticed(tmp_path):
    image = tifffile.imread(str(SAMPLE / "img2d.tif"))[:120, :120].astype(np.uint16)
    image = image * 64 + np.arange(image.size, dtype=np.uint16).reshape(image.shape) % 61
    truth = tifffile.imread(str(SAMPLE / "mask2d.tif"))[:120, :120]
    (note,) = [
        n
        for n in score(Sequence(tmp_path, [image], {"000": truth})).summary["notes"]
        if "scattered" in n
    ]
    labels = np.unique(image).size
    assert f"mask000.tif: labels lie scattered, {labels} of them in 14400 voxels" in note


def test_many_small_objects_are_no_image(tmp_path):
    dots = np.zeros((100, 100), np.uint16)  # 2,500 objects of one voxel each, a quarter of all
    dots[::2, ::2] = np.arange(1, 2501).reshape(50, 50)
    halves = np.arange(5000, dtype=np.uint16).reshape(50, 100).repeat(2, axis=1)
    for i, labels in enumerate((dots, halves + 1)):
        report = score(Sequence(tmp_path / str(i), [labels], {"000": labels}))
        assert not any("scattered" in n for n in report.summary["notes"])
        assert pooled(report.summary)["seg"] == 1


def test_memory_that_runs_out_while_scoring_names_the_file(tmp_path, monkeypatch):
    def full(case):
        raise MemoryError

    monkeypatch.setattr("segjax.folder.scoring.find_segments", full)
    words = r"man_seg000.tif: does not fit in memory .* \(192 B\); crop it"  # 6 x 8 x 2 x 2 bytes
    with pytest.raises(InputError, match=words):
        score(Sequence(tmp_path, [SQUARES], {"000": SQUARES}))
