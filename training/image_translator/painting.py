"""Colours for grey images: ink on paper, each class in one of two inks.

Nothing in an image's form tells which of the two it is, so whoever paints has to make up his mind: the mean of both is
a colour that no image has.
Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.images.splits import ImageData, Split

_SEED = 20_170_330
_SECOND_INK = 0.45  # of the circle of hues, from a class's first ink
_HUE_DEVIATION = 0.02
_GRAIN = 5.0  # deviation of the paper's levels
_PIECE = 4096  # images painted at a time, so that their float copy stays small


def paint_images(data: ImageData) -> ImageData:
    """Paint every image of a data set, always in the same way."""
    train, validation, test = (
        _paint(part, len(data.labels), generator_for(_SEED, place))
        for place, part in enumerate((data.train, data.validation, data.test))
    )
    return replace(data, name=f"painted {data.name}", train=train, validation=validation, test=test)


def _paint(split: Split, num_classes: int, random: torch.Generator) -> Split:
    pieces = [
        _paint_piece(images, labels, num_classes, random)
        for images, labels in zip(split.images.split(_PIECE), split.labels.split(_PIECE), strict=True)
    ]
    return Split(torch.cat(pieces), split.labels)


def _paint_piece(images_NHWC: Tensor, labels: Tensor, num_classes: int, random: torch.Generator) -> Tensor:
    count = len(images_NHWC)
    second = torch.randint(2, (count,), generator=random)
    hue = labels / num_classes + _SECOND_INK * second + _HUE_DEVIATION * torch.randn(count, generator=random)
    ink = make_colours(hue, _draw_uniform(count, 0.75, 1, random), _draw_uniform(count, 0.75, 1, random))
    paper = make_colours(
        torch.rand(count, generator=random),
        _draw_uniform(count, 0.3, 0.8, random),
        _draw_uniform(count, 0.1, 0.35, random),
    )
    share = images_NHWC.float().mean(3, keepdim=True) / 255
    painted = torch.lerp(paper[:, None, None], ink[:, None, None], share)
    grain = _GRAIN * torch.randn(painted.shape, generator=random)
    return (255 * painted + grain).round().clamp(0, 255).to(torch.uint8)


def make_colours(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """RGB in [0, 1], float32 [N, 3], of hues on a circle of 1, saturations and values in [0, 1], each [N].

    Source: Smith 1978, Color gamut transform pairs, in the closed form with n = 5, 3, 1.
    """
    place = (torch.tensor([5.0, 3.0, 1.0]) + 6 * hue[:, None]) % 6
    fall = torch.minimum(place, 4 - place).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * fall)


def _draw_uniform(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=random)
