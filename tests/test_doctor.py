"""`segjax doctor`: every finding is found, and its command mends it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segjax import InputError
from segjax.cli import main
from segjax.doctor import environment, examine
from segjax.doctor.findings import KINDS
from tests.io import files


MASK = np.zeros((6, 8, 10), np.uint8)
MASK[1:4, 2:6, 3:9] = 1
RAS = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def folders(tmp_path):
    """Write arrays as .npy or .tif files, by side and name."""

    def write(suffix=".npy", **sides):
        for side in "rp":
            (tmp_path / side).mkdir(exist_ok=True)
            for name, array in sides.get(side, {}).items():
                path = tmp_path / side / f"{name}{suffix}"
                save = np.save if suffix == ".npy" else tifffile.imwrite
                save(path, np.asarray(array))
        return tmp_path / "r", tmp_path / "p"

    return write


def kinds(*folders):
    return [finding.kind for finding in examine(*folders).findings]


def only(*folders):
    (finding,) = examine(*folders).findings
    return finding


def moved(mask=MASK):
    return np.roll(mask, 1, axis=0)


def mended(finding, reference, prediction):
    """Run the command of a finding as a user would; the folder that it wrote."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        finding.command,
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    return reference, prediction.with_name(f"{prediction.name}-mended")


def test_two_good_folders_are_clean(folders):
    found = examine(*folders(r={"a": MASK, "b": MASK}, p={"a": moved(), "b": moved()}))
    assert (found.findings, found.is_clean, found.cases, found.layout) == ([], True, 2, "flat")


# Grids


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_axes_in_another_order_are_put_back(suffix, folders):
    r, p = folders(suffix, r={"a": MASK}, p={"a": moved().T})
    finding = only(r, p)
    assert finding.kind == "axes"
    folder = mended(finding, r, p)
    assert examine(*folder).is_clean
    read = np.load if suffix == ".npy" else tifffile.imread
    np.testing.assert_array_equal(read(folder[1] / f"a{suffix}"), moved())


def test_resampled_arrays_are_brought_back(folders):
    r, p = folders(r={"a": MASK}, p={"a": MASK.repeat(2, 0).repeat(2, 1).repeat(2, 2)})
    finding = only(r, p)
    assert finding.kind == "resampled"
    _, new = mended(finding, r, p)
    np.testing.assert_array_equal(np.load(new / "a.npy"), MASK)


def test_resampled_nifti_is_brought_back_by_its_header(tmp_path):
    pytest.importorskip("nibabel")
    r, p = (files.touch(tmp_path / side) for side in "rp")
    fine = np.diag([0.5, 1.0, 2.0, 1.0])
    fine[0, 3] = -0.25  # so that fields of view coincide
    files.nifti(r / "a.nii.gz", MASK, affine=RAS)
    files.nifti(p / "a.nii.gz", moved().repeat(2, 0), affine=fine)
    finding = only(r, p)
    assert (finding.kind, finding.severity) == ("resampled", "stops")
    assert kinds(*mended(finding, r, p)) == []


def test_resampled_metaimage_is_brought_back_by_its_header(tmp_path):
    pytest.importorskip("SimpleITK")
    r, p = (files.touch(tmp_path / side) for side in "rp")
    files.itk(r / "a.mha", MASK, spacing=(1.0, 1.0, 2.0))
    files.itk(p / "a.mha", moved().repeat(2, 2), spacing=(0.5, 1.0, 2.0), origin=(-0.25, 0, 0))
    finding = only(r, p)
    assert finding.kind == "resampled"
    assert kinds(*mended(finding, r, p)) == []


def test_orientation_is_told_and_turned_back(tmp_path):
    pytest.importorskip("nibabel")
    r, p = (files.touch(tmp_path / side) for side in "rp")
    flipped = RAS * [[-1], [1], [1], [1]]
    flipped[0, 3] = MASK.shape[0] - 1
    files.nifti(r / "a.nii.gz", MASK, affine=RAS)
    files.nifti(p / "a.nii.gz", MASK[::-1], affine=flipped)
    finding = only(r, p)
    assert finding.kind == "orientation"
    assert "LAS against RAS" in finding.detail
    folder = mended(finding, r, p)
    import nibabel

    np.testing.assert_array_equal(nibabel.load(folder[1] / "a.nii.gz").dataobj, MASK)
    assert examine(*folder).is_clean


def test_spacings_that_disagree(tmp_path):
    pytest.importorskip("nibabel")
    r, p = (files.touch(tmp_path / side) for side in "rp")
    files.nifti(r / "a.nii.gz", MASK, affine=RAS)
    files.nifti(p / "a.nii.gz", moved(), affine=np.diag([1.0, 1.0, 3.0, 1.0]))
    finding = only(r, p)
    assert finding.kind == "spacing"
    assert "--allow-spacing-mismatch" in finding.command


def test_position_that_disagrees(tmp_path):
    pytest.importorskip("nibabel")
    r, p = (files.touch(tmp_path / side) for side in "rp")
    shifted = RAS.copy()
    shifted[1, 3] = 2.0
    files.nifti(r / "a.nii.gz", MASK, affine=RAS)
    files.nifti(p / "a.nii.gz", moved(), affine=shifted)
    finding = only(r, p)
    assert finding.kind == "position"
    assert kinds(*mended(finding, r, p)) == []


def test_another_field_of_view_is_no_resampling(folders):
    finding = only(*folders(r={"a": MASK}, p={"a": MASK[:, :, :7]}))
    assert finding.kind == "shape"
    assert "(6, 8, 7)" in finding.detail
    assert "(6, 8, 10)" in finding.detail


def test_only_the_prediction_has_a_spacing(tmp_path):
    pytest.importorskip("nibabel")
    r, p = (files.touch(tmp_path / side) for side in "rp")
    np.save(r / "a.npy", MASK)
    files.nifti(p / "a.nii.gz", moved(), affine=RAS)
    finding = only(r, p)
    assert finding.kind == "unknown spacing"
    assert "--spacing 1,1,2" in finding.command


# Labels


def test_masks_of_other_values(folders):
    r, p = folders(r={"a": MASK}, p={"a": moved() * 255})
    finding = only(r, p)
    assert (finding.kind, finding.severity) == ("mask values", "stops")
    assert "--labels foreground" in finding.command
    assert main(["evaluate", str(r), str(p), "-q", "--replicates", "9"]) == 2
    assert (
        main(["evaluate", str(r), str(p), "-q", "--replicates", "9", "--labels", "foreground"]) == 0
    )


def test_unexpected_and_missing_labels(folders):
    two = MASK * 1
    two[5] = 2
    found = examine(*folders(r={"a": MASK, "b": two}, p={"a": MASK * 4, "b": moved()})).findings
    assert [f.kind for f in found] == ["unexpected labels", "never predicted"]
    assert found[0].command.endswith("--labels 1,2")
    assert "label 2" in found[1].detail


def objects(count, shape=(20, 40)):
    labels = np.zeros(shape, np.uint16)
    labels[::2, ::2].flat[:count] = np.arange(1, count + 1)
    return labels


def test_many_objects_are_taken_as_objects(folders):
    r, p = folders(r={"a": objects(40)}, p={"a": objects(39)})
    assert kinds(r, p) == ["objects"]
    np.save(p / "a.npy", (objects(39) > 0).astype(np.uint8))
    found = examine(r, p).findings
    assert [f.kind for f in found] == ["merged objects", "objects"]
    assert found[0].command.endswith("--relabel")


def test_few_objects_are_not_classes(folders):
    r = {f"c{n}": objects(n) for n in (3, 5, 9)}
    finding = only(*folders(r=r, p={name: np.roll(x, 1) for name, x in r.items()}))
    assert (finding.kind, finding.severity) == ("objects as classes", "changes")
    classes = dict.fromkeys(r, objects(5))
    assert kinds(*folders(r=classes, p=classes))[0] != "objects as classes"


def test_objects_among_classes_stop_a_run(folders):
    r, p = folders(r={"a": objects(2), "b": objects(50)}, p={"a": objects(2), "b": objects(50)})
    found = examine(r, p).findings
    assert found[0].kind == "too many labels"
    assert main(["evaluate", str(r), str(p), "-q"]) == 2
    assert not examine(r, p).is_clean


def test_names_of_nnunet_are_binding(folders):
    r, p = folders(r={"a": MASK * 3}, p={"a": moved()})
    files.dataset(r, labels={"background": 0, "liver": 1, "tumour": 2})
    finding = only(r, p)
    assert finding.kind == "unlisted labels"
    assert "label 3" in finding.detail
    assert finding.command.endswith("--labels 1,2")


def test_empty_masks_are_told_apart(folders):
    none = MASK * 0
    r, p = folders(r={"a": MASK, "b": none, "c": MASK}, p={"a": none, "b": none, "c": moved()})
    found = examine(r, p)
    assert {f.kind: f.cases for f in found.findings if f.kind.startswith("empty")} == {
        "empty prediction": ["a"],
        "empty reference": ["b"],
    }
    assert found.is_clean


def test_float_labels_are_made_integers(folders):
    r, p = folders(r={"a": MASK}, p={"a": moved().astype(np.float32)})
    finding = only(r, p)
    assert (finding.kind, finding.severity) == ("float labels", "note")
    _, new = mended(finding, r, p)
    assert np.load(new / "a.npy").dtype == np.uint16


def test_images_are_no_label_maps(folders, rng):
    noise = rng.integers(0, 5000, (64, 64)).astype(np.uint16)
    assert "intensities" in kinds(*folders(r={"a": objects(5, (64, 64))}, p={"a": noise}))


def test_a_copied_reference_is_told(folders):
    assert kinds(*folders(r={"a": MASK}, p={"a": MASK})) == ["same file"]


# Names and damage


def test_damaged_files_do_not_stop_the_examination(folders):
    r, p = folders(r={k: MASK for k in "abc"}, p={k: moved() for k in "abc"})
    (p / "a.npy").write_bytes(b"\x93NUMPY broken")
    np.save(p / "b.npy", np.full(MASK.shape, 0.3))
    (r / "c.npy").write_bytes(b"")
    (finding,) = (f for f in examine(r, p).findings if f.severity == "stops")
    assert (finding.kind, finding.cases) == ("unreadable", ["a", "b", "c"])


def test_missing_and_spare_cases(folders):
    r, p = folders(r={"a": MASK, "b": MASK}, p={"a": moved(), "c": moved()})
    found = {f.kind: f for f in examine(r, p).findings}
    assert found["missing predictions"].cases == ["b"]
    assert found["missing predictions"].severity == "changes"
    assert found["spare predictions"].cases == ["c"]
    assert found["spare predictions"].severity == "note"


def test_duplicate_names_are_all_told(folders):
    r, p = folders(r={"a": MASK, "b": MASK}, p={"a": moved(), "b": moved()})
    for name in "ab":
        tifffile.imwrite(p / f"{name}.tif", moved())
    finding = only(r, p)
    assert (finding.kind, finding.cases) == ("duplicate names", ["a", "b"])
    subprocess.run(finding.command, shell=True, check=True)
    assert only(r, p).cases == ["b"]


def test_folders_that_cannot_be_paired(folders):
    r, p = folders(r={"a": MASK}, p={"x": moved()})
    assert only(r, p).kind == "unpaired folders"


def test_frames_of_the_cell_tracking_challenge(tmp_path):
    truth, result = files.touch(tmp_path / "01_GT" / "SEG"), files.touch(tmp_path / "01_RES")
    tifffile.imwrite(truth / "man_seg000.tif", objects(9))
    tifffile.imwrite(result / "mask000.tif", objects(8))
    found = examine(tmp_path / "01_GT", result)
    assert (found.layout, found.findings) == ("ctc", [])


def test_two_files_are_one_case(tmp_path):
    np.save(tmp_path / "a.npy", MASK)
    np.save(tmp_path / "b.npy", moved() * 7)
    finding = only(tmp_path / "a.npy", tmp_path / "b.npy")
    assert finding.kind == "mask values"
    assert "a.npy" in finding.command


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_not_there_is_bad_usage(which, folders, tmp_path):
    there = list(folders(r={"a": MASK}, p={"a": MASK}))
    there[which] = tmp_path / "nowhere"
    with pytest.raises(InputError, match="nowhere: there is no such file or folder"):
        examine(*there)
    assert main(["doctor", str(there[0])]) == 2


def test_headers_alone_tell_of_grids_and_not_of_labels(folders, monkeypatch):
    r, p = folders(r={"a": MASK, "b": MASK}, p={"a": moved() * 9, "b": moved()[:5]})
    assert kinds(r, p) == ["shape", "unexpected labels"]
    monkeypatch.setattr("segjax.io.read_labels", lambda *_: pytest.fail("read voxels"))
    assert [f.kind for f in examine(r, p, headers=True).findings] == ["shape"]
    assert main(["doctor", str(r), str(p), "--headers"]) == 1


def test_patterns_and_lists_are_examined(folders, tmp_path):
    r, p = folders(r={"a": MASK}, p={"a_v2": moved()[:5]})
    finding = only(r / "{id}.npy", p / "{id}_v2.npy")
    assert finding.kind == "shape"
    manifest = tmp_path / "pairs.csv"
    manifest.write_text("reference,prediction\nr/a.npy,p/a_v2.npy\n")
    assert only(manifest).kind == "shape"
    np.save(p / "a_v2.npy", moved() * 5)
    assert only(manifest).command == f"segjax evaluate {manifest} --labels foreground"


# The command


def test_command_exits_with_1_where_something_is_to_be_mended(folders, capsys):
    r, p = folders(r={"a": MASK, "b": MASK}, p={"a": moved(), "b": moved()[:5]})
    assert main(["doctor", str(r), str(p)]) == 1
    out = capsys.readouterr().out
    assert "stops     Another shape" in out
    assert "mend: mkdir -p" in out
    assert "2 cases (flat): 1 to mend" in out
    (p / "b.npy").unlink()
    shutil.copy(r / "b.npy", p / "b.npy")
    assert main(["doctor", str(r), str(p)]) == 0
    assert "nothing would stop or change" in capsys.readouterr().out


def test_json_is_whole(folders, capsys):
    r, p = folders(r={"a": MASK}, p={"a": moved()[:5]})
    assert main(["doctor", str(r), str(p), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [f["kind"] for f in found["findings"]] == ["shape"]
    assert found["environment"]["devices"]


def test_environment_names_devices_versions_extras_and_cache(capsys):
    around = environment()
    assert around.devices
    assert {"segjax", "python", "jax", "numpy"} <= set(around.versions)
    assert {"io", "medical", "itk", "zarr", "tables"} <= set(around.extras)
    assert not {"dev", "bench", "all"} & set(around.extras)
    assert around.cache_bytes >= 0
    assert 0 <= around.first_run.compile_seconds <= around.first_run.seconds
    assert around.first_run.programs >= around.first_run.from_cache >= 0
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for heading in ("segjax", "devices", "versions", "extras", "compiled", "first run"):
        assert f"\n{heading} " in f"\n{out}"


def test_missing_extras_are_told_with_their_command(monkeypatch, capsys):
    module = sys.modules["segjax.doctor.environment"]
    there = module._version
    monkeypatch.setattr(module, "_version", lambda p: None if p == "nibabel" else there(p))
    assert main(["doctor"]) == 0
    assert 'no medical (nibabel): pip install "segjax[medical]"' in capsys.readouterr().out


def test_accelerator_that_is_not_used_is_a_note(monkeypatch, tmp_path, capsys):
    device = tmp_path / "nvidia0"
    device.touch()
    monkeypatch.setattr(sys.modules["segjax.doctor.environment"], "_GPUS", (str(device),))
    assert main(["doctor"]) == 0
    assert 'pip install "segjax[cuda12]"' in capsys.readouterr().out


def test_kinds_are_worst_first_and_named_once():
    order = ["stops", "changes", "note"]
    assert [k.severity for k in KINDS] == sorted((k.severity for k in KINDS), key=order.index)
    assert len({k.name for k in KINDS}) == len(KINDS)
