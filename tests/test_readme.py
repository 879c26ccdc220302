"""What the README says to type works when typed."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import segjax
from segjax.cli import command, main
from tests.io.files import dataset, nifti


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FIRST = README[README.index("## First five minutes") : README.index("## Folders")]
SAMPLE = ROOT / "segjax" / "data" / "stardist_sample"
ELSEWHERE = ("make ", "pip ", "napari ")  # of an environment, not of the library


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands(text):
    """The command lines of a block, without comments."""
    joined = text.replace("\\\n", " ")
    return [line for line in map(str.strip, joined.splitlines()) if line and line[0] != "#"]


# The first five minutes, each as it stands, in a process of its own.

SCRIPTS = re.findall(r"^```(bash|python)\n(.*?)^```", FIRST, re.M | re.S)


@pytest.mark.parametrize(("language", "text"), SCRIPTS, ids=[str(i) for i in range(len(SCRIPTS))])
def test_a_first_script_prints_a_number(language, text, tmp_path):
    (tmp_path / "segjax").symlink_to(ROOT / "segjax")
    home = Path(sys.executable).parent
    run = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*run, text],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{home}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d\.\d{2}", done.stdout)


def test_there_is_a_first_script_for_each_of_five_users():
    assert len(SCRIPTS) == 5


# All other commands, in folders that hold what they name.


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Folders of volumes with a spacing in mm, of a challenge's sequence, and of nnU-Net."""
    place = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(0)
    for folder in ("labels", "predictions", "labelsTr", "fold_0/validation"):
        (place / folder).mkdir(parents=True)
    truth = np.zeros((3, 6, 12, 10), np.uint8)
    truth[:, 1:5, 2:9, 2:4], truth[:, 1:4, 2:6, 4:7], truth[:, 2:4, 7:10, 5:8] = 1, 2, 3
    for i, labels in enumerate(truth):
        found = np.where(rng.random(labels.shape) < 0.9, labels, 0).astype(np.uint8)
        for folder, x in (("labels", labels), ("predictions", found)):
            nifti(place / folder / f"case{i}.nii.gz", x, (0.7, 0.7, 2.0))
        for folder, x in (("labelsTr", labels), ("fold_0/validation", found)):
            nifti(place / folder / f"case_{i:03}.nii.gz", x, (0.7, 0.7, 2.0))
    names = {"background": 0, "kidney": 1, "tumour": 2, "cyst": 3}
    dataset(place, labels=names, channel_names={"0": "CT"}, file_ending=".nii.gz", numTraining=3)
    for name, x in (("big", truth[0]), ("found", truth[1])):
        zarr.create_array(str(place / f"{name}.zarr"), data=x, chunks=(4, 4, 4))
    for name, x in (("a", truth[0]), ("b", truth[1])):
        nifti(place / f"{name}.nii.gz", x, (0.7, 0.7, 2.0))
    truth, found = SAMPLE / "mask2d.tif", SAMPLE / "pred" / "otsu_cc.tif"
    crop = (slice(0, 96), slice(0, 96))
    for path, source in (
        ("01_GT/SEG/man_seg000.tif", truth),
        ("01_GT/TRA/man_track000.tif", truth),
        ("01_RES/mask000.tif", found),
    ):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(place / path, tifffile.imread(source)[crop].astype(np.uint16))
    pairs = "".join(f"labels/case{i}.nii.gz,predictions/case{i}.nii.gz\n" for i in range(3))
    (place / "pairs.csv").write_text(f"reference,prediction\n{pairs}")
    return place


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folders of images, masks and label maps."""
    place = tmp_path_factory.mktemp("pictures")
    image, truth = (tifffile.imread(SAMPLE / f"{name}2d.tif") for name in ("img", "mask"))
    found = tifffile.imread(SAMPLE / "pred" / "otsu_dtws.tif")
    grey = np.clip(image / np.percentile(image, 99.8) * 255, 0, 255)
    for folder in ("images", "labels/x", "predictions", "annotated", "masks", "predicted"):
        (place / folder).mkdir(parents=True)
    for i in range(2):
        part = (slice(0, 128), slice(128 * i, 128 * i + 128))
        for path, x in (
            (f"images/{i}.png", grey),
            (f"labels/{i}.png", found),
            (f"annotated/{i}.png", truth),
            (f"labels/x/{i}_gt.png", truth),
            (f"predictions/{i}.png", found),
            (f"masks/{i}.png", truth > 0),
            (f"predicted/{i}.png", found > 0),
        ):
            small = (
                np.unique(x[part], return_inverse=True)[1] if x is truth or x is found else x[part]
            )
            Image.fromarray(small.reshape(128, 128).astype(np.uint8)).save(place / path)
    return place


@pytest.fixture(scope="module")
def runs(volumes, tmp_path_factory):
    """What earlier runs left: folders of evaluations, tables of scores, a board in YAML."""
    place = tmp_path_factory.mktemp("runs")
    for name in ("runs/unet", "runs/otsu", "runs/ours", "out1", "out2", "out-a", "out-b"):
        arguments = [str(volumes / "labels"), str(volumes / "predictions"), "-m", "dice,hd95"]
        assert main(["evaluate", *arguments, "-l", "1", "-o", str(place / name), "-q"]) == 0
    rng = np.random.default_rng(0)
    lines = [
        f"{i},{model},dice,{rng.random():.3f},p{i // 2},{'AB'[i % 2]},{i}"
        for i in range(12)
        for model in ("unet", "otsu")
    ]
    head = "case,model,metric,score,patient,scanner,size"
    (place / "scores.csv").write_text("\n".join([head, *lines]) + "\n")
    rows = [f"case{i},theirs,{m},{v}" for i in range(3) for m, v in (("dice", 0.5), ("hd95", 3))]
    (place / "theirs.csv").write_text("\n".join(["case,model,metric,score", *rows]) + "\n")
    about = [f"case{i},p{i},liver,{i}" for i in range(3)]
    (place / "cases.csv").write_text("\n".join(["case,patient,organ,size", *about]) + "\n")
    (board,) = blocks("yaml", README)
    (place / "board.yaml").write_text(board)
    return place


PLACES = {  # what a line names, where it is run
    "{id}": "pictures",
    "masks/": "pictures",
    "assess": "pictures",
    "a/scores.csv": "pictures",
    "leaderboard": "runs",
    "compare": "runs",
}
OTHERS = [block for block in blocks("bash", README) if block not in {text for _, text in SCRIPTS}]


@pytest.mark.parametrize("text", OTHERS, ids=[str(i) for i in range(len(OTHERS))])
def test_a_command_runs(text, request, tmp_path, monkeypatch):
    for line in commands(text):
        typed = shlex.split(line, comments=True)
        if line.startswith(ELSEWHERE):
            continue
        if typed[0] == "eval":
            assert segjax_completion(typed[1])
            continue
        assert typed[0] == "segjax"
        place = next((place for part, place in PLACES.items() if part in line), "volumes")
        if typed[1] in ("train", "bench"):  # long: only that there are such options
            with command.make_context("segjax", typed[1:]) as context:
                name, of_it, rest = command.resolve_command(context, typed[1:])
                of_it.make_context(name, rest, parent=context)
            continue
        here = tmp_path / place
        if not here.exists():
            shutil.copytree(request.getfixturevalue(place), here)
        monkeypatch.chdir(here)
        shutil.rmtree("out", ignore_errors=True)
        prepare(line)
        gate = "--fail-under" in line or "--baseline" in line
        assert main(typed[1:]) in ((0, 1) if gate else (0,)), line


def prepare(line):
    """What a line needs of lines before it, elsewhere in the README."""
    if "--baseline" in line:
        assert main(["evaluate", "labels/", "predictions/", "-o", "out/", "-q"]) == 0
    if "a/scores.csv" in line:
        for folder in ("a", "b"):
            assert main(["assess", "images/", "labels/", "-o", folder, "-q"]) == 0


def segjax_completion(text):
    variable = re.search(r"(_SEGJAX_COMPLETE)=(\w+)", text)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "segjax")],
        env=os.environ | {variable[1]: variable[2]},
        capture_output=True,
        text=True,
    )
    return "complete" in done.stdout


@pytest.mark.parametrize(
    "text", blocks("python", README), ids=lambda text: text.split("\n")[-2][:30]
)
def test_lines_of_python_run(text, volumes, monkeypatch):
    if text in {script for _, script in SCRIPTS}:
        return  # run above
    monkeypatch.chdir(volumes)
    rng = np.random.default_rng(0)
    r, p = (rng.integers(0, 6, (4, 16, 12)) for _ in range(2))
    if "spacing=(0.5, 0.5)" in text:
        r, p = r[0] % 3, p[0] % 3  # that the objects are those that have scores
    mask = r[0] > 2
    logits = jnp.asarray(rng.normal(size=(2, 16, 12, 3)), jnp.float32)
    labels, image = r[:2] % 3, rng.normal(size=(16, 12))
    names = {
        "segjax": segjax,
        "jax": jax,
        "r": r,
        "p": p,
        "R": r > 2,
        "P": p > 2,
        "mask": mask,
        "probability": rng.random(mask.shape),
        "logits": jnp.asarray(image) if "reference=mask" in text else logits,
        "labels": labels,
        "image": image,
        "valid": labels >= 0,
        "data": [{"labels": labels}],
        "model": lambda batch: logits,
    }
    if "assess(" in text:
        for name in ("img2d", "mask2d"):
            names[{"img2d": "image", "mask2d": "labels"}[name]] = tifffile.imread(
                SAMPLE / f"{name}.tif"
            )[:128, :128]
    if not importlib.util.find_spec("pandas"):
        text = text.replace(", table.to_pandas()", "")
    exec(text, names)
    shutil.rmtree("out", ignore_errors=True)
