"""How fast are pairs made, learned from, and images assessed?

As in `segjax bench`, all take turns within one process, and `ratio` is the median over the
rounds of CPU time of segjax over that of the peer. The peer is the same generation of pairs (a
phantom, its perturbation, its scores) written for NumPy and SciPy, one pair after another, each
object in its own box, steps that are not drawn left out.

Besides: pairs per second of an update, what each part of it takes alone, and images assessed.

    python -m experiments.quality_speed
    python -m experiments.quality_speed --rounds 3   # a quick look
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import jax
import numpy as np

from experiments import _perturbation_numpy, _record, _simulation_numpy, _targets_numpy
from experiments._scenes import scenes
from segjax.benchmark.timing import COLUMNS, Entry, Rows, contest, timed
from segjax.quality import PRESETS, assess, load_weights
from segjax.quality.training import TRAINING, Run
from segjax.simulation import perturbations, phantoms, targets


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    presets: tuple[str, ...] = ("nuclei-2d", "nuclei-3d")
    batch: int = 16
    rounds: int = 7
    patch: int = 0
    views: int = 4
    seed: int = 0


SMOKE = Config(presets=("nuclei-2d",), batch=2, rounds=1, patch=32, views=1)


def run(config: Config) -> Rows:
    """Rows of contests, then of what has no peer."""
    rows: Rows = []
    for name in config.presets:
        rows += _generation(name, config)
    for name in config.presets:
        rows += _update(name, config)
    return rows + _assessment(config)


def _training(name: str, config: Config) -> Any:
    training = PRESETS[name]
    pairs = training.pairs
    if config.patch:
        pairs = replace(pairs, nuclei=replace(pairs.nuclei, shape=(config.patch,) * 2, objects=4))
    return replace(training, pairs=pairs, batch=config.batch, steps_per_call=1)


def _generation(name: str, config: Config) -> Rows:
    pairs = _training(name, config).pairs
    nuclei, how = pairs.nuclei, pairs.perturbations

    def one(key: Any) -> Any:
        seen, perturbed = jax.random.split(key)
        phantom = phantoms.simulate(seen, nuclei)
        made = perturbations.perturb(
            perturbed, phantom.labels, phantom.image, how, objects=nuclei.objects
        )
        measured = targets.measure(phantom.labels, made, pairs.targets, objects=pairs.objects)
        return phantom.image, made, measured.values

    many = jax.jit(jax.vmap(one))
    keys = jax.random.split(jax.random.key(config.seed), config.batch)
    jax.block_until_ready(many(keys))
    rng = np.random.default_rng(config.seed)

    def plain() -> None:
        for _ in range(config.batch):
            image, labels = _simulation_numpy.simulate(rng, nuclei)
            made = _perturbation_numpy.perturb(rng, labels, image, how, objects=nuclei.objects)
            _targets_numpy.measure(labels, made)

    generate = lambda: jax.block_until_ready(many(keys))
    return contest(
        f"{config.batch} pairs, {name}",
        {"compiled": Entry(generate, alike=False)},
        {"NumPy, SciPy": lambda: Entry(plain, bar=0.1, alike=False)},
        rounds=config.rounds,
        slow_rounds=config.rounds,
    )


def _update(name: str, config: Config) -> Rows:
    run = Run(_training(name, config))
    state = [run.first(None)]
    keys = run.keys(TRAINING, 0, config.batch)
    made = run._make(keys, None)
    weights = state[0].weights
    gradient = jax.jit(jax.grad(run.loss, has_aux=True))

    def update() -> None:
        state[0] = jax.block_until_ready(run.advance(state[0]))[0]

    parts = {
        "pairs": lambda: jax.block_until_ready(run._make(keys, None)),
        "gradient": lambda: jax.block_until_ready(gradient(*weights, made)),
    }
    for work in parts.values():
        work()
    times = {part: _per_item(work, config) for part, work in parts.items()}
    update()
    whole = _per_item(update, config)
    return [
        {
            "task": f"an update, {name}",
            "pairs per second": round(1e3 / whole[1], 1),
            "CPU ms a pair": round(whole[0], 2),
            "of which made": round(times["pairs"][0], 2),
            "of which gradient": round(times["gradient"][0], 2),
        }
    ]


def _per_item(work: Callable[[], Any], config: Config) -> tuple[float, float]:
    found = [timed(work) for _ in range(config.rounds)]
    return tuple(1e3 * median(t) / config.batch for t in zip(*found, strict=True))  # pyright: ignore


def _assessment(config: Config) -> Rows:
    scene = next(scenes("", 4 * config.patch))
    labels = scene.segmentations["otsu_cc"]
    assessor = load_weights("nuclei-2d")
    work = partial(assess, scene.image, labels, "SEG", weights=assessor, averaging=config.views)
    work()
    found = [timed(work) for _ in range(config.rounds)]
    cpu, wall = (median(t) for t in zip(*found, strict=True))
    return [
        {
            "task": f"assess {scene.image.shape[0]}^2, {config.views} views",
            "images per second": round(1 / wall, 2),
            "CPU ms an image": round(1e3 * cpu, 1),
        }
    ]


def main() -> None:
    """Run with options from the command line; print and store."""
    config = _record.options(Config)
    began = time.perf_counter()
    rows = run(config)
    print(_record.show_contest(rows, COLUMNS))
    _record.save("quality_speed", config, rows, time.perf_counter() - began, packages=("scipy",))


if __name__ == "__main__":
    main()
