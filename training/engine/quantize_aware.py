"""Training a network with the rounding that int8 will bring, so that its weights learn to bear it."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

# The portable variant's weights have seven bits, lest AVX2's sums of products overflow; eight are finer still.
_WEIGHT_RANGE = (-64, 63)


class RoundedNetwork:
    """Another way through a network in training mode: weights and activations rounded as quantization will.

    It shares the network's weights and running statistics; of its own it has the ranges that it observes. Gradients
    pass through the rounding as if it were not there (Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3).
    """

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        """Find by example `inputs`, 2 rows or more, where there is something to round.

        Raises:
            ValueError: torchao is missing.
        """
        try:
            from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
            from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
                X86InductorQuantizer,
                get_default_x86_inductor_quantization_config,
            )
        except ImportError as error:
            raise ValueError(f"quantize_aware needs torchao: {error}") from None
        rows = torch.export.Dim("rows", min=2)
        module = torch.export.export(network.train(), (inputs,), dynamic_shapes=({0: rows},)).module(check_guards=False)
        default = get_default_x86_inductor_quantization_config(is_qat=True)
        low, high = _WEIGHT_RANGE
        weight = dataclasses.replace(default.weight, quant_min=low, quant_max=high)
        quantizer = X86InductorQuantizer().set_global(dataclasses.replace(default, weight=weight))
        self._module = prepare_qat_pt2e(module, quantizer)
        shared = {*network.state_dict()}
        self._ranges = {name: value for name, value in self._module.named_buffers() if name not in shared}

    def __call__(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._module(inputs)
        return outputs

    def state_dict(self) -> dict[str, Any]:
        return dict(self._ranges)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in self._ranges.items():
            value.resize_(state[name].shape).copy_(state[name])
