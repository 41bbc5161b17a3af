"""Codewords without a network: the entries strongest on average, each channel's own, and principal components.

Dimensions: N channels, T delay taps, A angles, M values of a codeword.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The place of an entry that is sent costs as much as its real or its imaginary part.
VALUES_PER_PLACED_ENTRY = 3


def find_components(channels: Tensor, code_size: int) -> Tensor:
    """Orthonormal components float32 [M, 2·T·A] that keep most of the power of channels [N, T, A, 2].

    Phases are arbitrary, so the covariance is that of complex entries: each of its eigenvectors gives two components,
    for the real and the imaginary part.
    """
    entries = torch.view_as_complex(channels.contiguous()).flatten(1)
    _, vectors = torch.linalg.eigh(entries.mT @ entries.conj())
    conjugate = vectors[:, -(code_size // 2) :].flip(1).mT.conj()
    real = torch.stack([conjugate.real, -conjugate.imag], -1)
    imaginary = torch.stack([conjugate.imag, conjugate.real], -1)
    return torch.stack([real, imaginary], 1).reshape(code_size, -1).contiguous()


def project(channels: Tensor, components: Tensor) -> Tensor:
    """What orthonormal components [M, 2·T·A] keep of channels [N, T, A, 2]."""
    kept = channels.flatten(1) @ components.T @ components
    return kept.reshape(channels.shape)


def keep_common(channels: Tensor, training: Tensor, code_size: int) -> Tensor:
    """Keep the M / 2 complex entries that are strongest in training channels on average, the same for all."""
    power = training.square().sum(3).mean(0).flatten()
    kept = torch.zeros_like(power)
    kept[power.topk(code_size // 2).indices] = 1
    return channels * kept.reshape(1, *channels.shape[1:3], 1)


def keep_strongest(channels: Tensor, code_size: int) -> Tensor:
    """Keep each channel's own strongest complex entries: as many as fit with their places, M / 3."""
    power = channels.square().sum(3).flatten(1)
    kept = torch.zeros_like(power).scatter_(1, power.topk(code_size // VALUES_PER_PLACED_ENTRY).indices, 1.0)
    return channels * kept.reshape(*channels.shape[:3], 1)
