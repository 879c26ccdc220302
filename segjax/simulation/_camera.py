"""From the light of nuclei to what a camera counts."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from segjax.simulation._fields import Grain, blur, plane_grain, smooth_noise
from segjax.simulation._nuclei import Scene, enlargement, plane_scale


_HAZY, _SPECKS = 4, 4  # bodies without a label


def illuminate(
    key: PRNGKeyArray, scene: Scene, light: Float[Array, "*space"]
) -> Float[Array, "*space"]:
    """What arrives at the camera: nuclei with texture and blur, and all else in view.

    The background's level is `scene.background`, a typical nucleus lies 1 above it.
    """
    shape, dims = light.shape, light.ndim
    fields, blobs = jax.random.split(key)
    half = tuple(n / 2 for n in shape)
    zoom = enlargement(scene)
    grains = [plane_grain(width, zoom, scene.step, dims) for width in (3.2, 1.1, 2.0, 11.0)]
    *texture, uneven, broad = smooth_noise(fields, shape, *grains, Grain(half, half))
    wide = lambda width: (width * scene.axial / scene.step, width, width)[-dims:]
    light = blur(light * _texture(scene, *texture), wide(scene.psf))
    light = light + scene.halo * (blur(light, wide(6.0)) - light)
    background = scene.background * (1 + scene.haze * jnp.tanh(uneven))
    ridges = jnp.exp(-0.5 * (uneven / 0.12) ** 2) * jax.nn.sigmoid(3 * broad)
    besides = _unlabelled(blobs, scene, shape) + scene.streaks * ridges
    return (light + besides + background) * jnp.exp(scene.illumination * broad)


def _texture(
    scene: Scene,
    coarse: Float[Array, "*space"],
    fine: Float[Array, "*space"],
    spots: Float[Array, "*space"],
) -> Float[Array, "*space"]:
    """Chromatin, dark nucleoli and bright spots; about 1 on average."""
    chromatin = jnp.exp(scene.texture * (0.8 * coarse + 0.6 * fine) - scene.texture**2 / 2)
    dark = scene.nucleoli * jax.nn.sigmoid(6 * (spots - 1.3))
    bright = scene.chromocentres * jax.nn.sigmoid(6 * (-spots - 1.3))
    return chromatin * (1 - dark + bright)


def _unlabelled(key: PRNGKeyArray, scene: Scene, shape: tuple[int, ...]) -> Float[Array, "*space"]:
    """Hazy bodies and specks: Gaussians, each a product of one along every axis."""
    number, dims = _HAZY + _SPECKS, len(shape)
    even = jax.random.uniform(key, (dims + 2, number))
    hazy = jnp.arange(number) < _HAZY
    width = jnp.where(hazy, 3 * 5 ** even[0], 0.7 + even[0])
    brightness = scene.ghosts * even[1] ** 2
    scale = plane_scale(scene, dims)
    profiles = [
        jnp.exp(-0.5 * (s * (jnp.arange(n, dtype=jnp.float32)[:, None] - n * e) / width) ** 2)
        for n, s, e in zip(shape, scale, even[2:], strict=True)
    ]
    blobs = brightness * profiles[0]
    for profile in profiles[1:-1]:
        blobs = blobs[..., None, :] * profile
    return jnp.einsum("...b,xb->...x", blobs, profiles[-1], precision="highest")


def expose(
    key: PRNGKeyArray, scene: Scene, image: Float[Array, "*space"]
) -> Float[Array, "*space"]:
    """Add noise, and count in whole numbers up to 2^bits - 1.

    Photons are counted with the normal distribution that has their variance, not with
    Poisson's: where there are few, their skewness is lost.
    """
    typical = 1 + scene.background
    photons = scene.poisson * jnp.maximum(image, 0.0) / typical
    (noise,) = smooth_noise(key, image.shape, _pixel_grain(scene, image.ndim))
    image = image + noise * jnp.sqrt(photons + 1 - scene.poisson) / scene.contrast_to_noise
    most = jnp.round(2.0 ** jnp.round(scene.bits)) - 1
    share = scene.dark + scene.exposure * image / typical
    return jnp.round(most * jnp.clip(share, 0.0, 1.0))


def _pixel_grain(scene: Scene, dims: int) -> Grain:
    """White noise, or noise that is interpolated between a camera's larger pixels."""
    width = 0.45 * jnp.sqrt(jnp.maximum(scene.enlarged**2 - 1, 0.0))
    return Grain((0.0, width, width)[-dims:], (1.0,) * dims)
