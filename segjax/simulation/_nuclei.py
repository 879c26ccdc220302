"""What may be asked of phantoms, and one draw of it."""

from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from segjax._errors import InputError


Range: TypeAlias = tuple[float, float]
Scene: TypeAlias = SimpleNamespace  # one number for each range of `Nuclei`, by its name


@dataclass(frozen=True)
class Nuclei:
    """What phantoms are drawn from. Each range is (least, most), drawn anew for each image.

    Lengths are in pixels of the plane, intensities relative to a typical nucleus: the mean of
    one is 1 above the background. The defaults are `WIDE`.

    Attributes:
        shape: of the image, two or three axes.
        objects: the most nuclei in an image.
        count: nuclei that seek a place in the image; those that find none are left out.
        radius: of an image's typical nucleus, if it were round.
        size_spread: standard deviation of the logarithm of the radius within an image.
        aspect: the greatest ratio of the long to the short axis in the plane.
        bend: how much nuclei bend into a kidney, at most; 0 for straight ones.
        roughness: standard deviation of the outline, as a share of the radius.
        gap: least distance of two centres, as a multiple of the sum of their radii.
        clustering: share of the nuclei that seek a place beside another.
        brightness_spread: standard deviation of the logarithm of the brightness.
        texture: standard deviation of the logarithm of the brightness within a nucleus.
        nucleoli: depth of dark nucleoli; 1 for black.
        chromocentres: height of bright spots above the rest of the nucleus.
        dome: fall of the brightness from centre to edge; negative for a bright rim.
        mitotic: share of condensed bodies: small, bright, elongated or crumbly.
        debris: share of small bodies, micronuclei and apoptotic ones, that have a label.
        defocus: width of the edge of the nuclei that are out of focus.
        psf: standard deviation of the optical blur in the plane.
        axial: how many times the blur is wider along the first of three axes.
        step: distance of the planes of an image of three axes.
        flatness: height of a nucleus over its width, in three axes.
        halo: share of the light that is spread widely around nuclei.
        ghosts: brightness of what has no label: hazy bodies out of focus, specks.
        streaks: brightness of fibres without a label.
        background: brightness of the background.
        haze: standard deviation of the background, as a share of it.
        illumination: standard deviation of the logarithm of the light over the field.
        annotation_offset: how far the labels reach beyond the edge of the nuclei, as a multiple of
            the width of that edge: a pixel where it is sharp.
        smallest: voxels; what shows less within the image has no label.
        visible: what is dimmer than this multiple of the noise has no label.
        contrast_to_noise: brightness of a typical nucleus over the noise there.
        poisson: share of the noise's variance that grows with the signal.
        enlarged: side of a camera's pixel: above 1 noise is interpolated and labels are blocky.
        bits: of the camera's counts, whole numbers.
        exposure: share of the camera's range that a typical nucleus takes; above it is clipped.
        dark: what the camera counts without light, as a share of its range.
    """

    shape: tuple[int, ...] = (96, 96)
    objects: int = 24
    count: Range = (0.0, 24.0)
    radius: Range = (5.0, 24.0)
    size_spread: Range = (0.03, 0.4)
    aspect: Range = (1.1, 2.5)
    bend: Range = (0.0, 0.5)
    roughness: Range = (0.0, 0.11)
    gap: Range = (0.8, 1.3)
    clustering: Range = (0.0, 0.9)
    brightness_spread: Range = (0.05, 0.5)
    texture: Range = (0.03, 0.4)
    nucleoli: Range = (0.0, 0.8)
    chromocentres: Range = (0.0, 1.5)
    dome: Range = (-0.2, 0.9)
    mitotic: Range = (0.0, 0.2)
    debris: Range = (0.0, 0.35)
    defocus: Range = (1.0, 8.0)
    psf: Range = (0.3, 2.0)
    axial: Range = (2.0, 3.5)
    step: Range = (2.0, 5.0)
    flatness: Range = (0.5, 1.0)
    halo: Range = (0.0, 0.4)
    ghosts: Range = (0.0, 0.6)
    streaks: Range = (0.0, 0.15)
    background: Range = (0.01, 0.6)
    haze: Range = (0.0, 0.3)
    illumination: Range = (0.0, 0.3)
    annotation_offset: Range = (0.1, 1.2)
    smallest: int = 6
    visible: float = 1.0
    contrast_to_noise: Range = (1.5, 300.0)
    poisson: Range = (0.0, 1.0)
    enlarged: Range = (0.4, 2.4)
    bits: Range = (8.0, 12.0)
    exposure: Range = (0.04, 0.7)
    dark: Range = (0.0, 0.06)


_FIXED = ("shape", "objects", "smallest", "visible")
# Drawn evenly in the logarithm; as the cube of an even number, mostly near the low end; all
# others evenly.
_RATIOS = ("radius", "background", "contrast_to_noise", "exposure")
_RARE = (
    "bend",
    "chromocentres",
    "mitotic",
    "defocus",
    "ghosts",
    "streaks",
    "haze",
    "annotation_offset",
)
_RANGES = tuple(f.name for f in fields(Nuclei) if f.name not in _FIXED)


def ranges(nuclei: Nuclei) -> dict[str, Range]:
    """All that is drawn anew for each image."""
    return {name: getattr(nuclei, name) for name in _RANGES}


def draw_scene(key: PRNGKeyArray, nuclei: Nuclei) -> Scene:
    """One number from each range."""
    _check(nuclei)
    evens = jax.random.uniform(key, (len(_RANGES),))
    drawn = zip(ranges(nuclei).items(), evens, strict=True)
    return Scene(**{name: between(name, ends, even) for (name, ends), even in drawn})


def between(name: str, ends: Range, even: Any) -> Any:
    """The number of the range of this name that an even number from 0 to 1 stands for."""
    low, high = ends
    if name in _RATIOS:
        return low * (high / low) ** even
    return low + (high - low) * (even**3 if name in _RARE else even)


def _check(nuclei: Nuclei) -> None:
    if len(nuclei.shape) not in (2, 3) or min(nuclei.shape) < 1:
        raise InputError(f"phantoms have two or three axes of at least 1, got {nuclei.shape}")
    if nuclei.objects < 1:
        raise InputError(f"phantoms need room for 1 object at least, got {nuclei.objects}")
    for name, (low, high) in ranges(nuclei).items():
        if not low <= high:
            raise InputError(f"{name} is (least, most), got ({low}, {high}): swap them")
        if name in _RATIOS and low <= 0:
            raise InputError(f"{name} must be positive, got ({low}, {high})")


def plane_scale(scene: Scene, dims: int) -> tuple[Float[Array, ""], ...]:
    """Length of a voxel along each axis, in pixels of the plane."""
    one = jnp.ones_like(scene.step)
    return (scene.step, one, one)[-dims:]


def enlargement(scene: Scene) -> Float[Array, ""]:
    """How much wider texture and outlines vary than in small nuclei, at least 1."""
    return jnp.maximum(scene.radius / 10, 1.0)
