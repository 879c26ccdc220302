from dataclasses import replace

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from segjax import InputError
from segjax.quality.program import Weights, program_of
from segjax.quality.ribcage import (
    PAPER_NAIVE,
    PAPER_RIBCAGE,
    PAPER_SIAMESE,
    Block,
    Network,
    build,
    count_parameters,
)


SMALL = Network(channels=(4, 6), dense=(8,), outputs=("SEG", "Dice"))


def filled(block, seed):
    """A block with random numbers everywhere, scales of both signs among them."""
    for i, part in enumerate((block.scale, block.shift, block.bias, block.mean)):
        part[...] = jax.random.normal(jax.random.key(seed + i), part.shape)
    block.variance[...] = jax.random.uniform(jax.random.key(seed), block.variance.shape) + 0.5
    return block


def as_published(block, network):
    """The block from flax's own layers, in the order of the paper."""
    inputs, outputs = block.kernel.shape[-2:]
    n = network.dims
    conv = nnx.Conv(inputs, outputs, (3,) * n, padding=network.padding, rngs=nnx.Rngs(0))
    conv.kernel[...], conv.bias[...] = block.kernel[...], block.bias[...]
    norm = nnx.BatchNorm(outputs, momentum=0.9, epsilon=1e-5, rngs=nnx.Rngs(0))
    norm.scale[...], norm.bias[...] = block.scale[...], block.shift[...]
    norm.mean[...], norm.var[...] = block.mean[...], block.variance[...]

    def apply(x, use_running_average):
        y = nnx.leaky_relu(norm(conv(x), use_running_average=use_running_average), 0.01)
        return nnx.max_pool(y, (2,) * n, (2,) * n)

    return apply, norm


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("shape", [(2, 10, 14, 3), (3, 12, 8, 1), (2, 6, 8, 10, 2)])
@pytest.mark.parametrize("running", [False, True])
def test_block_equals_the_published_order(shape, padding, running):
    network = Network(dims=len(shape) - 2, padding=padding)
    block = filled(Block(shape[-1], 5, network, nnx.Rngs(1)), 2)
    apply, norm = as_published(block, network)
    x = jax.random.normal(jax.random.key(3), shape)
    block.use_running_average = running
    expected = apply(x, running)
    np.testing.assert_allclose(block(x), expected, atol=2e-5)
    np.testing.assert_allclose(block.mean[...], norm.mean[...], atol=1e-5)
    np.testing.assert_allclose(block.variance[...], norm.var[...], atol=1e-5)


def test_gradients_equal_those_of_the_published_order():
    network = Network(padding="VALID")
    block = filled(Block(3, 5, network, nnx.Rngs(1)), 2)
    apply, _ = as_published(block, network)
    x = jax.random.normal(jax.random.key(3), (4, 12, 12, 3))
    weights = jax.random.normal(jax.random.key(4), (4, 5, 5, 5))
    block.eval()
    running = jax.grad(lambda x: (block(x) * weights).sum())(x)
    np.testing.assert_allclose(
        running, jax.grad(lambda x: (apply(x, True) * weights).sum())(x), atol=1e-4
    )

    def own(x, kernel, scale):
        fresh = filled(Block(3, 5, network, nnx.Rngs(1)), 2)
        fresh.kernel[...], fresh.scale[...] = kernel, scale
        return (fresh(x) * weights).sum()

    def published(x, kernel, scale):
        y = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        y = (y - y.mean((0, 1, 2))) / jnp.sqrt(y.var((0, 1, 2)) + 1e-5) * scale + block.shift[...]
        return (nnx.max_pool(nnx.leaky_relu(y, 0.01), (2, 2), (2, 2)) * weights).sum()

    given = x, block.kernel[...], block.scale[...]
    for a, b in zip(
        jax.grad(own, (0, 1, 2))(*given), jax.grad(published, (0, 1, 2))(*given), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (PAPER_RIBCAGE, 2_055_905),
        (PAPER_SIAMESE, 2_088_695),
        (PAPER_NAIVE, 2_078_145),
        (Network(dims=3), 5_928_929),
    ],
)
def test_parameters_are_as_many_as_the_paper_says(network, count):
    assert count_parameters(nnx.eval_shape(lambda: build(network))) == count


@pytest.mark.parametrize("kind", ["ribcage", "siamese", "naive"])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_kind_predicts(kind, dims):
    network = Network(
        kind, dims, (4, 6), (8,), ("SEG", "Dice"), ("objects", "matched"), padding="SAME"
    )
    program = program_of(network)
    weights = program.random(1)
    image = jax.random.normal(jax.random.key(0), (3,) + (16,) * dims)
    coded = (image > 0).astype(jnp.float32)
    predict = jax.jit(program.predict)
    predicted = predict(weights, image, coded)
    assert predicted.scores.shape == (3, 2)
    assert predicted.maps.shape == (3, *network.grid((16,) * dims), 2)
    streams = {"ribcage": 3, "siamese": 2, "naive": 1}[kind]
    assert predicted.features.shape == (3, 6 * streams)
    other = predict(weights, image, jnp.zeros_like(image))
    assert np.abs(predicted.scores - other.scores).max() > 1e-4  # it sees the segmentation
    other = predict(weights, -image, coded)
    assert np.abs(predicted.scores - other.scores).max() > 1e-4  # and the image


def test_prediction_does_not_depend_on_the_batch_but_learning_does():
    program = program_of(SMALL)
    weights = program.random(0)
    image, coded = jax.random.normal(jax.random.key(0), (2, 4, 20, 20))
    predict = jax.jit(program.predict)
    together = predict(weights, image, coded).scores
    alone = [predict(weights, image[i : i + 1], coded[i : i + 1]).scores for i in range(4)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    _, statistics = jax.jit(program.learn)(weights, image, coded)
    changed = [name for name, x in statistics.items() if np.any(x != weights.statistics[name])]
    assert changed == list(weights.statistics)


def test_lowers_for_accelerators():
    program = program_of(SMALL)
    x = jax.ShapeDtypeStruct((2, 20, 20), jnp.float32)
    weights = jax.eval_shape(lambda: program.random(0))
    exported = jax.export.export(jax.jit(program.predict), platforms=("cuda", "tpu"))(weights, x, x)
    assert exported.platforms == ("cuda", "tpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "unet"}, "kind"),
        ({"dims": 4}, "dims"),
        ({"padding": "FULL"}, "padding"),
        ({"activation": "tanh"}, "activation"),
        ({"maps": ("heat",)}, "map"),
        ({"outputs": ()}, "at least one"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Network(**options)


def test_patches_too_small_for_the_blocks_are_refused():
    assert Network().grid((96, 96)) == (4, 4)
    assert Network(padding="SAME").grid((96, 96)) == (6, 6)
    with pytest.raises(InputError, match="too small"):
        Network().grid((40, 96))


def test_weights_are_adopted_by_a_network_of_other_outputs():
    many = replace(SMALL, outputs=("SEG", "Dice", "PQ"))
    few = replace(SMALL, outputs=("Dice", "ASD"))
    weights = program_of(many).random(1)
    adopted = program_of(few).adopt(weights, many)
    fresh = program_of(few).random()
    for name, x in adopted.parameters.items():
        if not name.startswith("output/"):
            np.testing.assert_array_equal(x, weights.parameters[name])
    for name in ("output/kernel", "output/bias"):
        own, new = adopted.parameters[name], fresh.parameters[name]
        np.testing.assert_array_equal(own[..., 0], weights.parameters[name][..., 1])
        np.testing.assert_array_equal(own[..., 1], new[..., 1])
    wider = replace(few, channels=(5, 6))
    with pytest.raises(InputError, match="of another network"):
        program_of(wider).adopt(weights, many)


def test_volumes_whose_planes_are_alike_are_seen_as_their_planes_are():
    flat, deep = (replace(SMALL, dims=dims, padding="SAME") for dims in (2, 3))
    weights = program_of(flat).random(2)
    image, coded = (jax.random.normal(jax.random.key(i), (2, 16, 16)) for i in range(2))
    stacked = [jnp.repeat(x[:, None], 8, 1) for x in (image, coded)]
    found = program_of(deep).predict(program_of(deep).adopt(weights, flat), *stacked)
    wanted = program_of(flat).predict(weights, image, coded)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused():
    program = program_of(SMALL)
    weights = program.random(0)
    program.check(weights)
    wrong = Weights({**weights.parameters, "output/bias": jnp.zeros(7)}, weights.statistics)
    with pytest.raises(InputError, match="output/bias"):
        program.check(wrong)
