import numpy as np
import pytest
import torch
from torch import nn

from handlers.device import Cpu
from handlers.program import load_program
from training.release.capture import capture
from training.release.onnx_export import export_onnx
from training.release.spec import ProgramSpec


class Share(nn.Module):
    """Pixels as shares of white: a conversion, in front of which torch.export writes a check."""

    def forward(self, x):
        return x.to(torch.float32) / 255


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of torch; releases export in a process of their own
def test_what_only_checks_does_not_leave_a_program_out(tmp_path):
    rows = torch.export.Dim("rows", min=1, max=16)
    x = torch.arange(12, dtype=torch.uint8).reshape(4, 3)
    program = capture(
        ProgramSpec(module=Share(), example_inputs=(x,), dynamic_shapes=({0: rows},)), torch.device("cpu")
    )
    assert any("_assert_tensor_metadata" in str(node.target) for node in program.graph.nodes)
    (found,) = load_program(export_onnx(program, tmp_path / "net.onnx"), Cpu())([x[:2].numpy()])
    np.testing.assert_allclose(found, x[:2].numpy() / 255, rtol=1e-6)
