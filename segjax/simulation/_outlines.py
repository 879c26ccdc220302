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


_BLOCK = 64  # voxels of either outline that are compared at once


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
    room: tuple[int, int],
) -> Outlined:
    """Measure objects to those that cover more than half of them; pure, for `jit` and `vmap`.

    The outline of an object is its voxels with a face neighbour outside it, or at the border
    of the image. Distances are exact and Euclidean.

    Args:
        reference: the true labels.
        evaluated: labels of the same shape.
        table: how often labels meet; it says how many there are.
        spacing: voxel size along each axis, fixed while tracing.
        room: for the voxels of all outlines of each map, fixed while tracing.
    """
    partner = matching.partners(table, matching.by_majority(table))
    room = tuple(-(-n // _BLOCK) * _BLOCK for n in room)
    ours = _listed(reference, table.reference_sizes.shape[-1], spacing, room[0])
    theirs = _listed(evaluated, table.prediction_sizes.shape[-1], spacing, room[1])
    complete = (ours.number.sum() <= room[0]) & (theirs.number.sum() <= room[1])
    theirs = theirs._replace(
        start=theirs.start[partner], number=jnp.where(partner > 0, theirs.number[partner], 0)
    )
    far, far_back = _apart(ours, theirs)
    surfaces = InstanceSurfaces(
        _surface(far, ours.number),
        _surface(far_back, theirs.number),
        table.reference_sizes[1:] > 0,
        partner[1:] > 0,
        diagonal(reference.shape, spacing),
    )
    return Outlined(surfaces, complete)


def _listed(labels: Any, most: int, spacing: tuple[float, ...], room: int) -> _Outlines:
    outline = jnp.where(_is_outline(labels), labels, 0).reshape(-1)
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


def _apart(ours: _Outlines, theirs: _Outlines) -> tuple[Any, Any]:
    """Squared distances of each pair of outlines, one pair a row, in the order listed."""
    blocks = tuple(-(-x.number // _BLOCK) for x in (ours, theirs))
    work = blocks[0] * blocks[1]
    ends = jnp.cumsum(work)
    within = jnp.arange(_BLOCK)

    def block(x: _Outlines, pair: Any, first: Any) -> tuple[Any, Any]:
        at = x.start[pair] + first + within
        beyond = jnp.where(first + within < x.number[pair], 0.0, jnp.inf)
        return x.places[:, jnp.minimum(at, x.places.shape[-1] - 1)], beyond

    def nearer(found: Any, pair: Any, first: Any, here: Any, there: Any) -> Any:
        """Take in how far the voxels of a block are from those of another."""
        (p, _), (q, beyond) = here, there
        squared = sum((a[:, None] - b) ** 2 for a, b in zip(q, p, strict=True))
        nearest = (squared + beyond[:, None]).min(0)[None]
        known = lax.dynamic_slice(found, (pair, first), (1, _BLOCK))
        return lax.dynamic_update_slice(found, jnp.minimum(known, nearest), (pair, first))

    def step(state: Any) -> Any:
        done, far, far_back = state
        pair = (ends <= done).sum()
        which = done - ends[pair] + work[pair]
        first = which // blocks[1][pair] * _BLOCK
        first_back = which % blocks[1][pair] * _BLOCK
        here, there = block(ours, pair, first), block(theirs, pair, first_back)
        return (
            done + 1,
            nearer(far, pair, first, here, there),
            nearer(far_back, pair, first_back, there, here),
        )

    far, far_back = (
        jnp.full((ours.number.size, x.places.shape[-1]), jnp.inf) for x in (ours, theirs)
    )
    state = (jnp.int32(0), far, far_back)
    return lax.while_loop(lambda state: state[0] < ends[-1], step, state)[1:]


def _surface(squared: Any, number: Any) -> Surface:
    there = jnp.arange(squared.shape[-1]) < number[:, None]
    distance = jnp.where(there, jnp.sqrt(jnp.where(there, squared, 0)), 0)
    return Surface(distance[1:], there[1:].astype(jnp.float32))
