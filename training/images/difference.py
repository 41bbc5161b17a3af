"""Whether one run draws better images than another, as the same judge sees them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from training.engine.difference import judge_difference
from training.engine.runs import read_arrays
from training.images.assessment import EVALUATION, FEATURES
from training.images.distances import FrechetReference, Projection, bootstrap_difference

_NUM_COMPONENTS = 64
_REPEATS = 500


def compare_runs(first: Path, second: Path) -> str:
    """Report the Fréchet distances of two runs, and the difference with its bootstrap interval.

    Both runs must have been judged by the same classifier (`--set judge=RUN`): distances are about its features.
    The interval is found on leading principal components of the features, where a bootstrap is affordable.

    Raises:
        ValueError: the runs were judged by different classifiers, or on different test images.
        FileNotFoundError: a run did not finish.
    """
    features = [read_arrays(run, FEATURES) for run in (first, second)]
    real = features[0]["real"]
    if real.shape != features[1]["real"].shape or not np.allclose(real, features[1]["real"], atol=1e-2, rtol=1e-2):
        raise ValueError(
            f"{first} and {second} were judged by different classifiers or on different data; train both with the same "
            "--data and the same --set judge=RUN"
        )
    lines = [f"Fréchet distance to {len(real)} real test images, as the same judge sees them"]
    reference = FrechetReference(real)
    for run, rows in zip((first, second), features, strict=True):
        figures = json.loads((run / EVALUATION).read_text())
        distance = reference.distance(rows["generated"])
        lines.append(f"  {run}: {distance:.4g} (floor {figures['frechet_floor']:.4g}, n {len(rows['generated'])})")
    project = Projection(real, _NUM_COMPONENTS)
    difference, (low, high) = bootstrap_difference(
        project(features[0]["generated"]), project(features[1]["generated"]), project(real), repeats=_REPEATS, seed=0
    )
    lines.append(
        f"second minus first, on {project.axes.shape[1]} principal components: {difference:+.4g} "
        f"(95 % interval {low:+.4g} … {high:+.4g}): {judge_difference(low, high)}"
    )
    return "\n".join(lines)
