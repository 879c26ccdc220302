"""Which segmentation belongs to which image."""

from pathlib import Path

from segjax import io
from segjax._errors import InputError
from segjax.io import ctc


def pair_images(images: Path, labels: Path) -> io.Pairing:
    """Pair images with label maps by name, as references are with predictions.

    Frames of the Cell Tracking Challenge, tTTT.tif, go with results maskTTT.tif. Of each pair, the
    reference is the image, after which the case is named.

    Raises:
        InputError: if nothing can be paired.
    """
    if images.is_dir() and labels.is_dir() and (frames := ctc.pair_images(images, labels)):
        return frames
    found = io.pair(images, labels)
    if found.layout == "ctc":
        raise InputError(
            f"{images}: holds the truth of the Cell Tracking Challenge, not images; give the "
            "folder of the images first"
        )
    return found
