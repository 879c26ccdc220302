"""The table of objects and the image of their errors, against sets of voxels and by hand."""

import csv
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import segjax
from segjax import InputError
from segjax.objects import ObjectTable, kind_map
from segjax.statistics import matching, segments
from tests.images import SHAPES, corner_cases, label_maps
from tests.reference import objects as definition, overlap


SPACINGS = {1: (0.5,), 2: (2.0, 0.25), 3: (3.0, 1.0, 0.5)}
small_maps = hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 4))


def check(reference, prediction, *, counted=None, labels=None, spacing=None, **options):
    """Compare a table and an image with the definition."""
    known = {"reference": reference, "prediction": prediction, "labels": labels, **options}
    table = segjax.object_table(**known, spacing=spacing)
    expected = definition.rows(reference, prediction, spacing, labels, counted)
    rows = list(table.rows())
    assert [row[:4] for row in rows] == [row[:4] for row in expected]
    numbers = lambda rows: np.array([[float(x) for x in row[4:]] for row in rows])
    np.testing.assert_allclose(numbers(rows), numbers(expected), rtol=1e-15)
    painted = definition.painted(reference, prediction, labels=labels, counted=counted)
    np.testing.assert_array_equal(segjax.error_map(**known), painted)
    return table


def objects(rng, shape, number=9):
    """Boxes that touch and overlap, and what a careless annotator makes of them."""
    reference, prediction = np.zeros((2, *shape), np.int64)
    for k in range(1, number):
        low = [int(rng.integers(0, max(n - 1, 1))) for n in shape]
        box = tuple(slice(a, a + int(rng.integers(1, 5))) for a in low)
        reference[box] = k
        moved = tuple(slice(max(0, s.start + int(rng.integers(-1, 2))), s.stop) for s in box)
        prediction[moved] = 3 * (k // 2 if rng.random() < 0.3 else k)
    return reference, prediction


@pytest.mark.parametrize("shape", [*SHAPES, (9, 14), (5, 6, 8), (2, 3, 2, 4)])
def test_matches_definition(shape, rng):
    for draw in (label_maps, objects, objects):
        check(*draw(rng, shape), spacing=SPACINGS.get(len(shape)))


@given(small_maps, small_maps)
def test_matches_definition_of_any_small_maps(reference, prediction):
    check(reference, prediction)


@pytest.mark.parametrize(("name", "reference", "prediction"), corner_cases((3, 4)))
def test_matches_definition_at_the_corners(name, reference, prediction):
    check(reference.astype(int) * 2, prediction.astype(int) * 3)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), (1, 1)])
def test_images_of_nothing_have_no_objects(shape):
    nothing = np.zeros(shape, int)
    table = segjax.object_table(reference=nothing, prediction=nothing)
    assert len(table) == 0
    assert set(table.counts.values()) == {0}
    assert table.centroid.shape == (0, len(shape))
    assert segjax.error_map(reference=nothing, prediction=nothing).shape == shape


def test_images_whose_voxels_do_not_count_have_no_objects():
    case = {"reference": np.eye(4, dtype=int), "prediction": np.eye(4, dtype=int)}
    nothing = np.zeros((4, 4), bool)
    assert len(segjax.object_table(**case, valid=nothing)) == 0
    assert not segjax.error_map(**case, valid=nothing).any()
    names = [m.name for m in segjax.METRICS if m.of_objects]
    for name, score in segjax.evaluate(**case, valid=nothing, metrics=names).items():
        assert score == 0 if segjax.get_metric(name).unit else np.isnan(score), name


def test_ids_may_be_large_have_gaps_and_be_unsigned(rng):
    names = np.array([0, 3, 70_000, 2**40, 2**63 - 1, 5, 6, 7, 8])
    reference, prediction = objects(rng, (9, 14))
    table = check(names[reference], prediction)
    assert table.label.dtype == np.int64
    assert 2**63 - 1 in table.label.tolist()
    found = segjax.object_table(reference=reference, prediction=prediction)
    most = int(found.match[~found.in_reference][0])  # one that is a match
    unsigned = np.where(reference == most, np.uint64(2**63 + 1), reference.astype(np.uint64))
    table = check(unsigned, prediction.astype(np.uint32))
    assert 2**63 + 1 in table.label.tolist()
    assert 2**63 + 1 in table.match.tolist()
    again = ObjectTable.from_record(json.loads(json.dumps(table.to_record())))
    assert again.to_csv() == table.to_csv()


def test_masks_are_one_object():
    mask = np.eye(3, dtype=bool)
    table = segjax.object_table(reference=mask, prediction=mask)
    assert list(table.kind) == ["accurate"] * 2
    assert list(table.label) == list(table.match) == [1, 1]
    np.testing.assert_array_equal(segjax.error_map(reference=mask, prediction=mask), mask)


def test_labels_restrict_and_what_is_ignored_does_not_count(rng):
    for shape in ((9, 14), (5, 6, 8)):
        reference, prediction = objects(rng, shape)
        check(reference, prediction, labels=(2, 3, 4, 6, 21))
        valid = rng.random(shape) < 0.7
        check(reference, prediction, valid=valid, counted=overlap.voxels(valid))
        kept = overlap.voxels(valid & (reference != 3))
        check(reference, prediction, valid=valid, ignore=3, counted=kept)


def test_foreground_leaves_objects_what_they_are(rng):
    reference, prediction = objects(rng, (9, 14))
    options = {"reference": reference, "prediction": prediction}
    one, other = (segjax.object_table(**options, labels=k) for k in ("foreground", None))
    assert one.to_csv() == other.to_csv()


@pytest.mark.parametrize("order", ["C", "F"])
def test_axes_are_those_of_the_arrays(order):
    reference = np.zeros((4, 6, 8), int, order=order)
    reference[1:3, 2, 3:7] = 5  # centre (1.5, 2, 4.5)
    table = segjax.object_table(
        reference=reference, prediction=reference.copy(order), spacing=(10, 1, 0.5)
    )
    assert table.centroid.tolist() == [[15, 2, 2.25]] * 2
    assert table.size.tolist() == [8 * 5.0] * 2
    image = segjax.error_map(reference=reference, prediction=reference.copy(order))
    np.testing.assert_array_equal(image, reference > 0)


def test_stretches_do_not_show(rng, monkeypatch):
    monkeypatch.setattr(segments, "_STRETCH", 32)
    check(*objects(rng, (9, 14)), spacing=(2.0, 0.25))
    whole = np.ones((9, 14), int)
    check(whole, whole)  # runs go on from line to line
    reference, prediction = objects(rng, (5, 6, 8))
    valid = rng.random(reference.shape) < 0.7
    check(reference, prediction, valid=valid, counted=overlap.voxels(valid))


def test_places_far_from_the_corner_are_exact():
    reference = np.zeros((2, 5_000_000), np.uint8)
    reference[1, 3:] = 1
    table = segjax.object_table(reference=reference, prediction=reference)
    assert table.centroid[0].tolist() == [1, (3 + 4_999_999) / 2]


# Laws


@given(small_maps, small_maps)
def test_scores_of_objects_can_be_read_off_the_table(reference, prediction):
    case = {"reference": reference, "prediction": prediction}
    table = segjax.object_table(**case)
    ours = table.in_reference
    if ours.any():
        covered = np.where(table.overlap > 0.5, table.iou, 0)[ours]
        assert covered.mean() == pytest.approx(float(segjax.seg(**case)))
    for name in ("missed", "spurious"):
        assert table.counts[name] == getattr(segjax, name)(**case)
    (whole,) = table.by_size([])
    assert whole[2:8] == tuple(table.counts[k] for k in ("reference", *matching.KINDS))
    np.testing.assert_allclose(whole.seg, segjax.seg(**case))


@given(small_maps, small_maps)
def test_records_give_the_table_again(reference, prediction):
    table = segjax.object_table(reference=reference, prediction=prediction, spacing=(0.1, 0.7))
    again = ObjectTable.from_record(json.loads(json.dumps(table.to_record())))
    assert again.to_csv() == table.to_csv()
    assert again.counts == table.counts
    assert again.label.dtype == table.label.dtype


# By hand


def row_of_cells():
    """Objects 1 found; 2 and 3 merged; 4 split; 5 missed; and one predicted beside them."""
    reference = np.array([[1, 1, 0, 2, 2, 3, 3, 3, 0, 4, 4, 4, 4, 0, 5, 5, 0, 0, 0, 0]])
    prediction = np.array([[7, 7, 7, 8, 8, 8, 8, 8, 0, 9, 9, 6, 6, 0, 0, 5, 0, 3, 3, 3]])
    return {"reference": reference, "prediction": prediction}


def test_each_kind_is_told_and_painted():
    table = segjax.object_table(**row_of_cells())
    kinds = list(zip(table.side, table.label, table.kind, strict=True))
    assert kinds == [
        ("reference", 1, "accurate"),
        ("reference", 2, "merged"),
        ("reference", 3, "merged"),
        ("reference", 4, "split"),
        ("reference", 5, "missed"),  # half of it is not more than half
        ("prediction", 3, "spurious"),
        ("prediction", 5, "spurious"),
        ("prediction", 6, "split"),
        ("prediction", 7, "accurate"),
        ("prediction", 8, "merged"),
        ("prediction", 9, "split"),
    ]
    assert table.counts == {
        "reference": 5,
        "prediction": 6,
        "accurate": 1,
        "missed": 1,
        "spurious": 2,
        "merged": 2,
        "split": 1,
    }
    expected = [[1, 1, 1, 4, 4, 4, 4, 4, 0, 5, 5, 5, 5, 0, 2, 2, 0, 3, 3, 3]]
    assert segjax.error_map(**row_of_cells()).tolist() == expected


def test_classes_of_size_say_which_objects_are_lost():
    table = segjax.object_table(**row_of_cells(), spacing=(1, 2))  # sizes twice the voxels
    small, large = table.by_size([6])
    assert small[:8] == (0, 6, 3, 1, 1, 1, 1, 0)  # 1, 2, 5; the predicted 5
    assert large[:8] == (6, np.inf, 2, 0, 0, 1, 1, 1)  # 3 and 4; the predicted 3
    assert small.seg == pytest.approx((2 / 3 + 2 / 5) / 3)
    assert large.seg == pytest.approx(3 / 5 / 2)
    assert np.isnan(table.by_size([1])[0].seg)


@pytest.mark.parametrize("edges", [[0], [3, 2], [2, 2], [np.nan]])
def test_edges_of_sizes_ascend(edges):
    with pytest.raises(InputError, match="must be positive and ascend"):
        segjax.object_table(**row_of_cells()).by_size(edges)


def test_rows_are_written_as_text_as_json_and_as_a_frame():
    table = segjax.object_table(**row_of_cells())
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert rows[0] == {
        "side": "reference",
        "label": "1",
        "kind": "accurate",
        "match": "7",
        "overlap": "1.0",
        "iou": repr(2 / 3),
        "voxels": "2",
        "size": "2.0",
        "pieces": "1",
        "centroid-0": "0.0",
        "centroid-1": "0.5",
    }
    assert len(rows) == 11
    parsed = json.loads(table.to_json(), parse_constant=lambda text: pytest.fail(text))
    assert [{k: str(v) for k, v in row.items()} for row in parsed] == rows
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(rows[0])


def test_maps_that_differ_in_shape_are_refused():
    for function in (segjax.object_table, segjax.error_map):
        with pytest.raises(InputError, match="same shape"):
            function(reference=np.ones((2, 3), int), prediction=np.ones((3, 2), int))


# While tracing


def test_images_are_painted_under_jit_and_vmap_as_on_the_host(rng):
    pairs = [objects(rng, (9, 14)) for _ in range(3)]
    r, p = (np.stack(x).astype(np.int32) for x in zip(*pairs, strict=True))
    valid = rng.random(r.shape) < 0.8
    paint = lambda r, p, v: kind_map(reference=r, prediction=p, number=24, valid=v)
    batched = jax.jit(jax.vmap(paint))(r, p, valid)
    assert batched.dtype == jnp.uint8
    looped = [
        segjax.error_map(reference=a, prediction=b, valid=v)
        for a, b, v in zip(r, p, valid, strict=True)
    ]
    np.testing.assert_array_equal(batched, looped)


def test_numbers_beyond_the_last_are_background_while_tracing(rng):
    r, p = objects(rng, (9, 14))
    known = {"reference": r.astype(np.int32), "prediction": p.astype(np.int32)}
    painted = kind_map(**{k: jnp.asarray(x) for k, x in known.items()}, number=6)
    np.testing.assert_array_equal(painted, segjax.error_map(**known, labels=range(1, 7)))


def test_the_painting_lowers_for_accelerators():
    shape = jax.ShapeDtypeStruct((32, 40), np.int32)
    paint = lambda r, p: kind_map(reference=r, prediction=p, number=50)
    jax.export.export(jax.jit(paint), platforms=("cuda", "tpu"))(shape, shape)


def test_objects_in_several_pieces_are_counted_and_can_be_split(rng):
    reference = np.array([[5, 0, 5, 0, 0], [0, 7, 7, 0, 2**40]])
    prediction = np.array([[5, 0, 0, 0, 0], [0, 0, 7, 0, 0]])
    table = segjax.object_table(reference=reference, prediction=prediction)
    pieces = dict(zip(table.label.tolist(), table.pieces.tolist(), strict=True))
    assert table.pieces.tolist() == [2, 1, 1, 1, 1]
    assert pieces[2**40] == 1
    split = segjax.object_table(reference=reference, prediction=prediction, relabel=True)
    assert split.pieces.tolist() == [1] * 6
    assert split.counts["reference"] == 4
    errors = segjax.error_map(reference=reference, prediction=prediction)
    apart = segjax.error_map(reference=reference, prediction=prediction, relabel=True)
    assert errors[0, 0] == errors[0, 2] != 0
    assert apart[0, 0] == matching.ACCURATE
    assert apart[0, 2] == matching.MISSED
    four = segjax.object_table(reference=reference[None, None], prediction=prediction[None, None])
    assert not four.pieces.any()
