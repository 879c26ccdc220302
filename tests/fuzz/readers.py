"""Every reader of files that may come from a stranger, and what must hold of all it reads."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segjax import InputError, comparison
from segjax.cli import _gates
from segjax.folder import Options, run
from segjax.io import (
    grid_difference,
    open_labels,
    pair,
    read_header,
    read_image,
    read_labelling,
    read_labels,
    same_field_of_view,
)
from segjax.io.label_names import read_dataset
from segjax.io.scores import read_metadata, read_scores
from segjax.leaderboard import gather_scores, read_document, verify
from segjax.leaderboard.config import read_all, read_config
from segjax.quality import assess_folder
from segjax.quality.checkpoint import Checkpoints
from segjax.quality.log import Log
from segjax.quality.training import claim
from segjax.quality.weights import load_weights
from tests.fuzz import mutations, seeds
from tests.quality import toy


MAX_VOXELS = 2**22


@dataclass(frozen=True)
class Reader:
    """A row of `READERS`.

    Attributes:
        seeds: makes valid files by name.
        read: reads a file whole, and asserts what must hold of it.
        share: of all inputs, relative to others; less where reading takes long.
        only: names of files of a seed, by their ending, that are damaged; all by default.
        damage: ways to damage a file, if not those of its suffix.
    """

    seeds: Callable[[], dict[str, seeds.Seed]]
    read: Callable[[Path], object]
    share: float = 1.0
    only: str = ""
    damage: tuple[mutations.Mutation, ...] | None = None


def image(path: Path) -> None:
    """All ways to read an image refuse it in words, or agree on what it holds."""
    header = refusable(lambda: read_header(path, max_voxels=MAX_VOXELS))
    refusable(lambda: read_image(path, max_voxels=MAX_VOXELS))  # a palette may lack colours
    stored = refusable(lambda: open_labels(path, max_voxels=MAX_VOXELS))
    there = stored and refusable(lambda: stored.array[stored.array.everything])
    volume = read_labels(path, max_voxels=MAX_VOXELS)
    assert volume.array.dtype.kind in "biu"
    assert header is not None
    for other in (header, volume):
        assert other.array.shape == volume.array.shape
        assert other.array.ndim >= 2
        assert 0 < other.array.size <= MAX_VOXELS
        assert other.spacing == volume.spacing
        if other.spacing is not None:
            assert len(other.spacing) == other.array.ndim
            assert all(0 < n < math.inf for n in other.spacing)
        if other.affine is not None:
            assert np.isfinite(other.affine).all()
        assert grid_difference(volume, other) is None
        assert same_field_of_view(volume, other)
    if there is not None:
        np.testing.assert_array_equal(there, volume.array)


def refusable(read: Callable[[], object]):
    """What is read; None if it is refused, as it may be one way and not another."""
    try:
        return read()
    except InputError:
        return None


def labelling(path: Path) -> None:
    refusable(lambda: read_dataset(path))
    found = read_labelling(path)
    assert all(isinstance(name, str) and name and 0 <= k < 2**63 for k, name in found.names.items())


def scored(path: Path) -> None:
    sheet = read_scores(path)
    assert all(math.isnan(row.score) or isinstance(row.score, float) for row in sheet.rows)
    refusable(lambda: gather_scores([sheet]))


def configured(path: Path) -> None:
    config = read_config(path)
    refusable(lambda: read_all(config))


def verified(path: Path) -> None:
    document = read_document(path)
    # Recomputing takes as long as is asked for, which is no matter of reading.
    wanted = document["options"] if isinstance(document.get("options"), dict) else {}
    for name in ("replicates", "permutations"):
        if isinstance(wanted.get(name), int):
            wanted[name] = min(wanted[name], 300)
    refusable(lambda: verify(document))


def before(path: Path) -> None:
    """An earlier run, as `segjax compare`, `leaderboard` and `--baseline` read it."""
    baseline = refusable(lambda: _gates.read_baseline(path / "o"))
    if baseline is not None:
        gates = [_gates.drop("dice=0.1")]
        [*_gates.failures((), gates, {"unpaired": {"reference": []}}, baseline)]
        [*_gates.on_baseline({}, baseline)]
    found = comparison.read_runs([f"a={path / 'o'}", f"b={path / 'o'}"])
    refusable(lambda: comparison.share_cases(found))
    refusable(lambda: comparison.compare_datasets(found))


def resumed(*metrics: str) -> Callable[[Path], object]:
    """Go on with a run by its journal."""
    options = Options(metrics=metrics, replicates=20)
    return lambda path: run(path / "r", path / "p", options, output=path / "o", resume=True)


def trained_on(path: Path) -> None:
    claim(path, seeds.TRAINING, resume=True)
    Log(path, after=4)
    kept = Checkpoints(path / "checkpoints").load(seeds.STATE)
    assert kept is None or kept.keys() == seeds.STATE.keys()


def assessed_on(path: Path) -> None:
    assess_folder(path / "i", path / "l", output=path / "o", weights=toy.toy(), resume=True)


def one_run(kind: str) -> Callable[[], dict[str, seeds.Seed]]:
    return lambda: {kind: seeds.runs()[kind]}


READERS = {
    "TIFF": Reader(seeds.tiffs, image),
    "PNG and BMP": Reader(seeds.pictures, image),
    "NumPy": Reader(seeds.arrays, image),
    "NIfTI": Reader(seeds.niftis, image),
    "MetaImage and NRRD": Reader(seeds.itk, image, 0.5),
    "Zarr": Reader(seeds.zarrs, image, 0.2),
    "label names": Reader(seeds.label_names, labelling),
    "list of pairs": Reader(seeds.manifests, lambda path: pair(path, None)),
    "scores": Reader(seeds.scores, scored),
    "metadata": Reader(seeds.metadata, read_metadata),
    "configuration": Reader(seeds.configs, configured, 0.3),
    "board": Reader(seeds.documents, verified, 0.02),
    "earlier run": Reader(seeds.runs, before, 0.2, only=".json .csv"),
    "journal": Reader(one_run("classes"), resumed("dice", "hd95"), 0.05, only=".jsonl"),
    "journal of objects": Reader(one_run("objects"), resumed("pq", "dice"), 0.05, only=".jsonl"),
    "weights": Reader(seeds.weights, load_weights, 0.2, damage=mutations.WEIGHTS),
    "training": Reader(seeds.trainings, trained_on, 0.2, only=".json .csv .npz"),
    "assessments": Reader(seeds.assessments, assessed_on, 0.05, only=".jsonl"),
}
