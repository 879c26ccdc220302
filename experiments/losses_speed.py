"""Speed of losses: how long do a value and its gradient take, per peer?

As in `segjax bench`, all take turns within one process, and `ratio` is the median over
the rounds of CPU time of segjax over that of the peer. Images of four classes, sixteen at a time;
PyTorch's have their classes first, in memory, too. JAX is given the labels as ids, optax's Dice
loss makes them one-hot; both are compiled, PyTorch's eager.

    python -m experiments.losses_speed
    python -m experiments.losses_speed --tasks dice_ce --rounds 3   # a quick look

The peers: pip install monai segmentation-models-pytorch.
"""

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from segjax import losses
from segjax.benchmark.timing import COLUMNS, Build, Entry, Rows, contest, torch_of_one_thread


TASKS = ("dice_ce", "lovasz", "boundary", "hausdorff", "cldice")
PEERS = ("monai", "segmentation-models-pytorch", "torch", "optax")
CLASSES = 4


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    tasks: tuple[str, ...] = TASKS
    rounds: int = 11
    slow_rounds: int = 3
    batch: int = 16
    side: int = 256
    seed: int = 0


SMOKE = Config(rounds=1, slow_rounds=1, batch=2, side=32)

Loss = Callable[[Any, Any], Any]


def run(config: Config) -> Rows:
    """One row per loss and peer."""
    logits, labels = _data(config)
    rows = []
    for task in config.tasks:
        ours, peers = _TASKS[task](logits, labels)
        turns = {"rounds": config.rounds, "slow_rounds": config.slow_rounds}
        name = f"{task}, {config.batch} x {config.side}^2 x {CLASSES}"
        rows += contest(name, {"segjax": _entry(ours, logits, labels)}, peers, **turns)
    return rows


def _data(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right in part, and labels in patches of some twenty pixels."""
    from scipy import ndimage

    rng = np.random.default_rng(config.seed)
    fields = rng.normal(size=(config.batch, config.side, config.side, CLASSES))
    smooth = ndimage.gaussian_filter(fields, (0, 8, 8, 0))
    labels = smooth.argmax(-1).astype(np.int32)
    return (smooth / smooth.std() + fields).astype(np.float32), labels


def _entry(loss: Loss, logits: np.ndarray, labels: np.ndarray, **entry: Any) -> Entry:
    """Value and gradient of a loss of JAX arrays."""
    program = jax.jit(jax.value_and_grad(loss))
    x, y = jnp.asarray(logits), jnp.asarray(labels)
    return Entry(lambda: jax.block_until_ready(program(x, y)), _value_and_size, **entry)


def _torch_entry(make: Callable[[Any], Any], logits: Any, labels: Any, **entry: Any) -> Entry:
    """The same of a loss of tensors; `make` brings the labels to its form."""
    torch = torch_of_one_thread()
    x = torch.tensor(np.ascontiguousarray(np.moveaxis(logits, -1, 1)), requires_grad=True)
    loss = make(torch.tensor(labels, dtype=torch.int64))

    def work() -> Any:
        value = loss(x)
        (slope,) = torch.autograd.grad(value, x)
        return value.detach().numpy(), slope.numpy()

    return Entry(work, _value_and_size, **entry)


def _value_and_size(result: Any) -> np.ndarray:
    value, slope = result
    return np.array([float(value), float(np.abs(np.asarray(slope)).sum())])


def _monai(name: str, *, one_hot: bool = False, **options: Any) -> Callable[[Any], Any]:
    def make(labels: Any) -> Any:
        monai_losses, torch = map(importlib.import_module, ("monai.losses", "torch"))
        loss = getattr(monai_losses, name)(softmax=True, to_onehot_y=not one_hot, **options)
        target = labels[:, None]
        if one_hot:  # not counted against it
            target = torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float()
        return lambda x: loss(x, target)

    return make


def _dice_ce(logits: Any, labels: Any) -> tuple[Loss, dict[str, Build]]:
    ours = partial(losses.dice_ce, reduction="mean")

    def theirs(x: Any, y: Any) -> Any:
        dice = optax.losses.dice_loss(x, jax.nn.one_hot(y, CLASSES)).mean()
        return dice + optax.losses.softmax_cross_entropy_with_integer_labels(x, y).mean()

    monai = _monai("DiceCELoss", smooth_nr=2.0, smooth_dr=2.0)
    return ours, {
        "optax": lambda: _entry(theirs, logits, labels, bar=1.0),
        "monai": lambda: _torch_entry(monai, logits, labels, bar=1.0),
    }


def _lovasz(logits: Any, labels: Any) -> tuple[Loss, dict[str, Build]]:
    def make(labels: Any) -> Any:
        smp = importlib.import_module("segmentation_models_pytorch.losses")
        loss = smp.LovaszLoss("multiclass", per_image=True)
        return lambda x: loss(x, labels)

    build = lambda: _torch_entry(make, logits, labels, bar=0.5)
    return partial(losses.lovasz_softmax, reduction="mean"), {"smp": build}


def _boundary(logits: Any, labels: Any) -> tuple[Loss, dict[str, Build]]:
    # MONAI's distances are one less inside, and it leaves out the constant.
    make = _monai("BoundaryLoss", one_hot=True)
    build = lambda: _torch_entry(make, logits, labels, bar=0.5, alike=False)
    return partial(losses.boundary, reduction="mean"), {"monai": build}


def _hausdorff(logits: Any, labels: Any) -> tuple[Loss, dict[str, Build]]:
    make = _monai("HausdorffDTLoss", one_hot=True, include_background=True)
    build = lambda: _torch_entry(make, logits, labels)
    return partial(losses.hausdorff, reduction="mean"), {"monai": build}


def _cldice(logits: Any, labels: Any) -> tuple[Loss, dict[str, Build]]:
    # MONAI adds up the skeletons of all classes.
    make = _monai("SoftclDiceLoss", one_hot=True)
    build = lambda: _torch_entry(make, logits, labels, slow=True, alike=False)
    return partial(losses.cldice, reduction="mean"), {"monai": build}


_TASKS: Mapping[str, Callable[..., tuple[Loss, dict[str, Build]]]] = {
    "dice_ce": _dice_ce,
    "lovasz": _lovasz,
    "boundary": _boundary,
    "hausdorff": _hausdorff,
    "cldice": _cldice,
}


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show_contest(rows, COLUMNS))
    seconds = time.perf_counter() - start
    print(_record.save("losses_speed", config, rows, seconds, packages=PEERS))
