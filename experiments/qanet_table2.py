"""Does the spine of RibCage help, and does the boundary in the coded segmentation?

Table 2 and figure 7 of QANet (Aharoni et al.): RibCage, Siamese and naive networks of equally many
parameters, and RibCage on binary instead of trinary segmentations, trained on the same pairs for
the same updates, over several seeds. Plain networks predict SEG alone, without maps, as in the
paper. The hit rate says which share of the predictions is within a tolerance.

Some hours on two CPU cores at half the paper's width. A run that was stopped goes on:

    python -m experiments.qanet_table2 --runs runs
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from experiments import _figures, _record
from experiments._training import trained
from segjax.quality import PRESETS, Training
from segjax.quality.producing import held_out, predicted
from segjax.quality.ribcage import Network, build, count_parameters
from segjax.quality.scoring import agreement, hit_rate
from segjax.quality.training import TEST, Run


TOLERANCES = np.linspace(0, 0.5, 26)


@dataclass(frozen=True)
class Config:
    """What may be varied.

    runs: folder of the runs; none keeps nothing.
    kinds: of networks.
    steps: updates of each run.
    seeds: how many.
    held_out: pairs to test on.
    patch: side of the patches.
    width: channels after the first block of RibCage; the paper's are 32.
    seed: the first.
    """

    runs: str = ""
    kinds: tuple[str, ...] = ("RibCage", "RibCage, binary", "Siamese", "naive")
    steps: int = 500
    seeds: int = 3
    held_out: int = 512
    patch: int = 64
    width: int = 16
    seed: int = 0


SMOKE = Config(kinds=("naive",), steps=2, seeds=1, held_out=16, patch=32, width=2)


def networks(width: int) -> dict[str, tuple[Network, str]]:
    """Networks of about as many parameters, and how each sees segmentations."""
    w = width / 32
    wide = lambda *channels: tuple(max(1, round(w * c)) for c in channels)
    plain = {"outputs": ("SEG",), "padding": "SAME"}
    ribcage = Network(channels=wide(32, 64, 128, 256), dense=wide(128, 128), **plain)
    return {
        "RibCage": (ribcage, "trinary"),
        "RibCage, binary": (ribcage, "binary"),
        "Siamese": (
            Network("siamese", channels=wide(51, 102, 204, 409), dense=wide(128, 64), **plain),
            "trinary",
        ),
        "naive": (
            Network("naive", channels=wide(64, 128, 256, 512), dense=wide(512, 512), **plain),
            "trinary",
        ),
    }


def training_of(network: Network, coding: str, config: Config, seed: int) -> Training:
    """The same run for each network."""
    base = PRESETS["nuclei-2d-paper"]
    nuclei = replace(base.pairs.nuclei, shape=(config.patch,) * 2)
    pairs = replace(base.pairs, nuclei=nuclei, targets=network.outputs, coding=coding)
    return replace(
        base, network=network, pairs=pairs, steps=config.steps, seed=seed, validation=256
    )


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each network and seed."""
    rows = []
    for name in config.kinds:
        network, coding = networks(config.width)[name]
        parameters = count_parameters(nnx.eval_shape(lambda network=network: build(network)))
        for seed in range(config.seed, config.seed + config.seeds):
            training = training_of(network, coding, config, seed)
            folder = Path(config.runs) if config.runs else None
            label = f"table2 {name} {seed}".replace(",", "").replace(" ", "-")
            assessor = trained(label, training, folder, held_out=config.held_out)
            held = held_out(Run(training), TEST, config.held_out)
            found, truth, counted = predicted(assessor, held)
            said, true = found[counted[:, 0], 0], truth[counted[:, 0], 0]
            hits = hit_rate(said, true, TOLERANCES)
            rows.append(
                {
                    "network": name,
                    "parameters": parameters,
                    "seed": seed,
                    **agreement(said, true)._asdict(),
                    "hit rates": hits.round(4).tolist(),
                }
            )
    return rows


def figure(rows: list[dict[str, Any]]) -> str:
    """Hit rates by tolerance, the means over the seeds."""
    lines = {}
    for name in dict.fromkeys(row["network"] for row in rows):
        rates = np.mean([row["hit rates"] for row in rows if row["network"] == name], 0)
        lines[name] = np.stack([TOLERANCES, rates], 1)
    panel = _figures.Panel("Hit rate of SEG", "tolerance", "share within it", lines=lines)
    return _figures.figure("Share of predictions within a tolerance", [panel])


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    began = time.perf_counter()
    rows = run(config)
    print(_record.show(rows, [name for name in rows[0] if name != "hit rates"]))
    named = replace(config, runs=Path(config.runs).name)
    _record.save("qanet_table2", named, rows, time.perf_counter() - began)
    (_record.RESULTS / "qanet_table2.svg").write_text(figure(rows))


if __name__ == "__main__":
    main()
