"""OIP REST bodies, JSON with the binary tensor extension, to the core's request and back.

Source: Open Inference Protocol, REST, and Triton's "Binary Tensor Data Extension", which tritonclient.http speaks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.tensors import DTYPES, decode_raw, encode_raw
from services.gateway.call_parameters import apply_call_parameters
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor, ParameterValue

HEADER_LENGTH = "inference-header-content-length"
# Parameters that the transport understands itself.
_BINARY_SIZE, _BINARY_OUTPUT, _BINARY_OUTPUTS = "binary_data_size", "binary_data", "binary_data_output"
_JSON_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}


@dataclass(frozen=True, slots=True)
class OutputEncoding:
    """Which outputs of an answer go as binary data: those named, and all others if `others`."""

    named: Mapping[str, bool]
    others: bool

    def is_binary(self, name: str) -> bool:
        return self.named.get(name, self.others)


def decode_body(
    body: bytes, header_length: str | None, model: str, version: str
) -> tuple[InferRequest, OutputEncoding]:
    """Decode the body of an infer request.

    Raises:
        InvalidRequestError: no JSON object, contents that do not fit, or an extension that is not offered.
    """
    head, binary = _split_body(body, header_length)
    message = decode_json(head)
    if not isinstance(message, dict):
        raise InvalidRequestError("the body must be a JSON object with the key 'inputs'")
    parameters = _decode_parameters(message.get("parameters"), "parameters")
    others = bool(parameters.pop(_BINARY_OUTPUTS, False))
    request = InferRequest(model, version, _text(message.get("id", ""), "id"), [], parameters=parameters)
    apply_call_parameters(request)
    reader = _BinaryReader(binary)
    request.inputs = [_decode_input(tensor, reader) for tensor in _objects(message.get("inputs"), "inputs")]
    reader.check_end()
    binary_outputs: dict[str, bool] = {}
    for output in _objects(message.get("outputs", []), "outputs"):
        name = _text(output.get("name"), "outputs[].name")
        wanted = _decode_parameters(output.get("parameters"), f"output {name}")
        binary_outputs[name] = bool(wanted.pop(_BINARY_OUTPUT, others))
        _refuse_rest(wanted, f"output {name}")
    request.outputs = tuple(binary_outputs)
    return request, OutputEncoding(binary_outputs, others)


def encode_answer_body(answer: InferAnswer, encoding: OutputEncoding) -> tuple[bytes, int | None]:
    """Encode an answer; returns the body and, where binary data follow, the length of its JSON part.

    Raises:
        InvalidRequestError: BYTES that are no text were requested as JSON.
    """
    outputs, binary = [], []
    for tensor in answer.outputs:
        output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if encoding.is_binary(tensor.name):
            output["parameters"] = {_BINARY_SIZE: len(tensor.data)}
            binary.append(tensor.data)
        else:
            output["data"] = list_values(tensor)
        outputs.append(output)
    message: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version, "id": answer.id}
    message["outputs"] = outputs
    if answer.parameters:
        message["parameters"] = answer.parameters
    head = json.dumps(message, separators=(",", ":")).encode()
    return (b"".join((head, *binary)), len(head)) if binary else (head, None)


def list_values(tensor: NamedTensor) -> list[Any]:
    """List a tensor's values in row-major order, BYTES as text.

    Raises:
        InvalidRequestError: BYTES that are no UTF-8 text.
    """
    array = decode_raw(tensor.data, tensor.datatype, tensor.shape).ravel()
    if tensor.datatype != "BYTES":
        values: list[Any] = array.tolist()
        return values
    try:
        return [element.decode() for element in array]
    except UnicodeDecodeError:
        raise InvalidRequestError(f"output {tensor.name} is no text; request it with binary_data") from None


class _BinaryReader:
    """The binary part of a body, taken piece by piece."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._offset = 0

    def take(self, size: Any, name: str) -> memoryview:
        left = len(self._data) - self._offset
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
            raise InvalidRequestError(
                f"input {name} has {_BINARY_SIZE} {size!r}; {left} bytes of binary data are left for it"
            )
        self._offset += size
        return self._data[self._offset - size : self._offset]

    def check_end(self) -> None:
        left = len(self._data) - self._offset
        if left:
            raise InvalidRequestError(f"{left} bytes follow the last input's binary data; is a {_BINARY_SIZE} wrong?")


def _split_body(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not header_length.isdecimal() or int(header_length) > len(body):
        raise InvalidRequestError(
            f"Inference-Header-Content-Length is {header_length!r}; it must be the length of the JSON part of a body "
            f"of {len(body)} bytes"
        )
    length = int(header_length)
    return body[:length], memoryview(body)[length:]


def decode_json(data: bytes) -> Any:
    """Decode JSON.

    Raises:
        InvalidRequestError: says where it ends to be JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is no JSON: {error}") from None


def _decode_input(tensor: Mapping[str, Any], reader: _BinaryReader) -> NamedTensor:
    name = _text(tensor.get("name"), "inputs[].name")
    datatype = _text(tensor.get("datatype"), f"the datatype of input {name}")
    if datatype not in DTYPES:
        raise InvalidRequestError(f"input {name} has datatype {datatype!r}; it must be one of {', '.join(DTYPES)}")
    shape = _decode_shape(tensor.get("shape"), name)
    parameters = _decode_parameters(tensor.get("parameters"), f"input {name}")
    binary_size = parameters.pop(_BINARY_SIZE, None)
    _refuse_rest(parameters, f"input {name}")
    if binary_size is not None:
        if "data" in tensor:
            raise InvalidRequestError(f"input {name} has data and {_BINARY_SIZE}; send one of them")
        return NamedTensor(name, datatype, shape, reader.take(binary_size, name))
    if "data" not in tensor:
        raise InvalidRequestError(f"input {name} has no contents; send data, or binary data with {_BINARY_SIZE}")
    array = decode_values(tensor["data"], datatype, name)
    try:
        return NamedTensor(name, datatype, shape, encode_raw(array.reshape(shape)))
    except ValueError:
        raise InvalidRequestError(
            f"input {name} has {array.size} values; shape {list(shape)} takes another number"
        ) from None


def decode_values(data: Any, datatype: str, name: str) -> np.ndarray:
    """Decode JSON values, nested or not, as an array of a datatype; texts as BYTES in one dimension.

    Raises:
        InvalidRequestError: values of another kind or out of the datatype's range, or lists of unequal length.
    """
    if datatype == "BYTES":
        return _decode_texts(data, name)
    dtype = DTYPES[datatype]
    try:
        array = np.asarray(data)
    except ValueError:
        raise InvalidRequestError(f"input {name} has data that are no regular array") from None
    if array.size and array.dtype.kind not in _JSON_KINDS[dtype.kind]:
        raise InvalidRequestError(f"input {name} has data that are not all {datatype} values")
    if dtype.kind in "iu" and array.size and not _fits(array, dtype):
        raise InvalidRequestError(f"input {name} has values that do not fit into {datatype}")
    with np.errstate(over="ignore"):  # an overflow becomes infinite and is refused as such
        return array.astype(dtype)


def _fits(array: np.ndarray, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return bool(int(array.min()) >= limits.min and int(array.max()) <= limits.max)


def _decode_texts(data: Any, name: str) -> np.ndarray:
    texts: list[bytes] = []
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        elif isinstance(item, str):
            texts.append(_encode_text(item, f"the data of input {name}"))
        else:
            raise InvalidRequestError(f"input {name} is BYTES and has {item!r} among its data; all must be strings")
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array


def _decode_shape(shape: Any, name: str) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidRequestError(f"input {name} has shape {shape!r}; it must be a list of sizes")
    return tuple(shape)


def _decode_parameters(parameters: Any, where: str) -> dict[str, ParameterValue]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidRequestError(f"the parameters of {where} must be a JSON object")
    for name, value in parameters.items():
        if not isinstance(value, bool | int | float | str):
            raise InvalidRequestError(f"parameter {name!r} of {where} must be a number, a string, true or false")
        if isinstance(value, str):
            _encode_text(value, f"parameter {name!r} of {where}")
    return dict(parameters)


def _refuse_rest(parameters: Mapping[str, ParameterValue], where: str) -> None:
    if parameters:
        raise InvalidRequestError(
            f"{where} has the parameters {', '.join(sorted(parameters))}; shared memory and classification are not "
            "offered: send contents with the request"
        )


def _objects(value: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidRequestError(f"{where} must be a list of JSON objects")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"{where} is {value!r}; it must be a string")
    _encode_text(value, where)
    return value


def _encode_text(text: str, where: str) -> bytes:
    """Encode a JSON string, which may hold half of a surrogate pair: no character, and nothing that can be sent on."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{where} is no text: {text!r} holds half of a surrogate pair") from None
