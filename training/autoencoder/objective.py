"""What the autoencoder is trained on: what comes back of an image, and what its code shall be like.

Dimensions: N images, Z values of a code, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from training.autoencoder.corruption import corrupt
from training.autoencoder.data import CodedData
from training.autoencoder.network import Autoencoder
from training.autoencoder.program import answer_images
from training.autoencoder.recipe import Recipe
from training.autoencoder.scores import explained_share, score_images
from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.device import autocast
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.images.augmentation import TrainingBatches
from training.images.evidence import draw_codes, evidence_bound, measure_error
from training.images.grids import arrange_grid
from training.images.pixels import scale_images

MONITOR = "explained"
_NOISE = 13
_NUM_PICTURED = 10


class AutoencoderTask(Resumable):
    """A network, the average of its weights, and images to train and validate with."""

    parts = ("network", "average", "updater")

    def __init__(
        self,
        recipe: Recipe,
        *,
        network: Autoencoder,
        updater: Updater,
        batches: TrainingBatches,
        data: CodedData,
        device: torch.device,
        seed: int,
    ) -> None:
        self.recipe, self.device, self.seed = recipe, device, seed
        self.network, self.updater, self.batches = network, updater, batches
        self.average = WeightAverage(network, recipe.average_decay)
        self.clean, self.seen = data.images.validation.images, data.seen_validation
        self.mean = data.images.train.images.float().mean(0).numpy()

    @property
    def best_network(self) -> Autoencoder:
        """The network to evaluate and release."""
        return self.average.network  # type: ignore[return-value]

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Bring back one batch; log the loss, and beside it what the code costs."""
        self.network.train()
        images, _ = self.batches.at(step)
        random = generator_for(self.seed, _NOISE, step)
        clean, seen = scale_images(images), scale_images(corrupt(images, self.recipe, random))
        with autocast(self.device, self.recipe.precision):
            loss, figures = self._measure_loss(clean, seen, random)
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()} | figures

    def _measure_loss(self, clean: Tensor, seen: Tensor, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        recipe = self.recipe
        code, log_variance = self.network.encode(seen)
        if log_variance is not None:
            noise = torch.randn(code.shape, generator=random).to(self.device)
            drawn = self.network.decoder(draw_codes(code, log_variance, noise))
            return evidence_bound(drawn, clean, code, log_variance, recipe.pixel_deviation, recipe.beta), {}
        error = measure_error(self.network.decoder(code), clean, recipe.pixel_deviation).mean()
        if not recipe.sparsity_weight:
            return error, {}
        active = (code.detach() > 0).float().mean()
        return error + recipe.sparsity_weight * code.abs().sum(1).mean(), {"active": active}

    def validate(self) -> Mapping[str, float]:
        """Measure how much of the validation images' squared distance from the mean image comes back."""
        found = answer_images(self.best_network, self.seen)
        return {MONITOR: explained_share(score_images(found.reconstruction, self.clean.numpy(), self.mean))}

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw validation images as they were, as they were seen and as they came back, for a person to look at."""
        clean, seen = self.clean[:_NUM_PICTURED], self.seen[:_NUM_PICTURED]
        rows = [clean.numpy(), seen.numpy(), answer_images(self.best_network, seen).reconstruction]
        return {"reconstructions": arrange_grid(np.concatenate(rows), len(clean))}
