"""A convolutional network made to train fast: whitened first layer, wide 3×3 stages, no shortcuts in its way.

Source: Jordan 2024, 94 % on CIFAR-10 in 3.29 seconds on a single GPU, https://arxiv.org/abs/2404.00498.
Dimensions: N images, C channels, H height, W width, P patch values.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.engine.muon import Muon

_WHITENING_VARIANCE = 5e-4  # added to each eigenvalue, so that flat directions are not blown up to noise
# The rates of head and biases were published for steps of 2,000 images and 256 channels. What a step changes in the
# logits grows with the images for each channel: twice as many, 500 for 32 channels, and a student learned nothing.
_MOST_IMAGES_PER_CHANNEL = 2000 / 256


class Stage(nn.Module):
    """Convolve, halve, convolve again (with `depth` 3 once more, around a shortcut), each normalized, then GELU.

    Normalization has no scale of its own, so its factor 1/σ is positive and maximum pooling commutes with it:
    `fold` may therefore move the normalization in front of the pooling, into the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, out_channels)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = _norm(out_channels)
        self.activation1 = nn.GELU()
        self.conv2 = _conv(out_channels, out_channels)
        self.norm2 = _norm(out_channels)
        self.activation2 = nn.GELU()
        self.depth = depth
        if depth == 3:
            self.conv3 = _conv(out_channels, out_channels)
            self.norm3 = _norm(out_channels)
            self.activation3 = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation1(self.norm1(self.pool(self.conv1(x))))
        y = self.activation2(self.norm2(self.conv2(x)))
        if self.depth == 2:
            return y
        return self.activation3(self.norm3(self.conv3(y)) + x)

    def fold(self) -> None:
        """Merge every normalization into its convolution, for inference."""
        for number in range(1, self.depth + 1):
            conv, norm = getattr(self, f"conv{number}"), getattr(self, f"norm{number}")
            setattr(self, f"conv{number}", fuse_conv_bn_eval(conv, norm))
            setattr(self, f"norm{number}", nn.Identity())


class CompactNetwork(nn.Module):
    """Images float32 [N, C, H, W], normalized, H and W at least 20 → logits [N, classes]."""

    def __init__(
        self, *, channels: int, num_classes: int, widths: Sequence[int], depth: int, kernel: int, whiten_epochs: int
    ) -> None:
        super().__init__()
        if depth not in (2, 3):
            raise ValueError(f"depth must be 2 or 3 convolutions a stage, got {depth}")
        self.whiten_epochs = whiten_epochs
        num_filters = 2 * channels * kernel**2
        self.whiten = nn.Conv2d(channels, num_filters, kernel, bias=False)
        self.whiten.weight.requires_grad_(False)
        self.whiten_bias = nn.Parameter(torch.zeros(num_filters))
        self.activation = nn.GELU()
        sizes = [num_filters, *widths]
        self.stages = nn.Sequential(*(Stage(a, b, depth) for a, b in pairwise(sizes)))
        self.head = nn.Linear(widths[-1], num_classes, bias=False)
        nn.init.normal_(self.head.weight, std=1 / widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.conv2d(x, self.whiten.weight, self.whiten_bias)
        x = self.stages(self.activation(x))
        return self.head(x.amax((2, 3)))

    def initialize_from(self, images_NCHW: Tensor) -> None:
        """Make the first layer whiten patches: eigenvectors of their covariance over √eigenvalue, with both signs."""
        kernel = self.whiten.kernel_size[0]
        patches_NPL = nn.functional.unfold(images_NCHW.float(), kernel)
        patches = patches_NPL.transpose(1, 2).reshape(-1, patches_NPL.size(1)).double()
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / torch.sqrt(values + _WHITENING_VARIANCE)).T.flip(0)
        with torch.no_grad():
            self.whiten.weight.copy_(torch.cat([filters, -filters]).view_as(self.whiten.weight))

    def prepare_epoch(self, epoch: int) -> None:
        """Hold the whitening layer's bias after its first epochs: this spares the backward pass its costliest layer."""
        self.whiten_bias.requires_grad_(epoch < self.whiten_epochs)

    def make_optimizers(self, *, filter_lr: float, batch_size: int, weight_decay: float) -> list[torch.optim.Optimizer]:
        """Muon for filters, Nesterov momentum for biases and head, at rates published for a batch's summed loss."""
        filters = [parameter for parameter in self.stages.parameters() if parameter.dim() == 4]
        biases = [
            parameter for parameter in self.stages.parameters() if parameter.dim() == 1 and parameter.requires_grad
        ]
        width = self.head.in_features
        num_images = min(batch_size, _MOST_IMAGES_PER_CHANNEL * width)
        bias_lr, head_lr = 0.053 * num_images, 0.67 * num_images / width**2
        groups = [
            {"params": [self.whiten_bias, *biases], "lr": bias_lr, "weight_decay": weight_decay / bias_lr},
            {"params": [self.head.weight], "lr": head_lr, "weight_decay": weight_decay / head_lr},
        ]
        return [torch.optim.SGD(groups, momentum=0.85, nesterov=True), Muon(filters, lr=filter_lr)]

    def folded(self) -> CompactNetwork:
        """Copy for inference, without normalization layers."""
        network = copy.deepcopy(self).eval()
        for module in network.modules():
            if isinstance(module, Stage):
                module.fold()
        return network


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[: conv.weight.size(1)])
    return conv


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm
