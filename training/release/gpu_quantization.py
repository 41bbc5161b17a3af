"""Linear layers of 8 bits for GPUs: weights rounded once, activations by a scale of their row's own.

Both forms are what torch runs on tensor cores; what else a program does stays as it is. They compute the same on a CPU,
slowly, which is how they are tested. torchao's own forms take the place of modules' weights, and a captured program has
no modules left.

Dimensions: N rows, I inputs, O outputs of a linear layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.release.dynamic_quantization import DynamicLinear, scale_of

# cuBLAS multiplies int8 matrices of more rows than this only, and of sizes that are multiples of 8; float8 of 16.
_FEWEST_ROWS = 16
INT8_MULTIPLE, FLOAT8_MULTIPLE = 8, 16
FLOAT8_CAPABILITY = (8, 9)
_LARGEST_FLOAT8 = torch.finfo(torch.float8_e4m3fn).max


class PaddedLinear(DynamicLinear):
    """An int8 linear layer for any number of rows: zeros are added below."""

    @staticmethod
    def find_largest_weight() -> float:
        """The largest whole number that a weight may be."""
        return 127.0

    def multiply(self, rows: Tensor) -> Tensor:
        """int8 [N, I] → int32 [N, O]."""
        return torch._int_mm(F.pad(rows, (0, 0, 0, _FEWEST_ROWS + 1)), self.weight)[: rows.shape[0]]


class Float8Linear(nn.Module):
    """A linear layer that multiplies float8 (4 bits of exponent, 3 of mantissa) by float8; sums and outputs float32.

    Source: Micikevicius et al. 2022, https://arxiv.org/abs/2209.05433 (the format).
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take weight float32 [O, I] and bias [O] of the layer; each output has a scale of its own."""
        super().__init__()
        scale = scale_of(weight, 1, _LARGEST_FLOAT8)
        self.register_buffer("weight", (weight / scale).to(torch.float8_e4m3fn))
        self.register_buffer("scale", scale.t().contiguous())
        self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> Tensor:
        """[..., I] → [..., O]."""
        rows = features.reshape(-1, features.shape[-1])
        scale = scale_of(rows, 1, _LARGEST_FLOAT8)
        rounded = (rows / scale).to(torch.float8_e4m3fn)
        # Scales by row and column are multiplied in for bfloat16 outputs only.
        products = torch._scaled_mm(rounded, self.weight.t(), scale, self.scale, out_dtype=torch.bfloat16).float()
        if self.bias is not None:
            products = products + self.bias
        return products.reshape(*features.shape[:-1], -1)
