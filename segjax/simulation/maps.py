"""Where a segmentation is wrong: coarse maps of its errors, learned beside its score."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from segjax.statistics import matching
from segjax.statistics.contingency import contingency


MAPS = ("false_negative", "false_positive", "matched", "objects")


def error_maps(
    reference: Int[Array, "*space"],
    evaluated: Int[Array, "*space"],
    maps: tuple[str, ...],
    grid: tuple[int, ...],
    *,
    objects: tuple[int, int],
) -> Float[Array, "*grid map"]:
    """Errors of a segmentation by cell of a grid laid over it, each of a scale near 1.

    Args:
        reference: the labels that are true, 0 to `objects[0]`.
        evaluated: the labels that are judged, 0 to `objects[1]`.
        maps: which maps:
            "false_negative": share of a cell's pixels that are missed, times 4;
            "false_positive": share of a cell's pixels that are spurious, times 4;
            "objects": reference objects in a cell, each spread over its pixels, in eighths of
            an object per grid, so that the mean over the grid is the count divided by 8;
            "matched": the same, each object times its IoU in the sense of SEG, so that SEG is
            the ratio of the two means.
        grid: cells along each axis.
        objects: the largest labels, fixed while tracing.

    Returns:
        The maps as channels.
    """
    missed = (reference > 0) & (evaluated == 0)
    spurious = (reference == 0) & (evaluated > 0)
    table = contingency(
        reference=reference,
        prediction=evaluated,
        num_reference=objects[0] + 1,
        num_prediction=objects[1] + 1,
    )
    iou = table.over_reference(jnp.where(matching.by_majority(table), table.iou, 0.0))
    density = reference.size / 8 / jnp.maximum(table.reference_sizes, 1)
    density = density.at[0].set(0.0)
    by_name = {
        "false_negative": lambda: 4.0 * missed,
        "false_positive": lambda: 4.0 * spurious,
        "matched": lambda: (density * iou)[reference],
        "objects": lambda: density[reference],
    }
    return jnp.stack([_by_cell(by_name[name](), grid) for name in maps], -1)


def _by_cell(x: Array, grid: tuple[int, ...]) -> Array:
    """Means over the cells of a grid: one product with a matrix of shares for each axis."""
    for axis, cells in enumerate(grid):
        size = x.shape[axis]
        edges = jnp.arange(cells + 1) * (size / cells)
        pixel = jnp.arange(size)
        upper = jnp.minimum(pixel[None] + 1.0, edges[1:, None])
        lower = jnp.maximum(pixel[None], edges[:-1, None])
        shares = jnp.maximum(upper - lower, 0.0) * (cells / size)
        x = jnp.moveaxis(jnp.tensordot(shares, x, (1, axis)), 0, axis)
    return x
