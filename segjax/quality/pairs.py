"""Which segmentation belongs to which image."""

import re
from collections.abc import Mapping
from pathlib import Path

from segjax import io
from segjax._errors import InputError


_FRAME, _RESULT = (re.compile(rf"{kind}([0-9]{{1,9}})\.tiff?", re.I) for kind in ("t", "mask"))


def pair_images(images: Path, labels: Path) -> io.Pairing:
    """Pair images with label maps by name, as references are with predictions.

    Frames of the Cell Tracking Challenge, tTTT.tif, go with results maskTTT.tif. Of each pair, the
    reference is the image, after which the case is named.

    Raises:
        InputError: if nothing can be paired.
    """
    if images.is_dir() and labels.is_dir():
        frames, results = _numbered(images, _FRAME), _numbered(labels, _RESULT)
        both = sorted(frames.keys() & results.keys())
        if both:
            pairs = tuple(io.Pair(io.stem(frames[k]), frames[k], results[k]) for k in both)
            return io.Pairing("ctc", pairs, _alone(frames, results), _alone(results, frames))
    found = io.pair(images, labels)
    if found.layout == "ctc":
        raise InputError(
            f"{images}: holds the truth of the Cell Tracking Challenge, not images; give the "
            "folder of the images first"
        )
    return found


def _alone(these: Mapping[int, Path], others: Mapping[int, Path]) -> tuple[str, ...]:
    return tuple(io.stem(these[k]) for k in sorted(these.keys() - others.keys()))


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    matches = ((pattern.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in matches if match}
