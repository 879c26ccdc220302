import jax
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.statistics import instance_surfaces, surface
from tests.reference import instances as definition


METRICS = {
    "hausdorff": {},
    "hausdorff(percentile=95)": {"percentile": 95},
    "assd": {},
    "mhd": {},
    "nemhd(tau=2)": {"tau": 2},
    "nsd(tolerance=1)": {"tolerance": 1},
}
BOUNDED = ("nemhd", "nsd")


def with_option(name, option):
    return f"{name[:-1]}, {option})" if name.endswith(")") else f"{name}({option})"


def objects(rng, shape, ids):
    """Boxes with gaps in their numbering, and what a careless annotator makes of them."""
    reference, prediction = np.zeros((2, *shape), np.int64)
    for k in ids:
        low = [rng.integers(0, n - 2) for n in shape]
        size = [rng.integers(2, 6) for _ in shape]
        box = tuple(slice(a, a + b) for a, b in zip(low, size, strict=True))
        moved = tuple(slice(max(0, s.start + rng.integers(-1, 3)), s.stop) for s in box)
        reference[box] = k
        prediction[moved] = 2 * k + 1
    return reference, prediction


@pytest.mark.parametrize(
    ("shape", "spacing"), [((14, 17), (2.0, 0.5)), ((6, 9, 8), (3.0, 1.0, 1.0))]
)
@pytest.mark.parametrize("unmatched", ["omit", "diagonal"])
def test_means_over_objects_match_the_definition(shape, spacing, unmatched, rng):
    for ids in ([3, 4, 9, 70_000, 2**40], [5], []):
        reference, prediction = objects(rng, shape, ids)
        names = [with_option(name, f"unmatched={unmatched}") for name in METRICS]
        scores = segjax.evaluate(
            reference=reference, prediction=prediction, spacing=spacing, metrics=names
        )
        diagonal = np.linalg.norm(np.multiply(shape, spacing))
        for (name, options), score in zip(METRICS.items(), scores.values(), strict=True):
            function = segjax.get_metric(name).function.__name__
            unfit = 0 if function in BOUNDED else diagonal
            wanted = definition.mean_over_objects(
                function, options, reference, prediction, spacing,
                unfit if unmatched == "diagonal" else None,
            )  # fmt: skip
            np.testing.assert_allclose(score, wanted, rtol=1e-6, err_msg=name)
        found = definition.matches(reference, prediction).values()
        count = segjax.unmatched_objects(reference=reference, prediction=prediction)
        assert count == sum(p is None for p in found)


def test_exactly_half_is_no_match():
    reference, prediction = np.zeros((2, 6, 8), int)
    reference[2:4, 2:6] = 1
    prediction[2:4, 2:4] = 1
    assert segjax.unmatched_objects(reference=reference, prediction=prediction) == 1
    prediction[2, 4] = 1
    assert segjax.unmatched_objects(reference=reference, prediction=prediction) == 0


def test_numbers_of_objects_do_not_matter(rng):
    reference, prediction = objects(rng, (14, 17), [1, 2, 3, 4])
    other = rng.permutation(20) + 1
    renumber = lambda x: np.where(x > 0, other[x], 0)
    score = lambda r, p: segjax.evaluate(
        reference=r, prediction=p, metrics=["assd(unmatched=diagonal)"]
    )
    assert score(reference, prediction) == pytest.approx(
        score(renumber(reference), renumber(prediction))
    )


def test_maps_are_measured_under_jit_and_vmap_as_on_the_host(rng):
    pairs = [objects(rng, (12, 13), [1, 3, 4]) for _ in range(3)]
    references, predictions = (np.stack(x) for x in zip(*pairs, strict=True))
    predictions = np.where(predictions > 0, predictions % 5, 0)  # 3, 2, 4
    labels = (1, 2, 3, 4)

    for unmatched in ("omit", "diagonal"):
        score = lambda r, p, u=unmatched: segjax.mhd(
            reference=r, prediction=p, labels=labels, unmatched=u
        )
        batched = jax.jit(jax.vmap(score))(
            references.astype(np.int32), predictions.astype(np.int32)
        )
        looped = [score(r, p) for r, p in zip(references, predictions, strict=True)]
        np.testing.assert_allclose(batched, looped, rtol=1e-5)


def test_ignored_voxels_have_no_say_in_the_matching():
    reference, prediction = np.zeros((2, 8, 12), int)
    reference[2:6, 2:10] = 7
    prediction[2:6, 2:5] = 1
    valid = np.ones(reference.shape, bool)
    assert segjax.unmatched_objects(reference=reference, prediction=prediction, valid=valid) == 1
    valid[:, 6:] = False
    options = {"reference": reference, "prediction": prediction, "valid": valid}
    assert segjax.unmatched_objects(**options) == 0
    # Elements beyond column 6 are not counted: the rim of the prediction at column 4 is 0 to 1
    # from the reference's rows, its middle two rows 1.
    assert segjax.hausdorff(**options, unmatched="omit") == 1


def test_the_traced_builder_lowers_for_accelerators():
    shape = jax.ShapeDtypeStruct((2, 32, 40), np.int32)

    def leaves(r, p):
        one = lambda r, p: instance_surfaces(
            reference=r, prediction=p, number=4, spacing=(1.0, 1.0)
        )
        return jax.tree.leaves(jax.vmap(one)(r, p))

    for platform in ("cuda", "tpu"):
        exported = jax.export.export(jax.jit(leaves), platforms=[platform])(shape, shape)
        assert exported.platforms == (platform,)


def test_objects_that_tracing_cannot_know_are_asked_for():
    labels = np.ones((6, 7), np.int32)
    score = lambda r: segjax.assd(reference=r, prediction=r, labels="foreground", unmatched="omit")
    assert score(labels) == 0
    with pytest.raises(InputError, match="pass labels="):
        jax.jit(score)(labels)


def test_surfaces_that_memory_would_not_hold_are_refused(monkeypatch, rng):
    monkeypatch.setattr(surface, "_MOST_BYTES", 1000)
    reference, prediction = objects(rng, (14, 17), [1, 2, 3])
    with pytest.raises(InputError, match=r"surfaces of up to \d+ elements would take"):
        segjax.assd(reference=reference, prediction=prediction, unmatched="diagonal")


def test_wrong_values_of_the_option_are_refused():
    for name in ("assd(unmatched=drop)", "dice(unmatched=omit)"):
        with pytest.raises(InputError, match="unmatched"):
            segjax.get_metric(name)


def test_a_table_has_one_score_per_image(rng):
    pairs = [objects(rng, (12, 13), [1, 3, 4]) for _ in range(2)]
    references, predictions = (np.stack(x) for x in zip(*pairs, strict=True))
    table = segjax.evaluate_batch(
        references=references,
        predictions=predictions,
        labels="foreground",
        metrics=["dice", "assd(unmatched=diagonal)", "unmatched_objects"],
    )
    for i in range(2):
        alone = segjax.evaluate(
            reference=references[i], prediction=predictions[i], metrics=["assd(unmatched=diagonal)"]
        )
        (score,) = alone.values()
        assert table.column("assd(unmatched=diagonal)")[i] == score
