"""Batch normalization over a batch that several processes divide."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

from training.engine.distributed import num_processes


class _Sum(torch.autograd.Function):
    """The sum over all processes; what each of them makes of it flows back to all."""

    @staticmethod
    def forward(context: Any, share: Tensor) -> Tensor:
        total = share.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Normalizes features [N, C, H, W] by mean and variance of the rows of all processes while they train together.

    torch's SyncBatchNorm does so on GPUs only. Deviations are summed after the mean is known, a second sum over all
    processes: the difference of mean squares would lose the digits by which the result shall equal that of one process.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or num_processes() == 1:
            return super().forward(input)
        features = input.float()
        count = _Sum.apply(features.new_tensor(features.numel() / features.shape[1]))
        mean = _Sum.apply(features.sum((0, 2, 3))) / count
        centered = features - mean[:, None, None]
        variance = _Sum.apply(centered.square().sum((0, 2, 3))) / count
        self._follow(mean, variance * count / (count - 1))
        normal = centered * (variance + self.eps).rsqrt()[:, None, None]
        if self.affine:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def share_batch_norms(network: nn.Module) -> None:
    """Turn a network's batch normalizations into shared ones, if several processes train; its state stays as it is."""
    if num_processes() > 1:
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SharedBatchNorm
