"""int8 for onnxruntime: static, of convolutions and what lies between them, or of matrix products as they come.

Both hold on CPUs with and without VNNI. Without it, two products of 8-bit numbers overflow the 16 bits in which they
are added; a file that runs on every CPU therefore has weights of 7 bits. And neither mixes rows: onnxruntime's own
dynamic quantization gives all rows of a batch one scale, and a row's result would depend on its neighbours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.release.left_out import LeftOutError

# What is worth quantizing, and what else has an int8 form, so that no conversion stands between two of them. Softmax
# and the like are absent: 256 steps are too few for probabilities.
_CORE = ("Conv", "Gemm", "MatMul")
_BETWEEN = (
    *("Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Pad", "Relu"),
    *("Reshape", "Resize", "Split", "Squeeze", "Transpose", "Unsqueeze"),
)
_BLOCK_SIZE = 32
_INT8_ARITHMETIC = 4  # onnxruntime's accuracy_level: activations become int8, each row in blocks with their own scales


def quantize_statically(source: Path, path: Path, calibration: Iterable[Sequence[np.ndarray]]) -> Path:
    """Quantize an ONNX file by the ranges that calibration batches show, weights by channel.

    Raises:
        LeftOutError: there is nothing in it to quantize.
    """
    with tempfile.TemporaryDirectory(prefix="onnx-") as work:
        prepared = Path(work) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        if not any(node.op_type in _CORE for node in graph.node):
            raise LeftOutError("it has no convolution or matrix product to quantize")
        names = [value.name for value in graph.input]
        quantize_static(
            prepared,
            path,
            _Batches(dict(zip(names, batch, strict=True)) for batch in calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_CORE, *_BETWEEN],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return path


def quantize_products(source: Path, path: Path) -> Path:
    """Quantize the constant matrices of an ONNX file; what they multiply becomes int8 as it comes, each row by itself.

    Raises:
        LeftOutError: it has no product with a constant matrix.
    """
    configuration = DefaultWeightOnlyQuantConfig(
        block_size=_BLOCK_SIZE, is_symmetric=True, bits=8, accuracy_level=_INT8_ARITHMETIC
    )
    loaded = ONNXModel(onnx.load(source))
    loaded.replace_gemm_with_matmul()
    quantizer = MatMulNBitsQuantizer(loaded.model, algo_config=configuration)
    quantizer.process()
    model = quantizer.model.model
    if not any(node.op_type == "MatMulNBits" for node in model.graph.node):
        raise LeftOutError("it has no product with a constant matrix")
    onnx.save(model, path)
    return path


class _Batches(CalibrationDataReader):
    """Hand batches to onnxruntime one by one."""

    def __init__(self, batches: Iterator[dict[str, np.ndarray]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)
