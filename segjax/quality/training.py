"""Training: one compiled program simulates, perturbs, scores, and updates a network.

Nothing but keys goes in and nothing but losses comes out: `steps_per_call` steps run in one call,
as a loop on the device. What a step sees depends on the seed and its number alone, so a run that
was killed goes on from its last checkpoint to the same losses, and so does one on other devices.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key, UInt32

from segjax import _devices
from segjax._compiling import keep_compiled
from segjax._errors import InputError
from segjax.hosts import hosts_of_jax
from segjax.io import output_folder, write_atomic
from segjax.io._text import read_json
from segjax.quality.checkpoint import Checkpoints
from segjax.quality.log import Log, Progress
from segjax.quality.program import Weights, program_of
from segjax.quality.ribcage import Network
from segjax.quality.scoring import agreement
from segjax.quality.weights import Assessor
from segjax.simulation.maps import error_maps
from segjax.simulation.pairs import Pair, Pairs, Pool, make_pair
from segjax.simulation.targets import LENGTHS


TRAINING, VALIDATION, CALIBRATION, TEST = range(4)  # four streams of keys that never meet


@dataclass(frozen=True)
class Training:
    """Everything that fixes a training run but the devices.

    Attributes:
        network: what is trained; its outputs are the targets.
        pairs: what it learns from.
        steps: updates.
        batch: pairs per update.
        learning_rate: at its highest, after the warm-up; it falls to 0 along a cosine.
        warmup: updates of the warm-up.
        weight_decay: of AdamW.
        clip: the largest norm of a gradient.
        averaging: how slowly the averaged weights follow; these are validated and kept.
        map_weight: weight of the squared errors of the maps beside those of the scores.
        seed: fixes weights and pairs.
        validate_every: updates between validations, each with a checkpoint.
        validation: pairs in the fixed validation set.
        patience: stop after so many validations without a smaller error; None never stops.
        steps_per_call: updates per call of the compiled program.
    """

    network: Network = field(default_factory=Network)
    pairs: Pairs = field(default_factory=Pairs)
    steps: int = 20_000
    batch: int = 32
    learning_rate: float = 1.5e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    averaging: float = 0.998
    map_weight: float = 0.25
    seed: int = 0
    validate_every: int = 500
    validation: int = 1024
    patience: int | None = None
    steps_per_call: int = 10

    def __post_init__(self) -> None:
        positive = ("steps", "batch", "validate_every", "validation", "steps_per_call")
        for name in positive:
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.network.outputs != self.pairs.targets:
            raise InputError(
                f"the network's outputs {self.network.outputs} are not the targets of the pairs "
                f"{self.pairs.targets}; name the same scores in the same order"
            )
        if self.network.dims != len(self.pairs.nuclei.shape):
            raise InputError(
                f"the network takes {self.network.dims}-D patches, the pairs are "
                f"{len(self.pairs.nuclei.shape)}-D"
            )

    def of_targets(self, targets: tuple[str, ...]) -> "Training":
        """The same run for other scores."""
        return replace(
            self,
            network=replace(self.network, outputs=targets),
            pairs=replace(self.pairs, targets=targets),
        )

    @property
    def grid(self) -> tuple[int, ...]:
        """The shape of the maps."""
        return self.network.grid(self.pairs.nuclei.shape)


class Pools(NamedTuple):
    """Annotated images to learn from, and others to validate, calibrate and test on."""

    learned: Pool | None
    held: Pool | None


class State(NamedTuple):
    """Everything that a step changes, and the root of all keys, so that seeds share a program."""

    weights: Weights
    averaged: Weights
    optimiser: Any
    step: Int[Array, ""]
    root: UInt32[Array, "2"]


class Best(NamedTuple):
    """The averaged weights with the smallest error in validation so far."""

    weights: Weights
    error: Float[np.ndarray, ""]
    step: Int[np.ndarray, ""]
    stale: Int[np.ndarray, ""]


@dataclass(frozen=True)
class Trained:
    """The outcome of a run.

    Attributes:
        training: what was asked for.
        weights: the averaged weights that validated best.
        step: the update they are from.
        pairs: seen until then, those of the weights it started from included.
        seconds: of the run, those before a resume included.
    """

    training: Training
    weights: Weights
    step: int
    pairs: int
    seconds: float


def train(
    training: Training,
    *,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    pools: Pools | None = None,
    start: Assessor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a network on pairs made on the device, over all devices.

    Also over those of other hosts, if `jax.distributed.initialize` has been called on each: all
    of them then train with the same arguments, and save to one folder that all of them see.

    Args:
        training: everything that fixes the run.
        output: folder for `training.json`, `log.csv` and `checkpoints/`; nothing is written
            without it.
        resume: go on from the last checkpoint in `output`; the run must be the same.
        pools: images to cut patches from instead of simulating them.
        start: whose weights to start from; the network may predict other scores, and be of images
            where this one is of volumes (see `segjax.quality.program`).
        on_progress: called after each validation.

    Raises:
        InputError: if the folder holds another run, or weights do not fit the network.
    """
    keep_compiled()
    run = Run(training, pools)
    with _devices.alone(run.mesh):
        return _train(run, output, resume, start, on_progress)


def _train(
    run: "Run",
    output: str | os.PathLike[str] | None,
    resume: bool,
    start: Assessor | None,
    on_progress: Callable[[Progress], None] | None,
) -> Trained:
    hosts, training = hosts_of_jax(), run.training
    state, best, seconds = run.first(start), None, 0.0
    checkpoints = log = None
    if output is not None:
        folder = Path(output)
        with hosts.together():
            if hosts.first:
                claim(folder, training, resume)
            hosts.gather("claimed")
        with hosts.together():
            checkpoints = Checkpoints(folder / "checkpoints")
            if resume and (kept := checkpoints.load((state, _no_best(state), np.zeros(())))):
                state, best, seconds = kept[0], kept[1], float(kept[2])
            log = Log(folder, after=int(state.step)) if hosts.first else None
            if len(steps := set(hosts.gather(int(state.step)))) > 1:
                raise InputError(
                    f"{folder}: the hosts find checkpoints of steps {sorted(steps)} there; give a "
                    "folder that all of them share"
                )
    best = best or _no_best(state)
    validation = list(run.hold_out(VALIDATION, training.validation))
    began, before, losses = time.monotonic() - seconds, int(state.step), []
    since = time.monotonic()
    while int(state.step) < training.steps and not _stale(best, training):
        state, loss = run.advance(state)
        losses.append(loss)
        step = int(state.step)
        if step % training.validate_every and step < training.steps:
            continue
        result = run.validate(state.averaged, validation)
        best = _better(best, state, result[0].mae)
        now = time.monotonic()
        seconds, rate = now - began, (step - before) * training.batch / (now - since)
        before, since = step, now
        scores = dict(zip(training.network.outputs, result, strict=True))
        loss = float(np.concatenate(losses).mean())
        pairs = step * training.batch
        progress = Progress(step, training.steps, pairs, seconds, rate, loss, scores)
        losses = []
        with hosts.together():
            if log is not None and checkpoints is not None:
                log.write(step, progress.row)
                checkpoints.save(step, (state, best, np.asarray(seconds)))
            hosts.gather("saved")
        if on_progress is not None:
            on_progress(progress)
    seen = int(best.step) * training.batch + (0 if start is None else start.card.samples)
    weights = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), best.weights)  # this host's own
    return Trained(training, weights, int(best.step), seen, seconds)


class Run:
    """The compiled programs of a run."""

    def __init__(self, training: Training, pools: Pools | None = None):
        self.training = training
        self.program = program_of(training.network)
        devices = _sharing(training.batch)
        self.mesh = jax.make_mesh((len(devices),), ("batch",), _AUTO, devices=devices)
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self.split = NamedSharding(self.mesh, PartitionSpec("batch"))
        self.pools = jax.device_put(pools or Pools(None, None), self.replicated)
        self.optimiser = _optimiser(training)
        everywhere = partial(jax.jit, out_shardings=self.replicated)
        self._advance = everywhere(self._steps, static_argnames="steps", donate_argnums=0)
        self._make = jax.jit(self.make)
        self._predict = everywhere(self.program.predict)
        self._whole = everywhere(lambda *x: x)

    def first(self, start: Assessor | None) -> State:
        if start is None:
            weights = self.program.random(self.training.seed)
        else:
            weights = self.program.adopt(start.weights, start.network)
        optimiser = self.optimiser.init(weights.parameters)
        root = jax.random.key_data(jax.random.key(self.training.seed))
        step = jnp.zeros((), jnp.int32)
        state = State(_copied(weights), _copied(weights), optimiser, step, root)
        return jax.device_put(state, self.replicated)

    def advance(self, state: State) -> tuple[State, np.ndarray]:
        """Run up to `steps_per_call` updates, but not past a validation."""
        t, step = self.training, int(state.step)
        until = min((step // t.validate_every + 1) * t.validate_every, t.steps)
        state, losses = self._advance(
            state, self.pools.learned, steps=min(t.steps_per_call, until - step)
        )
        return state, np.asarray(losses)

    def _steps(self, state: State, pool: Pool | None, steps: int) -> tuple[State, Array]:
        return jax.lax.scan(lambda s, _: self.step(s, pool), state, length=steps)

    def step(self, state: State, pool: Pool | None) -> tuple[State, Array]:
        """One update; also the loss of the scores."""
        root = jax.random.wrap_key_data(state.root)
        keys = _keys(root, TRAINING, state.step, self.training.batch)
        pairs = self.make(keys, pool)
        grads = jax.value_and_grad(self.loss, has_aux=True)
        (_, (statistics, loss)), gradient = grads(
            state.weights.parameters, state.weights.statistics, pairs
        )
        change, optimiser = self.optimiser.update(
            gradient, state.optimiser, state.weights.parameters
        )
        parameters: Any = optax.apply_updates(state.weights.parameters, change)
        weights = Weights(parameters, statistics)
        step = state.step + 1
        keep = jnp.minimum(self.training.averaging, (1.0 + step) / (10.0 + step))
        follow = lambda old, new: keep * old + (1 - keep) * new
        averaged = jax.tree.map(follow, state.averaged, weights)
        return State(weights, averaged, optimiser, step, state.root), loss

    def keys(self, stream: int, block: Any, count: int) -> Key[Array, " pair"]:
        """Those of a block of a stream: none is in two of them."""
        return _keys(jax.random.key(self.training.seed), stream, block, count)

    def make(self, keys: Key[Array, " pair"], pool: Pool | None) -> tuple[Pair, Array]:
        """Pairs and their maps, on all devices."""
        t = self.training

        def one(key: Array) -> tuple[Pair, Array]:
            pair = make_pair(key, t.pairs, pool)
            maps = jnp.zeros((*t.grid, 0))
            if t.network.maps:
                maps = error_maps(
                    pair.reference,
                    pair.evaluated,
                    t.network.maps,
                    t.grid,
                    objects=t.pairs.objects,
                )
            return pair, maps

        keys = jax.lax.with_sharding_constraint(keys, self.split)
        return jax.lax.with_sharding_constraint(jax.vmap(one)(keys), self.split)

    def loss(self, parameters: Any, statistics: Any, made: tuple[Pair, Array]) -> Any:
        pairs, maps = made
        weights = Weights(parameters, statistics)
        predicted, statistics = self.program.learn(weights, pairs.image, pairs.coded)
        scale = jnp.asarray([_LENGTH if t in LENGTHS else 1.0 for t in self.training.pairs.targets])
        errors = (predicted.scores - pairs.scores) / scale
        errors = jnp.where(pairs.counted, errors**2, 0.0)
        loss = errors.sum() / jnp.maximum(pairs.counted.sum(), 1)
        # Of a patch without objects there is no score, but its maps are known.
        of_maps = ((predicted.maps - maps) ** 2).mean() if self.training.network.maps else 0.0
        return loss + self.training.map_weight * of_maps, (statistics, loss)

    def hold_out(self, stream: int, count: int) -> Iterator[tuple[Pair, Array]]:
        """A fixed set of pairs that are never trained on, in batches."""
        size = self.training.batch
        for block in range(-(-count // size)):
            yield self._make(self.keys(stream, block, size), self.pools.held)

    def on_host(self, *arrays: Array) -> tuple[np.ndarray, ...]:
        """Arrays that are spread over the devices, whole."""
        return tuple(np.asarray(x) for x in self._whole(*arrays))

    def validate(self, weights: Weights, held: list[tuple[Pair, Array]]) -> list[Any]:
        """How well each output agrees with its target."""
        predicted = [self._predict(weights, p.image, p.coded).scores for p, _ in held]
        predicted = np.concatenate([np.asarray(p) for p in predicted])
        known = [self.on_host(p.scores, p.counted) for p, _ in held]
        true, counted = (np.concatenate(x) for x in zip(*known, strict=True))
        return [agreement(*x) for x in _columns(predicted, true, counted)]


def _keys(root: Key[Array, ""], stream: int, block: Any, count: int) -> Key[Array, " pair"]:
    return jax.random.split(jax.random.fold_in(jax.random.fold_in(root, stream), block), count)


_LENGTH = 10.0  # pixels that weigh as much as a whole score
_AUTO = (jax.sharding.AxisType.Auto,)


def _columns(
    predicted: np.ndarray, true: np.ndarray, counted: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(true.shape[1]):
        yield predicted[counted[:, i], i], true[counted[:, i], i]


def _sharing(batch: int) -> list[Any]:
    """Devices that share a batch evenly: as many as there can be, of each host as many."""
    hosts = jax.process_count()
    if batch % hosts:
        raise InputError(f"{hosts} hosts cannot share a batch of {batch} evenly; change it")
    by_host = [jax.local_devices(process_index=i) for i in range(hosts)]
    if hosts == 1:
        by_host = [_devices.own_devices()]
    most = min(map(len, by_host))
    each = max(n for n in range(1, most + 1) if batch % (n * hosts) == 0)
    return [device for devices in by_host for device in devices[:each]]


def _optimiser(t: Training) -> Any:
    rate = optax.warmup_cosine_decay_schedule(
        0.0, t.learning_rate, min(t.warmup, t.steps), max(t.steps, t.warmup + 1)
    )
    return optax.chain(
        optax.clip_by_global_norm(t.clip), optax.adamw(rate, weight_decay=t.weight_decay)
    )


def _copied(weights: Weights) -> Weights:
    """Apart from those of a state, whose memory the next step takes."""
    return jax.tree.map(lambda x: jnp.array(x, copy=True), weights)


def _no_best(state: State) -> Best:
    nothing = np.zeros((), np.int32)
    return Best(_copied(state.averaged), np.asarray(np.inf, np.float32), nothing, nothing)


def _better(best: Best, state: State, error: float) -> Best:
    if not error < best.error:
        return best._replace(stale=best.stale + 1)
    return Best(
        _copied(state.averaged),
        np.asarray(error, np.float32),
        np.asarray(state.step),
        np.zeros((), np.int32),
    )


def _stale(best: Best, training: Training) -> bool:
    return training.patience is not None and int(best.stale) >= training.patience


def claim(folder: Path, training: Any, resume: bool) -> None:
    """Write down what the run is, a dataclass; refuse a folder that holds another."""
    path = folder / "training.json"
    asked = json.loads(json.dumps(asdict(training)))
    if path.exists():
        if not resume:
            raise InputError(f"{folder} holds a run; resume it, or choose another output")
        held = read_json(path)
        if not isinstance(held, dict):
            raise InputError(f"{path}: is no description of a run; choose another output")
        changed = sorted(k for k in asked if asked[k] != held.get(k))
        if changed:
            raise InputError(
                f"{folder} holds another run: {', '.join(changed)} differ; choose another output"
            )
        return
    write_atomic(output_folder(folder) / path.name, (json.dumps(asked, indent=1) + "\n").encode())
