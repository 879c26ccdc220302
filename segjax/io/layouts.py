"""Find the pairs of reference and prediction in two files or two folders."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from segjax.io import ctc, manifest, patterns
from segjax.io._problem import problem, reason
from segjax.io.formats.zarr import is_store
from segjax.io.label_names import Labelling, read_dataset
from segjax.io.pairing import Pair, Pairing, listing, natural
from segjax.io.read import SUFFIXES, is_readable, stem


# What tools and people add to the name of an image to name its segmentation.
ADDED = (
    "_cp_masks",
    "_seg",
    "_masks",
    "_mask",
    "_labels",
    "_label",
    "_prediction",
    "_pred",
    "_gt",
    "_0000",
)


def pair(reference: str | Path, prediction: str | Path | None) -> Pairing:
    """Find which prediction belongs to which reference.

    Two files are one pair. Two patterns with `{id}` in them are paired by what stands there; a
    single .csv lists pairs. Two folders are paired as the Cell Tracking Challenge or
    nnU-Net lay them out if they look like it, else by equal names up to the format and
    then, for what is left, up to an ending such as `_mask` where no choice is left open.
    The name of a case is always the reference's, so that methods share it.

    Args:
        reference: a label map, a folder of them (subfolders are not searched), a pattern such as
            `labels/*/{id}_gt.png`, or a list of pairs (see `segjax.io.manifest`).
        prediction: the same; None with a list of pairs.

    Returns:
        At least one pair, and the names of what has no partner.

    Raises:
        InputError: if nothing can be paired, or more than one pairing is possible.
    """
    if prediction is None:
        return manifest.pair(Path(reference))
    if patterns.is_pattern(reference) or patterns.is_pattern(prediction):
        return patterns.pair(str(reference), str(prediction))
    reference, prediction = Path(reference), Path(prediction)
    if _is_folder(reference) != _is_folder(prediction):
        folder = reference if _is_folder(reference) else prediction
        raise problem(folder, "is a folder, the other is a file", "give two files or two folders")
    if not _is_folder(reference):
        return Pairing("files", (_file_pair(reference, prediction),))
    tracking = ctc.pair(reference, prediction)
    if tracking is not None:
        return tracking
    return _pair_folders(reference, prediction, _dataset(reference, prediction))


def match_names(
    references: Iterable[str], predictions: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """Pairs of equal names, then of what is left the pairs equal up to `ADDED` endings.

    Example:
        >>> match_names(["a", "b_gt"], ["a", "b_pred", "c"])
        (('a', 'a'), ('b_gt', 'b_pred'))
    """
    references, predictions = set(references), set(predictions)
    equal = references & predictions
    left = _by_base(references - equal), _by_base(predictions - equal)
    loose = [
        (left[0][base][0], left[1][base][0])
        for base in left[0].keys() & left[1].keys()
        if len(left[0][base]) == len(left[1][base]) == 1
    ]
    found = [(name, name) for name in equal] + loose
    return tuple(sorted(found, key=lambda names: natural(names[0])))


def _by_base(names: Iterable[str]) -> dict[str, list[str]]:
    bases = defaultdict(list)
    for name in names:
        bases[_base(name)].append(name)
    return bases


def _base(name: str) -> str:
    for ending in ADDED:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return _base(name[: -len(ending)])
    return name


def _is_folder(path: Path) -> bool:
    try:
        exists, folder = path.exists(), path.is_dir() and not is_store(path)
    except (OSError, ValueError) as error:
        raise problem(path, f"cannot be read ({reason(error)})", "check the path") from error
    if not exists:
        raise problem(path, "there is no such file or folder", "check the path")
    return folder


def _file_pair(reference: Path, prediction: Path) -> Pair:
    for path in (reference, prediction):
        if not is_readable(path):
            raise problem(path, "is of no format segjax reads", f"give {' '.join(SUFFIXES)}")
    return Pair(stem(reference), reference, prediction)


def _pair_folders(reference: Path, prediction: Path, dataset: Labelling | None) -> Pairing:
    labelling = Labelling() if dataset is None else dataset
    references, predictions = _label_maps(reference), _label_maps(prediction)
    names = match_names(references, predictions)
    if not names:
        first, second = min(references, key=natural), min(predictions, key=natural)
        raise problem(
            prediction,
            f"no file name matches {reference}: {second!r} here, {first!r} there",
            "give both files of a case the same name",
        )
    alone = _others(references, (r for r, _ in names))
    return Pairing(
        "flat" if dataset is None else "nnunet",
        tuple(Pair(r, references[r], predictions[p]) for r, p in names),
        alone,
        _others(predictions, (p for _, p in names)),
        labelling.names,
        labelling.ignore,
        labelling.regions,
        unpredicted=tuple(Pair(r, references[r], None) for r in alone),
    )


def _others(names: Iterable[str], paired: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names) - set(paired), key=natural))


def duplicates(folder: Path) -> dict[str, list[Path]]:
    """Label maps of a folder that are called the same, by that name."""
    return {name: some for name, some in _by_stem(folder).items() if len(some) > 1}


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    by_stem = defaultdict(list)
    for path in listing(folder):
        if is_readable(path) and (path.is_file() or is_store(path)):
            by_stem[stem(path)].append(path)
    return {name: _without_companions(name, some, by_stem) for name, some in by_stem.items()}


def _label_maps(folder: Path) -> dict[str, Path]:
    """The label maps of a folder by stem."""
    found = _by_stem(folder)
    for some in found.values():
        if len(some) > 1:
            what = f"{some[0].name} and {some[1].name} have the same name"
            raise problem(folder, what, "keep one of them")
    if not any(found.values()):
        raise problem(folder, "holds no label maps", f"put files in it: {' '.join(SUFFIXES)}")
    return {name: some[0] for name, some in found.items() if some}


def _without_companions(name: str, paths: list[Path], stems: Mapping[str, object]) -> list[Path]:
    """Without nnU-Net's probabilities (.npz) and Cellpose's pickles (_seg.npy) beside masks."""
    if name.endswith("_seg") and f"{name.removesuffix('_seg')}_cp_masks" in stems:
        paths = [path for path in paths if path.suffix.lower() != ".npy"]
    images = [path for path in paths if path.suffix.lower() != ".npz"]
    return images or paths


def _dataset(reference: Path, prediction: Path) -> Labelling | None:
    """What the nearest nnU-Net dataset.json says of labels, None without one."""
    for folder in (reference, prediction):
        for place in (folder, folder.absolute().parent):
            found = read_dataset(place / "dataset.json")
            if found is not None:
                return found
    return None
