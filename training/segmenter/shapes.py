"""Generated scenes: shapes of several classes, each in front of those before it, behind bars, in noise.

Dimensions: N images, S the side of an image in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from training.segmenter.scenes import Scenes

CLASSES = ("background", "disk", "ring", "square", "triangle", "cross")
_MOST_SHAPES = 3
_RADIUS = (0.16, 0.3)  # of the image's side
_CONTRAST = (20.0, 100.0)  # by how many levels a shape is brighter than the background, in each channel
_NOISE = (3.0, 18.0)
_BAR_SHARE, _BAR_WIDTH = 0.5, (0.04, 0.09)  # of images that have a bar in front, and of the side

# Whether points lie inside a shape of radius 1, by their coordinates x and y in its own frame.
_INSIDE: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda x, y: x.square() + y.square() < 1,
    lambda x, y: ((x.square() + y.square()).sqrt() - 0.75).abs() < 0.25,
    lambda x, y: torch.maximum(x.abs(), y.abs()) < 0.8,
    lambda x, y: torch.maximum(y - 0.5, (math.sqrt(3) * x.abs() - y) - 1) < 0,
    lambda x, y: (torch.minimum(x.abs(), y.abs()) < 0.3) & (torch.maximum(x.abs(), y.abs()) < 1),
)


def draw_scenes(count: int, side: int, generator: torch.Generator) -> Scenes:
    """Draw RGB scenes of `side` pixels with up to three shapes; one in four shows none but the background."""
    background = _draw_uniform((count, 1, 1, 3), 30, 130, generator) + _draw_texture(count, side, generator)
    images, masks = background, torch.zeros(count, side, side, dtype=torch.uint8)
    num_shapes = torch.randint(_MOST_SHAPES + 1, (count,), generator=generator)
    for place in range(_MOST_SHAPES):
        number = torch.randint(1, len(CLASSES), (count,), generator=generator)
        inside = _draw_shape(number, side, generator) & (place < num_shapes)[:, None, None]
        colour = background.mean((1, 2), keepdim=True) + _draw_uniform((count, 1, 1, 3), *_CONTRAST, generator)
        images = torch.where(inside[..., None], colour, images)
        masks = torch.where(inside, number[:, None, None].to(torch.uint8), masks)
    bar = _draw_bar(count, side, generator)
    images = torch.where(bar[..., None], _draw_uniform((count, 1, 1, 3), 0, 255, generator), images)
    masks = torch.where(bar, 0, masks)
    noise = torch.randn(images.shape, generator=generator) * _draw_uniform((count, 1, 1, 1), *_NOISE, generator)
    return Scenes((images + noise).round().clamp(0, 255).to(torch.uint8), masks)


def _draw_shape(number: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Which pixels, bool [N, S, S], lie in a shape of each class [N], somewhere, of some size, turned somehow."""
    count = len(number)
    radius = _draw_uniform((count, 1, 1), *_RADIUS, generator)
    centre = [_draw_uniform((count, 1, 1), 0.2, 0.8, generator) for _ in range(2)]
    angle = _draw_uniform((count, 1, 1), 0, 2 * math.pi, generator)
    across, down = _make_grid(side)
    x, y = (across - centre[0]) / radius, (down - centre[1]) / radius
    x, y = angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y
    inside = torch.stack([is_inside(x, y) for is_inside in _INSIDE])
    return inside[number - 1, torch.arange(count)]


def _draw_bar(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Which pixels, bool [N, S, S], a bar across the image covers."""
    angle = _draw_uniform((count, 1, 1), 0, math.pi, generator)
    offset = _draw_uniform((count, 1, 1), -0.3, 0.3, generator)
    width = _draw_uniform((count, 1, 1), *_BAR_WIDTH, generator)
    across, down = _make_grid(side)
    distance = (angle.cos() * (across - 0.5) + angle.sin() * (down - 0.5) - offset).abs()
    return (distance < width / 2) & (torch.rand((count, 1, 1), generator=generator) < _BAR_SHARE)


def _draw_texture(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Slow changes of brightness, float [N, S, S, 1]."""
    coarse = torch.randn((count, 1, 4, 4), generator=generator) * 12
    return F.interpolate(coarse, (side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def _draw_uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _make_grid(side: int) -> tuple[Tensor, Tensor]:
    """Places of pixel centres, 0 to 1, across [1, S] and down [S, 1]."""
    places = (torch.arange(side) + 0.5) / side
    return places[None, :], places[:, None]
