"""Changes to an image, within a bound for each pixel, that make a classifier err.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.classifier.program import Program

_STEP_FACTOR = 2.5  # so that the steps together reach beyond the bound from everywhere, as published


def attack(
    program: Program, images_NHWC: Tensor, labels: Tensor, *, bound: float, num_steps: int, generator: torch.Generator
) -> Tensor:
    """Climb the loss of uint8 images in `num_steps` and return them, float32, changed by at most `bound` in each pixel.

    One step is the fast gradient sign method; more are projected gradient descent, which starts at a random place. Both
    know the whole program, normalization and mirror images included; its temperature changes no sign.
    Sources: Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572, section 4; Madry et al. 2018,
    https://arxiv.org/abs/1706.06083, section 2.1.
    """
    original = images_NHWC.float()
    lowest, highest = (original - bound).clamp_min(0), (original + bound).clamp_max(255)
    changed = original
    step_size = bound
    if num_steps > 1:
        noise = (2 * torch.rand(original.shape, generator=generator) - 1).to(original.device)
        changed = (original + bound * noise).clamp(lowest, highest)
        step_size = _STEP_FACTOR * bound / num_steps
    for _ in range(num_steps):
        changed = changed.detach().requires_grad_()
        loss = F.cross_entropy(program.logits(changed), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, changed)
        changed = (changed + step_size * gradient.sign()).clamp(lowest, highest)
    return changed.detach()
