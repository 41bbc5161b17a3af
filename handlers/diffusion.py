"""Serve a diffusion model: seeds or latents in, images out.

Options: those of drawing.py, `shape` of an image [H, W, C], `noise_schedule`, the defaults `steps`, `guidance` and
`sampler`.
Program: noisy images float32 [N, Z] with pixels in [−1, 1], channels first; their log SNR float32 [N]; labels int64
[N], of which the one after the last means any class → the images behind them, float32 [N, Z].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlers.device import Device
from handlers.drawing import DrawingHandler
from model_store.denoising import denoise, plan_steps


class _NobodyWaitsError(Exception):
    """All callers of a batch have left."""


class DiffusionHandler(DrawingHandler):
    """Parameters `steps`, `guidance` and `sampler`, besides those of every handler that draws.

    A latent is the noise that the steps begin with. Guidance w takes the image that the class makes likely w times as
    far from the one without a class; every other than 1 asks the program for twice as many rows.
    Source: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598, eq. 6.
    """

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.shape: Sequence[int] = self.options["shape"]

    def stack(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Leave arrays where they are: how many rows the program gets depends on the guidance."""
        return list(arrays)

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Take all steps, while anybody waits for them; returns images float32 [N, Z] on the device."""
        noise, labels = values
        count, guidance = len(noise), float(parameters.get("guidance", self.options["guidance"]))
        is_guided = guidance != 1
        if is_guided:
            labels = np.concatenate([labels, np.full(count, len(self.labels))])
        twice = np.tile(np.arange(count), 2)
        noise, labels = self.device.put([noise, labels])
        departed: set[int] = set()

        def estimate(x: Any, log_snr: float) -> Any:
            departed.update(self.departed())
            if len(departed) == count:
                raise _NobodyWaitsError
            (levels,) = self.device.put([np.full(len(labels), log_snr, np.float32)])
            given = self.device.take(x, twice, 0) if is_guided else x
            (images,) = self.programs["main"]([given, levels, labels])
            if is_guided:
                images = images[count:] + guidance * (images[:count] - images[count:])
            return images.clip(-1, 1)

        log_snrs = plan_steps(self.options["noise_schedule"], int(parameters.get("steps", self.options["steps"])))
        try:
            return [denoise(estimate, noise, log_snrs, parameters.get("sampler", self.options["sampler"]))]
        except _NobodyWaitsError:
            return [noise.clip(-1, 1)]

    def unstack(self, results: Sequence[Any]) -> list[np.ndarray]:
        """Bring images back, as bytes [N, H, W, C]."""
        (images,) = super().unstack(results)
        height, width, channels = self.shape
        levels = ((images + 1) * 127.5).round().astype(np.uint8).reshape(-1, channels, height, width)
        return [np.ascontiguousarray(levels.transpose(0, 2, 3, 1))]
