"""The form in which networks are served that give logits of labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CalibratedProgram(nn.Module):
    """What is released: rows as the network takes them → probabilities float32 [N, K], the temperature inside."""

    temperature: Tensor

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("temperature", torch.tensor(temperature))
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        return (self.network(rows) / self.temperature).softmax(1)
