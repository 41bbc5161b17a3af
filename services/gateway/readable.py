"""The short way for people: one file in, readable JSON out; `curl -T shoe.png localhost:8000/v1/classifier`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from model_store.manifest import Manifest, Parameter
from model_store.tensors import decode_raw, encode_raw
from services.catalogue import ServedVariant
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor, ParameterValue

# A ranking is what people want to read; models that can rank have this parameter.
RANKING, DEFAULT_RANKING = "top_k", 3
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
    if RANKING in known:
        parameters.setdefault(RANKING, _default_ranking(known[RANKING]))
    tensor = NamedTensor(name, "BYTES", (1,), encode_raw(element))
    return InferRequest(variant.model, variant.version, request_id, [tensor], parameters=parameters)


def file_input(manifest: Manifest) -> str | None:
    """Name the input that takes a whole file: one BYTES element a row, and no other input needed."""
    for names in manifest.input_sets:
        needed = [tensor for name in names if (tensor := manifest.input(name)) and not tensor.optional]
        if len(needed) == 1 and needed[0].datatype == "BYTES" and needed[0].shape == (-1,):
            return needed[0].name
    return None


def describe_answer(answer: InferAnswer) -> dict[str, Any]:
    """Describe a one-row answer; outputs of equal length become a list of results."""
    rows = {tensor.name: decode_raw(tensor.data, tensor.datatype, tensor.shape)[0] for tensor in answer.outputs}
    described: dict[str, Any] = {"model": answer.model, "version": answer.version, "request": answer.id}
    lengths = {np.shape(row) for row in rows.values()}
    if len(lengths) == 1 and len(next(iter(lengths))) == 1:
        columns = {_singular(name): _readable(row) for name, row in rows.items()}
        described["results"] = [
            dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
        ]
    else:
        described["results"] = {name: _readable(row) for name, row in rows.items()}
    return described


def example_command(variant: ServedVariant, base_url: str) -> str:
    """Give a command that a person can paste."""
    if file_input(variant.manifest) is not None:
        return f"curl -T FILE {base_url}v1/{variant.model}"
    return f"curl {base_url}v2/models/{variant.model}"


def _default_ranking(parameter: Parameter) -> int:
    return DEFAULT_RANKING if parameter.maximum is None else int(min(DEFAULT_RANKING, parameter.maximum))


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


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name.removesuffix("s")
