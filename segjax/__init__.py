"""Segmentation quality, measured and learned, on JAX.

    import segjax
    segjax.dice(reference=r, prediction=p)
    segjax.evaluate(reference=r, prediction=p, metrics=["dice", "iou"])
    segjax.evaluate_folder("labels/", "predictions/", output="out/")

Names are loaded when first used, so that `import segjax` costs no time.
"""

import importlib
from typing import Any

from segjax._errors import InputError as InputError
from segjax._version import __version__ as __version__


_HOMES = {
    "assess": "segjax.quality.predict",
    "assess_folder": "segjax.quality.folders",
    "evaluate": "segjax.evaluation",
    "evaluate_batch": "segjax.evaluation",
    "evaluate_folder": "segjax.folder",
    "evaluate_tiled": "segjax.tiles",
    "coco_ap": "segjax.metrics.detection",
    "explain": "segjax.explanation",
    "get_metric": "segjax.metrics",
    "Metric": "segjax.metrics",
    "METRICS": "segjax.metrics",
    "ObjectTable": "segjax.objects",
    "error_map": "segjax.objects",
    "object_table": "segjax.objects",
    "panoptic_quality": "segjax.metrics.panoptic",
    "Table": "segjax.table",
}
_MODULES = (
    "benchmark",
    "case",
    "comparison",
    "compat",
    "doctor",
    "evaluation",
    "explanation",
    "folder",
    "io",
    "leaderboard",
    "losses",
    "metrics",
    "objects",
    "ops",
    "quality",
    "report",
    "simulation",
    "statistics",
    "streaming",
    "table",
    "tiles",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"segjax.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name.startswith("_"):
        raise AttributeError(f"module 'segjax' has no attribute {name!r}")
    else:
        evaluation = importlib.import_module("segjax.evaluation")
        try:
            value = evaluation.as_function(name)
        except InputError as error:
            raise AttributeError(f"module 'segjax' has no attribute {name!r} ({error})") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    metrics = importlib.import_module("segjax.metrics").METRICS
    return sorted({*globals(), *_HOMES, *_MODULES, *(m.function.__name__ for m in metrics)})
