import jax
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError
from tests.images import label_maps, masks


def test_each_statistic_is_computed_once(rng, monkeypatch):
    import segjax.evaluation as evaluation

    calls = []
    watched = {
        kind: lambda case, kind=kind, build=build: (calls.append(kind), build(case))[1]
        for kind, build in evaluation.STATISTICS.items()
    }
    monkeypatch.setattr(evaluation, "STATISTICS", watched)
    reference, prediction = label_maps(rng, (6, 5))
    segjax.evaluate(
        reference=reference,
        prediction=prediction,
        metrics=["dice", "iou", "mcc", "mIoU", "vi", "ari", "jaccard_sparse", "jaccard_binary"],
    )
    assert len(calls) == len(set(calls)) == 3


def test_scores_have_canonical_names_in_the_order_asked_for(rng):
    reference, prediction = masks(rng, (6, 5))
    scores = segjax.evaluate(
        reference=reference, prediction=prediction, metrics=["Jaccard", "DSC", "F-beta(beta=2)"]
    )
    assert list(scores) == ["iou", "dice", "f_beta(beta=2)"]


def test_masks_give_scalars_and_maps_one_score_per_label(rng):
    reference, prediction = label_maps(rng, (6, 5), labels=(0, 2, 5))
    several = segjax.evaluate(reference=reference, prediction=prediction, metrics=["dice", "vi"])
    assert several["dice"].shape == (2,)
    assert several["variation_of_information"].shape == ()
    for value in (1, 255):
        mask = (reference > 0) * value
        assert segjax.evaluate(reference=mask, prediction=mask, metrics=["dice"]) == {"dice": 1.0}
    one = segjax.evaluate(reference=reference, prediction=prediction, metrics=["dice"], labels=[5])
    assert one["dice"].tolist() == [several["dice"][1]]


def test_an_asked_for_label_that_is_nowhere_is_undefined_not_zero(rng):
    reference, prediction = label_maps(rng, (6, 5))
    dice = segjax.dice(reference=reference, prediction=prediction, labels=(1, 9))
    assert np.isnan(dice).tolist() == [False, True]


def test_foreground_takes_all_labels_as_one(rng):
    reference, prediction = label_maps(rng, (6, 5))
    scores = segjax.evaluate(
        reference=reference,
        prediction=prediction,
        labels="foreground",
        metrics=["dice", "jaccard_sparse"],
    )
    assert scores["dice"] == segjax.dice(reference=reference > 0, prediction=prediction > 0)
    objects = segjax.jaccard_sparse(reference=reference, prediction=prediction)
    assert scores["jaccard_sparse"] == objects


def test_two_empty_masks_are_undefined_until_a_policy_says_otherwise():
    empty = np.zeros((4, 4), bool)
    score = lambda **policy: segjax.evaluate(
        reference=empty, prediction=empty, metrics=["dice"], **policy
    )["dice"]
    assert np.isnan(score())
    assert score(undefined="best") == 1
    assert score(undefined="worst") == 0
    with pytest.raises(InputError, match="dice is undefined"):
        score(undefined="fail")
    with pytest.raises(InputError, match="undefined must be one of"):
        score(undefined="perfect")


def test_volumes_are_in_the_unit_of_the_spacing():
    reference = np.zeros((4, 4, 4), bool)
    reference[0] = True
    avd = segjax.absolute_volume_difference(
        reference=reference, prediction=~reference, spacing=(3.0, 0.5, 0.5)
    )
    assert avd == pytest.approx((48 - 16) * 0.75)  # voxels of 0.75 mm^3
    traced = jax.jit(
        lambda r, p: segjax.absolute_volume_difference(
            reference=r, prediction=p, spacing=(3, 0.5, 0.5)
        )
    )
    assert float(traced(reference, ~reference)) == pytest.approx(24)


def test_evaluate_traces_where_labels_are_known(rng):
    reference, prediction = label_maps(rng, (6, 5))
    options = {"metrics": ["dice", "vi", "jaccard_binary"], "labels": (1, 2, 5), "ignore": 2}
    with pytest.raises(InputError, match="both wanted and ignored"):
        segjax.evaluate(reference=reference, prediction=prediction, **options)
    options["labels"] = (1, 5)
    host = segjax.evaluate(reference=reference, prediction=prediction, **options)
    traced = jax.jit(lambda r, p: segjax.evaluate(reference=r, prediction=p, **options))
    for name, score in traced(reference, prediction).items():
        np.testing.assert_allclose(score, host[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_labels_that_cannot_be_known_while_tracing_are_asked_for(rng):
    reference, prediction = label_maps(rng, (6, 5))
    with pytest.raises(InputError, match="pass labels="):
        jax.jit(lambda r, p: segjax.dice(reference=r, prediction=p))(reference, prediction)


def test_probabilities_on_the_host_are_refused_and_in_jax_are_soft(rng):
    reference = rng.random((6, 5)) < 0.5
    probability = rng.random((6, 5)).astype(np.float32)
    with pytest.raises(InputError, match="threshold probabilities first"):
        segjax.dice(reference=reference, prediction=probability)
    soft = segjax.dice(reference=jnp.asarray(reference), prediction=jnp.asarray(probability))
    both = (reference * probability).sum()
    expected = 2 * both / (reference.sum() + probability.sum())
    assert float(soft) == pytest.approx(float(expected), rel=1e-5)


def test_options_of_a_metric_are_keywords_of_its_function(rng):
    reference, prediction = label_maps(rng, (6, 5))
    both = {"reference": reference, "prediction": prediction}
    scores = segjax.evaluate(**both, metrics=["f_beta(beta=2)", "dice(average=micro)"])
    np.testing.assert_array_equal(segjax.f_beta(**both, beta=2), scores["f_beta(beta=2)"])
    assert segjax.dice(**both, average="micro") == scores["dice(average=micro)"]
    with pytest.raises(InputError, match="has no option 'alpha'"):
        segjax.dice(**both, alpha=1)


# Batches.


@pytest.mark.parametrize("kind", ["masks", "maps", "fortran"])
def test_a_batch_scores_as_its_cases_do(kind, rng):
    if kind == "masks":
        references, predictions = masks(rng, (4, 6, 5))
    else:
        references, predictions = label_maps(rng, (4, 6, 5))
    if kind == "fortran":
        references, predictions = np.asfortranarray(references), np.asfortranarray(predictions)
    metrics = ["dice", "mcc", "mIoU", "vi", "jaccard_sparse", "hd95", "nsd@2"]
    spacing = (2.0, 0.5)
    table = segjax.evaluate_batch(
        references=references, predictions=predictions, metrics=metrics, spacing=spacing
    )
    labels = [label.value for label in table.labels]
    assert labels == ([1] if kind == "masks" else [1, 2, 5])
    for i in range(4):
        alone = segjax.evaluate(
            reference=references[i],
            prediction=predictions[i],
            metrics=metrics,
            labels=labels,
            spacing=spacing,
        )
        for column, scores in table.columns.items():
            score = alone[column.metric]
            expected = score if column.label is None else score[labels.index(column.label)]
            np.testing.assert_array_equal(scores[i], expected)


def test_a_batch_of_one_shape_compiles_once(rng):
    from segjax._compiling import counting_compilations

    references, predictions = masks(rng, (7, 33, 31))
    segjax.evaluate_batch(references=references, predictions=predictions)
    with counting_compilations() as compilations:
        segjax.evaluate_batch(references=predictions, predictions=references)
    assert compilations["programs"] == 0


@pytest.mark.parametrize(
    ("shapes", "options", "says"),
    [
        (((2, 3, 3), (2, 3, 4)), {}, "same shape, cases first"),
        (((3,), (3,)), {}, "same shape, cases first"),
        (((2, 3, 3), (2, 3, 3)), {"cases": ["a"]}, "1 names for 2 cases"),
    ],
)
def test_batches_that_do_not_fit_are_refused(shapes, options, says):
    references, predictions = (np.zeros(shape, bool) for shape in shapes)
    with pytest.raises(InputError, match=says):
        segjax.evaluate_batch(references=references, predictions=predictions, **options)


@pytest.mark.parametrize("kind", ["masks", "maps"])
def test_a_list_of_cases_may_differ_in_shape(kind, rng):
    shapes = [(9, 13), (20, 7), (9, 13), (33, 40)]
    pairs = [
        masks(rng, shape) if kind == "masks" else label_maps(rng, shape, labels=(0, 1, 4))
        for shape in shapes
    ]
    references, predictions = map(list, zip(*pairs, strict=True))
    names = ["dice", "hd95", "assd", "boundary_iou", "vi", "volume_difference"]
    options = {"metrics": names, "spacing": (2.0, 0.5)}
    table = segjax.evaluate_batch(references=references, predictions=predictions, **options)
    diagonals = [np.hypot(2 * a, b / 2) for a, b in shapes]
    np.testing.assert_allclose(table.diagonals, diagonals)
    for i, (r, p) in enumerate(pairs):
        alone = segjax.evaluate(
            reference=r, prediction=p, labels=(1, 4)[: 1 + (kind == "maps")], **options
        )
        for name, wanted in alone.items():
            of_image = segjax.get_metric(name).per == "image"
            labels = [None] if of_image else [label.value for label in table.labels]
            got = [table.columns[name, label][i] for label in labels]
            np.testing.assert_allclose(got, np.ravel(wanted), rtol=1e-12, err_msg=name)


def test_cases_of_different_shapes_are_checked_one_by_one():
    flat, solid = np.ones((4, 5), bool), np.ones((3, 4, 5), bool)
    score = lambda r, p: segjax.evaluate_batch(references=r, predictions=p, metrics=["dice"])
    with pytest.raises(InputError, match=r"case 1: .*same shape"):
        score([flat, flat[:3]], [flat, flat[:2]])
    with pytest.raises(InputError, match="score 2-D and 3-D ones apart"):
        score([flat, solid], [flat, solid])
    with pytest.raises(InputError, match="2 references for 1 predictions"):
        score([flat, flat[:3]], [flat])
    with pytest.raises(InputError, match="references\\[1\\]"):
        score([flat, flat[:3] * 0.5], [flat, flat[:3]])


def test_objects_of_the_ignored_label_are_the_same_beside_other_metrics():
    reference = np.array([[1, 1, 0, 0, 9, 9]])
    prediction = np.array([[1, 1, 9, 9, 2, 2]])  # 9 where it is not ignored: a spurious object
    alone, beside = (
        segjax.evaluate(reference=reference, prediction=prediction, metrics=metrics, ignore=9)["pq"]
        for metrics in (["pq"], ["dice", "pq"])
    )
    assert alone == beside == pytest.approx(2 / 3)  # 1 / (1 + 1 / 2)
