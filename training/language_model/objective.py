"""What the language model is trained on: the next piece at every place of windows of its corpus.

Dimensions: N windows, C pieces of a window.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater, split_rows
from training.engine.seeds import generator_for
from training.language_model.network import LanguageModel
from training.language_model.scores import begin, bits_per_character, measured_half, surprise_of_network
from training.language_model.windows import Windows


class LanguageTask(Resumable):
    """A network, a stream of pieces to train on and windows to validate with, as the fit loop sees them."""

    parts = ("network", "average", "updater")

    def __init__(
        self,
        network: LanguageModel,
        stream: Tensor,
        validation: Windows,
        updater: Updater,
        device: torch.device,
        *,
        context: int,
        batch_size: int,
        accumulation: int,
        average_decay: float,
        seed: int,
    ) -> None:
        """Take the training documents one after another, each with its end sign, as int64 [T]."""
        self.network, self.validation, self.updater, self.device = network, validation, updater, device
        self.windows = stream.unfold(0, context, 1)
        self.batch_size, self.accumulation, self.seed = batch_size, accumulation, seed
        self.average = WeightAverage(network, average_decay)

    @property
    def best_network(self) -> LanguageModel:
        """The average of weights, which is evaluated and released."""
        assert isinstance(self.average.network, LanguageModel)
        return self.average.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit windows from anywhere in the stream; each begins with the begin sign, as a prompt does."""
        places = torch.randint(len(self.windows), (self.batch_size,), generator=generator_for(self.seed, step))
        pieces = self.windows[places].to(self.device)
        self.network.train()
        parts = (pieces[rows] for rows in split_rows(slice(0, len(pieces)), self.accumulation))
        loss = self.updater.accumulate((self._measure(part) * (len(part) / len(pieces)) for part in parts), step)
        self.average.update(self.network)
        return {"loss": loss}

    def _measure(self, pieces: Tensor) -> Tensor:
        return F.cross_entropy(self.network(begin(pieces)).flatten(0, 1), pieces.flatten())

    def validate(self) -> Mapping[str, float]:
        """Measure bits per character; `gain` is the same with higher as better."""
        sums = measured_half(surprise_of_network(self.best_network, self.validation.pieces))
        bits = bits_per_character(np.stack([sums, self.validation.num_characters], 1))
        return {"bits_per_character": bits, "gain": -bits}
