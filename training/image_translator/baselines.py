"""Answers without a network: the source itself, and the mean colour of each of its levels.

Dimensions: N images, H height, W width, C channels of sources, D channels of targets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.image_translator.changes import take_colours_away
from training.image_translator.domains import Domains

_LEVELS = 256


def copy_sources(sources: Tensor, num_channels: int) -> Tensor:
    """Sources uint8 [N, H, W, C] as answers [N, H, W, D]: grey ones in every channel, coloured ones made grey."""
    if sources.shape[3] == num_channels:
        return sources
    return take_colours_away(sources).expand(-1, -1, -1, num_channels)


def colour_by_level(train: Domains, sources: Tensor) -> Tensor:
    """Give each level of grey of sources uint8 [N, H, W, C] the mean colour that it has in training pairs.

    A level that no training image has takes the colour of the next lower one that some have.
    """
    levels = take_colours_away(train.sources).flatten().long()
    counts = torch.bincount(levels, minlength=_LEVELS)
    sums = torch.stack(
        [torch.bincount(levels, channel.flatten().double(), _LEVELS) for channel in train.targets.unbind(3)], 1
    )
    known = counts > 0
    nearest = torch.where(known, torch.arange(_LEVELS), 0).cummax(0).values
    nearest = torch.where(known[nearest], nearest, known.int().argmax())
    colours = (sums / counts.clamp_min(1)[:, None])[nearest].round().to(torch.uint8)
    return colours[take_colours_away(sources)[..., 0].long()]
