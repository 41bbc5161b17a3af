"""Which networks the text classifier can be, and where a finished run keeps its own.

Dimensions: N texts, S pieces, D features, K labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from training.engine.data_path import find_path
from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.sequences.dropout import Dropout
from training.sequences.text_encoder import TransformerEncoder
from training.text_classifier.encoders import LstmEncoder
from training.text_classifier.low_rank import add_low_rank, merge_low_rank
from training.text_classifier.pretrained import PretrainedEncoder, load_encoder, rebuild_encoder
from training.text_classifier.recipe import Recipe

Encoder = TransformerEncoder | LstmEncoder | PretrainedEncoder


class TextClassifier(nn.Module):
    """An encoder, and a linear layer on its features of the whole text."""

    def __init__(self, encoder: Encoder, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(encoder.num_features, num_labels)

    def forward(self, pieces: Tensor) -> Tensor:
        """Pieces int64 [N, S], padded to the longest → logits [N, K]."""
        return self.head(self.dropout(self.encoder(pieces)))


def build_network(recipe: Recipe, num_pieces: int, num_labels: int, data_root: Path) -> TextClassifier:
    """Build a recipe's network for a vocabulary, untrained but for pretrained weights.

    Raises:
        FileNotFoundError: there is no folder of weights.
        ValueError: the folder holds no such network, or one that reads fewer pieces than the recipe's.
    """
    encoder: Encoder
    if recipe.network == "pretrained":
        assert recipe.weights_folder is not None
        encoder = load_encoder(find_path(recipe.weights_folder, data_root))
        most = getattr(encoder.backbone.config, "max_position_embeddings", recipe.max_pieces)
        if recipe.max_pieces > most:
            raise ValueError(f"{recipe.weights_folder} reads {most} pieces at most; set max_pieces={most}")
        if recipe.low_rank:
            add_low_rank(encoder, recipe.low_rank, recipe.low_rank_scale)
    else:
        encoder = _build_encoder(recipe, num_pieces)
    return TextClassifier(encoder, num_labels, recipe.dropout)


def describe_network(network: TextClassifier, **further: Any) -> dict[str, Any]:
    """What a run stores, low-rank changes merged."""
    merge_low_rank(network)
    encoder = network.encoder
    config = encoder.describe() if isinstance(encoder, PretrainedEncoder) else None
    return {"network": network.state_dict(), "config": config} | further


def load_network(run: Path) -> tuple[TextClassifier, Recipe, dict[str, Any]]:
    """Rebuild a finished run's network; also returns its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = read_recipe(run)
    stored = read_network(run)
    encoder = rebuild_encoder(stored["config"]) if stored["config"] else _build_encoder(recipe, stored["num_pieces"])
    network = TextClassifier(encoder, len(stored["labels"]), recipe.dropout)
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored


def read_recipe(run: Path) -> Recipe:
    """What a run was asked for."""
    return from_record(Recipe, read_run(run)["recipe"])


def _build_encoder(recipe: Recipe, num_pieces: int) -> TransformerEncoder | LstmEncoder:
    if recipe.network == "lstm":
        return LstmEncoder(recipe, num_pieces)
    return TransformerEncoder(
        num_pieces,
        width=recipe.width,
        num_heads=recipe.num_heads,
        hidden=recipe.hidden,
        num_layers=recipe.num_layers,
        max_pieces=recipe.max_pieces,
        dropout=recipe.dropout,
    )
