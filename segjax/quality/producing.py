"""From a finished training run to an assessor: calibrated, tested, with its card."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from segjax.quality.card import Card
from segjax.quality.finishing import HeldOut, finish
from segjax.quality.running import run as predict
from segjax.quality.scoring import agreement
from segjax.quality.training import CALIBRATION, TEST, Pools, Run, Trained
from segjax.quality.weights import Assessor


AVERAGING = 4  # views, as `segjax.assess` takes by default
DIAMETER = 22.0  # pixels, of the nuclei that are simulated


class Predicted(NamedTuple):
    """Predicted scores of pairs, the true ones, and whether these are defined."""

    said: Float[np.ndarray, "pair output"]
    true: Float[np.ndarray, "pair output"]
    counted: Bool[np.ndarray, "pair output"]


def make_assessor(
    trained: Trained,
    *,
    name: str,
    data: str = "simulated nuclei",
    pools: Pools | None = None,
    calibration: int = 4096,
    test: int = 2048,
) -> Assessor:
    """Calibrate and test a trained network on pairs that it never saw.

    Args:
        trained: the outcome of `segjax.quality.train`.
        name: of the weights.
        data: what it was trained on, in words.
        pools: the annotated images that it was trained on and those held out.
        calibration: pairs to calibrate intervals on.
        test: other pairs to test on; the results are on the card.
    """
    training = trained.training
    pairs = training.pairs
    card = Card(
        name=name,
        patch=pairs.nuclei.shape,
        diameter=DIAMETER,
        spacing=pairs.spacing,
        coding=pairs.coding,
        data=data,
        perturbations=_words(pairs.perturbations),
        seed=training.seed,
        samples=trained.pairs,
        limits=(
            "Trained on fluorescent nuclei: other objects and other microscopes are flagged at "
            "best. Where an object cannot be seen, its absence cannot either.",
            "Intervals hold for images as simulated; calibrate on annotated images of your own.",
        ),
    )
    run = Run(training, pools)
    assessor = Assessor(training.network, trained.weights, card)
    results = _tested(assessor, held_out(run, TEST, test))
    assessor = replace(assessor, card=replace(card, results=results))
    return finish(assessor, held_out(run, CALIBRATION, calibration), averaging=AVERAGING)


def held_out(run: Run, stream: int, count: int) -> Iterator[HeldOut]:
    """Pairs of a stream of a run that are never trained on, in batches."""
    for pair, _ in run.hold_out(stream, count):
        yield HeldOut(*run.on_host(pair.image, pair.evaluated, *pair[2:4]))


def predicted(assessor: Assessor, batches: Iterable[HeldOut]) -> Predicted:
    """What an assessor says of held-out pairs, beside what is true."""
    found = [
        (predict(assessor, b.images, b.labels, averaging=AVERAGING).scores, b.scores, b.counted)
        for b in batches
    ]
    return Predicted(*(np.concatenate(x) for x in zip(*found, strict=True)))


def _tested(assessor: Assessor, batches: Iterable[HeldOut]) -> dict[str, Any]:
    """Agreement by output, beside predicting the mean."""
    said, true, counted = predicted(assessor, batches)
    results = {}
    for i, output in enumerate(assessor.network.outputs):
        known = counted[:, i]
        truth = true[known, i]
        found = agreement(said[known, i], truth)._asdict()
        plain = agreement(np.full(truth.shape, truth.mean()), truth)
        results[output] = {
            **{k: v if k == "pairs" else round(v, 4) for k, v in found.items()},
            "predicting the mean": {"mae": round(plain.mae, 4), "rmse": round(plain.rmse, 4)},
        }
    return results


def _words(perturbations: Any) -> str:
    """What differs from doing nothing, as name=value."""
    values = ((name, getattr(perturbations, name)) for name in perturbations.__dataclass_fields__)
    return ", ".join(f"{name}={value}" for name, value in values)
