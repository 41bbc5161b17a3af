"""Dominant singular subspaces by block power iterations, without an eigendecomposition.

Dimension letters: M matrices, R × T their size, P the block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.beamformer.paired import adjoint, gram_rows, multiply, orthonormalize
from training.beamformer.repetition import repeat

_BLOCK = 4
_TINY = 1e-30


class DominantSubspace(nn.Module):
    """Find both singular subspaces of the `num_streams` largest singular values, strongest stream first."""

    def __init__(self, num_rows: int, num_streams: int, num_iterations: int = 2) -> None:
        super().__init__()
        self.num_streams = num_streams
        self.num_iterations = num_iterations
        generator = torch.Generator().manual_seed(1)
        self.start: Tensor
        self.register_buffer("start", torch.randn(1, 2, num_rows, _BLOCK, generator=generator), persistent=False)

    def forward(self, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Factor [M, 2, R, T]: orthonormal right vectors [M, 2, T, Ns] and left vectors [M, 2, R, Ns]."""
        gram = _normalize_trace(gram_rows(matrices))
        power = _normalize_trace(square_twice(gram))
        basis = _iterate(power, self.start, self.num_iterations, in_loop=False)
        inner = multiply(adjoint(basis), multiply(gram, basis))
        left = multiply(basis, dominant_eigenvectors(inner, self.num_streams, in_loop=False))
        return orthonormalize(multiply(adjoint(matrices), left)), left


def dominant_eigenvectors(gram: Tensor, count: int, num_iterations: int = 2, *, in_loop: bool = True) -> Tensor:
    """Dominant eigenvectors [M, 2, n, count] of small Hermitian [M, 2, n, n]: orthogonal iteration on its 4th power.

    An exported program iterates in a loop, but for `in_loop=False` (`repetition.py`).
    """
    power = _normalize_trace(square_twice(_normalize_trace(gram)))
    units = torch.eye(gram.shape[-1], count, device=gram.device)
    return _iterate(power, torch.stack([units, torch.zeros_like(units)]), num_iterations, in_loop=in_loop)


def _iterate(power: Tensor, start: Tensor, num_iterations: int, *, in_loop: bool) -> Tensor:
    """Orthonormal columns [M, 2, n, P]: those of [M, 2, n, n] · `start` [2, n, P], then so many iterations."""

    def step(_: Tensor, block: Tensor) -> Tensor:
        return orthonormalize(multiply(power, block))

    return repeat(step, start.expand(power.shape[0], -1, -1, -1), 1 + num_iterations, in_loop=in_loop)


def square_twice(matrix: Tensor) -> Tensor:
    """Fourth power of [M, 2, n, n]."""
    squared = multiply(matrix, matrix)
    return multiply(squared, squared)


def _normalize_trace(gram: Tensor) -> Tensor:
    return gram / (gram[:, 0].diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None, None] + _TINY)
