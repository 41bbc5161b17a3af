"""Learning to draw captions: to deceive who compares image and caption, and to be found by the teacher.

Dimensions: N images, Z latent values, S pieces, D features of a sentence, C channels, H height, W width.
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
from training.images.adversarial_losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES
from training.images.grids import arrange_grid
from training.images.mode_seeking import penalize_likeness
from training.text_to_image.matching import Matcher
from training.text_to_image.measurement import Measurement
from training.text_to_image.network import Generator
from training.text_to_image.opponent import CaptionDiscriminator
from training.text_to_image.pairs import Pairs
from training.text_to_image.program import draw_images
from training.text_to_image.recipe import Recipe

MONITOR = "r_precision"
_BATCH, _LATENTS = 1, 2
_COLUMNS, _ROWS = 8, 6


class DrawingTask(Resumable):
    """What draws captions, its discriminator, their optimizers and their data; the teacher learns no more."""

    parts = ("network", "discriminator", "average", "updater", "discriminator_updater")

    def __init__(
        self,
        network: Generator,
        discriminator: CaptionDiscriminator,
        teacher: Matcher,
        *,
        updater: Updater,
        discriminator_updater: Updater,
        pairs: Pairs,
        validation: Measurement,
        device: torch.device,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.network, self.discriminator, self.teacher = network, discriminator, teacher
        self.updater, self.discriminator_updater = updater, discriminator_updater
        self.pairs, self.validation = pairs, validation
        self.device, self.recipe, self.seed = device, recipe, seed
        network.text.load_state_dict(teacher.text.state_dict())
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> Generator:
        """The average of weights, which is evaluated and released."""
        assert isinstance(self.average.network, Generator)
        return self.average.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Teach the discriminator what has just been drawn, then what draws; log their losses."""
        recipe = self.recipe
        self.network.train()
        images, pieces, _ = self.pairs.draw(recipe.batch_size, generator_for(self.seed, _BATCH, step), self.device)
        random = generator_for(self.seed, _LATENTS, step)
        latents = torch.randn(len(images), recipe.latent_size, generator=random).to(self.device)
        sentences = self.teacher.text(pieces)
        drawn = self.network(latents, pieces)
        metrics = {"discriminator_loss": self._teach_discriminator(images, drawn.detach(), sentences, pieces, step)}
        maps = self.discriminator.see(drawn)
        deceive = GENERATOR_LOSSES[recipe.loss]
        loss = deceive(self.discriminator.score_images(maps)) + deceive(self.discriminator.score_pairs(maps, sentences))
        metrics["adversarial_loss"] = loss.detach()
        if recipe.match_weight:
            match = self.teacher.measure_loss(drawn, pieces)
            loss = loss + recipe.match_weight * match
            metrics["match_loss"] = match.detach()
        if recipe.variety_weight:
            likeness = self._draw_again(drawn, latents, pieces, random)
            loss = loss + recipe.variety_weight * likeness
            metrics["likeness"] = likeness.detach()
        self.updater.update(loss, step)
        self.average.update(self.network)
        return metrics

    def _draw_again(self, drawn: Tensor, latents: Tensor, pieces: Tensor, random: torch.Generator) -> Tensor:
        """Draw half of a batch's captions from other latents; how alike both are."""
        half = (len(drawn) + 1) // 2
        others = torch.randn(half, latents.shape[1], generator=random).to(self.device)
        return penalize_likeness(drawn[:half], self.network(others, pieces[:half]), latents[:half], others)

    def _teach_discriminator(self, real: Tensor, drawn: Tensor, sentences: Tensor, pieces: Tensor, step: int) -> Tensor:
        """Real images of their captions against drawn ones, and against real ones of the next image's caption."""
        network, oppose = self.discriminator.requires_grad_(True), DISCRIMINATOR_LOSSES[self.recipe.loss]
        real_maps, drawn_maps = network.see(torch.cat([real, drawn])).chunk(2)
        loss = oppose(network.score_images(real_maps), network.score_images(drawn_maps))
        is_wrong = (pieces != pieces.roll(1, 0)).any(1)  # the next caption may be the same
        maps = torch.cat([real_maps, drawn_maps, real_maps[is_wrong]])
        told = torch.cat([sentences, sentences, sentences.roll(1, 0)[is_wrong]])
        scores = network.score_pairs(maps, told)
        loss = loss + oppose(scores[: len(real)], scores[len(real) :])
        self.discriminator_updater.update(loss, step)
        network.requires_grad_(False)
        return loss.detach()

    def validate(self) -> Mapping[str, float]:
        """Measure what is drawn of the validation captions, as the judge and the reader see it."""
        return self.validation.summarize(self._draw_validation())

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw some validation captions, for a person to look at."""
        drawn = self._draw_validation()[: _COLUMNS * _ROWS]
        return {"samples": arrange_grid(drawn.numpy(), _COLUMNS)}

    def _draw_validation(self) -> Tensor:
        return draw_images(self.best_network, self.validation.latents, self.validation.pieces)
