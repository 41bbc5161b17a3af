import math

import numpy as np
import pytest

from model_store.interface import Tensor
from model_store.tensors import DTYPES
from services.gateway.errors import InvalidRequestError
from services.gateway.values import make_value_rule


def check(values, datatype="FP32", **bounds):
    rule = make_value_rule(Tensor(name="x", datatype=datatype, shape=(-1,), meaning="a number", **bounds))
    rule.check(np.array(values, DTYPES[datatype]).tobytes())


def test_takes_a_bound_as_the_datatype_rounds_it():
    check([0.3], maximum=0.3)  # as 32 bits a little more than 0.3 as 64
    check([0.7], minimum=0.7)


@pytest.mark.parametrize("value", [-math.inf, math.inf, math.nan])
def test_takes_what_is_not_finite_only_where_it_is_allowed_and_in_range(value):
    check([1, value], finite=False, minimum=-math.inf)
    with pytest.raises(InvalidRequestError, match="1 values that are NaN or infinite, the first at position 1"):
        check([1, value])


def test_refuses_an_infinity_beyond_a_bound_and_numbers_beside_nan():
    with pytest.raises(InvalidRequestError, match="has the value inf; the range is -∞ to 2"):
        check([1, math.inf], finite=False, maximum=2)
    check([1, math.nan], finite=False, maximum=2)


def test_bounds_outside_the_datatype_bound_nothing():
    check([-65504, 65504], "FP16", minimum=-1e9, maximum=1e9)
    assert make_value_rule(Tensor(name="x", datatype="UINT8", shape=(-1,), meaning="", minimum=0, maximum=255)) is None


@pytest.mark.parametrize(
    ("value", "words"), [(-1, "value -1; the range is 0 to 9"), (10, "value 10; the range is 0 to 9")]
)
def test_refuses_integers_out_of_range(value, words):
    check([0, 9], "INT64", minimum=0, maximum=9)
    with pytest.raises(InvalidRequestError, match=words):
        check([5, value], "INT64", minimum=0, maximum=9)
