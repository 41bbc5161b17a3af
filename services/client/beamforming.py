"""`beamform`: complex channel estimates to complex precoders and combiners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.open_inference import ROW_ERRORS
from services.client.inference import infer_answers, make_infer_calls, read_row_errors
from services.client.steps import Steps
from services.client.wire import Answer

ROWS_PER_CALL = 16
_DIGITAL = ("precoder", "combiner")
_HYBRID = ("analog_precoder", "baseband_precoder", "analog_combiner", "baseband_combiner")


@dataclass(frozen=True, slots=True)
class Beams:
    """Weights for N channels, complex64; `errors` says why rows failed, '' for good ones, and failed rows are zeros.

    `precoder` [N, K, T, Ns] and `combiner` [N, K, R, Ns]; with RF chains they are `analog` [N, antennas, L] times
    `baseband` [N, K, L, Ns], otherwise the four parts are None.
    """

    precoder: np.ndarray
    combiner: np.ndarray
    analog_precoder: np.ndarray | None
    baseband_precoder: np.ndarray | None
    analog_combiner: np.ndarray | None
    baseband_combiner: np.ndarray | None
    errors: tuple[str, ...]
    version: str


def beamform(
    channel: Any,
    *,
    csi_snr_db: float | np.ndarray | None = None,
    rf_chains: int | None = None,
    model: str = "beamformer",
    version: str = "",
    timeout_s: float | None = None,
) -> Steps[Beams]:
    """Beamform for channel estimates, complex [N, K, R, T] or one [K, R, T], of any scale.

    `csi_snr_db`, one number or [N], says how good they are; without it the server estimates that. `rf_chains` asks for
    hybrid weights. Many channels travel in several calls at once; one that is zero or not finite fails alone.

    Raises:
        ClientError: the server refused or did not answer; the subclass says which.
        ValueError: the array is not complex or has no channel's shape.
    """
    rows = _prepare_rows(channel)
    levels = None if csi_snr_db is None else np.broadcast_to(np.asarray(csi_snr_db, np.float32), len(rows))
    names = _DIGITAL if rf_chains is None else (*_DIGITAL, *_HYBRID)
    calls = make_infer_calls(
        model,
        {"channel": rows} | ({} if levels is None else {"csi_snr_db": levels.copy()}),
        ROWS_PER_CALL,
        parameters={} if rf_chains is None else {"rf_chains": rf_chains},
        version=version,
        outputs=(*names, ROW_ERRORS),
        timeout_s=timeout_s,
    )
    answers = yield from infer_answers(calls)
    return _join(answers, names)


def measure_spectral_efficiency(
    channel: np.ndarray, precoder: np.ndarray, combiner: np.ndarray, data_snr_db: float
) -> np.ndarray:
    """Evaluate R = log2 det(I + ρ/Ns (WᴴW)⁻¹ WᴴHF FᴴHᴴW), averaged over subcarriers: float [N], bits/s/Hz.

    Channels are complex [N, K, R, T], precoders [N, K, T, Ns] with ‖F‖² = Ns, combiners [N, K, R, Ns] of full rank.
    """
    adjoint = combiner.conj().swapaxes(-1, -2)
    received = adjoint @ channel @ precoder
    noise = adjoint @ combiner
    signal = received @ received.conj().swapaxes(-1, -2) * (10 ** (data_snr_db / 10) / precoder.shape[-1])
    rates: np.ndarray = np.linalg.slogdet(noise + signal)[1] - np.linalg.slogdet(noise)[1]
    return rates.mean(-1) / np.log(2)


def _prepare_rows(channel: Any) -> np.ndarray:
    """View channels as float32 [N, K, R, T, 2], without a copy if they are contiguous complex64."""
    array = np.asarray(channel)
    if not np.iscomplexobj(array):
        raise ValueError(f"channels are complex arrays, got {array.dtype}; re/im pairs go as array.view('complex64')")
    if array.ndim not in (3, 4) or len(array) == 0:
        raise ValueError(f"channels have shape [N, K, R, T] or [K, R, T], got {list(array.shape)}")
    rows = np.ascontiguousarray(array if array.ndim == 4 else array[None], np.complex64)
    return rows.view(np.float32).reshape(*rows.shape, 2)


def _join(answers: list[Answer], names: tuple[str, ...]) -> Beams:
    arrays = {
        name: np.concatenate([answer.arrays[name].view(np.complex64)[..., 0] for answer in answers]) for name in names
    }
    errors = [error for answer in answers for error in read_row_errors(answer, len(answer.arrays["precoder"]))]
    parts = {name: arrays.get(name) for name in _HYBRID}
    return Beams(arrays["precoder"], arrays["combiner"], **parts, errors=tuple(errors), version=answers[0].version)
