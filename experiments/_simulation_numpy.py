"""Phantoms drawn one at a time with NumPy and SciPy, as one would write them without JAX.

The same scenes as `segjax.simulation.phantoms.simulate` from the same ranges, in the same
steps; numbers differ. Each nucleus is drawn within its own box, fields are white noise after
SciPy's Gaussian filter. It is what the speed of segjax is measured against.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import ndimage

from segjax.simulation._nuclei import between, ranges
from segjax.simulation.phantoms import Nuclei


_TRIES, _HAZY, _SPECKS = 6, 4, 4
Array = np.ndarray


def simulate(rng: np.random.Generator, nuclei: Nuclei) -> tuple[Array, Array]:
    """An image and its label map."""
    scene = SimpleNamespace(
        **{name: between(name, ends, rng.random()) for name, ends in ranges(nuclei).items()}
    )
    bodies = _arrange(rng, scene, nuclei)
    labels, light = _paint(rng, scene, nuclei, bodies)
    image = _illuminate(rng, scene, light)
    return _expose(rng, scene, image), _annotate(scene, nuclei, bodies, labels)


def _scale(scene: Any, dims: int) -> Array:
    return np.array([scene.step, 1.0, 1.0])[-dims:]


def _arrange(rng: np.random.Generator, scene: Any, nuclei: Nuclei) -> list[SimpleNamespace]:
    dims = len(nuclei.shape)
    size, margin = np.array(nuclei.shape) * _scale(scene, dims), 0.7 * scene.radius
    bodies: list[SimpleNamespace] = []
    for _ in range(round(scene.count)):
        kind = rng.random()
        small = kind < scene.debris
        condensed = not small and kind > 1 - scene.mitotic
        radius = scene.radius * np.exp(scene.size_spread * np.clip(rng.normal(), -2.5, 2.5))
        aspect = 1 + (2.0 if condensed else scene.aspect - 1) * rng.random()
        light = np.exp(scene.brightness_spread * np.clip(rng.normal(), -2.5, 2.5))
        if small:
            radius, light = 1.5 + 0.35 * scene.radius * rng.random(), light * (0.2 + rng.random())
        elif condensed:
            radius, light = scene.radius * rng.uniform(0.45, 0.8), light * rng.uniform(2, 6)
        reach = radius * aspect**0.25
        joins = bool(bodies) and rng.random() < scene.clustering
        other = bodies[rng.integers(len(bodies))] if joins else None
        for _ in range(_TRIES):
            if other is None:
                centre = rng.uniform(-margin, size + margin)
            else:
                away = rng.normal(size=dims)
                away *= 1.02 * scene.gap * (reach + other.reach) / np.linalg.norm(away)
                centre = other.centre + away
            inside = np.all((centre > -margin) & (centre < size + margin))
            apart = [
                np.linalg.norm(centre - b.centre) > scene.gap * (reach + b.reach) for b in bodies
            ]
            if inside and all(apart):
                break
        else:
            continue
        bodies.append(
            SimpleNamespace(
                centre=centre,
                reach=reach,
                radius=radius,
                angle=2 * np.pi * rng.random(),
                stretch=np.sqrt(aspect),
                bend=0.0 if small else scene.bend * rng.normal(),
                tilt=0.3 * rng.normal(),
                rough=scene.roughness * (1.8 if condensed else 1.0),
                soft=min(1 + (scene.defocus - 1) * 2 * rng.random(), radius),
                brightness=light,
            )
        )
    return bodies


def _paint(
    rng: np.random.Generator, scene: Any, nuclei: Nuclei, bodies: Any
) -> tuple[Array, Array]:
    shape, scale = nuclei.shape, _scale(scene, len(nuclei.shape))
    zoom = max(scene.radius / 10, 1.0)
    outline = 0.9 * _noise(rng, shape, 5.0 * zoom / scale) + 0.4 * _noise(
        rng, shape, 2.2 * zoom / scale
    )
    outline = outline.astype(np.float32)
    labels, light = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    nearest = np.full(shape, np.inf, np.float32)
    for label, body in enumerate(bodies, 1):
        reach = 1.4 * body.radius * body.stretch + abs(body.bend) * body.radius + body.soft + 3
        first = np.maximum(np.floor((body.centre - reach) / scale), 0).astype(int)
        last = np.minimum(np.ceil((body.centre + reach) / scale) + 1, shape).astype(int)
        if np.any(first >= last):
            continue
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        away = np.ogrid[box]
        away = [
            (x * s - c).astype(np.float32) for x, s, c in zip(away, scale, body.centre, strict=True)
        ]
        y, x = away[-2:]
        cos, sin = np.cos(body.angle), np.sin(body.angle)
        u = (cos * x + sin * y) / body.stretch
        v = (cos * y - sin * x) * body.stretch
        v += body.bend * (u**2 / body.radius - body.radius / 3)
        square, steep = u**2 + v**2, (u / body.stretch) ** 2 + (v * body.stretch) ** 2
        if len(away) == 3:
            w = (away[0] - body.tilt * u) / scene.flatness
            square, steep = square + w**2, steep + (w / scene.flatness) ** 2
        distance = np.sqrt(square)
        edge = body.radius * (1 + body.rough * outline[box])
        depth = (edge - distance) * distance / np.sqrt(steep + 1e-6)
        share = distance / edge
        most = 0.4 * body.radius
        offset = scene.annotation_offset * (0.5 * body.soft + scene.psf)
        depth_of_light = depth - min(max(offset, -most), most)
        cover = np.clip(0.5 + depth_of_light / body.soft, 0, 1)
        fall = (1 - scene.dome * np.minimum(share, 1) ** 2) / (1 - scene.dome / 2)
        new = body.brightness * cover * fall
        upper = share < nearest[box]
        labels[box][upper & (depth > 0)] = label
        light[box] = np.where(upper, new, light[box])
        np.minimum(nearest[box], share, out=nearest[box])
    return labels, light


def _noise(rng: np.random.Generator, shape: tuple[int, ...], width: Any) -> Array:
    """A smooth field of mean 0 and standard deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), width, truncate=3.0)
    return (field - field.mean()) / (field.std() + 1e-6)


def _wide(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A field as wide as half of the image, from few numbers."""
    field: Any = ndimage.zoom(
        rng.standard_normal((4,) * len(shape), np.float32), np.array(shape) / 4, order=3
    )
    return (field - field.mean()) / (field.std() + 1e-6)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _illuminate(rng: np.random.Generator, scene: Any, light: Array) -> Array:
    shape, scale = light.shape, _scale(scene, light.ndim)
    optics = np.where(np.arange(light.ndim) < light.ndim - 2, scene.axial, 1.0) / scale
    zoom = max(scene.radius / 10, 1.0)
    coarse, fine, spots, uneven = (
        _noise(rng, shape, w * zoom / scale) for w in (3.2, 1.1, 2.0, 11.0)
    )
    broad = _wide(rng, shape)
    chromatin = np.exp(scene.texture * (0.8 * coarse + 0.6 * fine) - scene.texture**2 / 2)
    dark = scene.nucleoli * _sigmoid(6 * (spots - 1.3))
    bright = scene.chromocentres * _sigmoid(6 * (-spots - 1.3))
    light = ndimage.gaussian_filter(light * chromatin * (1 - dark + bright), scene.psf * optics)
    halo = ndimage.gaussian_filter(light, 6.0 * optics, truncate=3.0)
    light = light + scene.halo * (halo - light)
    ridges = np.exp(-0.5 * (uneven / 0.12) ** 2) * _sigmoid(3 * broad)
    background = scene.background * (1 + scene.haze * np.tanh(uneven))
    for k in range(_HAZY + _SPECKS):
        width = 3 * 5 ** rng.random() if k < _HAZY else 0.7 + rng.random()
        blob: Any = scene.ghosts * rng.random() ** 2
        for x, s, n in zip(np.ogrid[tuple(map(slice, shape))], scale, shape, strict=True):
            blob = blob * np.exp(-0.5 * (s * (x - n * rng.random()) / width) ** 2)
        background = background + blob
    return (light + background + scene.streaks * ridges) * np.exp(scene.illumination * broad)


def _expose(rng: np.random.Generator, scene: Any, image: Array) -> Array:
    typical = 1 + scene.background
    photons = scene.poisson * np.maximum(image, 0) / typical
    noise = rng.standard_normal(image.shape, np.float32)
    width = 0.45 * np.sqrt(max(scene.enlarged**2 - 1, 0))
    if width > 0.1:
        noise = ndimage.gaussian_filter(noise, (0, width, width)[-image.ndim :])
        noise /= noise.std()
    image = image + noise * np.sqrt(photons + 1 - scene.poisson) / scene.contrast_to_noise
    most = 2 ** round(scene.bits) - 1
    share = scene.dark + scene.exposure * image / typical
    return np.round(most * np.clip(share, 0, 1)).astype(np.float32)


def _annotate(scene: Any, nuclei: Nuclei, bodies: Any, labels: Array) -> Array:
    if scene.enlarged > 1:
        for axis in (labels.ndim - 2, labels.ndim - 1):
            size = labels.shape[axis]
            middle = (np.floor(np.arange(size) / scene.enlarged) + 0.5) * scene.enlarged
            labels = labels.take(np.minimum(middle.astype(int), size - 1), axis)
    kept = np.bincount(labels.ravel(), minlength=len(bodies) + 1) >= nuclei.smallest
    seen = [b.brightness * scene.contrast_to_noise >= nuclei.visible for b in bodies]
    kept[1:] &= np.array(seen, bool)
    kept[0] = False
    return np.where(kept[labels], labels, 0)
