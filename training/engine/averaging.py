"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class WeightAverage:
    """A second network that follows the first: average ← decay · average + (1 − decay) · weights, after each step.

    Early on the decay is lower, (1 + n) / (10 + n) after n updates, so that the random start is soon forgotten.
    Buffers (running means, counters) are averaged where they are floating point and copied elsewhere.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"the decay of a weight average must lie in (0, 1), got {decay}")
        self.decay = decay
        self.num_updates = 0
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present weights."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        floating, targets = [], []
        for average, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if average.is_floating_point():
                floating.append(average)
                targets.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(floating, targets, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.num_updates = state["num_updates"]
