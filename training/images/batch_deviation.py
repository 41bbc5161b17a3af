"""How much the images of a batch differ, as something that a discriminator sees of each of them.

Dimensions: N images, C channels, H height, W width, G images of a group.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_GROUP_SIZE = 4


class BatchDeviation(nn.Module):
    """Maps [N, C, H, W] → [N, C + 1, H, W]: the last is the mean deviation of the others among neighbours.

    A generator that draws one image is told so by it. Neighbours are four rows of the batch; a last group may be
    smaller.
    Source: Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 3; in groups Karras et al. 2020,
    https://arxiv.org/abs/1912.04958.
    """

    def forward(self, maps: Tensor) -> Tensor:
        rows = [_measure_deviation(group) for group in maps.float().split(_GROUP_SIZE)]
        deviation = torch.cat(rows).to(maps.dtype)[:, None, None, None]
        return torch.cat([maps, deviation.expand(-1, 1, *maps.shape[2:])], 1)


def _measure_deviation(group_GCHW: Tensor) -> Tensor:
    """The same for all G images, [G]; 0 where there is only one."""
    deviation = (group_GCHW.var(0, correction=0) + 1e-8).sqrt().mean()
    return deviation.expand(len(group_GCHW))
