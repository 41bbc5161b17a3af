"""A decoder without a source, as GPT-2 is one. Source: Radford et al. 2019, Language Models are Unsupervised
Multitask Learners, section 2.3.

Dimensions: B texts, S pieces of a prompt, T earlier places, L layers, D features, V pieces of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.language_model.recipe import Recipe
from training.sequences.attention import Past
from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer

_EMBEDDING_DEVIATION = 0.02


class LanguageModel(nn.Module):
    """Learned positions, layers normalized in front, and one embedding for input and output."""

    def __init__(
        self, *, num_pieces: int, width: int, num_layers: int, num_heads: int, context: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_pieces, width)
        self.positions = nn.Parameter(torch.empty(context, width))
        self.dropout = Dropout(dropout)
        gelu = partial(nn.GELU, approximate="tanh")
        self.layers = nn.ModuleList(
            EncoderLayer(width, num_heads, 4 * width, dropout, pre_norm=True, activation=gelu)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embedding.weight, std=_EMBEDDING_DEVIATION)
        nn.init.normal_(self.positions, std=_EMBEDDING_DEVIATION)
        with torch.no_grad():
            for layer in self.each_layer():
                for name in ("attention.output", "feed_forward.2"):
                    layer.get_parameter(f"{name}.weight").div_(math.sqrt(2 * num_layers))

    def forward(self, pieces: Tensor) -> Tensor:
        """Pieces int64 [B, S] → logits [B, S, V] of the piece after each."""
        x = self._embed(pieces)
        bias = hide_later(x)
        for layer in self.layers:
            x = layer(x, bias)
        return self._predict(x)

    def read(self, prompt: Tensor) -> Tensor:
        """Pieces int64 [B, S] → keys and values of all layers [2L, B, S, D]; nothing sees what comes later."""
        x = self._embed(prompt)
        bias = hide_later(x)
        remembered: list[Tensor] = []
        for layer in self.each_layer():
            x, keys_values = layer.read(x, bias)
            remembered += keys_values.chunk(2, -1)
        return torch.stack(remembered)

    def step(
        self, tokens: Tensor, starts: Tensor, cache: Tensor, memory: Tensor, prompt_bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write one piece; see `program.WriterProgram`. Returns logits [B, 1, V] and the new cache entry."""
        num_places = cache.shape[0]
        lengths = (prompt_bias == 0).sum(1)
        x = self.embedding(tokens) + self.positions[lengths + num_places - 1 - starts][:, None]
        unused = (torch.arange(num_places, device=tokens.device)[:, None] <= starts)[..., None, None, None]
        bias = torch.zeros_like(unused, dtype=x.dtype).masked_fill(unused, -math.inf)
        reading_bias = prompt_bias.t()[..., None, None, None]
        entries = []
        for number, layer in enumerate(self.each_layer()):
            keys, values = 2 * number, 2 * number + 1
            read = Past(
                memory[keys].transpose(0, 1)[:, :, None], memory[values].transpose(0, 1)[:, :, None], reading_bias
            )
            written = Past(cache[:, keys], cache[:, values], bias)
            x, entry = layer.step(x, read, written)
            entries.append(entry)
        return self._predict(x), torch.cat(entries)

    def each_layer(self) -> Iterator[EncoderLayer]:
        """The layers from the input to the output."""
        for layer in self.layers:
            assert isinstance(layer, EncoderLayer)
            yield layer

    def list_matrices(self) -> list[Tensor]:
        """The matrices inside of layers: neither embeddings nor positions."""
        return [parameter for parameter in self.layers.parameters() if parameter.dim() == 2]

    def _embed(self, pieces: Tensor) -> Tensor:
        return self.dropout(self.embedding(pieces) + self.positions[: pieces.shape[1]])

    def _predict(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embedding.weight)


def hide_later(x: Tensor) -> Tensor:
    """Bias [S, S] for features [B, S, D]: −∞ where a place would look at a later one."""
    return torch.full((x.shape[1],) * 2, -math.inf, device=x.device).triu(1)


def build_network(recipe: Recipe, num_pieces: int) -> LanguageModel:
    """Build a network for a vocabulary of `num_pieces`, with random weights."""
    return LanguageModel(
        num_pieces=num_pieces,
        width=recipe.width,
        num_layers=recipe.num_layers,
        num_heads=recipe.num_heads,
        context=recipe.context,
        dropout=recipe.dropout,
    )


def load_network(run: Path) -> tuple[LanguageModel, Recipe]:
    """Rebuild a finished run's network.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"])
    stored = read_network(run)
    network = build_network(recipe, stored["num_pieces"])
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe
