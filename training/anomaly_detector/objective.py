"""What the anomaly detector is trained on: that usual signals come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from training.anomaly_detector.data import UsualData
from training.anomaly_detector.network import SignalAutoencoder, scale_signals
from training.anomaly_detector.recipe import Recipe
from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater
from training.engine.seeds import generator_for

MONITOR = "explained"
_ROWS = 500


class DetectorTask(Resumable):
    """A network, the average of its weights, and usual signals to train and validate with."""

    parts = ("network", "average", "updater")

    def __init__(
        self,
        recipe: Recipe,
        *,
        network: SignalAutoencoder,
        updater: Updater,
        data: UsualData,
        device: torch.device,
        seed: int,
    ) -> None:
        self.recipe, self.device, self.seed = recipe, device, seed
        self.network, self.updater = network, updater
        self.train, self.validation = scale_signals(data.train), scale_signals(data.validation)
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> SignalAutoencoder:
        """The average of weights, which is evaluated and released."""
        return cast(SignalAutoencoder, self.average.network)

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Bring back one batch; each signal has deviation 1, so that loud ones do not count for more."""
        rows = torch.randint(len(self.train), (self.recipe.batch_size,), generator=generator_for(self.seed, step))
        signals = self.train[rows].to(self.device)
        self.network.train()
        loss = F.mse_loss(self.network(signals), signals)
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Measure how much of the usual validation signals' variance comes back."""
        network = self.best_network.eval()
        losses = [
            F.mse_loss(network(rows.to(self.device)).cpu(), rows, reduction="sum")
            for rows in self.validation.split(_ROWS)
        ]
        return {MONITOR: 1 - float(sum(losses) / self.validation.numel())}
