from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from training.engine.distillation import Teacher, compare_labels, soften_and_compare


def test_a_student_that_answers_as_its_teacher_does_has_nothing_to_learn():
    logits = torch.randn(5, 7)
    assert soften_and_compare(logits, logits + 3, 4.0) == pytest.approx(0, abs=1e-6)  # a shift changes no probability


def test_the_divergence_is_that_of_the_softened_answers():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * torch.tensor(3.0).log(), 0.0]])
    # At temperature 2 the teacher says 3/4 and 1/4, the student 1/2 and 1/2.
    expected = 4 * (0.75 * torch.tensor(1.5).log() + 0.25 * torch.tensor(0.5).log())
    assert soften_and_compare(student, teacher, 2.0) == pytest.approx(float(expected))


def test_a_teacher_has_its_share_of_the_loss_and_gets_no_gradient():
    weights, inputs = torch.ones(3, requires_grad=True), torch.randn(4, 3)
    own = torch.randn(4, 3, requires_grad=True)
    teacher = Teacher(lambda x: x * weights, F.l1_loss, weight=0.25)
    loss = teacher.blend(torch.tensor(2.0), inputs, own)
    torch.testing.assert_close(loss, 0.75 * torch.tensor(2.0) + 0.25 * (own - inputs).abs().mean())
    loss.backward()
    assert weights.grad is None
    assert own.grad.abs().max() > 0


def test_a_hard_teacher_tells_its_choice_and_a_soft_one_all_its_answers():
    own, expected = torch.randn(5, 3), torch.randn(5, 3)
    hard = compare_labels(2.0, hard=True)(own, expected)
    torch.testing.assert_close(hard, F.cross_entropy(own, expected.argmax(1)))
    torch.testing.assert_close(compare_labels(2.0)(own, expected), soften_and_compare(own, expected, 2.0))
