"""Connected components on a device: runs that touch are joined in few sweeps.

There is room for as many runs as the image has voxels, and loops visit those that there are,
many at a time: every image fits, and most are done soon.
"""

import math
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int32, Int64, Shaped

from segjax._errors import InputError


MOST_VOXELS = 2**31 - 2**16  # whose places, and some more, are int32
_TOGETHER = 2**13  # runs per step of a loop


def contacts(dims: int, connectivity: int) -> Int32[np.ndarray, "contact axis"]:
    """Steps from the first voxel of a run to voxels of all runs that touch it, or the inverse.

    Of two runs in neighbouring rows that touch face to face, one begins next to a voxel of
    the other: look up and down. Corner to corner, the lower begins one behind a voxel of the
    upper, or else the upper begins next to a voxel of the lower or one behind it.
    """
    steps = []
    for row in product((-1, 0, 1), repeat=dims - 1):
        length = sum(map(abs, row))
        if 0 < length <= connectivity and next(filter(None, row)) > 0:
            back = tuple(-k for k in row)
            corners = length < connectivity
            steps += [(*back, -1 if corners else 0), (*row, 0)] + [(*row, -1)] * corners
    return np.array(steps, np.int32).reshape(-1, dims)


def strides_of(shape: tuple[int, ...]) -> Int64[np.ndarray, " axis"]:
    """How far apart neighbours along each axis are in memory, in voxels."""
    return np.array([math.prod(shape[i + 1 :]) for i in range(len(shape))], np.int64)


def label_stack(
    stack: Shaped[Array, "case *space"], *, connectivity: int
) -> tuple[Int32[Array, "case *space"], Int32[Array, " case"], Int32[Array, ""]]:
    """Components of images that do not touch each other, numbered from 1 in each; pure.

    Returns:
        Numbers, their count in each image, and how many sweeps it took to join all runs.
    """
    cases, size = stack.shape[0], stack.size
    if size > MOST_VOXELS:
        raise InputError(f"{size} voxels are too many to number; use smaller batches or tiles")
    if size == 0:
        return jnp.zeros(stack.shape, jnp.int32), jnp.zeros(cases, jnp.int32), jnp.int32(0)
    inside = stack != 0
    first = jnp.ones((*stack.shape[:-1], 1), bool)
    change = jnp.concatenate([first, stack[..., 1:] != stack[..., :-1]], axis=-1)
    begins = (inside & change).reshape(-1)
    until = _running_count(begins)
    together = min(size, _TOGETHER)
    room = -(-size // together) * together
    start = jnp.zeros(room, jnp.int32)
    voxel = jnp.arange(size, dtype=jnp.int32)
    start = start.at[jnp.where(begins, until - 1, room)].set(voxel, mode="drop")
    root, sweeps = _join(stack, start, until, connectivity, together)
    number, total = _number(root, until[-1], together)
    # Components that begin before each image, and in all.
    earlier = (until - begins)[:: size // cases]
    before = jnp.where(earlier > 0, _get(number, jnp.maximum(earlier - 1, 0)), 0)
    count = jnp.diff(before, append=total)
    run = jnp.maximum(until - 1, 0).reshape(stack.shape)
    image = _get(number, _get(root, run)) - before.reshape(-1, *[1] * (stack.ndim - 1))
    return jnp.where(inside, image, 0), count, sweeps


def _join(
    stack: Shaped[Array, "case *space"],
    start: Int32[Array, " room"],
    until: Int32[Array, " voxel"],
    connectivity: int,
    together: int,
) -> tuple[Int32[Array, " room"], Int32[Array, ""]]:
    """Least run that hangs together with each run, and after how many sweeps.

    Args:
        stack: labels.
        start: first voxel of each run, and room for more runs.
        until: how many runs begin up to each voxel.
        connectivity: as of `components`.
        together: how many runs are visited at once; divides the room.
    """
    labels, runs, space = stack.reshape(-1), until[-1], stack.shape[1:]
    steps = contacts(len(space), connectivity)
    strides = strides_of(space).astype(np.int32)
    offset = (steps @ strides).astype(np.int32)[:, None]

    def part_of(x: Array, begin: Array) -> Array:
        return lax.dynamic_slice_in_dim(x, begin, together)

    # Of two arrays, alike between sweeps, one is read and the other written: XLA copies what a
    # loop both reads and writes.

    def hang(root: Array, lower: Array) -> tuple[Array, Array]:
        """Hang roots on the least roots that their trees touch."""

        def body(begin: Array, state: Any) -> Any:
            lower, open_ = state
            voxel = part_of(start, begin)
            touches = begin + jnp.arange(together, dtype=jnp.int32) < runs
            for axis in np.flatnonzero(steps.any(axis=0)):
                place = lax.rem(lax.div(voxel, strides[axis]), np.int32(space[axis]))
                place = place + steps[:, axis, None]
                touches &= (place >= 0) & (place < space[axis])
            other = jnp.where(touches, voxel + offset, voxel)
            touches &= _get(labels, other) == _get(labels, voxel)
            here = part_of(root, begin)
            there = jnp.where(touches, _get(root, _get(until, other) - 1), here)
            hung = jnp.maximum(here, there).astype(jnp.uint32)
            lower = lower.at[hung].min(jnp.minimum(here, there), mode="promise_in_bounds")
            return lower, open_ | jnp.any(here != there)

        return _visit(runs, together, body, (lower, False))

    def halve(root: Array, higher: Array) -> tuple[Array, Array]:
        """Let every run point where that points to which it pointed."""

        def body(begin: Array, state: Any) -> Any:
            higher, moved = state
            here = part_of(root, begin)
            there = _get(root, here)
            higher = lax.dynamic_update_slice_in_dim(higher, there, begin, 0)
            return higher, moved | jnp.any(here != there)

        return _visit(runs, together, body, (higher, False))

    def halve_twice(state: Any) -> Any:
        root, lower, _ = state
        root, _ = halve(lower, root)
        lower, moved = halve(root, lower)
        return root, lower, moved

    def sweep(state: Any) -> Any:
        root, lower, _, sweeps = state
        lower, open_ = hang(root, lower)
        root, lower, _ = lax.while_loop(lambda s: s[2], halve_twice, (root, lower, open_))
        return root, lower, open_, sweeps + 1

    itself = jnp.arange(start.size, dtype=jnp.int32)
    state = itself, itself, jnp.bool_(True), jnp.int32(0)
    root, _, _, sweeps = lax.while_loop(lambda s: s[2], sweep, state)
    return root, sweeps


def _number(root: Array, runs: Array, together: int) -> tuple[Array, Array]:
    """How many roots there are up to each run, and in all."""

    def body(begin: Array, state: Any) -> Any:
        number, total = state
        run = begin + jnp.arange(together, dtype=jnp.int32)
        is_root = lax.dynamic_slice_in_dim(root, begin, together) == run
        until = total + _running_count(is_root & (run < runs))
        return lax.dynamic_update_slice_in_dim(number, until, begin, 0), until[-1]

    return _visit(runs, together, body, (jnp.zeros_like(root), jnp.int32(0)))


def _visit(runs: Array, together: int, body: Any, state: Any) -> Any:
    """Let `body` change the state for all runs, part by part: it is told where a part begins."""
    parts = (runs + together - 1) // together
    return lax.fori_loop(0, parts, lambda i, state: body(i * together, state), state)


def _running_count(flags: Bool[Array, " place"]) -> Int32[Array, " place"]:
    """How many flags are set up to each place, four to a word: XLA's sums are slow on CPUs."""
    words = jnp.pad(flags, (0, -flags.size % 64)).astype(jnp.uint8).reshape(-1, 16, 4)
    fours = lax.bitcast_convert_type(words, jnp.uint32) * jnp.uint32(0x01010101)
    within = lax.bitcast_convert_type(fours, jnp.uint8).astype(jnp.int32)
    counts = (fours >> 24).astype(jnp.int32)
    sums = [jnp.zeros_like(counts[:, 0])]
    for i in range(16):
        sums.append(sums[-1] + counts[:, i])
    rows = jnp.cumsum(sums[-1]) - sums[-1]
    before = jnp.stack(sums[:-1], axis=1) + rows[:, None]
    return (within + before[..., None]).reshape(-1)[: flags.size]


def _get(values: Array, index: Array) -> Array:
    # Unsigned, else JAX looks for negative indices, which takes longer than the look-up.
    return values.at[index.astype(jnp.uint32)].get(mode="promise_in_bounds")
