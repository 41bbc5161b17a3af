"""What a model's inputs looked like when it was released: what live inputs are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_store.input_features import measure_features

# Bins between quantiles: enough for a two-sample test to lose little, few enough for a manifest.
NUM_BINS = 32


def describe_inputs(inputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Describe held-out rows, feature by feature, as the manifest's `input_features` have it."""
    return [
        {"input": name, "feature": feature, **_count(values)}
        for name, rows in inputs.items()
        for feature, values in measure_features(rows).items()
    ]


def _count(values: np.ndarray) -> dict[str, Sequence[float]]:
    """Count values in bins of equal shares; the first and the last bin are for what no row had."""
    # Rounded first, so that each value falls on the same side of an edge here and in service.
    known = np.sort(values[np.isfinite(values)].astype(np.float64)) if values.dtype.kind == "f" else np.sort(values)
    if not len(known):
        return {"edges": (0.0,), "counts": (0, 0)}
    places = np.linspace(0, len(known) - 1, NUM_BINS + 1).round().astype(int)
    quantiles = known[places].astype(np.float64)
    edges = np.unique([_below(quantiles[0]), *map(_round_up, quantiles[1:])])
    counts = np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)
    return {"edges": tuple(map(float, edges)), "counts": tuple(map(int, counts))}


def _below(value: float) -> float:
    """The largest number of six digits below a value."""
    rounded = float(f"{value:.6g}")
    return rounded if rounded < value else rounded - _digit(value)


def _round_up(value: float) -> float:
    """The smallest number of six digits that is not below a value."""
    rounded = float(f"{value:.6g}")
    return rounded if rounded >= value else float(f"{rounded + _digit(value):.6g}")


def _digit(value: float) -> float:
    """The worth of a value's sixth digit."""
    return float(10.0 ** (np.floor(np.log10(abs(value))) - 5)) if value else 1e-6
