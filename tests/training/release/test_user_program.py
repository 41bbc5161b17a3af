import re

import numpy as np
import pytest
import torch
from torch import nn

from training.release.user_program import describe_user_program


class Two(nn.Module):
    def forward(self, x, scale):
        return {"sum": x.sum(1) * scale, "top": x.argmax(1)}


def test_signature_becomes_the_interface(program_file):
    spec = describe_user_program(program_file, "net")
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in spec.inputs] == [("x", "FP32", (-1, 3, 8, 8))]
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in spec.outputs] == [("y", "FP32", (-1, 10))]
    assert (spec.kind, spec.max_rows, spec.input_sets) == ("tensor", 16, (("x",),))
    assert spec.held_out.dataset.startswith("512 random rows (floats standard normal")
    assert spec.programs["main"].calibration is None


def test_several_inputs_and_outputs(save):
    spec = describe_user_program(save(Two(), torch.ones(3, 4), torch.ones(3)), "two", max_rows=4)
    assert [tensor.name for tensor in spec.inputs] == ["x", "scale"]
    assert [(tensor.name, tensor.datatype) for tensor in spec.outputs] == [("sum", "FP32"), ("top", "INT64")]
    assert spec.max_rows == 4


def test_keyword_arguments_are_inputs_too(tmp_path):
    rows = torch.export.Dim("rows", min=1, max=8)
    exported = torch.export.export(
        Two(), (torch.ones(3, 4),), {"scale": torch.ones(3)}, dynamic_shapes={"x": {0: rows}, "scale": {0: rows}}
    )
    torch.export.save(exported, tmp_path / "two.pt2")
    spec = describe_user_program(tmp_path / "two.pt2", "two")
    program = spec.programs["main"]
    results = program.module(torch.full((2, 4), 2.0), torch.tensor([1.0, 3.0]))
    assert results[0].tolist() == [8, 24]


def test_calibration_rows_are_split_between_quantization_and_gate(program_file, calibration_file):
    spec = describe_user_program(program_file, "net", calibration=calibration_file)
    batches = list(spec.programs["main"].calibration())
    assert sum(len(batch[0]) for batch in batches) == 64
    assert len(spec.held_out.inputs["x"]) == 64
    given = np.load(calibration_file)["x"]
    np.testing.assert_array_equal(batches[0][0][1], given[2])
    np.testing.assert_array_equal(spec.held_out.inputs["x"][1], given[3])


def test_fixed_rows_are_refused_with_what_to_do(save):
    path = save(nn.Linear(4, 2), torch.ones(3, 4), dynamic_shapes=None)
    with pytest.raises(ValueError, match=r"has the fixed shape \[3, 4\].*export it with dynamic_shapes"):
        describe_user_program(path, "net")


def test_outputs_without_rows_are_refused(save):
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean()

    with pytest.raises(ValueError, match=r"output 0 has the shape \[\]: its first dimension must be the rows"):
        describe_user_program(save(Mean(), torch.ones(3, 4)), "net")


def test_datatypes_that_the_protocol_lacks_are_refused(save):
    path = save(nn.Linear(4, 2).bfloat16(), torch.ones(3, 4, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match=r"input 'input' is torch.bfloat16.*convert it inside the program"):
        describe_user_program(path, "net")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.pt2 does not exist"):
        describe_user_program(tmp_path / "nothing.pt2", "net")
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.pt2 is not a program saved by torch\.export\.save"):
        describe_user_program(tmp_path / "text.pt2", "net")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros((8, 3, 8, 8), np.float32)}, r"holds \['z'\], the program's inputs are \['x'\]"),
        ({"x": np.zeros((8, 3, 8, 8))}, "x is float64"),
        ({"x": np.zeros((8, 3, 8), np.float32)}, r"the program takes float32 \[-1, 3, 8, 8\]"),
        ({"x": np.zeros((3, 3, 8, 8), np.float32)}, "4 or more"),
    ],
)
def test_calibration_must_fit_the_inputs(program_file, tmp_path, arrays, message):
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        describe_user_program(program_file, "net", calibration=tmp_path / "rows.npz")


def test_one_array_is_enough_for_one_input(program_file, save, tmp_path):
    rows = np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    spec = describe_user_program(program_file, "net", calibration=tmp_path / "rows.npy")
    np.testing.assert_array_equal(spec.held_out.inputs["x"], rows[1::2])
    with pytest.raises(
        ValueError, match=r"inputs are \['x', 'scale'\]; write an .npz file with numpy.savez\('rows.npz'"
    ):
        describe_user_program(save(Two(), torch.ones(3, 4), torch.ones(3)), "two", calibration=tmp_path / "rows.npy")


def test_a_file_that_holds_no_rows_is_refused(program_file, tmp_path):
    (tmp_path / "rows.npz").write_text("hello")
    with pytest.raises(ValueError, match=r"rows\.npz is no \.npz or \.npy file of numbers"):
        describe_user_program(program_file, "net", calibration=tmp_path / "rows.npz")


def test_calibration_must_be_finite(program_file, tmp_path):
    rows = np.ones((8, 3, 8, 8), np.float32)
    rows[3] = np.nan
    np.savez(tmp_path / "rows.npz", x=rows)
    with pytest.raises(ValueError, match="x has 192 of 1536 values that are NaN or infinite"):
        describe_user_program(program_file, "net", calibration=tmp_path / "rows.npz")


def test_more_rows_than_were_exported_are_refused(program_file):
    with pytest.raises(ValueError, match="--max-rows is 17, the program was exported for at most 16 rows"):
        describe_user_program(program_file, "net", max_rows=17)


class Words(nn.Module):
    """Add up what a table says of words, and of a kind; `twice` is an index of something only when doubled."""

    def __init__(self):
        super().__init__()
        self.table, self.kinds = nn.Embedding(100, 4), nn.Embedding(7, 4)
        self.register_buffer("bias", torch.arange(50.0))

    def forward(self, tokens, kind, twice):
        return self.table(tokens.unsqueeze(2).squeeze(2)).sum(1) + self.kinds(kind) + self.bias[2 * twice][:, None]


@pytest.fixture
def words(save):
    rows, length = torch.export.Dim("rows", min=1, max=16), torch.export.Dim("length", min=2, max=64)
    shapes = ({0: rows, 1: length}, {0: rows}, {0: rows})
    return save(Words(), *(torch.ones(size, dtype=torch.int64) for size in ((3, 5), 3, 3)), dynamic_shapes=shapes)


def test_sizes_and_indices_of_a_program_become_ranges_of_its_inputs(words):
    tokens, kind, twice = describe_user_program(words, "words").inputs
    (length,) = tokens.size_ranges
    assert (length.axis, length.minimum, length.maximum) == (1, 2, 64)
    assert (tokens.minimum, tokens.maximum) == (0, 99)
    assert (kind.minimum, kind.maximum, kind.size_ranges) == (0, 6, ())
    assert (twice.minimum, twice.maximum) == (None, None)


def test_declared_ranges_join_those_of_the_program_and_bound_its_random_rows(words):
    spec = describe_user_program(words, "words", ranges={"twice": (0, 24), "tokens": (5, None)})
    tokens, _, twice = spec.inputs
    assert (tokens.minimum, tokens.maximum, twice.maximum) == (5, 99, 24)
    rows = spec.held_out.inputs
    assert (rows["tokens"].min(), rows["tokens"].max(), rows["twice"].max()) == (5, 99, 24)


def test_ranges_beyond_a_table_or_of_nothing_are_refused(words):
    with pytest.raises(
        ValueError, match=r"range of tokens is declared as 0 to 150, but the program .* has 0 to 99 only"
    ):
        describe_user_program(words, "words", ranges={"tokens": (0, 150)})
    with pytest.raises(ValueError, match="a range is given for 'token'; the program's inputs are tokens, kind, twice"):
        describe_user_program(words, "words", ranges={"token": (0, 1)})


def test_sizes_that_no_manifest_can_say_are_refused(tmp_path):
    class Halves(nn.Module):
        def forward(self, x):
            return x.reshape(x.shape[0], 2, -1).sum(1)

    rows, half = torch.export.Dim("rows", min=1, max=16), torch.export.Dim("half", min=1, max=8)
    exported = torch.export.export(Halves(), (torch.ones(3, 4),), dynamic_shapes=({0: rows, 1: 2 * half},))
    torch.export.save(exported, tmp_path / "halves.pt2")
    with pytest.raises(
        ValueError, match=r"dimension 1 of input 'x' was exported as 2\*s\d+, which no manifest can say"
    ):
        describe_user_program(tmp_path / "halves.pt2", "halves")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), "exported in training mode (aten.batch_norm)"),
        (nn.Dropout(0.5), "exported in training mode (aten.dropout)"),
    ],
)
def test_training_mode_is_refused_with_what_to_do(tmp_path, module, words):
    rows = torch.export.Dim("rows", min=1, max=16)
    exported = torch.export.export(module.train(), (torch.randn(3, 4),), dynamic_shapes=({0: rows},))
    torch.export.save(exported, tmp_path / "net.pt2")
    with pytest.raises(ValueError, match=re.escape(words) + r".*call \.eval\(\) on the module before"):
        describe_user_program(tmp_path / "net.pt2", "net")


def test_programs_that_remember_are_refused(save):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls.add_(1)
            return x + self.calls

    with pytest.raises(ValueError, match=r"changes its own buffers in each call \(calls\)"):
        describe_user_program(save(Counting(), torch.ones(3, 4)), "net")


class Numbered(nn.Module):
    """Makes a tensor on the device that it is exported on."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return x * self.weight + torch.arange(4, device=x.device)


def test_a_program_that_was_exported_on_one_device_is_released_for_another(save):
    """A GPU, for a user; here one that only knows shapes."""
    module = describe_user_program(save(Numbered(), torch.ones(3, 4)), "net").programs["main"].module
    (found,) = module.to(torch.device("meta"))(torch.ones(5, 4, device="meta"))
    assert (found.device.type, found.shape) == ("meta", (5, 4))
