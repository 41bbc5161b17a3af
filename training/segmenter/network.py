"""A U-Net that says the class of every pixel, of the whole image, or of both.

Dimensions: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.engine.overrides import from_record
from training.engine.pruning import fit_channels
from training.engine.runs import read_network, read_run
from training.images.normalization import Normalization
from training.images.unet import UNetBody
from training.segmenter.recipe import Recipe


class Answer(NamedTuple):
    """Logits of the mask [N, K, H, W] and of the image's class [N, K]; None for a task that is not learned."""

    mask: Tensor | None
    label: Tensor | None


class UNet(UNetBody):
    """The label is read off the body's lowest level, the mask off its highest.

    A network without the task of the mask has no way up.
    """

    def __init__(self, recipe: Recipe, *, num_channels: int, num_classes: int) -> None:
        super().__init__(
            num_channels=num_channels,
            width=recipe.width,
            depth=recipe.depth,
            skips=recipe.skips,
            rises=recipe.tasks != "label",
        )
        self.mask_head, self.label_head = None, None
        if recipe.tasks != "label":
            self.mask_head = nn.Conv2d(recipe.width, num_classes, 1)
        if recipe.tasks != "mask":
            self.label_head = nn.Linear(2 * self.widths[-1], num_classes)

    def forward(self, x: Tensor) -> Answer:
        """Answer normalized images [N, C, H, W], whose sides `depth` halvings divide."""
        levels = self.descend(x)
        x = levels[-1]
        label = None if self.label_head is None else self.label_head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
        return Answer(None if self.mask_head is None else self.mask_head(self.rise(levels)), label)


class Segmenter(nn.Module):
    """Pixels uint8 [N, H, W, C] → logits, normalization included."""

    def __init__(self, normalization: Normalization, network: UNet) -> None:
        super().__init__()
        self.normalization, self.network = normalization, network

    def forward(self, images_NHWC: Tensor) -> Answer:
        answer: Answer = self.network(self.normalization(images_NHWC))
        return answer


def build_network(recipe: Recipe, images_NHWC: Tensor, num_classes: int) -> Segmenter:
    """Build a recipe's network, untrained, with the normalization that training images uint8 ask for."""
    network = UNet(recipe, num_channels=images_NHWC.shape[3], num_classes=num_classes)
    return Segmenter(Normalization.of(images_NHWC), network)


def load_network(run: Path) -> tuple[Segmenter, Recipe, dict]:
    """Rebuild a finished run's network; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    channels, num_classes = stored["shape"][2], len(stored["classes"])
    normalization = Normalization(torch.zeros(channels), torch.ones(channels))
    network = Segmenter(normalization, UNet(recipe, num_channels=channels, num_classes=num_classes))
    fit_channels(network, stored["network"])
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
