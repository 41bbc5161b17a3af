"""int8 by post-training static quantization (PT2E).

Observers see calibration rows; their ranges become a scale and a zero point for every quantized tensor.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from host.instruction_sets import cpu_features
from training.release.capture import capture_again
from training.release.line_convolutions import raise_lines
from training.release.rounding import COMPILED, Ranges, Rounding

_aten = torch.ops.aten
_SOURCES: dict[Any, Any] = {
    _aten.conv2d.default: nn.Conv2d,
    _aten.linear.default: nn.Linear,
    _aten.relu.default: nn.ReLU,
    _aten.relu_.default: nn.ReLU,
    _aten.hardtanh.default: nn.Hardtanh,
    _aten.hardtanh_.default: nn.Hardtanh,
    _aten.hardswish.default: nn.Hardswish,
    _aten.hardswish_.default: nn.Hardswish,
    _aten.silu.default: nn.SiLU,
    _aten.silu_.default: nn.SiLU,
    _aten.leaky_relu.default: nn.LeakyReLU,
    _aten.leaky_relu_.default: nn.LeakyReLU,
    _aten.tanh.default: nn.Tanh,
    _aten.gelu.default: nn.GELU,
    _aten.add.Tensor: operator.add,
    _aten.add_.Tensor: operator.add,
}


_LAYERS = (_aten.conv2d.default, _aten.linear.default)
_RANKING_BATCHES = 2


class NotQuantizableError(Exception):
    """The program cannot be quantized here; the text says why."""


def quantize(
    program: ExportedProgram, calibration: Sequence[tuple[torch.Tensor, ...]], rounding: Rounding = COMPILED
) -> ExportedProgram:
    """Quantize an exported CPU program to int8 weights and activations where the x86 backend gains by it.

    Raises:
        NotQuantizableError: nothing in the program is quantized, or torchao is missing.
    """
    converted = _convert(program, calibration, rounding.ranges, rounding.in_floats)
    if not any("quantize_per" in str(node.target) for node in converted.graph.nodes):
        raise NotQuantizableError("it has no convolution or linear layer that the int8 backend quantizes")
    with torch.no_grad():
        return capture_again(converted, program)


@torch.no_grad()
def rank_operations(program: ExportedProgram, calibration: Sequence[tuple[torch.Tensor, ...]]) -> list[str]:
    """Name the convolutions and linear layers, first the one whose rounding alone moves the outputs most."""
    batches = calibration[:_RANKING_BATCHES]  # a quantized graph that is not compiled takes its time
    module = _open(program)
    layers = [name for node in module.graph.nodes if (name := _layer_name(node))]
    exact = [_flatten(module(*batch)) for batch in batches]
    moved = {}
    for layer in dict.fromkeys(layers):
        rounded = _convert(program, batches, COMPILED.ranges, {*layers} - {layer})
        moved[layer] = max(
            float((_flatten(rounded(*batch)) - right).norm() / (right.norm() or 1.0))
            for batch, right in zip(batches, exact, strict=True)
        )
    return sorted(moved, key=lambda layer: -moved[layer])


def _convert(
    program: ExportedProgram,
    calibration: Sequence[tuple[torch.Tensor, ...]],
    ranges: Ranges,
    in_floats: Collection[str],
) -> torch.fx.GraphModule:
    # Imported late: torchao may be missing.
    try:
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
            X86InductorQuantizer,
            get_default_x86_inductor_quantization_config,
        )

        from training.release.activation_ranges import observe_ranges
    except ImportError as error:
        raise NotQuantizableError(f"torchao cannot be imported: {error}") from None
    module = _open(program)
    _name_sources(module, in_floats)
    config = get_default_x86_inductor_quantization_config(reduce_range="VNNI" not in cpu_features())
    activations = observe_ranges(config.input_activation, ranges)
    config = dataclasses.replace(config, input_activation=activations, output_activation=activations)
    with torch.no_grad():
        prepared = prepare_pt2e(module, X86InductorQuantizer().set_global(config))
        for batch in calibration:
            prepared(*batch)
        converted: torch.fx.GraphModule = convert_pt2e(prepared)
    return converted


def _open(program: ExportedProgram) -> torch.fx.GraphModule:
    """A program as a module whose layers can be quantized."""
    module = program.module(check_guards=False)
    raise_lines(module)
    return module


def _flatten(outputs: Any) -> torch.Tensor:
    """All numbers of a program's outputs in a row."""
    return torch.cat([output.double().flatten() for output in pytree.tree_leaves(outputs)])


def _layer_name(node: torch.fx.Node) -> str:
    """What a convolution or linear layer is called, by its weight; '' for other operations."""
    if node.target not in _LAYERS:
        return ""
    weight = node.args[1]
    is_stored = isinstance(weight, torch.fx.Node) and weight.op == "get_attr"
    return str(weight.target).removesuffix(".weight") if is_stored else node.name  # type: ignore[union-attr]


def _name_sources(module: torch.fx.GraphModule, in_floats: Collection[str]) -> None:
    """Tell the quantizer which layer each operation is, one source for each call, but for those kept in floats.

    It finds its patterns by the modules that operations came from; a program that was saved and loaded has lost some of
    them, functional code never had any, and one ReLU module called twice makes it fail.
    """
    for node in module.graph.nodes:
        if node.op != "call_function":
            continue
        source = _SOURCES.get(node.target)
        if source is operator.add and not _adds_equal_shapes(node):
            source = None
        if source is nn.Conv2d and _sees_one_channel(module, node):
            source = None
        if _layer_name(node) in in_floats:
            source = None
        node.meta.pop("torch_fn", None)
        node.meta.pop("nn_module_stack", None)
        node.meta["source_fn_stack"] = [(node.name, source or node.target)]


def _sees_one_channel(module: torch.fx.GraphModule, convolution: torch.fx.Node) -> bool:
    """Tell whether an ungrouped convolution has one input channel.

    AOTInductor packs its int8 weights in the wrong order (torch 2.13); it costs next to nothing and stays in floats.
    """
    weight = operator.attrgetter(str(convolution.args[1].target))(module)  # type: ignore[union-attr]
    groups = convolution.args[6] if len(convolution.args) > 6 else 1
    return bool(groups == 1 and weight.shape[1] == 1)


def _adds_equal_shapes(node: torch.fx.Node) -> bool:
    values = [argument.meta.get("val") if isinstance(argument, torch.fx.Node) else None for argument in node.args[:2]]
    if len(values) != 2 or not all(isinstance(value, torch.Tensor) for value in values):
        return False
    return str(values[0].shape) == str(values[1].shape)  # type: ignore[union-attr]
