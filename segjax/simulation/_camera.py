"""From the light of nuclei to what a camera counts."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from segjax.simulation._fields import blur, plane_noise, smooth_noise
from segjax.simulation._nuclei import Scene


_HAZY, _SPECKS = 4, 4  # bodies without a label


def illuminate(
    key: PRNGKeyArray, scene: Scene, light: Float[Array, "*space"]
) -> Float[Array, "*space"]:
    """What arrives at the camera: nuclei with texture and blur, and all else in view.

    The background's level is `scene.background`, a typical nucleus lies 1 above it.
    """
    shape = light.shape
    keys = jax.random.split(key, 4)
    wide = lambda width: (width * scene.axial / scene.step, width, width)[-light.ndim :]
    light = blur(light * _texture(keys[0], scene, shape), wide(scene.psf))
    light = light + scene.halo * (blur(light, wide(6.0)) - light)
    uneven = plane_noise(keys[1], shape, 12.0, scene.step)
    half = tuple(n / 2 for n in shape)
    broad = smooth_noise(keys[2], shape, half, knots=half)
    background = scene.background * (1 + scene.haze * jnp.tanh(uneven))
    ridges = jnp.exp(-0.5 * (uneven / 0.12) ** 2) * jax.nn.sigmoid(3 * broad)
    besides = _unlabelled(keys[3], scene, shape) + scene.streaks * ridges
    return (light + besides + background) * jnp.exp(scene.illumination * broad)


def _texture(key: PRNGKeyArray, scene: Scene, shape: tuple[int, ...]) -> Float[Array, "*space"]:
    """Chromatin, dark nucleoli and bright spots; about 1 on average."""
    keys = jax.random.split(key, 3)
    coarse, fine, spots = (
        plane_noise(k, shape, width, scene.step)
        for k, width in zip(keys, (3.5, 1.2, 2.2), strict=True)
    )
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
    scale = (scene.step, 1.0, 1.0)[-dims:]
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
    noise = smooth_noise(key, image.shape, _grain(scene, image.ndim), knots=(1.0,) * image.ndim)
    image = image + noise * jnp.sqrt(photons + 1 - scene.poisson) / scene.contrast_to_noise
    most = jnp.round(2.0 ** jnp.round(scene.bits)) - 1
    share = scene.dark + scene.exposure * image / typical
    return jnp.round(most * jnp.clip(share, 0.0, 1.0))


def _grain(scene: Scene, dims: int):
    """Width of the noise: white, or interpolated between a camera's larger pixels."""
    width = 0.45 * jnp.sqrt(jnp.maximum(scene.enlarged**2 - 1, 0.0))
    return (0.0, width, width)[-dims:]
