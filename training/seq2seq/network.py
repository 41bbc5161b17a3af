"""Which networks the translator can be."""

from __future__ import annotations

from training.seq2seq.recipe import Recipe
from training.seq2seq.recurrent import CELLS, RecurrentNetwork
from training.seq2seq.transformer import Transformer

NETWORKS = ("transformer", *CELLS)
TranslationNetwork = Transformer | RecurrentNetwork


def build_network(recipe: Recipe, num_pieces: int) -> TranslationNetwork:
    """Build a network for a vocabulary of `num_pieces`, with random weights.

    Raises:
        ValueError: unknown network, or sizes that do not fit each other.
    """
    width = recipe.width
    if recipe.network in CELLS:
        if width % 2:
            raise ValueError(f"width={width} must be even: half for each reading direction")
        return RecurrentNetwork(
            num_pieces=num_pieces,
            cell=recipe.network,
            attention=recipe.attention,
            width=width,
            num_layers=recipe.num_layers,
            dropout=recipe.dropout,
        )
    if recipe.network != "transformer":
        raise ValueError(f"unknown network {recipe.network!r}; use one of {', '.join(NETWORKS)}")
    if width % recipe.num_heads or width % 2:
        raise ValueError(f"width={width} must be even and divisible by num_heads={recipe.num_heads}")
    return Transformer(
        num_pieces=num_pieces,
        width=width,
        num_layers=recipe.num_layers,
        num_heads=recipe.num_heads,
        hidden=recipe.hidden,
        dropout=recipe.dropout,
        pre_norm=recipe.pre_norm,
        max_pieces=2 * recipe.max_pieces,
    )
