"""The short way for people: one file in, readable JSON out; `curl -T shoe.png localhost:8000/v1/classifier`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from model_store.example_call import file_input
from model_store.manifest import Manifest, Parameter
from model_store.tensors import decode_raw, encode_raw
from services.catalogue import ServedVariant
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor, ParameterValue

MAX_VALUES_SHOWN = 1000
SIGNIFICANT_DIGITS = 6


def build_file_request(variant: ServedVariant, body: bytes, query: Mapping[str, str], request_id: str) -> InferRequest:
    """Make a one-row request from a file's bytes and the parameters in the URL.

    Raises:
        InvalidRequestError: the model takes no files, the body is empty, or a parameter is not of its kind.
    """
    name = file_input(variant.manifest)
    if name is None:
        inputs = ", ".join(f"{tensor.name} ({tensor.datatype})" for tensor in variant.manifest.inputs)
        raise InvalidRequestError(
            f"model {variant.model} takes no file but {inputs}; use POST /v2/models/{variant.model}/infer"
        )
    if not body:
        raise InvalidRequestError("the body is empty; send a file, as with curl -T FILE")
    element = np.array([None], np.object_)
    element[0] = body
    known = {parameter.name: parameter for parameter in variant.manifest.parameters}
    parameters = {key: _parse_parameter(known.get(key), value) for key, value in query.items()}
    for key, parameter in known.items():
        if parameter.readable_default is not None:
            parameters.setdefault(key, parameter.readable_default)
    tensor = NamedTensor(name, "BYTES", (1,), encode_raw(element))
    return InferRequest(variant.model, variant.version, request_id, [tensor], parameters=parameters)


def describe_answer(answer: InferAnswer, manifest: Manifest) -> dict[str, Any]:
    """Describe a one-row answer; outputs of equal length become a list of results."""
    rows = {tensor.name: decode_raw(tensor.data, tensor.datatype, tensor.shape)[0] for tensor in answer.outputs}
    described: dict[str, Any] = {"model": answer.model, "version": answer.version, "request": answer.id}
    lengths = {np.shape(row) for row in rows.values()}
    if len(lengths) == 1 and len(next(iter(lengths))) == 1:
        columns = {_name_of_one(manifest, name): _readable(row) for name, row in rows.items()}
        described["results"] = [
            dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
        ]
    else:
        described["results"] = {name: _readable(row) for name, row in rows.items()}
    return described


def _parse_parameter(parameter: Parameter | None, text: str) -> ParameterValue:
    if parameter is None:
        return text
    try:
        match parameter.kind:
            case "int64":
                return int(text)
            case "double":
                return float(text)
            case "bool":
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            case "string":
                return text
    except (ValueError, KeyError):
        raise InvalidRequestError(
            f"parameter {parameter.name} is {text!r}; it must be a {parameter.kind}: {parameter.meaning}"
        ) from None


def _readable(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        if value.size > MAX_VALUES_SHOWN:
            return f"{value.dtype} {list(value.shape)}: too many values to read; use the inference protocol"
        return [_readable(item) for item in value]
    if isinstance(value, np.floating):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return value.item()


def _name_of_one(manifest: Manifest, output: str) -> str:
    tensor = manifest.output(output)
    return tensor.singular or output if tensor else output
