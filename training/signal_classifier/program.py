"""What a signal classifier says of many signals."""

from __future__ import annotations

import torch
from torch import Tensor

from training.signal_classifier.network import SignalClassifier

_ROWS = 500


@torch.no_grad()
def predict_logits(network: SignalClassifier, signals: Tensor, device: torch.device) -> Tensor:
    """Logits float32 [N, K] of any number of signals [N, L], on the CPU."""
    network = network.eval()
    return torch.cat([network(rows.to(device)).float().cpu() for rows in signals.split(_ROWS)])
