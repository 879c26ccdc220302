import re

import jax.numpy as jnp
import numpy as np
import pytest

import segjax
from segjax import InputError
from segjax.case import distinct, make_case


ONES = np.ones((2, 3), int)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prediction": np.ones((3, 2), int)}, "same shape, got (2, 3) and (3, 2)"),
        ({"prediction": np.ones((2, 1), int)}, "same shape"),  # nothing is broadcast
        ({"reference": ONES - 2}, "negative label -1"),
        ({"reference": ONES * 0.5}, "holds 0.5, which is no label"),
        ({"prediction": ONES * np.nan}, "holds nan"),
        ({"prediction": ONES * 1j}, "integers or booleans, got complex128"),
        ({"prediction": np.array([["a"] * 3] * 2)}, "integers or booleans"),
        ({"reference": np.int64(3), "prediction": np.int64(3)}, "a single number"),
        ({"spacing": (1, 2, 3)}, "spacing has 3 numbers, the image has 2 axes"),
        ({"spacing": (1, 0)}, "spacing must be positive"),
        ({"spacing": (1, -2)}, "spacing must be positive"),
        ({"spacing": (1, np.nan)}, "spacing must be positive"),
        ({"labels": (1, 1)}, "labels must be different"),
        ({"labels": ()}, "labels must be different"),
        ({"labels": (-1,)}, "labels must be different"),
        ({"labels": "background"}, 'integers or "foreground"'),
        ({"labels": (1, 2), "ignore": 2}, "both wanted and ignored"),
        ({"reference": ONES > 0, "ignore": 1}, "a boolean mask has no label to ignore"),
        ({"valid": np.ones(3, bool)}, "valid has shape (3,)"),
    ],
)
def test_bad_input_says_what_is_wrong(changes, says):
    with pytest.raises(InputError, match=re.escape(says)):
        make_case(**({"reference": ONES, "prediction": ONES} | changes))


def test_whole_numbers_stored_as_floats_are_labels_with_a_warning():
    with pytest.warns(UserWarning, match="reference is float64"):
        case = make_case(reference=ONES * 2.0, prediction=ONES)
    assert case.reference.dtype.kind == "i"


def test_arrays_of_any_library_are_taken():
    class OnlyDLPack:
        def __init__(self, array):
            self._array = array

        def __dlpack__(self, **options):
            return self._array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self._array.__dlpack_device__()

    reference, prediction = np.eye(4, dtype=np.int32), np.triu(np.ones((4, 4), np.int32))
    expected = segjax.dice(reference=reference, prediction=prediction)
    for convert in (jnp.asarray, OnlyDLPack, np.ndarray.tolist):
        got = segjax.dice(reference=convert(reference), prediction=convert(prediction))
        assert float(got) == pytest.approx(float(expected))


def test_spacing_follows_an_image_that_is_turned_to_memory_order():
    image = np.asfortranarray(np.ones((2, 3, 4), int))
    case = make_case(reference=image, prediction=image, spacing=(1, 2, 3))
    assert dict(zip(case.reference.shape, case.spacing, strict=True)) == {2: 1, 3: 2, 4: 3}


def test_one_number_is_the_spacing_of_every_axis():
    assert make_case(reference=ONES, prediction=ONES, spacing=0.5).spacing == (0.5, 0.5)


def test_distinct_labels_are_found(rng):
    labels = rng.integers(0, 9, (13, 7)) * 1000
    assert distinct(labels).tolist() == np.unique(labels).tolist()
    assert distinct(labels[:0]).size == 0
