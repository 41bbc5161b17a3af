"""What CSI feedback is trained on: the error's power as a share of the channel's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from training.csi_feedback.data import CsiData
from training.csi_feedback.network import CsiCodec
from training.csi_feedback.program import restore_channels
from training.csi_feedback.recipe import Recipe
from training.csi_feedback.scores import measure_errors, measure_similarity, nmse_db
from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater
from training.engine.seeds import generator_for


def squared_error(restored: Tensor, channels: Tensor) -> Tensor:
    """Mean share of the power of channels [N, T, A, 2] that is lost; their mean power is 1."""
    return 2 * (restored - channels).square().mean()


class FeedbackTask(Resumable):
    """A pair, channels to train on and channels to validate with, as the fit loop sees them."""

    parts = ("network", "average", "updater")

    def __init__(
        self, network: CsiCodec, data: CsiData, updater: Updater, device: torch.device, recipe: Recipe, seed: int
    ) -> None:
        self.network, self.data, self.updater, self.device, self.seed = network, data, updater, device, seed
        self.batch_size = recipe.batch_size
        self.average = WeightAverage(network, recipe.average_decay)

    @property
    def best_network(self) -> CsiCodec:
        """The average of weights, which is evaluated and released."""
        assert isinstance(self.average.network, CsiCodec)
        return self.average.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch of fresh channels."""
        channels = self.data.source.sample(self.batch_size, generator_for(self.seed, step)).to(self.device)
        self.network.train()
        loss = squared_error(self.network(channels), channels)
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    def validate(self) -> Mapping[str, float]:
        """Measure by how many dB the error lies below the channel, and how alike the responses are."""
        channels = self.data.validation.numpy()
        restored = restore_channels(self.best_network, self.data.validation)
        return {
            "below_db": -nmse_db(measure_errors(channels, restored)),
            "similarity": float(measure_similarity(channels, restored).mean()),
        }
