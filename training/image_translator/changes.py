"""What is left of images so that there is something to translate: their edges, or their levels of grey.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from training.image_translator.recipe import Change

_EDGE_SHARE = 0.4  # of an image's steepest slope, from which on it is an edge
_LUMINANCE = (0.299, 0.587, 0.114)
_PIECE = 4096  # images changed at a time, so that their float copy stays small


def find_edges(images_NHWC: Tensor) -> Tensor:
    """White lines on black, uint8 [N, H, W, 1], where the levels of a channel are steep for their image."""
    padded = F.pad(images_NHWC.permute(0, 3, 1, 2).float(), (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    slope = (across.square() + down.square()).sqrt().amax(1, keepdim=True)
    steepest = slope.amax((1, 2, 3), keepdim=True)
    edges = (slope > _EDGE_SHARE * steepest) & (steepest > 0)
    return (255 * edges).to(torch.uint8).permute(0, 2, 3, 1)


def take_colours_away(images_NHWC: Tensor) -> Tensor:
    """Luminance uint8 [N, H, W, 1], as files are decoded that a grey image is wanted of.

    Source: Recommendation ITU-R BT.601, which Pillow's mode L follows.
    """
    if images_NHWC.shape[3] == 1:
        return images_NHWC
    return (images_NHWC.float() @ torch.tensor(_LUMINANCE)).round().to(torch.uint8)[..., None]


_CHANGES: dict[Change, Callable[[Tensor], Tensor]] = {"edges": find_edges, "grey": take_colours_away}


def change_images(images_NHWC: Tensor, change: Change) -> Tensor:
    """Make sources uint8 [N, H, W, 1] of images uint8 [N, H, W, C]."""
    return torch.cat([_CHANGES[change](piece) for piece in images_NHWC.split(_PIECE)])
