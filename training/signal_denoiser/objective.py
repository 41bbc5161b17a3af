"""What the signal denoiser is trained on: decibels, of signals that are disturbed anew for every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.signal_denoiser.data import SignalData, disturb
from training.signal_denoiser.network import SignalDenoiser
from training.signal_denoiser.program import clean_signals
from training.signal_denoiser.recipe import Recipe
from training.signal_denoiser.scores import measure_gain

MONITOR = "gain_db"


class DenoiserTask(Resumable):
    """A network, the average of its weights, and signals to train and validate with, as the fit loop sees them."""

    parts = ("network", "average", "updater")

    def __init__(
        self,
        recipe: Recipe,
        *,
        network: SignalDenoiser,
        updater: Updater,
        data: SignalData,
        device: torch.device,
        seed: int,
    ) -> None:
        self.recipe, self.data, self.device, self.seed = recipe, data, device, seed
        self.network, self.updater = network, updater
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> SignalDenoiser:
        """The average of weights, which is evaluated and released."""
        return cast(SignalDenoiser, self.average.network)

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Raise the mean gain of one batch: its logarithms weigh faint disturbances like strong ones."""
        random = generator_for(self.seed, step)
        rows = torch.randint(len(self.data.train), (self.recipe.batch_size,), generator=random)
        batch = disturb(self.data.train[rows], self.recipe, random)
        clean, noisy = batch.clean.to(self.device), batch.noisy.to(self.device)
        self.network.train()
        loss = -measure_gain(self.network(noisy), noisy, clean).mean()
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    def validate(self) -> Mapping[str, float]:
        """Measure the mean gain on the validation signals, in decibels."""
        part = self.data.validation
        found = clean_signals(self.best_network, part.noisy)
        return {MONITOR: float(measure_gain(found, part.noisy, part.clean).mean())}
