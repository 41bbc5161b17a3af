from __future__ import annotations

import pytest
import torch

from training.engine.distillation import soften_and_compare


def test_a_student_that_answers_as_its_teacher_does_has_nothing_to_learn():
    logits = torch.randn(5, 7)
    assert soften_and_compare(logits, logits + 3, 4.0) == pytest.approx(0, abs=1e-6)  # a shift changes no probability


def test_the_divergence_is_that_of_the_softened_answers():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * torch.tensor(3.0).log(), 0.0]])
    # At temperature 2 the teacher says 3/4 and 1/4, the student 1/2 and 1/2.
    expected = 4 * (0.75 * torch.tensor(1.5).log() + 0.25 * torch.tensor(0.5).log())
    assert soften_and_compare(student, teacher, 2.0) == pytest.approx(float(expected))
