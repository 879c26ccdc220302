"""The folders of the Cell Tracking Challenge: NN_GT/SEG beside NN_RES."""

import re
from pathlib import Path

from segjax.io._problem import problem
from segjax.io.pairing import Pair, Pairing, listing, natural


# man_seg012.tif is frame 12; man_seg_012_003.tif is plane 3 of it, in partly annotated 3-D.
_TRUTH = re.compile(r"man_seg_?([0-9]{1,9})(?:_([0-9]{1,9}))?\.tiff?", re.I)
_RESULT = re.compile(r"mask([0-9]{1,9})\.tiff?", re.I)


def pair(reference: Path, prediction: Path) -> Pairing | None:
    """Pair by frame number; None if the folders are not laid out like this.

    The truth is sparse: it may start at any frame and have gaps. So result masks without
    truth have no say, and a truth frame without a result mask is a missing prediction.

    Raises:
        InputError: if two files claim one frame, or no truth has a result.
    """
    truths = _numbered(reference, _TRUTH)
    inside = reference / "SEG"
    if not truths and inside.is_dir():
        truths = _numbered(inside, _TRUTH)
    masks = _numbered(prediction, _RESULT) if truths else {}
    if not truths or (not masks and not inside.is_dir() and reference.name != "SEG"):
        return None
    pairs, missing = [], []
    for (frame, plane), path in sorted(truths.items(), key=lambda item: natural(item[1].name)):
        name, mask = _name(path), masks.get((frame, None))
        if mask is None:
            missing.append(name)
        else:
            pairs.append(Pair(name, path, mask, plane))
    if not pairs:
        raise problem(
            prediction,
            f"holds no mask of the {len(missing)} annotated frames (the first is {missing[0]})",
            "name result masks maskTTT.tif by frame, as the Cell Tracking Challenge does",
        )
    pairs.sort(key=lambda found: natural(found.name))
    return Pairing("ctc", tuple(pairs), tuple(sorted(missing, key=natural)))


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[tuple[int, int | None], Path]:
    found: dict[tuple[int, int | None], Path] = {}
    for path in listing(folder):
        match = pattern.fullmatch(path.name)
        if match is None:
            continue
        frame, *planes = match.groups()
        number = int(frame), int(planes[0]) if planes and planes[0] else None
        if number in found:
            what = f"{found[number].name} and {path.name} are the same frame"
            raise problem(folder, what, "keep one of them")
        found[number] = path
    return found


def _name(truth: Path) -> str:
    match = _TRUTH.fullmatch(truth.name)
    assert match is not None
    return f"t{match[1]}_z{match[2]}" if match[2] else f"t{match[1]}"
