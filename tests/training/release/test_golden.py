import numpy as np
import pytest

from handlers.base import Outputs
from training.release.golden import record_golden

ROWS = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)


class Program:
    """A handler whose output `y` is a function of the batch."""

    def __init__(self, function):
        self.function = function
        self.row_errors = ()

    def infer(self, inputs, parameters, requested=()):
        return Outputs({"y": self.function(inputs["x"])}, self.row_errors)


def record(function, max_rows=16, tolerance=0.001, reference=None):
    return record_golden(Program(function), {"x": ROWS}, [("x",), ("absent",)], max_rows, tolerance, reference)


@pytest.mark.parametrize(("max_rows", "num_rows"), [(16, 8), (5, 5), (1, 1)])
def test_at_most_eight_rows_and_no_more_than_a_batch_are_recorded(max_rows, num_rows):
    recorded = record(lambda x: 2 * x, max_rows)
    (answer,) = recorded.answers
    assert (answer.inputs, answer.output, answer.tolerance) == (("x",), "y", 0.001)
    assert answer.expected.tolist() == (2 * ROWS[:num_rows]).tolist()
    assert recorded.left_out == []


def test_what_batches_round_differently_widens_the_tolerance():
    (answer,) = record(lambda x: x * np.float32(1 + 0.002 * (len(x) == 1))).answers
    assert answer.tolerance == pytest.approx(0.02, rel=0.01)


def test_the_row_checks_tolerance_is_the_least():
    (answer,) = record(lambda x: x, tolerance=0.03).answers
    assert answer.tolerance == 0.03


def test_rows_that_are_refused_are_left_out_so_that_one_row_can_still_prove_an_answer():
    program = Program(lambda x: x)
    program.row_errors = [None, "no image", *[None] * 6]
    recorded = record_golden(program, {"x": ROWS}, [("x",)], 16, 0.001)
    assert recorded.answers == []
    assert [left.why for left in recorded.left_out] == ["a row is refused: no image"]


def test_a_variant_may_change_by_what_its_precision_costs_it():
    (answer,) = record(lambda x: x * np.float32(1.02), reference=record(lambda x: x)).answers
    assert answer.tolerance == pytest.approx(0.02, rel=0.01)
    (answer,) = record(lambda x: x * np.float32(1.2), reference=record(lambda x: x)).answers
    assert answer.tolerance == 0.05


def test_classes_must_be_equal():
    (answer,) = record(lambda x: x.argmax(1).astype(object)).answers
    assert answer.tolerance == 0


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x + np.float32(np.random.default_rng().standard_normal()), "asked again, the answers differed by"),
        (lambda x: x.argmax(1) + (len(x) == 1), "asked again, 8 of 8 rows got another answer"),
    ],
    ids=["random", "flipping"],
)
def test_an_answer_that_proves_nothing_is_left_out_with_the_reason(function, why):
    recorded = record(function)
    assert recorded.answers == []
    (left,) = recorded.left_out
    assert (left.inputs, left.output) == (("x",), "y")
    assert left.why.startswith(why)
