"""What the forecaster is trained on: the pinball loss of scaled windows.

Dimensions: N windows, L steps of context, H steps of horizon, Q levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.distillation import Teacher
from training.engine.optimization import Updater
from training.engine.seeds import generator_for
from training.forecaster.baselines import forecast_seasonal_naive
from training.forecaster.data import SeriesData
from training.forecaster.network import Forecaster
from training.forecaster.program import forecast_network
from training.forecaster.scores import saved_percent, score_steps
from training.sequences.scaling import measure_scale

_LARGEST_LOSS = 20.0  # in deviations of the history; one that was all but constant would outweigh all others


def pinball_loss(quantiles: Tensor, future: Tensor, scale: Tensor, levels: Tensor) -> Tensor:
    """Mean pinball loss of quantiles [N, H, Q] in units of each history's scale [N, 1].

    Source: Koenker and Bassett 1978, eq. 3.1.
    """
    above = (future[..., None] - quantiles) / scale[..., None]
    losses = torch.maximum(levels * above, (levels - 1) * above).mean((1, 2))
    return losses.clamp_max(_LARGEST_LOSS).mean()


class ForecasterTask(Resumable):
    """A network, windows to train on and windows to validate with, as the fit loop sees them."""

    parts = ("network", "average", "updater")

    def __init__(
        self,
        network: Forecaster,
        data: SeriesData,
        updater: Updater,
        device: torch.device,
        *,
        context: int,
        levels: Sequence[float],
        batch_size: int,
        average_decay: float,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        """Take a `teacher` whose answers, as the student's, are in units of each history's scale."""
        self.network, self.data, self.updater, self.device = network, data, updater, device
        self.context, self.levels, self.batch_size, self.seed = context, tuple(levels), batch_size, seed
        self.teacher = teacher
        self.average = WeightAverage(network, average_decay)
        self._levels = torch.tensor(levels, device=device)
        naive = score_steps(forecast_seasonal_naive(data.validation, levels), data.validation, levels)
        self._naive = naive["pinball"].mean(1)

    @property
    def best_network(self) -> Forecaster:
        """The average of weights, which is evaluated and released."""
        assert isinstance(self.average.network, Forecaster)
        return self.average.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch of fresh windows."""
        windows = self.data.source.sample(self.batch_size, generator_for(self.seed, step)).to(self.device)
        history, future = windows[:, : self.context], windows[:, self.context :]
        _, scale = measure_scale(history)
        self.network.train()
        quantiles = self.network(history)
        loss = pinball_loss(quantiles, future, scale, self._levels)
        if self.teacher:
            loss = self.teacher.blend(loss, history, quantiles / scale[..., None])
        self.updater.update(loss, step)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    def validate(self) -> Mapping[str, float]:
        """Measure the scaled pinball loss, and how much of seasonal-naive's it saves."""
        windows = self.data.validation
        scores = score_steps(forecast_network(self.best_network, windows.history), windows, self.levels)
        losses = scores["pinball"].mean(1)
        return {
            "saved_percent": saved_percent(np.stack([losses, self._naive], 1)),
            "pinball": float(losses.mean()),
            "coverage": float(scores["coverage"].mean()),
        }
