import numpy as np
import pytest
import torch
from torch import nn

from training.release.user_program import choose_agreement, describe_user_program


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


def test_probabilities_agree_when_the_best_class_does():
    reference = {"p": np.array([[0.6, 0.4], [0.2, 0.8]])}
    score, metric, binary = choose_agreement(reference)
    assert (metric, binary) == ("top-1 agreement", True)
    assert score({"p": np.array([[0.9, 0.1], [0.6, 0.4]])}).tolist() == [1, 0]


def test_values_agree_by_relative_error_of_the_worst_output():
    reference = {"y": np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 1.0]]), "n": np.array([1, 2, 3])}
    score, _, binary = choose_agreement(reference)
    assert not binary
    answers = {"y": np.array([[3.0, 4.5], [0.0, 0.0], [np.nan, 1.0]]), "n": np.array([1, 5, 3])}
    assert score(answers).tolist() == pytest.approx([0.9, 0, 0])
    assert score(reference).tolist() == [1, 1, 1]
