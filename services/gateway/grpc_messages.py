"""OIP gRPC messages to the core's request and back.

Answers are made from a part that protobuf encodes once and raw contents that are only joined: field order is free in
the wire format, so a cached head followed by raw fields is a valid message, at a fraction of the cost of building each.
Source: Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from model_store.open_inference import ROW_ERRORS, messages
from model_store.protobuf import encode_varint
from model_store.tensors import DTYPES, encode_raw
from services.gateway.call_parameters import apply_call_parameters
from services.gateway.errors import InvalidRequestError
from services.gateway.known_heads import KnownHeads
from services.gateway.packing import set_parameter
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor, ParameterValue, count_elements

_known_heads = KnownHeads()
_ID_TAG = b"\x1a"  # field 3 of ModelInferResponse, length-delimited
# What REST needs of them says nothing here; KServe's client sends it all the same.
_REST_PARAMETERS = frozenset({"binary_data_size", "binary_data"})
_RAW_OUTPUT_TAG = b"\x32"  # field 6
_TYPED_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def decode_request(data: bytes) -> InferRequest:
    """Decode a serialized ModelInferRequest with raw or typed contents.

    Raises:
        InvalidRequestError: not such a message, contents missing or given twice, or an extension that is not offered.
    """
    known = _known_heads.read(data)
    if known is not None:
        return known
    try:
        message = messages().ModelInferRequest.FromString(data)
    except DecodeError:
        raise InvalidRequestError("the body is no ModelInferRequest: truncated or not protobuf") from None
    request = InferRequest(message.model_name, message.model_version, message.id, [])
    # Looked up once each, and lists made by slices: every look-up makes an object, and these iterate slowly.
    inputs, contents, outputs = message.inputs[:], message.raw_input_contents[:], message.outputs
    request.inputs = _decode_raw_inputs(inputs, contents) if contents else _decode_typed_inputs(inputs)
    if outputs:
        request.outputs = tuple([_decode_output(output) for output in outputs])
    if message.parameters:
        request.parameters = {name: _decode_parameter(name, value) for name, value in message.parameters.items()}
        apply_call_parameters(request)
    elif contents and ROW_ERRORS not in request.outputs:
        request.packed = data
        _known_heads.learn(data, request)
    return request


def encode_answer(answer: InferAnswer) -> bytes:
    """Serialize an answer as ModelInferResponse with raw contents."""
    identity = answer.id.encode()
    heads = tuple([(tensor.name, tensor.datatype, tensor.shape) for tensor in answer.outputs])
    parts: list[bytes | memoryview] = [
        _answer_head(answer.model, answer.version, heads),
        _ID_TAG,
        encode_varint(len(identity)),
        identity,
    ]
    if answer.parameters:
        response = messages().ModelInferResponse()
        for name, value in answer.parameters.items():
            set_parameter(response.parameters, name, value)
        parts.append(response.SerializeToString())
    for tensor in answer.outputs:
        parts += (_RAW_OUTPUT_TAG, encode_varint(len(tensor.data)), tensor.data)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _answer_head(model: str, version: str, tensors: tuple[tuple[str, str, tuple[int, ...]], ...]) -> bytes:
    response = messages().ModelInferResponse(model_name=model, model_version=version)
    for name, datatype, shape in tensors:
        response.outputs.add(name=name, datatype=datatype, shape=shape)
    data: bytes = response.SerializeToString()
    return data


def _decode_raw_inputs(tensors: Sequence[Any], contents: Sequence[bytes]) -> list[NamedTensor]:
    if len(contents) != len(tensors):
        raise InvalidRequestError(
            f"{len(tensors)} inputs came with {len(contents)} raw_input_contents; send one for each input"
        )
    inputs = []
    for tensor, raw in zip(tensors, contents, strict=True):
        if tensor.HasField("contents"):
            raise InvalidRequestError(f"input {tensor.name} has typed and raw contents; send one of them")
        _refuse_parameters(tensor, "input")
        inputs.append(NamedTensor(tensor.name, tensor.datatype, _decode_shape(tensor), raw))
    return inputs


def _decode_typed_inputs(tensors: Sequence[Any]) -> list[NamedTensor]:
    inputs = []
    for tensor in tensors:
        _refuse_parameters(tensor, "input")
        inputs.append(_decode_typed_input(tensor, _decode_shape(tensor)))
    return inputs


def _decode_typed_input(tensor: Any, shape: tuple[int, ...]) -> NamedTensor:
    name, datatype = tensor.name, tensor.datatype
    field = _TYPED_FIELDS.get(datatype)
    if field is None:
        known = f"one of {', '.join(DTYPES)}" if datatype not in DTYPES else "sent in raw_input_contents"
        raise InvalidRequestError(f"input {name} has typed contents of datatype {datatype!r}; it must be {known}")
    values = getattr(tensor.contents, field)
    if len(values) != count_elements(shape):
        raise InvalidRequestError(
            f"input {name} has {len(values)} values in {field}; shape {list(shape)} takes {count_elements(shape)}"
        )
    if datatype == "BYTES":
        array = np.empty(len(values), np.object_)
        array[:] = list(values)
        return NamedTensor(name, datatype, shape, encode_raw(array))
    try:
        array = np.array(values, DTYPES[datatype])
    except OverflowError:
        raise InvalidRequestError(f"input {name} has values that do not fit into {datatype}") from None
    return NamedTensor(name, datatype, shape, array.tobytes())


def _decode_shape(tensor: Any) -> tuple[int, ...]:
    shape = tuple(tensor.shape[:])
    if shape and min(shape) < 0:
        raise InvalidRequestError(f"input {tensor.name} has shape {list(shape)}; sizes cannot be negative")
    return shape


def _decode_output(output: Any) -> str:
    _refuse_parameters(output, "output")
    name: str = output.name
    return name


def _refuse_parameters(tensor: Any, kind: str) -> None:
    if tensor.parameters and (unknown := set(tensor.parameters) - _REST_PARAMETERS):
        names = ", ".join(sorted(unknown))
        raise InvalidRequestError(
            f"{kind} {tensor.name} has the parameters {names}; shared memory and classification are not offered: "
            "send contents with the request"
        )


def _decode_parameter(name: str, parameter: Any) -> ParameterValue:
    kind = parameter.WhichOneof("parameter_choice")
    if kind is None:
        raise InvalidRequestError(f"parameter {name!r} has no value")
    value: ParameterValue = getattr(parameter, kind)
    return value
