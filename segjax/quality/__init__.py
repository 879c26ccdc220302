"""Quality without a ground truth: networks that predict a segmentation's score from the image.

`assess` predicts for one image, `assess_folder` for many; `load_weights`, `save_weights` and
`available_weights` are for the networks; `train` makes them, of the runs in `PRESETS`. Names are
loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from segjax.quality.assessments import Assessments as Assessments
    from segjax.quality.card import Card as Card
    from segjax.quality.conformal import Calibration as Calibration
    from segjax.quality.finishing import HeldOut as HeldOut, finish as finish
    from segjax.quality.folders import assess_folder as assess_folder
    from segjax.quality.predict import Assessment as Assessment, assess as assess
    from segjax.quality.presets import PRESETS as PRESETS
    from segjax.quality.producing import make_assessor as make_assessor
    from segjax.quality.training import Training as Training, train as train
    from segjax.quality.weights import (
        Assessor as Assessor,
        available_weights as available_weights,
        load_weights as load_weights,
        save_weights as save_weights,
    )

_HOMES = {
    "Assessment": "predict",
    "Assessments": "assessments",
    "Assessor": "weights",
    "Calibration": "conformal",
    "Card": "card",
    "HeldOut": "finishing",
    "assess": "predict",
    "assess_folder": "folders",
    "available_weights": "weights",
    "finish": "finishing",
    "load_weights": "weights",
    "make_assessor": "producing",
    "PRESETS": "presets",
    "save_weights": "weights",
    "train": "training",
    "Training": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'segjax.quality' has no attribute {name!r}")
    return getattr(importlib.import_module(f"segjax.quality.{_HOMES[name]}"), name)
