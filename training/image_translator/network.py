"""The translator: a U-Net from the source to the image in the other style.

Source: Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 3.2.1; here without dropout, so that an image
always has the same answer.
Dimensions: N images, C channels of sources, D channels of targets, H height, W width.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.image_translator.recipe import Recipe
from training.images.dcgan import initialize
from training.images.unet import UNetBody


class Translator(nn.Module):
    """Images float32 [N, C, H, W] in [−1, 1] → images float32 [N, D, H, W] in [−1, 1]."""

    def __init__(self, recipe: Recipe, num_channels: int, num_drawn: int) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if recipe.norm == "batch" else partial(nn.InstanceNorm2d, affine=True)
        self.body = UNetBody(num_channels=num_channels, width=recipe.width, depth=recipe.depth, norm=norm)
        self.draw = nn.Conv2d(recipe.width, num_drawn, 1)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.draw(self.body.rise(self.body.descend(x))))


def build_network(recipe: Recipe, source_shape: tuple[int, int, int], target_shape: tuple[int, int, int]) -> Translator:
    """Build a recipe's translator with random weights.

    Raises:
        ValueError: the images cannot be halved as often as the recipe asks for.
    """
    height, width, channels = source_shape
    if height % 2**recipe.depth or width % 2**recipe.depth:
        raise ValueError(
            f"images of {height}×{width} are halved depth={recipe.depth} times: set resolution to a multiple of "
            f"{2**recipe.depth}, or a smaller depth"
        )
    return Translator(recipe, channels, target_shape[2])


def load_network(run: Path) -> tuple[Translator, Recipe, dict]:
    """Rebuild a finished run's translator; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    network = build_network(recipe, tuple(stored["source_shape"]), tuple(stored["target_shape"]))
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
