"""What draws: a caption's sentence shapes every stage, and its words are looked at from every place.

Source: Xu et al. 2018, AttnGAN, https://arxiv.org/abs/1711.10485, section 3.1, in one pass instead of three; the
sentence as gains and offsets of normalizations: Tao et al. 2022, DF-GAN, https://arxiv.org/abs/2008.05865, section 3.4.
Dimensions: N images, Z latent values, S pieces, D features of a piece, F features of a place, C channels, H height,
W width.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.overrides import from_record
from training.engine.runs import read_network, read_run
from training.images.dcgan import Shape, initialize, start_size
from training.images.norms import GuidedNorm
from training.sequences.attention import CrossAttention
from training.sequences.batching import hide_padding
from training.text_to_image.matching import build_text_encoder
from training.text_to_image.recipe import Recipe


class WordAttention(nn.Module):
    """Every place of a map looks at the words, and adds what it finds."""

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.words = nn.Linear(text_width, width)
        self.attention = CrossAttention(width, num_heads=1)

    def forward(self, features: Tensor, words: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [N, F, H, W], words [N, S, D] and a bias that hides padding → maps, and weights [N, H, W, S]."""
        height, width = features.shape[2:]
        places = features.flatten(2).transpose(1, 2)
        found, weights = self.attention(places, self.attention.remember(self.words(words)), bias)
        found = found.transpose(1, 2).unflatten(2, (height, width))
        return features + found, weights.squeeze(1).unflatten(1, (height, width))


class Generator(nn.Module):
    """Latents float32 [N, Z] and captions int64 [N, S] → images float32 [N, C, H, W] in [−1, 1].

    What reads captions is the teacher's and learns no more. Without attention the sentence is all that is seen.
    """

    def __init__(self, recipe: Recipe, num_pieces: int, shape: Shape) -> None:
        super().__init__()
        widths, condition = recipe.widths, recipe.latent_size + recipe.text_width
        self.latent_size, self.start = recipe.latent_size, start_size(widths, shape)
        self.project = nn.Linear(condition, widths[0] * self.start**2)
        self.norms = nn.ModuleList([GuidedNorm(width, condition) for width in widths])
        self.activations = nn.ModuleList([nn.ReLU() for _ in widths])
        self.stages = nn.ModuleList([nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)])
        self.draw_pixels = nn.ConvTranspose2d(widths[-1], shape[2], 4, stride=2, padding=1)
        initialize(self)
        looks = recipe.reads == "words"
        self.looks = nn.ModuleList([WordAttention(width, recipe.text_width) for width in widths[1:] if looks])
        self.text = build_text_encoder(recipe, num_pieces).requires_grad_(False)

    def forward(self, latents: Tensor, pieces: Tensor) -> Tensor:
        return self.draw(latents, pieces)[0]

    def draw(self, latents: Tensor, pieces: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward`; also returns where each place looked, [N, H, W, S] of every stage that looks at words."""
        words, sentence = self.text.read(pieces)
        bias = hide_padding(pieces)[:, None, None]
        condition = torch.cat([latents, sentence], 1)
        x = self.project(condition).unflatten(1, (-1, self.start, self.start))
        x = self.activations[0](self.norms[0](x.contiguous(memory_format=torch.channels_last), condition))
        attended = []
        for place, stage in enumerate(self.stages):
            x = self.activations[place + 1](self.norms[place + 1](stage(x), condition))
            if self.looks:
                x, weights = self.looks[place](x, words, bias)
                attended.append(weights)
        return torch.tanh(self.draw_pixels(x).float()), attended


def build_network(recipe: Recipe, num_pieces: int, shape: Shape) -> Generator:
    """Build what draws, with random weights.

    Raises:
        ValueError: the images are no squares that the widths double to.
    """
    if shape[0] != 4 * 2 ** len(recipe.widths):
        raise ValueError(
            f"{len(recipe.widths)} widths draw images of {4 * 2 ** len(recipe.widths)} pixels, not of {shape[0]}: give "
            "one width for each time that 4 is doubled, or another resolution"
        )
    return Generator(recipe, num_pieces, shape)


def load_network(run: Path) -> tuple[Generator, Recipe, dict[str, Any]]:
    """Rebuild a finished run's network; also return its recipe and what was stored with it.

    Raises:
        FileNotFoundError: the run did not finish.
    """
    recipe, stored = from_record(Recipe, read_run(run)["recipe"]), read_network(run)
    network = build_network(recipe, stored["num_pieces"], tuple(stored["shape"]))
    network.load_state_dict(stored["network"])
    return network.requires_grad_(False).eval(), recipe, stored
