"""What a text classifier says of many texts.

Dimensions: N texts, S pieces, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.sequences.batching import LengthPlan, pad_rows
from training.text_classifier.network import TextClassifier

_TOKENS_PER_BATCH = 8192


@torch.no_grad()
def predict_logits(network: TextClassifier, rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Logits float32 [N, K] of texts as piece numbers, on the CPU, in their order."""
    lengths = list(map(len, rows))
    batches = LengthPlan(lengths, tokens_per_batch=max(_TOKENS_PER_BATCH, *lengths), seed=0).in_order()
    network = network.eval()
    logits = torch.cat([network(pad_rows([rows[row] for row in batch]).to(device)).float().cpu() for batch in batches])
    order = torch.tensor([row for batch in batches for row in batch])
    return torch.empty_like(logits).index_copy(0, order, logits)
