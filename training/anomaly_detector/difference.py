"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.anomaly_detector.evaluate import PREDICTIONS
from training.engine.difference import describe_difference, other_test
from training.engine.runs import read_arrays
from training.labels.unusual import area_under_curve
from training.release.statistics import paired_bootstrap


def compare_runs(first: Path, second: Path) -> str:
    """Compare how well two finished runs tell the same unusual signals from usual ones; returns the finding as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test signals.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    for name in ("labels", "is_unusual"):
        if not np.array_equal(one[name], other[name]):
            raise other_test(first, second, "signals")
    rows = [np.column_stack([each["deviation"], each["is_unusual"]]) for each in (one, other)]
    low, high, p_value = paired_bootstrap(rows[1], rows[0], area_under_curve)
    before, after = (area_under_curve(each) for each in rows)
    found = describe_difference(before, after, (low, high), p_value, test="paired bootstrap")
    return f"{len(rows[0])} test signals; second − first\narea_under_curve  {found}"
