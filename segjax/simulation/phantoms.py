"""Phantoms: microscope images of nuclei, drawn at random, whose label maps are known.

At the scale at which networks see them: a nucleus has a radius of about 11 pixels. One
function makes one image of two or three axes; `jax.vmap` over keys makes many.

References:
    Svoboda, D. & Ulman, V. (2017). MitoGen: a framework for generating 3D synthetic
    time-lapse sequences of cell populations in fluorescence microscopy. IEEE TMI 36(1),
    310-321. doi:10.1109/TMI.2016.2606545
"""

from dataclasses import replace
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Int32, PRNGKeyArray

from segjax.simulation._bodies import annotate, arrange, paint
from segjax.simulation._camera import expose, illuminate
from segjax.simulation._nuclei import Nuclei as Nuclei, draw_scene


class Phantom(NamedTuple):
    """An image and its truth.

    Attributes:
        image: what a camera counts, whole numbers from 0 to 2^bits - 1, float32.
        labels: 0 the background, then up to `Nuclei.objects`; some numbers may be absent.
    """

    image: Float[Array, "*space"]
    labels: Int32[Array, "*space"]


WIDE = Nuclei()

SIM_PLUS = replace(
    WIDE,
    count=(1.0, 24.0),
    radius=(9.0, 13.0),
    size_spread=(0.05, 0.2),
    aspect=(1.1, 1.7),
    bend=(0.0, 0.0),
    roughness=(0.02, 0.06),
    gap=(0.9, 1.2),
    clustering=(0.0, 0.6),
    brightness_spread=(0.1, 0.4),
    texture=(0.2, 0.5),
    nucleoli=(0.3, 0.8),
    chromocentres=(0.0, 0.3),
    dome=(0.0, 0.6),
    mitotic=(0.0, 0.0),
    debris=(0.0, 0.0),
    defocus=(1.0, 1.0),
    psf=(0.5, 1.2),
    halo=(0.0, 0.15),
    ghosts=(0.0, 0.0),
    streaks=(0.0, 0.0),
    haze=(0.0, 0.1),
    illumination=(0.0, 0.05),
    annotation_offset=(0.0, 0.0),
    smallest=25,
    visible=0.0,
    contrast_to_noise=(3.0, 12.0),
    enlarged=(0.5, 0.5),
    bits=(16.0, 16.0),
    exposure=(0.01, 0.1),
)

VOLUME = replace(
    SIM_PLUS,
    shape=(16, 48, 48),
    objects=8,
    count=(2.0, 8.0),
    radius=(7.0, 12.0),
    step=(2.0, 2.0),
    contrast_to_noise=(3.0, 12.0),
    psf=(0.6, 1.2),
)


def simulate(key: PRNGKeyArray, nuclei: Nuclei) -> Phantom:
    """Draw one image of nuclei, and its label map.

    All that `nuclei` gives a range for is drawn anew for each image. An image may be empty.
    Neither the labels nor the light of one nucleus depend on what has no label.

    Args:
        key: the same image for the same key, on one kind of device.
        nuclei: what to draw from; static, so that `jax.jit` compiles once for each.

    Raises:
        InputError: if a range is reversed, or the shape has not two or three axes.

    Example:
        >>> from functools import partial
        >>> import jax
        >>> many = jax.jit(jax.vmap(partial(simulate, nuclei=WIDE)))
        >>> jax.eval_shape(many, jax.random.split(jax.random.key(0), 16)).labels.shape
        (16, 96, 96)
    """
    scenery, bodies, outlines, optics, camera = jax.random.split(key, 5)
    scene = draw_scene(scenery, nuclei)
    cells = arrange(bodies, scene, nuclei)
    labels, light = paint(outlines, scene, nuclei, cells)
    image = expose(camera, scene, illuminate(optics, scene, light))
    return Phantom(image, annotate(scene, nuclei, cells, labels))
