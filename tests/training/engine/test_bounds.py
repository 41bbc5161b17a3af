"""What recipes refuse, and how they say it."""

import math
from types import SimpleNamespace

import pytest

from training.engine.bounds import check_bounds


def test_numbers_within_their_bounds_pass():
    recipe = SimpleNamespace(epochs=0.5, shift=0, dropout=0.0)
    check_bounds(recipe, positive=["epochs"], not_negative=["shift"], fractions=["dropout"])
    with pytest.raises(ValueError, match="dropout must be positive"):
        check_bounds(recipe, positive=["epochs", "dropout"])


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("positive", 0, "x must be positive, got 0"),
        ("positive", math.nan, "x must be positive, got nan"),
        ("not_negative", -1.5, "x must not be negative, got -1.5"),
        ("fractions", 1.0, r"x must lie in \[0, 1\), got 1.0"),
        ("fractions", -0.1, r"x must lie in \[0, 1\), got -0.1"),
    ],
)
def test_a_number_out_of_bounds_is_named(kind, value, message):
    with pytest.raises(ValueError, match=message):
        check_bounds(SimpleNamespace(x=value), **{kind: ["x"]})
