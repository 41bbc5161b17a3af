"""int8 by post-training static quantization (PT2E).

Observers see calibration rows; their ranges become a scale and a zero point for every quantized tensor.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.export import ExportedProgram

from training.release.capture import dynamic_shapes_of


class NotQuantizableError(Exception):
    """The program cannot be quantized here; the text says why."""


def quantize(program: ExportedProgram, calibration: Sequence[tuple[torch.Tensor, ...]]) -> ExportedProgram:
    """Quantize an exported CPU program to int8 weights and activations where the x86 backend gains by it.

    Raises:
        NotQuantizableError: nothing in the program is quantized, or torchao is missing.
    """
    try:
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
            X86InductorQuantizer,
            get_default_x86_inductor_quantization_config,
        )
    except ImportError as error:
        raise NotQuantizableError(f"torchao cannot be imported: {error}") from None
    module = program.module(check_guards=False)
    _tell_calls_apart(module)
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    with torch.no_grad():
        prepared = prepare_pt2e(module, quantizer)
        for batch in calibration:
            prepared(*batch)
        converted = convert_pt2e(prepared)
        if not any("quantize_per" in str(node.target) for node in converted.graph.nodes):
            raise NotQuantizableError("it has no convolution or linear layer that the int8 backend quantizes")
        assert program.example_inputs is not None
        return torch.export.export(converted, program.example_inputs[0], dynamic_shapes=(dynamic_shapes_of(program),))


def _tell_calls_apart(module: torch.fx.GraphModule) -> None:
    """Give every call of a reused module a source of its own: the quantizer refuses one ReLU that is called twice."""
    seen: dict[tuple[str, str], str] = {}
    for node in module.graph.nodes:
        sources = node.meta.get("source_fn_stack")
        if not sources:
            continue
        name, kind = sources[-1]
        key = (str(name), str(node.target))
        if key in seen:
            node.meta["source_fn_stack"] = [*sources[:-1], (f"{name}_{node.name}", kind)]
        seen[key] = node.name
