"""Complex matrices as pairs of real ones: float [..., 2, n, m], index 0 of the third-last axis real, 1 imaginary.

Neither oneDNN nor Inductor has kernels for complex tensors, so everything that is released computes in pairs.
Dimension letters: M matrices (any number of leading axes where a function says so), P columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-30
_NUDGE = 5e-4
_SHIFT = 1e-6


def full_precision(tensor: Tensor) -> torch.autocast:
    """Make a context in which a reduced-precision variant computes in float32 all the same.

    Gram matrices, inverses and Fourier transforms lose the subspaces in bfloat16; the gates do not mind.
    """
    return torch.autocast(tensor.device.type, enabled=False)


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
    """Multiply [M, 2, n, k] by [M, 2, k, m] in one real GEMM each; the smaller factor is the one laid out anew.

    `torch.bmm` and not `@`: exporting the latter's rules of broadcasting with a dynamic M costs minutes.
    """
    num_rows, size, num_columns = *left.shape[-2:], right.shape[-1]
    if 2 * num_rows * size <= (size + 3 * num_rows) * num_columns:  # what the two ways copy
        return torch.bmm(embed(left), right.flatten(-3, -2)).unflatten(-2, (2, num_rows))
    product = torch.bmm(left.flatten(-3, -2), torch.cat([right[..., 0, :, :], right[..., 1, :, :]], dim=-1))
    real = product[..., :num_rows, :num_columns] - product[..., num_rows:, num_columns:]
    imaginary = product[..., num_rows:, :num_columns] + product[..., :num_rows, num_columns:]
    return torch.stack([real, imaginary], dim=-3)


def gram_rows(pair: Tensor) -> Tensor:
    """A Aᴴ of [M, 2, n, m]: [M, 2, n, n], by one real GEMM."""
    size = pair.shape[-2]
    stacked = pair.flatten(-3, -2)
    product = torch.bmm(stacked, stacked.mT)
    real = product[..., :size, :size] + product[..., size:, size:]
    imaginary = product[..., size:, :size] - product[..., :size, size:]
    return torch.stack([real, imaginary], dim=-3)


def energy(pair: Tensor) -> Tensor:
    """Squared Frobenius norm of [..., 2, n, m]: [...]."""
    return pair.square().sum((-3, -2, -1))


def orthonormalize(pair: Tensor) -> Tensor:
    """Orthonormalise the columns of [M, 2, n, P], P small, each against those before it: Cholesky QR, twice.

    The first round bounds the condition by a shift, so that columns may nearly depend on each other. Each column gets a
    nudge of its own, so that one that depends on those before it still leaves a direction behind.

    Source: Fukaya et al. 2020, Shifted Cholesky QR for Computing the QR Factorization of Ill-Conditioned Matrices.
    """
    num_rows, num_columns = pair.shape[-2:]
    # Columns become rows [M, P, 2n] of the real and imaginary parts: what a GEMM and a triangular solver want.
    rows = _normalize(pair).flatten(1, 2).mT + _NUDGE * torch.eye(num_columns, 2 * num_rows, device=pair.device)
    real, imaginary = rows.split(num_rows, -1)
    # Behind each the same turned by i: what is orthogonal to both has a complex product of zero.
    both = torch.stack([rows, torch.cat([-imaginary, real], dim=-1)], dim=2).flatten(1, 2)
    both = _orthonormalize_rows(
        both, torch.bmm(both, both.mT) + _SHIFT * torch.eye(2 * num_columns, device=pair.device)
    )
    both = _orthonormalize_rows(both, torch.bmm(both, both.mT))
    return both[:, ::2].mT.unflatten(1, (2, num_rows))


def _orthonormalize_rows(rows: Tensor, gram: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(torch.linalg.cholesky_ex(gram)[0], rows, upper=False)


def _normalize(vector: Tensor) -> Tensor:
    return vector * torch.rsqrt(vector.square().sum((-3, -2), keepdim=True) + _TINY)


def invert(pair: Tensor) -> Tensor:
    """Invert [M, 2, n, n]; a singular matrix comes back as what rounding makes of it and leaves the others alone."""
    size = pair.shape[-1]
    inverse, _ = torch.linalg.inv_ex(embed(pair))
    return torch.stack([inverse[..., :size, :size], inverse[..., size:, :size]], dim=-3)
