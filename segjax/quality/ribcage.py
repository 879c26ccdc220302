"""The networks that read an image and a segmentation of it, and predict the segmentation's score.

RibCage has three streams: one rib for the image, one for the segmentation, and a spine between
them that sees both at every scale. Siamese (two ribs that first meet in the head) and naive (the
two stacked as channels) are the baselines. All are built from one block: convolution 3 x 3, batch
normalisation, activation, maximum over 2 x 2.

The block is computed in another order than it is written, with the same result: an activation and
a normalisation with a positive scale are monotone, so the maximum may come first and leave a
quarter of the numbers to normalise (a negative scale is turned positive by turning the kernel's
sign). On a CPU the convolution and the maximum are one matrix product: each 4 x 4 window, two
apart, times the kernel at the four places of a 2 x 2 window in it. It takes 16 / 9 of the
multiplications at some five times their speed, and unlike a convolution keeps that speed inside a
loop. In 3-D three neighbouring planes are stacked as channels of a 2-D convolution.

References:
    Aharoni, A., Arbelle, A., Sidorov, M., Elul, O. & Riklin Raviv, T. (2025). QANet: segmentation
    quality assessment without ground truth. Equations 1-3, figure 3.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from segjax._errors import InputError
from segjax.simulation.maps import MAPS


KINDS = ("ribcage", "siamese", "naive")
_ACTIVATIONS = {"leaky_relu": lambda x: jnp.where(x > 0, x, 0.01 * x), "relu": jax.nn.relu}


@dataclass(frozen=True)
class Network:
    """Everything that fixes a network's shape.

    Attributes:
        kind: "ribcage", "siamese" or "naive".
        dims: 2 for images, 3 for volumes.
        channels: channels of a stream after each block.
        dense: widths of the fully connected layers before the output.
        outputs: the scores predicted, names of `segjax.simulation.TARGETS`.
        maps: auxiliary maps predicted on the grid of the last block (see
            `segjax.simulation.maps`). With both "matched" and "objects" their ratio, which is
            SEG, is handed to the fully connected layers too.
        padding: "VALID" (the authors' 2-D code) loses a pixel at each border in every block;
            "SAME" (their 3-D code) does not.
        activation: "leaky_relu" (slope 0.01, the authors' code) or "relu" (the paper).
    """

    kind: str = "ribcage"
    dims: int = 2
    channels: tuple[int, ...] = (32, 64, 128, 256)
    dense: tuple[int, ...] = (128, 128)
    outputs: tuple[str, ...] = ("SEG",)
    maps: tuple[str, ...] = ()
    padding: str = "VALID"
    activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        for name, given, known in (
            ("kind", self.kind, KINDS),
            ("dims", self.dims, (2, 3)),
            ("padding", self.padding, ("VALID", "SAME")),
            ("activation", self.activation, tuple(_ACTIVATIONS)),
            *(("map", one, MAPS) for one in self.maps),
        ):
            if given not in known:
                raise InputError(f"unknown {name} of a network: {given!r}; use one of {known}")
        if not self.channels or not self.outputs:
            raise InputError("a network needs at least one block of channels and one output")

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the maps for images of this shape; it raises if nothing is left."""
        for _ in self.channels:
            shape = tuple((n - 2 * (self.padding == "VALID")) // 2 for n in shape)
        if min(shape) < 1:
            raise InputError(
                f"images of {len(self.channels)} blocks' network are too small: nothing is left "
                f"of them after the last; use larger patches or fewer blocks"
            )
        return shape


PAPER_RIBCAGE = Network()
PAPER_SIAMESE = Network(kind="siamese", channels=(51, 102, 204, 409), dense=(128, 64))
PAPER_NAIVE = Network(kind="naive", channels=(64, 128, 256, 512), dense=(512, 512))


class Prediction(NamedTuple):
    """What a network says of a batch.

    Attributes:
        scores: one per output, not bounded.
        maps: one channel per map, on the grid of the last block.
        features: the pooled streams, by which foreign images are told.
    """

    scores: Float[Array, "batch output"]
    maps: Float[Array, "batch *grid map"]
    features: Float[Array, "batch feature"]


class Block(nnx.Module):
    """Convolution 3 x 3 (x 3), batch normalisation, activation, maximum over 2 x 2 (x 2)."""

    def __init__(self, inputs: int, outputs: int, network: Network, rngs: nnx.Rngs):
        shape = (3,) * network.dims + (inputs, outputs)
        self.kernel = nnx.Param(jax.nn.initializers.he_normal()(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.scale = nnx.Param(jnp.ones(outputs))
        self.shift = nnx.Param(jnp.zeros(outputs))
        self.mean = nnx.BatchStat(jnp.zeros(outputs))
        self.variance = nnx.BatchStat(jnp.ones(outputs))
        self.padding = network.padding
        self.activation = network.activation
        self.use_running_average = False

    def __call__(self, x: Float[Array, "batch *space inputs"]) -> Float[Array, "batch *half out"]:
        sign = jnp.where(jax.lax.stop_gradient(self.scale[...]) < 0, -1.0, 1.0)
        if self.padding == "SAME":
            x = jnp.pad(x, ((0, 0), *((1, 1),) * (x.ndim - 2), (0, 0)))
        best, mean, square = _convolve(x, self.kernel[...] * sign)
        variance = jnp.maximum(square - mean * mean, 0)
        # The bias drops out of what is normalised by its own mean; only the running mean sees it.
        if self.use_running_average:
            mean = sign * (self.mean[...] - self.bias[...])
            variance = self.variance[...]
        else:
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * (sign * mean + self.bias[...])
            self.variance[...] = 0.9 * self.variance[...] + 0.1 * variance
        scale = sign * self.scale[...] * jax.lax.rsqrt(variance + 1e-5)
        return _ACTIVATIONS[self.activation]((best - mean) * scale + self.shift[...])


class Model(nnx.Module):
    """A network of any kind; build it by `build`."""

    def __init__(self, network: Network, rngs: nnx.Rngs):
        self.network = network
        streams = {"ribcage": 3, "siamese": 2, "naive": 1}[network.kind]
        self.blocks = nnx.List()
        before = 1
        for i, channels in enumerate(network.channels):
            inputs = [before] * streams
            if network.kind == "ribcage":
                inputs[1] = 2 if i == 0 else 3 * before
            elif network.kind == "naive":
                inputs[0] = 2 if i == 0 else before
            self.blocks.append(nnx.List([Block(n, channels, network, rngs) for n in inputs]))
            before = channels
        width = streams * before
        if network.maps:
            self.map_head = nnx.Linear(width, len(network.maps), rngs=rngs)
        self.dense = nnx.List()
        width += len(network.maps) + _has_ratio(network)
        for units in network.dense:
            self.dense.append(nnx.Linear(width, units, rngs=rngs))
            width = units
        self.output = nnx.Linear(width, len(network.outputs), rngs=rngs)

    def __call__(
        self,
        image: Float[Array, "batch *space 1"],
        coded: Float[Array, "batch *space 1"],
    ) -> Prediction:
        """Predict the scores of coded segmentations (see `segjax.simulation.coding`)."""
        streams = self._streams(image, coded)
        last = jnp.concatenate(streams, -1)
        space = tuple(range(1, last.ndim - 1))
        features = pooled = last.mean(space)
        maps = last[..., :0]
        if self.network.maps:
            maps = self.map_head(last)
            pooled = jnp.concatenate([pooled, *self._summaries(maps.mean(space))], -1)
        for layer in self.dense:
            pooled = jax.nn.relu(layer(pooled))
        return Prediction(self.output(pooled), maps, features)

    def _streams(self, image: Array, coded: Array) -> list[Array]:
        """The last maps of all streams: of the image, of the spine, of the segmentation."""
        streams = [image, coded]
        if self.network.kind == "naive":
            streams = [jnp.concatenate(streams, -1)]
        for blocks in self.blocks:
            if self.network.kind == "ribcage":
                image, *spine, coded = streams
                streams = [image, jnp.concatenate([*spine, image, coded], -1), coded]
            streams = [block(x) for block, x in zip(blocks, streams, strict=True)]
        return streams

    def _summaries(self, means: Array) -> list[Array]:
        if not _has_ratio(self.network):
            return [means]
        matched, objects = (means[:, self.network.maps.index(m)] for m in ("matched", "objects"))
        ratio = jnp.clip(matched / jnp.maximum(objects, 0.02), -1.0, 2.0)
        return [means, ratio[:, None]]


def _has_ratio(network: Network) -> bool:
    return {"matched", "objects"} <= set(network.maps)


def build(network: Network, seed: int = 0) -> Model:
    """A network with random weights, in training mode (`.eval()` for the running averages)."""
    return Model(network, nnx.Rngs(seed))


def count_parameters(model: Model) -> int:
    """How many numbers are learned."""
    return sum(math.prod(p.shape) for p in jax.tree.leaves(nnx.state(model, nnx.Param)))


def _convolve(x: Array, kernel: Array) -> tuple[Array, Array, Array]:
    """The maxima over windows of two of a convolution, its mean and its mean square by channel."""
    if jax.default_backend() != "cpu":
        y = jax.lax.conv_general_dilated(
            x, kernel, (1,) * (x.ndim - 2), "VALID", dimension_numbers=_LAYOUT[x.ndim]
        )
        return _pool(y, range(1, x.ndim - 1)), *_moments(y)
    if x.ndim == 4:
        return _convolve_planes(x, kernel)
    depth = x.shape[1] - 2
    x = jnp.concatenate([x[:, i : i + depth] for i in range(3)], -1)
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(3, 3, -1, kernel.shape[-1])
    best, mean, square = _convolve_planes(x.reshape(-1, *x.shape[2:]), kernel)
    best = best.reshape(-1, depth, *best.shape[1:])
    return _pool(best, (1,)), mean, square


_LAYOUT = {4: ("NHWC", "HWIO", "NHWC"), 5: ("NDHWC", "DHWIO", "NDHWC")}


def _convolve_planes(x: Array, kernel: Array) -> tuple[Array, Array, Array]:
    inputs, outputs = kernel.shape[2:]
    cells = _cells(x)
    batch, height, width = cells.shape[0], cells.shape[1] - 1, cells.shape[2] - 1
    corners = [cells[:, i : i + height, j : j + width] for i in (0, 1) for j in (0, 1)]
    windows = jnp.concatenate(corners, -1).reshape(-1, 16 * inputs)
    y = windows @ _kernel_at_four_places(kernel)
    mean, square = _moments(y)
    mean, square = (m.reshape(4, outputs).mean(0) for m in (mean, square))
    best = _largest_of_four(y.reshape(-1, 4, outputs))
    # A last odd row or column is convolved by the authors but never reaches the maximum; leaving
    # it out of the moments too is the one place where this differs.
    return best.reshape(batch, height, width, outputs), mean, square


def _moments(y: Array) -> tuple[Array, Array]:
    axes = tuple(range(y.ndim - 1))
    return y.mean(axes), (y * y).mean(axes)


def _cells(x: Array) -> Array:
    """2 x 2 pixels side by side as channels."""
    batch, height, width, channels = x.shape
    rows, columns = height // 2, width // 2
    x = x[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, 4 * channels)


def _kernel_at_four_places(kernel: Array) -> Array:
    """The kernel in a 4 x 4 window at the four places of 2 x 2, as a matrix."""
    inputs, outputs = kernel.shape[2:]
    padded = jnp.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    cell, pixel, place = np.ogrid[:2, :2, :2]
    tap = 2 * cell + pixel - place + 1
    taps = padded[tap[:, None, :, None, :, None], tap[None, :, None, :, None, :]]
    return taps.transpose(0, 1, 2, 3, 6, 4, 5, 7).reshape(16 * inputs, 4 * outputs)


@jax.custom_vjp
def _largest_of_four(y: Array) -> Array:
    return jnp.maximum(jnp.maximum(y[:, 0], y[:, 1]), jnp.maximum(y[:, 2], y[:, 3]))


def _largest_forward(y: Array) -> tuple[Array, tuple[Array, Array]]:
    best = _largest_of_four(y)
    return best, (y, best)


def _largest_backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    y, best = kept
    # Equal values share one gradient fourfold at worst; that of the first would cost a scan.
    return (jnp.where(y == best[:, None], gradient[:, None], 0.0),)


_largest_of_four.defvjp(_largest_forward, _largest_backward)


def _pool(y: Array, axes: Any) -> Array:
    """The larger of each two neighbours along each axis.

    Strided maxima are 14 times faster to differentiate on a CPU than a window's.
    """
    for axis in axes:
        even = y.shape[axis] // 2 * 2
        first = jax.lax.slice_in_dim(y, 0, even, 2, axis)
        second = jax.lax.slice_in_dim(y, 1, even, 2, axis)
        y = jnp.maximum(first, second)
    return y
