"""Whether two finished runs really differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.engine.difference import describe_difference
from training.engine.runs import read_arrays
from training.language_model.evaluate import PREDICTIONS
from training.language_model.scores import bits_per_character
from training.release.statistics import paired_bootstrap


def compare_runs(first: Path, second: Path) -> str:
    """Compare two finished runs' bits per character of the same test texts; returns the finding as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different texts.
    """
    one, other = (read_arrays(run, PREDICTIONS) for run in (first, second))
    if one["texts"].tolist() != other["texts"].tolist():
        raise ValueError(
            f"{first} and {second} were evaluated on different texts; compare runs on the same data, with the same "
            "vocabulary and context"
        )
    sums = [np.stack([each["nats"], each["characters"]], 1) for each in (one, other)]
    bits = [bits_per_character(each) for each in sums]
    low, high, p_value = paired_bootstrap(sums[1], sums[0], bits_per_character)
    difference = describe_difference(bits[0], bits[1], (low, high), p_value)
    return f"{len(sums[0])} test windows; bits per character {difference}"
