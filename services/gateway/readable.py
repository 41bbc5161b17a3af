"""Answers for people: readable JSON of what /v1/NAME was sent."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from model_store.manifest import Manifest
from model_store.tensors import decode_raw
from services.gateway.tensors import InferAnswer

MAX_VALUES_SHOWN = 1000
SIGNIFICANT_DIGITS = 6


def describe_answer(answer: InferAnswer, manifest: Manifest) -> dict[str, Any]:
    """Describe the answer to one file; large outputs are named, not shown."""
    return _head(answer) | {"results": _describe_row(_decode(answer), 0, manifest, MAX_VALUES_SHOWN)}


def describe_rows(answer: InferAnswer, manifest: Manifest) -> dict[str, Any]:
    """Describe the answer to rows of JSON, each with all its values."""
    arrays = _decode(answer)
    num_rows = min(len(array) for array in arrays.values())
    return _head(answer) | {"rows": [_describe_row(arrays, row, manifest, None) for row in range(num_rows)]}


def _head(answer: InferAnswer) -> dict[str, Any]:
    return {"model": answer.model, "version": answer.version, "request": answer.id}


def _decode(answer: InferAnswer) -> dict[str, np.ndarray]:
    return {tensor.name: decode_raw(tensor.data, tensor.datatype, tensor.shape) for tensor in answer.outputs}


def _describe_row(arrays: dict[str, np.ndarray], row: int, manifest: Manifest, max_values: int | None) -> Any:
    """Describe one row by output; equally long outputs of which the manifest names one value are a list of results."""
    readable = {name: _readable(array[row], max_values) for name, array in arrays.items()}
    singulars = {name: tensor.singular for name in arrays if (tensor := manifest.output(name))}
    lengths = {array.shape[1:] for array in arrays.values()}
    is_ranking = any(singulars.values()) and len(lengths) == 1 and len(lengths.pop()) == 1
    if not is_ranking or any(isinstance(values, str) for values in readable.values()):
        return readable
    names = [singulars.get(name) or name for name in readable]
    return [dict(zip(names, places, strict=True)) for places in zip(*readable.values(), strict=True)]


def _readable(value: Any, max_values: int | None) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        if max_values is not None and value.size > max_values:
            return f"{value.dtype} {list(value.shape)}: too many values to read; send rows as JSON to get them"
        return [_readable(item, max_values) for item in value]
    if isinstance(value, np.floating):
        return _round(float(value))
    return value.item()


def _round(value: float) -> float | str:
    # JSON has no word for NaN and infinities.
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if np.isfinite(value) else str(value)
