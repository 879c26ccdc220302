"""One-to-one assignment of rows to columns."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def assign(worth: Float[Array, "row column"]) -> Bool[Array, "row column"]:
    """The one-to-one assignment of greatest total worth; pure, for `jit` and `vmap`.

    By the Hungarian algorithm, in some n**3 steps.

    Args:
        worth: of each pair; pairs of no worth are not assigned.
    """
    from optax import assignment  # 0.5 s that few calls need

    rows, columns = assignment.hungarian_algorithm(-worth)
    chosen = jnp.zeros(worth.shape, bool).at[rows, columns].set(True)
    return chosen & (worth > 0)


def assign_pairs(
    row: np.ndarray, column: np.ndarray, worth: np.ndarray
) -> Bool[np.ndarray, " pair"]:
    """The same in host memory, of pairs listed: each connected group of them by itself.

    Args:
        row: number of each pair's row.
        column: number of each pair's column; no pair is listed twice.
        worth: of each pair, positive.

    Returns:
        The pairs that are assigned.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    chosen = np.zeros(row.size, bool)
    if not row.size:
        return chosen
    (rows, r), (columns, c) = (np.unique(x, return_inverse=True) for x in (row, column))
    size = rows.size + columns.size
    graph = coo_array((np.ones(r.size, bool), (r, c + rows.size)), shape=(size, size))
    group = connected_components(graph, directed=False)[1][r]
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order])) + 1
    for part in np.split(order, ends):
        if part.size == 1:
            chosen[part] = True
        else:
            chosen[part] = _assign_group(r[part], c[part], worth[part])
    return chosen


def _assign_group(row: Any, column: Any, worth: Any) -> Any:
    from scipy.optimize import linear_sum_assignment

    (rows, r), (columns, c) = (np.unique(x, return_inverse=True) for x in (row, column))
    table = np.zeros((rows.size, columns.size))
    table[r, c] = worth
    taken = np.zeros(table.shape, bool)
    taken[linear_sum_assignment(table, maximize=True)] = True
    return taken[r, c]
