"""What the text classifier is trained on: the cross-entropy of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.distillation import Teacher
from training.engine.optimization import Updater
from training.sequences.batching import LengthPlan, pad_rows
from training.text_classifier.network import TextClassifier
from training.text_classifier.program import predict_logits


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as piece numbers, and their labels int64 [N]."""

    rows: Sequence[Sequence[int]]
    labels: Tensor


class TextTask(Resumable):
    """A network, texts to train on and texts to validate with, as the fit loop sees them."""

    parts = ("network", "updater", "average")

    def __init__(
        self,
        *,
        network: TextClassifier,
        train: EncodedTexts,
        validation: EncodedTexts,
        plan: LengthPlan,
        updater: Updater,
        device: torch.device,
        label_smoothing: float,
        average_decay: float,
        teacher: Teacher | None = None,
    ) -> None:
        self.network, self.train, self.validation, self.plan = network, train, validation, plan
        self.updater, self.device, self.label_smoothing = updater, device, label_smoothing
        self.teacher = teacher
        self.average = WeightAverage(network, average_decay) if average_decay else None

    @property
    def best_network(self) -> TextClassifier:
        """The network to evaluate and release: the average where there is one."""
        network = self.average.network if self.average else self.network
        assert isinstance(network, TextClassifier)
        return network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch; log its loss and accuracy."""
        rows = self.plan.at(step)
        pieces = pad_rows([self.train.rows[row] for row in rows]).to(self.device)
        labels = self.train.labels[rows].to(self.device)
        self.network.train()
        logits = self.network(pieces)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        if self.teacher:
            loss = self.teacher.blend(loss, pieces, logits)
        self.updater.update(loss, step)
        if self.average:
            self.average.update(self.network)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        return {"loss": loss.detach(), "accuracy": accuracy}

    def validate(self) -> Mapping[str, float]:
        """Measure accuracy and cross-entropy on the validation part."""
        logits, labels = predict_logits(self.best_network, self.validation.rows, self.device), self.validation.labels
        accuracy = (logits.argmax(1) == labels).float().mean()
        return {"accuracy": float(accuracy), "loss": float(F.cross_entropy(logits, labels))}
