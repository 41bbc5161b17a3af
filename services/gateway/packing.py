"""Rows of many callers as one packed call to a worker, and its answer cut up again.

Messages are made from parts that protobuf encodes once and raw contents that are only joined: field order is free in
the wire format, so a cached head followed by raw fields is a valid message, at a fraction of the cost of building each.
Source: Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

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
from model_store.shared_memory import Buffer, find_contents, refer_to
from services.gateway.errors import MODEL_FAILED, InternalError
from services.gateway.tensors import InferRequest, NamedTensor, ParameterValue, split_rows
from services.gateway.trace import WorkerTimes

RAW_INPUT_TAG = b"\x3a"  # field 7 of ModelInferRequest, length-delimited

_ASKING_FOR_TIMES = (WORKER_TIMES, bool, True)

TensorHead = tuple[str, str, tuple[int, ...]]


class Rows(NamedTuple):
    """Requests as one, each tensor's contents still in parts; `parameters` are names, types and values."""

    inputs: tuple[TensorHead, ...]
    contents: Sequence[Sequence[Buffer]]
    parameters: tuple[tuple[str, type, ParameterValue], ...]
    outputs: tuple[str, ...]

    def ask_for_times(self) -> Rows:
        """As the function of that name."""
        return self._replace(parameters=(*self.parameters, _ASKING_FOR_TIMES))

    def join(self) -> bytes:
        """Make one message."""
        parts: list[Buffer] = [_request_head(self.inputs, self.parameters, self.outputs)]
        for contents in self.contents:
            parts += (RAW_INPUT_TAG, encode_varint(sum([len(part) for part in contents])), *contents)
        return b"".join(parts)

    def refer_to(self, region: str, places: Sequence[tuple[int, int]]) -> bytes:
        """Make a message that says where in shared memory the contents are."""
        message = messages().ModelInferRequest.FromString(_request_head(self.inputs, self.parameters, self.outputs))
        for tensor, place in zip(message.inputs, places, strict=True):
            refer_to(tensor, region, place)
        data: bytes = message.SerializeToString()
        return data


class SharedAnswer(NamedTuple):
    """A worker's answer whose contents are in shared memory."""

    message: bytes
    memory: memoryview


def pack_requests(requests: Sequence[InferRequest]) -> bytes:
    """Join the rows of requests with equal inputs, trailing shapes, parameters and outputs into one message."""
    first = requests[0]
    if len(requests) == 1 and first.packed is not None:
        return first.packed
    return gather_rows(requests).join()


def gather_rows(requests: Sequence[InferRequest]) -> Rows:
    """Gather the rows of such requests without copying them."""
    first = requests[0]
    heads, columns = [], []
    for index, tensor in enumerate(first.inputs):
        num_rows = 0
        contents = []
        for request in requests:
            same = request.inputs[index]
            num_rows += same.shape[0]
            contents.append(same.data)
        heads.append((tensor.name, tensor.datatype, (num_rows, *tensor.shape[1:])))
        columns.append(contents)
    outputs = tuple(name for name in first.outputs if name != ROW_ERRORS)
    parameters = tuple([(name, type(value), value) for name, value in first.parameters.items()])
    return Rows(tuple(heads), columns, parameters, outputs)


def unpack_answer(answer: bytes | SharedAnswer, row_counts: Sequence[int]) -> list[list[NamedTensor]]:
    """Cut a worker's answer into the outputs of each request; `row_errors`, if any row failed, is among them.

    Raises:
        InternalError: the handler reported that it broke, or the answer does not fit; `cause` says how.
    """
    response = messages().ModelInferResponse.FromString(answer if isinstance(answer, bytes) else answer.message)
    if response.parameters and INTERNAL_ERROR in response.parameters:
        raise InternalError(MODEL_FAILED, cause=response.parameters[INTERNAL_ERROR].string_param)
    contents = response.raw_output_contents
    if isinstance(answer, SharedAnswer):
        contents = [find_contents(output, answer.memory) for output in response.outputs]
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
    return packed + _request_head((), (_ASKING_FOR_TIMES,), ())


def read_times(answer: bytes | SharedAnswer) -> WorkerTimes | None:
    """Read when a worker began and ended, and which it was; None where it does not say so."""
    message = answer if isinstance(answer, bytes) else answer.message
    parameters = messages().ModelInferResponse.FromString(message).parameters
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
