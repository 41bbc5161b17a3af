"""The form in which an anomaly detector is served.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from training.anomaly_detector.network import SignalAutoencoder
from training.sequences.scaling import measure_scale

_ROWS = 500


class Program(nn.Module):
    """What is released: signals float32 [N, L] → what comes back of them, in their own unit; their deviations [N]."""

    def __init__(self, network: SignalAutoencoder) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        level, scale = measure_scale(signals)
        scaled = (signals - level) / scale
        back = self.network(scaled)
        return back * scale + level, measure_deviation(back, scaled)


def measure_deviation(back: Tensor, scaled: Tensor) -> Tensor:
    """Root mean square [N] of what signals [N, L] differ by from what came back."""
    return (back - scaled).square().mean(1).sqrt()


class Answer(NamedTuple):
    """What a program says of signals: the fields are its outputs."""

    reconstruction: np.ndarray
    deviation: np.ndarray


@torch.no_grad()
def answer_signals(network: SignalAutoencoder, signals: Tensor) -> Answer:
    """Answer any number of signals [N, L] as the released program would."""
    program, device = Program(network), next(network.parameters()).device
    answers = [program(rows.to(device)) for rows in signals.split(_ROWS)]
    return Answer(*(torch.cat(parts).cpu().numpy() for parts in zip(*answers, strict=True)))
