"""Where nuclei lie, how each is shaped, and the labels and light that come of it.

Places are in pixels of the plane along every axis.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32, PRNGKeyArray

from segjax.simulation._fields import plane_grain, smooth_noise
from segjax.simulation._nuclei import Nuclei, Scene, plane_scale


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


class Canvas(NamedTuple):
    """What has been painted: labels, light, and how far from its owner's centre each voxel is."""

    labels: Int32[Array, "*space"]
    light: Float[Array, "*space"]
    nearest: Float[Array, "*space"]  # 1 at the owner's edge


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
    even: Float[Array, "object number"],
    normal: Float[Array, "object number"],
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


def paint(key: PRNGKeyArray, scene: Scene, nuclei: Nuclei, bodies: Bodies) -> Canvas:
    """Labels and light of all bodies, without texture and before any blur."""
    shape, dims = nuclei.shape, len(nuclei.shape)
    lines = (jnp.arange(n, dtype=jnp.float32) for n in shape)
    axes = jnp.meshgrid(*lines, indexing="ij", sparse=True)
    axes = [x * s for x, s in zip(axes, plane_scale(scene, dims), strict=True)]
    grains = [plane_grain(width, scene.step, dims) for width in (6.0, 2.5)]
    coarse, fine = smooth_noise(key, shape, *grains)
    outline = 0.9 * coarse + 0.4 * fine

    def step(canvas, row):
        label, body = row
        return _paint_one(canvas, label, body, axes, outline, scene), None

    start = Canvas(jnp.zeros(shape, jnp.int32), jnp.zeros(shape), jnp.full(shape, jnp.inf))
    labels = jnp.arange(1, nuclei.objects + 1)
    return lax.scan(step, start, (labels, bodies))[0]


def _paint_one(canvas, label, body, axes, outline, scene) -> Canvas:
    away = [x - c for x, c in zip(axes, body.centre, strict=True)]
    y, x = away[-2:]
    cos, sin = body.turn
    u = (cos * x + sin * y) / body.stretch
    v = (cos * y - sin * x) * body.stretch + body.bend * (u**2 / body.radius - body.radius / 3)
    square, steep = u**2 + v**2, (u / body.stretch) ** 2 + (v * body.stretch) ** 2
    if len(away) == 3:
        w = (away[0] - body.tilt * u) / scene.flatness
        square, steep = square + w**2, steep + (w / scene.flatness) ** 2
    # To first order `depth` is the distance to the edge in pixels, positive inside: what the
    # implicit function lacks, over its gradient.
    distance = jnp.sqrt(square)
    edge = body.radius * (1 + body.rough * outline)
    depth = (edge - distance) * distance * lax.rsqrt(steep + 1e-6)
    share = distance / edge
    shrink = jnp.clip(scene.annotation_offset, -0.4 * body.radius, 0.4 * body.radius)
    cover = jnp.clip(0.5 + (depth - shrink) / body.soft, 0, 1)
    fall = (1 - scene.dome * jnp.minimum(share, 1.0) ** 2) / (1 - scene.dome / 2)
    light = body.brightness * cover * fall
    upper = share < canvas.nearest
    return Canvas(
        labels=jnp.where(upper & (depth > 0), label, canvas.labels),
        light=jnp.where(
            upper, light + scene.overlap * canvas.light, canvas.light + scene.overlap * light
        ),
        nearest=jnp.minimum(share, canvas.nearest),
    )


def annotate(
    scene: Scene, nuclei: Nuclei, bodies: Bodies, labels: Int32[Array, "*space"]
) -> Int32[Array, "*space"]:
    """Labels as someone drew them: on the camera's pixels, without what hardly shows."""
    side = jnp.maximum(scene.enlarged, 1.0)
    for axis in (labels.ndim - 2, labels.ndim - 1):
        size = labels.shape[axis]
        middle = (jnp.floor(jnp.arange(size) / side) + 0.5) * side
        labels = jnp.take(labels, jnp.minimum(middle.astype(jnp.int32), size - 1), axis)
    size = lax.map(lambda label: jnp.sum(labels == label), jnp.arange(1, nuclei.objects + 1))
    seen = bodies.brightness * scene.contrast_to_noise >= nuclei.visible
    kept = jnp.pad((size >= nuclei.smallest) & seen, (1, 0))
    return jnp.where(kept[labels], labels, 0)
