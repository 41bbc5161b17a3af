"""Layers whose activations are not kept for the backward pass but computed again in it.

A network then holds the input of each layer, and what is inside of one layer at a time, for the price of a second
forward pass. Source: Chen et al. 2016, https://arxiv.org/abs/1604.06174.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class _Recomputed(nn.Module):
    def forward(self, *inputs: Any) -> Any:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(*inputs)
        return checkpoint(super().forward, *inputs, use_reentrant=False)


def recompute_activations(layers: Iterable[nn.Module]) -> None:
    """Turn layers into such that recompute their activations; parameters, state and answers stay as they are.

    Random numbers are drawn as in the first pass. Layers that follow their inputs, as batch normalization does, would
    do so twice.
    """
    for layer in layers:
        layer.__class__ = type(type(layer).__name__, (_Recomputed, type(layer)), {})
