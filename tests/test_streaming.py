"""Accumulators: however a data set is cut up, the scores are those of the whole."""

import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import segjax
from segjax import InputError
from segjax.streaming import _wide, nnx_metric, per_case, pooled
from tests.devices import run_on


LABELS = (1, 2, 5)
SPACE = (6, 5)


def data(rng, cases=12):
    reference = rng.choice([0, *LABELS, 255], (cases, *SPACE))
    prediction = np.where(rng.random(reference.shape) < 0.6, reference, rng.choice([0, *LABELS]))
    return reference, np.where(prediction == 255, 0, prediction)


def in_batches(kind, reference, prediction, rng):
    """Merged from shuffled batches of unequal size."""
    order = rng.permutation(len(reference))
    state = kind.empty()
    for part in np.split(order, [1, 4, 6]):
        batch = kind.from_model_output(labels=reference[part], predictions=prediction[part])
        state = state.merge(batch)
    return state, order


@pytest.mark.parametrize("metric", ["dice", "mcc", "iou(average=macro)", "generalized_dice"])
def test_pooled_scores_are_those_of_all_images_as_one(metric, rng):
    reference, prediction = data(rng)
    kind = pooled(metric, labels=LABELS, ignore=255)
    state, _ = in_batches(kind, reference, prediction, rng)
    whole = segjax.evaluate(
        reference=reference.reshape(-1, SPACE[1]),
        prediction=prediction.reshape(-1, SPACE[1]),
        metrics=[metric],
        labels=LABELS,
        ignore=255,
    )
    np.testing.assert_array_equal(state.compute(), next(iter(whole.values())))
    assert state.cases == len(reference)
    traced = jax.jit(lambda s: s.compute())(state)
    np.testing.assert_allclose(traced, state.compute(), rtol=1e-6)


def test_order_and_batches_change_no_bit_of_a_pooled_state(rng):
    reference, prediction = data(rng)
    kind = pooled("dice", labels=LABELS, ignore=255)
    first, _ = in_batches(kind, reference, prediction, rng)
    second, _ = in_batches(kind, reference, prediction, rng)
    once = kind.from_model_output(labels=reference, predictions=prediction)
    for state in (first, second):
        np.testing.assert_array_equal(state.counts, once.counts)
        assert state.cases == once.cases


def test_counts_stay_exact_beyond_ten_to_the_twelve():
    most = 2**31 - 1
    kind = pooled("dice", labels=(1,))
    counts = jnp.full((100, 4, 1), most, jnp.int32)
    state = kind(_wide.total(counts), jnp.uint32(100))
    merge = jax.jit(lambda s: s.merge(s))
    for _ in range(10):
        state = merge(state)
    expected = most * 100 * 2**10
    assert expected > 2e14
    assert state.confusion.tp.tolist() == [expected]
    assert jax.jit(lambda s: s.confusion.tp)(state).tolist() == [np.float32(expected)]
    assert state.compute().tolist() == [0.5]


@pytest.mark.parametrize("metric", ["dice", "hausdorff(percentile=95)", "seg"])
def test_per_case_scores_are_those_of_each_case(metric, rng):
    reference, prediction = data(rng)
    kind = per_case(metric, labels=LABELS, capacity=20, ignore=255)
    count = jax.jit(lambda r, p, mask: kind.from_model_output(labels=r, predictions=p, mask=mask))
    state, order = kind.empty(), rng.permutation(12)
    for part in np.split(order, [1, 4, 6]):  # padded, so that one program counts all
        padded = np.resize(part, 6)
        state = state.merge(count(reference[padded], prediction[padded], np.arange(6) < part.size))
    expected = [
        np.reshape(
            segjax.evaluate(
                reference=r, prediction=p, metrics=[metric], labels=LABELS, ignore=255
            ).popitem()[1],
            -1,
        )
        for r, p in zip(reference[order], prediction[order], strict=True)
    ]
    np.testing.assert_allclose(state.scores, expected, rtol=1e-5)
    mean = np.nanmean(np.array(expected), 0)
    np.testing.assert_allclose(np.reshape(state.compute(), -1), mean, rtol=1e-6)
    traced = jax.jit(lambda s: s.compute())(state)
    np.testing.assert_allclose(traced, state.compute(), rtol=1e-6)


def test_of_too_many_cases_none_is_dropped_in_silence(rng):
    reference, prediction = data(rng)
    kind = per_case("dice", labels=LABELS, capacity=10)
    state, _ = in_batches(kind, reference, prediction, rng)
    with pytest.raises(InputError, match=r"room for 10 cases, and there were 12.*capacity=12"):
        state.compute()
    assert np.isnan(jax.jit(lambda s: s.compute())(state)).all()


@pytest.mark.parametrize("make", [pooled, lambda m, **k: per_case(m, capacity=12, **k)])
def test_padding_and_pixels_that_do_not_count_change_nothing(make, rng):
    reference, prediction = data(rng, cases=4)
    kind = make("dice", labels=LABELS)
    where = np.ones(reference.shape, bool)
    where[:, -1] = False
    mask = np.array([True, False, True, True])
    state = kind.from_model_output(
        labels=reference, predictions=prediction, where=where, mask=mask, loss=0.3
    )
    alone = kind.from_model_output(labels=reference[mask, :-1], predictions=prediction[mask, :-1])
    np.testing.assert_array_equal(state.compute(), alone.compute())
    assert state.cases == 3
    assert not np.isnan(state.compute()).any()


def test_logits_say_what_their_largest_says(rng):
    kind = pooled("dice", labels=(1,))
    reference = rng.integers(0, 2, (3, *SPACE))
    x = rng.normal(size=(3, *SPACE, 1)).astype(np.float32)
    expected = kind.from_model_output(labels=reference, predictions=x[..., 0] > 0).compute()
    two = np.concatenate([np.zeros_like(x), x], -1)
    for logits in (x, two):
        state = kind.from_model_output(labels=reference, logits=logits)
        np.testing.assert_array_equal(state.compute(), expected)


def test_states_go_through_scan(rng):
    reference, prediction = data(rng)
    batches = [jnp.asarray(x).reshape(4, 3, *SPACE) for x in (reference, prediction)]
    for kind in (pooled("dice", labels=LABELS), per_case("dice", labels=LABELS, capacity=12)):

        def step(state, batch, count=kind.from_model_output):
            return state.merge(count(labels=batch[0], predictions=batch[1])), None

        state, _ = jax.lax.scan(step, kind.empty(), tuple(batches))
        once = kind.from_model_output(labels=reference, predictions=prediction)
        np.testing.assert_array_equal(state.compute(), once.compute())


def test_flax_keeps_them_in_a_multi_metric(rng):
    reference, prediction = data(rng)
    kinds = {
        "dice": pooled("dice", labels=LABELS),
        "mean": per_case("dice", labels=LABELS, capacity=12),
    }
    metrics = nnx.MultiMetric(**{k: nnx_metric(v) for k, v in kinds.items()})

    @nnx.jit
    def step(metrics, labels, predictions):
        metrics.update(labels=labels, predictions=predictions)

    for part in np.split(np.arange(12), 4):
        step(metrics, reference[part], prediction[part])
    once = {
        k: v.from_model_output(labels=reference, predictions=prediction) for k, v in kinds.items()
    }
    for name, value in metrics.compute().items():
        np.testing.assert_array_equal(value, once[name].compute())
    metrics.reset()
    assert np.isnan(metrics.compute()["dice"]).all()


def test_clu_keeps_them_in_a_collection(rng):
    clu = pytest.importorskip("clu.metrics")
    from flax import struct

    reference, prediction = data(rng)
    dice = pooled("dice", labels=LABELS)
    mean = per_case("dice", labels=LABELS, capacity=12)
    body = {"__annotations__": {"dice": dice, "mean": mean}}
    collection = struct.dataclass(type("Metrics", (clu.Collection,), body))
    step = jax.jit(lambda m, r, p: m.merge(m.single_from_model_output(labels=r, predictions=p)))
    metrics = collection.empty()
    for part in np.split(np.arange(12), 4):
        metrics = step(metrics, reference[part], prediction[part])
    for name, kind in (("dice", dice), ("mean", mean)):
        once = kind.from_model_output(labels=reference, predictions=prediction)
        np.testing.assert_array_equal(metrics.compute()[name], once.compute())


DEVICES = """
    import jax, jax.numpy as jnp, numpy as np
    from jax.sharding import AxisType
    from segjax.streaming import per_case, pooled

    rng = np.random.default_rng(0)
    r, p = rng.integers(0, 3, (2, 16, 6, 5))
    kinds = pooled("dice", labels=(1, 2)), per_case("dice", labels=(1, 2), capacity=16)
    for kind in kinds:
        once = kind.from_model_output(labels=r, predictions=p)
        same = lambda state: [
            np.testing.assert_array_equal(a, b)
            for a, b in zip(map(jnp.asarray, (state.cases, state.compute())),
                            map(jnp.asarray, (once.cases, once.compute())), strict=True)
        ]
        count = lambda r, p: kind.from_model_output(labels=r, predictions=p)
        gather = lambda r, p: jax.lax.all_gather(count(r, p), "case").reduce()
        add = lambda r, p: jax.lax.psum(count(r, p), "case")
        for number in (1, 2, 4, 8):
            devices = jax.devices()[:number]
            mesh = jax.make_mesh((number,), ("case",), (AxisType.Auto,), devices=devices)
            for one in (gather, add)[: 2 if kind is kinds[0] else 1]:
                mapped = jax.shard_map(
                    one, mesh=mesh, in_specs=jax.P("case"), out_specs=jax.P(), check_vma=False
                )
                same(jax.jit(mapped)(r, p))
            split = lambda x: x.reshape(number, -1, *x.shape[1:])
            state = jax.pmap(gather, axis_name="case", devices=devices)(split(r), split(p))
            same(jax.tree.map(lambda x: x[0], state))
        for axes in (AxisType.Auto, AxisType.Explicit):
            mesh = jax.make_mesh((8,), ("case",), (axes,))
            sharding = jax.NamedSharding(mesh, jax.P("case"))
            with jax.set_mesh(mesh):
                same(jax.jit(count)(*(jax.device_put(x, sharding) for x in (r, p))))
    print("agreed")
"""


def test_devices_change_nothing():
    done = run_on(8, textwrap.dedent(DEVICES))
    assert done.stdout == "agreed\n", done.stderr


def test_the_same_arguments_give_the_same_kind():
    assert pooled("dice", labels=(1, 2)) is pooled("DSC", labels=[1, 2])
    assert pooled("dice", labels=(1, 2)) is not pooled("dice", labels=(2, 1))
    assert pooled("dice", labels=(1,)).aggregation == "pooled"
    assert per_case("dice", labels=(1,), capacity=2).aggregation == "mean of cases"


def test_what_does_not_fit_is_refused_while_tracing():
    kind = pooled("dice", labels=(1,))
    shape = lambda *s, d=jnp.int32: jax.ShapeDtypeStruct(s, d)
    ask = lambda **k: jax.eval_shape(kind.from_model_output, **k)
    with pytest.raises(InputError, match=r"\(2, 4, 5\) and \(2, 5, 4\)"):
        ask(labels=shape(2, 4, 5), predictions=shape(2, 5, 4))
    with pytest.raises(InputError, match=r"of logits \(2, 4, 6, 3\)"):
        ask(labels=shape(2, 4, 5), logits=shape(2, 4, 6, 3, d=jnp.float32))
    with pytest.raises(InputError, match=r"labels must be integer or bool, got float32"):
        ask(labels=shape(2, 4, 5, d=jnp.float32), predictions=shape(2, 4, 5))
    with pytest.raises(InputError, match=r"mask must have shape \(2,\), got \(3,\)"):
        ask(labels=shape(2, 4, 5), predictions=shape(2, 4, 5), mask=shape(3, d=bool))
    with pytest.raises(InputError, match="either logits= or predictions="):
        ask(labels=shape(2, 4, 5))
    with pytest.raises(InputError, match="use per_case"):
        pooled("hausdorff", labels=(1,))
    with pytest.raises(InputError, match="capacity"):
        per_case("dice", labels=(1,), capacity=0)
