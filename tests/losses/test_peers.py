"""As other libraries have it, where definitions coincide; see `make_peers`."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from segjax import losses
from segjax.losses._inputs import pixels
from segjax.ops import transform
from tests.losses.cases import quick
from tests.losses.make_peers import FILE


FROZEN = json.loads(FILE.read_text())


def named(expected):
    options = "".join(f", {k}" for k in expected["options"])
    return f"{expected['peer']} {expected['loss']}{options}, {expected['input']}"


@pytest.mark.parametrize("expected", FROZEN["expected"], ids=named)
def test_losses_are_those_of_peers(expected):
    given = {k: jnp.asarray(v) for k, v in FROZEN["inputs"][expected["input"]].items()}
    loss, options = getattr(losses, expected["loss"]), expected["options"]
    of_cases = isinstance(expected["value"], list)
    lovasz = "lovasz" in expected["loss"]

    @quick
    def ask(logits, labels):
        values = loss(logits, labels, reduction="case" if of_cases or lovasz else "mean", **options)
        return values + without_constant(logits, labels) if loss is losses.boundary else values

    value = ask(**given)
    value = value if of_cases else value.mean()
    np.testing.assert_allclose(value, expected["value"], rtol=1e-5)


def without_constant(logits, labels):
    """What MONAI's boundary loss has more: the mean of r d, and inside a step less of |d|."""
    p = pixels(logits, labels)

    def one(mask, q):
        far = transform.signed_distance(mask)
        return (mask * (far + q)).sum() / mask.size

    masks, q = (jnp.stack(x) for x in (p.mask, p.probability))
    return jax.vmap(jax.vmap(one))(masks, q).mean(0)
