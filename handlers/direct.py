"""Calls that people make by hand to TorchServe itself: image bytes, UTF-8 text, JSON or .npy in, readable JSON out.

curl -T a.png 'localhost:8080/predictions/classifier?top_k=3'
curl localhost:8080/predictions/net --json '{"inputs": {"x": [[0.1, 0.2]]}, "parameters": {"gain": 2}}'
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.base import Handler, Outputs
from model_store.open_inference import ROW_ERRORS
from model_store.parameters import ParameterError, check_parameter, parse_parameter
from model_store.tensors import DTYPES

_IMAGE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_NUMPY_START = b"\x93NUMPY"


class DirectCallError(ValueError):
    """A hand-made call that cannot be answered; the text is for the caller."""


def answer_direct(handler: Handler, request: Mapping[str, Any]) -> str:
    """Answer one TorchServe request whose body (or form field `data`) is decided by its content.

    Raises:
        DirectCallError: the content fits no input of the model.
    """
    body = request.get("data", request.get("body"))
    if body is None:
        raise DirectCallError("send the input as the body of the request, or as the form field 'data'")
    inputs, parameters = read_inputs(handler.manifest, body)
    parameters |= read_parameters(handler.manifest, request)
    num_rows = len(next(iter(inputs.values())))
    if num_rows > handler.manifest["max_rows"]:
        raise DirectCallError(f"{num_rows} rows; send at most {handler.manifest['max_rows']} at once")
    outputs = handler.infer(inputs, parameters)
    return json.dumps(_readable(outputs), indent=2, ensure_ascii=False) + "\n"


def read_inputs(manifest: Mapping[str, Any], body: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Decide what a body is; returns inputs by name and the parameters that a JSON body brings."""
    if isinstance(body, (bytes, bytearray)):
        data = bytes(body)
        if data.startswith(_IMAGE_STARTS):
            return _as_elements(manifest, [data], "an image file"), {}
        if data.startswith(_NUMPY_START):
            return _as_array(manifest, _load_numpy(data)), {}
        try:
            body = data.decode()
        except UnicodeDecodeError:
            raise DirectCallError("the body is neither PNG, JPEG, .npy, JSON nor UTF-8 text") from None
    if isinstance(body, str) and body.lstrip()[:1] in ("{", "["):
        try:
            body = json.loads(body)
        except ValueError as error:
            raise DirectCallError(f"the body is no valid JSON: {error}") from None
    if isinstance(body, dict):
        return _from_json_object(manifest, body)
    if isinstance(body, list):
        if body and all(isinstance(element, str) for element in body):
            return _as_elements(manifest, [element.encode() for element in body], "text"), {}
        return _as_array(manifest, body), {}
    return _as_elements(manifest, [str(body).encode()], "text"), {}


def read_parameters(manifest: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Read request parameters from the URL's query or from form fields."""
    parameters: dict[str, Any] = {}
    for rule in manifest["parameters"]:
        value = request.get(rule["name"])
        if value is None:
            continue
        text = value.decode(errors="replace") if isinstance(value, (bytes, bytearray)) else str(value)
        try:
            parameters[rule["name"]] = parse_parameter(text, rule)
        except ParameterError as error:
            raise DirectCallError(str(error)) from None
    return parameters


def _check_parameters(manifest: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    rules = {rule["name"]: rule for rule in manifest["parameters"]}
    for name, value in parameters.items():
        if name not in rules:
            known = ", ".join(rules) or "none"
            raise DirectCallError(f"there is no parameter {name!r}; this model's parameters: {known}")
        try:
            check_parameter(value, rules[name])
        except ParameterError as error:
            raise DirectCallError(str(error)) from None


def _from_json_object(
    manifest: Mapping[str, Any], body: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read {"inputs": …, "parameters": …} as `/v1` takes it; inputs may also stand beside the parameters."""
    parameters = body.pop("parameters", {})
    inputs = body.pop("inputs") if set(body) == {"inputs"} else body
    if isinstance(inputs, list):
        inputs = _as_array(manifest, inputs)
    known = {tensor["name"]: tensor for tensor in manifest["inputs"]}
    if not isinstance(inputs, dict) or set(inputs) - set(known) or not inputs or not isinstance(parameters, dict):
        found = sorted(inputs) if isinstance(inputs, dict) else inputs
        raise DirectCallError(
            f'a JSON object is {{"inputs": {{name: rows}}, "parameters": {{…}}}} with some of {sorted(known)}; '
            f"got {found}"
        )
    _check_parameters(manifest, parameters)
    return {name: _to_tensor(known[name], value) for name, value in inputs.items()}, parameters


def _as_array(manifest: Mapping[str, Any], value: Any) -> dict[str, np.ndarray]:
    numeric = [tensor for tensor in manifest["inputs"] if tensor["datatype"] != "BYTES"]
    if len(numeric) != 1:
        names = [tensor["name"] for tensor in manifest["inputs"]]
        raise DirectCallError(f'say which input the array is: send {{"inputs": {{"<input>": …}}}} with some of {names}')
    return {numeric[0]["name"]: _to_tensor(numeric[0], value)}


def _as_elements(manifest: Mapping[str, Any], elements: Sequence[bytes], what: str) -> dict[str, np.ndarray]:
    name = next((tensor["name"] for tensor in manifest["inputs"] if tensor["datatype"] == "BYTES"), None)
    if name is None:
        raise DirectCallError(f"this model takes numbers, not {what}: {_describe_inputs(manifest)}")
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return {name: array}


def _to_tensor(tensor: Mapping[str, Any], value: Any) -> np.ndarray:
    """Turn JSON or an array into a tensor's rows; one row may come without its row dimension."""
    wanted = f"{tensor['datatype']} of shape {tensor['shape']}"
    if tensor["datatype"] == "BYTES":
        elements = [value] if isinstance(value, str) else value
        if not isinstance(elements, list) or not all(isinstance(element, str) for element in elements):
            raise DirectCallError(f"input {tensor['name']} takes strings ({wanted})")
        array = np.empty(len(elements), np.object_)
        array[:] = [element.encode() for element in elements]
        return array
    try:
        given = np.asarray(value)
        rows = np.ascontiguousarray(given.astype(DTYPES[tensor["datatype"]]))
    except (TypeError, ValueError):
        raise DirectCallError(f"input {tensor['name']} takes numbers, {wanted}") from None
    if given.dtype.kind not in "biuf":
        raise DirectCallError(f"input {tensor['name']} takes numbers, {wanted}")
    shape = tuple(tensor["shape"])
    if rows.ndim == len(shape) - 1:
        rows = rows[None]
    fits = rows.ndim == len(shape) and all(want in (-1, size) for want, size in zip(shape, rows.shape, strict=True))
    if not fits or len(rows) == 0:
        raise DirectCallError(f"input {tensor['name']} takes {wanted}, got shape {list(given.shape)}")
    return rows


def _load_numpy(data: bytes) -> np.ndarray:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DirectCallError(f"the .npy file cannot be read: {error}") from None


def _readable(outputs: Outputs) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for name, array in outputs.arrays.items():
        if array.dtype == np.object_:
            flat = [element.decode(errors="replace") for element in array.ravel()]
            answer[name] = np.array(flat, np.object_).reshape(array.shape).tolist()
        else:
            answer[name] = array.tolist()
    if any(outputs.row_errors):
        answer[ROW_ERRORS] = [error or "" for error in outputs.row_errors]
    return answer


def _describe_inputs(manifest: Mapping[str, Any]) -> str:
    return ", ".join(f"{tensor['name']} {tensor['datatype']} {tensor['shape']}" for tensor in manifest["inputs"])
