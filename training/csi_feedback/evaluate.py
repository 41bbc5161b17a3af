"""What a finished run is worth on channels that nothing was trained on, beside codewords without a network.

Every figure has a 95 % bootstrap interval over channels; differences are paired.
Dimensions: N channels, T delay taps, A angles.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.csi_feedback.baselines import keep_common, keep_strongest, project
from training.csi_feedback.data import CsiData
from training.csi_feedback.network import load_network
from training.csi_feedback.pictures import draw_all
from training.csi_feedback.program import restore_channels
from training.csi_feedback.scores import measure_errors, measure_similarity, nmse_db
from training.engine.runs import write_json
from training.release.statistics import bootstrap_interval, paired_bootstrap

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.npz"
NETWORK, COMPONENTS, STRONGEST, COMMON = "network", "principal components", "strongest entries", "common entries"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One method's NMSE in dB with its interval, and ρ; `difference` is network − method, its interval and p value."""

    method: str
    nmse_db: float
    interval: tuple[float, float]
    similarity: float
    difference: tuple[float, float, float, float] | None = None


def evaluate_run(run: Path, data: CsiData) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz and pictures; returns the headline figures."""
    codec, recipe = load_network(run)
    restored = {NETWORK: restore_channels(codec, data.test)} | restore_by_baselines(data)
    figures = compare_methods(restored, data)
    errors = {method: measure_errors(data.test.numpy(), each) for method, each in restored.items()}
    record = {
        "dataset": f"{data.name} test",
        "n": len(data.test),
        "code_size": recipe.code_size,
        "code_bits": recipe.code_bits or 32,
        "figures": [asdict(figure) for figure in figures],
    }
    write_json(run / EVALUATION, record)
    np.savez_compressed(run / PREDICTIONS, test=data.test[:, :, :, 0].sum((1, 2)).numpy(), errors=errors[NETWORK])
    if importlib.util.find_spec("matplotlib") is not None:
        draw_all(run, data.test.numpy(), restored, errors)
    return headline(figures, len(data.test))


def restore_by_baselines(data: CsiData) -> dict[str, np.ndarray]:
    """What comes back of test channels float32 [N, T, A, 2] by codewords of the same size, always unrounded."""
    return {
        COMPONENTS: project(data.test, data.components).numpy(),
        STRONGEST: keep_strongest(data.test, data.code_size).numpy(),
        COMMON: keep_common(data.test, data.fit, data.code_size).numpy(),
    }


def compare_methods(restored: Mapping[str, np.ndarray], data: CsiData) -> list[Figure]:
    """Measure all methods, and pair the others with the first."""
    channels = data.test.numpy()
    figures: list[Figure] = []
    first: np.ndarray | None = None
    for method, each in restored.items():
        errors, difference = measure_errors(channels, each), None
        if first is None:
            first = errors
        else:
            low, high, p_value = paired_bootstrap(first, errors, nmse_db)
            difference = (nmse_db(first) - nmse_db(errors), low, high, p_value)
        figures.append(
            Figure(
                method=method,
                nmse_db=nmse_db(errors),
                interval=bootstrap_interval(errors, nmse_db),
                similarity=float(measure_similarity(channels, each).mean()),
                difference=difference,
            )
        )
    return figures


def headline(figures: list[Figure], n: int) -> dict[str, Any]:
    """The figures that a run is told by."""
    own = figures[0]
    components, strongest = (
        next(figure for figure in figures if figure.method == method) for method in (COMPONENTS, STRONGEST)
    )
    assert components.difference is not None
    assert strongest.difference is not None
    return {
        "n": n,
        "nmse_db": round(own.nmse_db, 2),
        "nmse_db_interval": [round(end, 2) for end in own.interval],
        "similarity": round(own.similarity, 4),
        "db_minus_components": [round(value, 2) for value in components.difference[:3]],
        "db_minus_strongest": [round(value, 2) for value in strongest.difference[:3]],
    }
