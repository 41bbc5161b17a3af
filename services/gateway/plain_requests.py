"""What people send by hand to /v1/NAME: a file, a form with a file, or rows as plain JSON.

curl -T a.png localhost:8000/v1/classifier?top_k=2
curl -F file=@a.png -F top_k=2 localhost:8000/v1/classifier
curl localhost:8000/v1/net -d '{"inputs": {"x": [[0.1, 0.2]]}, "parameters": {"gain": 2}}'
curl localhost:8000/v1/net -d '[[0.1, 0.2], [0.3, 0.4]]'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from model_store.example_call import file_input
from model_store.manifest import Manifest
from model_store.parameters import ParameterError, ParameterValue, parse_parameter
from model_store.tensors import encode_raw
from services.catalogue import ServedVariant
from services.gateway.call_parameters import CALL_PARAMETERS, apply_call_parameters
from services.gateway.errors import InvalidRequestError
from services.gateway.rest_messages import decode_json, decode_values
from services.gateway.tensors import InferRequest, NamedTensor

_KEYS = ("inputs", "parameters", "outputs")


@dataclass(frozen=True, slots=True)
class PlainBody:
    """A body as it came; `texts` are parameters from the URL and from a form's fields."""

    content: bytes
    is_json: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)


async def read_plain_body(request: Request) -> PlainBody:
    """Read a body, and out of a form its one file.

    Raises:
        InvalidRequestError: the form is broken, or holds no file or several.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    texts = dict(request.query_params)
    if kind != "multipart/form-data":
        return PlainBody(await request.body(), kind == "application/json", texts)
    try:
        async with request.form() as form:
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            if len(files) != 1:
                raise InvalidRequestError(f"the form holds {len(files)} files; send one, as with curl -F file=@FILE")
            texts |= {name: value for name, value in form.items() if isinstance(value, str)}
            return PlainBody(await files[0].read(), files[0].content_type == "application/json", texts)
    except HTTPException as error:
        raise InvalidRequestError(f"the form is broken: {error.detail} Send it as curl -F file=@FILE does") from None


def build_plain_request(
    variant: ServedVariant, version: str, body: PlainBody, request_id: str
) -> tuple[InferRequest, bool]:
    """Make a request to a variant of a body, `version` as its caller named it; also say whether it brought one file.

    Where a model takes files or texts, only a body declared as application/json is rows; all else is the file.

    Raises:
        InvalidRequestError: the body is empty or no rows of the model, or a parameter is not of its kind.
    """
    manifest = variant.manifest
    request = InferRequest(variant.model, version, request_id, [], chosen=variant.version)
    name = file_input(manifest)
    is_file = name is not None and not body.is_json
    if not body.content:
        what = "a file, as with curl -T FILE" if is_file else f"rows as JSON: {_describe_rows(manifest)}"
        raise InvalidRequestError(f"the body is empty; send {what}")
    if name is not None and is_file:
        element = np.array([None], np.object_)
        element[0] = body.content
        request.inputs = [NamedTensor(name, "BYTES", (1,), encode_raw(element))]
    else:
        _add_rows(request, manifest, decode_json(body.content))
    request.parameters |= _read_parameters(manifest, body.texts)
    for parameter in manifest.parameters:
        if parameter.readable_default is not None:
            request.parameters.setdefault(parameter.name, parameter.readable_default)
    apply_call_parameters(request)
    return request, is_file


def _add_rows(request: InferRequest, manifest: Manifest, message: Any) -> None:
    """Take {"inputs": …, "parameters": …, "outputs": …}, or rows alone where one input is enough."""
    if not isinstance(message, dict):
        message = {"inputs": message}
    unknown = sorted(set(message) - set(_KEYS))
    if unknown or "inputs" not in message:
        found = ", ".join(map(repr, unknown)) or "no 'inputs'"
        raise InvalidRequestError(f"the body has {found}; send rows as JSON: {_describe_rows(manifest)}")
    inputs = message["inputs"]
    if not isinstance(inputs, dict):
        inputs = {_single_input(manifest, inputs): inputs}
    request.inputs = [decode_rows(manifest, name, rows) for name, rows in inputs.items()]
    parameters = message.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidRequestError("parameters must be a JSON object of names and values")
    request.outputs, request.parameters = read_names(message.get("outputs", [])), dict(parameters)


def read_names(outputs: Any) -> tuple[str, ...]:
    """Read which outputs a JSON message asks for.

    Raises:
        InvalidRequestError: these are no names.
    """
    if not isinstance(outputs, list) or not all(isinstance(name, str) for name in outputs):
        raise InvalidRequestError("outputs must be a list of names")
    return tuple(outputs)


def decode_rows(manifest: Manifest, name: str, rows: Any) -> NamedTensor:
    """Turn JSON into an input; one row may come without its row dimension.

    Raises:
        InvalidRequestError: there is no such input, or these are no rows of it.
    """
    tensor = manifest.input(name)
    if tensor is None:
        raise InvalidRequestError(f"there is no input {name!r}; send rows as JSON: {_describe_rows(manifest)}")
    array = decode_values(rows, tensor.datatype, name)
    try:
        shape = np.shape(rows) if tensor.datatype == "BYTES" else array.shape
    except ValueError:
        raise InvalidRequestError(f"input {name} has rows of unequal length") from None
    if len(shape) == len(tensor.shape) - 1:  # one row may come without its row dimension
        shape = (1, *shape)
    return NamedTensor(name, tensor.datatype, shape, encode_raw(array))


def _single_input(manifest: Manifest, rows: Any) -> str:
    """Name the one input that is enough for a request and takes such values: texts or numbers."""
    leaf = rows
    while isinstance(leaf, list) and leaf:
        leaf = leaf[0]
    fitting = [
        needed[0].name
        for names in manifest.input_sets
        if len(needed := [tensor for name in names if (tensor := manifest.input(name)) and not tensor.optional]) == 1
        and (needed[0].datatype == "BYTES") == isinstance(leaf, str)
    ]
    if len(fitting) != 1:
        raise InvalidRequestError(f"say which input the rows are: {_describe_rows(manifest)}")
    return fitting[0]


def _read_parameters(manifest: Manifest, texts: Mapping[str, str]) -> dict[str, ParameterValue]:
    rules = {**CALL_PARAMETERS, **{parameter.name: parameter.model_dump() for parameter in manifest.parameters}}
    try:
        return {name: parse_parameter(text, rules[name]) if name in rules else text for name, text in texts.items()}
    except ParameterError as error:
        raise InvalidRequestError(str(error)) from None


def _describe_rows(manifest: Manifest) -> str:
    sets = (", ".join(f'"{name}": [row, …]' for name in names) for names in manifest.input_sets)
    return " or ".join(f'{{"inputs": {{{inputs}}}}}' for inputs in sets)
