"""Static int8 for onnxruntime, of convolutions and what lies between them; products as they come: onnx_products.py.

It holds on CPUs with and without VNNI. Without it, two products of 8-bit numbers overflow the 16 bits in which they
are added; a file that runs on every CPU therefore has weights of 7 bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from handlers.device import Cpu
from handlers.program import load_program
from training.release.float_operations import find_float_operations
from training.release.left_out import LeftOutError
from training.release.onnx_activations import multiply_gates
from training.release.onnx_ranges import METHODS, find_ranges
from training.release.rounding import PORTABLE, PORTABLE_WEIGHT_BITS, Rounding

# What is worth quantizing, and what else has an int8 form, so that no conversion stands between two of them. Softmax
# and the like are absent: 256 steps are too few for probabilities.
_CORE = ("Conv", "Gemm", "MatMul")
_BETWEEN = (
    *("Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Pad", "Relu"),
    *("Reshape", "Resize", "Split", "Squeeze", "Transpose", "Unsqueeze"),
)


def quantize_statically(
    source: Path, path: Path, calibration: Iterable[Sequence[np.ndarray]], rounding: Rounding = PORTABLE
) -> Path:
    """Quantize an ONNX file by the ranges that calibration batches show, weights by channel.

    Raises:
        LeftOutError: there is nothing in it to quantize.
    """
    with tempfile.TemporaryDirectory(prefix="onnx-") as work:
        prepared, _ = _prepare(source, Path(work))
        _quantize(prepared, path, calibration, rounding)
    return path


def rank_layers(source: Path, calibration: Sequence[Sequence[np.ndarray]]) -> list[str]:
    """Name the convolutions and products, first the one whose rounding alone moves the outputs most.

    Raises:
        LeftOutError: there is nothing in it to quantize.
    """
    with tempfile.TemporaryDirectory(prefix="onnx-") as work:
        prepared, layers = _prepare(source, Path(work))
        exact = _answer(prepared, calibration)
        moved = {}
        for layer in layers:
            path = Path(work) / "alone.onnx"
            _quantize(prepared, path, calibration, PORTABLE, only=[layer])
            moved[layer] = max(
                float(np.linalg.norm(found - right) / (np.linalg.norm(right) or 1.0))
                for found, right in zip(_answer(path, calibration), exact, strict=True)
            )
    return sorted(layers, key=lambda layer: -moved[layer])


def _prepare(source: Path, work: Path) -> tuple[Path, list[str]]:
    """Write a file's simplified form; also name what in it is worth quantizing."""
    path = work / "prepared.onnx"
    quant_pre_process(source, path, skip_symbolic_shape=True)
    graph = onnx.load(path).graph
    in_floats = {*find_float_operations(graph, _CORE)}
    layers = [node.name for node in graph.node if node.op_type in _CORE and node.name not in in_floats]
    if not layers:
        raise LeftOutError("it has no convolution or matrix product to quantize")
    return path, [name for name in layers if name]


def _quantize(
    prepared: Path,
    path: Path,
    calibration: Iterable[Sequence[np.ndarray]],
    rounding: Rounding,
    only: Sequence[str] = (),
) -> None:
    graph = onnx.load(prepared).graph
    names = [value.name for value in graph.input]
    operations = [*_CORE, *_BETWEEN]
    with tempfile.TemporaryDirectory(prefix="ranges-") as work:
        batches = (dict(zip(names, batch, strict=True)) for batch in calibration)
        quantize_static(
            prepared,
            path,
            None,
            calibration_cache_path=find_ranges(
                prepared, Path(work) / "ranges.json", batches, operations, rounding.ranges
            ),
            calibrate_method=METHODS[rounding.ranges],
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=operations,
            per_channel=True,
            reduce_range=rounding.weight_bits == PORTABLE_WEIGHT_BITS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=[*only],
            nodes_to_exclude=[*rounding.in_floats, *find_float_operations(graph, _CORE)],
        )
    multiply_gates(path)


def _answer(path: Path, batches: Iterable[Sequence[np.ndarray]]) -> list[np.ndarray]:
    run = load_program(path, Cpu())
    answers = [run([*batch]) for batch in batches]
    return [np.concatenate(outputs) for outputs in zip(*answers, strict=True)]
