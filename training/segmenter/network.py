"""A U-Net that says the class of every pixel, of the whole image, or of both.

Source: Ronneberger, Fischer and Brox 2015, arXiv:1505.04597; here with padding, batch norm and nearest upsampling.
Dimensions: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.images.normalization import Normalization
from training.segmenter.recipe import Recipe


class Answer(NamedTuple):
    """Logits of the mask [N, K, H, W] and of the image's class [N, K]; None for a task that is not learned."""

    mask: Tensor | None
    label: Tensor | None


class DoubleConvolution(nn.Sequential):
    """Two 3×3 convolutions with normalization; modules of their own for each, as quantization asks."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__(
            nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_outputs),
            nn.ReLU(),
            nn.Conv2d(num_outputs, num_outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_outputs),
            nn.ReLU(),
        )


class UNet(nn.Module):
    """Down over `depth` halvings and up again; the label is read off the lowest level, the mask off the highest.

    Without skips the way up sees nothing but the lowest level. A network without the task of the mask has no way up.
    """

    def __init__(self, recipe: Recipe, *, num_channels: int, num_classes: int) -> None:
        super().__init__()
        widths = [recipe.width * 2**level for level in range(recipe.depth + 1)]
        self.skips = recipe.skips
        self.down = nn.ModuleList(
            DoubleConvolution(below, width) for below, width in zip([num_channels, *widths[:-1]], widths, strict=True)
        )
        self.up, self.narrow, self.mask_head, self.label_head = nn.ModuleList(), nn.ModuleList(), None, None
        if recipe.tasks != "label":
            for width in reversed(widths[:-1]):
                self.narrow.append(nn.Conv2d(2 * width, width, 1))
                self.up.append(DoubleConvolution(2 * width if recipe.skips else width, width))
            self.mask_head = nn.Conv2d(recipe.width, num_classes, 1)
        if recipe.tasks != "mask":
            self.label_head = nn.Linear(2 * widths[-1], num_classes)

    def forward(self, x: Tensor) -> Answer:
        """Answer normalized images [N, C, H, W], whose sides `depth` halvings divide."""
        levels = [self.down[0](x)]
        for block in self.down[1:]:
            levels.append(block(F.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        label = None if self.label_head is None else self.label_head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
        if self.mask_head is None:
            return Answer(None, label)
        for narrow, block in zip(self.narrow, self.up, strict=True):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            level = levels.pop()
            x = block(torch.cat([level, x], 1) if self.skips else x)
        return Answer(self.mask_head(x), label)


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
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
