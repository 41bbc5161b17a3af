"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.csi_feedback.evaluate import PREDICTIONS
from training.csi_feedback.scores import nmse_db
from training.engine.difference import describe_difference, other_test
from training.engine.runs import read_arrays
from training.release.statistics import paired_bootstrap


def compare_runs(first: Path, second: Path) -> str:
    """Compare what comes back of the same test channels in two finished runs; returns the finding as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test channels.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    if not np.array_equal(one["test"], other["test"]):
        raise other_test(first, second, "channels")
    low, high, p_value = paired_bootstrap(other["errors"], one["errors"], nmse_db)
    found = describe_difference(nmse_db(one["errors"]), nmse_db(other["errors"]), (low, high), p_value)
    return f"{len(one['errors'])} test channels; second − first, paired bootstrap\nNMSE, dB  {found}"
