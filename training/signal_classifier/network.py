"""Which networks the signal classifier can be, and where a finished run keeps its own.

Dimensions: N signals, L samples, K labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.sequences.dropout import Dropout
from training.sequences.patch_encoders import Anywhere, PatchSizes, build_patch_encoder
from training.sequences.scaling import measure_scale
from training.signal_classifier.recipe import Recipe


class SignalClassifier(nn.Module):
    """An encoder behind a signal's own scaling, and a linear layer on its features: signals of any gain and offset."""

    def __init__(self, recipe: Recipe, num_samples: int, num_labels: int) -> None:
        super().__init__()
        self.patch = recipe.patch
        self.padding = -num_samples % recipe.patch
        sizes = PatchSizes(
            network=recipe.network,
            num_patches=(num_samples + self.padding) // recipe.patch,
            patch=recipe.patch,
            width=recipe.width,
            num_layers=recipe.num_layers,
            num_heads=recipe.num_heads,
            dropout=recipe.dropout,
        )
        self.encoder = build_patch_encoder(sizes, Anywhere(sizes, recipe.features))
        self.dropout = Dropout(recipe.dropout)
        self.head = nn.Linear(recipe.features, num_labels)

    def forward(self, signals: Tensor) -> Tensor:
        """float32 [N, L] → logits [N, K]."""
        level, scale = measure_scale(signals)
        x = F.pad((signals - level) / scale, (0, self.padding)).unflatten(1, (-1, self.patch))
        return self.head(self.dropout(F.relu(self.encoder(x))))


def build_network(recipe: Recipe, num_samples: int, num_labels: int) -> SignalClassifier:
    """Build a recipe's network, untrained."""
    return SignalClassifier(recipe, num_samples, num_labels)


def load_network(run: Path) -> tuple[SignalClassifier, Recipe, dict[str, Any]]:
    """Rebuild a finished run's network; also returns its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    network = build_network(recipe, stored["shape"][0], len(stored["labels"]))
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
