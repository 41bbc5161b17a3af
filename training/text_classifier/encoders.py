"""The networks that read a text from scratch; each maps pieces to features of the whole text.

Dimensions: N texts, S pieces, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from training.sequences.batching import hide_padding
from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer, sinusoids
from training.sequences.vocabulary import PAD
from training.text_classifier.recipe import Recipe


class TransformerEncoder(nn.Module):
    """Every piece looks at every other; the text is the mean of its pieces."""

    positions: Tensor

    def __init__(self, recipe: Recipe, num_pieces: int) -> None:
        super().__init__()
        self.num_features = self.width = recipe.width
        self.embedding = _make_embedding(num_pieces, recipe.width)
        self.register_buffer("positions", sinusoids(recipe.max_pieces, recipe.width), persistent=False)
        self.dropout = Dropout(recipe.dropout)
        sizes = (recipe.width, recipe.num_heads, recipe.hidden, recipe.dropout)
        self.layers = nn.ModuleList(EncoderLayer(*sizes, pre_norm=True) for _ in range(recipe.num_layers))
        self.norm = nn.LayerNorm(recipe.width)

    def forward(self, pieces: Tensor) -> Tensor:
        """int64 [N, S] → [N, D]; padding changes nothing."""
        bias = hide_padding(pieces)[:, None, None]
        x = self.embedding(pieces) * math.sqrt(self.width) + self.positions[: pieces.shape[1]]
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, bias)
        there = (pieces != PAD).to(x.dtype)[..., None]
        return (self.norm(x) * there).sum(1) / there.sum(1)


class LstmEncoder(nn.Module):
    """Two LSTMs read the text in both directions; the text is what each knows at its end.

    Source: Hochreiter and Schmidhuber 1997; Schuster and Paliwal 1997 for both directions.
    """

    def __init__(self, recipe: Recipe, num_pieces: int) -> None:
        super().__init__()
        self.num_features = recipe.width
        self.embedding = _make_embedding(num_pieces, recipe.width)
        self.dropout = Dropout(recipe.dropout)
        self.cells = nn.LSTM(
            recipe.width,
            recipe.width // 2,
            recipe.num_layers,
            batch_first=True,
            bidirectional=True,
            dropout=recipe.dropout if recipe.num_layers > 1 else 0.0,
        )

    def forward(self, pieces: Tensor) -> Tensor:
        """int64 [N, S] → [N, D]; padding is never read."""
        lengths = (pieces != PAD).sum(1).cpu()
        x = self.dropout(self.embedding(pieces))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, (state, _) = self.cells(packed)
        return torch.cat([state[-2], state[-1]], 1)


def _make_embedding(num_pieces: int, width: int) -> nn.Embedding:
    embedding = nn.Embedding(num_pieces, width, padding_idx=PAD)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    with torch.no_grad():
        embedding.weight[PAD].zero_()
    return embedding
