"""`detect_anomalies`: signals to how unusual they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_calls, metadata, read_row_errors
from services.client.series import Series, stack_series
from services.client.steps import Steps
from services.client.wire import Answer

ROWS_PER_CALL = 64
_OUTPUTS = ("reconstruction", "deviation", "unusual")


@dataclass(frozen=True, slots=True)
class Detection:
    """What is said of one signal: `deviation` in standard deviations of it, and whether that exceeds the threshold.

    `reconstruction` float32 [L] is what a usual signal like it would be. `error` says why there is no answer;
    everything else is zeros then.
    """

    reconstruction: np.ndarray
    deviation: float
    is_unusual: bool
    version: str
    error: str = ""


def detect_anomalies(
    signals: Series,
    *,
    threshold: float | None = None,
    model: str = "anomaly_detector",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[list[Detection]]:
    """Say how unusual signals are, oldest sample first, NaN: missing; `client.perform(detect_anomalies(…))`.

    `threshold` is the deviation above which a signal is unusual; without it the model's own. The model sees the last
    samples of each signal, as many as it takes. Many travel in several calls at once; a bad one fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: a signal is shorter than what the model takes, there is none, or the model detects nothing.
    """
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    if not set(_OUTPUTS) <= {tensor.name for tensor in described.outputs}:
        raise ValueError(f"{model} detects nothing: it is no anomaly detector")
    calls = make_infer_calls(
        model,
        {"signal": stack_series(signals, described, "signal", "anomaly detector")},
        ROWS_PER_CALL,
        parameters={} if threshold is None else {"threshold": float(threshold)},
        version=version,
        outputs=(*_OUTPUTS, ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return [detection for answer in answers for detection in _read_detections(answer)]


def _read_detections(answer: Answer) -> list[Detection]:
    reconstructions, deviations, unusual = (answer.arrays[name] for name in _OUTPUTS)
    return [
        Detection(reconstructions[row], float(deviations[row]), bool(unusual[row]), answer.version, error)
        for row, error in enumerate(read_row_errors(answer, len(deviations)))
    ]
