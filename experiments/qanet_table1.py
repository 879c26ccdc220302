"""How well are scores predicted on simulated images that were never trained on?

Table 1 and figure 6 of QANet (Aharoni et al.): agreement of predicted and true scores. Two sets:
the paper's protocol (images like Fluo-N2DH-SIM+ and Fluo-N3DH-SIM+, the two-stage perturbations),
and our wide one (the whole range of contrasts and errors, scores over all of 0 to 1). Beside each
stands predicting the mean of the set.

The paper printed for 2-D SEG: AUC .946, r .901, rho .906, MAE .064, RMSE .085, bias +.018; 3-D
SEG .934, .573, .580, .066, .085, +.009; MHD95 r .747, MAE 1.252; ASD r .765, MAE 1.112; neMHD
.948, .784, .791, .074, .098, +.001. For errors of at most 1 the area under the hit rate is
1 - MAE, with which the paper's first and last row do not agree. Its pixels are half of ours.

Trained in some hours on two CPU cores at half the paper's width; the paper's width and 700,000
pairs are some minutes per 100,000 pairs on a GPU. A run that was stopped goes on:

    python -m experiments.qanet_table1 --runs runs
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments import _record
from experiments._training import trained
from segjax.quality import PRESETS
from segjax.quality.producing import held_out, predicted
from segjax.quality.scoring import agreement
from segjax.quality.training import TEST, Run, Training


LENGTHS = ("MHD95", "ASD")  # those in the table


@dataclass(frozen=True)
class Config:
    """What may be varied.

    runs: folder of the runs; none keeps nothing.
    names: of the presets that are trained.
    start: weights that "nuclei-2d-paper" starts from; it is then trained a third as long. Those of
        this name are not trained again. None starts from random ones.
    steps: updates, 0 for those of the presets.
    held_out: pairs to test on.
    patch: side of the patches, 0 for that of the presets.
    seed: of the runs.
    """

    runs: str = ""
    names: tuple[str, ...] = ("nuclei-2d-paper", "nuclei-2d", "nuclei-3d")
    start: str = "nuclei-2d"
    steps: int = 0
    held_out: int = 2048
    patch: int = 0
    seed: int = 0


SMOKE = Config(names=("nuclei-2d-paper",), steps=2, held_out=32, patch=32)


def training_of(name: str, config: Config) -> Training:
    """A preset's run, with the paper's lengths where it is the paper's protocol."""
    training = replace(PRESETS[name], seed=config.seed)
    if name != "nuclei-2d":
        training = training.of_targets((*training.pairs.targets, *LENGTHS))
    if config.patch:
        small = (config.patch,) * 2
        nuclei = training.pairs.nuclei
        nuclei = replace(nuclei, shape=(*nuclei.shape[:-2], *small), objects=4, count=(1.0, 4.0))
        training = replace(training, pairs=replace(training.pairs, nuclei=nuclei), validation=16)
    if config.steps:
        training = replace(training, steps=config.steps)
    return training


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each run and score; the pairs of the figure are in "scatter"."""
    rows = []
    for name in config.names:
        training = training_of(name, config)
        folder = Path(config.runs) if config.runs else None
        assessor = trained(name, training, folder, held_out=config.held_out)
        held = held_out(Run(training), TEST, config.held_out)
        said, true, counted = predicted(assessor, held)
        for i, score in enumerate(assessor.network.outputs):
            known = counted[:, i]
            p, t = said[known, i], true[known, i]
            plain = agreement(np.full(t.shape, t.mean()), t)
            found = agreement(p, t)._asdict()
            if score in LENGTHS:
                del found["auc"]
            rows.append(
                {
                    "set": name,
                    "score": score,
                    "trained pairs": assessor.card.samples,
                    **found,
                    "mean mae": plain.mae,
                    "mean rmse": plain.rmse,
                    "sd": float(t.std()),
                    "scatter": np.stack([p, t], 1)[:300].round(3).tolist(),
                }
            )
    return rows


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    began = time.perf_counter()
    rows = run(config)
    print(_record.show(rows, [name for name in rows[0] if name != "scatter"]))
    named = replace(config, runs=Path(config.runs).name)
    _record.save("qanet_table1", named, rows, time.perf_counter() - began)


if __name__ == "__main__":
    main()
