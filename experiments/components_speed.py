"""Speed of connected components: how long do counts, sizes and label images take, per peer?

As in `segjax bench`, all take turns within one process, and `ratio` is the median over
the rounds of CPU time of segjax over that of the peer. In run space, counts and sizes need no
image of the components; peers make one and count its numbers. Masks as ragged as noise are
labelled by SciPy in segjax too, as scikit-image does with every mask; label maps of noise are
what runs are worst at, two to four times slower than scikit-image.

Besides, the traced function on this device, and in how many sweeps it joins blobs, noise and
long paths.

    python -m experiments.components_speed
    python -m experiments.components_speed --tasks run_space --rounds 3   # a quick look

The peers: pip install scikit-image connected-components-3d.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from segjax.benchmark.components import NEIGHBOURS, peers
from segjax.benchmark.timing import COLUMNS, Entry, Rows, contest, timed
from segjax.ops import component_kernel
from segjax.ops.components import components, find_components


TASKS = ("run_space", "image", "traced")
PEERS = ("scikit-image", "scipy", "connected-components-3d")
BARS = {"scikit-image": 1.0}


@dataclass(frozen=True)
class Config:
    """What may be varied; the defaults are those of the published table."""

    tasks: tuple[str, ...] = TASKS
    rounds: int = 11
    traced_rounds: int = 3
    sides: tuple[int, ...] = (512, 1024)
    volume: tuple[int, ...] = (160, 192, 160)
    cube: int = 128
    seed: int = 0


SMOKE = Config(rounds=1, traced_rounds=1, sides=(48,), volume=(20, 24, 22), cube=16)


def run(config: Config) -> Rows:
    """One row per image, connectivity and peer; and what the traced function took."""
    return [row for task in config.tasks for row in _TASKS[task](config)]


# Data.


def _images(config: Config) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(config.seed)
    images: dict[str, np.ndarray] = {}
    for side in config.sides:
        cells = _cells(rng, side)
        images[f"cells {side}^2, mask"] = cells > 0
        images[f"cells {side}^2, labels"] = cells
        images[f"noise {side}^2, mask"] = rng.random((side, side)) < 0.5
        images[f"noise {side}^2, labels"] = rng.integers(0, 3, (side, side), np.uint16)
    images[" x ".join(map(str, config.volume)) + ", mask"] = _wavy(rng, config.volume) > 0.8
    cube = (config.cube,) * 3
    blobs = _wavy(rng, cube) > 0.8
    images[f"{config.cube}^3, mask"] = blobs
    images[f"{config.cube}^3, labels"] = blobs * (1 + (_wavy(rng, cube) > 0)).astype(np.uint8)
    return images


def _cells(rng: np.random.Generator, side: int) -> np.ndarray:
    """Discs of some 23 voxels across that flatten where they meet; some touch, some do not."""
    from scipy.spatial import KDTree

    number = max(2, side**2 // 2000)
    place = np.indices((side, side)).reshape(2, -1).T
    found: Any = KDTree(rng.uniform(0, side, (number, 2))).query(place, 2)
    near, which = found
    radius = rng.uniform(15, 30, number)[which[:, 0]]
    there = (near[:, 0] < radius) & ((near[:, 1] - near[:, 0] > 1) | (which[:, 0] % 2 == 0))
    return np.where(there, which[:, 0] + 1, 0).reshape(side, side).astype(np.uint16)


def _wavy(rng: np.random.Generator, shape: tuple[int, ...], waves: int = 12) -> np.ndarray:
    """A smooth random field of mean 0 and standard deviation 1."""
    from scipy import ndimage

    coarse = rng.normal(size=(waves,) * len(shape))
    factors = [n / waves for n in shape]
    field = np.asarray(ndimage.zoom(coarse, factors, order=3, grid_mode=True, mode="grid-wrap"))
    return (field - field.mean()) / field.std()


def _spiral(side: int) -> np.ndarray:
    """One path, a voxel wide, that winds inwards a voxel apart."""
    y, x = np.indices((side, side))
    ring = np.minimum(np.minimum(y, x), side - 1 - np.maximum(y, x))
    # Rings, each opened on the left and led into the next one there.
    gate, step = (x == y - 1) & (y <= side // 2), (x == y - 2) & (y <= side // 2)
    mask = ring % 2 == 0
    return (mask & ~(gate & mask)) | (step & ~mask & (y >= 2)) | (gate & ~mask)


def _cases(config: Config) -> Iterator[tuple[str, np.ndarray, int]]:
    for name, labels in _images(config).items():
        for connectivity, neighbours in NEIGHBOURS[labels.ndim].items():
            yield f"{name}, {neighbours} neighbours", labels, connectivity


# Against peers.


def _run_space(config: Config) -> Rows:
    rows = []
    for task, labels, k in _cases(config):
        work = lambda labels=labels, k=k: find_components(labels, connectivity=k).size
        found = peers(labels, k, bars=BARS)
        turns = {"rounds": config.rounds, "slow_rounds": config.rounds}
        rows += contest(f"sizes, {task}", {"find_components": Entry(work)}, found, **turns)
    return rows


def _image(config: Config) -> Rows:
    rows = []
    for task, labels, k in _cases(config):
        work = lambda labels=labels, k=k: components(labels, connectivity=k)[0]
        found = peers(labels, k, lambda image: image, BARS)
        turns = {"rounds": config.rounds, "slow_rounds": config.rounds}
        rows += contest(f"image, {task}", {"components": Entry(work)}, found, **turns)
    return rows


# On a device.


def _traced(config: Config) -> Rows:
    rows: Rows = []
    images, side = _images(config), config.sides[0]
    images = {name: x for name, x in images.items() if f"{config.sides[-1]}^2" not in name}
    images = {f"spiral {side}^2, mask": _spiral(side), **images}
    for name, labels in images.items():
        stack = jnp.asarray(labels)[None]
        label = jax.jit(partial(component_kernel.label_stack, connectivity=labels.ndim))
        work = lambda label=label, stack=stack: jax.block_until_ready(label(stack))
        _, counts, sweeps = work()
        times = [timed(work)[0] for _ in range(config.traced_rounds)]
        rows.append(
            {
                "task": f"traced, {name}",
                "segjax_cpu_ms": round(1e3 * median(times), 3),
                "components": int(counts[0]),
                "sweeps": int(sweeps),
            }
        )
    return rows


_TASKS: Mapping[str, Callable[[Config], Rows]] = {
    "run_space": _run_space,
    "image": _image,
    "traced": _traced,
}


if __name__ == "__main__":
    from experiments import _record

    config, start = _record.options(Config), time.perf_counter()
    rows = run(config)
    print(_record.show_contest(rows, COLUMNS))
    seconds = time.perf_counter() - start
    print(_record.save("components_speed", config, rows, seconds, packages=PEERS))
