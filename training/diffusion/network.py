"""The U-Net that tells image from noise, told how much noise there is and which class.

Source: Ho et al. 2020, https://arxiv.org/abs/2006.11239, appendix B, without attention: at 7×7 points the convolutions
see everything; blocks that are scaled and shifted as in Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233.
Dimensions: N images, C channels, H height, W width, E values of an embedding, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.diffusion.recipe import Recipe

_NUM_GROUPS = 8
_NUM_WAVES = 16


def build_network(recipe: Recipe, shape: tuple[int, int, int], num_classes: int) -> Network:
    """Build a recipe's network with random weights.

    Raises:
        ValueError: the image cannot be cut into patches, or a width into groups.
    """
    if shape[0] % recipe.patch_px or shape[1] % recipe.patch_px:
        raise ValueError(f"patches of {recipe.patch_px} pixels do not fill images of {shape[0]}×{shape[1]}")
    if any(width % _NUM_GROUPS for width in recipe.widths):
        raise ValueError(f"widths are multiples of {_NUM_GROUPS}, got {','.join(map(str, recipe.widths))}")
    return Network(
        widths=recipe.widths,
        patch_px=recipe.patch_px,
        num_blocks=recipe.num_blocks,
        embedding_size=recipe.embedding_size,
        shape=shape,
        num_classes=num_classes,
    )


class Block(nn.Module):
    """Two convolutions around what the embedding [N, E] says, beside a straight way; zero at first."""

    def __init__(self, before: int, after: int, embedding_size: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(_NUM_GROUPS, before)
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.modulate = nn.Linear(embedding_size, 2 * after)
        self.second_norm = nn.GroupNorm(_NUM_GROUPS, after)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.straight = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        y = self.first(F.silu(self.first_norm(x)))
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        y = self.second(F.silu(self.second_norm(y) * (1 + scale) + shift))
        return self.straight(x) + y


class Stage(nn.ModuleList):
    """Blocks of one width, one after the other."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for block in self:
            x = block(x, embedding)
        return x


class Network(nn.Module):
    """Noisy images float32 [N, C, H, W], log SNR float32 [N], labels int64 [N] (K: any class) → velocity [N, C, H, W].

    The velocity is α·noise − σ·image. Source: Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, section 4: unlike
    the noise it says something of the image even where there is nothing but noise, where few steps begin.
    """

    waves: Tensor

    def __init__(
        self,
        *,
        widths: Sequence[int],
        patch_px: int,
        num_blocks: int,
        embedding_size: int,
        shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.shape, self.num_classes, self.patch_px = shape, num_classes, patch_px
        channels = shape[2] * patch_px**2
        self.register_buffer("waves", torch.logspace(-1.5, 0.8, _NUM_WAVES), persistent=False)
        self.levels = nn.Sequential(
            nn.Linear(2 * _NUM_WAVES, embedding_size), nn.SiLU(), nn.Linear(embedding_size, embedding_size)
        )
        self.classes = nn.Embedding(num_classes + 1, embedding_size)
        self.enter = nn.Conv2d(channels, widths[0], 3, padding=1)

        def stage(before: int, after: int) -> Stage:
            sizes = [before, *[after] * num_blocks]
            return Stage([Block(a, b, embedding_size) for a, b in pairwise(sizes)])

        self.down = nn.ModuleList([stage(width, width) for width in widths])
        self.shrink = nn.ModuleList([nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)])
        self.middle = Block(widths[-1], widths[-1], embedding_size)
        self.up = nn.ModuleList([stage(2 * width, width) for width in reversed(widths)])
        self.grow = nn.ModuleList([nn.Conv2d(b, a, 3, padding=1) for a, b in reversed(list(pairwise(widths)))])
        self.leave_norm = nn.GroupNorm(_NUM_GROUPS, widths[0])
        self.leave = nn.Conv2d(widths[0], channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, log_snr: Tensor, labels: Tensor) -> Tensor:
        embedding = self._embed(log_snr, labels)
        x = self.enter(F.pixel_unshuffle(x, self.patch_px))
        kept = []
        for index, stage in enumerate(self.down):
            if index:
                x = self.shrink[index - 1](x)
            x = stage(x, embedding)
            kept.append(x)
        x = self.middle(x, embedding)
        for index, stage in enumerate(self.up):
            skip = kept.pop()
            if index:
                x = self.grow[index - 1](F.interpolate(x, skip.shape[2:]))
            x = stage(torch.cat([x, skip], 1), embedding)
        return F.pixel_shuffle(self.leave(F.silu(self.leave_norm(x))).float(), self.patch_px)

    def _embed(self, log_snr: Tensor, labels: Tensor) -> Tensor:
        angles = log_snr[:, None] * self.waves
        return F.silu(self.levels(torch.cat([angles.sin(), angles.cos()], 1)) + self.classes(labels))
