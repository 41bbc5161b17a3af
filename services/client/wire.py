"""OIP inference messages ↔ bytes, without copying tensors through protobuf.

Protobuf would copy each tensor into the message and again when the message is serialized, and the same on the way back.
Serialized messages concatenate by definition, so the small part goes through protobuf and the raw contents are placed
behind it; on the way back they are views of the received bytes.
Source: protobuf encoding, "Message Structure" and "Last One Wins".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from model_store.open_inference import messages
from model_store.protobuf import encode_varint
from model_store.tensors import datatype_of, decode_raw, encode_raw

_RAW_INPUT_FIELD = 7
_RAW_OUTPUT_FIELD = 6
_STREAMED_FIELD = 2  # of ModelStreamInferResponse
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


class Answer(NamedTuple):
    """What a server answered; numeric arrays are read-only views of the received bytes."""

    model: str
    version: str
    request_id: str
    arrays: dict[str, np.ndarray]


def encode_infer_request(
    model: str,
    inputs: Mapping[str, np.ndarray],
    *,
    version: str = "",
    parameters: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
    request_id: str = "",
) -> bytes:
    """Serialize a ModelInferRequest with raw contents.

    Raises:
        ValueError: an array's dtype, or a parameter's type, has no place in the protocol.
    """
    request = messages().ModelInferRequest(model_name=model, model_version=version, id=request_id)
    for name, value in (parameters or {}).items():
        _set_parameter(request.parameters[name], name, value)
    for name in outputs:
        request.outputs.add(name=name)
    for name, array in inputs.items():
        request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
    parts: list[Any] = [request.SerializeToString()]
    for array in inputs.values():
        raw = _raw_bytes(array)
        parts += (_encode_key(_RAW_INPUT_FIELD, len(raw)), raw)
    return b"".join(parts)


def decode_infer_response(data: bytes) -> Answer:
    """Decode a ModelInferResponse with raw contents.

    Raises:
        ValueError: the bytes are no such message, or contents do not fit their tensors.
    """
    view = memoryview(data)
    head, raws = bytearray(), []
    for field, start, body, end in _split_fields(view):
        if field == _RAW_OUTPUT_FIELD:
            raws.append(view[body:end])
        else:
            head += view[start:end]
    try:
        response = messages().ModelInferResponse.FromString(bytes(head))
    except DecodeError as error:
        raise ValueError(f"not a ModelInferResponse: {error}") from None
    if len(raws) != len(response.outputs):
        raise ValueError(f"the answer has {len(response.outputs)} outputs but raw contents for {len(raws)}")
    arrays = {
        tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
        for tensor, raw in zip(response.outputs, raws, strict=True)
    }
    return Answer(response.model_name, response.model_version, response.id, arrays)


def decode_stream_response(data: bytes) -> Answer:
    """Decode a ModelStreamInferResponse that holds an answer.

    Raises:
        ValueError: as `decode_infer_response`.
    """
    for field, _, body, end in _split_fields(memoryview(data)):
        if field == _STREAMED_FIELD:
            return decode_infer_response(data[body:end])
    raise ValueError("the message holds no ModelInferResponse")


def _raw_bytes(array: np.ndarray) -> Any:
    if array.dtype.kind in "OSU":
        return encode_raw(array)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _set_parameter(target: Any, name: str, value: Any) -> None:
    if isinstance(value, bool | np.bool_):
        target.bool_param = bool(value)
    elif isinstance(value, int | np.integer):
        target.int64_param = int(value)
    elif isinstance(value, float | np.floating):
        target.double_param = float(value)
    elif isinstance(value, str):
        target.string_param = value
    else:
        raise ValueError(f"parameter {name} is {type(value).__name__}; use a bool, int, float or str")


def _encode_key(field: int, size: int) -> bytes:
    return encode_varint(field << 3 | _LENGTH_DELIMITED) + encode_varint(size)


def _decode_varint(view: memoryview, offset: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if offset >= len(view):
            raise ValueError(f"the message ends inside a number at byte {offset}")
        byte = view[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
    raise ValueError(f"a number at byte {offset} is longer than 64 bits")


def _split_fields(view: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Walk the top level of a message: field number, where its key starts, where its value starts and ends."""
    offset = 0
    while offset < len(view):
        start = offset
        key, offset = _decode_varint(view, offset)
        wire_type = key & 7
        body = offset
        if wire_type == _LENGTH_DELIMITED:
            size, body = _decode_varint(view, offset)
            offset = body + size
        elif wire_type == _VARINT:
            _, offset = _decode_varint(view, offset)
        elif wire_type in (_FIXED32, _FIXED64):
            offset += 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError(f"byte {start} starts a field of unknown wire type {wire_type}")
        if offset > len(view):
            raise ValueError(f"the field at byte {start} claims {offset - len(view)} bytes more than the message has")
        yield key >> 3, start, body, offset
