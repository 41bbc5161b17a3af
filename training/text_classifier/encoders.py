"""The recurrent network that reads a text from scratch, to compare the Transformer's encoder with.

Dimensions: N texts, S pieces, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from training.sequences.dropout import Dropout
from training.sequences.text_encoder import make_embedding
from training.sequences.vocabulary import PAD
from training.text_classifier.recipe import Recipe


class LstmEncoder(nn.Module):
    """Two LSTMs read the text in both directions; the text is what each knows at its end.

    Source: Hochreiter and Schmidhuber 1997; Schuster and Paliwal 1997 for both directions.
    """

    def __init__(self, recipe: Recipe, num_pieces: int) -> None:
        super().__init__()
        self.num_features = recipe.width
        self.embedding = make_embedding(num_pieces, recipe.width)
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
