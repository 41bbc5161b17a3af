"""Muon: momentum whose update is orthogonalized, for filters of convolutions and for a Transformer's matrices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.device import multiplies_bf16

# The quintic that pushes singular values towards 1 fastest; it ends in about [0.5, 1.5] instead of converging, which
# trains as well.
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315
_TRANSFORMER_MOMENTUM = 0.9
_ADAM_BETAS = (0.9, 0.98)


def orthogonalize(matrix: Tensor, *, num_iterations: int = 3) -> Tensor:
    """Replace the singular values of a matrix by values near 1 with a Newton–Schulz iteration.

    In bfloat16 where the device multiplies it; elsewhere it would take ten to twenty times as long as float32.
    Source: Jordan et al. 2024, Muon, https://kellerjordan.github.io/posts/muon/.
    """
    wide = matrix.T if matrix.size(0) > matrix.size(1) else matrix
    x = (wide / (wide.norm() + 1e-7)).to(torch.bfloat16 if multiplies_bf16(matrix.device) else torch.float32)
    for _ in range(num_iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_CUBIC, alpha=_QUINTIC), x, beta=_LINEAR)
    return (x.T if wide is not matrix else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with orthogonalized updates; each filter bank keeps the norm √(output channels).

    Fit for weights whose scale has no effect (a normalization follows): it needs no weight decay.
    Source: Jordan 2024, airbench94_muon, https://github.com/KellerJordan/cifar10-airbench.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.6) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every filter bank that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group["lr"], group["momentum"])

    def _update(self, parameter: Tensor, gradient: Tensor, lr: float, momentum: float) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer = state["momentum_buffer"].mul_(momentum).add_(gradient)
        direction = gradient.add(buffer, alpha=momentum)
        parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
        parameter.add_(orthogonalize(direction.flatten(1)).view(parameter.shape), alpha=-lr)


def divide_parameters(
    network: nn.Module, matrices: Iterable[Tensor], *, matrix_lr: float, lr: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Give some matrices of a Transformer to Muon and everything else to AdamW, all of it where `matrix_lr` is 0.

    Muon holds each matrix at the norm √rows, at which Glorot's initialization leaves it within a factor of 1.6; what
    AdamW has decays but for vectors.
    """
    chosen = list(matrices) if matrix_lr else []
    is_chosen = {id(matrix) for matrix in chosen}
    others = [parameter for parameter in network.parameters() if id(parameter) not in is_chosen]
    groups = [
        {"params": [parameter for parameter in others if parameter.dim() > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in others if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=lr, betas=_ADAM_BETAS, fused=True)
    return [adam, Muon(chosen, lr=matrix_lr, momentum=_TRANSFORMER_MOMENTUM)] if chosen else [adam]
