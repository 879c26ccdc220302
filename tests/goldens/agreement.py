"""Freeze for `segjax explain` how near the metrics come to the values of peers, and to empty masks.

    python -m tests.goldens.agreement

Writes segjax/data/agreement.json; a test recomputes it. Values of peers are in goldens.json.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import segjax
from segjax.io import write_atomic
from segjax.metrics import METRICS, get_metric
from segjax.statistics import Calibration, Scribbles
from tests.goldens import (
    ARRAYS,
    BINARY,
    CASES,
    CLASSES,
    EMPTY,
    FOLDER,
    OBJECTS,
    PROBABILITIES,
    SEGMENTS,
    VOXEL_BANDS,
    VOXEL_SURFACES,
    images,
)


PATH = Path(segjax.__file__).parent / "data" / "agreement.json"

# As their users call them; the names in the goldens are those of their sources.
PEERS = {
    "boundary_iou_api": "boundary-iou-api",
    "cellpose": "Cellpose",
    "deepmind": "surface-distance (DeepMind)",
    "distorch_vertex": "DisTorch",
    "gc_metrics": "grand-challenge-metrics",
    "hovernet": "HoVer-Net",
    "medpy": "medpy",
    "meshmetrics": "MeshMetrics",
    "metrics_reloaded": "Metrics Reloaded",
    "miseval": "miseval",
    "monai": "MONAI",
    "mr": "Metrics Reloaded",
    "panoptica": "panoptica",
    "py_ctc": "py-ctcmetrics",
    "pymia": "pymia",
    "segauge": "segauge",
    "skimage": "scikit-image",
    "skimage_full": "scikit-image",
    "sklearn": "scikit-learn",
    "stardist": "StarDist",
    "torchmetrics": "torchmetrics",
}
VERSIONS = {
    "skimage_full": "skimage",
    "mr": "metrics_reloaded",
    "distorch_vertex": "distorch",
}
# Of surfaces that are drawn otherwise, the nearest that segjax has.
DRAWN = {"surfel": "surfel", "mesh": "mesh", "mesh_segauge": "mesh"}
# By the name of a quantity: the metric it is a variant of.
VARIANTS = {
    "hd95_pooled": "hausdorff(percentile=95)",
    "hd95_lower": "hausdorff(percentile=95)",
    "nsd_mean_of_fractions": "nsd(tolerance={tau})",
    "pq_ge": "pq",
    "adapted_rand_error": "adapted_rand_error",
}


class Asked(NamedTuple):
    """Metrics to compute, as many as the peer's value has numbers, and how."""

    names: tuple[str, ...]
    surface: str = "voxel"

    @property
    def text(self) -> str:
        """As a user would ask for them."""
        first = get_metric(self.names[0])
        name = first.function.__name__ if "tolerance=" in first.name else first.name
        if len(self.names) > 1:
            name = first.function.__name__
        return name if self.surface == "voxel" else f"{name} with surface={self.surface}"


@dataclass(frozen=True)
class Question:
    """What of a peer is to be set against which metric.

    Attributes:
        quantity: name of the peer's value.
        metric: the metric with its defaults.
        nearest: the metric with the options that come nearest to the peer.
    """

    quantity: str
    metric: Asked
    nearest: Asked | None


def questions(case: Mapping[str, Any], quantity: str) -> Iterator[tuple[Question, Any]]:
    """What to ask about a quantity of a case, and which of the peer's numbers it is about."""
    tau = case["params"].get("tau")
    plain, _, drawn = quantity.partition("@")
    if quantity in VOXEL_BANDS or (case["kind"] == "binary" and quantity in BINARY):
        asked = Asked(((BINARY | VOXEL_BANDS)[quantity],))
        yield Question(quantity, asked, asked), ...
    elif quantity == "cldice":
        yield Question(quantity, Asked(("cldice",)), Asked(("cldice",))), ...
    elif case["kind"] == "binary" and plain in VOXEL_SURFACES | VARIANTS:
        own = VOXEL_SURFACES.get(plain)
        base = (VARIANTS.get(plain) or own or "").format(tau=tau)
        nearest = None if own is None else Asked((own.format(tau=tau),))
        if drawn:
            nearest = Asked((base,), DRAWN[drawn]) if drawn in DRAWN else None
        yield Question(quantity, Asked((base,)), nearest), ...
    elif case["kind"] == "instance" and quantity in OBJECTS:
        nearest = Asked(tuple(OBJECTS[quantity]))
        base = Asked((VARIANTS[quantity],)) if quantity in VARIANTS else nearest
        yield Question(quantity, base, nearest), ...
    elif case["kind"] == "instance" and quantity in SEGMENTS:
        for place, name in enumerate(SEGMENTS[quantity]):
            several = len(SEGMENTS[quantity]) > 1
            default = Asked((get_metric(name).function.__name__,))
            yield Question(quantity, default, Asked((name,))), place if several else ...
    elif case["kind"] == "multiclass" and quantity in CLASSES:
        asked = Asked((CLASSES[quantity],))
        yield Question(quantity, asked, asked), ...
    elif case["kind"] == "prob":
        own = PROBABILITIES[quantity]
        default = own.replace(", closed=right", "").replace("(closed=right)", "")
        yield Question(quantity, Asked((default,)), Asked((own,))), ...


def _inputs(case: Mapping[str, Any]) -> dict[str, Any]:
    if case["kind"] == "prob":
        return dict(zip(("reference", "prediction"), map(ARRAYS.get, _files(case)), strict=True))
    if case["kind"] == "multiclass":
        classes = {"labels": range(case["params"]["num_classes"])}
        return images(case) | classes | {"ignore": case["params"]["ignore_index"]}
    spacing = {"spacing": case["params"]["spacing"]} if case["kind"] == "binary" else {}
    return images(case) | spacing


def _files(case: Mapping[str, Any]) -> tuple[str, str]:
    return case["inputs"]["gt"], case["inputs"]["prob"]


def _scores(case: Mapping[str, Any], asked: Sequence[Asked]) -> dict[Asked, np.ndarray]:
    """Every metric that is asked for, those of one kind of surface together."""
    inputs, found = _inputs(case), {}
    for surface in dict.fromkeys(one.surface for one in asked):
        names = sorted({name for one in asked if one.surface == surface for name in one.names})
        scores = segjax.evaluate(**inputs, metrics=names, surface=surface)
        value = lambda name, scores=scores: np.asarray(scores[get_metric(name).name], float)
        found |= {
            one: np.squeeze([value(name) for name in one.names])
            for one in asked
            if one.surface == surface
        }
    return found


def _is_empty(case: Mapping[str, Any]) -> bool:
    return case["kind"] == "binary" and not all(x.any() for x in images(case).values())


def compare(cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How far each peer lies from each metric, over all cases where both say something.

    Returns:
        Per metric, peer and quantity: how many cases there are, in how many the metric with its
        defaults differs by more than rounding, by how much at most, and the same of the options
        that come nearest ("nearest", None if there are none).
    """
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    versions = json.loads((FOLDER / "goldens.json").read_text())["meta"]["versions"]
    for case in cases:
        if _is_empty(case):
            continue
        pairs = [
            (expected, question, place)
            for expected in case["expected"]
            if not expected.get("informative")
            for question, place in questions(case, expected["metric"])
        ]
        asked = dict.fromkeys(q for _, question, _ in pairs for q in _both(question))
        scores = _scores(case, list(asked)) if asked else {}
        for expected, question, place in pairs:
            value = np.squeeze(np.array(expected["value"], float)[place])
            metric, peer = question.metric.text, expected["peer"]
            row = rows.setdefault(
                (metric, peer, question.quantity),
                {
                    "metric": metric,
                    "peer": PEERS[peer],
                    "version": versions[VERSIONS.get(peer, peer)],
                    "quantity": question.quantity,
                    "convention": expected["convention"].replace("sklearn definition", ""),
                    "cases": 0,
                    "differing": 0,
                    "largest": 0.0,
                    "nearest": None if question.nearest is None else question.nearest.text,
                    "nearest_differing": 0,
                    "nearest_largest": 0.0,
                },
            )
            differs, by = _difference(scores[question.metric], value, expected)
            if by is None:
                continue
            row["cases"] += 1
            row["differing"] += differs
            row["largest"] = max(row["largest"], by)
            if question.nearest is not None:
                differs, by = _difference(scores[question.nearest], value, expected)
                row["nearest_differing"] += differs
                row["nearest_largest"] = max(row["nearest_largest"], by or 0.0)
    return [_rounded(row) for row in rows.values() if row["cases"]]


def _both(question: Question) -> Iterator[Asked]:
    yield question.metric
    if question.nearest is not None:
        yield question.nearest


def _difference(
    own: np.ndarray, value: np.ndarray, expected: Mapping[str, Any]
) -> tuple[bool, float | None]:
    """Whether two values differ by more than the peer's rounding, and by how much."""
    said = np.isfinite(own) & np.isfinite(value)  # peers put 0 where nothing can be said
    if not said.any():
        return False, None
    own, value = own[said], value[said]
    same = np.allclose(own, value, rtol=expected["rtol"], atol=expected["atol"])
    return not same, float(np.abs(own - value).max())


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Three digits say it, and do not change with the machine."""
    for key in ("largest", "nearest_largest"):
        row[key] = float(f"{row[key]:.3g}") if row[key] > 1e-6 else 0.0
    return row


def on_empty() -> dict[str, list[float | str]]:
    """What each metric gives for an empty reference, an empty prediction, and both."""
    block = np.zeros((6, 6), bool)
    block[1:4, 2:5] = True
    nothing = np.zeros_like(block)
    found = {}
    for kinds in ({Calibration}, {Scribbles}, None):
        metrics = [m for m in METRICS if _is_of(m.statistic, kinds)]
        values = [
            segjax.evaluate(
                reference=r * 1 + 1 if kinds == {Scribbles} else r,
                prediction=p.astype(float) if kinds == {Calibration} else p,
                metrics=[m.name for m in metrics],
            )
            for r, p in ((nothing, block), (block, nothing), (nothing, nothing))
        ]
        found |= {m.name: [_written(v[m.name]) for v in values] for m in metrics}
    return {m.name: found[m.name] for m in METRICS}


def _is_of(statistic: type, kinds: set[type] | None) -> bool:
    return statistic not in (Calibration, Scribbles) if kinds is None else statistic in kinds


def _written(value: Any) -> float | str:
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else str(number)


def peers_on_empty() -> dict[str, dict[str, list[Any]]]:
    """What peers give for an empty reference, an empty prediction, and both, by metric."""
    names = EMPTY | {
        k: VOXEL_SURFACES[k] for k in ("hd", "hd95", "assd", "masd", "mhd", "asd_pred_to_gt")
    }
    names |= {"nsd": "nsd"}
    found: dict[str, dict[str, list[Any]]] = {}
    for place, case in enumerate(("b2_gt_empty", "b2_pred_empty", "b2_both_empty")):
        for expected in next(c for c in CASES if c["id"] == case)["expected"]:
            if expected["metric"] in names and expected.get("informative"):
                name = get_metric(names[expected["metric"]]).function.__name__
                if "percentile" in names[expected["metric"]]:
                    name = names[expected["metric"]]
                values = found.setdefault(name, {}).setdefault(PEERS[expected["peer"]], [None] * 3)
                raised = str(expected["value"]).startswith("error")
                values[place] = "raises" if raised else expected["value"]
    return found


def contents() -> dict[str, Any]:
    """All that is frozen."""
    return {"empty": on_empty(), "peers_on_empty": peers_on_empty(), "peers": compare(CASES)}


if __name__ == "__main__":
    write_atomic(PATH, json.dumps(contents(), indent=1, ensure_ascii=False) + "\n")
