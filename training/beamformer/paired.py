"""Complex matrices as pairs of real ones: float [..., 2, n, m], index 0 of the third-last axis real, 1 imaginary.

Neither oneDNN nor Inductor has kernels for complex tensors, so everything that is released computes in pairs.
Dimension letters: M matrices (any number of leading axes where a function says so), P columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-30


def to_pair(matrix: Tensor) -> Tensor:
    """Split complex [..., n, m] into a pair [..., 2, n, m]."""
    return torch.stack([matrix.real, matrix.imag], dim=-3)


def to_complex(pair: Tensor) -> Tensor:
    """Join a pair [..., 2, n, m] into complex [..., n, m]."""
    return torch.complex(pair[..., 0, :, :], pair[..., 1, :, :])


def adjoint(pair: Tensor) -> Tensor:
    """Conjugate and transpose [..., 2, n, m] → [..., 2, m, n]."""
    return torch.stack([pair[..., 0, :, :].mT, -pair[..., 1, :, :].mT], dim=-3)


def embed(pair: Tensor) -> Tensor:
    """Lay out [..., 2, n, m] as the real matrix [[A, −B], [B, A]], [..., 2n, 2m]: products then are one real GEMM."""
    real, imaginary = pair[..., 0, :, :], pair[..., 1, :, :]
    upper = torch.cat([real, -imaginary], dim=-1)
    lower = torch.cat([imaginary, real], dim=-1)
    return torch.cat([upper, lower], dim=-2)


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Multiply [..., 2, n, k] by [..., 2, k, m]."""
    *_, num_rows, _ = left.shape
    product = embed(left) @ right.flatten(-3, -2)
    return product.unflatten(-2, (2, num_rows))


def gram_rows(pair: Tensor) -> Tensor:
    """A Aᴴ of [M, 2, n, m]: [M, 2, n, n], by one real GEMM."""
    size = pair.shape[-2]
    stacked = pair.flatten(-3, -2)
    product = stacked @ stacked.mT
    real = product[..., :size, :size] + product[..., size:, size:]
    imaginary = product[..., size:, :size] - product[..., :size, size:]
    return torch.stack([real, imaginary], dim=-3)


def energy(pair: Tensor) -> Tensor:
    """Squared Frobenius norm of [..., 2, n, m]: [...]."""
    return pair.square().sum((-3, -2, -1))


def orthonormalize(pair: Tensor) -> Tensor:
    """Orthonormalise the columns of [M, 2, n, P] by Gram–Schmidt with reorthogonalisation, P small.

    A column that depends on those before it comes back as what rounding left of it, orthonormal all the same.
    """
    basis = _normalize(pair[..., :1])
    for index in range(1, pair.shape[-1]):
        column = _normalize(pair[..., index : index + 1])
        for _ in range(2):
            column = _normalize(column - multiply(basis, multiply(adjoint(basis), column)))
        basis = torch.cat([basis, column], dim=-1)
    return basis


def _normalize(vector: Tensor) -> Tensor:
    return vector * torch.rsqrt(vector.square().sum((-3, -2), keepdim=True) + _TINY)


def invert(pair: Tensor) -> Tensor:
    """Invert [M, 2, n, n]; a singular matrix comes back as what rounding makes of it and leaves the others alone."""
    size = pair.shape[-1]
    inverse, _ = torch.linalg.inv_ex(embed(pair))
    return torch.stack([inverse[..., :size, :size], inverse[..., size:, :size]], dim=-3)
