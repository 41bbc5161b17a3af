"""A codeword's values as whole numbers of few bits.

Dimensions: N channels, M values of a codeword.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Half ranges that are tried, in standard deviations: with few bits levels must be near, with many none may be missing
# for the rare large values; three deviations for all cost 8 bits 9 dB.
_RANGE_DEVIATIONS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)


class CodeQuantizer(nn.Module):
    """Uniform levels within a range of each value's own, which is learned.

    Rounding has no slope: in training what comes behind sees rounded values, and what lies before learns as if they had
    not been. Source: Bengio, Léonard and Courville 2013, arXiv:1308.3432 (the straight-through estimator).
    """

    def __init__(self, code_size: int, num_bits: int) -> None:
        super().__init__()
        self.top = 2**num_bits - 1
        self.log_range = nn.Parameter(torch.zeros(code_size))

    @torch.no_grad()
    def fit_range(self, code: Tensor) -> None:
        """Set each value's range to that which rounds it best in codewords [N, M]."""
        ranges = torch.outer(torch.tensor(_RANGE_DEVIATIONS), code.square().mean(0).sqrt().clamp_min(1e-6)).log()
        errors = []
        for log_range in ranges:
            self.log_range.copy_(log_range)
            errors.append((self(code) - code).square().mean(0))
        self.log_range.copy_(ranges.gather(0, torch.stack(errors).argmin(0)[None])[0])

    def forward(self, code: Tensor) -> Tensor:
        """[N, M] → the same, rounded; differentiable in training."""
        level = self._scale(code)
        return self._unscale(level + (level.round() - level).detach())

    def to_levels(self, code: Tensor) -> Tensor:
        """float32 [N, M] → uint8 [N, M]."""
        return self._scale(code).round().to(torch.uint8)

    def from_levels(self, levels: Tensor) -> Tensor:
        """uint8 [N, M] → float32 [N, M]; what lies above the highest level counts as that."""
        return self._unscale(levels.to(torch.float32).clamp_max(float(self.top)))

    def _scale(self, code: Tensor) -> Tensor:
        return ((code / self.log_range.exp()).clamp(-1, 1) + 1) * (self.top / 2)

    def _unscale(self, level: Tensor) -> Tensor:
        return (level * (2 / self.top) - 1) * self.log_range.exp()
