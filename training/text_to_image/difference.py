"""Whether two finished runs really differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from training.engine.difference import describe_difference
from training.engine.runs import read_arrays
from training.release.statistics import paired_bootstrap
from training.text_to_image.evaluate import EVALUATION, MEASURED
from training.text_to_image.measurement import METRICS


def compare_runs(first: Path, second: Path) -> str:
    """Compare what two finished runs draw of the same test captions; returns the findings as text.

    Raises:
        FileNotFoundError: a run has nothing measured because it did not finish.
        ValueError: the runs were evaluated on different captions or by different judges.
    """
    one, other = (read_arrays(run, MEASURED) for run in (first, second))
    evaluations = [json.loads((run / EVALUATION).read_text()) for run in (first, second)]
    if evaluations[0]["digest"] != evaluations[1]["digest"] or not np.allclose(
        one["seen_frechet"][:, 1], other["seen_frechet"][:, 1], atol=1e-3
    ):
        raise ValueError(
            f"{first} and {second} were judged by different networks or on different captions; train both with the "
            "same --data and the same --set jury=RUN"
        )
    lines = []
    for part, found in evaluations[0]["parts"].items():
        lines.append(f"{found['n']} {part} test captions; second − first")
        for metric, aggregate in METRICS.items():
            name = f"{part}_{metric}"
            if name not in one:
                continue
            low, high, p_value = paired_bootstrap(other[name], one[name], aggregate)
            before, after = (aggregate(rows[name]) for rows in (one, other))
            told = describe_difference(before, after, (low, high), p_value, test="paired bootstrap")
            lines.append(f"{metric:15} {told}")
    return "\n".join(lines)
