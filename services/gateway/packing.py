"""Rows of many callers as one packed call to a worker, and its answer cut up again.

Messages are made from parts that protobuf encodes once and raw contents that are only joined: field order is free in
the wire format, so a cached head followed by raw fields is a valid message, at a fraction of the cost of building each.
Source: Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from model_store.open_inference import (
    INTERNAL_ERROR,
    ROW_ERRORS,
    WORKER_ENDED_NS,
    WORKER_PROCESS,
    WORKER_STARTED_NS,
    WORKER_TIMES,
    messages,
)
from model_store.protobuf import encode_varint
from services.gateway.errors import MODEL_FAILED, InternalError
from services.gateway.tensors import InferRequest, NamedTensor, ParameterValue, split_rows
from services.gateway.trace import WorkerTimes

RAW_INPUT_TAG = b"\x3a"  # field 7 of ModelInferRequest, length-delimited

TensorHead = tuple[str, str, tuple[int, ...]]


def pack_requests(requests: Sequence[InferRequest]) -> bytes:
    """Join the rows of requests with equal inputs, trailing shapes, parameters and outputs into one message."""
    first = requests[0]
    if len(requests) == 1 and first.packed is not None:
        return first.packed
    heads = []
    parts: list[bytes | memoryview] = [b""]
    for index, tensor in enumerate(first.inputs):
        num_rows, size = 0, 0
        contents = []
        for request in requests:
            same = request.inputs[index]
            num_rows += same.shape[0]
            size += len(same.data)
            contents.append(same.data)
        heads.append((tensor.name, tensor.datatype, (num_rows, *tensor.shape[1:])))
        parts += (RAW_INPUT_TAG, encode_varint(size), *contents)
    outputs = tuple(name for name in first.outputs if name != ROW_ERRORS)
    parts[0] = _request_head(
        tuple(heads), tuple([(name, type(value), value) for name, value in first.parameters.items()]), outputs
    )
    return b"".join(parts)


def unpack_answer(answer: bytes, row_counts: Sequence[int]) -> list[list[NamedTensor]]:
    """Cut a worker's answer into the outputs of each request; `row_errors`, if any row failed, is among them.

    Raises:
        InternalError: the handler reported that it broke, or the answer does not fit; `cause` says how.
    """
    response = messages().ModelInferResponse.FromString(answer)
    if response.parameters and INTERNAL_ERROR in response.parameters:
        raise InternalError(MODEL_FAILED, cause=response.parameters[INTERNAL_ERROR].string_param)
    contents = response.raw_output_contents
    if len(contents) != len(response.outputs):
        cause = f"{len(response.outputs)} outputs with {len(contents)} raw contents"
        raise InternalError(MODEL_FAILED, cause=cause)
    tensors = [
        NamedTensor(output.name, output.datatype, tuple(output.shape), raw)
        for output, raw in zip(response.outputs, contents, strict=True)
    ]
    try:
        columns = [split_rows(tensor, row_counts) for tensor in tensors]
    except (ValueError, IndexError) as error:
        raise InternalError(MODEL_FAILED, cause=f"the answer does not fit the request: {error}") from error
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in row_counts]


def ask_for_times(packed: bytes) -> bytes:
    """Have the worker tell when it began and ended a packed call, and which it is."""
    return packed + _request_head((), ((WORKER_TIMES, bool, True),), ())


def read_times(answer: bytes) -> WorkerTimes | None:
    """Read when a worker began and ended, and which it was; None where it does not say so."""
    parameters = messages().ModelInferResponse.FromString(answer).parameters
    if WORKER_STARTED_NS not in parameters:  # an archive from before there were times
        return None
    process = parameters[WORKER_PROCESS].int64_param if WORKER_PROCESS in parameters else 0
    return WorkerTimes(
        1e-9 * parameters[WORKER_STARTED_NS].int64_param, 1e-9 * parameters[WORKER_ENDED_NS].int64_param, process
    )


def set_parameter(parameters: Any, name: str, value: ParameterValue) -> None:
    """Set one entry of a protobuf map of InferParameter."""
    if isinstance(value, bool):
        parameters[name].bool_param = value
    elif isinstance(value, int):
        parameters[name].int64_param = value
    elif isinstance(value, float):
        parameters[name].double_param = value
    else:
        parameters[name].string_param = value


@lru_cache(maxsize=1024)
def _request_head(
    tensors: tuple[TensorHead, ...], parameters: tuple[tuple[str, type, ParameterValue], ...], outputs: tuple[str, ...]
) -> bytes:
    request = messages().ModelInferRequest()
    for name, datatype, shape in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    for name, _, value in parameters:  # the type is in the key of the cache, where True == 1 == 1.0
        set_parameter(request.parameters, name, value)
    for name in outputs:
        request.outputs.add(name=name)
    data: bytes = request.SerializeToString()
    return data
