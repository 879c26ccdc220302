"""Skeletons of masks by thinning: as many components, tunnels and cavities, and next to no volume.

Sweeps remove voxels of the border until none can go. In the plane that is the variant of
Zhang and Suen's thinning that scikit-image has; in space Lee's, direction by direction, but
for voxels that might not go together. Lee looks at these again one after the other; here they
fall into eight fields of which no two voxels touch, so that a whole field goes at once. Both
look at 32 voxels a word, in the same steps on every device.

References:
    Zhang, T. Y. & Suen, C. Y. (1984). A fast parallel algorithm for thinning digital patterns.
    Communications of the ACM 27(3), 236-239. doi:10.1145/357994.358023

    Lee, T.-C., Kashyap, R. L. & Chu, C.-N. (1994). Building skeleton models via 3-D medial
    surface/axis thinning algorithms. CVGIP: Graphical Models and Image Processing 56(6),
    462-478. doi:10.1006/cgip.1994.1042

    Bertrand, G. & Malandain, G. (1994). A new characterization of three-dimensional simple
    points. Pattern Recognition Letters 15(2), 169-175. doi:10.1016/0167-8655(94)90046-9
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from itertools import combinations, product
from operator import and_, or_
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool

from segjax._errors import InputError
from segjax._numerics import AnyArray, namespace
from segjax.ops import morphology, packing


def skeleton(mask: Bool[AnyArray, "*space"]) -> Bool[AnyArray, "*space"]:
    """Skeleton of a mask: a thin part of it with the same topology.

    It has a piece in every component of the mask (a voxel or two, if that is round), a ring
    around every hole or tunnel and a shell around every cavity. Beyond the image is background.
    Moving the mask moves the skeleton; turning it may move a line by a voxel.

    In the plane it is that of scikit-image's `skeletonize`, pixel by pixel. In space it is much
    like it, but always has the topology of the mask: of a cube with an even side scikit-image
    leaves nothing. A mask of one axis is its own skeleton.

    There are about as many sweeps as the largest ball (in a plate, the largest disc) inside
    the mask has voxels in its radius.

    Args:
        mask: one, two or three axes; use `jax.vmap` for more masks of a shape.

    Raises:
        InputError: if there are more axes, or none.

    Example:
        >>> import numpy as np
        >>> ring = np.ones((5, 5), bool)
        >>> ring[2, 2] = False
        >>> print(skeleton(ring).astype(int))
        [[0 0 0 0 0]
         [0 0 1 0 0]
         [0 1 0 1 0]
         [0 0 1 0 0]
         [0 0 0 0 0]]
    """
    if mask.ndim not in (1, 2, 3):
        raise InputError(f"skeletons are known of masks of 1 to 3 axes, got shape {mask.shape}")
    if namespace(mask) is jnp:
        return _traced(mask)
    thin = mask.reshape((1, *mask.shape)[-max(2, mask.ndim) :])
    found = np.zeros_like(thin)
    box = morphology.bounding_box(thin)
    if box is None:
        return mask.copy()
    words = packing.pack_rows(thin[box])
    words = _thin_space_on_host(words) if mask.ndim == 3 else _thin_plane_on_host(words)
    found[box] = packing.unpack_rows(words, found[box].shape[-1])
    return found.reshape(mask.shape)


@jax.jit
def _traced(mask: Bool[Array, "*space"]) -> Bool[Array, "*space"]:
    if not mask.size:
        return mask
    thin = mask.reshape((1, *mask.shape)[-max(2, mask.ndim) :])
    sweep = _sweep_plane if thin.ndim == 2 else partial(_sweep_space, fields=_fields(thin))

    def body(state: Any) -> Any:
        words, _ = state
        fewer = sweep(words)
        return fewer, jnp.any(fewer != words)

    start = packing.pack_rows(thin), jnp.bool_(True)
    words, _ = lax.while_loop(lambda state: state[1], body, start)
    return packing.unpack_rows(words, thin.shape[-1]).reshape(mask.shape)


# Neighbours of voxels, a word of them at a time, by their offset.

Offset: TypeAlias = tuple[int, ...]
Around: TypeAlias = Mapping[Offset, Any]


def _neighbours(dims: int, word_at: Callable[..., Any]) -> Around:
    """The mask at every offset from -1 to 1, the voxels themselves among them.

    Args:
        dims: axes of the voxels.
        word_at: the words at an offset, that along the last axis in words.
    """
    found = {}
    for row in product((-1, 0, 1), repeat=dims - 1):
        before, here, after = (word_at(*row, step) for step in (-1, 0, 1))
        found[*row, -1] = here << 1 | before >> 31
        found[*row, 0] = here
        found[*row, 1] = here >> 1 | after << 31
    return found


def _dense_neighbours(words: Any) -> Around:
    padded = namespace(words).pad(words, 1)
    at = lambda step, n: slice(1 + step, 1 + step + n)
    return _neighbours(words.ndim, lambda *offset: padded[tuple(map(at, offset, words.shape))])


def _gathered(words: Any) -> tuple[Any, Callable[[Any], Around]]:
    """Padded words in host memory, and a function that finds the neighbours of some of them.

    On the host only words that may lose a voxel are looked at; they are few.
    """
    padded = np.pad(words, 1)
    flat = padded.reshape(-1)
    steps = [stride // flat.itemsize for stride in padded.strides]

    def around(index: Any) -> Around:
        word_at = lambda *offset: flat[index + sum(map(operator.mul, offset, steps))]
        return _neighbours(padded.ndim, word_at)

    return padded, around


# In the plane.

# What goes in the two halves of a sweep. Of the neighbours, those at # are in the mask, those at
# . are not, and * may be either. So few templates say what scikit-image's table of 256 does.
_FIRST = """
    ###|#o*|*.. ###|*o#|..* ##*|#o.|#*. ##*|.o*|... #*.|#o.|##* #*.|#o.|#*. *##|.o*|...
    *#*|#o.|*.. *#*|.o#|... *..|#o.|.#. .*#|.o#|..* ..#|.o#|*## ...|*o.|### ...|.o#|.#.
    ...|.o*|###
"""
_SECOND = """
    ###|*o.|... ###|.o*|... ##*|#o.|#.. *##|.o#|.*# *..|#o*|### *..|#o.|#*. .#.|#o.|...
    .#.|.o#|..* .*#|.o#|*## .**|.o#|..# ..*|*o#|### ..*|.o#|##* ...|#o.|*#* ...|.o#|*#*
    ...|.o*|##*
"""


def _parse(templates: str) -> list[list[tuple[Offset, bool]]]:
    """Which neighbours each template wants in the mask, and which out of it."""
    offsets = tuple(product((-1, 0, 1), repeat=2))
    marks = [zip(offsets, text.replace("|", ""), strict=True) for text in templates.split()]
    return [[(at, mark == "#") for at, mark in row if mark in "#."] for row in marks]


_HALVES = tuple(map(_parse, (_FIRST, _SECOND)))


def _sweep_plane(words: Any) -> Any:
    for templates in _HALVES:
        words = words & ~_fits(_dense_neighbours(words), templates)
    return words


def _fits(around: Around, templates: list[list[tuple[Offset, bool]]]) -> Any:
    """Pixels whose neighbours are as any of the templates says."""
    there = {
        (offset, inside): x if inside else ~x
        for offset, x in around.items()
        for inside in (True, False)
    }
    return reduce(or_, (reduce(and_, map(there.__getitem__, template)) for template in templates))


def _thin_plane_on_host(words: Any) -> Any:
    padded, around = _gathered(words)
    flat, changed = padded.reshape(-1), True
    while changed:
        changed = False
        for templates in _HALVES:
            index = np.flatnonzero(morphology.surface(padded, 2))
            gone = flat[index] & _fits(around(index), templates)
            flat[index] &= ~gone
            changed |= bool(gone.any())
    return padded[1:-1, 1:-1]


# In space. A voxel touches others at its 6 faces, 12 edges and 8 corners: cells on a sphere,
# each named by where it lies from the middle of the voxel. Removing it keeps the topology if,
# and only if, those that are touched are in one piece and the rest is, too.

_CELLS = tuple(cell for cell in product((-1, 0, 1), repeat=3) if any(cell))
_FACES, _EDGES, _CORNERS = ([c for c in _CELLS if sum(map(abs, c)) == n] for n in (1, 2, 3))


def _towards(cell: Offset, axis: int, step: int) -> Offset:
    return (*cell[:axis], step, *cell[axis + 1 :])


# An edge ends in two corners, and lies between two faces.
_ENDS = {e: tuple(_towards(e, e.index(0), step) for step in (-1, 1)) for e in _EDGES}
_SIDES = {e: tuple(_towards(e, axis, 0) for axis in range(3) if e[axis]) for e in _EDGES}


def _simple(around: Around) -> Any:
    """Whether each voxel may be removed without changing the topology."""
    touched = dict(around)
    for axis, cell in product(range(3), _CELLS):
        within = _towards(cell, axis, 0)  # a larger cell that has this one on its border
        if cell[axis] and any(within):
            touched[cell] = touched[cell] | touched[within]
    free = {cell: ~touched[cell] for cell in _CELLS}
    return _one_piece(
        {c: touched[c] for c in _CORNERS}, {_ENDS[e]: touched[e] for e in _EDGES}
    ) & _one_piece({f: free[f] for f in _FACES}, {_SIDES[e]: free[e] for e in _EDGES})


def _one_piece(nodes: Around, links: Mapping[tuple[Offset, ...], Any]) -> Any:
    """Whether the nodes that are there hang together; a link's two nodes are there if it is.

    Nodes are taken away in turn, their neighbours linked with one another in their place. A
    piece is complete when one goes that has no neighbours left.
    """
    known = {frozenset(pair): link for pair, link in links.items()}
    last = []
    for node, there in nodes.items():
        near = {}
        for pair in [pair for pair in known if node in pair]:
            (other,) = pair - {node}
            near[other] = known.pop(pair)
        last.append(there & ~reduce(or_, near.values()) if near else there)
        for (a, to_a), (b, to_b) in combinations(near.items(), 2):
            pair, detour = frozenset((a, b)), to_a & to_b
            known[pair] = known[pair] | detour if pair in known else detour
    return _exactly_one(last)


def _exactly_one(words: Sequence[Any]) -> Any:
    """Where one of the words has a bit set, and no other has."""
    once, again = words[0], words[0] & ~words[0]
    for word in words[1:]:
        again, once = again | once & word, once | word
    return once & ~again


def _candidates(around: Around, border: Any) -> Any:
    """Voxels on a border that may go and are no ends of lines."""
    ends = _exactly_one([around[cell] for cell in _CELLS])
    return border & ~ends & _simple(around)


_FIELDS = tuple(product((0, 1), repeat=3))  # parities of places: the voxels of one never touch
_EVEN = np.uint32(0x55555555)


def _sweep_space(words: Any, fields: Any) -> Any:
    """Remove a layer from each of the six sides in turn."""

    def from_side(side: Any, words: Any) -> Any:
        around = _dense_neighbours(words)
        beyond = jnp.stack([around[face] for face in _FACES])[side]
        candidates = _candidates(around, words & ~beyond)
        remove = lambda i, x: x & ~(candidates & fields[i] & _simple(_dense_neighbours(x)))
        return lax.fori_loop(0, len(_FIELDS), remove, words)

    return lax.fori_loop(0, len(_FACES), from_side, words)


def _fields(mask: Bool[Array, "*space"]) -> Any:
    """Packed fields, places counted from the first that the mask has along each axis."""
    parity = []
    for axis, size in enumerate(mask.shape):
        there = mask.any(tuple(a for a in range(3) if a != axis))
        place = jnp.arange(size) - jnp.argmax(there)
        parity.append((place & 1).reshape([size if a == axis else 1 for a in range(3)]))
    fields = [reduce(and_, map(operator.eq, parity, field)) for field in _FIELDS]
    return packing.pack_rows(jnp.stack(fields))


def _thin_space_on_host(words: Any) -> Any:
    padded, around = _gathered(words)
    flat, changed = padded.reshape(-1), True
    while changed:
        changed = False
        for face in _FACES:
            axis = next(a for a in range(3) if face[a])
            border = padded & ~morphology.shifted(padded, axis - 3, -face[axis])
            index = np.flatnonzero(border)
            candidates = _candidates(around(index), border.reshape(-1)[index])
            z, y, _ = np.unravel_index(index, padded.shape)
            for field in _FIELDS:
                # Words are padded by a plane and a row; the first voxel of a word is even.
                here = ((z - 1) & 1 == field[0]) & ((y - 1) & 1 == field[1])
                wanted = candidates & np.where(here, _EVEN << field[2], 0)
                some = np.flatnonzero(wanted)
                if some.size:
                    gone = wanted[some] & _simple(around(index[some]))
                    flat[index[some]] &= ~gone
                    changed |= bool(gone.any())
    return padded[1:-1, 1:-1, 1:-1]
