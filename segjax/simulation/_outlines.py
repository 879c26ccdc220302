"""Distances between the outlines of matched objects, in the time that their voxels take.

`segjax.statistics.instance_surfaces` searches the whole image for each object. Here outlines
are listed by object once, and of each matched pair only the two are compared, block by block,
in one loop that is as long as the largest work of a batch.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Int32

from segjax.case import diagonal
from segjax.statistics import Contingency, InstanceSurfaces, Surface, matching


_BLOCK = 128  # voxels of either outline that are compared at once


class _Outlines(NamedTuple):
    """Voxels of outlines, those of an object together.

    Attributes:
        places: coordinates, in the unit of spacing.
        start: where those of each label begin.
        number: how many each label has.
    """

    places: Float[Array, "axis voxel"]
    start: Int32[Array, " label"]
    number: Int32[Array, " label"]


class _Room(NamedTuple):
    """How many voxels outlines may have, whole blocks.

    Attributes:
        of_map: all those of a map together.
        of_reference: one of the reference.
        of_evaluated: one of the evaluated map, which may run many objects together.
    """

    of_map: int
    of_reference: int
    of_evaluated: int


def _room(shape: tuple[int, ...]) -> _Room:
    """Room that objects some voxels wide do not exceed: a third of an image, half of a volume."""
    of_map = math.prod(shape) / (5 - len(shape))
    return _Room(*(math.ceil(n / _BLOCK) * _BLOCK for n in (of_map, of_map / 8, of_map * 0.75)))


class Outlined(NamedTuple):
    """Distances of matched objects, and whether there was room for all outlines.

    Without room the distances mean nothing.
    """

    surfaces: InstanceSurfaces
    complete: Bool[Array, ""]


def outlines_apart(
    reference: Int[Array, "*space"],
    evaluated: Int[Array, "*space"],
    table: Contingency,
    *,
    spacing: tuple[float, ...],
) -> Outlined:
    """Measure objects to those that cover more than half of them; pure, for `jit` and `vmap`.

    The outline of an object is its voxels with a face neighbour outside it, or at the border
    of the image. Distances are exact and Euclidean.

    Args:
        reference: the true labels.
        evaluated: labels of the same shape.
        table: how often labels meet; it says how many there are.
        spacing: voxel size along each axis, fixed while tracing.
    """
    room = _room(reference.shape)
    partner = matching.partners(table, matching.by_majority(table))
    ours = _listed(reference, table.reference_sizes.shape[-1], spacing, room.of_map)
    theirs = _listed(evaluated, table.prediction_sizes.shape[-1], spacing, room.of_map)
    complete = (ours.number.sum() <= room.of_map) & (theirs.number.sum() <= room.of_map)
    theirs = theirs._replace(
        start=theirs.start[partner], number=jnp.where(partner > 0, theirs.number[partner], 0)
    )
    longest = room.of_reference, room.of_evaluated
    complete &= (ours.number.max() <= longest[0]) & (theirs.number.max() <= longest[1])
    far, far_back = _apart(ours, theirs, longest)
    surfaces = InstanceSurfaces(
        _surface(far, ours.number),
        _surface(far_back, theirs.number),
        table.reference_sizes[1:] > 0,
        partner[1:] > 0,
        diagonal(reference.shape, spacing),
    )
    return Outlined(surfaces, complete)


def _listed(labels: Any, most: int, spacing: tuple[float, ...], room: int) -> _Outlines:
    outline = jnp.where(_is_outline(labels) & (labels < most), labels, 0).reshape(-1)
    number = jnp.zeros(most, jnp.int32).at[outline].add(1).at[0].set(0)
    there = jnp.nonzero(outline, size=room, fill_value=0)[0]
    label = jnp.where(jnp.arange(room) < number.sum(), outline[there], most)
    _, there = lax.sort((label, there), num_keys=1)
    places = jnp.unravel_index(there, labels.shape)
    lengths = jnp.asarray(spacing, jnp.float32)[:, None]
    return _Outlines(jnp.stack(places) * lengths, jnp.cumsum(number) - number, number)


def _is_outline(labels: Int[Array, "*space"]) -> Bool[Array, "*space"]:
    outline = jnp.zeros(labels.shape, bool)
    padded = jnp.pad(labels, 1)
    for axis in range(labels.ndim):
        for start in (0, 2):
            at = [start if a == axis else 1 for a in range(labels.ndim)]
            beside = lax.slice(padded, at, [i + n for i, n in zip(at, labels.shape, strict=True)])
            outline |= beside != labels
    return outline & (labels > 0)


def _apart(ours: _Outlines, theirs: _Outlines, longest: tuple[int, int]) -> tuple[Any, Any]:
    """Squared distances of each pair of outlines, one pair a row, in the order listed."""

    def block(x: _Outlines, pair: Any, first: Any) -> tuple[Any, Any]:
        which = first + jnp.arange(_BLOCK)
        at = jnp.minimum(x.start[pair] + which, x.places.shape[-1] - 1)
        return x.places[:, at], jnp.where(which < x.number[pair], 0.0, jnp.inf)

    def nearer(far: Any, first: Any, here: Any, there: Any) -> Any:
        """Take in how far the voxels of a block are from those of another."""
        (p, _), (q, beyond) = here, there
        squared = sum((b[:, None] - a) ** 2 for a, b in zip(p, q, strict=True))
        nearest = (squared + beyond[:, None]).min(0)
        known = lax.dynamic_slice(far, (first,), (_BLOCK,))
        return lax.dynamic_update_slice(far, jnp.minimum(known, nearest), (first,))

    def measure(pair: Any) -> Any:
        rows, columns = (-(-x.number[pair] // _BLOCK) for x in (ours, theirs))

        def step(state: Any) -> Any:
            done, far, far_back = state
            first, first_back = done // columns * _BLOCK, done % columns * _BLOCK
            here, there = block(ours, pair, first), block(theirs, pair, first_back)
            return (
                done + 1,
                nearer(far, first, here, there),
                nearer(far_back, first_back, there, here),
            )

        state = (jnp.int32(0), *(jnp.full(n, jnp.inf) for n in longest))
        return lax.while_loop(lambda state: state[0] < rows * columns, step, state)[1:]

    return lax.map(measure, jnp.arange(1, ours.number.size))


def _surface(squared: Any, number: Any) -> Surface:
    there = jnp.arange(squared.shape[-1]) < number[1:, None]
    distance = jnp.sqrt(jnp.where(there, squared, 0))
    return Surface(distance, there.astype(jnp.float32))
