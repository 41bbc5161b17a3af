"""Serve a beamformer: channel estimates in, precoders and combiners out, fully digital or hybrid.

Programs: `main` maps channels float32 [N, K, R, T, 2] and CSI SNRs float32 [N] (NaN: unknown) to precoders, combiners
and the denoised channels; `hybrid` maps precoders, denoised channels and numbers of RF chains int64 [N] to hybrid
weights of as many chains as there may be: those that a row does not have are zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from handlers.device import Device

_NUM_PROBES = 4
_RANK_TOLERANCE = 1e-5


class BeamformerHandler(Handler):
    """Inputs `channel` and, optionally, `csi_snr_db`; parameter `rf_chains` asks for hybrid weights of so many chains.

    Without it the analog and baseband outputs have no chains: they are empty.
    """

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        num_transmit = next(tensor["shape"][3] for tensor in manifest["inputs"] if tensor["name"] == "channel")
        generator = np.random.default_rng(0)
        parts = generator.standard_normal((2, num_transmit, _NUM_PROBES), np.float32)
        self.probes: np.ndarray = parts[0] + 1j * parts[1]

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        channel = inputs["channel"]
        csi_snr_db = inputs.get("csi_snr_db", np.full(len(channel), np.nan, np.float32))
        peaks = np.abs(channel).max(axis=(1, 2, 3, 4))
        is_usable = np.isfinite(peaks) & (peaks > 0)
        # Singular subspaces know no scale, but the squares of 1e20 and 1e-30 are no float32 numbers.
        scales = np.where(is_usable, peaks, 1)
        scaled = np.where(is_usable[:, None, None, None, None], channel, 0) / scales[:, None, None, None, None]
        row_errors = [self._explain(peak, row) for peak, row in zip(peaks, scaled, strict=True)]
        arrays = [scaled.astype(np.float32, copy=False), csi_snr_db]
        if "rf_chains" in parameters:
            arrays.append(np.full(len(channel), parameters["rf_chains"], np.int64))
        return Decoded(arrays, row_errors)

    def _explain(self, peak: np.floating, channel: np.ndarray) -> str | None:
        """Say why a channel [K, R, T, 2], its largest part scaled to 1, cannot be beamformed; None if it can."""
        if not np.isfinite(peak):
            return "the channel holds NaN or infinity; every entry must be a finite number"
        if peak == 0:
            return "the channel is all zeros; it has no direction to form a beam in"
        seen = np.ascontiguousarray(channel).view(np.complex64)[..., 0] @ self.probes
        gains = np.linalg.svd(seen, compute_uv=False)
        poor = np.flatnonzero(gains[:, 1] <= _RANK_TOLERANCE * gains[:, 0])
        if len(poor):
            return f"the channel of subcarrier {poor[0]} has rank 1 or 0; two streams need a channel of rank 2 or more"
        return None

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        channel, csi_snr_db, *num_chains = values
        precoder, combiner, estimate = self.programs["main"]([channel, csi_snr_db])
        return self.programs["hybrid"]([precoder, estimate, *num_chains]) if num_chains else (precoder, combiner)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        precoder, combiner, *parts = results
        if "rf_chains" in parameters:
            parts = [part[:, :, : parameters["rf_chains"]] for part in parts]
        else:
            parts = [part for weights in results for part in _make_chainless(weights)]
        return super().encode([precoder, combiner, *parts], parameters, requested)


def _make_chainless(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The analog and baseband parts, both without chains, of fully digital weights [N, K, antennas, streams, 2]."""
    num_rows, num_subcarriers, num_antennas, num_streams, _ = weights.shape
    shapes = (num_rows, num_antennas, 0, 2), (num_rows, num_subcarriers, 0, num_streams, 2)
    return np.empty(shapes[0], weights.dtype), np.empty(shapes[1], weights.dtype)
