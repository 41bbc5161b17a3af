"""The handler around a stand-in program: gaps are filled before it, and its answers are handed on."""

from pathlib import Path

import numpy as np

from handlers.device import Cpu
from handlers.signal_denoiser import SignalDenoiserHandler


def test_gaps_are_filled_and_what_is_no_signal_fails_alone():
    manifest = {"handler_options": {}, "programs": {}, "inputs": [{"name": "signal"}], "outputs": [{"name": "clean"}]}
    handler = SignalDenoiserHandler(manifest | {"default_outputs": []}, Path(), Cpu())
    handler.programs = {"main": lambda values: [values[0] - values[0].mean(1, keepdims=True)]}
    signals = np.array([[1, np.nan, 3], [np.nan, np.nan, 1], [4, 4, 1]], np.float32)
    found = handler.infer({"signal": signals}, {})
    assert found.arrays["clean"].tolist() == [[-1, 0, 1], [0, 0, 0], [1, 1, -2]]
    assert found.row_errors == [None, "2 of 3 values are missing; half of them must be there", None]
