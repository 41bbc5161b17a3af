"""How a critic's slope is held near one.

Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def penalize_gradient(
    score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean squared deviation from 1 of the gradient's norm, at random points between real and fake images [N, C, H, W].

    Source: Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, algorithm 1.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=generator).to(real.device)
    between = torch.lerp(fake.detach(), real, share).requires_grad_()
    (gradient,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
