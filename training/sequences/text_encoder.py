"""A Transformer's encoder of whole texts: features of each piece, and of the text.

Dimensions: N texts, S pieces, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.sequences.batching import hide_padding
from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer, sinusoids
from training.sequences.vocabulary import PAD


class TransformerEncoder(nn.Module):
    """Every piece looks at every other; the text is the mean of its pieces."""

    positions: Tensor

    def __init__(
        self,
        num_pieces: int,
        *,
        width: int,
        num_heads: int,
        hidden: int,
        num_layers: int,
        max_pieces: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_features = self.width = width
        self.embedding = make_embedding(num_pieces, width)
        self.register_buffer("positions", sinusoids(max_pieces, width), persistent=False)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, num_heads, hidden, dropout, pre_norm=True) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, pieces: Tensor) -> Tensor:
        """int64 [N, S] → [N, D]; padding changes nothing."""
        return self.read(pieces)[1]

    def read(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`; also returns the features of each piece [N, S, D], in front."""
        bias = hide_padding(pieces)[:, None, None]
        x = self.embedding(pieces) * math.sqrt(self.width) + self.positions[: pieces.shape[1]]
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, bias)
        x = self.norm(x)
        there = (pieces != PAD).to(x.dtype)[..., None]
        return x, (x * there).sum(1) / there.sum(1)


def make_embedding(num_pieces: int, width: int) -> nn.Embedding:
    """Features [num_pieces, width] of random pieces, and zeros for padding."""
    embedding = nn.Embedding(num_pieces, width, padding_idx=PAD)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    with torch.no_grad():
        embedding.weight[PAD].zero_()
    return embedding
