"""Removing whole channels of a network, so that what is left is really smaller and faster."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
# Kernels work on so many channels at a time: a remainder costs as much as a full one.
_CHANNELS_AT_ONCE = 8


def prune_channels(
    network: nn.Module, fraction: float, inputs: Tensor, loss: Tensor, keep: Collection[nn.Module] = ()
) -> None:
    """Remove a share of each layer's channels, those that the loss misses least, and everything that hangs on them.

    `loss` was computed by the network from some training rows; its gradients say what a channel is worth. `inputs` are
    example rows from which the layers' connections are found; the outputs of layers in `keep` stay as they are.
    Sources: Molchanov et al. 2019, https://arxiv.org/abs/1906.10771 (worth by Taylor expansion); Fang et al. 2023,
    https://arxiv.org/abs/2301.12900 (which channels hang together).
    """
    import torch_pruning  # not needed by a run that prunes nothing

    loss.backward()
    training = network.training
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Unwrapped parameters"
        )  # a bias outside of layers goes with its layer
        pruner = torch_pruning.pruner.BasePruner(
            network.eval(),
            inputs,
            importance=torch_pruning.importance.GroupTaylorImportance(),
            pruning_ratio=fraction,
            ignored_layers=[*keep],
            round_to=_CHANNELS_AT_ONCE,
        )
        pruner.step()
    network.zero_grad(set_to_none=True)
    network.train(training)


def fit_channels(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give the layers of a freshly built network the numbers of channels that pruned weights have, ready to load."""
    for name, layer in network.named_modules():
        if not isinstance(layer, _LAYERS):
            continue
        for kind, value in layer.state_dict(keep_vars=True).items():
            stored = weights.get(f"{name}.{kind}", value)
            if stored.shape == value.shape:
                continue
            if isinstance(value, nn.Parameter):
                setattr(layer, kind, nn.Parameter(torch.empty_like(stored), value.requires_grad))
            else:
                layer.register_buffer(kind, torch.empty_like(stored))
        if isinstance(layer, nn.BatchNorm2d):
            layer.num_features = len(layer.weight)
        elif isinstance(layer, nn.Linear):
            layer.out_features, layer.in_features = layer.weight.shape
        else:
            if layer.groups == layer.in_channels > 1:  # depthwise
                layer.groups = len(layer.weight)
            layer.out_channels, layer.in_channels = len(layer.weight), layer.weight.shape[1] * layer.groups
