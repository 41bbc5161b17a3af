"""Learning from another network's answers besides what the data say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

Comparison = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Teacher:
    """How a teacher answers inputs, how a student is compared with it, and which share of the loss that has."""

    answer: Callable[[Tensor], Tensor]
    compare: Comparison
    weight: float

    def blend(self, loss: Tensor, inputs: Tensor, own: Tensor) -> Tensor:
        """Mix a loss with how far the student's `own` answers to some inputs are from the teacher's."""
        with torch.no_grad():
            expected = self.answer(inputs)
        return torch.lerp(loss, self.compare(own, expected.float()), self.weight)


def compare_labels(temperature: float, *, hard: bool = False) -> Comparison:
    """How logits [N, classes] are compared: all of the softened answers, or the choice of a `hard` teacher alone."""
    if hard:
        return lambda own, expected: F.cross_entropy(own, expected.argmax(1))
    return partial(soften_and_compare, temperature=temperature)


def soften_and_compare(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of a student's softened answers from its teacher's, both logits [N, classes].

    Times the temperature squared, so that its gradients stay as large as those of the labels' cross-entropy.
    Source: Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2.
    """
    student, teacher = (logits / temperature for logits in (student_logits, teacher_logits))
    divergence = F.kl_div(student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True)
    return divergence * temperature**2
