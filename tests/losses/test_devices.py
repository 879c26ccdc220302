"""Losses of a batch that is spread over several devices."""

import textwrap

from tests.devices import run_on


EIGHT_DEVICES = """
    import jax, jax.numpy as jnp, numpy as np
    from jax.sharding import AxisType
    from segjax import losses

    assert jax.device_count() == 8
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 8, 9, 3)).astype(np.float32)
    y = rng.integers(0, 3, (16, 8, 9)).astype(np.int32)

    def total(x, y):
        parts = (losses.dice_ce, losses.lovasz_softmax, losses.boundary, losses.surface_dice)
        return sum(f(x, y, reduction="mean") for f in parts)

    step = jax.value_and_grad(total)
    value, slope = jax.jit(step)(x, y)
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((8,), ("case",), axis_types=(kind,))
        sharding = jax.NamedSharding(mesh, jax.P("case"))
        with jax.set_mesh(mesh):
            got = jax.jit(step)(*(jax.device_put(a, sharding) for a in (x, y)))
        np.testing.assert_allclose(got[0], value, rtol=1e-5)
        np.testing.assert_allclose(got[1], slope, rtol=1e-4, atol=1e-7)
    with jax.set_mesh(mesh):  # the explicit one: what cannot be spread is refused while tracing
        for loss in losses.LOSSES:
            told = {"objects": 2} if loss.of == "object" else {}
            if loss.name == "pq":
                told["threshold"] = 0.5  # optax's assignment is not for axes that are spread
            channels = 1 if loss.name == "lovasz_hinge" else 3
            f = lambda x, y: loss.function(x, y, reduction="mean", **told)
            put = lambda a: jax.device_put(a, sharding)
            jax.jit(jax.grad(f)).trace(put(x[..., :channels]), put(y))
    mesh = jax.make_mesh((8,), ("case",), axis_types=(AxisType.Auto,))
    mean = lambda x, y: jax.tree.map(lambda a: jax.lax.pmean(a, "case"), total(x, y))
    mapped = jax.shard_map(
        mean, mesh=mesh, in_specs=jax.P("case"), out_specs=jax.P(), check_vma=False
    )
    np.testing.assert_allclose(jax.jit(mapped)(x, y), value, rtol=1e-5)
    print("agreed")
"""


def test_losses_of_a_batch_over_eight_devices_are_those_of_one():
    done = run_on(8, textwrap.dedent(EIGHT_DEVICES))
    assert done.stdout.endswith("agreed\n"), done.stderr
