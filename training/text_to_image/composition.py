"""Scenes as pictures: grey images of things, inked in a colour, somewhere on paper.

Dimensions: N scenes, M images of things, S side in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.images.splits import Split
from training.text_to_image.grammar import ABOVE, BESIDE, COLOURS, LARGE, PAPERS, SMALL, Scenes

_SCALES = {SMALL: (0.5, 0.6), LARGE: (0.85, 1.0), BESIDE: (0.42, 0.5), ABOVE: (0.42, 0.5)}
_DEVIATION = 6.0  # of inks and papers, in levels
_PIECE = 2000  # scenes drawn at a time, so that their float copy stays small


def compose_scenes(scenes: Scenes, pool: Split, side_px: int, random: torch.Generator) -> Tensor:
    """Draw scenes uint8 [N, S, S, 3] of things out of `pool`, images uint8 [M, H, W, C] with their classes."""
    pieces = []
    for rows in torch.arange(len(scenes.layouts)).split(_PIECE):
        paper = _jitter(torch.tensor(list(PAPERS.values()))[scenes.papers[rows]], random)
        picture = paper[:, :, None, None].expand(-1, -1, side_px, side_px)
        for place in range(2):
            share = _place_things(scenes, rows, place, pool, side_px, random)
            inks = torch.tensor([*COLOURS.values(), (0, 0, 0)])  # the last is never seen
            ink = _jitter(inks[scenes.colours[rows, place]], random)
            picture = torch.lerp(picture, ink[:, :, None, None], share)
        pieces.append(picture.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    return torch.cat(pieces)


def _place_things(
    scenes: Scenes, rows: Tensor, place: int, pool: Split, side_px: int, random: torch.Generator
) -> Tensor:
    """How much of each pixel is ink of one of the things, float32 [N, 1, S, S]; 0 where there is none."""
    classes, layouts = scenes.classes[rows, place], scenes.layouts[rows]
    there = torch.isin(classes, pool.labels)
    chosen = _choose(torch.where(there, classes, pool.labels[0]), pool.labels, random)
    things = pool.images[chosen].float().mean(3)[:, None] / 255
    bounds = torch.tensor([_SCALES[layout] for layout in sorted(_SCALES)])[layouts]
    scale = torch.lerp(bounds[:, 0], bounds[:, 1], torch.rand(len(rows), generator=random))
    centre = _draw_centres(layouts, scale, place, random)
    affine = torch.zeros(len(rows), 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = 1 / scale
    affine[:, :, 2] = -centre / scale[:, None]
    grid = F.affine_grid(affine, [len(rows), 1, side_px, side_px], align_corners=False)
    share = F.grid_sample(things, grid, align_corners=False)
    return share * there[:, None, None, None]


def _draw_centres(layouts: Tensor, scale: Tensor, place: int, random: torch.Generator) -> Tensor:
    """Where things are, x and y float32 [N, 2] from −1 to 1: anywhere that they fit, of two each in its half."""
    room = 1 - scale[:, None]
    centre = room * (2 * torch.rand(len(layouts), 2, generator=random) - 1)
    half = (2 * place - 1) * 0.5 + (centre * 0.2).clamp(-0.05, 0.05)
    is_beside, is_above = layouts == BESIDE, layouts == ABOVE
    return torch.stack(
        [torch.where(is_beside, half[:, 0], centre[:, 0]), torch.where(is_above, half[:, 1], centre[:, 1])], 1
    )


def _choose(classes: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
    """A random image of each class, as its place in `labels`."""
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels, minlength=int(classes.max()) + 1)
    starts = counts.cumsum(0) - counts
    within = (torch.rand(len(classes), generator=random) * counts[classes]).long().minimum(counts[classes] - 1)
    return order[starts[classes] + within]


def _jitter(levels: Tensor, random: torch.Generator) -> Tensor:
    return levels.float() + _DEVIATION * torch.randn(levels.shape, generator=random)
