"""`compress` and `restore`: complex channels to codewords and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_calls, read_row_errors
from services.client.steps import Steps
from services.client.wire import Answer

ROWS_PER_CALL = 64


@dataclass(frozen=True, slots=True)
class Codewords:
    """What stands for N channels: `codeword` [N, M] and `scale` float32 [N].

    `restored` is what comes back of them, complex64 [N, T, A], where it was asked for. `errors` says why rows failed,
    '' for good ones, and failed rows are zeros.
    """

    codeword: np.ndarray
    scale: np.ndarray
    restored: np.ndarray | None
    errors: tuple[str, ...]
    version: str


def compress(
    channel: Any,
    *,
    restore: bool = False,
    model: str = "csi_feedback",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[Codewords]:
    """Compress channels, complex [N, T, A] by delay tap and angle or one [T, A]; `client.perform(compress(…))`.

    With `restore` the decoder runs too. Many channels travel in several calls at once; one that is zero or not finite
    fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: the array is not complex or has no channel's shape.
    """
    rows = _prepare_rows(channel)
    names = ("codeword", "scale", *(("reconstruction",) if restore else ()), ROW_ERRORS)
    calls = make_infer_calls(
        model,
        {"channel": rows},
        ROWS_PER_CALL,
        version=version,
        outputs=names,
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return Codewords(
        codeword=_join(answers, "codeword"),
        scale=_join(answers, "scale"),
        restored=_view_complex(_join(answers, "reconstruction")) if restore else None,
        errors=tuple(error for answer in answers for error in read_row_errors(answer, len(answer.arrays["scale"]))),
        version=answers[0].version,
    )


def restore(
    codeword: np.ndarray,
    scale: np.ndarray | None = None,
    *,
    model: str = "csi_feedback",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[np.ndarray]:
    """Restore channels complex64 [N, T, A] from codewords [N, M] and their scales [N], 1 if absent.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
    """
    inputs = {"codeword": codeword} | ({} if scale is None else {"scale": scale})
    calls = make_infer_calls(
        model, inputs, ROWS_PER_CALL, version=version, outputs=("reconstruction",), timeout_s=timeout_s
    )
    answers = yield from infer_answers(calls)
    return _view_complex(_join(answers, "reconstruction"))


def measure_nmse_db(channel: np.ndarray, restored: np.ndarray) -> float:
    """Mean share of the channels' power that is lost, in dB, of complex channels [N, T, A]."""
    lost = np.square(np.abs(restored.astype(np.complex128) - channel)).sum((1, 2))
    power = np.square(np.abs(channel.astype(np.complex128))).sum((1, 2))
    return float(10 * np.log10((lost / power).mean()))


def _prepare_rows(channel: Any) -> np.ndarray:
    """View channels as float32 [N, T, A, 2], without a copy if they are contiguous complex64."""
    array = np.asarray(channel)
    if not np.iscomplexobj(array):
        raise ValueError(f"channels are complex arrays, got {array.dtype}; re/im pairs go as array.view('complex64')")
    if array.ndim not in (2, 3) or len(array) == 0:
        raise ValueError(f"channels have shape [N, T, A] or [T, A], got {list(array.shape)}")
    rows = np.ascontiguousarray(array if array.ndim == 3 else array[None], np.complex64)
    return rows.view(np.float32).reshape(*rows.shape, 2)


def _join(answers: list[Answer], name: str) -> np.ndarray:
    return np.concatenate([answer.arrays[name] for answer in answers])


def _view_complex(pairs: np.ndarray) -> np.ndarray:
    view: np.ndarray = np.ascontiguousarray(pairs).view(np.complex64)[..., 0]
    return view
