"""OIP bytes ↔ arrays: what one call between the gateway and a worker carries."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from handlers.shared_memory import CallMemory
from model_store.open_inference import (
    INTERNAL_ERROR,
    ROW_ERRORS,
    WORKER_ENDED_NS,
    WORKER_PROCESS,
    WORKER_STARTED_NS,
    messages,
)
from model_store.shared_memory import LARGE_BYTES, REGION, refer_to
from model_store.tensors import datatype_of, decode_raw, encode_raw


class Request(NamedTuple):
    """One call: rows of one or many callers, with equal parameters and requested outputs."""

    inputs: dict[str, np.ndarray]
    parameters: dict[str, Any]
    requested: tuple[str, ...]
    memory: CallMemory | None = None  # where the inputs are, if not in the message


def decode_request(body: bytes | bytearray, shared_folder: str | None = None) -> Request:
    """Decode a serialized ModelInferRequest with raw contents, or such in shared memory; numeric arrays are read-only
    views of them.

    Raises:
        ValueError: the raw contents do not fit the inputs.
        OSError: there is no such shared memory.
    """
    request = messages().ModelInferRequest.FromString(bytes(body))
    memory, contents = None, request.raw_input_contents
    if not contents and request.inputs and REGION in request.inputs[0].parameters:
        memory = CallMemory(shared_folder, request.inputs[0].parameters[REGION].string_param)
        contents = [memory.read(tensor) for tensor in request.inputs]
    if len(contents) != len(request.inputs):
        raise ValueError(f"{len(request.inputs)} inputs with {len(contents)} raw contents")
    inputs = {
        tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
        for tensor, raw in zip(request.inputs, contents, strict=True)
    }
    parameters = {name: _value_of(parameter) for name, parameter in request.parameters.items()}
    return Request(inputs, parameters, tuple(output.name for output in request.outputs), memory)


def encode_response(
    model: str,
    version: str,
    arrays: Mapping[str, np.ndarray],
    row_errors: Sequence[str | None],
    memory: CallMemory | None = None,
) -> bytes:
    """Serialize a ModelInferResponse; failed rows add an output `row_errors`, BYTES [N], empty where all is well.

    Large outputs go into the call's shared memory, if it has one with room for them.
    """
    if any(row_errors):
        arrays = {**arrays, ROW_ERRORS: np.array([error or "" for error in row_errors], np.object_)}
    response = messages().ModelInferResponse(model_name=model, model_version=version)
    for name, array in arrays.items():
        response.outputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
    if memory is None or not _share_outputs(response, arrays.values(), memory):
        response.raw_output_contents.extend(encode_raw(array) for array in arrays.values())
    data: bytes = response.SerializeToString()
    return data


def _share_outputs(response: Any, arrays: Collection[np.ndarray], memory: CallMemory) -> bool:
    if sum(array.nbytes for array in arrays) < LARGE_BYTES:
        return False
    contents = [
        encode_raw(array)
        if datatype_of(array) == "BYTES"
        else np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for array in arrays
    ]
    with contextlib.suppress(OSError):  # there is no room
        for output, place in zip(response.outputs, memory.append(contents), strict=True):
            refer_to(output, memory.region, place)
        return True
    return False


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


def _value_of(parameter: Any) -> Any:
    kind = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, kind) if kind else None
