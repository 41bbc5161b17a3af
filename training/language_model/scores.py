"""How much a text surprises a model, piece by piece.

Dimensions: N windows, C pieces of a window.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from training.language_model.network import LanguageModel
from training.sequences.vocabulary import BEGIN, END

_ROWS = 16


@torch.no_grad()
def surprise_of_network(network: LanguageModel, pieces: Tensor) -> np.ndarray:
    """Nats [N, C] by which each piece of windows int64 [N, C] surprises a network that has read those before it."""
    device = network.positions.device
    found = []
    for rows in pieces.to(device).split(_ROWS):
        logits = network.eval()(begin(rows)).float()
        logits[..., :END] = -math.inf  # no text has them
        found.append(-logits.log_softmax(-1).gather(-1, rows[..., None])[..., 0].cpu())
    return torch.cat(found).double().numpy()


def begin(pieces: Tensor) -> Tensor:
    """Put the begin sign in front of rows of pieces [N, C], and let their last piece go."""
    return torch.cat([torch.full_like(pieces[:, :1], BEGIN), pieces[:, :-1]], 1)


def measured_half(surprise: np.ndarray) -> np.ndarray:
    """Sums [N] over the second half of each window [N, C]."""
    sums: np.ndarray = surprise[:, surprise.shape[1] // 2 :].sum(1)
    return sums


def bits_per_character(sums: np.ndarray) -> float:
    """Bits per character from nats and characters [N, 2]."""
    return float(sums[:, 0].sum() / sums[:, 1].sum() / math.log(2))
