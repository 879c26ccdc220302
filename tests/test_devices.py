"""Programs that must lower for accelerators, and run sharded over several devices."""

import sys
import textwrap

import jax
import jax.numpy as jnp
import pytest

import segjax
from segjax import _devices
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
    words = jax.ShapeDtypeStruct((2, 3, 1024), jnp.uint32)
    codes = jax.ShapeDtypeStruct((7,), jnp.int32)
    spread = module._spread(module._count_codes, (True, True, False), _devices.own_devices())
    for platform in ("cuda", "tpu"):
        jax.export.export(spread.program, platforms=[platform])(words, words, codes)


EIGHT_DEVICES = """
    import itertools
    import jax, jax.numpy as jnp, numpy as np, segjax
    from jax.sharding import AxisType
    from segjax import _devices
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
    with jax.default_device(jax.devices()[3]):
        assert _devices.own_devices() == (jax.devices()[3],)
    print("agreed")
"""


def test_batches_sharded_over_eight_devices_score_alike():
    done = run_on(8, textwrap.dedent(EIGHT_DEVICES))
    assert done.stdout == "agreed\n", done.stderr


# What the caller's own arrays are spread over is another matter, and must not get in the way.
SHARES = """
    import sys
    import jax, numpy as np
    from jax.sharding import AxisType
    from tests.devices import spread_over

    KINDS = {1: None, 2: AxisType.Auto, 4: AxisType.Explicit, 8: AxisType.Explicit}

    def by_number(function, spread):
        for number, kind in KINDS.items():
            if kind is not None:
                jax.set_mesh(jax.make_mesh((8,), ("case",), (kind,)))
            with spread_over(number) as called:
                found = function()
            assert called == spread, called
            if number == 1:
                exact, close = found
            assert found[0] == exact
            for a, b in zip(found[1], close, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
        print("agreed")
"""

EVALUATION = """
    import pathlib
    import segjax
    from scipy import ndimage
    from segjax.statistics import count_masks

    for module in ("segjax.statistics.confusion", "segjax.ops.surfaces"):
        sys.modules[module].counts_on_host = lambda: False  # as on an accelerator
    sys.modules["segjax.statistics.confusion"]._SLAB = 2**10  # so that volumes have parts
    rng = np.random.default_rng(0)
    field = lambda: ndimage.gaussian_filter(rng.normal(size=(11, 6, 14, 33)), (0, 2, 2, 2))
    maps = [np.digitize(field(), (0.02, 0.05, 0.08)).astype(np.uint8) for _ in range(2)]
    masks = {side: x > 0 for side, x in zip(("reference", "prediction"), maps)}
    folders = [pathlib.Path(sys.argv[1]) / side for side in masks]
    for folder, cases in zip(folders, maps):
        folder.mkdir()
        for i in range(2):
            np.save(folder / f"{i}.npy", cases[i])
    metrics = ("dice", "sensitivity", "hd95", "assd", "nsd(tolerance=1.5)")
    batch = dict(references=maps[0], predictions=maps[1], metrics=metrics)

    def score():
        counts = count_masks(**masks)
        np.testing.assert_array_equal(
            counts.tp, (masks["reference"] & masks["prediction"]).sum((1, 2, 3))
        )
        exact = (
            segjax.evaluate_batch(**batch, spacing=1.5).to_csv(),
            segjax.evaluate_folder(*folders, metrics=metrics, spacing=1.5).to_csv(),
        )
        table = segjax.evaluate_batch(**batch, spacing=(3.0, 1.0, 0.7), surface="surfel")
        return exact, list(table.columns.values())

    by_number(score, {"_count_masks", "_count_codes", "search", "resampled"})
"""

ASSESSMENT = """
    from segjax.quality import assess
    from tests.quality import toy

    rng = np.random.default_rng(0)
    scene = toy.scene(rng)

    def predict():
        found = assess(*scene, weights=toy.toy(), averaging=1, per_object=True, error_map=True)
        objects, tiles, maps = found.per_object, found.tiles, found.error_map.values()
        return None, [found.score, objects.drops, tiles.scores, tiles.counts, *maps]

    by_number(predict, {"predict"})
"""

LEADERBOARD = """
    from segjax.leaderboard import resampling, separability

    resampling._DRAWS = separability._AT_ONCE = 2**12  # so that there are many chunks
    key, x = jax.random.key(3), np.arange(60.0).reshape(2, 30) ** 0.5
    plan = resampling.make_plan(30, clusters=np.arange(30) // 2)
    board = [np.random.default_rng(0).random((3, 12))]

    def judge():
        means, errors = resampling.replicates(key, plan, x, count=1500, errors=True)
        medians = resampling.quantile_replicates(key, plan, x, 0.5, count=1500)
        arranged = [
            separability.max_t(key, board, permutations=500).p,
            separability.sign_flip(key, board, permutations=500),
        ]
        return [f.tolist() for f in (means, medians, *arranged)], [errors]

    by_number(judge, {"resampled", "arranged"})
"""


@pytest.mark.parametrize(
    "work",
    [EVALUATION, ASSESSMENT, LEADERBOARD],
    ids=["evaluation", "assessment", "leaderboard"],
)
def test_every_device_does_its_share(work, tmp_path):
    done = run_on(8, textwrap.dedent(SHARES) + textwrap.dedent(work), str(tmp_path))
    assert done.stdout == "agreed\n", done.stderr
