"""The handler around a stand-in program: gaps are filled before it, and deviations are held to the threshold."""

from pathlib import Path

import numpy as np
import pytest

from handlers.anomaly_detector import AnomalyDetectorHandler
from handlers.device import Cpu


@pytest.fixture
def handler():
    """Of a signal its first sample comes back everywhere."""

    def reconstruct(values):
        (signals,) = values
        back = np.broadcast_to(signals[:, :1], signals.shape).copy()
        return [back, np.abs(signals - back).max(1)]

    manifest = {
        "handler_options": {"threshold": 2.0},
        "programs": {},
        "inputs": [{"name": "signal"}],
        "outputs": [{"name": "reconstruction"}, {"name": "deviation"}, {"name": "unusual"}],
        "default_outputs": [],
    }
    handler = AnomalyDetectorHandler(manifest, Path(), Cpu())
    handler.programs = {"main": reconstruct}
    return handler


def test_signals_beyond_the_threshold_are_unusual_and_what_is_no_signal_fails_alone(handler):
    signals = np.array([[1, np.nan, 3], [1, 1, 3.5], [np.nan, np.nan, 1]], np.float32)
    found = handler.infer({"signal": signals}, {})
    assert found.arrays["reconstruction"].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert found.arrays["deviation"].tolist() == [2, 2.5, 0]
    assert found.arrays["unusual"].tolist() == [False, True, False]
    assert found.row_errors == [None, None, "2 of 3 values are missing; half of them must be there"]


def test_a_request_may_name_another_threshold(handler):
    found = handler.infer({"signal": np.array([[1, 1, 3]], np.float32)}, {"threshold": 1.5}, ["unusual"])
    assert found.arrays["unusual"].tolist() == [True]
