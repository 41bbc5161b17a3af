"""Learning from another network's answers besides the labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def soften_and_compare(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of a student's softened answers from its teacher's, both logits [N, classes].

    Times the temperature squared, so that its gradients stay as large as those of the labels' cross-entropy.
    Source: Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2.
    """
    student, teacher = (logits / temperature for logits in (student_logits, teacher_logits))
    divergence = F.kl_div(student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True)
    return divergence * temperature**2
