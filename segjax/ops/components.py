"""Connected components of masks and label maps, found and joined by runs.

A run is a maximal stretch of equal labels along the last axis. Runs of two rows touch where
one of them begins, so a few look-ups for the first voxel of each find all contacts, whatever
the labels. Then trees of runs are joined: each root hangs itself on the least root that its
tree touches, and paths are halved until all runs point at roots. Of the roots that still touch
others, at most half outlive two such sweeps (one that lives on has swallowed all that it
touched in the first), so that a spiral needs hardly more of them than a disc.

NumPy arrays are handled here, others by `segjax.ops.component_kernel`.

References:
    He, L., Chao, Y. & Suzuki, K. (2008). A run-based two-scan labeling algorithm. IEEE TIP
    17(5), 749-756. doi:10.1109/TIP.2008.919369
    Shiloach, Y. & Vishkin, U. (1982). An O(log n) parallel connectivity algorithm. Journal of
    Algorithms 3(1), 57-67. doi:10.1016/0196-6774(82)90008-6
"""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Int32, Int64, Shaped

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace
from segjax.ops import component_kernel


_NOISY = 6  # masks that change every so many voxels are faster without runs


def components(
    labels: Shaped[AnyArray, "..."], *, connectivity: int | None = None
) -> tuple[Int32[AnyArray, "..."], Any]:
    """Connected components: number the pieces of equal labels that hang together.

    Voxels belong together if their labels are equal, not 0, and a path of neighbours with
    that label joins them. So touching objects stay apart, and a label in two places becomes
    two components. They are numbered from 1 in raster order of their first voxels, as by
    scikit-image; 0 stays 0.

    NumPy arrays are labelled on the host. JAX arrays are labelled on their device, also while
    tracing (`jit`, `vmap`: a batch costs what one image of its size does); some 30 bytes are
    held for each voxel, and no image takes more than 2 log2(number of runs) + 2 sweeps.

    Args:
        labels: mask or label map with one, two or three axes; use `jax.vmap` for more.
        connectivity: how many axes a step to a neighbour may follow at once: in 2-D 1 for 4
            and 2 for 8 neighbours, in 3-D 1, 2, 3 for 6, 18, 26; None for all axes.

    Returns:
        The number of each voxel's component, and how many components there are (an int, or
        int32 on a device).

    Raises:
        InputError: if there are no or more than three axes, if `connectivity` is not in
            1 ... ndim, if labels are fractions, or if there are some 2**31 voxels.

    Example:
        >>> import numpy as np
        >>> components(np.array([[5, 5, 0], [0, 0, 5], [7, 0, 5]]), connectivity=1)
        (array([[1, 1, 0],
               [0, 0, 2],
               [3, 0, 2]], dtype=int32), 3)
    """
    steps = _checked(labels, connectivity)
    if namespace(labels) is jnp:
        return _components(labels, connectivity=steps)
    if _is_noisy(labels):
        return _by_voxel(labels, steps)
    found = find_components(labels, connectivity=steps)
    return found.image(), found.count


def _checked(labels: Any, connectivity: int | None) -> int:
    shape, kind = labels.shape, np.dtype(labels.dtype)
    if not 1 <= len(shape) <= 3:
        raise InputError(
            f"components are found along 1 to 3 axes, got an array of shape {shape}; take the "
            "images of a batch one by one, or with jax.vmap"
        )
    if kind.kind not in "biu":
        raise InputError(f"labels must be integers or booleans, got {kind}; threshold first")
    if math.prod(shape) > component_kernel.MOST_VOXELS:
        raise InputError(f"{math.prod(shape)} voxels are too many to number; use tiles")
    if connectivity is None:
        return len(shape)
    if connectivity not in range(1, len(shape) + 1):
        raise InputError(
            f"connectivity must be in 1 ... {len(shape)} (axes that a step may follow at once), "
            f"got {connectivity}"
        )
    return int(connectivity)


@partial(jax.jit, static_argnames="connectivity")
def _components(labels: Array, *, connectivity: int) -> tuple[Array, Array]:
    """Components of one image; a batch of them is one image whose parts do not touch."""

    @custom_vmap
    def label(stack: Array) -> tuple[Array, Array]:
        image, count, _ = component_kernel.label_stack(stack, connectivity=connectivity)
        return image, count

    @label.def_vmap
    def label_batch(size: int, batched: Any, stack: Array) -> Any:
        image, count = label(stack.reshape(-1, *stack.shape[2:]))
        return (image.reshape(stack.shape), count.reshape(size, -1)), (True, True)

    image, count = label(labels[None])
    return image[0], count[0]


# Below: from the host.


@dataclass(frozen=True)
class Components:
    """Components of a label map as runs: what to count them needs no image of them.

    Attributes:
        shape: of the label map.
        start: flat index of the first voxel of each run, ascending.
        length: voxels in each run.
        component: number of the component of each run, from 1.
        label: what the map holds in each component.
    """

    shape: tuple[int, ...]
    start: Int64[np.ndarray, " run"]
    length: Int64[np.ndarray, " run"]
    component: Int32[np.ndarray, " run"]
    label: Shaped[np.ndarray, " component"]

    @property
    def count(self) -> int:
        return self.label.size

    @cached_property
    def size(self) -> Int64[np.ndarray, " component"]:
        """Voxels in each component."""
        # As float64 weights, in which sums of whole numbers below 2**53 are exact.
        run = self.component.astype(np.intp)  # which bincount would do, slowly
        total = np.bincount(run, self.length, minlength=self.count + 1)
        return total[1:].astype(np.int64)

    def image(self) -> Int32[np.ndarray, "*space"]:
        """The number of each voxel's component, 0 in the background."""
        ends = np.stack([self.start, self.start + self.length], axis=-1)
        lengths = np.diff(ends.reshape(-1), prepend=0, append=math.prod(self.shape))
        value = np.zeros(lengths.size, np.int32)
        value[1::2] = self.component
        return np.repeat(value, lengths).reshape(self.shape)


def find_components(
    labels: Shaped[np.ndarray, "..."], *, connectivity: int | None = None
) -> Components:
    """Connected components of a label map in host memory, as runs; see `components`.

    Example:
        >>> import numpy as np
        >>> found = find_components(np.array([[5, 5, 0], [0, 0, 5], [7, 0, 5]]))
        >>> found.label, found.size
        (array([5, 7]), array([4, 1]))
    """
    steps = _checked(labels, connectivity)
    labels = np.ascontiguousarray(labels)
    runs = _find_runs(labels)
    if _is_noisy(labels):
        image, count = _by_voxel(labels, steps)
        component = image.reshape(-1).take(runs.start)
        label = np.ones(count, runs.label.dtype)
    else:
        root, _ = join(runs.start.size, *_touching(runs, steps))
        first = root == np.arange(root.size)
        component = np.cumsum(first, dtype=np.int32).take(root)
        label = runs.label[first]
    return Components(runs.shape, runs.start, runs.length, component, label)


def pieces(
    labels: Shaped[np.ndarray, "..."], *, connectivity: int | None = None
) -> tuple[Shaped[np.ndarray, " label"], Int64[np.ndarray, " label"]]:
    """In how many pieces each label of a map in host memory is: one unless it is scattered.

    Args:
        labels: label map with one, two or three axes.
        connectivity: see `components`.

    Returns:
        The labels that occur, ascending, without 0; and how many components each has.

    Example:
        >>> import numpy as np
        >>> pieces(np.array([[5, 0, 5], [7, 0, 0]]))
        (array([5, 7]), array([2, 1]))
    """
    found = find_components(labels, connectivity=connectivity)
    return np.unique(found.label, return_counts=True)


class _Runs(NamedTuple):
    """Runs of labels in host memory, and where among those of anything.

    Attributes:
        shape: of the map.
        start: flat index of the first voxel of each run of a label.
        length: voxels in each.
        label: of each.
        change: whether a run of anything begins at a voxel; then one more for the end, and
            False up to a multiple of 64.
        value: of each run of anything; 0 in the background.
    """

    shape: tuple[int, ...]
    start: Int64[np.ndarray, " run"]
    length: Int64[np.ndarray, " run"]
    label: Shaped[np.ndarray, " run"]
    change: Bool[np.ndarray, " place"]
    value: Shaped[np.ndarray, " any"]


def _find_runs(labels: np.ndarray) -> _Runs:
    flat, size, columns = labels.reshape(-1), labels.size, max(1, labels.shape[-1])
    if flat.dtype == np.bool_:
        flat = flat.view(np.uint8)
    change = np.zeros(-(-(size + 1) // 64) * 64, bool)
    np.not_equal(flat[1:], flat[:-1], out=change[1 : max(1, size)])
    # Runs of the background may go on into the next row: nothing looks for their contacts.
    change[:size:columns] |= flat[::columns] != 0
    change[0] = change[size] = True
    edge = np.flatnonzero(change)
    value = flat.take(edge[:-1])
    run = np.flatnonzero(value != 0)  # of booleans it is 3 times faster
    start = edge.take(run)
    length = edge[1:].take(run) - start
    return _Runs(labels.shape, start, length, value.take(run), change, value)


def _touching(runs: _Runs, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs of one label that touch, some of them twice."""
    words = np.packbits(runs.change, bitorder="little").view("<u8")
    latest = np.cumsum(np.bitwise_count(words), dtype=np.int64) - 1
    number = np.cumsum(runs.value != 0) - 1  # among runs of labels
    strides = component_kernel.strides_of(runs.shape)
    place = [runs.start // s % n for s, n in zip(strides, runs.shape, strict=True)]

    def run_at(voxel: np.ndarray) -> np.ndarray:
        word = voxel >> 6
        later = words[word] >> (voxel & 63).astype(np.uint64) >> np.uint64(1)
        return latest[word] - np.bitwise_count(later)

    pairs = [np.zeros((2, 0), np.int64)]
    for step in component_kernel.contacts(len(runs.shape), connectivity):
        within = [
            x >= -k if k < 0 else x < n - k
            for x, k, n in zip(place, step, runs.shape, strict=True)
            if k
        ]
        run = np.flatnonzero(np.logical_and.reduce(within))
        other = run_at(runs.start[run] + step @ strides)
        alike = np.flatnonzero(runs.value[other] == runs.label[run])
        pairs.append(np.stack([run[alike], number[other[alike]]]))
    first, second = np.concatenate(pairs, axis=1)
    return first, second


def join(count: int, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, int]:
    """Least of the things that each hangs together with by pairs, and after how many sweeps."""
    root, sweeps = np.arange(count), 0
    while first.size:
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(above := root[root], root):
            root = above
        first, second = root[first], root[second]
        apart = np.flatnonzero(first != second)
        first, second = first[apart], second[apart]
        sweeps += 1
    return root, sweeps


def _is_noisy(labels: np.ndarray) -> bool:
    """Whether SciPy, which goes from voxel to voxel, is faster on a mask than runs are."""
    if labels.dtype != np.bool_:
        return False
    flat = labels.reshape(-1)
    return int(np.count_nonzero(flat[1:] != flat[:-1])) * _NOISY > flat.size


def _by_voxel(mask: np.ndarray, connectivity: int) -> tuple[np.ndarray, int]:
    from scipy import ndimage  # 0.2 s that few calls need

    neighbours = ndimage.generate_binary_structure(mask.ndim, connectivity)
    found = np.empty(mask.shape, np.int32)
    count: Any = ndimage.label(mask, neighbours, output=found)
    return found, count
