"""OIP bytes ↔ arrays: what one call between the gateway and a worker carries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from model_store.open_inference import (
    INTERNAL_ERROR,
    ROW_ERRORS,
    WORKER_ENDED_NS,
    WORKER_PROCESS,
    WORKER_STARTED_NS,
    messages,
)
from model_store.tensors import datatype_of, decode_raw, encode_raw


class Request(NamedTuple):
    """One call: rows of one or many callers, with equal parameters and requested outputs."""

    inputs: dict[str, np.ndarray]
    parameters: dict[str, Any]
    requested: tuple[str, ...]


def decode_request(body: bytes | bytearray) -> Request:
    """Decode a serialized ModelInferRequest with raw contents; numeric arrays are read-only views of it.

    Raises:
        ValueError: the raw contents do not fit the inputs.
    """
    request = messages().ModelInferRequest.FromString(bytes(body))
    if len(request.raw_input_contents) != len(request.inputs):
        raise ValueError(f"{len(request.inputs)} inputs with {len(request.raw_input_contents)} raw contents")
    inputs = {
        tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
    }
    parameters = {name: _value_of(parameter) for name, parameter in request.parameters.items()}
    return Request(inputs, parameters, tuple(output.name for output in request.outputs))


def encode_response(
    model: str, version: str, arrays: Mapping[str, np.ndarray], row_errors: Sequence[str | None]
) -> bytes:
    """Serialize a ModelInferResponse; failed rows add an output `row_errors`, BYTES [N], empty where all is well."""
    response = messages().ModelInferResponse(model_name=model, model_version=version)
    for name, array in arrays.items():
        _add_output(response, name, array)
    if any(row_errors):
        _add_output(response, ROW_ERRORS, np.array([error or "" for error in row_errors], np.object_))
    data: bytes = response.SerializeToString()
    return data


def encode_times(started_ns: int, ended_ns: int) -> bytes:
    """Serialize when this worker began and ended, and which it is; behind a serialized answer it is a part of that."""
    response = messages().ModelInferResponse()
    response.parameters[WORKER_STARTED_NS].int64_param = started_ns
    response.parameters[WORKER_ENDED_NS].int64_param = ended_ns
    response.parameters[WORKER_PROCESS].int64_param = os.getpid()
    data: bytes = response.SerializeToString()
    return data


def encode_failure(model: str, version: str, text: str) -> bytes:
    """Serialize the answer of a handler that broke; `text` is for the log, never for the caller."""
    response = messages().ModelInferResponse(model_name=model, model_version=version)
    response.parameters[INTERNAL_ERROR].string_param = text
    data: bytes = response.SerializeToString()
    return data


def _add_output(response: Any, name: str, array: np.ndarray) -> None:
    response.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
    response.raw_output_contents.append(encode_raw(array))


def _value_of(parameter: Any) -> Any:
    kind = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, kind) if kind else None
