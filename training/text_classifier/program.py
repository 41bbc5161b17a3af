"""The form in which a text classifier is served, and how it answers any number of texts.

Dimensions: N texts, S pieces, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.sequences.batching import LengthPlan, pad_rows
from training.text_classifier.network import TextClassifier

_TOKENS_PER_BATCH = 8192


class Program(nn.Module):
    """What is released: pieces int64 [N, S] → probabilities float32 [N, K], the calibrated temperature inside."""

    temperature: Tensor

    def __init__(self, network: TextClassifier, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("temperature", torch.tensor(temperature))
        self.eval()

    def forward(self, pieces: Tensor) -> Tensor:
        return (self.network(pieces) / self.temperature).softmax(1)


@torch.no_grad()
def predict_logits(network: TextClassifier, rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Logits float32 [N, K] of texts as piece numbers, on the CPU, in their order."""
    lengths = list(map(len, rows))
    batches = LengthPlan(lengths, tokens_per_batch=max(_TOKENS_PER_BATCH, *lengths), seed=0).in_order()
    network = network.eval()
    logits = torch.cat([network(pad_rows([rows[row] for row in batch]).to(device)).float().cpu() for batch in batches])
    order = torch.tensor([row for batch in batches for row in batch])
    return torch.empty_like(logits).index_copy(0, order, logits)
