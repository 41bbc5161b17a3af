"""What the text classifier is trained on: texts in batches of about equal length, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from training.labels.objective import LabelTask
from training.sequences.batching import LengthPlan, pad_rows
from training.text_classifier.network import TextClassifier
from training.text_classifier.program import predict_logits


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as piece numbers, and their labels int64 [N]."""

    rows: Sequence[Sequence[int]]
    labels: Tensor


class TextTask(LabelTask[TextClassifier]):
    """A network, texts to train on and texts to validate with, as the fit loop sees them."""

    def __init__(self, *, train: EncodedTexts, validation: EncodedTexts, plan: LengthPlan, **fitting: Any) -> None:
        super().__init__(**fitting)
        self.train, self.validation, self.plan = train, validation, plan

    def draw_batch(self, step: int) -> tuple[Tensor, Tensor]:
        rows = self.plan.at(step)
        pieces = pad_rows([self.train.rows[row] for row in rows])
        return pieces.to(self.device), self.train.labels[rows].to(self.device)

    def predict_validation(self) -> tuple[Tensor, Tensor]:
        return predict_logits(self.best_network, self.validation.rows, self.device), self.validation.labels
