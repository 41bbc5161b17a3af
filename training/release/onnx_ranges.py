"""How onnxruntime finds the ranges of activations that a static int8 program rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import (
    HistogramCalibrater,
    HistogramCollector,
    create_calibrator,
    save_tensors_data,
)

from training.release.rounding import PERCENTILE, Ranges

METHODS: Mapping[Ranges, CalibrationMethod] = {
    "extremes": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


def find_ranges(
    source: Path, path: Path, calibration: Iterable[Mapping[str, np.ndarray]], operations: Sequence[str], ranges: Ranges
) -> Path:
    """Write the ranges that operations of some types show on batches, as `quantize_static` reads them.

    Raises:
        KeyError: onnxruntime has no such way.
    """
    calibrator = create_calibrator(
        source,
        operations,
        str(path.with_suffix(".onnx")),
        calibrate_method=METHODS[ranges],
        extra_options={"percentile": PERCENTILE},
    )
    if isinstance(calibrator, HistogramCalibrater):
        calibrator.collector = _FiniteValues(
            method=calibrator.method,
            symmetric=calibrator.symmetric,
            num_bins=calibrator.num_bins,
            num_quantized_bins=calibrator.num_quantized_bins,
            percentile=calibrator.percentile,
            scenario=calibrator.scenario,
        )
    calibrator.collect_data(_Batches(iter(calibration)))
    save_tensors_data(calibrator.compute_data(), path)
    return path


class _FiniteValues(HistogramCollector):
    """Count finite values alone: what attention hides is −∞, of which a histogram cannot be made."""

    def collect(self, name_to_arr: Mapping[str, Sequence[np.ndarray]]) -> None:
        super().collect({name: _take_finite(arrays) for name, arrays in name_to_arr.items()})


def _take_finite(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Join what is finite, whatever the arrays' shapes; a zero where nothing is."""
    values = np.concatenate([array[np.isfinite(array)] for array in arrays])
    return values if len(values) else np.zeros(1, values.dtype)


class _Batches(CalibrationDataReader):
    """Hand batches to onnxruntime one by one."""

    def __init__(self, batches: Iterable[Mapping[str, np.ndarray]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._batches, None)
