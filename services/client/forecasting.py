"""`forecast`: series of numbers to quantiles of their next steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_calls, metadata, read_row_errors
from services.client.series import Series, stack_series
from services.client.steps import Steps

ROWS_PER_CALL = 64
_QUANTILE = re.compile(r"q\d\d")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What comes next in N series: by level (`q10`, `q50`, …) float32 [N, H] that the values stay below so probably.

    `errors` says why rows failed, '' for good ones, and failed rows are zeros.
    """

    quantiles: Mapping[str, np.ndarray]
    errors: tuple[str, ...]
    version: str


def forecast(
    series: Series,
    *,
    horizon: int | None = None,
    model: str = "forecaster",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[Forecast]:
    """Forecast series of any length, oldest value first, NaN where one is missing; `client.perform(forecast(…))`.

    The model sees the last values of each, as many as it takes. Without `horizon` it forecasts all its steps. Many
    series travel in several calls at once; one that cannot be forecast fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: a series is shorter than what the model takes, or there is none.
    """
    described = yield from metadata(model, version=version, timeout_s=timeout_s)
    histories = stack_series(series, described, "history", "forecaster")
    levels = tuple(tensor.name for tensor in described.outputs if _QUANTILE.fullmatch(tensor.name))
    calls = make_infer_calls(
        model,
        {"history": histories},
        ROWS_PER_CALL,
        parameters={} if horizon is None else {"horizon": horizon},
        version=version,
        outputs=(*levels, ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    quantiles = {level: np.concatenate([answer.arrays[level] for answer in answers]) for level in levels}
    errors = [error for answer in answers for error in read_row_errors(answer, len(answer.arrays[levels[0]]))]
    return Forecast(quantiles, tuple(errors), answers[0].version)
