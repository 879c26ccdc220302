"""Which prediction belongs to which reference."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from segjax.io._problem import problem, reason


@dataclass(frozen=True)
class Pair:
    """A reference and its prediction.

    Attributes:
        name: of the case; taken from a file name as it is, so escape it before printing.
        reference: the true segmentation.
        prediction: the segmentation to judge; None if it is missing and counts as empty.
        slice: where only one plane of the reference is annotated, the index of that plane
            along the first axis of the prediction.
        frame: number of the image in a sequence; pairs of one frame are parts of one image.
    """

    name: str
    reference: Path
    prediction: Path | None
    slice: int | None = None
    frame: int | None = None


@dataclass(frozen=True)
class Pairing:
    """What was found in two folders.

    Attributes:
        layout: "files", "flat", "nnunet", "ctc", "patterns" or "manifest".
        pairs: in natural order of their names.
        only_reference: names of references without a prediction, whether left out or in
            `pairs` without one.
        only_prediction: names of predictions without a reference.
        label_names: what the labels are called, where a file says so.
        ignore: the label of voxels not to score.
        regions: labels that are scored as one, by name, where a file says so.
        unpredicted: pairs without a prediction that are not among `pairs`.
        markers: a second truth, of more frames, that says where objects are and not how far
            they reach (TRA of the Cell Tracking Challenge).
        outlined: whether the references of `pairs` say how far objects reach.
    """

    layout: str
    pairs: tuple[Pair, ...]
    only_reference: tuple[str, ...] = ()
    only_prediction: tuple[str, ...] = ()
    label_names: Mapping[int, str] = field(default_factory=dict)
    ignore: int | None = None
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unpredicted: tuple[Pair, ...] = ()
    markers: tuple[Pair, ...] = ()
    outlined: bool = True

    def with_missing_as_empty(self) -> "Pairing":
        """With references that have no prediction as cases in which nothing was found."""
        pairs = sorted((*self.pairs, *self.unpredicted), key=lambda pair: natural(pair.name))
        return replace(self, pairs=tuple(pairs), unpredicted=())


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key by which case2 comes before case10.

    Example:
        >>> sorted(["case10", "case2", "Case1"], key=natural)
        ['Case1', 'case2', 'case10']
    """
    parts = re.split(r"([0-9]{1,18})", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def listing(folder: Path) -> list[Path]:
    """What a folder holds, without hidden files, in natural order."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise problem(folder, f"cannot be listed ({reason(error)})", "check the folder") from error
    return sorted(paths, key=lambda path: natural(path.name))
