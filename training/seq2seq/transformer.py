"""The Transformer. Source: Vaswani et al. 2017, Attention Is All You Need; pre-norm: Xiong et al. 2020.

Dimensions: B sentences, K beams, S source pieces, Q target pieces, T earlier places, D features, V pieces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.seq2seq.program import Step
from training.sequences.attention import CrossAttention, KeysValues, Past, SelfAttention
from training.sequences.batching import hide_padding
from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer, FeedForward, ResidualLayer, sinusoids
from training.sequences.vocabulary import PAD


class DecoderLayer(ResidualLayer):
    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float, *, pre_norm: bool) -> None:
        super().__init__(width, 3, dropout, pre_norm=pre_norm)
        self.attention = SelfAttention(width, num_heads)
        self.cross_attention = CrossAttention(width, num_heads)
        self.feed_forward = FeedForward(width, hidden)

    def forward(self, x: Tensor, bias: Tensor, memory: Tensor, memory_bias: Tensor) -> Tensor:
        """[B, Q, D] → [B, Q, D]; memory is what `cross_attention.remember` made."""
        x = self.after(0, x, self.attention(self.before(0, x), bias))
        return self._finish(x, memory, memory_bias)[0]

    def step(self, x: Tensor, past: Past, memory: KeysValues, memory_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One new place [B, K, D] of K beams → the same, its key and value [2, B, K, D], cross weights [B, H, K, S]."""
        mixed, entry = self.attention.step(self.before(0, x), past)
        x, weights = self._finish(self.after(0, x, mixed), memory, memory_bias)
        return x, entry, weights

    def _finish(self, x: Tensor, memory: KeysValues, memory_bias: Tensor) -> tuple[Tensor, Tensor]:
        mixed, weights = self.cross_attention(self.before(1, x), memory, memory_bias)
        x = self.after(1, x, mixed)
        return self.after(2, x, self.feed_forward(self.before(2, x))), weights


class Transformer(nn.Module):
    """Encoder and decoder with one embedding for both languages and for the output.

    Dropout acts where the paper has it, on embeddings and on what each sublayer adds, and nowhere else.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        num_pieces: int,
        width: int,
        num_layers: int,
        num_heads: int,
        hidden: int,
        dropout: float,
        pre_norm: bool,
        max_pieces: int,
    ) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(num_pieces, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.dropout = Dropout(dropout)
        sizes = (width, num_heads, hidden, dropout)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes, pre_norm=pre_norm) for _ in range(num_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes, pre_norm=pre_norm) for _ in range(num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) if pre_norm else nn.Identity() for _ in range(2))
        self.register_buffer("positions", sinusoids(max_pieces, width), persistent=False)

    def forward(self, source: Tensor, target: Tensor, sampling: float = 0.0) -> Tensor:
        """Pieces int64 [B, S] and [B, Q] → logits [B, Q, V]; all places at once, so that none can follow a guess."""
        assert not sampling
        memory, memory_bias = self.encode(source)
        x = self._embed(target, self.positions[: target.shape[1]])
        bias = torch.full((target.shape[1],) * 2, -math.inf, device=target.device).triu(1)
        for layer in self.decoder_layers():
            x = layer(x, bias, layer.cross_attention.remember(memory), memory_bias)
        return F.linear(self.norms[1](x), self.embedding.weight)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Pieces int64 [B, S] → features [B, S, D] and the bias that hides padding [B, 1, 1, S]."""
        bias = hide_padding(source)[:, None, None]
        x = self._embed(source, self.positions[: source.shape[1]])
        for layer in self.encoder:
            x = layer(x, bias)
        return self.norms[0](x), bias

    def start(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read the source once. Keys and values of all layers are the memory; the first cache entry stays unused."""
        memory, bias = self.encode(source)
        remembered = torch.cat([layer.cross_attention.remember(memory) for layer in self.decoder_layers()])
        return remembered, bias.flatten(1), memory.new_zeros(2 * len(self.decoder), source.shape[0], self.width)

    def step(
        self, tokens: Tensor, ancestors: Tensor, starts: Tensor, cache: Tensor, memory: Tensor, source_bias: Tensor
    ) -> Step:
        """Write one piece; see `program.DecoderProgram`. What a sentence has at its start and before it is unused."""
        num_places, num_entries, num_rows, num_beams, _ = cache.shape
        x = self._embed(tokens, self.positions[num_places - 1 - starts][:, None])
        unused = (torch.arange(num_places, device=tokens.device)[:, None] <= starts)[..., None, None, None]
        bias = torch.zeros_like(unused, dtype=x.dtype).masked_fill(unused, -math.inf)
        # Where in a table of all entries the first of each place lies; whole rows of it are read, not number by number.
        table, size = cache.flatten(0, 3), num_rows * num_beams
        places = torch.arange(num_places, device=tokens.device)[:, None, None] * (num_entries * size)
        index = places + torch.arange(num_rows, device=tokens.device)[:, None] * num_beams + ancestors
        entries, weights = [], torch.empty(0)
        for number, layer in enumerate(self.decoder_layers()):
            keys, values = (F.embedding(index + entry * size, table) for entry in (2 * number, 2 * number + 1))
            keys_values = memory[2 * number], memory[2 * number + 1]
            x, entry, weights = layer.step(x, Past(keys, values, bias), keys_values, source_bias[:, None, None])
            entries.append(entry)
        return Step(F.linear(self.norms[1](x), self.embedding.weight), torch.cat(entries), weights.mean(1))

    def decoder_layers(self) -> Iterator[DecoderLayer]:
        """The decoder's layers from the input to the output."""
        for layer in self.decoder:
            assert isinstance(layer, DecoderLayer)
            yield layer

    def _embed(self, pieces: Tensor, positions: Tensor) -> Tensor:
        return self.dropout(self.embedding(pieces) * math.sqrt(self.width) + positions)
