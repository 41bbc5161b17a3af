"""Serve CSI feedback: channels to codewords as the user equipment does, codewords to channels as the base station does.

Programs: `encoder` maps channels float32 [N, T, A, 2] of mean power 1 to codewords [N, M], `decoder` codewords to
channels. Which program runs follows from what comes and what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler, Outputs


class CsiFeedbackHandler(Handler):
    """Inputs `channel` FP32 [N, T, A, 2], or `codeword` [N, M] and optionally `scale` FP32 [N].

    Outputs `codeword`, `scale` and `reconstruction`; whoever asks for the first two only pays for the encoder only.
    """

    def infer(
        self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str] = ()
    ) -> Outputs:
        is_restored = "reconstruction" in (requested or self.default_outputs)
        return super().infer(inputs, {**parameters, "restore": is_restored}, requested)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        if "codeword" in inputs:
            codewords = inputs["codeword"]
            return Decoded([codewords, inputs.get("scale", np.ones(len(codewords), np.float32))])
        channels = inputs["channel"]
        power = np.square(channels, dtype=np.float64).mean((1, 2, 3)) * 2
        is_usable = np.isfinite(power) & (power > 0)
        scale = np.sqrt(np.where(is_usable, power, 1))
        usable = np.where(is_usable[:, None, None, None], channels, 0)
        rows = (usable / scale[:, None, None, None]).astype(np.float32)
        row_errors = [_explain(each) for each in power]
        return Decoded([rows, scale.astype(np.float32)], row_errors)

    def stack(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        rows, scale = arrays
        return [*self.device.put([rows]), scale]

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        rows, scale = values
        codewords = self.programs["encoder"]([rows])[0] if rows.ndim == 4 else rows
        restored = self.programs["decoder"]([codewords]) if parameters["restore"] else ()
        return [scale, codewords, *restored]

    def unstack(self, results: Sequence[Any]) -> list[np.ndarray]:
        scale, *others = results
        return [scale, *self.device.fetch(others)]

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        scale, codewords, *restored = results
        named = {"codeword": codewords, "scale": scale}
        if restored:
            named["reconstruction"] = restored[0] * scale[:, None, None, None]
        return {name: named[name] for name in requested}


def _explain(power: np.floating) -> str | None:
    """Say why a channel of this mean power cannot be compressed; None if it can."""
    if not np.isfinite(power):
        return "the channel holds NaN or infinity; every entry must be a finite number"
    return None if power > 0 else "the channel is all zeros; there is nothing to feed back"
