"""The handler around a stand-in program: what it makes of gaps, and of probabilities."""

from pathlib import Path

import numpy as np
import pytest

from handlers.device import Cpu
from handlers.signal_classifier import SignalClassifierHandler


def classify(values):
    """Make a third of a signal's mean the first label's probability."""
    (signals,) = values
    first = signals.mean(1) / 3
    return [np.stack([first, 1 - first], 1).astype(np.float32)]


@pytest.fixture
def handler():
    manifest = {
        "handler_options": {"labels": ["calm", "wild"]},
        "programs": {},
        "inputs": [{"name": "signal"}],
        "outputs": [{"name": "probabilities"}, {"name": "label"}],
        "default_outputs": [],
    }
    handler = SignalClassifierHandler(manifest, Path(), Cpu())
    handler.programs = {"main": classify}
    return handler


def test_gaps_are_filled_and_labels_named(handler):
    signals = np.array([[1, np.nan, 3], [0.5, 0.5, 0.5]], np.float32)
    found = handler.infer({"signal": signals}, {})
    assert found.row_errors == [None, None]
    assert found.arrays["label"].tolist() == [b"calm", b"wild"]
    np.testing.assert_allclose(found.arrays["probabilities"][:, 0], [2 / 3, 1 / 6], rtol=1e-6)


def test_labels_are_ranked_where_so_many_are_asked_for(handler):
    found = handler.infer({"signal": np.full((1, 3), 0.75, np.float32)}, {"top_k": 2}, ["label", "probabilities"])
    assert found.arrays["label"].tolist() == [[b"wild", b"calm"]]
    assert found.arrays["probabilities"].tolist() == [[0.75, 0.25]]


def test_a_signal_that_is_none_fails_alone_and_says_why(handler):
    signals = np.array([[1, 1, 1], [np.nan, np.nan, 1], [1, np.inf, 1]], np.float32)
    found = handler.infer({"signal": signals}, {})
    assert found.row_errors[0] is None
    assert found.row_errors[1] == "2 of 3 values are missing; half of them must be there"
    assert found.row_errors[2].startswith("the signal holds inf; values go up to ±1e+30")
    assert found.arrays["label"].tolist() == [b"wild", b"", b""]
