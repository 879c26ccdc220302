"""Small inputs that every loss can be given: right, wrong and in between."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from segjax.losses import LOSSES, lovasz_hinge
from segjax.losses._inputs import REDUCTIONS


SPACE = (8, 9)
CLASSES = 3

# Half the time of compiling, which is most of these tests.
quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda x: x.name)


def channels(loss):
    return 1 if loss.function is lovasz_hinge else CLASSES


def function(loss, **options):
    """The loss with what it must be told."""
    told = {"objects": CLASSES - 1} if loss.of == "object" else {}
    return partial(loss.function, **told, **options)


def reduced(loss, x, y, **options):
    """One value per case; single classes have it as well."""
    return function(loss, reduction="case", **options)(x, y)


def discs():
    """Label maps of two cases with two discs each, of classes (or objects) 1 and 2."""
    row, column = np.indices(SPACE)
    disc = lambda r, c, radius: (row - r) ** 2 + (column - c) ** 2 <= radius**2
    first = np.where(disc(2, 2, 2), 1, np.where(disc(5, 6, 2), 2, 0))
    second = np.where(disc(4, 2, 1), 1, np.where(disc(3, 6, 2), 2, 0))
    return np.stack([first, second]).astype(np.int32)


def labels_for(loss, labels):
    return labels if channels(loss) > 1 else np.minimum(labels, 1)


def one_hot(loss, labels):
    classes = np.arange(CLASSES) if channels(loss) > 1 else [1]
    return (np.asarray(labels)[..., None] == classes).astype(np.float32)


def logits_of(loss, labels, size):
    """Logits that are as sure of the labels as `size` says."""
    return size * (2 * one_hot(loss, labels) - 1)


@cache
def compiled(name, dtype="float32"):
    """Values of both cases of a batch and the gradient of their sum, of pixels that count."""
    loss = next(x for x in LOSSES if x.name == name)

    def total(x, y, where):
        values = reduced(loss, x, y, where=where)
        return values.sum(), values

    @quick
    def run(x, y, where):
        (_, values), slope = jax.value_and_grad(total, has_aux=True)(x, y, where)
        return values, slope

    everywhere = np.ones((2, *SPACE), bool)
    return lambda x, y, where=everywhere: run(jnp.asarray(x, dtype), jnp.asarray(y), where)


@cache
def forms(name):
    """One loss asked in several ways, in one program: what each says."""
    loss = next(x for x in LOSSES if x.name == name)

    @quick
    def run(x, y):
        half = x.astype(jnp.bfloat16)
        found = {how: function(loss, reduction=how)(x, y) for how in REDUCTIONS}
        found["mapped"] = jax.vmap(lambda x, y: reduced(loss, x, y, dims=2))(x, y)
        found["half"] = reduced(loss, half, y)
        found["rounded"] = reduced(loss, half.astype(jnp.float32), y)
        return found

    return lambda x, y: run(jnp.asarray(x, jnp.float32), jnp.asarray(y))
