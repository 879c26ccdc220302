"""Small valid files of every kind that segjax reads: what fuzzing starts from.

A seed is the content of a folder, by the names of its files; the first is what a reader is given,
or the folder at its head if the name ends with "/".
"""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile
import yaml
from PIL import Image

from segjax.cli import main
from segjax.leaderboard import board
from segjax.quality import assess_folder
from segjax.quality.checkpoint import Checkpoints
from segjax.quality.log import Log
from segjax.quality.training import Training, claim
from segjax.quality.weights import save_weights
from segjax.simulation.pairs import Pairs
from segjax.simulation.phantoms import Nuclei
from tests.io import files
from tests.leaderboard.test_config import TOML, YAML
from tests.leaderboard.test_verification import QUICK, made_up
from tests.quality import toy


Seed = dict[str, bytes]

STACK = np.repeat(np.repeat(files.LABELS % 5, 3, axis=1), 3, axis=2)
PLANE = STACK[0].astype(np.uint8)
TARGETS = toy.FLAT.outputs
TRAINING = Training(toy.FLAT, Pairs(nuclei=Nuclei(shape=(20, 20)), targets=TARGETS))
STATE = {"kernel": np.ones((2, 3), np.float32), "step": np.zeros((), np.int32)}


def written(name: str, write: Callable[[Path], object]) -> Seed:
    """What writing a file of that name leaves behind: the file or folder, and what lies beside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        below = sorted(p for p in Path(folder).rglob("*") if p.is_file())
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in below}
        if path.is_dir():
            return {f"{name}/": b""} | found
        return {name: found.pop(name)} | found


def tiffs() -> dict[str, Seed]:
    def of(array, **options):
        return written("a.tif", lambda path: tifffile.imwrite(path, array, **options))

    palette = np.arange(768, dtype=np.uint16).reshape(3, 256)
    imagej = {"resolution": (2.0, 2.0), "metadata": {"axes": "ZYX", "spacing": 3.0, "unit": "um"}}
    ome = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    return {
        "plain": of(PLANE, photometric="minisblack"),
        "stack": of(STACK, photometric="minisblack", compression="zlib"),
        "tiles": of(PLANE, photometric="minisblack", tile=(16, 16), compression="deflate"),
        "lzw": of(PLANE, compression="lzw", predictor=True),
        "packbits": of(PLANE, compression="packbits"),
        "palette": of(PLANE, photometric="palette", colormap=palette),
        "bits": of(PLANE > 1, photometric="minisblack"),
        "colour": of(np.stack([PLANE] * 3, -1), photometric="rgb"),
        "big": of(STACK, photometric="minisblack", bigtiff=True, byteorder=">"),
        "imagej": of(STACK, imagej=True, **imagej),
        "ome": {"a.ome.tif": of(STACK, ome=True, metadata=ome)["a.tif"]},
        "sidecar": of(STACK, photometric="minisblack")
        | {"a.json": b'{"spacing": [3.0, 0.5, 0.5]}'},
    }


def pictures() -> dict[str, Seed]:
    grey = Image.fromarray(PLANE)
    indexed = grey.convert("P")
    indexed.putpalette(list(range(256)) * 3)
    png = lambda image, **options: written("a.png", lambda path: image.save(path, **options))
    bmp = lambda image: written("a.bmp", image.save)
    return {
        "grey": png(grey),
        "deep": png(Image.fromarray(STACK[0])),
        "palette": png(indexed, transparency=0),
        "bits": png(grey.convert("1")),
        "colour": png(grey.convert("RGBA"), dpi=(300, 300)),
        "nibbles": {"a.png": files.png(6, 2, 4, 0, b"\0\x12\x34\x56\0\x65\x43\x21")},
        "bmp": bmp(grey),
        "bmp palette": bmp(indexed),
        "bmp colour": bmp(grey.convert("RGB")),
    }


def arrays() -> dict[str, Seed]:
    npy = lambda array: written("a.npy", lambda path: np.save(path, array))
    return {
        "plane": npy(PLANE),
        "stack": npy(STACK.astype(">i8")),
        "fortran": npy(np.asfortranarray(STACK)),
        "float": npy(PLANE.astype(np.float32)),
        "bool": npy(PLANE > 0),
        "npz": written("a.npz", lambda path: np.savez(path, labels=STACK)),
        "deflated": written("a.npz", lambda path: np.savez_compressed(path, STACK, mask=PLANE)),
    }


def niftis() -> dict[str, Seed]:
    nifti = lambda name, array: written(
        name, lambda path: files.nifti(path, array, [1.0, 2.0, 3.0], affine=np.diag([1, 2, 3, 1]))
    )
    scaled = nifti("a.nii", STACK.astype(np.int16))["a.nii"]
    return {
        "plain": nifti("a.nii", STACK.astype(np.uint8)),
        "gz": nifti("a.nii.gz", STACK.astype(np.uint8)),
        "wide": nifti("a.nii.gz", STACK.astype(np.float32)),
        "scaled": {"a.nii": scaled[:112] + np.array([2, 1], "<f4").tobytes() + scaled[120:]},
    }


def itk() -> dict[str, Seed]:
    import SimpleITK as sitk

    of = lambda name: written(name, lambda path: files.itk(path, STACK, (1.0, 2.0, 3.0), (4, 5, 6)))
    packed = lambda name: written(name, lambda path: sitk.WriteImage(image, str(path), True))
    image = sitk.GetImageFromArray(STACK)
    return {name: of(f"a.{name}") for name in ("mha", "mhd", "nrrd")} | {
        f"{name} packed": packed(f"a.{name}") for name in ("mha", "nrrd")
    }


def zarrs() -> dict[str, Seed]:
    import zarr

    def plain(path, **options):
        zarr.create_array(str(path), data=STACK, chunks=(2, 8, 8), **options)

    return {
        "v2": written("a.zarr", lambda path: plain(path, zarr_format=2)),
        "v3": written("a.zarr", plain),
        "shards": written("a.zarr", lambda path: plain(path, shards=(2, 16, 24))),
        "ngff 0.4": written(
            "a.zarr", lambda path: files.ngff(path, STACK[None], "0.4", "tzyx", [1, 2, 1, 1])
        ),
        "ngff 0.5": written(
            "a.zarr", lambda path: files.ngff(path, STACK, "0.5", "zyx", [2, 0.5, 0.5])
        ),
    }


def text(name: str, content: str, **others: str) -> Seed:
    return {name: content.encode()} | {k: v.encode() for k, v in others.items()}


def label_names() -> dict[str, Seed]:
    names = {"background": 0, "liver": 1, "tumour": [1, 2], "ignore": 9}
    return {
        "dataset": text("a.json", json.dumps({"labels": names, "channel_names": {"0": "CT"}})),
        "by id": text("a.json", json.dumps({"1": "liver", "2": "spleen"})),
        "yaml": text("a.yaml", yaml.safe_dump(names)),
        "csv": text("a.csv", 'label,name\n1,"liver, left"\n2,spleen\n'),
        "txt": text("a.txt", "1 liver\n2 spleen\n# none\n"),
        "snap": text("a.label", '    1   255    0    0        1  1  1    "liver"\n'),
    }


def manifests() -> dict[str, Seed]:
    return {
        "csv": text("a.csv", "case,reference,prediction\nx,r/1.npy,p/1.npy\ny,r/2.npy,\n"),
        "tsv": text("a.tsv", "reference\tprediction\nr/1.npy\tp/1.npy\nr/2.npy\tp/2.npy\n"),
    }


def table(rows) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def scores() -> dict[str, Seed]:
    cases = [f"c{i}" for i in range(4)]
    wide = [("case", "model", "dice", "hd95", "site")]
    wide += [(c, m, 0.5 + 0.1 * i, 3.5, "a") for i, c in enumerate(cases) for m in "AB"]
    long = [("model", "case", "metric", "label", "name", "score", "status", "low", "high")]
    long += [("A", c, "dice", 1, "liver", 0.25, "scored", "", "") for c in cases]
    long += [("A", c, "iou", 1, "liver", "", "undefined", "", "") for c in cases]
    nested = {m: {c: {"dice": 0.5, "iou": None} for c in cases} for m in "AB"}
    per_case = [{"case_id": c, "dice": 0.5, "hd95": None, "nsd": 1} for c in cases]
    results = {
        "models": [
            {"name": "A", "version": "1", "fair": False, "contaminated_on": ["x"]}
            | {"per_organ": {"liver": {"per_case": per_case, "suspect": True}}}
        ],
        "config": {"nsd_tolerance": 2.0},
        "dataset": {"name": "d", "url": "u"},
    }
    return {
        "wide": text("a.csv", table(wide)),
        "long": text("a.csv", table(long)),
        "semicolons": text("a.csv", "case;dice\nc1;0,5\nc2;0,25\n"),
        "nested": text("a.json", json.dumps(nested)),
        "rows": text("a.json", json.dumps([{"case": c, "dice": 0.5, "site": 3} for c in cases])),
        "segauge": text("a.json", json.dumps(results)),
    }


def metadata() -> dict[str, Seed]:
    return {
        "csv": text("a.csv", "case,site,age\nc1,a,007\nc2,b,40\n"),
        "rows": text("a.json", json.dumps([{"case": "c1", "age": 3}, {"case": "c2", "age": 4.5}])),
        "by case": text("a.json", json.dumps({"c1": {"age": 3}, "c2": {"age": None}})),
    }


def configs() -> dict[str, Seed]:
    # Its files hold what it asks for, so that reading goes on to the scores.
    rows = [("case", "dice", "mine", "label")] + [(f"c{i}", 0.5, 3, "kidney") for i in range(4)]
    about = [("case", "centre", "age", "size", "patient")]
    about += [(f"c{i}", "ab"[i % 2], 30 + i, i, f"p{i}") for i in range(4)]
    beside = {"a.csv": table(rows), "runs/b": table(rows), "cases.csv": table(about)}
    return {"yaml": text("a.yaml", YAML, **beside), "toml": text("a.toml", TOML, **beside)}


def documents() -> dict[str, Seed]:
    return {"board": {"a.json": board(made_up(), worst={"hd95": 50.0}, **QUICK).to_json().encode()}}


@lru_cache
def runs() -> dict[str, Seed]:
    """Folders that `segjax evaluate` wrote, of classes and of objects, beside what they scored."""

    def of(metrics):
        def write(path):
            for side in "rp":
                (path / side).mkdir(parents=True)
                for i in range(2):
                    np.save(path / side / f"c{i}.npy", np.roll(PLANE, i if side == "p" else 0))
            paths = [str(path / name) for name in "rp"]
            options = ["--replicates", "20", "-q", "--format", "json"]
            assert main(["evaluate", *paths, "-m", metrics, *options, "-o", str(path / "o")]) == 0
            (path / "o" / "report.html").unlink()

        return written("run", write)

    return {"classes": of("dice,hd95"), "objects": of("pq,dice")}


def weights() -> dict[str, Seed]:
    return {"toy": written("a.npz", lambda path: save_weights(path, toy.calibrated_toy()))}


def trainings() -> dict[str, Seed]:
    """A folder that `segjax train` goes on in, with a checkpoint of what `STATE` is like."""

    def write(path):
        claim(path, TRAINING, resume=False)
        log = Log(path)
        for step in (2, 4):
            log.write(step, {"loss": 1 / step, "SEG r": 0.5})
            Checkpoints(path / "checkpoints").save(step, STATE)
        shutil.rmtree(path / "events", ignore_errors=True)

    return {"training": written("run", write)}


def assessments() -> dict[str, Seed]:
    """A folder that `segjax assess` wrote, beside what it looked at."""

    def write(path):
        rng = np.random.default_rng(0)
        for side in "il":
            (path / side).mkdir(parents=True)
        for name in "ab":
            image, labels = toy.scene(rng)
            np.save(path / "i" / f"{name}.npy", image)
            np.save(path / "l" / f"{name}.npy", labels)
        paths = path / "i", path / "l"
        assess_folder(*paths, output=path / "o", weights=toy.toy())
        for name in ("scores.csv", "summary.json", "triage.html"):
            (path / "o" / name).unlink()

    return {"assessments": written("run", write)}
