"""What a variational autoencoder maximizes, for kinds that draw from codes and kinds that read them.

Dimensions: N images, Z values of a code, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor


def draw_codes(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Draw codes [N, Z] of their distributions, from noise of N(0, 1), so that gradients reach mean and variance."""
    return mean + noise * (log_variance / 2).exp()


def measure_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of each value's distribution from N(0, 1), in nats [N, Z]: 0 for a value that says nothing."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def measure_error(drawn: Tensor, images: Tensor, deviation: float) -> Tensor:
    """Minus the logarithm of images' likelihood but for a constant [N]: squared error over 2σ², σ that of a pixel."""
    return (drawn - images).square().flatten(1).sum(1) / (2 * deviation**2)


def evidence_bound(
    drawn: Tensor, images: Tensor, mean: Tensor, log_variance: Tensor, deviation: float, beta: float = 1.0
) -> Tensor:
    """Minus the evidence lower bound per image but for a constant: squared error over 2σ² plus `beta` · divergence.

    `drawn` and `images` [N, C, H, W] in [−1, 1]; `mean` and `log_variance` [N, Z]; `deviation` is σ of a pixel.
    Source: Kingma and Welling 2014, https://arxiv.org/abs/1312.6114, eq. 10 with a Gaussian decoder; `beta` beside 1
    is Higgins et al. 2017, beta-VAE, eq. 4.
    """
    error = measure_error(drawn, images, deviation)
    return (error + beta * measure_divergence(mean, log_variance).sum(1)).mean()
