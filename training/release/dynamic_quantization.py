"""int8 by dynamic quantization: int8 weights, and activations that find their scale as they come.

Every row of activations has a scale of its own, so that a row's result does not depend on the rows beside it.

Dimensions: N rows, I inputs, O outputs of a linear layer.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from host.instruction_sets import cpu_features
from training.engine.device import limit_threads
from training.release.capture import capture_again
from training.release.quantization import NotQuantizableError
from training.release.rounding import LARGEST_PORTABLE_WEIGHT

_LARGEST = 127.0
_PRODUCT_SIZES = 64, 256, 256  # rows, inputs and outputs of a product that says how fast integers are multiplied
_MOST_SLOWDOWN = 3.0


class DynamicLinear(nn.Module):
    """A linear layer that multiplies int8 by int8; outputs float32.

    The order of its operations is the one in which the compiler's oneDNN patterns recognise it.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Take weight float32 [O, I] and bias [O] of the layer; each output has a scale of its own."""
        super().__init__()
        scale = scale_of(weight, 1, self.find_largest_weight())
        self.register_buffer("weight", (weight / scale).round().to(torch.int8).t().contiguous())
        self.register_buffer("scale", scale.squeeze(1))
        self.register_buffer("bias", bias)

    def forward(self, features: Tensor) -> Tensor:
        """[..., I] → [..., O]."""
        rows = features.reshape(-1, features.shape[-1])
        scale = scale_of(rows, 1, _LARGEST)
        products = self.multiply((rows / scale).round().to(torch.int8)).to(torch.float32) * scale * self.scale
        if self.bias is not None:
            products = products + self.bias
        return products.reshape(*features.shape[:-1], -1)

    @staticmethod
    def find_largest_weight() -> float:
        """The largest whole number that a weight may be."""
        return _LARGEST if "VNNI" in cpu_features() else float(LARGEST_PORTABLE_WEIGHT)

    def multiply(self, rows: Tensor) -> Tensor:
        """int8 [N, I] → int32 [N, O]."""
        return torch._int_mm(rows, self.weight)


Form = Callable[[Tensor, Tensor | None], nn.Module]  # of a linear layer, from its weight and bias


def quantize_dynamically(program: ExportedProgram, form: Form = DynamicLinear, multiple: int = 1) -> ExportedProgram:
    """Replace the linear layers of an exported program by another form, those whose sizes are multiples of a number.

    Raises:
        NotQuantizableError: the program has no such layer.
    """
    module = program.module(check_guards=False)
    assert isinstance(module, torch.fx.GraphModule)
    layers = [node for node in module.graph.nodes if node.target is torch.ops.aten.linear.default]
    num_replaced = 0
    for index, node in enumerate(layers):
        weight, bias = (_value_of(module, argument) for argument in (*node.args[1:], None)[:2])
        assert weight is not None
        if any(size % multiple for size in weight.shape):
            continue
        num_replaced += 1
        module.add_submodule(f"dynamic_linear_{index}", form(weight, bias))
        with module.graph.inserting_after(node):
            replacement = module.graph.call_module(f"dynamic_linear_{index}", (node.args[0],))
        node.replace_all_uses_with(replacement)
        module.graph.erase_node(node)
    if not num_replaced:
        raise NotQuantizableError("it has no linear layer" + (f" of multiples of {multiple}" if multiple > 1 else ""))
    module.recompile()
    return capture_again(module, program)


def check_integers_pay() -> None:
    """Multiply integers and floats here, on one thread, before minutes go into compiling a program of the former.

    Raises:
        NotQuantizableError: integers take several times as long; without VNNI torch multiplies them one by one.
    """
    num_rows, num_inputs, num_outputs = _PRODUCT_SIZES
    rows, weight = torch.ones(num_rows, num_inputs), torch.ones(num_inputs, num_outputs)
    integers = [matrix.to(torch.int8) for matrix in (rows, weight)]
    with limit_threads(1):  # others would wait for work in a busy loop, and be counted
        slowdown = _time_s(lambda: torch._int_mm(*integers)) / _time_s(lambda: rows @ weight)
    if slowdown > _MOST_SLOWDOWN:
        raise NotQuantizableError(f"products of 8-bit integers take {slowdown:.0f} times as long as of floats here")


def _time_s(run: Callable[[], Tensor]) -> float:
    """Processor time of a run, the least of several."""
    elapsed_s = []
    for _ in range(5):
        started = time.process_time()
        run()
        elapsed_s.append(time.process_time() - started)
    return min(elapsed_s)


def scale_of(values: Tensor, dim: int, largest: float) -> Tensor:
    """The step that maps the largest magnitude along a dimension to the largest whole number."""
    return values.abs().amax(dim, keepdim=True).clamp_min(1e-8) / largest


def _value_of(module: torch.fx.GraphModule, argument: torch.fx.node.Argument) -> Tensor | None:
    """The constant behind an argument of a node."""
    if argument is None:
        return None
    assert isinstance(argument, torch.fx.Node)
    value = operator.attrgetter(str(argument.target))(module)
    assert isinstance(value, Tensor)
    return value.detach()
