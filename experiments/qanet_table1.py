"""How well are scores predicted on simulated images that were never trained on?

Table 1 and figure 6 of QANet (Aharoni et al.): agreement of predicted and true scores. Two sets:
the paper's protocol (images like Fluo-N2DH-SIM+ and Fluo-N3DH-SIM+, the two-stage perturbations),
and our wide one (the whole range of contrasts and errors, scores over all of 0 to 1). Beside each
stands predicting the mean of the set.

The paper printed for 2-D SEG: AUC .946, r .901, rho .906, MAE .064, RMSE .085, bias +.018; 3-D
SEG .934, .573, .580, .066, .085, +.009; MHD95 r .747, MAE 1.252; ASD r .765, MAE 1.112; neMHD
.948, .784, .791, .074, .098, +.001. For errors of at most 1 the area under the hit rate is
1 - MAE, with which the paper's first and last row do not agree. Its pixels are half of ours.

Networks are half as wide as the paper's. What comes with segjax is only tested, on pairs that it
never saw; the rest is trained, in an hour on two CPU cores, and goes on if it was stopped:

    python -m experiments.qanet_table1 --runs runs
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments import _figures, _record
from experiments._training import trained
from segjax.quality import PRESETS, available_weights, load_weights
from segjax.quality.producing import held_out, predicted
from segjax.quality.scoring import agreement
from segjax.quality.training import TEST, Run, Training
from segjax.simulation.targets import LENGTHS


@dataclass(frozen=True)
class Config:
    """What may be varied.

    runs: folder of the runs; none keeps nothing.
    names: of the presets that are trained, but those of weights that come with segjax.
    start: weights that training starts from; none starts from random ones.
    steps: updates, 0 for those of the presets.
    held_out: pairs to test on.
    patch: side of the patches, 0 for that of the presets.
    seed: of the runs.
    """

    runs: str = ""
    names: tuple[str, ...] = ("nuclei-2d-paper", "nuclei-2d", "nuclei-3d")
    start: str = "nuclei-2d"
    steps: int = 0
    held_out: int = 1024
    patch: int = 0
    seed: int = 0


SMOKE = Config(names=("nuclei-2d-paper",), steps=2, held_out=32, patch=32)


def training_of(name: str, config: Config) -> Training:
    """A preset's run."""
    training = replace(PRESETS[name], seed=config.seed)
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
        if name in available_weights():
            assessor = load_weights(name)
        else:
            start = load_weights(config.start) if config.start else None
            assessor = trained(name, training, folder, held_out=config.held_out, start=start)
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


def figure(rows: list[dict[str, Any]]) -> str:
    """Predicted against true scores, one panel for each set and score."""
    panels = [
        _figures.Panel(
            f"{row['set']}: {row['score']}, r {row['r']:.2f}",
            f"true {row['score']}",
            "predicted",
            np.clip(np.array(row["scatter"])[:, ::-1], 0, None),
        )
        for row in rows
        if row["score"] in ("SEG", "Dice", "neMHD")
    ]
    return _figures.figure("Predicted against true scores of simulated images", panels)


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    began = time.perf_counter()
    rows = run(config)
    print(_record.show(rows, [name for name in rows[0] if name != "scatter"]))
    named = replace(config, runs=Path(config.runs).name)
    _record.save("qanet_table1", named, rows, time.perf_counter() - began)
    (_record.RESULTS / "qanet_table1.svg").write_text(figure(rows))


if __name__ == "__main__":
    main()
