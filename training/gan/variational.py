"""The variational autoencoder: the baseline that adversarial training is compared with.

Dimensions: N images, Z latent values, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.device import autocast
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.gan.network import AnyGenerator
from training.gan.program import make_drawing
from training.images.augmentation import TrainingBatches
from training.images.dcgan import Discriminator
from training.images.evidence import draw_codes, evidence_bound
from training.images.pixels import scale_images
from training.images.validation import Validation

_NOISE = 13


class VariationalTask(Resumable):
    """A generator as the decoder, and a discriminator's body as the encoder: images → mean and log variance [N, 2Z]."""

    parts = ("generator", "encoder", "updater", "average")

    def __init__(
        self,
        *,
        generator: AnyGenerator,
        encoder: Discriminator,
        updater: Updater,
        batches: TrainingBatches,
        validation: Validation,
        device: torch.device,
        seed: int,
        pixel_deviation: float,
        precision: str = "auto",
        average_decay: float = 0.0,
    ) -> None:
        self.device, self.precision, self.seed = device, precision, seed
        self.generator, self.encoder, self.updater = generator, encoder, updater
        self.batches, self.validation, self.pixel_deviation = batches, validation, pixel_deviation
        self.average = WeightAverage(generator, average_decay) if average_decay else None

    @property
    def best_generator(self) -> AnyGenerator:
        """The decoder to evaluate and release: the average where there is one."""
        return self.average.network if self.average else self.generator  # type: ignore[return-value]

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Encode, draw again, and raise the evidence bound."""
        self.generator.train()
        self.encoder.train()
        images, labels = self.batches.at(step)
        real = scale_images(images)
        with autocast(self.device, self.precision):
            mean, log_variance = self.encoder(real).chunk(2, dim=1)
            noise = torch.randn(mean.shape, generator=generator_for(self.seed, _NOISE, step)).to(self.device)
            latents = draw_codes(mean, log_variance, noise)
            drawn = self.generator(latents, labels if self.generator.num_classes else None)
        loss = evidence_bound(drawn, real, mean, log_variance, self.pixel_deviation)
        self.updater.update(loss, step)
        if self.average:
            self.average.update(self.generator)
        return {"loss": loss.detach(), "latent_deviation": mean.detach().std()}

    def validate(self) -> Mapping[str, float]:
        """Measure images drawn from the prior against validation data."""
        return self.validation.measure(make_drawing(self.best_generator, self.device))

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw the validation's samples, for a person to look at."""
        return {"samples": self.validation.draw_samples(make_drawing(self.best_generator, self.device))}
