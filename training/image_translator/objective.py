"""Learning from pairs: to be near the truth, and not to be told from it.

Dimensions: N images, C channels of sources, D channels of targets, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.image_translator.domains import Domains, TranslationData
from training.image_translator.measurement import METRICS, Measurement
from training.image_translator.network import Translator
from training.image_translator.patches import PatchDiscriminator
from training.image_translator.program import translate
from training.image_translator.recipe import Recipe
from training.images.adversarial_losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES
from training.images.grids import arrange_grid
from training.images.pixels import scale_images

_BATCH = 1
_NUM_SHOWN = 10


class TranslatorTask(Resumable):
    """What all ways to learn have in common: the released translator, its average, its validation and pictures."""

    def __init__(
        self,
        network: Translator,
        data: TranslationData,
        validation: Measurement,
        *,
        device: torch.device,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.network, self.data, self.validation = network, data, validation
        self.device, self.recipe, self.seed = device, recipe, seed
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> Translator:
        """The average of weights, which is evaluated and released."""
        assert isinstance(self.average.network, Translator)
        return self.average.network

    def draw_batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw a step's sources float32 [N, C, H, W] and targets [N, D, H, W] in [−1, 1], on the device."""
        random = generator_for(self.seed, _BATCH, step)
        drawn = self.data.train.sample(self.recipe.batch_size, random, flip=self.recipe.flip)
        sources, targets = (scale_images(images.to(self.device)) for images in drawn)
        return sources, targets

    def validate(self) -> Mapping[str, float]:
        """Measure translations of validation images; `quality` is minus their distance, else minus their error."""
        rows = self.validation.measure(translate(self.best_network, self.data.validation.sources))
        figures = {metric: METRICS[metric](values) for metric, values in rows.items()}
        figures |= self.measure_more()
        worst_first = next(name for name in ("frechet", "l1", "cycle_l1") if name in figures)
        return {"quality": -figures[worst_first]} | figures

    def measure_more(self) -> Mapping[str, float]:
        """Figures of validation images that only one way to learn has."""
        return {}

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw sources, translations and, where they are known, true targets of validation images, a row for each."""
        chosen: Domains = self.data.validation
        sources = chosen.sources[:_NUM_SHOWN]
        rows = [sources, translate(self.best_network, sources)] + [chosen.targets[:_NUM_SHOWN]] * chosen.paired
        coloured = [images.expand(-1, -1, -1, 3) for images in rows]
        return {"translations": arrange_grid(torch.cat(coloured).numpy(), len(sources))}


class PairedTask(TranslatorTask):
    """A translator and, unless it learns from the absolute error alone, a discriminator that sees pairs.

    Source: Isola et al. 2017, https://arxiv.org/abs/1611.07004, eq. 4.
    """

    parts = ("network", "average", "updater", "discriminator", "discriminator_updater")

    def __init__(
        self,
        network: Translator,
        data: TranslationData,
        validation: Measurement,
        *,
        updater: Updater,
        discriminator: PatchDiscriminator | None,
        discriminator_updater: Updater | None,
        device: torch.device,
        recipe: Recipe,
        seed: int,
    ) -> None:
        super().__init__(network, data, validation, device=device, recipe=recipe, seed=seed)
        self.updater = updater
        self.discriminator, self.discriminator_updater = discriminator, discriminator_updater

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Teach the discriminator what has just been drawn, then the translator; log their losses."""
        self.network.train()
        sources, targets = self.draw_batch(step)
        drawn = self.network(sources)
        error = (drawn - targets).abs().mean()
        loss, metrics = self.recipe.l1_weight * error, {"l1_loss": error.detach()}
        if self.discriminator is not None:
            metrics["discriminator_loss"] = self._teach_discriminator(sources, targets, drawn.detach(), step)
            deceived = GENERATOR_LOSSES[self.recipe.loss](self.discriminator(torch.cat([sources, drawn], 1)))
            loss = loss + self.recipe.adversarial_weight * deceived
            metrics["adversarial_loss"] = deceived.detach()
        self.updater.update(loss, step)
        self.average.update(self.network)
        return metrics | {"loss": loss.detach()}

    def _teach_discriminator(self, sources: Tensor, targets: Tensor, drawn: Tensor, step: int) -> Tensor:
        assert self.discriminator is not None
        assert self.discriminator_updater is not None
        self.discriminator.requires_grad_(True)
        pairs = torch.cat([torch.cat([sources, targets], 1), torch.cat([sources, drawn], 1)])
        loss = DISCRIMINATOR_LOSSES[self.recipe.loss](*self.discriminator(pairs).chunk(2))
        self.discriminator_updater.update(loss, step)
        self.discriminator.requires_grad_(False)
        return loss.detach()
