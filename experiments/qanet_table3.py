"""Are methods ranked without a ground truth as they are with it?

Table 3 of QANet (Aharoni et al.): for each method its mean predicted SEG against its mean true SEG
over real images. Beside it stands what can be done without a network: cross-method evaluation, in
which each other method stands in for the truth, and the scores are averaged. It rewards methods
for agreeing with the others, right or wrong.

The paper judged six methods of the Cell Tracking Challenge, whose predicted means were off by up to
3.5 % of the true ones. Here the folder of data has images/, gt/ and pred/<method>/; without one the
bundled sample is taken, a single image. The results beside this file are of 42 images of DSB2018 by
eight methods, of which four are bad on purpose.

    python -m experiments.qanet_table3 --data FOLDER
"""

import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import segjax
from experiments import _record
from experiments._scenes import scenes
from segjax.quality import assess, load_weights


@dataclass(frozen=True)
class Config:
    """What may be varied.

    data: folder of images, gt and pred; none takes the bundled sample.
    weights: name or file.
    images: how many at most.
    side: of the corner of each image to look at; 0 for the whole.
    seed: unused; nothing is drawn.
    """

    data: str = ""
    weights: str = "nuclei-2d"
    images: int = 1000
    side: int = 0
    seed: int = 0


SMOKE = Config(side=128)


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each method, and one of how the orders agree."""
    assessor = load_weights(config.weights)
    predicted, true, crossed = [], [], []
    methods: list[str] = []
    for scene in islice(scenes(config.data, config.side), config.images):
        methods, found = list(scene.segmentations), list(scene.segmentations.values())
        predicted.append(
            [assess(scene.image, labels, "SEG", weights=assessor).score for labels in found]
        )
        true.append([seg(scene.truth, labels) for labels in found])
        pairs = [[seg(r, p) if r is not p else np.nan for r in found] for p in found]
        crossed.append(np.nanmean(pairs, 1))
    columns = [np.nanmean(np.array(x), 0) for x in (predicted, true, crossed)]
    rows: list[dict[str, Any]] = [
        {
            "method": method,
            "predicted": float(p),
            "true": float(t),
            "error": float(p - t),
            "cross-method": float(c),
        }
        for method, p, t, c in zip(methods, *columns, strict=True)
    ]
    tau = lambda x: float(np.asarray(stats.kendalltau(x, columns[1]))[0])
    best = columns[1].max()
    rows.append(
        {
            "method": "Kendall's tau with the true order",
            "predicted": tau(columns[0]),
            "cross-method": tau(columns[2]),
        }
    )
    rows.append(
        {
            "method": "true mean of the method ranked first",
            "predicted": float(columns[1][columns[0].argmax()]),
            "cross-method": float(columns[1][columns[2].argmax()]),
            "true": float(best),
        }
    )
    return rows


def seg(reference: np.ndarray, prediction: np.ndarray) -> float:
    """SEG of one pair; NaN without reference objects."""
    found = segjax.evaluate(reference=reference, prediction=prediction, metrics=("SEG",))
    return float(next(iter(found.values())))


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    began = time.perf_counter()
    rows = run(config)
    print(_record.show(rows, list(rows[0])))
    if config.data:
        named = replace(config, data=Path(config.data).name)
        _record.save("qanet_table3", named, rows, time.perf_counter() - began)


if __name__ == "__main__":
    main()
