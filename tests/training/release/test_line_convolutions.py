"""Why convolutions over lines are raised: what torch's compiler makes of them then, it could not make before."""

import numpy as np
import pytest
import torch
from torch import nn

from handlers.device import Cpu
from handlers.program import load_program
from training.release.capture import capture
from training.release.quantization import quantize
from training.release.spec import ProgramSpec
from training.release.variants import compile_program

CPU = torch.device("cpu")


class Pointwise(nn.Module):
    """Sums a convolution over lines and one whose kernel has length 1, which packed is taken for another."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv1d(8, 8, 3, padding=1)
        self.narrow = nn.Conv1d(8, 8, 1)

    def forward(self, x):
        return self.wide(x).relu() + self.narrow(x)


@pytest.mark.slow  # a compiler takes half a minute
@pytest.mark.filterwarnings("ignore:Raw SymInt value:UserWarning")  # of torch, of what it makes itself
@pytest.mark.parametrize("num_examples", [4, 16])  # 16 is the bound
def test_a_quantized_convolution_over_lines_compiles_and_answers_batches_of_any_size(tmp_path, num_examples):
    torch.manual_seed(0)
    module, x = Pointwise().eval(), torch.randn(16, 8, 66)
    spec = ProgramSpec(
        module=module,
        example_inputs=(x[:num_examples],),
        dynamic_shapes=({0: torch.export.Dim("rows", min=1, max=16)},),
    )
    quantized = quantize(capture(spec, CPU), [(x,)])
    run = load_program(compile_program(quantized, tmp_path / "compiled", CPU), Cpu())
    for num_rows in (16, 1, 3):
        exact = module(x[:num_rows]).detach().numpy()
        (found,) = run([x[:num_rows].numpy()])
        assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.05
