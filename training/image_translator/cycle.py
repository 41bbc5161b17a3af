"""Learning without pairs: to look like a target, and to be a source again after the way back.

Source: Zhu et al. 2017, https://arxiv.org/abs/1703.10593, eqs. 1 to 3 and section 5.2 for the identity.
Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.image_translator.domains import TranslationData
from training.image_translator.measurement import Measurement
from training.image_translator.network import Translator
from training.image_translator.objective import TranslatorTask
from training.image_translator.program import translate
from training.image_translator.recipe import Recipe
from training.image_translator.scores import absolute_errors
from training.images.adversarial_losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES

_HISTORY = 2


class ImageHistory:
    """The last `size` images that were drawn; each new batch is mixed with older ones.

    A discriminator that sees the newest alone forgets what it once knew better.
    Source: Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, section 2.3; half of a batch is older.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def mix(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Take images [N, C, H, W] in; return as many, of which some are older ones that make room."""
        if not self.size:
            return images
        if self.images is None or len(self.images) < self.size:
            known = images if self.images is None else torch.cat([self.images, images])
            self.images = known[: self.size]
            return images
        count = min(len(images) // 2, self.size)
        places = torch.randperm(self.size, generator=random)[:count].to(images.device)
        older = self.images[places]
        self.images = self.images.index_copy(0, places, images[:count])
        return torch.cat([older, images[count:]])

    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.images = state["images"]


class CycleTask(TranslatorTask):
    """Two translators, there and back, and for the images of each side a discriminator with its history."""

    parts = (
        *("network", "average", "back", "updater", "discriminators", "discriminator_updater"),
        *("drawn_targets", "drawn_sources"),
    )

    def __init__(
        self,
        network: Translator,
        data: TranslationData,
        validation: Measurement,
        *,
        back: Translator,
        updater: Updater,
        discriminators: nn.ModuleDict,
        discriminator_updater: Updater,
        device: torch.device,
        recipe: Recipe,
        seed: int,
    ) -> None:
        super().__init__(network, data, validation, device=device, recipe=recipe, seed=seed)
        self.back, self.updater = back, updater
        self.discriminators, self.discriminator_updater = discriminators, discriminator_updater
        self.drawn_targets, self.drawn_sources = ImageHistory(recipe.buffer_size), ImageHistory(recipe.buffer_size)

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Teach both translators, then both discriminators; log all losses."""
        self.network.train()
        self.back.train()
        sources, targets = self.draw_batch(step)
        drawn_targets, drawn_sources = self.network(sources), self.back(targets)
        deceive, recipe = GENERATOR_LOSSES[self.recipe.loss], self.recipe
        deceived = deceive(self.discriminators["targets"](drawn_targets))
        deceived = deceived + deceive(self.discriminators["sources"](drawn_sources))
        cycle = _distance(self.back(drawn_targets), sources) + _distance(self.network(drawn_sources), targets)
        loss = recipe.adversarial_weight * deceived + recipe.cycle_weight * cycle
        metrics = {"adversarial_loss": deceived.detach(), "cycle_loss": cycle.detach()}
        if recipe.identity_weight:
            identity = _distance(self.network(targets), targets) + _distance(self.back(sources), sources)
            loss = loss + recipe.identity_weight * identity
            metrics["identity_loss"] = identity.detach()
        self.updater.update(loss, step)
        self.average.update(self.network)
        metrics["discriminator_loss"] = self._teach_discriminators(
            sources, targets, drawn_sources.detach(), drawn_targets.detach(), step
        )
        return metrics | {"loss": loss.detach()}

    def _teach_discriminators(
        self, sources: Tensor, targets: Tensor, drawn_sources: Tensor, drawn_targets: Tensor, step: int
    ) -> Tensor:
        random = generator_for(self.seed, _HISTORY, step)
        self.discriminators.requires_grad_(True)
        losses = []
        for name, real, fake in (
            ("targets", targets, self.drawn_targets.mix(drawn_targets, random)),
            ("sources", sources, self.drawn_sources.mix(drawn_sources, random)),
        ):
            scores = self.discriminators[name](torch.cat([real, fake]))
            losses.append(DISCRIMINATOR_LOSSES[self.recipe.loss](scores[: len(real)], scores[len(real) :]))
        loss = torch.stack(losses).sum()
        self.discriminator_updater.update(loss, step)
        self.discriminators.requires_grad_(False)
        return loss.detach()

    def measure_more(self) -> Mapping[str, float]:
        """How far validation images are from what they are after the way there and back."""
        return measure_cycles(self.best_network, self.back, self.data.validation.sources)


def measure_cycles(there: Translator, back: Translator, sources: Tensor) -> dict[str, float]:
    """Mean absolute error, as a share of the range, of sources uint8 [N, H, W, C] that went there and back."""
    returned = translate(back, translate(there, sources))
    return {"cycle_l1": float(absolute_errors(returned, sources).mean())}


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().mean()
