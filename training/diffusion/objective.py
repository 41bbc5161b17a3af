"""What a diffusion model minimizes: the squared error of the velocity, of images under any amount of noise.

Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model_store.denoising import NoiseSchedule, log_snr_at
from training.diffusion.network import Network
from training.diffusion.program import make_drawing, mix
from training.diffusion.recipe import Recipe
from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.device import autocast
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.images.augmentation import TrainingBatches
from training.images.drawing import Drawing
from training.images.pixels import scale_images
from training.images.validation import Validation

_NOISE = 13


def draw_log_snr(schedule: NoiseSchedule, count: int, random: torch.Generator) -> Tensor:
    """Draw log SNRs float32 [N] at times that lie evenly in [0, 1] but for one common shift.

    Source: Kingma et al. 2021, https://arxiv.org/abs/2107.00630, appendix I.1: the loss differs less from step to step.
    """
    time = (torch.rand((), generator=random) + torch.arange(count) / count) % 1
    return torch.from_numpy(log_snr_at(schedule, time.numpy())).float()


class DiffusionTask(Resumable):
    """A network that learns to tell images from noise, and the average of its weights, which draws."""

    parts = ("network", "updater", "average")

    def __init__(
        self,
        recipe: Recipe,
        *,
        network: Network,
        updater: Updater,
        batches: TrainingBatches,
        validation: Validation,
        device: torch.device,
        seed: int,
    ) -> None:
        self.recipe, self.device, self.seed = recipe, device, seed
        self.network, self.updater, self.batches, self.validation = network, updater, batches, validation
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> Network:
        """The network to evaluate and release."""
        return self.average.network  # type: ignore[return-value]

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Add noise to images, and bring the network closer to their velocity."""
        self.network.train()
        images, labels = self.batches.at(step)
        random = generator_for(self.seed, _NOISE, step)
        clean = scale_images(images)
        log_snr = draw_log_snr(self.recipe.noise_schedule, len(clean), random).to(self.device)
        noise = torch.randn(clean.shape, generator=random).to(self.device)
        hidden = (torch.rand(len(labels), generator=random) < self.recipe.label_dropout).to(self.device)
        labels = torch.where(hidden, self.network.num_classes, labels)
        noisy, velocity = mix(clean, noise, log_snr)
        with autocast(self.device, self.recipe.precision):
            found = self.network(noisy, log_snr, labels)
        loss = (found.float() - velocity).square().mean()
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    def validate(self) -> Mapping[str, float]:
        """Measure drawn images against validation data."""
        return self.validation.measure(self._drawing())

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw the validation's samples, for a person to look at."""
        return {"samples": self.validation.draw_samples(self._drawing())}

    def _drawing(self) -> Drawing:
        return make_drawing(self.best_network, self.recipe, self.device)
