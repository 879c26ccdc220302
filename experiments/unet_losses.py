"""Which loss buys what: does any give a smaller HD95 than plain Dice, beyond noise?

A small U-Net learns to segment simulated nuclei with each loss: from the same weights, on the
same images, over several seeds; then Dice, HD95, NSD (a tolerance of one pixel) and SEG (of the
pieces of the mask) are measured on images that no run has seen. What a loss gains over plain Dice
is paired by seed. Of twenty losses one is best by chance: that of the smallest HD95 runs again with
plain Dice in a second round, over seeds of its own.

About two hours on two CPU cores. A run that was stopped goes on, on any number of devices:

    python -m experiments.unet_losses --runs runs
    python -m experiments.unet_losses --losses dice lovasz_hinge --steps 100   # a quick look
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from experiments import _record, _unet
from segjax import evaluate_batch, losses
from segjax.io import write_atomic
from segjax.ops.components import components


BASELINE = "dice"
METRICS = {"dice": 1, "hd95": -1, "nsd": 1, "seg": 1}  # and which way is better


def alone(name: str) -> Callable[[Any, _unet.Images], Any]:
    """A loss of the library, of the mask."""
    function = getattr(losses, name)
    return lambda logits, seen: function(logits, seen.mask, reduction="case")


def beside_dice(name: str, weight: float) -> Callable[[Any, _unet.Images], Any]:
    """Dice and another loss, which does not get far by itself."""
    dice, other = alone("dice"), alone(name)
    return lambda logits, seen: dice(logits, seen) + weight * other(logits, seen)


def of_pieces(name: str) -> Callable[[Any, _unet.Images], Any]:
    """Dice and a loss of objects: the pieces that the predicted mask falls into, as it is now."""
    dice, function, objects = alone("dice"), getattr(losses, name), 24

    def loss(logits: Any, seen: _unet.Images) -> Any:
        probability = jax.nn.sigmoid(logits[..., 0])
        pieces, _ = jax.vmap(components)(probability > 0.5)
        channels = probability[..., None] * (pieces[..., None] == jnp.arange(1, objects + 1))
        background = 1 - channels.sum(-1, keepdims=True)
        of_objects = function(
            jnp.concatenate([background, channels], -1),
            seen.labels,
            objects=objects,
            from_logits=False,
            dims=2,
        )
        return dice(logits, seen) + of_objects

    return loss


CHOICES: dict[str, Callable[[Any, _unet.Images], Any]] = {
    **{
        name: alone(name)
        for name in (
            "dice",
            "generalised_dice",
            "iou",
            "tversky",
            "focal_tversky",
            "log_cosh_dice",
            "sensitivity_specificity",
            "mcc",
            "cross_entropy",
            "focal",
            "top_k",
            "lovasz_hinge",
            "dice_ce",
            "dice_focal",
            "dice_boundary",
        )
    },
    # Weights with which the two pull about equally hard after some hundred updates.
    "dice + boundary": beside_dice("boundary", 0.2),
    "dice + hausdorff": beside_dice("hausdorff", 0.05),
    "dice + surface_dice": beside_dice("surface_dice", 1.0),
    "dice + cldice": beside_dice("cldice", 0.5),
    "dice + pq": of_pieces("pq"),
    "dice + seg": of_pieces("seg"),
}


@dataclass(frozen=True)
class Config:
    """What may be varied.

    runs: folder of the runs, each with log.csv and checkpoints; none keeps nothing.
    losses: names.
    seeds: how many in the first round.
    finalists: losses of the second round, beside plain Dice.
    again: seeds of the second round.
    held_out: images to test on.
    steps: updates of each run.
    batch: images per update.
    patch: side of the images.
    channels: of the U-Net at each scale.
    seed: the first.
    """

    runs: str = ""
    losses: tuple[str, ...] = tuple(CHOICES)
    seeds: int = 3
    finalists: int = 1
    again: int = 5
    held_out: int = 256
    steps: int = 600
    batch: int = 8
    patch: int = 64
    channels: tuple[int, ...] = (8, 16, 32, 64)
    seed: int = 0


SMOKE = Config(
    losses=("dice", "dice + boundary"),
    seeds=1,
    finalists=1,
    again=1,
    held_out=8,
    steps=2,
    patch=32,
    channels=(2, 4),
)


def score(held: _unet.Images, logits: np.ndarray) -> dict[str, float]:
    """Means over the images; a distance to a mask that is not there is the image's diagonal."""
    masks, objects = logits[..., 0] > 0, list(held.labels)
    whole = evaluate_batch(
        references=held.mask > 0, predictions=masks, metrics=["dice", "hd95", "nsd(tolerance=1)"]
    )
    pieces = [components(mask)[0] for mask in masks]
    seg = evaluate_batch(references=objects, predictions=pieces, metrics=["seg"])
    columns = [whole.column(name) for name in whole.metrics] + [seg.column("seg")]
    diagonal = float(np.hypot(*masks.shape[1:]))
    means = [np.nanmean(np.where(np.isinf(c), diagonal, c)) for c in columns]
    return dict(zip(METRICS, map(float, means), strict=True))


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each round, loss and seed."""
    fresh = config.seed + config.seeds
    rows = _round(1, config.losses, range(config.seed, fresh), config)
    if config.finalists:
        names = (BASELINE, *nearest(rows, config.finalists))
        rows += _round(2, names, range(fresh, fresh + config.again), config)
    return rows


def nearest(rows: list[dict[str, Any]], count: int) -> list[str]:
    """Losses of the smallest mean HD95 but for plain Dice."""
    of = lambda name: float(np.mean([row["hd95"] for row in rows if row["loss"] == name]))
    others = dict.fromkeys(row["loss"] for row in rows if row["loss"] != BASELINE)
    return sorted(others, key=of)[:count]


def _round(
    number: int, names: Iterable[str], seeds: Iterable[int], config: Config
) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        base = _unet.Run(
            loss=name,
            steps=config.steps,
            batch=config.batch,
            patch=config.patch,
            channels=config.channels,
            validation=min(64, config.held_out),
        )
        trainer = _unet.Trainer(base, CHOICES[name])
        for seed in seeds:
            found = _measured(trainer.of(seed), config)
            rows.append({"round": number, "loss": name, "seed": seed, **found})
            print(_record.show(rows[-1:], tuple(rows[-1])).splitlines()[-1], flush=True)
    return rows


def _measured(trainer: _unet.Trainer, config: Config) -> dict[str, float]:
    """Scores of a run, from its folder if it has ended before."""
    folder = None
    if config.runs:
        label = f"{trainer.run.loss} {trainer.run.seed}".replace(" + ", "-").replace(" ", "-")
        folder = Path(config.runs) / label
        if (folder / "scores.json").exists():
            return json.loads((folder / "scores.json").read_text())
    done = _unet.train(trainer, folder)
    scores = score(*trainer.predictions(done.state, _unet.TEST, config.held_out))
    found = {**scores, "seconds": round(done.seconds, 1)}
    if folder is not None:
        write_atomic(folder / "scores.json", json.dumps(found))
    return found


def gains(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each loss: means, sd over the seeds, and its gain over plain Dice, paired by seed.

    A gain is beyond noise if the 95 % t interval of its mean over the seeds is above 0.
    """
    of = {
        name: {m: np.array([r[m] for r in rows if r["loss"] == name]) for m in METRICS}
        for name in dict.fromkeys(row["loss"] for row in rows)
    }
    table = []
    for name, found in of.items():
        line: dict[str, Any] = {"loss": name}
        for metric, sign in METRICS.items():
            values = found[metric]
            line[metric] = float(values.mean())
            line[f"{metric} sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
            if name == BASELINE or BASELINE not in of or len(values) < 2:
                continue
            gain = sign * (values - of[BASELINE][metric])
            half = scipy.stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5
            line[f"{metric} gain"] = float(gain.mean())
            line[f"{metric} beyond noise"] = bool(gain.mean() > half)
        line["seconds"] = float(np.mean([r["seconds"] for r in rows if r["loss"] == name]))
        table.append(line)
    return table


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    rows = run(config)
    table = []
    for number in (1, 2):
        lines = gains([row for row in rows if row["round"] == number])
        table += [{"round": number, **line} for line in lines]
    shown = ("round", "loss", "dice", "hd95", "hd95 sd", "hd95 gain", "hd95 beyond noise", "nsd")
    print(_record.show(table, (*shown, "seg", "seconds")))
    named = replace(config, runs=Path(config.runs).name)
    seconds = sum(row["seconds"] for row in rows)  # of runs that were stopped, too
    _record.save("unet_losses", named, rows + table, seconds, packages=("flax", "optax"))


if __name__ == "__main__":
    main()
