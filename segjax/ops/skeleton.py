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
from itertools import chain, combinations, cycle, product
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


def _along_row(before: Any, here: Any, after: Any) -> tuple[Any, Any, Any]:
    """Voxels at offset -1, 0 and 1 along the last axis, from words."""
    return here << 1 | before >> 31, here, here >> 1 | after << 31


def _offsets(dims: int) -> list[Offset]:
    return [*product((-1, 0, 1), repeat=dims)]


def _dense_neighbours(words: Any) -> Around:
    """The mask at every offset from -1 to 1, the voxels themselves among them."""
    padded = namespace(words).pad(words, 1)
    at = lambda step, n: slice(1 + step, 1 + step + n)
    near = [padded[tuple(map(at, offset, words.shape))] for offset in _offsets(words.ndim)]
    rows = [_along_row(*near[i : i + 3]) for i in range(0, len(near), 3)]
    return dict(zip(_offsets(words.ndim), chain(*rows), strict=True))


_BLOCK = 2**13  # words of which all that is known fits in the cache


class _Front:
    """Words in host memory that may lose a voxel, sweep after sweep.

    A step of a sweep finds in a word what it found there a sweep ago, unless one near it has
    changed since: only those are looked at again, and they soon are few.

    Attributes:
        words: the mask, flat, with a word of background around it along every axis.
    """

    def __init__(self, words: Any, steps: int):
        """Start with the words at the surface of a mask; a sweep has so many steps."""
        self._padded = np.pad(words, 1)
        self.words = self._padded.reshape(-1)
        self._offsets = _offsets(words.ndim)
        strides = [stride // words.itemsize for stride in self._padded.strides]
        self._near = np.array(self._offsets) @ strides
        self._steps, self._now, self._last = steps, -1, -1
        # When a word or one near it last changed, in steps from the first.
        self._changed = np.full(self.words.size, -1 - steps, np.int32)
        self._changed[morphology.surface(self._padded, words.ndim).reshape(-1) != 0] = -1
        self._gone: list[Any] = []

    @property
    def moving(self) -> bool:
        """Whether there was a change within the last sweep."""
        return self._now - self._last < self._steps

    @property
    def left(self) -> Any:
        """The mask as it is now."""
        return self._padded[(slice(1, -1),) * self._padded.ndim]

    def next_step(self) -> Any:
        """Begin a step; returns the places of the words to look at."""
        for gone in self._gone:
            self._changed[gone + self._near[:, None]] = self._now
        self._gone = []
        self._now += 1
        return np.flatnonzero((self._changed >= self._now - self._steps) & (self.words != 0))

    def around(self, index: Any) -> Around:
        """The neighbours of all voxels of some words."""
        near = self.words.take(index + self._near[:, None]).reshape(-1, 3, len(index))
        rows = zip(*_along_row(near[:, 0], near[:, 1], near[:, 2]), strict=True)
        return dict(zip(self._offsets, chain.from_iterable(rows), strict=True))

    def beyond(self, index: Any, face: Offset) -> Any:
        """The neighbours on one side."""
        row = self._offsets.index((*face[:-1], 0))
        near = self.words.take(index + self._near[row - 1 : row + 2, None])
        return _along_row(*near)[1 + face[-1]]

    def rows(self, index: Any) -> list[Any]:
        """Whether rows of words are odd ones of the mask, along each axis but the last."""
        places = np.unravel_index(index, self._padded.shape)[:-1]
        return [place - 1 & 1 for place in places]

    def look(self, index: Any, find: Callable[[Any], Any]) -> Any:
        """What there is to find in some words, as many at a time as fit in the cache."""
        blocks = [find(index[i : i + _BLOCK]) for i in range(0, len(index), _BLOCK)]
        return np.concatenate(blocks) if blocks else self.words[:0]

    def remove(self, index: Any, voxels: Any) -> None:
        """Take voxels out of some words."""
        some = np.flatnonzero(voxels)
        if some.size:
            self.words[index[some]] &= ~voxels[some]
            self._gone.append(index[some])
            self._last = self._now


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
    front, halves = _Front(words, len(_HALVES)), cycle(_HALVES)
    while front.moving:
        index, templates = front.next_step(), next(halves)
        fits = lambda some, t=templates: front.words[some] & _fits(front.around(some), t)
        front.remove(index, front.look(index, fits))
    return front.left


# In space. A voxel touches others at its 6 faces, 12 edges and 8 corners: cells on a sphere,
# each named by where it lies from the middle of the voxel. Removing it keeps the topology if,
# and only if, those that are touched are in one piece and the rest is, too.

_CELLS: tuple[Offset, ...] = tuple(cell for cell in product((-1, 0, 1), repeat=3) if any(cell))
_FACES, _EDGES, _CORNERS = ([c for c in _CELLS if sum(map(abs, c)) == n] for n in (1, 2, 3))


def _towards(cell: Offset, axis: int, step: int) -> Offset:
    return (*cell[:axis], step, *cell[axis + 1 :])


# An edge ends in two corners, and lies between two faces.
_ENDS: Mapping[Offset, tuple[Offset, ...]] = {
    e: tuple(_towards(e, e.index(0), step) for step in (-1, 1)) for e in _EDGES
}
_SIDES: Mapping[Offset, tuple[Offset, ...]] = {
    e: tuple(_towards(e, axis, 0) for axis in range(3) if e[axis]) for e in _EDGES
}


# Cells, each with a larger one that has it on its border.
_WITHIN = [
    (cell, _towards(cell, axis, 0))
    for axis, cell in product(range(3), _CELLS)
    if cell[axis] and any(_towards(cell, axis, 0))
]


def _simple(around: Around) -> Any:
    """Whether each voxel may be removed without changing the topology."""
    touched = dict(around)
    for cell, larger in _WITHIN:
        touched[cell] = touched[cell] | touched[larger]
    free = {cell: ~touched[cell] for cell in _CELLS}
    return _one_piece(_OF_CORNERS, touched) & _one_piece(_OF_FACES, free)


# A node that goes, its links, and the detours in its place: a name, and two of the links each.
_Step: TypeAlias = tuple[Offset, list[Any], list[tuple[Any, Any, Any]]]


def _taken_away(nodes: Sequence[Offset], links: Mapping[Offset, tuple[Offset, ...]]) -> list[_Step]:
    """How nodes are taken away in turn."""
    known: dict[frozenset[Offset], Any] = {frozenset(pair): link for link, pair in links.items()}
    steps = []
    for node in nodes:
        near = {
            other: known.pop(pair) for pair in [*known] if node in pair for other in pair - {node}
        }
        detours = []
        for (a, to_a), (b, to_b) in combinations(near.items(), 2):
            name = known.setdefault(frozenset((a, b)), frozenset((a, b)))
            detours.append((name, to_a, to_b))
        steps.append((node, [*near.values()], detours))
    return steps


_OF_CORNERS, _OF_FACES = _taken_away(_CORNERS, _ENDS), _taken_away(_FACES, _SIDES)


def _one_piece(steps: Sequence[_Step], there: Around) -> Any:
    """Whether the nodes that are there hang together; a link's two nodes are there if it is.

    Nodes are taken away in turn, their neighbours linked with one another in their place. A
    piece is complete when one goes that has no neighbours left.
    """
    known: dict[Any, Any] = dict(there)
    last = []
    for node, links, detours in steps:
        linked = reduce(or_, [known[link] for link in links]) if links else None
        last.append(known[node] if linked is None else known[node] & ~linked)
        for name, a, b in detours:
            detour = known[a] & known[b]
            known[name] = known[name] | detour if name in known else detour
    return _exactly_one(last)


def _exactly_one(words: Sequence[Any]) -> Any:
    """Where one of the words has a bit set, and no other has."""
    once, again = words[0], words[0] & ~words[0]
    for word in words[1:]:
        again, once = again | once & word, once | word
    return once & ~again


def _may_go(around: Around) -> Any:
    """Whether each voxel may be removed and is no end of a line."""
    return _simple(around) & ~_exactly_one([around[cell] for cell in _CELLS])


_FIELDS = tuple(product((0, 1), repeat=3))  # parities of places: the voxels of one never touch
_EVEN = np.uint32(0x55555555)


def _sweep_space(words: Any, fields: Any) -> Any:
    """Remove a layer from each of the six sides in turn."""

    def from_side(side: Any, words: Any) -> Any:
        around = _dense_neighbours(words)
        beyond = jnp.stack([around[face] for face in _FACES])[side]
        candidates = words & ~beyond & _may_go(around)
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
    front, faces = _Front(words, len(_FACES)), cycle(_FACES)
    simple = lambda some: _simple(front.around(some))
    while front.moving:
        index, face = front.next_step(), next(faces)
        border = front.words[index] & ~front.beyond(index, face)
        index, border = index[border != 0], border[border != 0]
        candidates = border & front.look(index, lambda some: _may_go(front.around(some)))
        index, candidates = index[candidates != 0], candidates[candidates != 0]
        z, y = front.rows(index)
        for field in _FIELDS:
            # The first voxel of a word is an even one.
            wanted = np.where((z == field[0]) & (y == field[1]), candidates & _EVEN << field[2], 0)
            some = np.flatnonzero(wanted)
            front.remove(index[some], wanted[some] & front.look(index[some], simple))
    return front.left
