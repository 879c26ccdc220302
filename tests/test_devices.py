"""Programs that must lower for accelerators, and run sharded over several devices."""

import sys
import textwrap

import jax
import jax.numpy as jnp
import pytest

import segjax
from segjax.statistics import boundary_bands, confusion, contingency, label_confusion
from tests.devices import run_on


CASES = jax.ShapeDtypeStruct((4, 128, 192), jnp.bool_)
MAPS = jax.ShapeDtypeStruct((4, 128, 192), jnp.int32)

BATCHED = {
    "confusion": (jax.vmap(lambda r, p: confusion(reference=r, prediction=p)), CASES),
    "label_confusion": (
        jax.vmap(lambda r, p: label_confusion(reference=r, prediction=p, labels=(1, 2, 3))),
        MAPS,
    ),
    "contingency": (
        jax.vmap(
            lambda r, p: contingency(reference=r, prediction=p, num_reference=50, num_prediction=60)
        ),
        MAPS,
    ),
    "boundary_bands": (
        jax.vmap(lambda r, p: boundary_bands(reference=r, prediction=p, valid=r | p)),
        CASES,
    ),
    "surface_bands": (
        jax.vmap(lambda r, p: boundary_bands(reference=r, prediction=p, euclidean=True)),
        CASES,
    ),
    "dice": (jax.vmap(lambda r, p: segjax.dice(reference=r, prediction=p)), CASES),
    "vi": (jax.vmap(lambda r, p: segjax.vi(reference=r, prediction=p, labels=range(1, 9))), MAPS),
}


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", BATCHED)
def test_batches_lower_for_accelerators(name, platform):
    function, shape = BATCHED[name]
    leaves = lambda r, p: jax.tree.leaves(function(r, p))  # export knows no classes of ours
    exported = jax.export.export(jax.jit(leaves), platforms=[platform])(shape, shape)
    assert exported.platforms == (platform,)
    assert "custom_call" not in exported.mlir_module() or name == "vi"


def test_packed_counting_lowers_for_accelerators():
    module = sys.modules["segjax.statistics.confusion"]
    words = jax.ShapeDtypeStruct((3, 1024), jnp.uint32)
    codes = jax.ShapeDtypeStruct((7,), jnp.int32)
    for platform in ("cuda", "tpu"):
        jax.export.export(module._count_codes, platforms=[platform])(words, words, codes)


EIGHT_DEVICES = """
    import itertools
    import jax, jax.numpy as jnp, numpy as np, segjax
    from jax.sharding import AxisType
    from segjax.statistics import confusion, contingency

    assert jax.device_count() == 8
    rng = np.random.default_rng(0)
    masks = [rng.random((16, 40, 33)) < 0.4 for _ in range(2)]
    maps = [rng.integers(0, 4, (16, 40, 33)) for _ in range(2)]
    score = lambda r, p: segjax.dice(reference=r, prediction=p)
    table = lambda r, p: contingency(
        reference=r, prediction=p, num_reference=4, num_prediction=4
    ).table
    for function, arrays in ((score, masks), (table, maps)):
        pairs = zip(*map(jnp.asarray, arrays))
        expected = np.stack([np.asarray(function(*pair)) for pair in pairs])
        kinds = itertools.product((1, 2, 4, 8), (AxisType.Auto, AxisType.Explicit))
        for number, kind in kinds:
            devices = jax.devices()[:number]
            mesh = jax.make_mesh((number,), ("case",), axis_types=(kind,), devices=devices)
            sharding = jax.NamedSharding(mesh, jax.P("case"))
            sharded = [jax.device_put(x, sharding) for x in arrays]
            with jax.set_mesh(mesh):
                got = jax.jit(jax.vmap(function))(*sharded)
            assert len(got.sharding.device_set) == number, got.sharding
            np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-6)
            if function is table:  # counts
                np.testing.assert_array_equal(np.asarray(got), expected)
        mesh = jax.make_mesh((8,), ("case",), axis_types=(AxisType.Auto,))
        mapped = jax.shard_map(
            jax.vmap(function), mesh=mesh, in_specs=jax.P("case"), out_specs=jax.P("case"),
            check_vma=False,
        )
        np.testing.assert_allclose(np.asarray(jax.jit(mapped)(*arrays)), expected, rtol=1e-6)
    metrics = ("dice", "hd95", "assd", "vi", "seg")
    score = lambda r, p: segjax.evaluate_batch(references=r, predictions=p, metrics=metrics)
    expected = score(*maps).to_csv()
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((8,), ("case",), axis_types=(kind,))
        sharding = jax.NamedSharding(mesh, jax.P("case"))
        with jax.set_mesh(mesh):
            assert score(*(jax.device_put(x, sharding) for x in maps)).to_csv() == expected
    print("agreed")
"""


def test_batches_sharded_over_eight_devices_score_alike():
    done = run_on(8, textwrap.dedent(EIGHT_DEVICES))
    assert done.stdout == "agreed\n", done.stderr
