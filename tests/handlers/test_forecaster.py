"""The handler around a stand-in program: what it makes of gaps, sizes and horizons."""

from pathlib import Path

import numpy as np
import pytest

from handlers.device import Cpu
from handlers.forecaster import ForecasterHandler

OUTPUTS = ("q10", "q50", "q90")


def forecast(values):
    """Add -1, 0 and 1 to the last value, and the step."""
    (histories,) = values
    steps = np.arange(1, 5)[None, :, None]
    return [(histories[:, -1:, None] + steps + np.array([-1, 0, 1])).astype(np.float32)]


@pytest.fixture
def handler():
    manifest = {
        "handler_options": {},
        "programs": {},
        "inputs": [{"name": "history"}],
        "outputs": [{"name": name} for name in OUTPUTS],
        "default_outputs": [],
    }
    handler = ForecasterHandler(manifest, Path(), Cpu())
    handler.programs = {"main": forecast}
    return handler


def histories():
    return np.arange(24, dtype=np.float32).reshape(3, 8)


def test_each_quantile_is_an_output_with_a_value_for_each_step(handler):
    found = handler.infer({"history": histories()}, {}).arrays
    assert list(found) == list(OUTPUTS)
    assert found["q50"].tolist() == [[8, 9, 10, 11], [16, 17, 18, 19], [24, 25, 26, 27]]
    assert found["q90"][0].tolist() == [9, 10, 11, 12]
    assert list(handler.infer({"history": histories()}, {}, ["q90"]).arrays) == ["q90"]


def test_the_horizon_may_be_shorter(handler):
    found = handler.infer({"history": histories()}, {"horizon": 2}).arrays
    assert found["q10"].tolist() == [[7, 8], [15, 16], [23, 24]]


def test_missing_values_are_filled_from_their_neighbours(handler):
    seen = []
    handler.programs = {"main": lambda values: seen.append(values[0]) or forecast(values)}
    rows = histories()
    rows[1, 2:4] = np.nan
    rows[2, -1] = np.nan
    found = handler.infer({"history": rows}, {})
    assert found.row_errors == [None] * 3
    assert seen[0][1].tolist() == histories()[1].tolist()
    assert seen[0][2, -1] == 22
    assert seen[0].dtype == np.float32
    assert np.isnan(rows[1, 2])  # what came is left as it is


def test_rows_that_cannot_be_forecast_fail_alone_and_say_why(handler):
    rows = np.tile(histories(), (2, 1))
    rows[1, :5] = np.nan
    rows[2] = np.nan
    rows[3, 0] = -np.inf
    rows[4, 3] = 2e30
    found = handler.infer({"history": rows}, {})
    assert found.row_errors[0] is found.row_errors[5] is None
    assert found.row_errors[1] == "5 of 8 values are missing; half of them must be there"
    assert found.row_errors[2].startswith("8 of 8 values are missing")
    assert found.row_errors[3].startswith("the history holds inf; values go up to ±1e+30")
    assert found.row_errors[4].startswith("the history holds 2e+30")
    assert not found.arrays["q50"][1:5].any()
    assert found.arrays["q50"][5].tolist() == [24, 25, 26, 27]
