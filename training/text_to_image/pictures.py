"""Pictures of an evaluation: captions with what is drawn of them, and where each word was looked at.

Dimensions: N images, H height, W width, S pieces.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.images.pixels import quantize_images
from training.sequences.vocabulary import END, Vocabulary
from training.text_to_image.captioned import CaptionData
from training.text_to_image.network import Generator
from training.text_to_image.pairs import encode_captions
from training.text_to_image.recipe import Recipe

_NUM_CAPTIONS, _NUM_DRAWN, _NUM_ATTENDED = 6, 8, 4
_LATENTS = 21


def draw_samples(path: Path, network: Generator, data: CaptionData, vocabulary: Vocabulary, recipe: Recipe) -> None:
    """A row for each of some test captions: a real image of it, then images drawn from several latents."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    shown = [
        (f"{name}: {part.first_captions[row]}", part.first_captions[row], part.images[row])
        for name, part in data.tests.items()
        for row in range(min(_NUM_CAPTIONS, len(part)))
    ]
    figure = Figure(figsize=(0.8 * (_NUM_DRAWN + 1) + 0.4, 1.05 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), _NUM_DRAWN + 1, squeeze=False)
    for line, (title, caption, real) in zip(axes, shown, strict=True):
        drawn, _ = _draw(network, [caption] * _NUM_DRAWN, vocabulary, recipe)
        line[0].set_title(title, fontsize=7, loc="left")
        for axis, image in zip(line, [real, *drawn], strict=True):
            axis.imshow(image.expand(-1, -1, 3).numpy(), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        line[0].spines[:].set(color="tab:red", linewidth=2)
    figure.savefig(path, dpi=100)


def draw_attention(path: Path, network: Generator, data: CaptionData, vocabulary: Vocabulary, recipe: Recipe) -> None:
    """A row for each of some test captions: what is drawn, and how much each place of it looked at each word.

    Of several pieces of a word the weights are added up; the maps are those of the stage that looks at most places.
    """
    from matplotlib.figure import Figure

    captions = data.test.first_captions[:_NUM_ATTENDED]
    drawn, attended = _draw(network, captions, vocabulary, recipe)
    words = [_join_words(vocabulary, caption, maps) for caption, maps in zip(captions, attended, strict=True)]
    figure = Figure(figsize=(0.9 * (1 + max(map(len, words))), 1.1 * len(captions)), layout="constrained")
    axes = figure.subplots(len(captions), 1 + max(map(len, words)), squeeze=False)
    for line, image, found in zip(axes, drawn, words, strict=True):
        for axis in line:
            axis.set_axis_off()
        line[0].imshow(image.expand(-1, -1, 3).numpy(), interpolation="nearest")
        for axis, (word, weights) in zip(line[1:], found, strict=False):
            axis.imshow(weights, cmap="magma", vmin=0, vmax=max(float(each.max()) for _, each in found))
            axis.set_title(word, fontsize=8)
    figure.savefig(path, dpi=100)


@torch.no_grad()
def _draw(
    network: Generator, captions: list[str], vocabulary: Vocabulary, recipe: Recipe
) -> tuple[Tensor, Tensor | list[None]]:
    """Images uint8 [N, H, W, C] of captions and, of the last stage that looks, weights [N, H, W, S]."""
    latents = torch.randn(len(captions), recipe.latent_size, generator=generator_for(_LATENTS))
    device = network.project.weight.device
    pieces = encode_captions(captions, vocabulary, recipe.max_pieces)
    images, attended = network.draw(latents.to(device), pieces.to(device))
    return quantize_images(images).cpu(), attended[-1].cpu() if attended else [None] * len(captions)


def _join_words(vocabulary: Vocabulary, caption: str, maps: Tensor) -> list[tuple[str, np.ndarray]]:
    """Each word of a caption with the weights [H, W] of its pieces; the end sign is a word."""
    (pieces,) = vocabulary.encode([caption], maps.shape[2])
    words: list[tuple[str, np.ndarray]] = []
    for place, (piece, name) in enumerate(zip(pieces, vocabulary.name_pieces(pieces), strict=True)):
        weights = maps[:, :, place].numpy()
        if name.startswith("▁") or piece == END or not words:
            words.append(("end" if piece == END else name.removeprefix("▁"), weights))
        else:
            before, gathered = words[-1]
            words[-1] = (before + name, gathered + weights)
    return words
