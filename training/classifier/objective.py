"""What the classifier is trained on, step by step: smoothed cross-entropy, and a teacher's answers where it has one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.classifier.compact import CompactNetwork
from training.classifier.transfer import PretrainedNetwork
from training.classifier.vit import VisionTransformer
from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.device import autocast
from training.engine.distillation import Teacher
from training.engine.distributed import own_share
from training.engine.optimization import Updater, split_rows
from training.engine.quantize_aware import RoundedNetwork
from training.engine.seeds import generator_for
from training.images.augmentation import TrainingBatches
from training.images.mixing import Mixture, mix
from training.images.normalization import Normalization
from training.images.splits import Split

_MIXING = 3  # what its random draws are for, beside those of the batches


class ClassifierTask(Resumable):
    """A network, its data and its optimizers, as the fit loop sees them.

    Steps go through `rounded`, the network as int8 will round it, where there is one.
    """

    parts = ("network", "updater", "average", "rounded")

    def __init__(
        self,
        *,
        network: nn.Module,
        normalization: Normalization,
        batches: TrainingBatches,
        validation: Split,
        updater: Updater,
        device: torch.device,
        precision: str = "auto",
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        average_decay: float = 0.0,
        accumulation: int = 1,
        teacher: Teacher | None = None,
        rounded: RoundedNetwork | None = None,
    ) -> None:
        self.device, self.precision = device, precision
        self.network, self.normalization = network, normalization
        self.batches, self.validation = batches, validation
        self.updater, self.label_smoothing = updater, label_smoothing
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.average = WeightAverage(network, average_decay) if average_decay else None
        self.accumulation, self.teacher, self.rounded = accumulation, teacher, rounded
        self._epoch = -1

    @property
    def best_network(self) -> nn.Module:
        """The network to evaluate and release: the average where there is one."""
        return self.average.network if self.average else self.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch; log its loss and accuracy."""
        self._prepare_epoch(step // self.batches.steps_per_epoch)
        images, labels = self.batches.at(step)
        mixture = mix(
            images,
            labels,
            generator_for(self.batches.seed, _MIXING, step),
            mixup_alpha=self.mixup_alpha,
            cutmix_alpha=self.cutmix_alpha,
        )
        self.network.train()
        num_right = torch.zeros((), device=self.device)

        def measure_part(rows: slice) -> Tensor:
            loss, right = self._measure(mixture.take(rows))
            num_right.add_(right)
            return (rows.stop - rows.start) / len(labels) * loss

        parts = split_rows(own_share(len(labels)), self.accumulation)
        loss = self.updater.accumulate(map(measure_part, parts), step)
        if self.average:
            self.average.update(self.network)
        return {"loss": loss, "accuracy": num_right / len(labels)}

    def _measure(self, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """The mean loss of some images, and how many of them are answered right."""
        with autocast(self.device, self.precision):
            answers = self._answer(self.normalization(mixture.images))
        logits = answers[0].float()
        loss = mixture.cross_entropy(logits, self.label_smoothing)
        if self.teacher:
            loss = self.teacher.blend(loss, mixture.images, answers[-1].float())
        return loss, (logits.detach().argmax(1) == mixture.labels).sum()

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Measure accuracy and cross-entropy on the validation part."""
        network = self.best_network.eval()
        right, loss = 0.0, 0.0
        for images, labels in zip(self.validation.images.split(500), self.validation.labels.split(500), strict=True):
            labels = labels.to(self.device)
            with autocast(self.device, self.precision):
                logits = network(self.normalization(images.to(self.device))).float()
            right += float((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        return {"accuracy": right / len(self.validation), "loss": loss / len(self.validation)}

    def _answer(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits for the labels first, those for the teacher last."""
        if isinstance(self.network, VisionTransformer) and not self.rounded:
            return self.network.answer(x)
        return ((self.rounded or self.network)(x),)

    def _prepare_epoch(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch = epoch
            if isinstance(self.network, CompactNetwork | PretrainedNetwork):
                self.network.prepare_epoch(epoch)
