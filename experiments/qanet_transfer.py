"""Does a network that saw only simulated nuclei judge segmentations of real ones?

Real images of nuclei, each segmented by several methods, are assessed without their ground
truth; then it is looked up. Asked is how well predicted and true SEG agree per image and method,
whether methods are ranked as by their true means, how much of the best possible mean SEG is
reached by taking for each image the method predicted best, and how often intervals hold the
truth: as shipped, and after calibration on a tenth of the images.

The folder of data has images/, gt/ and pred/<method>/ with files of one name. By default the
sample that comes with segjax is taken: a single image, which gives no interval to calibrate. The
results beside this file are of 42 fluorescence images of DSB2018, segmented by eight methods
(Otsu and components; Otsu and watershed of the distance, also with too many seeds; local
threshold and watershed; a low threshold; Laplacian of Gaussian; a random forest; a U-Net), none
of which the network was trained on. What a GPU would change: nothing but the time.

    python -m experiments.qanet_transfer --data FOLDER
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from experiments import _figures, _record
from experiments._scenes import scenes
from segjax.quality import assess, load_weights
from segjax.quality.conformal import recalibrate
from segjax.quality.predict import calibrated
from segjax.quality.scoring import agreement
from segjax.quality.truth import true_score


@dataclass(frozen=True)
class Config:
    """What may be varied.

    data: folder of images, gt and pred; none takes the bundled sample.
    weights: name or file.
    images: how many at most.
    side: of the corner of each image to look at; 0 for the whole.
    share: of the images that are annotated for calibration.
    splits: into annotated and others, over which coverage is averaged.
    coverage: of the intervals.
    seed: of the splits.
    """

    data: str = ""
    weights: str = "nuclei-2d"
    images: int = 1000
    side: int = 0
    share: float = 0.1
    splits: int = 200
    coverage: float = 0.9
    seed: int = 0


SMOKE = Config(images=1, side=128, splits=2)


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each metric, then one for each method."""
    assessor = load_weights(config.weights)
    metrics = assessor.network.outputs
    found, true = [], []
    methods: list[str] = []
    for scene in islice(scenes(config.data, config.side), config.images):
        found.append([
            assess(scene.image, labels, metrics, weights=assessor, coverage=config.coverage)
            for labels in scene.segmentations.values()
        ])  # fmt: skip
        true.append([
            [true_score(scene.truth, labels, m, one.voxel) for m in metrics]
            for labels, one in zip(scene.segmentations.values(), found[-1], strict=True)
        ])  # fmt: skip
        methods = list(scene.segmentations)
    said = np.array([[[a.scores[m].value for m in metrics] for a in row] for row in found])
    rows = [
        _overall(metric, said[..., i], np.array(true)[..., i], found, config)
        for i, metric in enumerate(metrics)
    ]
    for j, method in enumerate(methods):
        flags = np.mean([bool(row[j].flags) for row in found])
        means = {f"predicted {m}": said[:, j, i].mean() for i, m in enumerate(metrics)}
        means |= {f"true {m}": np.nanmean(np.array(true)[:, j, i]) for i, m in enumerate(metrics)}
        rows.append({"method": method, **_plain(means), "flagged": float(flags)})
    return rows


def _overall(
    metric: str, said: np.ndarray, true: np.ndarray, found: Sequence[Sequence[Any]], config: Config
) -> dict[str, Any]:
    """Everything about one metric; `said` and `true` are images by methods."""
    known = np.isfinite(true)
    a = agreement(said[known], true[known])
    by_method = said.mean(0), np.nanmean(true, 0)
    per_image = np.arange(len(said))
    chosen = np.nanmean(true[per_image, said.argmax(1)])
    oracle = np.nanmean(np.where(known, true, -np.inf).max(1))
    inside = [
        one.scores[metric].low <= t <= one.scores[metric].high
        for row, truths in zip(found, true, strict=True)
        for one, t in zip(row, truths, strict=True)
        if np.isfinite(t)
    ]
    return {
        "metric": metric,
        "images": len(said),
        **{k: v for k, v in a._asdict().items() if k != "auc"},
        "mae of the mean": float(np.abs(true[known] - true[known].mean()).mean()),
        "tau of methods": float(np.asarray(stats.kendalltau(*by_method))[0]),
        "best by prediction": float(chosen),
        "best by truth": float(oracle),
        "best fixed method": float(by_method[1].max()),
        "mean method": float(by_method[1].mean()),
        "coverage as shipped": float(np.mean(inside)),
        "flagged": float(np.mean([bool(one.flags) for row in found for one in row])),
        **_calibrated(metric, true, found, config),
        "scatter": np.stack([true[known], said[known]], 1).round(3).tolist(),
    }


def _calibrated(
    metric: str, true: np.ndarray, found: Sequence[Sequence[Any]], config: Config
) -> dict[str, Any]:
    """Coverage and error on the other images after calibration on some, over random splits."""
    count = max(1, round(config.share * len(true)))
    if len(true) < 2:
        return {"annotated images": 0}
    rng = np.random.default_rng(config.seed)
    base = load_weights(config.weights).calibrations[metric]
    inside, errors, widths = [], [], []
    for _ in range(config.splits):
        order = rng.permutation(len(true))
        pairs = [
            (one.raw[metric], t, one.objects)
            for i in order[:count]
            for one, t in zip(found[i], true[i], strict=True)
            if np.isfinite(t)
        ]
        calibration = recalibrate(*np.array(pairs).T, base=base)
        for i in order[count:]:
            for one, t in zip(found[i], true[i], strict=True):
                if np.isfinite(t):
                    score = calibrated(one, {metric: calibration}).scores[metric]
                    inside.append(score.low <= t <= score.high)
                    errors.append(abs(score.value - t))
                    widths.append(score.high - score.low)
    return {
        "annotated images": count,
        "coverage calibrated": float(np.mean(inside)),
        "mae calibrated": float(np.mean(errors)),
        "mean width": float(np.mean(widths)),
    }


def _plain(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def figure(rows: list[dict[str, Any]]) -> str:
    """Predicted against true scores, a point for each image and method."""
    panels = [
        _figures.Panel(
            f"{row['metric']}, r {row['r']:.2f}", "true", "predicted", np.array(row["scatter"])
        )
        for row in rows
        if "metric" in row
    ]
    return _figures.figure("Predicted against true scores of real images", panels, columns=2)


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    began = time.perf_counter()
    rows = run(config)
    print(_record.show([r for r in rows if "metric" in r], list(rows[0])[:-1]))
    print(_record.show([r for r in rows if "method" in r], list(rows[-1])))
    if config.data:
        named = replace(config, data=Path(config.data).name)
        _record.save("qanet_transfer", named, rows, time.perf_counter() - began)
        (_record.RESULTS / "qanet_transfer.svg").write_text(figure(rows))


if __name__ == "__main__":
    main()
