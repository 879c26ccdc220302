"""Sample data, for napari's menu File > Open Sample."""

from dataclasses import replace
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
import tifffile


Layer: TypeAlias = tuple[np.ndarray, dict[str, Any], str]
_FAULTS = {"split": 0.3, "remove": 0.15, "merge": 0.4, "add_spurious": 0.5}  # and how much of each
_METHODS = {"otsu_dtws": "Otsu + watershed", "log_ws": "LoG + watershed"}


def nuclei() -> list[Layer]:
    """Fluorescent nuclei, their truth, and what two methods make of them.

    References:
        Schmidt, U. et al. (2018). Cell detection with star-convex polygons. MICCAI. The image is
        one of StarDist's samples (BSD 3-Clause), of the Data Science Bowl 2018.
    """
    return [
        _image("img2d.tif", "nuclei"),
        _labels("mask2d.tif", "truth"),
        *(_labels(f"pred/{file}.tif", name) for file, name in _METHODS.items()),
    ]


def nuclei_volume() -> list[Layer]:
    """A small volume of nuclei, its truth, and the truth shifted, which is judged."""
    image, truth = _image("img3d.tif", "nuclei (3-D)"), _labels("mask3d.tif", "truth (3-D)")
    shifted = (np.roll(truth[0], 2, axis=2), {"name": "shifted (3-D)"}, "labels")
    return [image, truth, shifted]


def simulated() -> list[Layer]:
    """Nuclei that are simulated, their truth, and a faulty segmentation of them."""
    import jax

    from segjax._compiling import keep_compiled
    from segjax.simulation import perturbations, phantoms

    nuclei = replace(phantoms.WIDE, shape=(256, 256))

    @jax.jit
    def draw(key: Any) -> Any:
        seen, *keys = jax.random.split(key, 1 + len(_FAULTS))
        image, truth = phantoms.simulate(seen, nuclei)
        faulty, most = truth, nuclei.objects
        for k, (step, amount) in zip(keys, _FAULTS.items(), strict=True):
            fault = getattr(perturbations, step)
            faulty, most = fault(k, faulty, image, amount, most=most), 2 * most
        return image, truth, faulty

    keep_compiled()
    image, truth, faulty = map(np.asarray, draw(jax.random.key(3)))
    return [
        (image, {"name": "simulated nuclei"}, "image"),
        (truth, {"name": "simulated truth"}, "labels"),
        (faulty, {"name": "faulty segmentation"}, "labels"),
    ]


def _read(name: str) -> np.ndarray:
    with (files("segjax") / "data" / "stardist_sample" / name).open("rb") as stream:
        return tifffile.imread(stream)


def _image(file: str, name: str) -> Layer:
    return _read(file), {"name": name}, "image"


def _labels(file: str, name: str) -> Layer:
    return _read(file).astype(np.int32), {"name": name}, "labels"
