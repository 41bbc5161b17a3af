import pytest
import torch

from training.release.capture import capture, capture_again, dynamic_shapes_of, input_values, leave_bounds
from training.release.left_out import LeftOutError
from training.release.spec import ProgramSpec

CPU = torch.device("cpu")


class Masked(torch.nn.Module):
    def forward(self, tokens, mask):
        return (tokens * mask).sum(1)


@pytest.fixture
def masked():
    rows, length = torch.export.Dim("rows", min=1, max=8), torch.export.Dim("length", min=2, max=32)
    spec = ProgramSpec(
        module=Masked(),
        example_inputs=(torch.ones(3, 5), torch.ones(3, 5)),
        dynamic_shapes=({0: rows, 1: length}, {0: rows, 1: length}),
    )
    return capture(spec, CPU)


def test_describes_dynamic_sizes_with_their_bounds(masked):
    first, second = dynamic_shapes_of(masked)
    assert first == second
    assert (first[0].min, first[0].max) == (1, 8)
    assert (first[1].min, first[1].max) == (2, 32)


def test_bounds_rows_anew(masked):
    rows = dynamic_shapes_of(masked, max_rows=4)[0][0]
    assert (rows.min, rows.max) == (1, 4)


def test_a_changed_program_keeps_its_dynamic_sizes(masked):
    class Doubled(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, tokens, mask):
            return 2 * self.module(tokens, mask)

    again = capture_again(Doubled(masked.module()), masked)
    assert again.module()(torch.ones(1, 9), torch.ones(1, 9)).tolist() == [18]


def test_weights_get_the_strides_of_their_shape():
    module = torch.nn.Conv2d(1, 8, 2).to(memory_format=torch.channels_last)
    assert module.weight.stride() == (4, 1, 2, 1)
    spec = ProgramSpec(module=module, example_inputs=(torch.ones(2, 1, 4, 4),), dynamic_shapes=None)
    assert capture(spec, CPU).state_dict["weight"].stride() == (4, 4, 2, 1)


def test_views_are_saved_alone():
    module = torch.nn.Linear(2, 2)
    module.weight.data = torch.ones(100, 2)[:2]
    spec = ProgramSpec(module=module, example_inputs=(torch.ones(2, 2),), dynamic_shapes=None)
    assert capture(spec, CPU).state_dict["weight"].untyped_storage().nbytes() == 16


def test_inputs_that_are_no_tensors_are_refused():
    class Scaled(torch.nn.Module):
        def forward(self, x, factor):
            return x * factor

    exported = torch.export.export(Scaled(), (torch.ones(2), 3))
    with pytest.raises(ValueError, match="every input of the program must be a tensor"):
        input_values(exported)


def test_a_captured_program_holds_its_example_rows_and_not_the_data_that_they_are_part_of(tmp_path):
    data = torch.zeros(10_000, 64)
    rows = torch.export.Dim("rows", min=1, max=8)
    spec = ProgramSpec(module=torch.nn.Linear(64, 2), example_inputs=(data[:4],), dynamic_shapes=({0: rows},))
    torch.export.save(capture(spec, CPU), tmp_path / "program.pt2")
    assert (tmp_path / "program.pt2").stat().st_size < 100_000


def test_a_size_without_a_bound_stays_without_one():
    rows, length = torch.export.Dim("rows", min=1, max=16), torch.export.Dim("length", min=2)
    program = torch.export.export(torch.nn.ReLU(), (torch.randn(3, 5),), dynamic_shapes=({0: rows, 1: length},))
    again = capture_again(program.module(check_guards=False), program)
    assert again.module()(torch.ones(2, 5000)).shape == (2, 5000)


def program_of(num_rows, most_rows):
    rows = torch.export.Dim("rows", min=1, max=most_rows)
    spec = ProgramSpec(module=torch.nn.ReLU(), example_inputs=(torch.ones(num_rows, 2),), dynamic_shapes=({0: rows},))
    return capture(spec, CPU)


def test_examples_as_large_as_a_bound_are_made_smaller_and_others_are_left():
    at_bound, below = program_of(8, 8), program_of(3, 8)
    smaller = leave_bounds(at_bound)
    assert smaller.example_inputs[0][0].shape == (7, 2)
    assert smaller.module()(torch.ones(8, 2)).shape == (8, 2)
    assert leave_bounds(below) is below


def test_lengths_are_left_below_their_bound_too():
    """A text classifier's examples are its first texts, of which one may be as long as any is read."""
    rows, length = torch.export.Dim("rows", min=1, max=8), torch.export.Dim("length", min=1, max=6)
    spec = ProgramSpec(
        module=torch.nn.Softmax(-1), example_inputs=(torch.ones(3, 6),), dynamic_shapes=({0: rows, 1: length},)
    )
    smaller = leave_bounds(capture(spec, CPU))
    assert smaller.example_inputs[0][0].shape == (3, 5)
    for num_pieces in (1, 3, 5, 6):
        x = torch.randn(8, num_pieces)
        torch.testing.assert_close(smaller.module()(x), x.softmax(-1))


def test_a_bound_of_two_leaves_no_example_below_it():
    with pytest.raises(LeftOutError, match="at its bound, 2; allow 3 or more"):
        leave_bounds(program_of(2, 2))
