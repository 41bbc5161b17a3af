"""What is released: one estimate of the images behind noisy ones; and the steps around it, as the handler takes them.

Dimensions: N images, Z values of an image, C channels, H height, W width.
"""

from __future__ import annotations

from functools import partial
from math import prod

import torch
from torch import Tensor, nn

from model_store.denoising import denoise, plan_steps
from training.diffusion.network import Network
from training.diffusion.recipe import Recipe
from training.images.drawing import Drawing
from training.images.pixels import quantize_images

_BATCH_SIZE = 250


def mix(images: Tensor, noise: Tensor, log_snr: Tensor) -> tuple[Tensor, Tensor]:
    """Mix images and noise [N, C, H, W] at log SNRs [N]; returns what is seen and its velocity, both of that shape."""
    alpha, sigma = split_power(log_snr[:, None, None, None])
    return alpha * images + sigma * noise, alpha * noise - sigma * images


def split_power(log_snr: Tensor) -> tuple[Tensor, Tensor]:
    """The shares α and σ of image and noise; their squares add up to 1."""
    return log_snr.sigmoid().sqrt(), (-log_snr).sigmoid().sqrt()


class Program(nn.Module):
    """Noisy images float32 [N, Z], log SNR float32 [N] and labels int64 [N] → images behind them float32 [N, Z]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, noisy: Tensor, log_snr: Tensor, labels: Tensor) -> Tensor:
        height, width, channels = self.network.shape
        velocity = self.network(noisy.view(-1, channels, height, width), log_snr, labels).flatten(1)
        alpha, sigma = split_power(log_snr[:, None])
        return alpha * noisy - sigma * velocity


def make_drawing(network: Network, recipe: Recipe, device: torch.device) -> Drawing:
    """Draw any number of images by a recipe's steps, guidance and sampler, as a worker would."""
    return Drawing(partial(_draw_images, network, recipe, device), prod(network.shape), conditional=True)


@torch.no_grad()
def _draw_images(
    network: Network, recipe: Recipe, device: torch.device, latents: Tensor, labels: Tensor | None
) -> Tensor:
    assert labels is not None
    program = Program(network)
    log_snrs = plan_steps(recipe.noise_schedule, recipe.steps)
    height, width, channels = network.shape
    pieces = []
    for noise, classes in zip(latents.split(_BATCH_SIZE), labels.split(_BATCH_SIZE), strict=True):
        estimate = partial(_estimate, program, classes.to(device), recipe.guidance)
        images = denoise(estimate, noise.to(device), log_snrs, recipe.sampler)
        pieces.append(quantize_images(images.view(-1, channels, height, width)).cpu())
    return torch.cat(pieces)


def _estimate(program: Program, labels: Tensor, guidance: float, noisy: Tensor, log_snr: float) -> Tensor:
    levels = torch.full((len(noisy),), log_snr, device=noisy.device)
    images: Tensor = program(noisy, levels, labels)
    if guidance != 1:
        unguided = program(noisy, levels, torch.full_like(labels, program.network.num_classes))
        images = unguided + guidance * (images - unguided)
    return images.clip(-1, 1)
