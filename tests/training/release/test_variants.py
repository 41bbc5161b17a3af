import torch
from torch import nn

from training.release.capture import capture
from training.release.spec import ProgramSpec
from training.release.variants import _drop_dtype_checks


class Converting(nn.Module):
    """Converts what a linear layer makes, as a released network does with its last layer's output."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(x).to(torch.float64).to(torch.float32)


def test_conversions_take_what_autocast_made():
    rows = torch.export.Dim("rows", min=1, max=16)
    x = torch.randn(2, 4)
    spec = ProgramSpec(module=Converting(), example_inputs=(x,), dynamic_shapes=({0: rows},))
    module = capture(spec, torch.device("cpu")).module(check_guards=False)
    exact = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = _drop_dtype_checks(module)(x)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05
