"""What a run found, in the words of other tools."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from segjax.metrics import get_metric
from segjax.metrics.boundary import COMPOSED
from segjax.table import Table, jsonable


_OWN = ("dice", "iou", "tp", "fp", "fn", "tn")  # what nnU-Net calls by names of its own


class Format(NamedTuple):
    """A row of `FORMATS`.

    Attributes:
        write: the text, of a table and its summary.
        file: what it is called in an output folder, None if that has the same already.
    """

    write: Callable[[Table, Mapping[str, Any]], str]
    file: str | None


def nnunet(table: Table, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The shape of nnU-Net's `summary.json`, with every other score of a label beside its own.

    Labels are "1", "2", ..., regions "(1, 2)". Means leave out what is undefined, which is NaN
    as nnU-Net has it (so that the text is no strict JSON); the foreground's too, where nnU-Net's
    turns NaN as a whole if one label is nowhere.
    """
    regions = list((summary["options"].get("regions") or {}).values())
    parts = lambda k: tuple(regions[-k - 1]) if k < 0 else k
    keys = {k.value: str(parts(k.value)) for k in table.labels}
    cases = [_counted(table, i, keys) for i in range(len(table))]
    mean = {key: _means([case[key] for case in cases]) for key in keys.values()}
    return {
        "foreground_mean": _means([mean[key] for key in keys.values() if key != "0"]),
        "mean": mean,
        "metric_per_case": [
            {
                "metrics": case,
                "prediction_file": entry["prediction"]["path"],
                "reference_file": entry["reference"]["path"],
            }
            for case, entry in zip(cases, summary["inputs"], strict=True)
        ],
    }


def _counted(table: Table, case: int, keys: Mapping[int, str]) -> dict[str, dict[str, float]]:
    """Scores of one case by label."""
    found = {}
    for place, label in enumerate(table.labels):
        c = table.counts
        tp, fp, fn, tn = (int(x[case, place]) for x in (c.tp, c.fp, c.fn, c.tn))
        union = tp + fp + fn
        own = {
            "Dice": 2 * tp / (union + tp) if union else float("nan"),
            "FN": fn,
            "FP": fp,
            "IoU": tp / union if union else float("nan"),
            "TN": tn,
            "TP": tp,
            "n_pred": tp + fp,
            "n_ref": tp + fn,
        }
        others = {
            column.metric: float(scores[case])
            for column, scores in table.columns.items()
            if column.label == label.value and column.metric not in _OWN
        }
        found[keys[label.value]] = own | others
    return found


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Over what is defined."""
    columns = {name: np.array([row[name] for row in rows], float) for name in (rows or [{}])[0]}
    there = {name: x[~np.isnan(x)] for name, x in columns.items()}
    return {name: float(x.mean()) if x.size else float("nan") for name, x in there.items()}


def grand_challenge(table: Table, summary: Mapping[str, Any]) -> dict[str, Any]:
    """A `metrics.json` for grand-challenge.org: columns of a leaderboard are `dice.mean`, say.

    Per metric the statistics over the cases, by label too where there are several; under "case"
    the scores of each. None, which no leaderboard ranks, is what has no value.
    """
    found: dict[str, Any] = {}
    for entry in summary["scores"]:
        interval = entry["interval"] or {}
        values = {
            "mean": entry["mean"],
            "std": entry["sd"],
            "median": entry["median"],
            "min": entry["min"],
            "max": entry["max"],
            "ci_low": interval.get("low"),
            "ci_high": interval.get("high"),
            "n": entry["n"],
            "n_undefined": entry["n_undefined"],
            "n_missed": entry["n_missed"],
        }
        of_metric = found.setdefault(_key(entry["metric"]), {})
        if entry["label"] in (None, "mean") or len(table.labels) == 1:
            of_metric |= values
        else:
            of_metric.setdefault("labels", {})[_key(entry["name"])] = values
    found["case"] = {}
    for row in table.rows():
        scores = found["case"].setdefault(row.case, {}).setdefault(_key(row.metric), {})
        scores[_key(row.name or row.label) or "image"] = row.score
    return jsonable(found)


def _key(name: str) -> str:
    """A name that a JSON path can hold: letters, digits and underscores.

    Example:
        >>> _key("hausdorff(percentile=95)"), _key("f_beta(beta=0.5)")
        ('hd95', 'f_beta_beta_0_5')
    """
    short = next((k for k, v in COMPOSED.items() if get_metric(v).name == name), name)
    return re.sub(r"\W+", "_", short.lower() if short in COMPOSED else short).strip("_")


FORMATS: Mapping[str, Format] = {
    "csv": Format(lambda table, summary: table.to_csv(), None),
    "json": Format(lambda table, summary: json.dumps(summary, indent=1) + "\n", None),
    "nnunet": Format(
        lambda table, summary: json.dumps(nnunet(table, summary), indent=1) + "\n",
        "nnunet_summary.json",
    ),
    "grand-challenge": Format(
        lambda table, summary: json.dumps(grand_challenge(table, summary), indent=1) + "\n",
        "metrics.json",
    ),
}
