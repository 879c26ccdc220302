"""What the workloads work on: drawn from a seed, at any size, in time that grows with the size."""

import math

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8


_WAVES = 12


def wavy(
    rng: np.random.Generator, shape: tuple[int, ...], waves: int = _WAVES
) -> Float[np.ndarray, "..."]:
    """A smooth random field of mean 0 and standard deviation 1, in float32."""
    field = rng.normal(size=(waves,) * len(shape)).astype(np.float32)
    for axis, n in enumerate(shape):
        place = np.linspace(0, waves - 1, n, dtype=np.float32)[:, None]
        bumps = np.exp(-((place - np.arange(waves, dtype=np.float32)) ** 2))
        field = np.moveaxis(np.tensordot(bumps, field, (1, axis)), 0, axis)
    field -= field.mean()
    field /= field.std()
    return np.ascontiguousarray(field)


def balls(
    seed: int, side: int, dims: int, error: float = 2.0
) -> tuple[Bool[np.ndarray, "..."], Bool[np.ndarray, "..."]]:
    """A bumpy ball in the middle, and another whose boundary errs by some `error` voxels."""
    rng = np.random.default_rng(seed)
    shape, radius = (side,) * dims, 0.3 * side
    squares = (np.arange(side, dtype=np.float32) - side / 2) ** 2
    distance = np.zeros(shape, np.float32)
    for axis in range(dims):
        distance += squares.reshape([-1 if a == axis else 1 for a in range(dims)])
    np.sqrt(distance, out=distance)
    field = 0.08 * radius * wavy(rng, shape) + (np.float32(radius) - distance)
    del distance
    reference = field > 0
    field += error * wavy(rng, shape)
    return reference, field > 0


def layers(
    seed: int, side: int, dims: int, classes: int
) -> tuple[UInt8[np.ndarray, "..."], UInt8[np.ndarray, "..."]]:
    """Classes of like size beside the background, as layers of a field; and the same, moved."""
    field = wavy(np.random.default_rng(seed), (side,) * dims)
    some = field.reshape(-1)[:: max(1, field.size // 2**16)]
    borders = np.quantile(some, np.arange(1, classes + 1) / (classes + 1))
    reference = np.zeros(field.shape, np.uint8)
    for border in borders.astype(np.float32):
        reference += field > border
    return reference, np.roll(reference, 2, tuple(range(dims)))


def vessels(
    seed: int, side: int, dims: int
) -> tuple[Bool[np.ndarray, "..."], Bool[np.ndarray, "..."]]:
    """A net of winding vessels, and as a method finds them: moved, thinner, torn at places.

    They lie where smooth fields are near 0, some 30 voxels from the next.
    """
    rng = np.random.default_rng(seed)
    shape, waves = (side,) * dims, max(3, side // 16)
    fields = [wavy(rng, shape, waves) for _ in range(dims - 1)]
    far = np.sqrt(sum(field**2 for field in fields))
    reach = np.float32(0.15 * (dims - 1))
    torn = np.roll(far, 1, 0) + 0.06 * wavy(rng, shape, waves)
    return far < reach, torn < 0.8 * reach


def cells(
    seed: int, side: int, dims: int, number: int
) -> tuple[Int32[np.ndarray, "..."], Int32[np.ndarray, "..."]]:
    """Some `number` discs or balls, each within a box of a lattice; and as a method finds them.

    The method moves and resizes each, misses one in twenty, takes one in twenty for a part of
    its neighbour, and numbers them by chance.
    """
    rng = np.random.default_rng(seed)
    along = max(1, round(number ** (1 / dims)))
    pitch = side / along
    count = along**dims
    axis = np.minimum((np.arange(side) / pitch).astype(np.int32), along - 1)
    radius = pitch * rng.uniform(0.28, 0.4, count)
    centre = rng.uniform(-0.06, 0.06, (count, dims)) * pitch
    moved = centre + rng.normal(0, 0.04, centre.shape) * pitch
    numbers = np.arange(1, count + 1)
    found = rng.permutation(numbers)
    kind = rng.random(count)
    found[kind < 0.05] = 0
    found = np.where(kind > 0.95, np.roll(found, 1), found)
    found = np.searchsorted(np.unique(np.append(found, 0)), found)  # without gaps
    resized = radius * rng.uniform(0.85, 1.05, count)
    return (
        _painted(axis, pitch, dims, centre, radius, numbers),
        _painted(axis, pitch, dims, moved, resized, found),
    )


def _painted(
    axis: np.ndarray,
    pitch: float,
    dims: int,
    centre: np.ndarray,
    radius: np.ndarray,
    names: np.ndarray,
) -> Int32[np.ndarray, "..."]:
    """Each ball in its box of the lattice, slab by slab."""
    along, side = int(axis[-1]) + 1, axis.size
    offset = (np.arange(side) - (axis + 0.5) * pitch).astype(np.float32)
    image = np.zeros((side,) * dims, np.int32)
    grid = (along,) * dims
    boxes = [np.ascontiguousarray(c.reshape(grid).astype(np.float32)) for c in centre.T]
    reach = (radius.reshape(grid) ** 2).astype(np.float32)
    numbers = names.reshape(grid).astype(np.int32)
    rest = np.ix_(*(axis,) * (dims - 1))
    for i in range(side):
        slab = axis[i]
        far = (offset[i] - boxes[0][slab][rest]) ** 2
        for k in range(1, dims):
            line = offset.reshape([-1 if a == k - 1 else 1 for a in range(dims - 1)])
            far += (line - boxes[k][slab][rest]) ** 2
        np.copyto(image[i], numbers[slab][rest], where=far < reach[slab][rest])
    return image


def scores(seed: int, models: int, cases: int) -> Float[np.ndarray, "model case"]:
    """Scores from 0 to 1 of models that have their difficult cases in common."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(18, 2, cases) + rng.normal(0, 0.03, (models, cases)), 0, 1)


def objects_of_size(side: int, dims: int, pitch: int = 32) -> int:
    """How many objects an image has that are as far apart in an image of any size."""
    return math.ceil(side / pitch) ** dims
