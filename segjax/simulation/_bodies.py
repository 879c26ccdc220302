"""Where nuclei lie, how each is shaped, and the labels and light that come of it.

Places are in pixels of the plane along every axis.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32, PRNGKeyArray

from segjax.simulation._fields import plane_grain, smooth_noise
from segjax.simulation._nuclei import Nuclei, Scene, enlargement, plane_scale


_TRIES = 6  # places that a nucleus tries
_NOWHERE = -1e4


class Bodies(NamedTuple):
    """One row per object.

    Attributes:
        centre: in pixels.
        radius: in pixels; of the circle of equal area in the plane.
        turn: cosine and sine of the direction of the long axis.
        stretch: square root of the ratio of the axes.
        bend: of the long axis.
        tilt: of the long axis out of the plane.
        rough: standard deviation of the outline, as a share of the radius.
        soft: width of the edge in pixels.
        brightness: mean of the nucleus.
    """

    centre: Float[Array, "object dim"]
    radius: Float[Array, " object"]
    turn: Float[Array, "object 2"]
    stretch: Float[Array, " object"]
    bend: Float[Array, " object"]
    tilt: Float[Array, " object"]
    rough: Float[Array, " object"]
    soft: Float[Array, " object"]
    brightness: Float[Array, " object"]


def arrange(key: PRNGKeyArray, scene: Scene, nuclei: Nuclei) -> Bodies:
    """Draw all bodies; those that found no place lie far outside of the image."""
    objects, dims = nuclei.objects, len(nuclei.shape)
    normals, evens = jax.random.split(key)
    normal = jax.random.normal(normals, (4 + _TRIES * dims, objects))
    even = jax.random.uniform(evens, (7 + _TRIES * dims + objects, objects))
    kind = even[0]
    small = kind < scene.debris
    condensed = ~small & (kind > 1 - scene.mitotic)
    radius = scene.radius * jnp.exp(scene.size_spread * jnp.clip(normal[0], -2.5, 2.5))
    radius = jnp.where(small, 1.5 + 0.35 * scene.radius * even[1], radius)
    radius = jnp.where(condensed, scene.radius * (0.45 + 0.35 * even[1]), radius)
    aspect = 1 + (scene.aspect - 1) * even[2]
    aspect = jnp.where(condensed, 1 + 2.0 * even[2], aspect)
    brightness = jnp.exp(scene.brightness_spread * jnp.clip(normal[1], -2.5, 2.5))
    brightness *= jnp.where(small, 0.2 + even[3], jnp.where(condensed, 2 + 4 * even[3], 1.0))
    angle = 2 * jnp.pi * even[4]
    centre = _place(scene, nuclei, radius * aspect**0.25, even[6:].T, normal[4:].T)
    return Bodies(
        centre=centre,
        radius=radius,
        turn=jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1),
        stretch=jnp.sqrt(aspect),
        bend=jnp.where(small, 0.0, scene.bend * normal[2]),
        tilt=0.3 * normal[3],
        rough=scene.roughness * jnp.where(condensed, 1.8, 1.0),
        soft=jnp.minimum(1 + (scene.defocus - 1) * 2 * even[5], radius),
        brightness=brightness,
    )


def _place(
    scene: Scene,
    nuclei: Nuclei,
    radius: Float[Array, " object"],
    even: Float[Array, "object evens"],
    normal: Float[Array, "object normals"],
) -> Float[Array, "object dim"]:
    """One after the other, at the first of some places that is free."""
    objects, dims = nuclei.objects, len(nuclei.shape)
    size = jnp.array(nuclei.shape, jnp.float32) * jnp.stack(plane_scale(scene, dims))
    away = normal.reshape(objects, _TRIES, dims)
    away = away / jnp.linalg.norm(away, axis=-1, keepdims=True)
    # Centres lie up to most of a radius beyond the border.
    margin = 0.7 * scene.radius
    clustered = even[:, 0] < scene.clustering
    lots = even[:, 1 : 1 + objects]
    anywhere = even[:, 1 + objects :].reshape(objects, _TRIES, dims)
    anywhere = anywhere * (size + 2 * margin) - margin
    wanted = jnp.arange(objects) < jnp.round(scene.count)

    def step(state, body):
        centre, placed = state
        i, radius_here, free_place, towards, lot, joins, wants = body
        reach = scene.gap * (radius_here + radius)
        other = jnp.argmax(jnp.where(placed, lot, -1.0))
        beside = centre[other] + 1.02 * reach[other] * towards
        places = jnp.where(joins & jnp.any(placed), beside, free_place)
        apart = jnp.linalg.norm(places[:, None] - centre, axis=-1)
        inside = jnp.all((places > -margin) & (places < size + margin), -1)
        free = jnp.all((apart > reach) | ~placed, 1) & inside
        first = jnp.argmax(free)
        found = free[first] & wants
        where = jnp.where(found, places[first], _NOWHERE)
        return (centre.at[i].set(where), placed.at[i].set(found)), None

    start = jnp.full((objects, dims), _NOWHERE), jnp.zeros(objects, bool)
    order = jnp.arange(objects)
    rows = order, radius, anywhere, away, lots, clustered, wanted
    (centre, _), _ = lax.scan(step, start, rows)
    return centre


def paint(
    key: PRNGKeyArray, scene: Scene, nuclei: Nuclei, bodies: Bodies
) -> tuple[Int32[Array, "*space"], Float[Array, "*space"]]:
    """Labels of all bodies, and their light without texture and before any blur.

    Where bodies meet, a voxel belongs to that of whose radius it is the least share away.
    """
    shape, dims = nuclei.shape, len(nuclei.shape)
    scale = plane_scale(scene, dims)
    lines = (jnp.arange(n, dtype=jnp.float32) for n in shape)
    axes = jnp.meshgrid(*lines, indexing="ij", sparse=True)
    axes = [x * s for x, s in zip(axes, scale, strict=True)]
    grains = [plane_grain(width, enlargement(scene), scene.step, dims) for width in (5.0, 2.2)]
    coarse, fine = smooth_noise(key, shape, *grains)
    outline = jnp.clip(0.9 * coarse + 0.4 * fine, -3.0, 3.0)
    # Of positive floats the bits have the order of the numbers. The last of them make room
    # for the label, so that one minimum finds both the owner and how near it is.
    places = (1 << nuclei.objects.bit_length()) - 1

    def step(nearest, row):
        label, body = row
        share = _squared_share(body, axes, outline, scene.flatness)
        bits = lax.bitcast_convert_type(share, jnp.int32)
        return jnp.minimum(nearest, bits & ~places | label), None

    nowhere = jnp.full(shape, lax.bitcast_convert_type(jnp.float32(1e12), jnp.int32) & ~places)
    rows = jnp.arange(1, nuclei.objects + 1), bodies
    nearest, _ = lax.scan(step, nowhere, rows, unroll=4)
    owner = nearest & places
    share = lax.bitcast_convert_type(nearest & ~places, jnp.float32)
    return jnp.where(share < 1, owner, 0), _light(scene, bodies, owner, share, scale)


def _squared_share(
    body: Bodies,
    axes: list[Float[Array, "..."]],
    outline: Float[Array, "*space"],
    flatness: Float[Array, ""],
) -> Float[Array, "*space"]:
    """Square of the distance from the centre, as a share of that of the edge beyond."""
    away = [x - c for x, c in zip(axes, body.centre, strict=True)]
    y, x = away[-2:]
    cos, sin = body.turn
    u = (cos * x + sin * y) / body.stretch
    v = (cos * y - sin * x) * body.stretch + body.bend * (u**2 / body.radius - body.radius / 3)
    square = u**2 + v**2
    if len(away) == 3:
        square += ((away[0] - body.tilt * u) / flatness) ** 2
    return square * ((1 - body.rough * outline) / body.radius) ** 2


def _light(
    scene: Scene,
    bodies: Bodies,
    owner: Int32[Array, "*space"],
    share: Float[Array, "*space"],
    scale: tuple[Float[Array, ""], ...],
) -> Float[Array, "*space"]:
    """Bright within, with an edge that is soft and off the label's by the annotation's offset."""
    # The distance to the edge in pixels, positive within; exact for discs, else to first order.
    root = jnp.sqrt(share)
    depth = 2 * root * (1 - root) * lax.rsqrt(_steepness(share, scale) + 1e-8)
    most = 0.4 * bodies.radius
    width = 0.5 * bodies.soft + scene.psf
    offset = jnp.clip(scene.annotation_offset * width, -most, most)
    rows = jnp.stack([bodies.brightness, bodies.soft, offset], -1)
    none = jnp.array([[0.0, 1.0, 0.0]])
    brightness, soft, offset = jnp.moveaxis(jnp.concatenate([none, rows])[owner], -1, 0)
    cover = jnp.clip(0.5 + (depth - offset) / soft, 0.0, 1.0)
    fall = (1 - scene.dome * jnp.minimum(share, 1.0)) / (1 - scene.dome / 2)
    return brightness * cover * fall


def _steepness(
    field: Float[Array, "*space"], scale: tuple[Float[Array, ""], ...]
) -> Float[Array, "*space"]:
    """Squared gradient by central differences, one-sided at the border."""
    total = jnp.zeros_like(field)
    for axis, step in enumerate(scale):
        if field.shape[axis] > 1:
            total += (jnp.asarray(jnp.gradient(field, axis=axis)) / step) ** 2
    return total


def annotate(
    scene: Scene, nuclei: Nuclei, bodies: Bodies, labels: Int32[Array, "*space"]
) -> Int32[Array, "*space"]:
    """Labels as someone drew them: on the camera's pixels, without what hardly shows."""
    row, column = (_pixel_middles(n, scene.enlarged) for n in labels.shape[-2:])
    drawn = labels[..., row[:, None], column]
    size = jnp.zeros(nuclei.objects + 1, jnp.int32).at[drawn].add(1)
    seen = bodies.brightness * scene.contrast_to_noise >= nuclei.visible
    kept = (size >= nuclei.smallest) & jnp.pad(seen, (1, 0))
    return jnp.where(kept[drawn], drawn, 0)


def _pixel_middles(size: int, side: Float[Array, ""]) -> Int32[Array, " place"]:
    """Of each place along an axis, the middle of the camera's pixel that it lies in."""
    side = jnp.maximum(side, 1.0)
    middle = (jnp.floor(jnp.arange(size) / side) + 0.5) * side
    return jnp.minimum(middle.astype(jnp.int32), size - 1)
