"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.engine.difference import describe_difference, other_test
from training.engine.runs import read_arrays
from training.release.statistics import paired_bootstrap
from training.signal_denoiser.evaluate import PREDICTIONS


def compare_runs(first: Path, second: Path) -> str:
    """Compare the gains of two finished runs on the same test signals; returns the finding as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test signals.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    if not np.array_equal(one["snr_db"], other["snr_db"]):
        raise other_test(first, second, "signals")
    gains = [each["gain_db"] for each in (one, other)]
    low, high, p_value = paired_bootstrap(gains[1], gains[0])
    found = describe_difference(gains[0].mean(), gains[1].mean(), (low, high), p_value, test="paired bootstrap")
    return f"{len(gains[0])} test signals; second − first\ngain_db        {found}"
