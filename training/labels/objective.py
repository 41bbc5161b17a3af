"""What classifiers of any rows but images are trained on: the cross-entropy of their labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.distillation import Teacher
from training.engine.optimization import Updater

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class LabelTask(Resumable, Generic[NetworkT]):
    """A network and labelled rows, as the fit loop sees them; a kind says which rows a step and a validation have."""

    parts = ("network", "updater", "average")

    def __init__(
        self,
        *,
        network: NetworkT,
        updater: Updater,
        device: torch.device,
        label_smoothing: float,
        average_decay: float,
        teacher: Teacher | None = None,
    ) -> None:
        self.network, self.updater, self.device, self.label_smoothing = network, updater, device, label_smoothing
        self.teacher = teacher
        self.average = WeightAverage(network, average_decay) if average_decay else None

    @abstractmethod
    def draw_batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Take a step's rows, as the network takes them, and their labels int64 [N], on the device."""

    @abstractmethod
    def predict_validation(self) -> tuple[Tensor, Tensor]:
        """Logits float32 [M, K] of the validation rows by the best network, and their labels int64 [M], on the CPU."""

    @property
    def best_network(self) -> NetworkT:
        """The network to evaluate and release: the average where there is one."""
        return cast(NetworkT, self.average.network) if self.average else self.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch; log its loss and accuracy."""
        rows, labels = self.draw_batch(step)
        self.network.train()
        logits = self.network(rows)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        if self.teacher:
            loss = self.teacher.blend(loss, rows, logits)
        self.updater.update(loss, step)
        if self.average:
            self.average.update(self.network)
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        return {"loss": loss.detach(), "accuracy": accuracy}

    def validate(self) -> Mapping[str, float]:
        """Measure accuracy and cross-entropy on the validation part."""
        logits, labels = self.predict_validation()
        accuracy = (logits.argmax(1) == labels).float().mean()
        return {"accuracy": float(accuracy), "loss": float(F.cross_entropy(logits, labels))}
