"""What two players minimize whose one draws images that the other tells from real ones.

Scores may be one for each image, [N], or one for each patch of it, [N, 1, H, W].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

LossName = Literal["non-saturating", "wasserstein", "hinge", "least-squares"]


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of scores that are logits. Source: Goodfellow et al. 2014, eq. 1, and section 3."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Minus the estimated earth mover's distance. Source: Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875."""
    return fake.mean() - real.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Push scores beyond ±1 and no further. Source: Lim and Ye 2017, https://arxiv.org/abs/1705.02894."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance to 1 and 0. Source: Mao et al. 2017, https://arxiv.org/abs/1611.04076, eq. 9."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def non_saturating_generator(fake: Tensor) -> Tensor:
    """Cross-entropy of taking generated images for real ones."""
    return F.softplus(-fake).mean()


def linear_generator(fake: Tensor) -> Tensor:
    """Raise the scores; the generator's side of the Wasserstein and of the hinge loss."""
    return -fake.mean()


def least_squares_generator(fake: Tensor) -> Tensor:
    """Squared distance to 1."""
    return (fake - 1).square().mean() / 2


DISCRIMINATOR_LOSSES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "non-saturating": non_saturating_discriminator,
    "wasserstein": wasserstein_discriminator,
    "hinge": hinge_discriminator,
    "least-squares": least_squares_discriminator,
}
GENERATOR_LOSSES: dict[LossName, Callable[[Tensor], Tensor]] = {
    "non-saturating": non_saturating_generator,
    "wasserstein": linear_generator,
    "hinge": linear_generator,
    "least-squares": least_squares_generator,
}
