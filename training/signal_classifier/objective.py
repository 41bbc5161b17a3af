"""What the signal classifier is trained on: signals in any order, and their labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.labels.objective import LabelTask
from training.signal_classifier.network import SignalClassifier
from training.signal_classifier.program import predict_logits
from training.signals.recordings import Signals


class SignalTask(LabelTask[SignalClassifier]):
    """A network, signals to train on and signals to validate with, as the fit loop sees them."""

    def __init__(self, *, train: Signals, validation: Signals, batch_size: int, seed: int, **fitting: Any) -> None:
        super().__init__(**fitting)
        self.train, self.validation, self.batch_size, self.seed = train, validation, batch_size, seed

    def draw_batch(self, step: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self.train), (self.batch_size,), generator=generator_for(self.seed, step))
        return self.train.values[rows].to(self.device), self.train.labels[rows].to(self.device)

    def predict_validation(self) -> tuple[Tensor, Tensor]:
        return predict_logits(self.best_network, self.validation.values, self.device), self.validation.labels
