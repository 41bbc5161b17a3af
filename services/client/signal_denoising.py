"""`denoise_signals`: disturbed signals to what they were without wander, hum and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_calls, metadata, read_row_errors
from services.client.series import Series, stack_series
from services.client.steps import Steps

ROWS_PER_CALL = 64
_OUTPUT = "clean"


@dataclass(frozen=True, slots=True)
class CleanSignals:
    """What N signals were without disturbances: float32 [N, L] around 0, in the unit of what came.

    `errors` says why rows failed, '' for good ones, and failed rows are zeros.
    """

    values: np.ndarray
    errors: tuple[str, ...]
    version: str


def denoise_signals(
    signals: Series,
    *,
    model: str = "signal_denoiser",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[CleanSignals]:
    """Clean signals, oldest sample first, NaN where one is missing; `client.perform(denoise_signals(…))`.

    The model sees the last samples of each, as many as it takes. Many signals travel in several calls at once; one that
    cannot be cleaned fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: a signal is shorter than what the model takes, there is none, or the model cleans nothing.
    """
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    if _OUTPUT not in {tensor.name for tensor in described.outputs}:
        raise ValueError(f"{model} cleans nothing: it is no signal denoiser")
    calls = make_infer_calls(
        model,
        {"signal": stack_series(signals, described, "signal", "signal denoiser")},
        ROWS_PER_CALL,
        version=version,
        outputs=(_OUTPUT, ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    errors = [error for answer in answers for error in read_row_errors(answer, len(answer.arrays[_OUTPUT]))]
    return CleanSignals(
        np.concatenate([answer.arrays[_OUTPUT] for answer in answers]), tuple(errors), answers[0].version
    )
