"""How the slope of a critic's scores is held where it should be.

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
    between = torch.lerp(fake.detach(), real, share)
    return (_find_gradient(score, between).flatten(1).norm(dim=1) - 1).square().mean()


def penalize_real_gradient(score: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the mean squared norm of the gradient at real images [N, C, H, W], known as R1.

    Source: Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, eq. 9.
    """
    return _find_gradient(score, real).flatten(1).square().sum(1).mean() / 2


def _find_gradient(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Gradient of the scores' sum at `images`, through which one can learn."""
    at = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(at).sum(), at, create_graph=True)
    return gradient
