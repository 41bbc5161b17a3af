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
    """Invert [M, 2, n, n] whose leading minors do not vanish: definite, or definite plus a multiple of i."""
    if torch.compiler.is_exporting():
        return _eliminate(pair)
    size = pair.shape[-1]
    inverse = torch.linalg.inv(embed(pair))
    return torch.stack([inverse[..., :size, :size], inverse[..., size:, :size]], dim=-3)


def _eliminate(pair: Tensor) -> Tensor:
    """Invert by Gauss–Jordan elimination in place without pivoting, written out.

    AOTInductor has no kernel for `linalg.inv`, and with the matrices along the last axis each step is one loop over all.
    """
    size = pair.shape[-1]
    real, imaginary = pair.permute(1, 2, 3, 0).unbind(0)
    index = torch.arange(size, device=pair.device)
    for step in range(size):
        is_row, is_column = (index == step)[:, None, None], (index == step)[None, :, None]
        scale = 1 / (real[step, step].square() + imaginary[step, step].square())
        pivot_real, pivot_imaginary = real[step, step] * scale, -imaginary[step, step] * scale
        # With 1 in place of the pivot and 0 in the rest of its column, the sweep leaves the inverse's values in both.
        row_real = torch.where(is_column[0], 1.0, real[step])
        row_imaginary = torch.where(is_column[0], 0.0, imaginary[step])
        divided_real = row_real * pivot_real - row_imaginary * pivot_imaginary
        divided_imaginary = row_real * pivot_imaginary + row_imaginary * pivot_real
        column_real, column_imaginary = real[:, step, None], imaginary[:, step, None]
        rest_real = torch.where(is_column, 0.0, real)
        rest_imaginary = torch.where(is_column, 0.0, imaginary)
        rest_real = rest_real - column_real * divided_real + column_imaginary * divided_imaginary
        rest_imaginary = rest_imaginary - column_real * divided_imaginary - column_imaginary * divided_real
        real = torch.where(is_row, divided_real, rest_real)
        imaginary = torch.where(is_row, divided_imaginary, rest_imaginary)
    return torch.stack([real, imaginary]).permute(3, 0, 1, 2)
