"""What holds for every metric there is and will be."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.compat import miseval
from segjax.metrics import METRICS, Metric, _metric, get_metric
from segjax.statistics import (
    STATISTICS,
    BoundaryBands,
    Calibration,
    Centroids,
    Confusion,
    ConfusionMatrix,
    Contingency,
    InstanceSurfaces,
    Scribbles,
    Surface,
    SurfaceDistances,
    Topology,
)
from tests.images import corner_cases, label_maps, masks


every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)


def function(metric):
    return getattr(segjax, metric.function.__name__)


def pair(metric, rng, shape=(6, 5)):
    reference, prediction = masks(rng, shape)
    if metric.statistic is Scribbles:
        return reference * 1 + (rng.random(shape) < 0.5), prediction
    return reference, prediction


@every_metric
def test_jit_vmap_and_loop_agree(metric, rng):
    reference, prediction = pair(metric, rng, (4, 6, 5))
    score = lambda r, p: function(metric)(reference=r, prediction=p)
    looped = [float(score(r, p)) for r, p in zip(reference, prediction, strict=True)]
    batched = jax.jit(jax.vmap(score))(reference, prediction)
    np.testing.assert_allclose(batched, looped, rtol=1e-5, atol=1e-6)


@every_metric
def test_maps_of_several_labels_score_under_jit_as_on_the_host(metric, rng):
    reference, prediction = label_maps(rng, (6, 5), labels=(0, 1, 2))
    score = lambda r, p: function(metric)(reference=r, prediction=p, labels=(1, 2))
    host = score(reference, prediction)
    traced = jax.jit(score)(reference, prediction)
    assert traced.shape == np.shape(host) == ((2,) if metric.per == "label" else ())
    np.testing.assert_allclose(traced, host, rtol=1e-5, atol=1e-6)


@every_metric
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "uint16"])
def test_masks_of_any_type_score_alike(metric, dtype, rng):
    reference, prediction = pair(metric, rng)
    expected = function(metric)(reference=reference, prediction=prediction)
    if metric.statistic is not Scribbles:
        reference = reference.astype(dtype)
    score = function(metric)(reference=reference, prediction=prediction.astype(dtype))
    np.testing.assert_array_equal(score, expected)
    assert np.shape(score) == ()


@every_metric
def test_a_perfect_prediction_is_best(metric, rng):
    reference, _ = pair(metric, rng)
    prediction = reference == 2 if metric.statistic is Scribbles else reference
    score = float(function(metric)(reference=reference, prediction=prediction))
    if metric.best is not None and np.isfinite(metric.best):
        assert score == pytest.approx(metric.best, abs=1e-12)


@every_metric
@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases())
def test_no_score_is_infinite_or_out_of_bounds(metric, name, reference, prediction):
    if metric.statistic is Scribbles:
        reference = reference + 1
    score = float(function(metric)(reference=reference, prediction=prediction))
    one_is_absent = reference.any() != prediction.any()
    assert not np.isinf(score) or (metric.unit == "length" and one_is_absent)
    if metric.best is not None and not metric.signed and not np.isnan(score):
        low, high = sorted([metric.best, metric.worst])
        assert low - 1e-12 <= score <= high + 1e-12


@every_metric
def test_an_empty_prediction_never_beats_half_of_the_object(metric):
    if metric.best is None or metric.statistic is Contingency:
        pytest.skip("counts have no direction; partitions do not know what is missing")
    if metric.name in ("specificity", "precision", "fpr", "fdr"):
        pytest.skip("does not look at what is missing")
    reference = np.zeros((6, 5), bool)
    reference[1:5, 1:4] = True
    half = reference.copy()
    half[1:3] = False
    if metric.statistic is Scribbles:
        reference = reference + 1
    found = float(function(metric)(reference=reference, prediction=half))
    missed = float(function(metric)(reference=reference, prediction=half & False))
    missed = metric.missed if np.isnan(missed) else missed
    assert abs(missed - metric.best) >= abs(found - metric.best) - 1e-12


@every_metric
def test_host_scores_are_float64_and_traced_ones_float32(metric, rng):
    reference, prediction = pair(metric, rng)
    host = function(metric)(reference=reference, prediction=prediction)
    traced = jax.jit(lambda r, p: function(metric)(reference=r, prediction=p))(
        reference, prediction
    )
    if metric.unit not in ("voxel", "object"):
        assert np.asarray(host).dtype == np.float64
        assert traced.dtype == jnp.float32


@every_metric
def test_leading_axes_are_free(metric, rng):
    if issubclass(metric.statistic, SurfaceDistances):
        one = np.stack([rng.random((4, 5)), rng.integers(0, 2, (4, 5))]).astype(float)
        one[:, :, -1] = 1  # at least one element
        objects = metric.statistic is InstanceSurfaces
        wrap = lambda x: metric.statistic(
            Surface(x[..., 0, :2, :], x[..., 1, :2, :]),
            Surface(x[..., 0, 2:, :], x[..., 1, 2:, :]),
            *([x[..., 0, 0, :] > 0.5, x[..., 1, 0, :] > 0] if objects else []),
            **({"diagonal": 9.0} if objects else {}),
        )
    elif issubclass(metric.statistic, BoundaryBands):
        one = rng.integers(1, 9, (3, 4, 5))
        wrap = lambda x: metric.statistic(*np.moveaxis(x, -3, 0), diagonal=100.0)
    elif metric.statistic is Contingency:
        one, wrap = rng.integers(0, 9, (4, 4)), Contingency.from_table
    elif metric.statistic is Centroids:
        one = rng.integers(0, 9, (2, 4, 3)).astype(float)
        there = lambda x: x[..., 2] > 2
        wrap = lambda x: Centroids(
            x[..., 0, :, :2], x[..., 1, :, :2], there(x[..., 0, :, :]), there(x[..., 1, :, :])
        )
    elif metric.statistic is ConfusionMatrix:
        one, wrap = rng.integers(0, 9, (4, 4)), ConfusionMatrix
    elif metric.statistic is Topology:
        one, wrap = rng.integers(0, 9, (2, 3)), lambda x: metric.statistic(*np.moveaxis(x, -2, 0))
    elif metric.statistic is Calibration:
        one = rng.integers(1, 4, (3, 5)).cumsum(-1)
        errors = lambda x: [x[..., i, 3] / 9 for i in range(3)]
        wrap = lambda x: Calibration(
            x[..., 0, :], x[..., 1, :], 0.0 * x[..., 0, :], *errors(x), levels=x[..., 2, :] / 20
        )
    else:
        one = rng.integers(1, 9, (4, 3))
        wrap = lambda x: metric.statistic(*np.moveaxis(x, -2, 0))
    stacked = np.stack([one, one + 1])
    looped = [metric(wrap(x)) for x in stacked]
    np.testing.assert_allclose(metric(wrap(stacked)), looped, rtol=1e-12)


@every_metric
def test_one_trace_serves_many_cases(metric, rng):
    traces = []

    @jax.jit
    def score(r, p):
        traces.append(1)
        return function(metric)(reference=r, prediction=p)

    for _ in range(3):
        score(*pair(metric, rng))
    assert len(traces) == 1


@every_metric
def test_every_name_finds_its_metric(metric):
    for name in (metric.name, *metric.aliases):
        for spelling in (name, name.upper(), name.replace("_", " "), name.replace(" ", "-")):
            assert get_metric(spelling) is metric


@every_metric
def test_a_printed_name_reads_back(metric):
    options = {"beta": 2.5, "weights": "linear", "ignore_background": True, "average": "macro"}
    options |= {
        "percentile": 95,
        "pooled": True,
        "direction": "reference",
        "tau": 3,
        "tolerance": 2,
        "width": 3,
        "bins": 10,
        "closed": "right",
        "distance": 2,
        "unmatched": "omit",
        "threshold": 0.7,
        "strict": True,
        "lowest": 0.6,
        "highest": 0.9,
        "step": 0.1,
        "min_size": 3,
        "max_size": 40,
        "dimension": 1,
    }
    for key in metric.option_names:
        value = "simple" if metric.name == "generalized_dice" else options[key]
        changed = metric.at(**{key: value})
        assert get_metric(changed.name) == changed
        assert changed.name != metric.name


@every_metric
def test_docstrings_say_what_is_measured_and_where_it_is_from(metric):
    text = inspect.getdoc(metric.function)
    assert text
    assert metric.title
    assert not metric.title.endswith(".")
    if metric.unit != "voxel":
        assert metric.source, "no References"
        assert "ndefined" in text or "0 if" in text, "says nothing of empty masks"
    for alias in metric.aliases:
        assert alias.strip() == alias


def test_two_claims_to_a_name_are_an_error():
    twin = Metric(
        function=METRICS[1].function, statistic=Confusion, best=1.0, worst=0.0, aliases=("DSC",)
    )
    with pytest.raises(ValueError, match="both called"):
        _metric.index([METRICS[0], twin])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dicee", "did you mean dice"),
        ("sensitivty", "did you mean sensitivity"),
        ("zzz", "unknown metric 'zzz'"),
        ("dice(average", "no closing bracket"),
        ("dice(average)", "name=value"),
        ("f_beta(gamma=1)", "has no option 'gamma'; it has beta"),
        ("f_beta(beta=wide)", "beta of f_beta must be a number, got 'wide'"),
        ("f1(min_size=ten)", "min_size of f1 must be a number, got 'ten'"),
        ("f1(min_size=9, max_size=9)", "min_size must be less than max_size"),
        ("f1(max_size=nan)", "min_size must be less than max_size"),
        ("pq(strict=false)", "strict of pq must be True or False, got 'false'"),
    ],
)
def test_unknown_names_say_what_is_near(name, says):
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        get_metric(name)


# Names that others use.
MONAI = """sensitivity specificity precision|negative predictive value|miss rate|fall out
false discovery rate|false omission rate|prevalence threshold|threat score|accuracy
balanced accuracy|f1 score|matthews correlation coefficient|fowlkes mallows index
informedness|markedness"""
METRICS_RELOADED = (
    "dsc iou sensitivity specificity ppv npv accuracy balanced_accuracy fbeta mcc kappa"
)
METRICS_RELOADED += " cldice nsd assd masd hd boundary_iou pq ap auroc ece brier nll"
QANET = "SEG Dice IoU HD95 MHD95 MHD neMHD ASD"
SEGAUGE = "dice iou hd hd95 assd nsd"
OBJECTS = "SEG|DET|PQ|SQ|RQ|F1|AP|AJI|AJI+|panoptic quality|object Dice|object Hausdorff"
PROBABILITIES = "Brier score|expected calibration error|ROC AUC|average precision score|log loss"


def test_names_of_other_tools_are_known():
    monai = [part for line in MONAI.splitlines() for part in line.split("|")]
    for name in (
        *monai[3:],
        *METRICS_RELOADED.replace("fbeta", "f_beta").split(),
        *SEGAUGE.split(),
        *QANET.split(),
        *OBJECTS.split("|"),
        *PROBABILITIES.split("|"),
    ):
        get_metric(name)


def test_every_label_of_miseval_is_known_to_the_catalogue_or_to_compat():
    elsewhere = {"BoundaryDistance", "Distance", "BD"}  # not least for equal masks
    for label in miseval.metric_dict:
        if label not in elsewhere:
            get_metric(label)


def test_the_catalogue_is_plain_data():
    for metric in METRICS:
        json.dumps(
            [metric.name, metric.title, metric.best, metric.worst, metric.unit, metric.aliases]
        )
        assert metric.statistic in STATISTICS
        assert (metric.best is None) == (metric.worst is None) == (metric.higher_is_better is None)


def test_labels_of_64_bits_are_told_apart():
    last = 2**64 - 1
    reference = np.array([[last, last, last - 1, 0]], np.uint64)
    prediction = np.array([[last, last - 1, last - 1, 0]], np.uint64)
    found = segjax.evaluate(reference=reference, prediction=prediction, metrics=["iou"])
    np.testing.assert_array_equal(found["iou"], [0.5, 0.5])


def test_background_alone_is_no_object_under_jit(rng):
    reference, prediction = label_maps(rng, (6, 5), labels=(0, 1, 2))
    for name in ("seg", "multiclass_mcc", "vi_split"):
        score = lambda r, p, name=name: getattr(segjax, name)(
            reference=r, prediction=p, labels=(0,)
        )
        traced, host = jax.jit(score)(reference, prediction), score(reference, prediction)
        np.testing.assert_allclose(traced, host, rtol=1e-5, atol=1e-6)
