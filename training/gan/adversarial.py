"""Training of two networks against each other, as the fit loop sees it.

Dimensions: N images, Z latent values, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.device import autocast
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.gan.growing import GrowingDiscriminator, GrowingGenerator, find_size
from training.gan.health import HealthMonitor
from training.gan.network import AnyGenerator
from training.gan.objective import Game
from training.gan.program import make_drawing
from training.images.adversarial_losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES
from training.images.augmentation import TrainingBatches
from training.images.dcgan import Discriminator, hold_spectral_norms
from training.images.gradient_penalties import penalize_gradient, penalize_real_gradient
from training.images.pixels import scale_images
from training.images.validation import Validation

_LATENTS, _PENALTY = 10, 12  # places in the run from which a step draws


class AdversarialTask(Resumable):
    """A generator, its discriminator, their optimizers and their data."""

    parts = ("generator", "discriminator", "generator_updater", "discriminator_updater", "average", "monitor")

    def __init__(
        self,
        *,
        generator: AnyGenerator,
        discriminator: Discriminator,
        generator_updater: Updater,
        discriminator_updater: Updater,
        game: Game,
        batches: TrainingBatches,
        validation: Validation,
        monitor: HealthMonitor,
        device: torch.device,
        seed: int,
        precision: str = "auto",
        average_decay: float = 0.0,
    ) -> None:
        self.device, self.precision, self.seed = device, precision, seed
        self.generator, self.discriminator = generator, discriminator
        self.generator_updater, self.discriminator_updater = generator_updater, discriminator_updater
        self.game, self.batches, self.validation, self.monitor = game, batches, validation, monitor
        self.average = WeightAverage(generator, average_decay) if average_decay else None

    @property
    def best_generator(self) -> AnyGenerator:
        """The generator to evaluate and release: the average where there is one."""
        return self.average.network if self.average else self.generator  # type: ignore[return-value]

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Teach the discriminator, then the generator by what it has just drawn; log losses and gradient norms."""
        self.generator.train()
        self.discriminator.train().requires_grad_(True)
        self._grow(step)
        metrics: dict[str, Tensor] = {}
        for turn in range(self.game.discriminator_steps):
            images, labels = self.batches.at(step * self.game.discriminator_steps + turn)
            is_last = turn == self.game.discriminator_steps - 1
            with torch.set_grad_enabled(is_last), autocast(self.device, self.precision):
                fake = self.generator(self._latents(len(images), step, turn), self._condition(labels))
            real = self._shrink(scale_images(images))
            metrics |= self._teach_discriminator(real, fake.detach(), labels, step, turn)
        self.discriminator.requires_grad_(False)
        hold_spectral_norms(self.discriminator)  # they have followed in the discriminator's own turn
        metrics |= self._teach_generator(fake, labels, step)
        if self.average:
            self.average.update(self.generator)
        self.monitor.observe(step, metrics)
        return metrics

    def _teach_discriminator(
        self, real: Tensor, fake: Tensor, labels: Tensor, step: int, turn: int
    ) -> dict[str, Tensor]:
        real_scores, fake_scores, logits = self._score_pair(real, fake, labels)
        loss = DISCRIMINATOR_LOSSES[self.game.loss](real_scores, fake_scores)
        metrics = {"discriminator_loss": loss.detach()}
        if self.game.penalty_weight:
            penalty = penalize_gradient(
                lambda x: self._score(x, labels)[0], real, fake, generator_for(self.seed, _PENALTY, step, turn)
            )
            loss = loss + self.game.penalty_weight * penalty
            metrics["gradient_penalty"] = penalty.detach()
        if self.game.r1_weight and step % self.game.r1_every == 0:
            penalty = penalize_real_gradient(lambda x: self._score(x, labels)[0], real)
            loss = loss + self.game.r1_weight * self.game.r1_every * penalty
        if logits is not None:
            class_loss = F.cross_entropy(logits, labels)
            loss = loss + self.game.class_weight * class_loss
            metrics["class_loss"] = class_loss.detach()
        self.discriminator_updater.update(loss, step)
        scores = torch.cat([real_scores, fake_scores]).detach()
        return metrics | {
            "discriminator_gradient": gradient_norm(self.discriminator),
            "separation": (real_scores > fake_scores).float().mean().detach(),
            "score_deviation": scores.std(),
        }

    def _teach_generator(self, fake: Tensor, labels: Tensor, step: int) -> dict[str, Tensor]:
        scores, logits = self._score(fake, labels)
        loss = GENERATOR_LOSSES[self.game.loss](scores)
        metrics = {"generator_loss": loss.detach()}
        if logits is not None:
            class_loss = F.cross_entropy(logits, labels)
            loss = loss + self.game.class_weight * class_loss
            metrics["generator_class_loss"] = class_loss.detach()
        self.generator_updater.update(loss, step)
        return metrics | {"generator_gradient": gradient_norm(self.generator)}

    def _grow(self, step: int) -> None:
        for network in (self.generator, self.discriminator, self.best_generator):
            if isinstance(network, (GrowingGenerator, GrowingDiscriminator)):
                network.size = find_size(step, self.game.growth_steps, network.num_doublings)

    def _shrink(self, images: Tensor) -> Tensor:
        if isinstance(self.discriminator, GrowingDiscriminator):
            return self.discriminator.shrink(images)
        return images

    def _latents(self, count: int, step: int, turn: int) -> Tensor:
        generator = generator_for(self.seed, _LATENTS, step, turn)
        return torch.randn(count, self.generator.latent_size, generator=generator).to(self.device)

    def _condition(self, labels: Tensor) -> Tensor | None:
        return labels if self.generator.num_classes else None

    def _score(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        with autocast(self.device, self.precision):
            assessed: tuple[Tensor, Tensor | None] = self.discriminator.assess(images, self._condition(labels))
        return assessed

    def _score_pair(self, real: Tensor, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Score real and generated images, and name the real ones' classes.

        Apart where others in the batch would tell one by the other.
        """
        if self.discriminator.mixes_images:
            real_scores, logits = self._score(real, labels)
            return real_scores, self._score(fake, labels)[0], logits
        scores, logits = self._score(torch.cat([real, fake]), torch.cat([labels, labels]))
        count = len(real)
        return scores[:count], scores[count:], None if logits is None else logits[:count]

    def validate(self) -> Mapping[str, float]:
        """Measure generated images against validation data; a collapsed generator ends the run."""
        scores = self.validation.measure(make_drawing(self.best_generator, self.device))
        self.monitor.check(scores)
        return scores

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw the validation's samples, for a person to look at."""
        return {"samples": self.validation.draw_samples(make_drawing(self.best_generator, self.device))}


@torch.no_grad()
def gradient_norm(network: nn.Module) -> Tensor:
    """Norm of all gradients together, float32 []."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm()
