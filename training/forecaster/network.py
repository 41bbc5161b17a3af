"""Which networks the forecaster can be, and where a finished run keeps its own.

Dimensions: N histories, L steps of context, H steps of horizon, Q levels.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.forecaster.recipe import Recipe
from training.sequences.patch_encoders import AtTheEnd, PatchSizes, SideBySide, build_patch_encoder
from training.sequences.scaling import measure_scale


class Forecaster(nn.Module):
    """An encoder between a window's own scaling and back: a history of any size and level → quantiles.

    The median is a linear function of the history, which begins as the linear baseline, plus what the encoder adds. The
    other quantiles are steps away from the median, so that they never cross.
    Source: Kim et al. 2022, RevIN (the scaling); Zeng et al. 2023, arXiv:2205.13504 (the linear part).
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.patch, self.horizon, self.num_levels = recipe.patch, recipe.horizon, len(recipe.levels)
        self.encoder = _build_encoder(recipe)
        self.linear = nn.Linear(recipe.context, recipe.horizon)
        self.head = nn.Linear(recipe.features, recipe.horizon * self.num_levels)

    def forward(self, history: Tensor) -> Tensor:
        """float32 [N, L] → [N, H, Q], in the history's own unit."""
        level, scale = measure_scale(history)
        x = (history - level) / scale
        features = F.relu(self.encoder(x.unflatten(1, (-1, self.patch))))
        raw = self.head(features).unflatten(1, (self.horizon, self.num_levels))
        centre = self.num_levels // 2
        median = raw[..., centre : centre + 1] + self.linear(x)[..., None]
        steps_down = F.softplus(raw[..., :centre]).flip(-1).cumsum(-1).flip(-1)
        steps_up = F.softplus(raw[..., centre + 1 :]).cumsum(-1)
        quantiles = torch.cat([median - steps_down, median, median + steps_up], -1)
        return quantiles * scale[..., None] + level[..., None]


def build_network(recipe: Recipe) -> Forecaster:
    """Build a recipe's network, untrained."""
    return Forecaster(recipe)


def load_network(run: Path) -> tuple[Forecaster, Recipe]:
    """Rebuild a finished run's network.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe = from_record(Recipe, read_run(run)["recipe"])
    network = build_network(recipe)
    network.load_state_dict(read_network(run)["network"])
    return network.requires_grad_(False).eval(), recipe


def _build_encoder(recipe: Recipe) -> nn.Module:
    sizes = PatchSizes(
        network=recipe.network,
        num_patches=recipe.context // recipe.patch,
        patch=recipe.patch,
        width=recipe.width,
        num_layers=recipe.num_layers,
        num_heads=recipe.num_heads,
        dropout=recipe.dropout,
    )
    summary = AtTheEnd if recipe.network in ("lstm", "gru") else SideBySide
    return build_patch_encoder(sizes, summary(sizes, recipe.features))
