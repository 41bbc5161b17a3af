"""What the two players minimize, as weights of losses and penalties that `training/images` has."""

from __future__ import annotations

from dataclasses import dataclass

from training.images.adversarial_losses import LossName


@dataclass(frozen=True, kw_only=True)
class Game:
    """The rules of the two players.

    `discriminator_steps` for each step of the generator; `penalty_weight` 0 leaves the gradient penalty out. So does
    `r1_weight` the one at real images: looked at every `r1_every` steps, it weighs as many times as much there.
    `class_weight` is that of naming classes, which a discriminator without a classifier does not do. Players that can
    grow do so over the first `growth_steps`.
    """

    loss: LossName
    discriminator_steps: int
    penalty_weight: float
    r1_weight: float
    r1_every: int
    class_weight: float
    growth_steps: int
