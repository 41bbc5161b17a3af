import numpy as np
import pytest

from handlers.base import Outputs
from training.release.row_check import check_rows

ROWS = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)


class Program:
    """A handler whose outputs are functions of the batch."""

    def __init__(self, **outputs):
        self.manifest = {"inputs": [{"name": "x", "datatype": "FP32"}]}
        self.functions = outputs
        self.batch_sizes = []

    def infer(self, inputs, parameters, requested=()):
        self.batch_sizes.append(len(inputs["x"]))
        return Outputs({name: function(inputs["x"]) for name, function in self.functions.items()})


def check(max_rows=16, rows=ROWS, **outputs):
    return check_rows(Program(**outputs), {"x": rows}, {}, max_rows)


def round_like_bf16(values):
    return (values * (1 + 0.004 * np.random.default_rng(len(values)).standard_normal(values.shape))).astype(np.float32)


def test_rows_by_themselves_pass_at_every_batch_size_class():
    program = Program(y=lambda x: 2 * x, best=lambda x: x.argmax(1), name=lambda x: x.argmax(1).astype(object))
    finding = check_rows(program, {"x": ROWS}, {}, 16)
    assert (finding.independent, finding.deviation, finding.batch_sizes) == (True, 0, (1, 2, 5, 16))
    assert set(program.batch_sizes) >= {1, 2, 5, 16}


@pytest.mark.parametrize(
    "mixing",
    [
        lambda x: 2 * x if x.sum() > 0 else 3 * x,
        lambda x: x - x.mean(0),
        lambda x: x / np.abs(x).max(),  # one scale for a batch, as dynamic quantization may have
        lambda x: x + (len(x) > 7),
        lambda x: x if np.abs(x).max() < 100 else 0 * x,
        lambda x: x[:, 0].argsort(),
        lambda x: np.full((len(x), 2), x.max()),
    ],
    ids=["cond", "centred", "scaled", "full-batches", "beside-extremes", "ranks", "maximum"],
)
def test_programs_that_mix_rows_are_found(mixing):
    finding = check(y=mixing)
    assert (finding.independent, finding.is_repeatable) == (False, True)


def test_a_batch_of_one_row_is_not_tested_with_others():
    finding = check(max_rows=1, y=lambda x: x - x.mean(0) + x.sum())
    assert (finding.independent, finding.batch_sizes) == (True, (1,))


def test_chance_is_found_first():
    generator = np.random.default_rng(1)
    finding = check(y=lambda x: x + generator.standard_normal(x.shape).astype(np.float32))
    assert (finding.independent, finding.is_repeatable) == (False, False)
    assert "asked twice" in finding.why


def test_rounding_that_depends_on_the_batch_size_is_no_fault():
    finding = check(y=round_like_bf16)
    assert finding.independent
    assert 0.001 < finding.deviation < finding.tolerance <= 0.05


def test_a_class_that_flips_between_equals_is_no_fault_but_a_changed_one_is():
    assert check(best=lambda x: x.argmax(1) + (x == ROWS[0]).all(1) * len(x)).independent
    assert not check(best=lambda x: x.argmax(1) + len(x)).independent


def test_levels_of_images_may_round_otherwise():
    image = np.clip(ROWS.reshape(40, 1, 3) * 40 + 128, 1, 250).astype(np.float32)

    def dither(x):
        return np.clip(x, 0, 250).astype(np.uint8) + np.uint8(len(x) > 7)

    assert check(rows=image, y=dither).independent


def test_statistics_of_a_batch_leave_all_rows_alone_with_one_answer():
    assert check(y=lambda x: x - x.mean(0) + 1).is_constant
    assert not check(y=lambda x: 2 * x if x.sum() > 0 else 3 * x).is_constant


def test_extremes_on_which_a_program_raises_are_named_and_can_be_left_out():
    def refuse_large(x):
        if np.abs(x).max() > 100:
            raise IndexError("out of range")
        return x

    finding = check(y=refuse_large)
    assert (finding.independent, finding.failing) == (True, {"smallest", "largest", "huge"})
    seen = Program(y=lambda x: 2 * x)
    check_rows(seen, {"x": ROWS}, {}, 16, skipping=finding.failing)
    assert len(seen.batch_sizes) == len(check_sizes()) - 3


def check_sizes():
    program = Program(y=lambda x: x)
    check_rows(program, {"x": ROWS}, {}, 16)
    return program.batch_sizes
