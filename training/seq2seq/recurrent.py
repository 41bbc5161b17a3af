"""Recurrent encoder–decoders with attention.

Source: Bahdanau et al. 2015 (additive attention), Luong et al. 2015 (multiplicative attention and input feeding); the
cells: Elman 1990, Hochreiter and Schmidhuber 1997, Cho et al. 2014.

Dimensions: B sentences, K beams, S source pieces, Q target pieces, T earlier places, L layers, D features, V pieces.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.seq2seq.program import Step
from training.sequences.batching import hide_padding
from training.sequences.dropout import Dropout
from training.sequences.vocabulary import PAD

CELLS: dict[str, tuple[Any, Any]] = {
    "rnn": (nn.RNN, nn.RNNCell),
    "lstm": (nn.LSTM, nn.LSTMCell),
    "gru": (nn.GRU, nn.GRUCell),
}


class AdditiveAttention(nn.Module):
    """Similarity vᵀ tanh(W q + U m). Source: Bahdanau et al. 2015, section A.1.2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, 1, bias=False)

    def remember(self, memory: Tensor) -> Tensor:
        """Keys [B, S, D], needed once for all queries."""
        return self.key(memory)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[B, K, D] and [B, S, D] → similarities [B, K, S]."""
        return self.value((self.query(queries)[:, :, None] + keys[:, None]).tanh()).squeeze(-1)


class MultiplicativeAttention(nn.Module):
    """Similarity qᵀ W m. Source: Luong et al. 2015, eq. 8, "general"."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width, bias=False)

    def remember(self, memory: Tensor) -> Tensor:
        """Keys [B, S, D], needed once for all queries."""
        return self.key(memory)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[B, K, D] and [B, S, D] → similarities [B, K, S]."""
        return queries @ keys.transpose(1, 2)


ATTENTIONS: dict[str, type[AdditiveAttention] | type[MultiplicativeAttention]] = {
    "additive": AdditiveAttention,
    "multiplicative": MultiplicativeAttention,
}


class RecurrentNetwork(nn.Module):
    """A bidirectional encoder and a decoder that looks at it, with one embedding for both languages and the output."""

    def __init__(
        self, *, num_pieces: int, cell: str, attention: str, width: int, num_layers: int, dropout: float
    ) -> None:
        super().__init__()
        encoder, decoder = CELLS[cell]
        self.width, self.num_layers, self.has_memory_cell = width, num_layers, cell == "lstm"
        self.embedding = nn.Embedding(num_pieces, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.encoder = encoder(
            width,
            width // 2,
            num_layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.bridge = nn.Linear(width, num_layers * width)
        # The first layer reads the last piece and what was last attended to.
        self.decoder = nn.ModuleList(decoder(2 * width if layer == 0 else width, width) for layer in range(num_layers))
        self.attention = ATTENTIONS[attention](width)
        self.combine = nn.Linear(2 * width, width)
        self.dropout = Dropout(dropout)

    @property
    def num_states(self) -> int:
        """Vectors that a place hands on: each layer's state, its memory cell if it is an LSTM, and the attended one."""
        return self.num_layers * (2 if self.has_memory_cell else 1) + 1

    def forward(self, source: Tensor, target: Tensor, sampling: float = 0.0) -> Tensor:
        """Pieces int64 [B, S] and [B, Q] → logits [B, Q, V].

        With `sampling` p, an earlier piece is the network's own guess instead of the true one, with probability p.

        Source: Bengio et al. 2015, Scheduled Sampling.
        """
        memory, bias, states = self.start(source)
        states = states[:, :, None]
        hidden: list[Tensor] = []
        tokens = target[:, :1]
        for place in range(target.shape[1]):
            if place:
                tokens = target[:, place : place + 1]
                if sampling:
                    guess = self._score(hidden[-1]).argmax(-1)
                    tokens = torch.where(torch.rand(tokens.shape, device=tokens.device) < sampling, guess, tokens)
            states, _ = self._advance(tokens, states, memory, bias)
            hidden.append(states[-1])
        return self._score(torch.cat(hidden, 1))

    def start(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read the source: memory and keys [2, B, S, D], bias [B, S], first states [C, B, D].

        Padding stands at the end; it is read too, but no place looks at it, and the first state is a mean without it.
        """
        bias = hide_padding(source)
        present = (source != PAD)[..., None]
        embedded = self.dropout(self._embed(source))
        memory = self._read_both_ways(embedded, present) * present
        mean = memory.sum(1) / present.sum(1)
        first = self.bridge(mean).tanh().unflatten(-1, (self.num_layers, -1)).transpose(0, 1)
        rest = first.new_zeros(self.num_states - self.num_layers, source.shape[0], self.width)
        return torch.stack((memory, self.attention.remember(memory))), bias, torch.cat((first, rest))

    def step(
        self, tokens: Tensor, ancestors: Tensor, starts: Tensor, cache: Tensor, memory: Tensor, source_bias: Tensor
    ) -> Step:
        """Write one piece; see `program.DecoderProgram`. Of the cache only the last place matters."""
        last = ancestors[-1][None, :, :, None].expand(cache.shape[1], -1, -1, self.width)
        states, weights = self._advance(tokens, cache[-1].gather(2, last), memory, source_bias)
        return Step(self._score(states[-1]), states, weights)

    def _read_both_ways(self, embedded: Tensor, present: Tensor) -> Tensor:
        """Run the encoder [B, S, D]; packing keeps the backward direction from starting in the padding."""
        lengths = present.squeeze(-1).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        features, _ = self.encoder(packed)
        return nn.utils.rnn.pad_packed_sequence(features, batch_first=True, total_length=embedded.shape[1])[0]

    def _advance(self, tokens: Tensor, states: Tensor, memory: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, K] and states [C, B, K, D] → the next states, attended one last, and weights [B, K, S]."""
        shape = states.shape[1:]
        flat = states.flatten(1, 2)
        x = torch.cat((self.dropout(self._embed(tokens)).flatten(0, 1), flat[-1]), -1)
        hidden, cells = [], []
        for layer, cell in enumerate(self.decoder):
            if self.has_memory_cell:
                state, memory_cell = cell(x, (flat[layer], flat[self.num_layers + layer]))
                cells.append(memory_cell)
            else:
                state = cell(x, flat[layer])
            hidden.append(state)
            x = self.dropout(state)
        query = hidden[-1].unflatten(0, shape[:2])
        weights = (self.attention(query, memory[1]) + bias[:, None]).softmax(-1)
        attended = self.combine(torch.cat((weights @ memory[0], query), -1)).tanh()
        return torch.cat((torch.stack(hidden + cells).unflatten(1, shape[:2]), attended[None])), weights

    def _embed(self, pieces: Tensor) -> Tensor:
        """Inputs of unit deviation: the embedding is also the output's weight, and as such too small for a cell."""
        return self.embedding(pieces) * math.sqrt(self.width)

    def _score(self, attended: Tensor) -> Tensor:
        return F.linear(self.dropout(attended), self.embedding.weight)
