"""Train a U-Net on simulated nuclei with any loss, over all devices.

What a step sees depends on the seed and its number alone: runs with different losses see the same
images, a run that was stopped goes on to the same loss, and so does one on other devices.
"""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import segjax
from segjax._errors import InputError
from segjax.quality.checkpoint import Checkpoints
from segjax.quality.log import Log
from segjax.quality.training import claim
from segjax.simulation.coding import normalise
from segjax.simulation.phantoms import WIDE, simulate


TRAINING, VALIDATION, TEST = range(3)  # three streams of keys that never meet


@dataclass(frozen=True)
class Run:
    """What fixes a training run but the loss and the devices.

    loss: its name.
    steps: updates.
    batch: images per update.
    patch: side of the images.
    channels: of the U-Net at each scale.
    learning_rate: at its highest; it falls to 0 along a cosine.
    validate_every: updates between validations, each with a checkpoint.
    validation: images to validate on.
    seed: fixes weights and images.
    """

    loss: str = "dice_ce"
    steps: int = 600
    batch: int = 8
    patch: int = 64
    channels: tuple[int, ...] = (8, 16, 32, 64)
    learning_rate: float = 4e-3
    validate_every: int = 200
    validation: int = 64
    seed: int = 0


class Images(NamedTuple):
    """Simulated images and their truth.

    image: (case, row, column, 1), intensities brought to the same range.
    mask: (case, row, column), 1 in nuclei but for where two touch, so that its pieces are nuclei.
    labels: (case, row, column), a number for each nucleus.
    """

    image: Any
    mask: Any
    labels: Any


class State(NamedTuple):
    """Everything that an update changes, and the seed's key, so that seeds share a program."""

    parameters: Any
    optimiser: Any
    step: Any
    key: Any


class Block(nnx.Module):
    """Two convolutions 3 x 3, each normalised in groups of channels."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs):
        convolution = partial(nnx.Conv, kernel_size=(3, 3), use_bias=False, rngs=rngs)
        self.convolutions = nnx.List([convolution(n, outputs) for n in (inputs, outputs)])
        self.norms = nnx.List(
            [nnx.GroupNorm(outputs, num_groups=min(4, outputs), rngs=rngs) for _ in range(2)]
        )

    def __call__(self, x: Any) -> Any:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nnx.relu(norm(convolution(x)))
        return x


class UNet(nnx.Module):
    """One logit per pixel."""

    def __init__(self, channels: tuple[int, ...], rngs: nnx.Rngs):
        fine, coarse = channels[:-1], channels[1:]
        self.down = nnx.List([Block(i, o, rngs) for i, o in zip((1, *fine), channels, strict=True)])
        self.up = nnx.List(
            [Block(o + i, o, rngs) for o, i in zip(fine[::-1], coarse[::-1], strict=True)]
        )
        self.head = nnx.Linear(channels[0], 1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        scales = [self.down[0](x)]
        for block in self.down[1:]:
            scales.append(block(nnx.max_pool(scales[-1], (2, 2), (2, 2))))
        x = scales.pop()
        for block in self.up:
            x = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
            x = block(jnp.concatenate([x, scales.pop()], -1))
        return self.head(x)


def images(key: Any, count: int, patch: int) -> Images:
    """Draw images."""
    drawn = jax.vmap(partial(simulate, nuclei=replace(WIDE, shape=(patch, patch))))
    phantoms = drawn(jax.random.split(key, count))
    mask = jax.vmap(_apart)(phantoms.labels).astype(jnp.int32)
    return Images(jax.vmap(normalise)(phantoms.image)[..., None], mask, phantoms.labels)


def _apart(labels: Any) -> Any:
    """Pixels of objects beside no other object, along rows and columns."""
    padded = jnp.pad(labels, 1)
    mask = labels > 0
    for beside in (padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, 2:], padded[1:-1, :-2]):
        mask &= (beside == 0) | (beside == labels)
    return mask


class Trainer:
    """The compiled programs of a run."""

    def __init__(self, run: Run, loss: Callable[[Any, Images], Any]):
        self.run, self.loss = run, loss
        devices = max(n for n in range(1, jax.device_count() + 1) if run.batch % n == 0)
        mesh = jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,))
        self.whole = NamedSharding(mesh, PartitionSpec())
        self.split = NamedSharding(mesh, PartitionSpec("batch"))
        rate = optax.warmup_cosine_decay_schedule(
            0.0, run.learning_rate, min(50, run.steps), max(run.steps, 51)
        )
        self.optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate))
        self.network, _ = nnx.split(nnx.eval_shape(self._build), nnx.Param)
        self.update = jax.jit(self._update, donate_argnums=0)
        self.predict = jax.jit(self._predict)
        self.held = jax.jit(
            partial(images, count=run.batch, patch=run.patch), out_shardings=self.split
        )

    def of(self, seed: int) -> "Trainer":
        """The same programs for another seed."""
        other = copy(self)
        other.run = replace(self.run, seed=seed)
        return other

    def _build(self) -> UNet:
        return UNet(self.run.channels, nnx.Rngs(self.run.seed))

    def first(self) -> State:
        parameters = nnx.state(self._build(), nnx.Param)
        key = jax.random.key_data(jax.random.key(self.run.seed))
        state = State(parameters, self.optimiser.init(parameters), jnp.zeros((), jnp.int32), key)
        return jax.device_put(state, self.whole)

    def _predict(self, parameters: Any, image: Any) -> Any:
        return nnx.merge(self.network, parameters)(image)

    def _update(self, state: State) -> tuple[State, Any]:
        key = _key(jax.random.wrap_key_data(state.key), TRAINING, state.step)
        seen = images(key, self.run.batch, self.run.patch)
        seen = jax.lax.with_sharding_constraint(seen, self.split)

        def cost(parameters: Any) -> Any:
            return self.loss(self._predict(parameters, seen.image), seen).mean()

        loss, slope = jax.value_and_grad(cost)(state.parameters)
        change, optimiser = self.optimiser.update(slope, state.optimiser, state.parameters)
        parameters = optax.apply_updates(state.parameters, change)
        return State(parameters, optimiser, state.step + 1, state.key), loss

    def predictions(self, state: State, stream: int, count: int) -> tuple[Images, np.ndarray]:
        """Images that are never trained on, the same for all seeds, and their logits."""
        batches = []
        for block in range(-(-count // self.run.batch)):
            held = self.held(_key(jax.random.key(0), stream, block))
            batches.append((held, self.predict(state.parameters, held.image)))
        joined = jax.tree.map(lambda *x: np.concatenate(x)[:count], *batches)
        return joined


def _key(root: Any, stream: int, block: Any) -> Any:
    return jax.random.fold_in(jax.random.fold_in(root, stream), block)


class Outcome(NamedTuple):
    """Of a run.

    state: the last.
    log: a line for each validation: the step, the mean loss since the last, Dice, seconds.
    seconds: of all updates and validations.
    """

    state: State
    log: list[dict[str, float]]
    seconds: float


def train(trainer: Trainer, folder: Path | None = None) -> Outcome:
    """Train, or go on from the last checkpoint in a folder.

    Args:
        trainer: of the run.
        folder: for `training.json`, `log.csv`, events of TensorBoard and checkpoints; None keeps
            nothing.
    """
    run, state, seconds = trainer.run, trainer.first(), 0.0
    log = checkpoints = None
    rows: list[dict[str, float]] = []
    if folder is not None:
        try:
            claim(folder, run, resume=True)
        except InputError as error:
            raise SystemExit(str(error)) from None
        checkpoints = Checkpoints(folder / "checkpoints")
        if kept := checkpoints.load((state, np.zeros(()))):
            state, seconds = kept[0], float(kept[1])
        log = Log(folder, after=int(state.step))
        rows = [{name: float(value) for name, value in row.items()} for row in log.rows]
    began, losses = time.perf_counter() - seconds, []
    while (step := int(state.step)) < run.steps:
        state, loss = trainer.update(state)
        losses.append(loss)
        if (step + 1) % run.validate_every and step + 1 < run.steps:
            continue
        seconds = time.perf_counter() - began
        row = {"loss": float(np.mean(losses)), **validate(trainer, state), "seconds": seconds}
        rows.append({"step": step + 1, **row})
        losses = []
        if log is not None and checkpoints is not None:
            log.write(step + 1, row)
            checkpoints.save(step + 1, (state, np.asarray(seconds)))
    return Outcome(state, rows, seconds)


def validate(trainer: Trainer, state: State) -> dict[str, float]:
    """Dice of the images that a run is watched on: of each, and of all pixels together."""
    held, logits = trainer.predictions(state, VALIDATION, trainer.run.validation)
    kinds = {
        "dice of cases": segjax.streaming.per_case("dice", labels=(1,), capacity=len(logits)),
        "pooled dice": segjax.streaming.pooled("dice", labels=(1,)),
    }
    scores = {
        name: kind.from_model_output(logits=logits, labels=held.mask).compute()
        for name, kind in kinds.items()
    }
    return {name: float(np.ravel(score)[0]) for name, score in scores.items()}
