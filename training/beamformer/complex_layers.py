"""Layers for complex tensors [N, C, H, W] of dtype complex64, for networks that work on phases directly.

Source: Trabelsi et al. 2018, Deep Complex Networks (convolution, batch normalization, CReLU, zReLU); Arjovsky et al.
2016, Unitary Evolution Recurrent Neural Networks (modReLU).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.engine.normalization import make_normalization


class ComplexConv2d(nn.Module):
    """Convolution with complex weights: two real convolutions of the stacked parts."""

    def __init__(
        self, num_inputs: int, num_outputs: int, kernel_size: int, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        shape = (num_outputs, num_inputs, kernel_size, kernel_size)
        # The magnitude is Rayleigh with E|w|² = 2 / fan-in, the phase uniform: half of that in either part.
        deviation = 1 / math.sqrt(num_inputs * kernel_size**2)
        self.real = nn.Parameter(torch.randn(shape) * deviation)
        self.imaginary = nn.Parameter(torch.randn(shape) * deviation)
        self.bias = nn.Parameter(torch.zeros(2, num_outputs))
        self.stride, self.padding = stride, padding

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve complex [N, C, H, W]."""
        parts = torch.cat([signal.real, signal.imag], dim=1)
        upper = torch.cat([self.real, -self.imaginary], dim=1)
        lower = torch.cat([self.imaginary, self.real], dim=1)
        weight, bias = torch.cat([upper, lower]), self.bias.flatten()
        result = functional.conv2d(parts, weight, bias, stride=self.stride, padding=self.padding)
        return torch.complex(*result.chunk(2, dim=1))


class ComplexLinear(nn.Module):
    """Affine map with complex weights."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        parts = torch.randn(2, num_outputs, num_inputs) / math.sqrt(2 * num_inputs)
        self.weight = nn.Parameter(torch.complex(*parts))
        self.bias = nn.Parameter(torch.zeros(num_outputs, dtype=torch.complex64))

    def forward(self, signal: Tensor) -> Tensor:
        return functional.linear(signal, self.weight, self.bias)


class ComplexBatchNorm2d(nn.Module):
    """Whiten the 2×2 covariance of real and imaginary parts per channel, then apply a learned 2×2 matrix and shift."""

    def __init__(self, num_channels: int, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum
        self.scale = nn.Parameter(torch.eye(2).repeat(num_channels, 1, 1) / math.sqrt(2))
        self.shift = nn.Parameter(torch.zeros(num_channels, 2))
        self.running_mean: Tensor
        self.running_covariance: Tensor
        self.register_buffer("running_mean", torch.zeros(num_channels, 2))
        self.register_buffer("running_covariance", torch.eye(2).repeat(num_channels, 1, 1) / 2)

    def forward(self, signal: Tensor) -> Tensor:
        """Normalise complex [N, C, H, W]."""
        parts = torch.view_as_real(signal).permute(1, 4, 0, 2, 3).flatten(2)
        if self.training:
            mean = parts.mean(-1)
            centred = parts - mean[..., None]
            covariance = centred @ centred.mT / parts.shape[-1]
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_covariance.lerp_(covariance, self.momentum)
        else:
            mean, covariance = self.running_mean, self.running_covariance
            centred = parts - mean[..., None]
        whitened = self.scale @ (_inverse_root(covariance, self.epsilon) @ centred) + self.shift[..., None]
        shape = (signal.shape[1], 2, signal.shape[0], *signal.shape[2:])
        return torch.view_as_complex(whitened.view(shape).permute(2, 0, 3, 4, 1).contiguous())


class PartNormalization(nn.Module):
    """Normalize real and imaginary parts as if they were channels of their own."""

    def __init__(self, name: str, num_channels: int) -> None:
        super().__init__()
        self.parts = make_normalization(name, 2 * num_channels)

    def forward(self, signal: Tensor) -> Tensor:
        """Normalise complex [N, C, H, W]."""
        return torch.complex(*self.parts(torch.cat([signal.real, signal.imag], 1)).chunk(2, 1))


def make_complex_normalization(name: str, num_channels: int) -> nn.Module:
    """Make a normalization of complex feature maps: `complex` whitens both parts together.

    Raises:
        ValueError: unknown name.
    """
    return ComplexBatchNorm2d(num_channels) if name == "complex" else PartNormalization(name, num_channels)


class CReLU(nn.Module):
    """ReLU on the real and on the imaginary part."""

    def forward(self, signal: Tensor) -> Tensor:
        return torch.complex(functional.relu(signal.real), functional.relu(signal.imag))


class ZReLU(nn.Module):
    """Keep values whose phase lies in [0, π/2], zero the others."""

    def forward(self, signal: Tensor) -> Tensor:
        return signal * ((signal.real >= 0) & (signal.imag >= 0))


class ModReLU(nn.Module):
    """ReLU on magnitude plus a learned bias per channel; phases stay."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, signal: Tensor) -> Tensor:
        magnitude = signal.abs()
        return signal * (functional.relu(magnitude + self.bias[:, None, None]) / (magnitude + 1e-8))


class ComplexAvgPool2d(nn.Module):
    """Average both parts over windows."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, signal: Tensor) -> Tensor:
        real, imaginary = (functional.avg_pool2d(part, self.kernel_size) for part in (signal.real, signal.imag))
        return torch.complex(real, imaginary)


class ComplexMaxPool2d(nn.Module):
    """Keep the value of the largest magnitude in each window, with its phase."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, signal: Tensor) -> Tensor:
        pooled, index = functional.max_pool2d(signal.abs(), self.kernel_size, return_indices=True)
        return signal.flatten(2).gather(2, index.flatten(2)).view(pooled.shape)


class ComplexDropout(nn.Module):
    """Drop whole complex values; both parts go together."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"the dropout probability must lie in [0, 1), got {probability}")
        self.probability = probability

    def forward(self, signal: Tensor) -> Tensor:
        if not self.training:
            return signal
        return signal * functional.dropout(torch.ones_like(signal.real), self.probability)


def _inverse_root(covariance: Tensor, epsilon: float) -> Tensor:
    """Inverse square root of symmetric positive [C, 2, 2], in closed form."""
    covariance = covariance + epsilon * torch.eye(2, device=covariance.device)
    determinant = covariance[:, 0, 0] * covariance[:, 1, 1] - covariance[:, 0, 1] ** 2
    root = determinant.sqrt()
    trace = (covariance[:, 0, 0] + covariance[:, 1, 1] + 2 * root).sqrt()
    swapped = torch.stack(
        [
            torch.stack([covariance[:, 1, 1] + root, -covariance[:, 0, 1]], dim=-1),
            torch.stack([-covariance[:, 0, 1], covariance[:, 0, 0] + root], dim=-1),
        ],
        dim=-2,
    )
    return swapped / (root * trace)[:, None, None]
