"""Evaluations that show as much in a fraction of the time."""

from __future__ import annotations

import math

import pytest


@pytest.fixture(scope="module", autouse=True)
def _short_evaluations():
    """Draw few bootstrap samples, and evaluate at some of the levels only: the others take the same way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.release.statistics._AGGREGATE_REPEATS", 50)
        patch.setattr("training.beamformer.evaluate.CSI_SNR_DB", (math.inf, -10.0, -15.0))
        patch.setattr("training.beamformer.evaluate.HYBRID_CSI_SNR_DB", (math.inf,))
        yield
